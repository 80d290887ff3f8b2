//! Money given back, and disputes. Whoever changes what a charge may still give back holds the lock of its row.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::charge::{Advanced, Charge, RetryPolicy};
use facegate_domain::dispute::{Dispute, DisputeId, DisputeState};
use facegate_domain::ids::RiderId;
use facegate_domain::money::{Currency, Money};
use facegate_domain::remedy::{
    Measure, Moved, Remedy, RemedyError, RemedyEvent, RemedyId, RemedyPolicy, RemedyRequest, Returned,
};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::error::Trouble;
use super::tx::Tx;
use super::values::{at_most, charge_uuid, json, read};
use super::{PgStore, audit, charges, credits, ledger, notices, riders, transact};
use crate::store::{Chargeback, Credit, RemedyStore, StoreError};

#[async_trait]
impl RemedyStore for PgStore {
    async fn ask_remedy(
        &self,
        request: RemedyRequest,
        policy: &RemedyPolicy,
        now: Timestamp,
    ) -> Result<Remedy, StoreError> {
        transact!(self, tx => ask(&mut tx, &request, policy, now).await)
    }

    async fn decide_remedy(
        &self,
        id: RemedyId,
        approves: bool,
        by: &str,
        now: Timestamp,
    ) -> Result<Remedy, StoreError> {
        transact!(self, tx => decide(&mut tx, id, approves, by, now).await)
    }

    async fn advance_remedy(
        &self,
        id: RemedyId,
        event: RemedyEvent,
        now: Timestamp,
        retry: &RetryPolicy,
    ) -> Result<Moved, StoreError> {
        transact!(self, tx => advance(&mut tx, id, &event, now, retry).await)
    }

    async fn hurry_remedy(&self, id: RemedyId, now: Timestamp) -> Result<bool, StoreError> {
        transact!(self, tx => hurry(&mut tx, id, now).await)
    }

    async fn old_credits(
        &self,
        since: Timestamp,
        after: Option<(RiderId, Currency)>,
        max: usize,
    ) -> Result<Vec<(RiderId, Credit)>, StoreError> {
        credits::old(&self.pool, since, after, max).await
    }

    async fn pay_credit_out(
        &self,
        rider: RiderId,
        currency: Currency,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<Remedy>, StoreError> {
        transact!(self, tx => credits::pay_out(&mut tx, (rider, currency), since, now).await)
    }

    async fn remedy(&self, id: RemedyId) -> Result<Option<Remedy>, StoreError> {
        let body: Option<String> = sqlx::query_scalar("SELECT body FROM core.remedy WHERE id = $1")
            .bind(uuid_of(id))
            .fetch_optional(&self.pool)
            .await
            .map_err(Trouble::from)?;
        body.map(|body| read(id, &body)).transpose()
    }

    async fn due_remedies(&self, now: Timestamp, max: usize) -> Result<Vec<Remedy>, StoreError> {
        let bodies: Vec<String> = sqlx::query_scalar(
            "SELECT body FROM core.remedy WHERE under_way AND next_at <= $1 ORDER BY next_at, id LIMIT $2",
        )
        .bind(now.unix_ms())
        .bind(at_most(max))
        .fetch_all(&self.pool)
        .await
        .map_err(Trouble::from)?;
        bodies.iter().map(|body| read("a remedy", body)).collect()
    }

    async fn awaiting_remedies(&self, max: usize) -> Result<Vec<Remedy>, StoreError> {
        let bodies: Vec<String> =
            sqlx::query_scalar("SELECT body FROM core.remedy WHERE awaiting ORDER BY asked_at, id LIMIT $1")
                .bind(at_most(max))
                .fetch_all(&self.pool)
                .await
                .map_err(Trouble::from)?;
        bodies.iter().map(|body| read("a remedy", body)).collect()
    }

    async fn remedies_of(&self, rider: RiderId) -> Result<Vec<Remedy>, StoreError> {
        let bodies: Vec<String> =
            sqlx::query_scalar("SELECT body FROM core.remedy WHERE rider = $1 ORDER BY asked_at DESC, id DESC")
                .bind(rider.as_uuid())
                .fetch_all(&self.pool)
                .await
                .map_err(Trouble::from)?;
        bodies.iter().map(|body| read("a remedy", body)).collect()
    }

    async fn open_dispute(&self, chargeback: &Chargeback, now: Timestamp) -> Result<Dispute, StoreError> {
        transact!(self, tx => open_dispute(&mut tx, chargeback, now).await)
    }

    async fn close_dispute(&self, id: DisputeId, state: DisputeState, now: Timestamp) -> Result<Dispute, StoreError> {
        transact!(self, tx => close_dispute(&mut tx, id, state, now).await)
    }

    async fn open_disputes(&self, max: usize) -> Result<Vec<Dispute>, StoreError> {
        let bodies: Vec<String> =
            sqlx::query_scalar("SELECT body FROM core.dispute WHERE open ORDER BY opened_at, id LIMIT $1")
                .bind(at_most(max))
                .fetch_all(&self.pool)
                .await
                .map_err(Trouble::from)?;
        bodies.iter().map(|body| read("a dispute", body)).collect()
    }

    async fn disputes_of(&self, rider: RiderId) -> Result<Vec<Dispute>, StoreError> {
        let bodies: Vec<String> =
            sqlx::query_scalar("SELECT body FROM core.dispute WHERE rider = $1 ORDER BY opened_at, id")
                .bind(rider.as_uuid())
                .fetch_all(&self.pool)
                .await
                .map_err(Trouble::from)?;
        bodies.iter().map(|body| read("a dispute", body)).collect()
    }
}

fn uuid_of(id: RemedyId) -> Uuid {
    Uuid::from_bytes(*id.as_bytes())
}

fn dispute_uuid(id: DisputeId) -> Uuid {
    Uuid::from_bytes(*id.as_bytes())
}

async fn ask(tx: &mut Tx, request: &RemedyRequest, policy: &RemedyPolicy, now: Timestamp) -> Result<Remedy, Trouble> {
    let id = RemedyId::of(request.rider, &request.order);
    riders::locked(tx, request.rider).await?.ok_or(StoreError::UnknownRider(request.rider))?;
    let charge = match request.measure.charge() {
        Some(id) => Some(charges::stored(tx, id).await?),
        None => None,
    };
    // Whoever asks twice at once waits for the other at the rider's row.
    if let Some(before) = locked(tx, id).await? {
        before.is_what(request)?;
        return Ok(before);
    }
    let returned = match &charge {
        Some(charge) => Some(returned(tx.sql(), charge).await?),
        None => None,
    };
    let moved = Remedy::ask(request, charge.as_ref().zip(returned), policy, now)?;
    keep(tx, None, &moved, now).await?;
    audit::append(tx, &request.by, "remedy.ask", &id.to_string(), now).await?;
    Ok(moved.remedy)
}

async fn decide(tx: &mut Tx, id: RemedyId, approves: bool, by: &str, now: Timestamp) -> Result<Remedy, Trouble> {
    let before = locked(tx, id).await?.ok_or(StoreError::UnknownRemedy(id))?;
    let moved = before.decide(approves, by, now)?;
    keep(tx, Some(&before), &moved, now).await?;
    let action = if approves { "remedy.approve" } else { "remedy.reject" };
    audit::append(tx, by, action, &id.to_string(), now).await?;
    Ok(moved.remedy)
}

async fn advance(
    tx: &mut Tx,
    id: RemedyId,
    event: &RemedyEvent,
    now: Timestamp,
    retry: &RetryPolicy,
) -> Result<Moved, Trouble> {
    let before = locked(tx, id).await?.ok_or(StoreError::UnknownRemedy(id))?;
    let moved = before.apply(event, now, retry)?;
    keep(tx, Some(&before), &moved, now).await?;
    Ok(moved)
}

async fn hurry(tx: &mut Tx, id: RemedyId, now: Timestamp) -> Result<bool, Trouble> {
    let before = locked(tx, id).await?.ok_or(StoreError::UnknownRemedy(id))?;
    let Some(remedy) = before.hurried(now) else { return Ok(false) };
    keep(tx, Some(&before), &Moved { remedy, entry: None, call: None }, now).await?;
    Ok(true)
}

pub(super) async fn locked(tx: &mut Tx, id: RemedyId) -> Result<Option<Remedy>, Trouble> {
    let body: Option<String> = sqlx::query_scalar("SELECT body FROM core.remedy WHERE id = $1 FOR UPDATE")
        .bind(uuid_of(id))
        .fetch_optional(tx.sql())
        .await?;
    Ok(body.map(|body| read(id, &body)).transpose()?)
}

/// What came of the charge since.
pub(super) async fn returned(sql: &mut PgConnection, charge: &Charge) -> Result<Returned, Trouble> {
    let (id, currency) = (charge_uuid(charge.id()), charge.amount().currency());
    let remedies: Vec<String> =
        sqlx::query_scalar("SELECT body FROM core.remedy WHERE charge = $1").bind(id).fetch_all(&mut *sql).await?;
    let disputes: Vec<String> =
        sqlx::query_scalar("SELECT body FROM core.dispute WHERE charge = $1").bind(id).fetch_all(&mut *sql).await?;
    let remedies = remedies.iter().map(|body| read("a remedy", body)).collect::<Result<Vec<Remedy>, _>>()?;
    let disputes = disputes.iter().map(|body| read("a dispute", body)).collect::<Result<Vec<Dispute>, _>>()?;
    Ok(Returned {
        refunded: sum(currency, remedies.iter().filter(|remedy| remedy.counts()).map(Remedy::amount))?,
        disputed: sum(currency, disputes.iter().filter(|dispute| dispute.counts()).map(|dispute| dispute.amount))?,
    })
}

fn sum(currency: Currency, amounts: impl Iterator<Item = Money>) -> Result<Money, Trouble> {
    Ok(Money::checked_sum(currency, amounts).map_err(RemedyError::from)?)
}

pub(super) async fn keep(tx: &mut Tx, before: Option<&Remedy>, moved: &Moved, now: Timestamp) -> Result<(), Trouble> {
    let remedy = &moved.remedy;
    sqlx::query(
        "INSERT INTO core.remedy (id, rider, charge, asked_at, next_at, under_way, awaiting, body, refunded_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO UPDATE SET next_at = excluded.next_at,
            under_way = excluded.under_way, awaiting = excluded.awaiting, body = excluded.body,
            refunded_at = excluded.refunded_at",
    )
    .bind(uuid_of(remedy.id()))
    .bind(remedy.rider().as_uuid())
    .bind(remedy.measure().charge().map(charge_uuid))
    .bind(remedy.asked_at().unix_ms())
    .bind(remedy.next_at().unix_ms())
    .bind(remedy.state().is_under_way())
    .bind(remedy.awaits_approval())
    .bind(json(remedy))
    .bind(remedy.refunded_through(moved.entry.as_ref()).map(Timestamp::unix_ms))
    .execute(tx.sql())
    .await?;
    if let Some(told) = remedy.told() {
        notices::tell(tx, remedy.rider(), now, told).await?;
    }
    if let Some(entry) = &moved.entry {
        ledger::post(tx, entry).await?;
        if let Measure::Waiver { charge } = remedy.measure() {
            charges::waive(tx, charge, now).await?;
        }
    }
    let change = remedy.credit_change(before)?;
    if !change.is_zero() {
        riders::locked(tx, remedy.rider()).await?;
        charges::add_credit(tx, remedy.rider(), change, now).await?;
    }
    Ok(())
}

async fn open_dispute(tx: &mut Tx, chargeback: &Chargeback, now: Timestamp) -> Result<Dispute, Trouble> {
    let charge = charges::stored(tx, chargeback.charge).await?;
    if let Some(before) = locked_dispute(tx, DisputeId::of(charge.id(), &chargeback.reference)).await? {
        before.is_of(chargeback.amount)?;
        return Ok(before);
    }
    let (dispute, entry) = Dispute::open(&charge, &chargeback.reference, chargeback.amount, now)?;
    sqlx::query(
        "INSERT INTO core.dispute (id, charge, rider, opened_at, open, body) VALUES ($1, $2, $3, $4, true, $5)",
    )
    .bind(dispute_uuid(dispute.id))
    .bind(charge_uuid(dispute.charge))
    .bind(dispute.rider.as_uuid())
    .bind(now.unix_ms())
    .bind(json(&dispute))
    .execute(tx.sql())
    .await?;
    ledger::post(tx, &entry).await?;
    Ok(dispute)
}

async fn close_dispute(tx: &mut Tx, id: DisputeId, state: DisputeState, now: Timestamp) -> Result<Dispute, Trouble> {
    let before = locked_dispute(tx, id).await?.ok_or(StoreError::UnknownDispute(id))?;
    let Some((dispute, entry)) = before.close(state, now)? else { return Ok(before) };
    sqlx::query("UPDATE core.dispute SET open = false, body = $2 WHERE id = $1")
        .bind(dispute_uuid(id))
        .bind(json(&dispute))
        .execute(tx.sql())
        .await?;
    ledger::post(tx, &entry).await?;
    if let Some(charge) = dispute.debt(&charges::stored(tx, dispute.charge).await?) {
        charges::open(tx, &Advanced { charge, entry: None, call: None }).await?;
    }
    Ok(dispute)
}

async fn locked_dispute(tx: &mut Tx, id: DisputeId) -> Result<Option<Dispute>, Trouble> {
    let body: Option<String> = sqlx::query_scalar("SELECT body FROM core.dispute WHERE id = $1 FOR UPDATE")
        .bind(dispute_uuid(id))
        .fetch_optional(tx.sql())
        .await?;
    Ok(body.map(|body| read(id, &body)).transpose()?)
}
