//! Forgetting a rider: the feed's mention of the face goes in the same transaction that tells stations to forget it.

use std::collections::BTreeSet;

use facegate_domain::Timestamp;
use facegate_domain::ids::{ModelId, RiderId, StationId, TemplateId};
use sqlx::postgres::PgPool;
use uuid::Uuid;

use super::error::Trouble;
use super::overview::{ENROLLED, RIDERS};
use super::tx::Tx;
use super::values::{at_most, damaged, json, read};
use super::{digest, habits, notices, place, riders, stations};
use crate::store::logged::Logged;
use crate::store::{Consent, ErasureId, ErasureReceipt, ErasureScope, Purpose, Rider, StoreError};

fn uuid_of(id: ErasureId) -> Uuid {
    Uuid::from_bytes(*id.as_bytes())
}

pub(super) async fn erase(
    tx: &mut Tx,
    erasure: ErasureId,
    id: RiderId,
    now: Timestamp,
) -> Result<ErasureReceipt, Trouble> {
    let rider = riders::locked(tx, id).await?.ok_or(StoreError::UnknownRider(id))?;
    if let Some(erasure) = rider.erasure {
        return Ok(receipt(tx, erasure).await?.ok_or_else(|| damaged(erasure, "gone"))?);
    }
    for forgotten in [
        "DELETE FROM identity.sealed WHERE rider = $1 AND kind <> 'account'",
        "DELETE FROM core.face_capped WHERE rider = $1",
        "INSERT INTO core.leaving (rider) VALUES ($1) ON CONFLICT DO NOTHING",
    ] {
        sqlx::query(forgotten).bind(id.as_uuid()).execute(tx.sql()).await?;
    }
    place::erase(tx, id).await?;
    notices::close(tx, id).await?;
    let receipt = forget_face(tx, &rider, erasure, ErasureScope::Rider, now).await?;
    let remains = Rider { consents: Vec::new(), face: None, erasure: Some(receipt.id), withdrawal: None, ..rider };
    riders::keep(tx, &remains).await?;
    tx.count(RIDERS, -1);
    Ok(receipt)
}

/// The same of the face alone.
pub(super) async fn withdraw(
    tx: &mut Tx,
    erasure: ErasureId,
    id: RiderId,
    consents_until: Timestamp,
    now: Timestamp,
) -> Result<ErasureReceipt, Trouble> {
    // The lock first: whoever asks twice at once gets one receipt.
    riders::locked(tx, id).await?;
    if let Some(receipt) = receipt(tx, erasure).await? {
        return Ok(receipt);
    }
    let rider = riders::living(tx, id).await?;
    place::withdraw(tx, id, now).await?;
    let receipt = forget_face(tx, &rider, erasure, ErasureScope::Face, now).await?;
    let withdrawn = |c: &Consent| c.purpose == Purpose::Recognition && c.given_at <= consents_until;
    let consents = rider.consents.iter().filter(|consent| !withdrawn(consent)).cloned().collect();
    riders::keep(tx, &Rider { consents, face: None, withdrawal: Some(receipt.id), ..rider }).await?;
    Ok(receipt)
}

/// Takes the face, what the feed says of it, and every membership of a tier; tells stations in the same transaction.
async fn forget_face(
    tx: &mut Tx,
    rider: &Rider,
    erasure: ErasureId,
    scope: ErasureScope,
    now: Timestamp,
) -> Result<ErasureReceipt, Trouble> {
    let id = rider.id;
    sqlx::query("DELETE FROM faces.face WHERE template IN (SELECT template FROM core.face WHERE rider = $1)")
        .bind(id.as_uuid())
        .execute(tx.sql())
        .await?;
    let faces: Vec<(Uuid, String, i64)> =
        sqlx::query_as("DELETE FROM core.face WHERE rider = $1 RETURNING template, model, content")
            .bind(id.as_uuid())
            .fetch_all(tx.sql())
            .await?;
    for (template, model, content) in faces {
        let model = ModelId::new(model).map_err(|error| damaged(id, error))?;
        let content = u32::try_from(content).map_err(|error| damaged(id, error))?;
        digest::toggle_face(tx, TemplateId::from_uuid(template), id, model, content);
    }
    if let Some(face) = &rider.face {
        let version = at_most(face.feed_version);
        sqlx::query("DELETE FROM core.change WHERE version = $1").bind(version).execute(tx.sql()).await?;
        tx.count(ENROLLED, -1);
    }
    let feed_version = tx.publish(&[Logged::RiderRemoved { rider: id }]).await?;
    // Looked at last: no station can join and no regulars can be set between here and the commit.
    habits::forget(tx, id).await?;
    let outstanding = stations(tx, now).await?;
    let templates = rider.face.iter().map(|face| face.template).collect();
    let receipt =
        ErasureReceipt { id: erasure, rider: id, scope, templates, requested_at: now, feed_version, outstanding };
    sqlx::query("INSERT INTO core.erasure (id, final, body) VALUES ($1, $2, $3)")
        .bind(uuid_of(receipt.id))
        .bind(receipt.is_final())
        .bind(json(&receipt))
        .execute(tx.sql())
        .await?;
    Ok(receipt)
}

/// Those that may know faces.
async fn stations(tx: &mut Tx, now: Timestamp) -> Result<BTreeSet<StationId>, Trouble> {
    let leases = stations::leases(tx).await?;
    Ok(leases.into_iter().filter(|(_, lease)| !lease.is_over(now)).map(|(station, _)| station).collect())
}

pub(super) async fn receipt(tx: &mut Tx, id: ErasureId) -> Result<Option<ErasureReceipt>, Trouble> {
    let body: Option<String> = sqlx::query_scalar("SELECT body FROM core.erasure WHERE id = $1")
        .bind(uuid_of(id))
        .fetch_optional(tx.sql())
        .await?;
    Ok(body.map(|body| read(id, &body)).transpose()?)
}

/// At most `max` in the order of their ids, after `after`.
pub(super) async fn receipts(
    pool: &PgPool,
    after: Option<ErasureId>,
    max: usize,
) -> Result<Vec<ErasureReceipt>, Trouble> {
    let bodies: Vec<String> =
        sqlx::query_scalar("SELECT body FROM core.erasure WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2")
            .bind(after.map(uuid_of))
            .bind(at_most(max))
            .fetch_all(pool)
            .await?;
    Ok(bodies.iter().map(|body| read("an erasure", body)).collect::<Result<_, StoreError>>()?)
}

/// Removes the accounts of riders who were erased before that moment and on which nothing is owed; gives their number.
pub(super) async fn forget_accounts(tx: &mut Tx, erased_before: Timestamp) -> Result<usize, Trouble> {
    let leaving: Vec<(Uuid, String)> =
        sqlx::query_as("SELECT rider, body FROM core.leaving JOIN core.rider ON rider.id = leaving.rider")
            .fetch_all(tx.sql())
            .await?;
    let mut forgotten = 0;
    for (rider, body) in leaving {
        let rider: Rider = read(rider, &body)?;
        let Some(erasure) = rider.erasure else { continue };
        if receipt(tx, erasure).await?.is_none_or(|receipt| receipt.requested_at < erased_before) {
            forgotten += usize::from(forget_account_if_settled(tx, rider.id).await?);
        }
    }
    Ok(forgotten)
}

/// Removes the account of an erased rider once no tap waits for its ride and no item for its charge. A charge that is
/// under way carries what it needs itself.
async fn forget_account_if_settled(tx: &mut Tx, rider: RiderId) -> Result<bool, Trouble> {
    let settled = sqlx::query(
        "DELETE FROM core.leaving WHERE rider = $1
            AND NOT EXISTS (SELECT 1 FROM core.open_tap WHERE rider = $1)
            AND NOT EXISTS (SELECT 1 FROM core.item WHERE rider = $1 AND charge IS NULL)",
    )
    .bind(rider.as_uuid())
    .execute(tx.sql())
    .await?;
    if settled.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query("DELETE FROM identity.sealed WHERE rider = $1").bind(rider.as_uuid()).execute(tx.sql()).await?;
    sqlx::query("DELETE FROM core.terms WHERE rider = $1").bind(rider.as_uuid()).execute(tx.sql()).await?;
    Ok(true)
}

/// A station has applied the feed up to `version`: it has forgotten whoever was removed up to there.
pub(super) async fn confirm(tx: &mut Tx, station: &StationId, version: u64) -> Result<(), Trouble> {
    take_out(tx, |receipt| receipt.feed_version <= version && receipt.outstanding.remove(station)).await.map(drop)
}

/// Stations that know no face any more, nor ever will, keep no receipt open. Gives how many are final by that.
pub(super) async fn release(tx: &mut Tx, now: Timestamp) -> Result<usize, Trouble> {
    let leases = stations::leases(tx).await?;
    let over: BTreeSet<_> = leases.into_iter().filter(|(_, l)| l.is_over(now)).map(|(station, _)| station).collect();
    if over.is_empty() {
        return Ok(0);
    }
    take_out(tx, |receipt| {
        let before = receipt.outstanding.len();
        receipt.outstanding.retain(|station| !over.contains(station));
        receipt.outstanding.len() < before
    })
    .await
}

/// Stores the open receipts that `change` says it changed; gives how many are final by that.
async fn take_out(tx: &mut Tx, mut change: impl FnMut(&mut ErasureReceipt) -> bool) -> Result<usize, Trouble> {
    let open: Vec<String> = sqlx::query_scalar("SELECT body FROM core.erasure WHERE NOT final ORDER BY id FOR UPDATE")
        .fetch_all(tx.sql())
        .await?;
    let mut finished = 0;
    for body in open {
        let mut receipt: ErasureReceipt = read("an erasure", &body)?;
        if change(&mut receipt) {
            finished += usize::from(receipt.is_final());
            sqlx::query("UPDATE core.erasure SET final = $2, body = $3 WHERE id = $1")
                .bind(uuid_of(receipt.id))
                .bind(receipt.is_final())
                .bind(json(&receipt))
                .execute(tx.sql())
                .await?;
        }
    }
    Ok(finished)
}
