//! What is waived, and what people asked to be. Whoever asks holds the lock of the tariff, so that what counts together
//! does.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::remedy::RemedyPolicy;
use facegate_domain::waiving::{ProposedWaiver, WaiverReach, WaiverRequest, WaivingError};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::error::Trouble;
use super::terms::tariff_changes;
use super::tx::Tx;
use super::values::{at_most, json, read};
use super::{PgStore, audit, transact};
use crate::store::waivers::{WAIVERS_LATELY_MAX, audited};
use crate::store::{KeptWaiver, StoreError, WaiverStore};

#[async_trait]
impl WaiverStore for PgStore {
    async fn waivers(&self) -> Result<Vec<KeptWaiver>, StoreError> {
        let bodies: Vec<String> = sqlx::query_scalar("SELECT body FROM core.waiver ORDER BY id")
            .fetch_all(&self.pool)
            .await
            .map_err(Trouble::from)?;
        bodies.iter().map(|body| read("a waiver", body)).collect()
    }

    async fn add_waiver(&self, waiver: KeptWaiver) -> Result<bool, StoreError> {
        transact!(self, tx => add(&mut tx, &waiver).await)
    }

    async fn change_waiver(&self, before: &KeptWaiver, after: KeptWaiver) -> Result<bool, StoreError> {
        transact!(self, tx => change(&mut tx, before, &after).await)
    }

    async fn propose_waiver(
        &self,
        request: WaiverRequest,
        policy: &RemedyPolicy,
        now: Timestamp,
    ) -> Result<ProposedWaiver, StoreError> {
        transact!(self, tx => propose(&mut tx, &request, policy, now).await)
    }

    async fn decide_waiver(
        &self,
        id: Uuid,
        approves: bool,
        by: &str,
        now: Timestamp,
    ) -> Result<ProposedWaiver, StoreError> {
        transact!(self, tx => decide(&mut tx, id, approves, by, now).await)
    }

    async fn show_waiver(&self, id: Uuid, reach: WaiverReach) -> Result<(), StoreError> {
        transact!(self, tx => show(&mut tx, id, reach).await)
    }

    async fn proposed_waiver(&self, id: Uuid) -> Result<Option<ProposedWaiver>, StoreError> {
        let mut connection = self.pool.acquire().await.map_err(Trouble::from)?;
        Ok(find(&mut connection, id).await?)
    }

    async fn awaiting_waivers(&self, max: usize) -> Result<Vec<ProposedWaiver>, StoreError> {
        let bodies: Vec<String> =
            sqlx::query_scalar("SELECT body FROM core.proposed_waiver WHERE awaiting ORDER BY asked_at, id LIMIT $1")
                .bind(at_most(max))
                .fetch_all(&self.pool)
                .await
                .map_err(Trouble::from)?;
        bodies.iter().map(|body| read("a proposed waiver", body)).collect()
    }

    async fn latest_waivers(&self, max: usize) -> Result<Vec<ProposedWaiver>, StoreError> {
        let mut connection = self.pool.acquire().await.map_err(Trouble::from)?;
        Ok(latest(&mut connection, max).await?)
    }
}

async fn add(tx: &mut Tx, waiver: &KeptWaiver) -> Result<bool, Trouble> {
    let added = sqlx::query("INSERT INTO core.waiver (id, body) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING")
        .bind(waiver.id)
        .bind(json(waiver))
        .execute(tx.sql())
        .await?;
    let is_new = added.rows_affected() == 1;
    if is_new {
        tariff_changes(tx).await?;
    }
    Ok(is_new)
}

async fn change(tx: &mut Tx, before: &KeptWaiver, after: &KeptWaiver) -> Result<bool, Trouble> {
    let body: Option<String> = sqlx::query_scalar("SELECT body FROM core.waiver WHERE id = $1 FOR UPDATE")
        .bind(before.id)
        .fetch_optional(tx.sql())
        .await?;
    // As values: a text of another version may order its fields otherwise.
    let kept: Option<KeptWaiver> = body.map(|body| read("a waiver", &body)).transpose()?;
    if kept.as_ref() != Some(before) {
        return Ok(false);
    }
    sqlx::query("UPDATE core.waiver SET body = $2 WHERE id = $1")
        .bind(before.id)
        .bind(json(after))
        .execute(tx.sql())
        .await?;
    if before.waiver != after.waiver {
        tariff_changes(tx).await?;
    }
    Ok(true)
}

async fn alone(tx: &mut Tx) -> Result<(), Trouble> {
    sqlx::query("SELECT alone FROM core.tariff FOR UPDATE").execute(tx.sql()).await?;
    Ok(())
}

async fn propose(
    tx: &mut Tx,
    request: &WaiverRequest,
    policy: &RemedyPolicy,
    now: Timestamp,
) -> Result<ProposedWaiver, Trouble> {
    alone(tx).await?;
    if let Some(before) = find(tx.sql(), request.id).await? {
        before.is_what(request).map_err(StoreError::from)?;
        return Ok(before);
    }
    let lately = latest(tx.sql(), WAIVERS_LATELY_MAX).await?;
    let proposed = ProposedWaiver::ask(request.clone(), &lately, policy, now).map_err(StoreError::from)?;
    keep(tx, &proposed).await?;
    audit::append(tx, &request.by, "fares.waive", &audited(&proposed), now).await?;
    Ok(proposed)
}

async fn decide(tx: &mut Tx, id: Uuid, approves: bool, by: &str, now: Timestamp) -> Result<ProposedWaiver, Trouble> {
    alone(tx).await?;
    let before = find(tx.sql(), id).await?.ok_or(StoreError::Waiving(WaivingError::Unknown(id)))?;
    let decided = before.decide(approves, by).map_err(StoreError::from)?;
    keep(tx, &decided).await?;
    let action = if approves { "fares.approve-waiver" } else { "fares.reject-waiver" };
    audit::append(tx, by, action, &audited(&decided), now).await?;
    Ok(decided)
}

async fn show(tx: &mut Tx, id: Uuid, reach: WaiverReach) -> Result<(), Trouble> {
    alone(tx).await?;
    let before = find(tx.sql(), id).await?.ok_or(StoreError::Waiving(WaivingError::Unknown(id)))?;
    if before.approval.waits() {
        keep(tx, &ProposedWaiver { reach, ..before }).await?;
    }
    Ok(())
}

async fn find(sql: &mut PgConnection, id: Uuid) -> Result<Option<ProposedWaiver>, Trouble> {
    let body: Option<String> =
        sqlx::query_scalar("SELECT body FROM core.proposed_waiver WHERE id = $1").bind(id).fetch_optional(sql).await?;
    Ok(body.map(|body| read("a proposed waiver", &body)).transpose()?)
}

async fn latest(sql: &mut PgConnection, max: usize) -> Result<Vec<ProposedWaiver>, Trouble> {
    let bodies: Vec<String> =
        sqlx::query_scalar("SELECT body FROM core.proposed_waiver ORDER BY asked_at DESC, id LIMIT $1")
            .bind(at_most(max))
            .fetch_all(sql)
            .await?;
    Ok(bodies.iter().map(|body| read("a proposed waiver", body)).collect::<Result<_, StoreError>>()?)
}

async fn keep(tx: &mut Tx, proposed: &ProposedWaiver) -> Result<(), Trouble> {
    sqlx::query(
        "INSERT INTO core.proposed_waiver (id, asked_at, awaiting, body) VALUES ($1, $2, $3, $4)
         ON CONFLICT (id) DO UPDATE SET awaiting = excluded.awaiting, body = excluded.body",
    )
    .bind(proposed.id)
    .bind(proposed.approval.asked_at.unix_ms())
    .bind(proposed.approval.waits())
    .bind(json(proposed))
    .execute(tx.sql())
    .await?;
    if proposed.approval.is_done() {
        add(tx, &KeptWaiver::of(proposed)).await?;
    }
    Ok(())
}
