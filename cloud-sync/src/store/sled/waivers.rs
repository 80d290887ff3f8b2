//! What is waived, and what people asked to be.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::remedy::RemedyPolicy;
use facegate_domain::waiving::{ProposedWaiver, WaiverReach, WaiverRequest, WaivingError};
use uuid::Uuid;

use super::terms::tariff_changes;
use super::tx::{Tx, damaged};
use super::{SledStore, audit, key};
use crate::store::waivers::{WAIVERS_LATELY_MAX, audited};
use crate::store::{KeptWaiver, StoreError, WaiverStore};

#[async_trait]
impl WaiverStore for SledStore {
    async fn waivers(&self) -> Result<Vec<KeptWaiver>, StoreError> {
        self.read().scan_as(key::WAIVER)
    }

    async fn add_waiver(&self, waiver: KeptWaiver) -> Result<bool, StoreError> {
        self.write(|tx| add(tx, &waiver)).await
    }

    async fn change_waiver(&self, before: &KeptWaiver, after: KeptWaiver) -> Result<bool, StoreError> {
        self.write(|tx| {
            let key = key::waiver(before.id);
            let is_kept = tx.get::<KeptWaiver>(&key)?.as_ref() == Some(before);
            if is_kept {
                tx.put(key, &after);
                if before.waiver != after.waiver {
                    tariff_changes(tx)?;
                }
            }
            Ok(is_kept)
        })
        .await
    }

    async fn propose_waiver(
        &self,
        request: WaiverRequest,
        policy: &RemedyPolicy,
        now: Timestamp,
    ) -> Result<ProposedWaiver, StoreError> {
        self.write(|tx| {
            if let Some(before) = tx.get::<ProposedWaiver>(&key::proposed_waiver(request.id))? {
                before.is_what(&request)?;
                return Ok(before);
            }
            let proposed = ProposedWaiver::ask(request, &latest(tx, WAIVERS_LATELY_MAX)?, policy, now)?;
            tx.put(key::proposed_waiver_at(now, proposed.id), &());
            audit::append(tx, &proposed.approval.asked_by, "fares.waive", &audited(&proposed), now)?;
            keep(tx, &proposed)?;
            Ok(proposed)
        })
        .await
    }

    async fn decide_waiver(
        &self,
        id: Uuid,
        approves: bool,
        by: &str,
        now: Timestamp,
    ) -> Result<ProposedWaiver, StoreError> {
        self.write(|tx| {
            let before: ProposedWaiver = tx.get(&key::proposed_waiver(id))?.ok_or(WaivingError::Unknown(id))?;
            let decided = before.decide(approves, by)?;
            let action = if approves { "fares.approve-waiver" } else { "fares.reject-waiver" };
            audit::append(tx, by, action, &audited(&decided), now)?;
            keep(tx, &decided)?;
            Ok(decided)
        })
        .await
    }

    async fn show_waiver(&self, id: Uuid, reach: WaiverReach) -> Result<(), StoreError> {
        self.write(|tx| {
            let before: ProposedWaiver = tx.get(&key::proposed_waiver(id))?.ok_or(WaivingError::Unknown(id))?;
            if before.approval.waits() {
                tx.put(key::proposed_waiver(id), &ProposedWaiver { reach, ..before });
            }
            Ok(())
        })
        .await
    }

    async fn proposed_waiver(&self, id: Uuid) -> Result<Option<ProposedWaiver>, StoreError> {
        self.read().get(&key::proposed_waiver(id))
    }

    async fn awaiting_waivers(&self, max: usize) -> Result<Vec<ProposedWaiver>, StoreError> {
        let tx = self.read();
        let keys = tx.scan_from(key::WAIVER_AWAITING, key::WAIVER_AWAITING, max)?;
        proposed(&tx, keys.iter().map(|(k, _)| k.as_ref()))
    }

    async fn latest_waivers(&self, max: usize) -> Result<Vec<ProposedWaiver>, StoreError> {
        latest(&self.read(), max)
    }
}

fn add(tx: &mut Tx<'_>, waiver: &KeptWaiver) -> Result<bool, StoreError> {
    let key = key::waiver(waiver.id);
    let new = !tx.contains(&key)?;
    if new {
        tx.put(key, waiver);
        tariff_changes(tx)?;
    }
    Ok(new)
}

fn keep(tx: &mut Tx<'_>, proposed: &ProposedWaiver) -> Result<(), StoreError> {
    tx.put(key::proposed_waiver(proposed.id), proposed);
    let awaiting = key::waiver_awaiting(proposed.approval.asked_at, proposed.id);
    if proposed.approval.waits() {
        tx.put(awaiting, &());
    } else {
        tx.remove(awaiting);
    }
    if proposed.approval.is_done() {
        add(tx, &KeptWaiver::of(proposed))?;
    }
    Ok(())
}

fn latest(tx: &Tx<'_>, max: usize) -> Result<Vec<ProposedWaiver>, StoreError> {
    let keys = tx.latest(key::PROPOSED_WAIVER_AT, max)?;
    proposed(tx, keys.iter().map(|(k, _)| k.as_ref()))
}

/// Those that these keys end with.
fn proposed<'k>(tx: &Tx<'_>, keys: impl Iterator<Item = &'k [u8]>) -> Result<Vec<ProposedWaiver>, StoreError> {
    let ids = keys.map(|k| key::proposed_waiver(Uuid::from_bytes(key::tail(k))));
    ids.map(|key| tx.get(&key)?.ok_or_else(|| damaged(&key, "gone"))).collect()
}
