//! The change feed. `tx` appends to it.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::code::IssuerKey;
use facegate_domain::deny::DenyReason;
use facegate_domain::face::Template;
use facegate_domain::ids::{RiderId, TemplateId};
use facegate_proto::convert::sync::VersionedChange;
use sqlx::postgres::{PgConnection, PgPool};
use tokio::sync::watch;
use uuid::Uuid;

use super::error::Trouble;
use super::tx::Tx;
use super::values::{at_most, damaged, from_number, json, read};
use super::{PgStore, transact};
use crate::store::logged::Logged;
use crate::store::{FeedStore, OutOfReach, SnapshotPage, StoreError};

/// The last version.
pub(super) async fn head(pool: &PgPool) -> Result<u64, sqlx::Error> {
    let version: i64 = sqlx::query_scalar("SELECT version FROM core.feed_head").fetch_one(pool).await?;
    Ok(from_number(version))
}

/// The version of a face that was put on the log after version `seen`.
pub(super) async fn face_after(tx: &mut Tx, seen: u64) -> Result<Option<u64>, Trouble> {
    let version: Option<i64> = sqlx::query_scalar(
        "SELECT version FROM core.change WHERE version > $1 AND body LIKE '{\"kind\":\"template_put\"%' LIMIT 1",
    )
    .bind(at_most(seen))
    .fetch_optional(tx.sql())
    .await?;
    Ok(version.map(from_number))
}

#[async_trait]
impl FeedStore for PgStore {
    fn head(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    fn log_id(&self) -> [u8; 16] {
        self.log_id
    }

    async fn changes_after(
        &self,
        cursor: u64,
        max: usize,
    ) -> Result<Result<(Vec<VersionedChange>, u64), OutOfReach>, StoreError> {
        // One statement, hence one moment: all changes up to the head that it sees.
        let rows: Vec<(i64, i64, Option<i64>, Option<String>)> = sqlx::query_as(
            "SELECT h.version, h.gone, c.version, c.body FROM core.feed_head h
             LEFT JOIN (SELECT version, body FROM core.change WHERE version > $1 ORDER BY version LIMIT $2) c ON true
             ORDER BY c.version",
        )
        .bind(at_most(cursor))
        .bind(at_most(max))
        .fetch_all(&self.pool)
        .await
        .map_err(Trouble::from)?;
        let (head, gone) = rows.first().map_or((0, 0), |(head, gone, ..)| (from_number(*head), from_number(*gone)));
        if cursor > head {
            return Ok(Err(OutOfReach::BeyondHead { cursor, head }));
        }
        if cursor < gone {
            return Ok(Err(OutOfReach::Compacted { cursor, first: gone }));
        }
        let mut found = Vec::with_capacity(rows.len());
        for (_, _, version, body) in rows {
            if let (Some(version), Some(body)) = (version, body) {
                found.push((from_number(version), read::<Logged>(format_args!("change {version}"), &body)?));
            }
        }
        let reached = if found.len() < max { head } else { found.last().map_or(cursor, |(version, _)| *version) };
        Ok(Ok((self.resolve(found).await?, reached)))
    }

    async fn snapshot_page(
        &self,
        from: Option<Vec<u8>>,
        max: usize,
        codes_since: Timestamp,
    ) -> Result<SnapshotPage, StoreError> {
        self.page(from, max, codes_since).await
    }

    async fn publish_issuer_keys(&self, keys: Vec<IssuerKey>) -> Result<(), StoreError> {
        let keys: Vec<[u8; 32]> = keys.iter().map(IssuerKey::to_bytes).collect();
        transact!(self, tx => publish_keys(&mut tx, &keys).await)
    }

    async fn restart_feed(&self, now: Timestamp) -> Result<u64, StoreError> {
        transact!(self, tx => tx.restart_feed(now).await)
    }

    async fn deny(&self, rider: RiderId, reason: DenyReason, denied: bool) -> Result<bool, StoreError> {
        transact!(self, tx => deny(&mut tx, rider, reason, denied).await)
    }

    async fn denied_for(&self, rider: RiderId) -> Result<BTreeSet<DenyReason>, StoreError> {
        let mut connection = self.pool.acquire().await.map_err(Trouble::from)?;
        Ok(reasons(&mut connection, rider).await?)
    }

    async fn is_denied(&self, rider: RiderId) -> Result<bool, StoreError> {
        let denied: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM core.denied WHERE rider = $1)")
            .bind(rider.as_uuid())
            .fetch_one(&self.pool)
            .await
            .map_err(Trouble::from)?;
        Ok(denied)
    }
}

impl PgStore {
    async fn resolve(&self, logged: Vec<(u64, Logged)>) -> Result<Vec<VersionedChange>, StoreError> {
        let faces: Vec<Uuid> = logged
            .iter()
            .filter_map(|(_, logged)| match logged {
                Logged::TemplatePut { template, .. } => Some(*template.as_uuid()),
                _ => None,
            })
            .collect();
        let mut faces = self.faces_of(&faces).await?;
        let mut changes = Vec::with_capacity(logged.len());
        for (version, logged) in logged {
            let change = logged.resolve(|template| Ok(faces.remove(&template)))?;
            changes.extend(change.map(|change| VersionedChange { version, change }));
        }
        Ok(changes)
    }

    async fn faces_of(&self, templates: &[Uuid]) -> Result<HashMap<TemplateId, Template>, StoreError> {
        if templates.is_empty() {
            return Ok(HashMap::new());
        }
        let rows: Vec<(Uuid, Uuid, Vec<u8>)> = sqlx::query_as(
            "SELECT f.template, f.rider, s.sealed FROM core.face f JOIN faces.face s ON s.template = f.template
             WHERE f.template = ANY ($1)",
        )
        .bind(templates)
        .fetch_all(&self.pool)
        .await
        .map_err(Trouble::from)?;
        let opened = rows.iter().map(|(template, rider, sealed)| self.open_face(*template, *rider, sealed));
        opened.map(|face| face.map(|face| (face.id, face))).collect()
    }
}

async fn publish_keys(tx: &mut Tx, keys: &[[u8; 32]]) -> Result<(), Trouble> {
    tx.alone_at_the_feed().await?;
    let published: Option<String> =
        sqlx::query_scalar("SELECT body FROM core.issuer_keys").fetch_optional(tx.sql()).await?;
    let body = json(&keys);
    if published.as_ref() != Some(&body) {
        sqlx::query(
            "INSERT INTO core.issuer_keys VALUES (true, $1) ON CONFLICT (one) DO UPDATE SET body = excluded.body",
        )
        .bind(&body)
        .execute(tx.sql())
        .await?;
        tx.publish(&[Logged::IssuerKeys { keys: keys.to_vec() }]).await?;
    }
    Ok(())
}

/// Why the rider is on the deny list; nothing if he is not.
pub(super) async fn reasons(sql: &mut PgConnection, rider: RiderId) -> Result<BTreeSet<DenyReason>, Trouble> {
    let names: Vec<String> = sqlx::query_scalar("SELECT reason FROM core.denied_for WHERE rider = $1")
        .bind(rider.as_uuid())
        .fetch_all(sql)
        .await?;
    let reason = |name: &String| DenyReason::from_name(name).ok_or_else(|| damaged(name, "no reason to deny"));
    Ok(names.iter().map(reason).collect::<Result<_, StoreError>>()?)
}

/// Adds or takes away one reason; stations are told with the first one and after the last. True if that changed it.
pub(super) async fn deny(tx: &mut Tx, rider: RiderId, reason: DenyReason, denied: bool) -> Result<bool, Trouble> {
    // Alone: whether it is the first or the last is seen by one at a time.
    tx.alone_at_the_feed().await?;
    let set = if denied {
        "INSERT INTO core.denied_for (rider, reason) VALUES ($1, $2) ON CONFLICT DO NOTHING"
    } else {
        "DELETE FROM core.denied_for WHERE rider = $1 AND reason = $2"
    };
    let changed = sqlx::query(set).bind(rider.as_uuid()).bind(reason.name()).execute(tx.sql()).await?;
    if changed.rows_affected() == 0 {
        return Ok(false);
    }
    let (set, change) = if reasons(tx.sql(), rider).await?.is_empty() {
        ("DELETE FROM core.denied WHERE rider = $1", Logged::Allowed { rider })
    } else {
        ("INSERT INTO core.denied (rider) VALUES ($1) ON CONFLICT DO NOTHING", Logged::Denied { rider })
    };
    if sqlx::query(set).bind(rider.as_uuid()).execute(tx.sql()).await?.rows_affected() == 1 {
        tx.publish(&[change]).await?;
    }
    Ok(true)
}
