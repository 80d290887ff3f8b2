//! Digests: kept under the feed's lock with every command that publishes, by what its changes say.

use std::collections::BTreeMap;

use async_trait::async_trait;
use facegate_domain::fingerprint::{FactSet, bucket_of, content_fact, fact, owner_fact};
use facegate_domain::ids::{ModelId, RecordId, RiderId, TemplateId};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::PgStore;
use super::error::Trouble;
use super::snapshot::{Space, Within};
use super::tx::Tx;
use super::values::{at_most, from_number, json, read};
use crate::store::logged::Logged;
use crate::store::{DigestStore, FeedStore, HabitStore, Roots, SnapshotPage, StoreError};

/// By set and bucket, the facts that came or went.
#[derive(Debug, Default)]
pub(super) struct Toggled(BTreeMap<(FactSet, usize), u64>);

impl Toggled {
    pub fn toggle(&mut self, set: FactSet, id: &[u8; 16], fact: u64) {
        let bucket = bucket_of(id, set.buckets());
        *self.0.entry((set, bucket)).or_default() ^= fact;
    }

    /// What the change itself says of facts; faces and what the operator told are toggled by those who store them.
    pub fn follow(&mut self, change: &Logged) {
        match change {
            Logged::EnteredSystem { rider, entry } | Logged::LeftSystem { rider, entry } => {
                self.toggle(FactSet::Inside, rider.as_bytes(), inside_fact(*rider, entry));
            }
            Logged::Denied { rider } | Logged::Allowed { rider } => {
                self.toggle(FactSet::Denied, rider.as_bytes(), fact(&[rider.as_bytes()]));
            }
            _ => {}
        }
    }

    pub async fn keep(self, sql: &mut PgConnection, version: i64, roots: &str) -> Result<(), Trouble> {
        let mut roots: Roots = read("the digests' roots", roots)?;
        let (mut sets, mut buckets, mut hashes) = (Vec::new(), Vec::<i32>::new(), Vec::new());
        for ((set, bucket), facts) in self.0 {
            *roots.entry(set.to_string()).or_default() ^= facts;
            sets.push(set.to_string());
            buckets.push(i32::try_from(bucket).unwrap_or(i32::MAX));
            hashes.push(facts.cast_signed());
        }
        let roots = json(&roots);
        if !sets.is_empty() {
            sqlx::query(
                "INSERT INTO core.digest AS d (facts_of, bucket, hashes)
                 SELECT * FROM UNNEST($1::text[], $2::integer[], $3::bigint[])
                 ON CONFLICT (facts_of, bucket) DO UPDATE SET hashes = d.hashes # excluded.hashes",
            )
            .bind(&sets)
            .bind(&buckets)
            .bind(&hashes)
            .execute(&mut *sql)
            .await?;
            sqlx::query("UPDATE core.feed_head SET roots = $1").bind(&roots).execute(&mut *sql).await?;
        }
        sqlx::query("INSERT INTO core.digest_at (version, roots) VALUES ($1, $2)")
            .bind(version)
            .bind(&roots)
            .execute(&mut *sql)
            .await?;
        Ok(())
    }
}

/// The face comes or goes with this command.
pub(super) fn toggle_face(tx: &mut Tx, template: TemplateId, rider: RiderId, model: ModelId, content: u32) {
    let id = template.as_bytes();
    tx.toggle(FactSet::Templates(model.clone()), id, owner_fact(template, rider));
    tx.toggle(FactSet::Contents(model), id, content_fact(template, rider, content));
}

pub(super) fn inside_fact(rider: RiderId, entry: &RecordId) -> u64 {
    fact(&[rider.as_bytes(), entry.to_string().as_bytes()])
}

#[async_trait]
impl DigestStore for PgStore {
    async fn roots_at(&self, version: u64) -> Result<Option<Roots>, StoreError> {
        let roots: Option<String> = sqlx::query_scalar("SELECT roots FROM core.digest_at WHERE version = $1")
            .bind(at_most(version))
            .fetch_optional(&self.pool)
            .await
            .map_err(Trouble::from)?;
        roots.map(|roots| read("the digests' roots", &roots)).transpose()
    }

    async fn buckets(&self, set: &FactSet) -> Result<(u64, Vec<u64>), StoreError> {
        if let FactSet::Regulars(station) = set {
            let version = *self.head().borrow();
            return Ok((version, vec![self.regulars_root(station).await?]));
        }
        let rows: Vec<(i64, Option<i32>, Option<i64>)> = sqlx::query_as(
            "SELECT h.version, d.bucket, d.hashes FROM core.feed_head h LEFT JOIN core.digest d ON d.facts_of = $1",
        )
        .bind(set.to_string())
        .fetch_all(&self.pool)
        .await
        .map_err(Trouble::from)?;
        let mut buckets = vec![0; set.buckets()];
        let version = rows.first().map_or(0, |(version, ..)| from_number(*version));
        for (_, bucket, hashes) in rows {
            let held = bucket.and_then(|bucket| buckets.get_mut(usize::try_from(bucket).ok()?));
            if let (Some(held), Some(hashes)) = (held, hashes) {
                *held = hashes.cast_unsigned();
            }
        }
        Ok((version, buckets))
    }

    async fn bucket_facts(
        &self,
        set: &FactSet,
        bucket: usize,
        from: Option<Vec<u8>>,
        max: usize,
    ) -> Result<SnapshotPage, StoreError> {
        let (space, model) = match set {
            FactSet::Templates(model) | FactSet::Contents(model) => (Space::Faces, Some(model)),
            FactSet::Regulars(station) => return Ok(SnapshotPage::of_regulars(station, self.regulars(station).await?)),
            FactSet::Denied => (Space::Denied, None),
            FactSet::Inside => (Space::Inside, None),
            FactSet::Told => (Space::Told, None),
        };
        let (first, last) = stretch(bucket, set.buckets());
        let within = Within { after: from.as_deref(), first, last, model: model.map(ModelId::as_str) };
        let found = self.facts_within(space, &within, max).await?;
        let next = if found.len() >= max { found.last().map(|(key, _)| key.clone()) } else { None };
        Ok(SnapshotPage { facts: found.into_iter().map(|(_, fact)| fact).collect(), next })
    }
}

/// A bucket is a stretch of ids, those that begin with its bits: the first and the last of them.
fn stretch(bucket: usize, buckets: usize) -> (Uuid, Uuid) {
    let bound = |bucket: usize| u16::try_from((bucket << 16) / buckets).unwrap_or(u16::MAX);
    let filled = |first: u16, rest: u8| {
        let mut bytes = [rest; 16];
        bytes[..2].copy_from_slice(&first.to_be_bytes());
        Uuid::from_bytes(bytes)
    };
    let last = if bucket + 1 >= buckets { u16::MAX } else { bound(bucket + 1).saturating_sub(1) };
    (filled(bound(bucket), 0), filled(last, u8::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stretches_are_the_buckets() {
        for buckets in [1, 64, 1024] {
            for bucket in 0..buckets {
                let (first, last) = stretch(bucket, buckets);
                assert!(first <= last);
                assert_eq!(bucket_of(first.as_bytes(), buckets), bucket);
                assert_eq!(bucket_of(last.as_bytes(), buckets), bucket);
            }
            assert_eq!((stretch(0, buckets).0, stretch(buckets - 1, buckets).1), (Uuid::nil(), Uuid::max()));
        }
    }
}
