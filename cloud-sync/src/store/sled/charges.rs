//! Charges: each transition, its ledger entry, the marks on its items and what it makes of its rider in one batch.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::billing::Item;
use facegate_domain::charge::{Advanced, Charge, ChargeError, ChargeId, Event, Purpose, RetryPolicy};
use facegate_domain::ids::RiderId;
use facegate_domain::money::{Currency, Money};
use facegate_domain::tap::Tap;

use super::overview::charges_in;
use super::tx::{Tx, decode};
use super::{SledStore, journeys, key, ledger, standing};
use crate::store::{ChargeStore, Credit, FirstRide, StoreError};

#[async_trait]
impl ChargeStore for SledStore {
    async fn open_charge(&self, opened: Advanced) -> Result<Charge, StoreError> {
        self.write(|tx| {
            if matches!(opened.charge.purpose(), Purpose::Hold { .. }) {
                tx.remove(key::hold_wanted(opened.charge.id()));
            }
            if let Some(charge) = tx.get::<Charge>(&key::charge(opened.charge.id()))? {
                return Ok(charge);
            }
            let (rider, currency) = (opened.charge.rider(), opened.charge.amount().currency());
            let credit = credit(tx, rider, currency)?.map_or(Money::zero(currency), |credit| credit.amount);
            let opened = if opened.charge.items().is_empty() { opened } else { opened.with_credit(credit)? };
            insert(tx, &opened)?;
            if *opened.charge.purpose() == Purpose::Verification {
                tx.remove(key::first_ride(rider));
            }
            Ok(opened.charge)
        })
        .await
    }

    async fn bill_hold(&self, hold: ChargeId, items: &[Item], now: Timestamp) -> Result<Option<Charge>, StoreError> {
        self.write(|tx| {
            let Some(before) = tx.get::<Charge>(&key::charge(hold))? else { return Ok(None) };
            let currency = before.amount().currency();
            let credit = credit(tx, before.rider(), currency)?.map_or(Money::zero(currency), |credit| credit.amount);
            let Some(billed) = before.bill_held(items, credit, now)? else { return Ok(None) };
            bill(tx, Some(&before), &billed)?;
            Ok(Some(billed.charge))
        })
        .await
    }

    async fn let_hold_go(&self, hold: ChargeId, now: Timestamp) -> Result<bool, StoreError> {
        self.write(|tx| {
            let wanted = key::hold_wanted(hold);
            if tx.contains(&wanted)? {
                tx.remove(wanted);
                return Ok(true);
            }
            Ok(tx.contains(&key::charge(hold))? && rescheduled(tx, hold, |charge| charge.let_go(now))?)
        })
        .await
    }

    fn want_holds(&self, whether: bool) {
        self.wants_holds.store(whether, Ordering::Relaxed);
    }

    async fn wanted_holds(&self, max: usize) -> Result<Vec<Tap>, StoreError> {
        let found = self.read().scan_from(key::HOLD_WANTED, key::HOLD_WANTED, max)?;
        found.iter().map(|(k, v)| decode(k, v)).collect()
    }

    async fn advance_charge(
        &self,
        charge: ChargeId,
        attempt: u32,
        event: Event,
        now: Timestamp,
        retry: &RetryPolicy,
    ) -> Result<Advanced, StoreError> {
        self.write(|tx| {
            let before = stored(tx, charge)?;
            before.is_at(attempt)?;
            let advanced = before.apply(&event, now, retry)?;
            keep(tx, Some(&before), &advanced)?;
            standing::follow(tx, &before, &advanced.charge, now)?;
            Ok(advanced)
        })
        .await
    }

    async fn hurry_charge(&self, charge: ChargeId, now: Timestamp) -> Result<bool, StoreError> {
        self.write(|tx| rescheduled(tx, charge, |charge| charge.hurried(now))).await
    }

    async fn charge(&self, id: ChargeId) -> Result<Option<Charge>, StoreError> {
        self.read().get(&key::charge(id))
    }

    async fn due_charges(&self, now: Timestamp, max: usize) -> Result<Vec<Charge>, StoreError> {
        let tx = self.read();
        let mut due = Vec::new();
        for (k, _) in tx.scan_from(key::DUE, key::DUE, max)? {
            let charge: Option<Charge> = tx.get(&key::charge(ChargeId::from_bytes(key::tail(&k))))?;
            due.extend(charge.filter(|charge| !charge.is_finished() && charge.next_at() <= now));
        }
        Ok(due)
    }

    async fn charges_since(&self, rider: RiderId, since: Timestamp) -> Result<Vec<Charge>, StoreError> {
        let tx = self.read();
        let from = key::rider_charge(rider, since, ChargeId::from_bytes([0; 16]));
        let found = tx.scan_from(&key::rider_charges(rider), &from, usize::MAX)?;
        found.iter().map(|(k, _)| stored(&tx, ChargeId::from_bytes(key::tail(k)))).collect()
    }

    async fn debts(&self, rider: RiderId) -> Result<Vec<Charge>, StoreError> {
        standing::debts(&self.read(), rider)
    }

    async fn ask_for_debts(&self, rider: RiderId, now: Timestamp) -> Result<usize, StoreError> {
        self.write(|tx| ask_for_debts(tx, rider, now)).await
    }

    async fn credit(&self, rider: RiderId, currency: Currency) -> Result<Option<Credit>, StoreError> {
        credit(&self.read(), rider, currency)
    }

    async fn has_paid(&self, rider: RiderId) -> Result<bool, StoreError> {
        self.read().contains(&key::paid(rider))
    }

    async fn first_rides(&self, max: usize) -> Result<Vec<FirstRide>, StoreError> {
        let found = self.read().scan_from(key::FIRST_RIDE, key::FIRST_RIDE, max)?;
        let first = |(k, v): &(Vec<u8>, Vec<u8>)| {
            let rider = RiderId::from_bytes(key::id_after(key::FIRST_RIDE, k));
            Ok(FirstRide { rider, entry: decode(k, v)? })
        };
        found.iter().map(first).collect()
    }

    async fn pass_first_ride(&self, rider: RiderId) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.remove(key::first_ride(rider));
            Ok(())
        })
        .await
    }
}

pub(super) fn stored(tx: &Tx<'_>, id: ChargeId) -> Result<Charge, StoreError> {
    let key = key::charge(id);
    let bytes = tx.get_bytes(&key)?.ok_or(StoreError::UnknownCharge(id))?;
    decode(&key, &bytes)
}

/// Stores a charge that is new.
pub(super) fn insert(tx: &mut Tx<'_>, opened: &Advanced) -> Result<(), StoreError> {
    let charge = &opened.charge;
    bill(tx, None, opened)?;
    tx.put(key::rider_charge(charge.rider(), charge.opened_at(), charge.id()), &());
    Ok(())
}

/// All the rider's charges, the latest first.
pub(super) fn latest_of(tx: &Tx<'_>, rider: RiderId) -> Result<Vec<Charge>, StoreError> {
    let found = tx.latest(&key::rider_charges(rider), usize::MAX)?;
    found.iter().map(|(k, _)| stored(tx, ChargeId::from_bytes(key::tail(k)))).collect()
}

/// Lets the rider off a debt, in the transaction of whatever books it.
///
/// Errors: `Charge` if it is none any more.
pub(super) fn waive(tx: &mut Tx<'_>, charge: ChargeId, now: Timestamp) -> Result<(), StoreError> {
    let before = stored(tx, charge)?;
    let waived = before.apply(&Event::Waived, now, &RetryPolicy::default())?;
    keep(tx, Some(&before), &waived)?;
    standing::follow(tx, &before, &waived.charge, now)
}

/// Has each debt of the rider tried at once; gives how many there are.
pub(super) fn ask_for_debts(tx: &mut Tx<'_>, rider: RiderId, now: Timestamp) -> Result<usize, StoreError> {
    let mut asked = 0;
    for debt in standing::debts(tx, rider)? {
        asked += usize::from(rescheduled(tx, debt.id(), |charge| charge.asked_for(now))?);
    }
    Ok(asked)
}

pub(super) fn credit(tx: &Tx<'_>, rider: RiderId, currency: Currency) -> Result<Option<Credit>, StoreError> {
    Ok(tx.get::<Credit>(&key::credit(rider, currency))?.filter(|credit| !credit.amount.is_zero()))
}

/// Stores a charge with its bill: its items are in it from now on, and credits change.
fn bill(tx: &mut Tx<'_>, before: Option<&Charge>, billed: &Advanced) -> Result<(), StoreError> {
    let charge = &billed.charge;
    for item in charge.items() {
        journeys::mark_charged(tx, *item, charge.id())?;
    }
    add_credit(tx, charge.rider(), charge.credit_change()?, charge.opened_at())?;
    keep(tx, before, billed)
}

/// Changes what the rider has to his credit, in the transaction of whatever books it.
pub(super) fn add_credit(tx: &mut Tx<'_>, rider: RiderId, change: Money, now: Timestamp) -> Result<(), StoreError> {
    if change.is_zero() {
        return Ok(());
    }
    let known = credit(tx, rider, change.currency())?;
    let since = known.map_or(now, |credit| credit.since);
    let held = known.map_or(Money::zero(change.currency()), |credit| credit.amount);
    let amount = held.checked_add(change).map_err(ChargeError::from)?;
    tx.put(key::credit(rider, change.currency()), &Credit { amount, since });
    Ok(())
}

/// Stores the charge as `change` makes it, if it does; nothing but when it is looked at next may be other.
fn rescheduled(
    tx: &mut Tx<'_>,
    id: ChargeId,
    change: impl FnOnce(&Charge) -> Option<Charge>,
) -> Result<bool, StoreError> {
    let before = stored(tx, id)?;
    let Some(charge) = change(&before) else { return Ok(false) };
    keep(tx, Some(&before), &Advanced { charge, entry: None, call: None })?;
    Ok(true)
}

fn keep(tx: &mut Tx<'_>, before: Option<&Charge>, advanced: &Advanced) -> Result<(), StoreError> {
    let charge = &advanced.charge;
    if let Some(before) = before {
        tx.remove(key::due(before.next_at(), before.id()));
        tx.count(&charges_in(before.state()), -1)?;
    }
    tx.put(key::charge(charge.id()), charge);
    tx.count(&charges_in(charge.state()), 1)?;
    if !charge.is_finished() {
        tx.put(key::due(charge.next_at(), charge.id()), &());
    }
    advanced.entry.iter().try_for_each(|entry| ledger::post(tx, entry))
}
