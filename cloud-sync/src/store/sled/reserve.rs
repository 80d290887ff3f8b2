//! What is set aside for charges that were wrong.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::ledger::Entry;
use facegate_domain::remedy::RemedyPolicy;
use facegate_domain::reserve::{Funding, FundingError, FundingId, FundingRequest};

use super::tx::{Tx, damaged};
use super::{SledStore, audit, key, ledger};
use crate::store::reserve::LATELY_MAX;
use crate::store::{ReserveStore, StoreError};

#[async_trait]
impl ReserveStore for SledStore {
    async fn ask_funding(
        &self,
        request: FundingRequest,
        policy: &RemedyPolicy,
        now: Timestamp,
    ) -> Result<Funding, StoreError> {
        self.write(|tx| {
            if let Some(before) = tx.get::<Funding>(&key::funding(FundingId::of(&request.order)))? {
                before.is_what(&request)?;
                return Ok(before);
            }
            let (funding, entry) = Funding::ask(&request, &latest(tx, LATELY_MAX)?, policy, now)?;
            audit::append(tx, &request.by, "reserve.ask", &funding.id.to_string(), now)?;
            tx.put(key::funding_at(funding.approval.asked_at, funding.id), &());
            keep(tx, &funding, entry.as_ref())?;
            Ok(funding)
        })
        .await
    }

    async fn decide_funding(
        &self,
        id: FundingId,
        approves: bool,
        by: &str,
        now: Timestamp,
    ) -> Result<Funding, StoreError> {
        self.write(|tx| {
            let before: Funding = tx.get(&key::funding(id))?.ok_or(FundingError::Unknown(id))?;
            let (funding, entry) = before.decide(approves, by, now)?;
            let action = if approves { "reserve.approve" } else { "reserve.reject" };
            audit::append(tx, by, action, &id.to_string(), now)?;
            keep(tx, &funding, entry.as_ref())?;
            Ok(funding)
        })
        .await
    }

    async fn fundings(&self, max: usize) -> Result<Vec<Funding>, StoreError> {
        latest(&self.read(), max)
    }
}

fn latest(tx: &Tx<'_>, max: usize) -> Result<Vec<Funding>, StoreError> {
    let ids = tx.latest(key::FUNDING_AT, max)?.into_iter().map(|(k, _)| FundingId::from_bytes(key::tail(&k)));
    ids.map(|id| tx.get(&key::funding(id))?.ok_or_else(|| damaged(&key::funding(id), "gone"))).collect()
}

fn keep(tx: &mut Tx<'_>, funding: &Funding, entry: Option<&Entry>) -> Result<(), StoreError> {
    tx.put(key::funding(funding.id), funding);
    entry.into_iter().try_for_each(|entry| ledger::post(tx, entry))
}
