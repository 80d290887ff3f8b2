//! What the operator tells stations.

use async_trait::async_trait;
use facegate_domain::fingerprint::FactSet;
use facegate_domain::operation::{ACT_REMEMBERED, FARE_TABLES_MAX, GateAct, Instruction, Instructions};

use super::error::Trouble;
use super::tx::Tx;
use super::values::{at_most, json, read};
use super::{PgStore, audit, terms, transact};
use crate::store::logged::Logged;
use crate::store::operation::FORGOTTEN_AT_A_TIME;
use crate::store::{OperationStore, StoreError, ToldAct};

#[async_trait]
impl OperationStore for PgStore {
    async fn instruct(&self, instruction: Instruction) -> Result<u64, StoreError> {
        transact!(self, tx => tell(&mut tx, &instruction).await)
    }

    async fn act_at_gate(&self, act: GateAct) -> Result<ToldAct, StoreError> {
        transact!(self, tx => act_once(&mut tx, &act).await)
    }

    async fn latest_acts(&self) -> Result<Vec<ToldAct>, StoreError> {
        let bodies: Vec<String> =
            sqlx::query_scalar("SELECT DISTINCT ON (gate) body FROM core.gate_act ORDER BY gate, version DESC")
                .fetch_all(&self.pool)
                .await
                .map_err(Trouble::from)?;
        bodies.iter().map(|body| read("an act at a gate", body)).collect()
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

async fn act_once(tx: &mut Tx, act: &GateAct) -> Result<ToldAct, Trouble> {
    // Of two that come at once with the same name, the later one finds the other.
    tx.alone_at_the_feed().await?;
    let before: Option<String> = sqlx::query_scalar("SELECT body FROM core.gate_act WHERE id = $1")
        .bind(&act.id)
        .fetch_optional(tx.sql())
        .await?;
    if let Some(before) = before {
        let before: ToldAct = read(&act.id, &before)?;
        before.act.is_what(act).map_err(StoreError::from)?;
        return Ok(before);
    }
    sqlx::query(
        "DELETE FROM core.gate_act WHERE id IN (
             SELECT old.id FROM core.gate_act AS old WHERE old.at < $1
             AND EXISTS (SELECT 1 FROM core.gate_act AS later WHERE later.gate = old.gate AND later.version > old.version)
             ORDER BY old.at LIMIT $2)",
    )
    .bind(act.at.minus(ACT_REMEMBERED).unix_ms())
    .bind(at_most(FORGOTTEN_AT_A_TIME))
    .execute(tx.sql())
    .await?;
    let (action, subject) = act.line();
    audit::append(tx, &act.by, action, &subject, act.at).await?;
    let told = ToldAct { version: tell(tx, &act.instruction()).await?, act: act.clone() };
    sqlx::query("INSERT INTO core.gate_act (id, gate, at, version, body) VALUES ($1, $2, $3, $4, $5)")
        .bind(&act.id)
        .bind(act.gate.as_str())
        .bind(act.at.unix_ms())
        .bind(at_most(told.version))
        .bind(json(&told))
        .execute(tx.sql())
        .await?;
    Ok(told)
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
