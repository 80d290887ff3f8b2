//! Riders of another system, many at once.

use std::collections::BTreeSet;

use facegate_domain::Timestamp;
use facegate_domain::ids::RiderId;
use uuid::Uuid;

use super::error::Trouble;
use super::overview::{ENROLLED, RIDERS};
use super::riders::{PROFILE, add_face, keep_sealed};
use super::tx::Tx;
use super::values::{json, rider_of};
use crate::store::logged::Logged;
use crate::store::{Enrolled, Imported, Rider};

/// `sealed` holds the profile and the face of each.
pub(super) async fn all(
    tx: &mut Tx,
    riders: &[Imported],
    sealed: &[(Vec<u8>, Vec<u8>)],
    now: Timestamp,
) -> Result<u64, Trouble> {
    let ids: Vec<Uuid> = riders.iter().map(|imported| *imported.rider.as_uuid()).collect();
    let known: Vec<Uuid> =
        sqlx::query_scalar("SELECT id FROM core.rider WHERE id = ANY ($1)").bind(&ids).fetch_all(tx.sql()).await?;
    let mut known: BTreeSet<RiderId> = known.into_iter().map(rider_of).collect();
    let new: Vec<_> = riders.iter().zip(sealed).filter(|(imported, _)| known.insert(imported.rider)).collect();
    if new.is_empty() {
        return Ok(0);
    }
    for (imported, (profile, face)) in &new {
        keep_sealed(tx, PROFILE, imported.rider, profile).await?;
        add_face(tx, &imported.template, face).await?;
    }
    let put = |imported: &Imported| Logged::TemplatePut { template: imported.template.id, rider: imported.rider };
    let changes: Vec<Logged> = new.iter().map(|(imported, _)| put(imported)).collect();
    let last = tx.publish(&changes).await?;
    let first = last + 1 - changes.len() as u64;
    let bodies = (first..).zip(&new).map(|(feed_version, (imported, _))| {
        let face = Some(Enrolled { template: imported.template.id, feed_version, at: now });
        let consents = vec![imported.consent.clone()];
        json(&Rider { id: imported.rider, created_at: now, consents, face, erasure: None, withdrawal: None })
    });
    let bodies: Vec<String> = bodies.collect();
    let ids: Vec<Uuid> = new.iter().map(|(imported, _)| *imported.rider.as_uuid()).collect();
    sqlx::query("INSERT INTO core.rider (id, body) SELECT * FROM UNNEST($1::uuid[], $2::text[])")
        .bind(&ids)
        .bind(&bodies)
        .execute(tx.sql())
        .await?;
    let count = i64::try_from(new.len()).unwrap_or(i64::MAX);
    tx.count(RIDERS, count);
    tx.count(ENROLLED, count);
    Ok(new.len() as u64)
}
