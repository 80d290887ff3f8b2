//! Terms, and whose rides are to be priced anew.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::billing::Item;
use facegate_domain::ids::RiderId;
use facegate_domain::journey::JourneyId;
use facegate_domain::terms::{KeptTerms, TermsChange};

use super::riders::living;
use super::tx::{Tx, damaged, decode};
use super::{SledStore, journeys, key};
use crate::store::{Again, PricedRide, StoreError, TermsStore};

/// Asks for it once more.
pub(super) fn reprice(tx: &mut Tx<'_>, rider: RiderId, since: Timestamp) -> Result<(), StoreError> {
    let before: Option<Again> = tx.get(&key::again(rider))?;
    let again = before.map_or(Again { since, version: 1 }, |before| Again {
        since: before.since.min(since),
        version: before.version + 1,
    });
    tx.put(key::again(rider), &again);
    Ok(())
}

pub(super) fn tariff_revision(tx: &Tx<'_>) -> Result<u64, StoreError> {
    Ok(tx.get(key::TARIFF_REVISION)?.unwrap_or(0))
}

pub(super) fn tariff_changes(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    let revision = tariff_revision(tx)? + 1;
    tx.put(key::TARIFF_REVISION.to_vec(), &revision);
    Ok(())
}

/// Takes away what a settlement has done, unless it was asked for once more.
pub(super) fn repriced(tx: &mut Tx<'_>, rider: RiderId, version: u64) -> Result<(), StoreError> {
    if tx.get::<Again>(&key::again(rider))?.is_some_and(|again| again.version == version) {
        tx.remove(key::again(rider));
    }
    Ok(())
}

#[async_trait]
impl TermsStore for SledStore {
    async fn terms(&self, rider: RiderId) -> Result<KeptTerms, StoreError> {
        Ok(self.read().get(&key::terms(rider))?.unwrap_or_default())
    }

    async fn change_terms(
        &self,
        rider: RiderId,
        change: TermsChange,
        since: Timestamp,
        bought: Option<Item>,
    ) -> Result<bool, StoreError> {
        self.write(|tx| {
            if !matches!(change, TermsChange::Decision(_)) {
                living(tx, rider)?;
            }
            let mut terms: KeptTerms = tx.get(&key::terms(rider))?.unwrap_or_default();
            if !terms.apply(&change) {
                return Ok(false);
            }
            tx.put(key::terms(rider), &terms);
            reprice(tx, rider, since)?;
            bought.iter().try_for_each(|item| journeys::keep_item(tx, item))?;
            Ok(true)
        })
        .await
    }

    async fn reprice(&self, riders: &[RiderId], since: Timestamp) -> Result<(), StoreError> {
        self.write(|tx| riders.iter().try_for_each(|rider| reprice(tx, *rider, since))).await
    }

    async fn riders_to_reprice(&self, after: Option<RiderId>, max: usize) -> Result<Vec<(RiderId, Again)>, StoreError> {
        let from = after.map_or(key::AGAIN.to_vec(), |after| [key::again(after), vec![0]].concat());
        let found = self.read().scan_from(key::AGAIN, &from, max)?;
        found.iter().map(|(k, v)| Ok((RiderId::from_bytes(key::tail(k)), decode(k, v)?))).collect()
    }

    async fn tariff_revision(&self) -> Result<u64, StoreError> {
        tariff_revision(&self.read())
    }

    async fn held_rides(&self, after: Option<JourneyId>, max: usize) -> Result<Vec<PricedRide>, StoreError> {
        let tx = self.read();
        let from = after.map_or(key::HELD.to_vec(), |after| [key::held(after), vec![0]].concat());
        rides(&tx, &tx.scan_from(key::HELD, &from, max)?)
    }

    async fn rides_priced_elsewhere(
        &self,
        after: Option<JourneyId>,
        max: usize,
    ) -> Result<Vec<PricedRide>, StoreError> {
        let tx = self.read();
        let from = after.map_or(key::ELSEWHERE.to_vec(), |after| [key::elsewhere(after), vec![0]].concat());
        rides(&tx, &tx.scan_from(key::ELSEWHERE, &from, max)?)
    }

    async fn rides_ended(
        &self,
        from: Timestamp,
        until: Timestamp,
        after: Option<(Timestamp, JourneyId)>,
        max: usize,
    ) -> Result<Vec<PricedRide>, StoreError> {
        let tx = self.read();
        let nil = JourneyId::from_bytes([0; 16]);
        let from = after.map_or_else(|| key::ended(from, nil), |(at, ride)| [key::ended(at, ride), vec![0]].concat());
        let mut found = tx.scan_from(key::ENDED, &from, max)?;
        found.retain(|(k, _)| key::time_of_ended(k) < until);
        rides(&tx, &found)
    }
}

/// The rides that these keys end with.
fn rides(tx: &Tx<'_>, keys: &[(Vec<u8>, Vec<u8>)]) -> Result<Vec<PricedRide>, StoreError> {
    let ids = keys.iter().map(|(k, _)| JourneyId::from_bytes(key::tail(k)));
    ids.map(|id| tx.get(&key::journey(id))?.ok_or_else(|| damaged(&key::journey(id), "gone"))).collect()
}
