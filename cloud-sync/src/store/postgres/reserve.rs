//! What is set aside for charges that were wrong. Whoever adds to it does so alone, so that what counts together does.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::ledger::Entry;
use facegate_domain::remedy::RemedyPolicy;
use facegate_domain::reserve::{Funding, FundingError, FundingId, FundingRequest};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::error::Trouble;
use super::tx::Tx;
use super::values::{at_most, json, read};
use super::{PgStore, audit, ledger, transact};
use crate::store::reserve::LATELY_MAX;
use crate::store::{ReserveStore, StoreError};

#[async_trait]
impl ReserveStore for PgStore {
    async fn ask_funding(
        &self,
        request: FundingRequest,
        policy: &RemedyPolicy,
        now: Timestamp,
    ) -> Result<Funding, StoreError> {
        transact!(self, tx => ask(&mut tx, &request, policy, now).await)
    }

    async fn decide_funding(
        &self,
        id: FundingId,
        approves: bool,
        by: &str,
        now: Timestamp,
    ) -> Result<Funding, StoreError> {
        transact!(self, tx => decide(&mut tx, id, approves, by, now).await)
    }

    async fn fundings(&self, max: usize) -> Result<Vec<Funding>, StoreError> {
        let mut connection = self.pool.acquire().await.map_err(Trouble::from)?;
        Ok(latest(&mut connection, max).await?)
    }
}

async fn alone(tx: &mut Tx) -> Result<(), Trouble> {
    sqlx::query("SELECT sole FROM core.funding_turn FOR UPDATE").execute(tx.sql()).await?;
    Ok(())
}

async fn latest(sql: &mut PgConnection, max: usize) -> Result<Vec<Funding>, Trouble> {
    let bodies: Vec<String> = sqlx::query_scalar("SELECT body FROM core.funding ORDER BY asked_at DESC, id LIMIT $1")
        .bind(at_most(max))
        .fetch_all(sql)
        .await?;
    Ok(bodies.iter().map(|body| read("a funding", body)).collect::<Result<_, StoreError>>()?)
}

async fn find(tx: &mut Tx, id: FundingId) -> Result<Option<Funding>, Trouble> {
    let body: Option<String> = sqlx::query_scalar("SELECT body FROM core.funding WHERE id = $1")
        .bind(Uuid::from_bytes(*id.as_bytes()))
        .fetch_optional(tx.sql())
        .await?;
    Ok(body.map(|body| read(id, &body)).transpose()?)
}

async fn ask(tx: &mut Tx, request: &FundingRequest, policy: &RemedyPolicy, now: Timestamp) -> Result<Funding, Trouble> {
    alone(tx).await?;
    if let Some(before) = find(tx, FundingId::of(&request.order)).await? {
        before.is_what(request).map_err(StoreError::from)?;
        return Ok(before);
    }
    let lately = latest(tx.sql(), LATELY_MAX).await?;
    let (funding, entry) = Funding::ask(request, &lately, policy, now).map_err(StoreError::from)?;
    keep(tx, &funding, entry.as_ref()).await?;
    audit::append(tx, &request.by, "reserve.ask", &funding.id.to_string(), now).await?;
    Ok(funding)
}

async fn decide(tx: &mut Tx, id: FundingId, approves: bool, by: &str, now: Timestamp) -> Result<Funding, Trouble> {
    alone(tx).await?;
    let before = find(tx, id).await?.ok_or(StoreError::Funding(FundingError::Unknown(id)))?;
    let (funding, entry) = before.decide(approves, by, now).map_err(StoreError::from)?;
    keep(tx, &funding, entry.as_ref()).await?;
    let action = if approves { "reserve.approve" } else { "reserve.reject" };
    audit::append(tx, by, action, &id.to_string(), now).await?;
    Ok(funding)
}

async fn keep(tx: &mut Tx, funding: &Funding, entry: Option<&Entry>) -> Result<(), Trouble> {
    sqlx::query(
        "INSERT INTO core.funding (id, asked_at, body) VALUES ($1, $2, $3)
         ON CONFLICT (id) DO UPDATE SET body = excluded.body",
    )
    .bind(Uuid::from_bytes(*funding.id.as_bytes()))
    .bind(funding.approval.asked_at.unix_ms())
    .bind(json(funding))
    .execute(tx.sql())
    .await?;
    if let Some(entry) = entry {
        ledger::post(tx, entry).await?;
    }
    Ok(())
}
