//! Sealing anew under a newer key.

use std::collections::BTreeMap;

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_runtime::keys::{KeyId, KeyRing, Sealer};
use uuid::Uuid;

use super::error::Trouble;
use super::riders::identity_key;
use super::sealed::{CHECK, Sealed};
use super::values::{at_most, damaged, from_number, rider_of};
use super::{PgStore, transact};
use crate::store::postgres::tx::Tx;
use crate::store::{KeyStore, KeyUse, ResealPage, SealedValues, StoreError};

/// A sealed value with its row's key: the template, or the rider and the kind.
type Row = (Uuid, String, Vec<u8>);

#[async_trait]
impl KeyStore for PgStore {
    async fn use_keys(&self, values: SealedValues, ring: KeyRing) -> Result<(), StoreError> {
        self.values(values).use_keys(&ring);
        Ok(())
    }

    async fn reseal(&self, values: SealedValues, from: Option<Vec<u8>>, max: usize) -> Result<ResealPage, StoreError> {
        let (after, kind) = match from.as_deref().and_then(<[u8]>::split_first_chunk::<16>) {
            Some((id, kind)) => (Some(Uuid::from_bytes(*id)), String::from_utf8_lossy(kind).into_owned()),
            None => (None, String::new()),
        };
        let page = match values {
            SealedValues::Templates => {
                "SELECT template, '', sealed FROM faces.face WHERE $1::uuid IS NULL OR (template, '') > ($1, $2)
                 ORDER BY template LIMIT $3"
            }
            SealedValues::Identities => {
                "SELECT rider, kind, sealed FROM identity.sealed WHERE $1::uuid IS NULL OR (rider, kind) > ($1, $2)
                 ORDER BY rider, kind LIMIT $3"
            }
        };
        let rows: Vec<Row> = sqlx::query_as(page)
            .bind(after)
            .bind(kind)
            .bind(at_most(max))
            .fetch_all(&self.pool)
            .await
            .map_err(Trouble::from)?;
        let mut done = ResealPage { looked_at: rows.len() as u64, ..ResealPage::default() };
        for row in &rows {
            done.resealed += u64::from(self.reseal_one(values, row).await?);
        }
        match rows.last() {
            Some((id, kind, _)) if rows.len() >= max => done.next = Some([id.as_bytes(), kind.as_bytes()].concat()),
            // The check goes last: once it opens under the newest key alone, everything does.
            _ => self.reseal_check(values).await?,
        }
        Ok(done)
    }

    async fn sealed_under(&self, values: SealedValues) -> Result<BTreeMap<KeyId, u64>, StoreError> {
        let count = match values {
            SealedValues::Templates => {
                "SELECT substring(sealed FROM 2 FOR 8), count(*) FROM
                    (SELECT sealed FROM faces.face UNION ALL SELECT sealed FROM faces.key_check) s GROUP BY 1"
            }
            SealedValues::Identities => {
                "SELECT substring(sealed FROM 2 FOR 8), count(*) FROM
                    (SELECT sealed FROM identity.sealed UNION ALL SELECT sealed FROM identity.key_check) s GROUP BY 1"
            }
        };
        let rows: Vec<(Vec<u8>, i64)> = sqlx::query_as(count).fetch_all(&self.pool).await.map_err(Trouble::from)?;
        let counted = |(id, count): (Vec<u8>, i64)| {
            let id: [u8; 8] = id.as_slice().try_into().map_err(|error| damaged("a sealed value", error))?;
            Ok((KeyId(id), from_number(count)))
        };
        rows.into_iter().map(counted).collect()
    }

    async fn key_used(&self, purpose: &str, key: KeyId, now: Timestamp) -> Result<KeyUse, StoreError> {
        transact!(self, tx => note(&mut tx, purpose, key, now).await)
    }
}

async fn note(tx: &mut Tx, purpose: &str, key: KeyId, now: Timestamp) -> Result<KeyUse, Trouble> {
    let known = "SELECT since FROM core.key_use WHERE purpose = $1 AND key = $2";
    let bytes = key.0.as_slice();
    let since: Option<i64> = sqlx::query_scalar(known).bind(purpose).bind(bytes).fetch_optional(tx.sql()).await?;
    if let Some(since) = since {
        return Ok(KeyUse { since: Timestamp::from_unix_ms(since), first: false });
    }
    let noted =
        sqlx::query("INSERT INTO core.key_use (purpose, key, since) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
            .bind(purpose)
            .bind(bytes)
            .bind(now.unix_ms())
            .execute(tx.sql())
            .await?;
    if noted.rows_affected() == 0 { Err(Trouble::Overtaken) } else { Ok(KeyUse { since: now, first: true }) }
}

impl PgStore {
    fn values(&self, values: SealedValues) -> &Sealed {
        match values {
            SealedValues::Templates => &self.faces,
            SealedValues::Identities => &self.identity,
        }
    }

    /// False if it is under the newest key already, or was changed or removed meanwhile.
    async fn reseal_one(&self, values: SealedValues, (id, kind, sealed): &Row) -> Result<bool, StoreError> {
        let ours = self.values(values);
        if Sealer::sealed_under(sealed) == Some(ours.sealer().id()) {
            return Ok(false);
        }
        let (bound_to, swap) = match values {
            SealedValues::Templates => (
                id.as_bytes().to_vec(),
                "UPDATE faces.face SET sealed = $4 WHERE template = $1 AND $2 = '' AND sealed = $3",
            ),
            SealedValues::Identities => (
                identity_key(kind, rider_of(*id)),
                "UPDATE identity.sealed SET sealed = $4 WHERE rider = $1 AND kind = $2 AND sealed = $3",
            ),
        };
        let anew = ours.seal(&ours.unseal(sealed, &bound_to)?, &bound_to)?;
        let swapped = sqlx::query(swap)
            .bind(id)
            .bind(kind)
            .bind(sealed)
            .bind(anew)
            .execute(&self.pool)
            .await
            .map_err(Trouble::from)?;
        Ok(swapped.rows_affected() == 1)
    }

    async fn reseal_check(&self, values: SealedValues) -> Result<(), StoreError> {
        let set = match values {
            SealedValues::Templates => "UPDATE faces.key_check SET sealed = $1",
            SealedValues::Identities => "UPDATE identity.key_check SET sealed = $1",
        };
        let anew = self.values(values).seal(CHECK, CHECK)?;
        sqlx::query(set).bind(anew).execute(&self.pool).await.map_err(Trouble::from)?;
        Ok(())
    }
}
