//! Charges: each transition, its ledger entry and the marks on its items in one batch.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::charge::{Advanced, Charge, ChargeId, Event, RetryPolicy};
use facegate_domain::ledger::Account;

use super::overview::charges_in;
use super::tx::{Tx, decode};
use super::{SledStore, journeys, key, ledger, notices};
use crate::store::{ChargeStore, StoreError};

#[async_trait]
impl ChargeStore for SledStore {
    async fn open_charge(&self, opened: Advanced) -> Result<Charge, StoreError> {
        self.write(|tx| {
            if let Some(charge) = tx.get::<Charge>(&key::charge(opened.charge.id()))? {
                return Ok(charge);
            }
            for item in opened.charge.items() {
                journeys::mark_charged(tx, *item, opened.charge.id())?;
            }
            keep(tx, None, &opened)?;
            Ok(opened.charge)
        })
        .await
    }

    async fn advance_charge(
        &self,
        charge: ChargeId,
        event: Event,
        now: Timestamp,
        retry: &RetryPolicy,
    ) -> Result<Advanced, StoreError> {
        self.write(|tx| {
            let before = stored(tx, charge)?;
            let advanced = before.apply(&event, now, retry)?;
            keep(tx, Some(&before), &advanced)?;
            notices::tell_of_charge(tx, &before, &advanced.charge, now)?;
            Ok(advanced)
        })
        .await
    }

    async fn pay_from_wallet(
        &self,
        charge: ChargeId,
        now: Timestamp,
        retry: &RetryPolicy,
    ) -> Result<Advanced, StoreError> {
        self.write(|tx| {
            let before = stored(tx, charge)?;
            // What the rider has paid in is owed to him: a credit, hence negative.
            let wallet = Account::Wallet(before.rider());
            let owed = ledger::balance_of(tx, wallet, before.amount().currency())?;
            let funds = owed.checked_neg().map_err(facegate_domain::charge::ChargeError::from)?;
            let advanced = before.pay_from_wallet(funds, now, retry)?;
            keep(tx, Some(&before), &advanced)?;
            notices::tell_of_charge(tx, &before, &advanced.charge, now)?;
            Ok(advanced)
        })
        .await
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
}

fn stored(tx: &Tx<'_>, id: ChargeId) -> Result<Charge, StoreError> {
    let key = key::charge(id);
    let bytes = tx.get_bytes(&key)?.ok_or(StoreError::UnknownCharge(id))?;
    decode(&key, &bytes)
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
