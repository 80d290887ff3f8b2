//! Rides that are paid in advance: the most that a ride may still cost its rider is held at its entry, and what it does cost
//! is captured of that. Nothing is held where nothing is left to be paid.
//!
//! An entry asks for its hold in the transaction that takes its tap, so none is forgotten; the hold takes the place of
//! the asking, and the bill goes on the hold, each in one transaction of the store. A crash between two of them is
//! gone on from. Whatever a hold does not come to (no instrument to hold with, one that cannot, a decline, an
//! acquirer that is away, a lapse) its ride is charged afterwards like any other.

use std::slice;

use facegate_domain::Timestamp;
use facegate_domain::billing::{Item, ItemKind, Prepayment};
use facegate_domain::charge::{Charge, ChargeError, ChargeId, Instrument, Purpose};
use facegate_domain::fares::{Ride, RiderTerms, Tariff};
use facegate_domain::money::Money;
use facegate_domain::tap::Tap;

use super::schedule::Scheduler;
use crate::store::StoreError;

/// Holds opened in one pass; the others wait for the next.
const HOLDS_MAX: usize = 1024;

impl Scheduler {
    /// Opens the holds that are asked for; gives those of wallets.
    pub(super) async fn open_holds(&self) -> Result<Vec<Charge>, StoreError> {
        let mut by_wallet = Vec::new();
        let (Some(prepaid), Some(tariffs)) = (self.policy.billing.prepaid, &self.tariffs) else { return Ok(by_wallet) };
        let entries = self.store.wanted_holds(HOLDS_MAX).await?;
        if entries.is_empty() {
            return Ok(by_wallet);
        }
        let tariff = tariffs.lock().await.now(&*self.store).await?;
        for entry in entries {
            let hold = match self.hold_for(&entry, &tariff, prepaid).await? {
                Some((amount, instrument)) => {
                    let purpose = Purpose::Hold { until: entry.at.plus(prepaid.hold_for) };
                    self.open_ahead(entry.rider, ChargeId::of_hold(&entry.id), purpose, amount, instrument).await?
                }
                None => {
                    self.store.let_hold_go(ChargeId::of_hold(&entry.id), self.clock.now()).await?;
                    continue;
                }
            };
            metrics::counter!("facegate_holds_opened_total").increment(1);
            by_wallet.extend((*hold.instrument() == Instrument::Wallet).then_some(hold));
        }
        Ok(by_wallet)
    }

    /// How much is held, and with what. None: the ride is charged afterwards.
    async fn hold_for(
        &self,
        entry: &Tap,
        tariff: &Tariff,
        prepaid: Prepayment,
    ) -> Result<Option<(Money, Instrument)>, StoreError> {
        let now = self.clock.now();
        if entry.at.plus(prepaid.hold_for) <= now {
            return Ok(None);
        }
        let terms: RiderTerms = self.store.terms(entry.rider).await?.terms();
        // Without a table nothing is known of what it may cost; the ride is held for a person then.
        let before = match tariff.look_back(entry.at) {
            Some(looked_back) => self.store.rides_since(entry.rider, looked_back.from.min(entry.at)).await?,
            None => Vec::new(),
        };
        let stand = before.iter().filter(|priced| priced.superseded.is_none());
        let before: Vec<Ride<'_>> = stand.map(|priced| Ride::from(&priced.ride)).collect();
        let Ok(most) = tariff.most_after(&before, entry, &terms) else { return Ok(None) };
        let minor = prepaid.at_most_minor.map_or(most.minor(), |at_most| most.minor().min(at_most));
        let amount = Money::from_minor(minor, most.currency());
        let instruments = self.store.instruments(entry.rider).await?;
        let used = self.used_today(entry.rider, &instruments, now).await?;
        let circumstances = self.circumstances(&instruments, &used, now);
        let first = circumstances.first_for(amount).filter(|_| amount.is_positive());
        let can_hold = |instrument: &Instrument| self.acquirers.of(&instrument.account(entry.rider).0).can_hold();
        Ok(first.map(|bound| bound.instrument.clone()).filter(can_hold).map(|instrument| (amount, instrument)))
    }

    /// Puts each ride that is due on the hold of its entry; gives those that are to be billed otherwise, and the holds.
    pub(super) async fn bill_on_holds(
        &self,
        items: Vec<Item>,
        now: Timestamp,
    ) -> Result<(Vec<Item>, Vec<Charge>), StoreError> {
        if self.policy.billing.prepaid.is_none() {
            return Ok((items, Vec::new()));
        }
        let (mut others, mut charges) = (Vec::new(), Vec::new());
        for item in items {
            let Some(hold) = self.hold_of(&item, now).await? else {
                others.push(item);
                continue;
            };
            match self.store.bill_hold(hold, slice::from_ref(&item), now).await {
                Ok(Some(charge)) => charges.push(charge),
                Ok(None) => {
                    self.store.let_hold_go(hold, now).await?;
                    others.push(item);
                }
                // Another replica has put it on a bill, or moved the hold: it is looked at again.
                Err(StoreError::ItemCharged { .. } | StoreError::Charge(ChargeError::Impossible { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        Ok((others, charges))
    }

    async fn hold_of(&self, item: &Item, now: Timestamp) -> Result<Option<ChargeId>, StoreError> {
        let ItemKind::Ride { ride } = item.kind() else { return Ok(None) };
        if item.bill_at() > now {
            return Ok(None);
        }
        let ride = self.store.ride(*ride).await?;
        Ok(ride.and_then(|priced| Some(ChargeId::of_hold(&priced.ride.entry()?.id))))
    }
}
