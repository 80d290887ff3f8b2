//! What the operator tells stations.

use async_trait::async_trait;
use facegate_domain::fingerprint::FactSet;
use facegate_domain::operation::{FARE_TABLES_MAX, Instruction, Instructions};

use super::error::Trouble;
use super::tx::Tx;
use super::values::{json, read};
use super::{PgStore, terms, transact};
use crate::store::logged::Logged;
use crate::store::{OperationStore, StoreError};

#[async_trait]
impl OperationStore for PgStore {
    async fn instruct(&self, instruction: Instruction) -> Result<u64, StoreError> {
        transact!(self, tx => tell(&mut tx, &instruction).await)
    }

    async fn instructions(&self) -> Result<Instructions, StoreError> {
        let bodies: Vec<String> = sqlx::query_scalar("SELECT body FROM core.told ORDER BY place")
            .fetch_all(&self.pool)
            .await
            .map_err(Trouble::from)?;
        let mut held = Instructions::default();
        for body in bodies {
            held.follow(&read::<Instruction>("an instruction", &body)?);
        }
        Ok(held)
    }
}

async fn tell(tx: &mut Tx, instruction: &Instruction) -> Result<u64, Trouble> {
    if instruction.changes_fares() {
        // Before the feed, as settlements do.
        terms::tariff_changes(tx).await?;
    }
    tx.alone_at_the_feed().await?;
    let place = instruction.place();
    let before: Option<String> =
        sqlx::query_scalar("SELECT body FROM core.told WHERE place = $1").bind(&place).fetch_optional(tx.sql()).await?;
    let is_fares = matches!(instruction, Instruction::Fares(_));
    if is_fares && before.is_none() {
        let held: i64 = sqlx::query_scalar("SELECT count(*) FROM core.told WHERE is_fares").fetch_one(tx.sql()).await?;
        if usize::try_from(held).is_ok_and(|held| held >= FARE_TABLES_MAX) {
            return Err(StoreError::TooManyFareTables.into());
        }
    }
    if let Some(before) = before {
        let before: Instruction = read(&place, &before)?;
        tx.toggle(FactSet::Told, &[0; 16], before.fact());
    }
    if instruction.holds() {
        tx.toggle(FactSet::Told, &[0; 16], instruction.fact());
        sqlx::query(
            "INSERT INTO core.told (place, is_fares, body) VALUES ($1, $2, $3)
             ON CONFLICT (place) DO UPDATE SET is_fares = excluded.is_fares, body = excluded.body",
        )
        .bind(&place)
        .bind(is_fares)
        .bind(json(instruction))
        .execute(tx.sql())
        .await?;
    } else {
        sqlx::query("DELETE FROM core.told WHERE place = $1").bind(&place).execute(tx.sql()).await?;
    }
    tx.publish(&[Logged::Told { told: instruction.clone() }]).await
}
