//! What was decided about risk, and who has to show his ride code for the rest of the day.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::gate::GateMode;
use facegate_domain::ids::{GateId, RecordId, RiderId, StationId};
use facegate_domain::risk::{AttacksTold, GateAttacks, RiskDecision};
use facegate_domain::tap::{Direction, Medium, Tap};

use super::error::Trouble;
use super::tx::Tx;
use super::values::{IdColumns, at_most, damaged, json, read, record_of, sequence};
use super::{PgStore, riders, transact};
use crate::store::logged::Logged;
use crate::store::{Look, RiskStore, StoreError};

#[async_trait]
impl RiskStore for PgStore {
    fn want_looks(&self, whether: bool) {
        self.wants_looks.store(whether, Ordering::Relaxed);
    }

    async fn take_looks(&self, now: Timestamp, until: Timestamp, max: usize) -> Result<Vec<Look>, StoreError> {
        transact!(self, tx => take_looks(&mut tx, now, until, max).await)
    }

    async fn looked(&self, tap: &RecordId, again: Option<Timestamp>) -> Result<(), StoreError> {
        transact!(self, tx => looked(&mut tx, tap, again).await)
    }

    async fn taps_around(&self, rider: RiderId, from: Timestamp, to: Timestamp) -> Result<Vec<Tap>, StoreError> {
        let rows: Vec<(String, i64, i64, i64, String, String, String, String)> = sqlx::query_as(
            "SELECT gate, epoch, sequence, at, station, direction, medium, mode FROM core.tap
             WHERE rider = $1 AND at BETWEEN $2 AND $3 ORDER BY at, gate, epoch, sequence",
        )
        .bind(rider.as_uuid())
        .bind(from.unix_ms())
        .bind(to.unix_ms())
        .fetch_all(&self.pool)
        .await
        .map_err(Trouble::from)?;
        let tap =
            |(gate, epoch, sequence, at, station, direction, medium, mode): (_, _, _, _, _, String, String, String)| {
                Ok(Tap {
                    id: record_of(gate, epoch, sequence)?,
                    rider,
                    station: StationId::new(station).map_err(|error| damaged("a station's name", error))?,
                    direction: if direction == Direction::Entry.name() { Direction::Entry } else { Direction::Exit },
                    medium: Medium::from_name(&medium).unwrap_or(Medium::Code),
                    mode: GateMode::from_name(&mode).unwrap_or_default(),
                    at: Timestamp::from_unix_ms(at),
                })
            };
        rows.into_iter().map(tap).collect()
    }

    async fn note_risk(&self, decision: &RiskDecision) -> Result<bool, StoreError> {
        let noted = sqlx::query(
            "INSERT INTO core.risk (gate, epoch, sequence, at, rider, body) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT DO NOTHING",
        )
        .bind(decision.tap.gate.as_str())
        .bind(i64::from(decision.tap.epoch))
        .bind(sequence(&decision.tap)?)
        .bind(decision.at.unix_ms())
        .bind(decision.rider.as_uuid())
        .bind(json(decision))
        .execute(&self.pool)
        .await
        .map_err(Trouble::from)?;
        Ok(noted.rows_affected() == 1)
    }

    async fn risk_log(&self, max: usize) -> Result<Vec<RiskDecision>, StoreError> {
        let bodies: Vec<String> = sqlx::query_scalar(
            "SELECT body FROM core.risk ORDER BY at DESC, gate DESC, epoch DESC, sequence DESC LIMIT $1",
        )
        .bind(at_most(max))
        .fetch_all(&self.pool)
        .await
        .map_err(Trouble::from)?;
        bodies.iter().map(|body| read("a decision about risk", body)).collect()
    }

    async fn risk_of(&self, tap: &RecordId) -> Result<Option<RiskDecision>, StoreError> {
        let body: Option<String> =
            sqlx::query_scalar("SELECT body FROM core.risk WHERE gate = $1 AND epoch = $2 AND sequence = $3")
                .bind(tap.gate.as_str())
                .bind(i64::from(tap.epoch))
                .bind(sequence(tap)?)
                .fetch_optional(&self.pool)
                .await
                .map_err(Trouble::from)?;
        body.map(|body| read("a decision about risk", &body)).transpose()
    }

    async fn count_attacks(
        &self,
        station: &StationId,
        told: &[(GateId, AttacksTold)],
        now: Timestamp,
        kept: Duration,
    ) -> Result<(), StoreError> {
        // In one order, as everybody does, so that no two commands wait for each other.
        let told: BTreeMap<&GateId, AttacksTold> = told.iter().map(|(gate, told)| (gate, *told)).collect();
        transact!(self, tx => count_attacks(&mut tx, station, &told, now, kept).await)
    }

    async fn attacks_at(&self, station: &StationId) -> Result<Vec<(GateId, GateAttacks)>, StoreError> {
        let rows: Vec<(String, String)> =
            sqlx::query_as("SELECT gate, body FROM core.gate_attacks WHERE station = $1 ORDER BY gate")
                .bind(station.as_str())
                .fetch_all(&self.pool)
                .await
                .map_err(Trouble::from)?;
        let of = |(gate, body): (String, String)| {
            let attacks = read("a gate's attacks", &body)?;
            Ok((GateId::new(gate).map_err(|error| damaged("a gate's name", error))?, attacks))
        };
        rows.into_iter().map(of).collect()
    }

    async fn cap_face(&self, rider: RiderId, until: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        transact!(self, tx => cap(&mut tx, rider, until, now).await)
    }
}

async fn count_attacks(
    tx: &mut Tx,
    station: &StationId,
    told: &BTreeMap<&GateId, AttacksTold>,
    now: Timestamp,
    kept: Duration,
) -> Result<(), Trouble> {
    for (gate, told) in told {
        // There to be locked, so that two words about a gate follow each other.
        let begun = sqlx::query(
            "INSERT INTO core.gate_attacks (station, gate, body) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        )
        .bind(station.as_str())
        .bind(gate.as_str())
        .bind(json(&GateAttacks::begin(*told)))
        .execute(tx.sql())
        .await?;
        if begun.rows_affected() == 1 {
            continue;
        }
        let body: String =
            sqlx::query_scalar("SELECT body FROM core.gate_attacks WHERE station = $1 AND gate = $2 FOR UPDATE")
                .bind(station.as_str())
                .bind(gate.as_str())
                .fetch_one(tx.sql())
                .await?;
        let before: GateAttacks = read("a gate's attacks", &body)?;
        sqlx::query("UPDATE core.gate_attacks SET body = $3 WHERE station = $1 AND gate = $2")
            .bind(station.as_str())
            .bind(gate.as_str())
            .bind(json(&before.after(*told, now, kept)))
            .execute(tx.sql())
            .await?;
    }
    Ok(())
}

async fn cap(tx: &mut Tx, rider: RiderId, until: Timestamp, now: Timestamp) -> Result<(), Trouble> {
    // The rider's row first, as an erasure does: whoever is second sees what the first did.
    let erased = riders::locked(tx, rider).await?.is_some_and(|rider| rider.erasure.is_some());
    if erased || until <= now {
        return Ok(());
    }
    let capped = sqlx::query(
        "INSERT INTO core.face_capped AS c (rider, until) VALUES ($1, $2)
         ON CONFLICT (rider) DO UPDATE SET until = excluded.until WHERE c.until < excluded.until",
    )
    .bind(rider.as_uuid())
    .bind(until.unix_ms())
    .execute(tx.sql())
    .await?;
    if capped.rows_affected() == 1 {
        tx.publish(&[Logged::FaceCapped { rider, until }]).await?;
    }
    Ok(())
}

/// These taps have come just now.
pub(super) async fn want_looks(tx: &mut Tx, taps: &[Tap], now: Timestamp) -> Result<(), Trouble> {
    if !tx.wants_looks || taps.is_empty() {
        return Ok(());
    }
    let ids = IdColumns::of(taps.iter().map(|tap| &tap.id))?;
    let look = |tap: &Tap| json(&Look { tap: tap.clone(), again: false, due: now });
    let bodies: Vec<String> = taps.iter().map(look).collect();
    sqlx::query(
        "INSERT INTO core.look (gate, epoch, sequence, due, body)
         SELECT gate, epoch, sequence, $4, body
         FROM UNNEST($1::text[], $2::bigint[], $3::bigint[], $5::text[]) AS t (gate, epoch, sequence, body)
         ON CONFLICT DO NOTHING",
    )
    .bind(&ids.gates)
    .bind(&ids.epochs)
    .bind(&ids.sequences)
    .bind(now.unix_ms())
    .bind(&bodies)
    .execute(tx.sql())
    .await?;
    Ok(())
}

async fn take_looks(tx: &mut Tx, now: Timestamp, until: Timestamp, max: usize) -> Result<Vec<Look>, Trouble> {
    // What another replica is taking is passed over.
    let bodies: Vec<String> = sqlx::query_scalar(
        "WITH due AS (
            SELECT gate, epoch, sequence FROM core.look WHERE due <= $1
            ORDER BY due, gate, epoch, sequence LIMIT $3 FOR UPDATE SKIP LOCKED
         ), taken AS (
            UPDATE core.look l SET due = $2 FROM due d
            WHERE (l.gate, l.epoch, l.sequence) = (d.gate, d.epoch, d.sequence) RETURNING l.body
         )
         SELECT body FROM taken",
    )
    .bind(now.unix_ms())
    .bind(until.unix_ms())
    .bind(at_most(max))
    .fetch_all(tx.sql())
    .await?;
    let mut looks = bodies.iter().map(|body| read("a look", body)).collect::<Result<Vec<Look>, StoreError>>()?;
    looks.sort_by_key(|look| look.due);
    Ok(looks)
}

async fn looked(tx: &mut Tx, tap: &RecordId, again: Option<Timestamp>) -> Result<(), Trouble> {
    let body: Option<String> =
        sqlx::query_scalar("SELECT body FROM core.look WHERE gate = $1 AND epoch = $2 AND sequence = $3 FOR UPDATE")
            .bind(tap.gate.as_str())
            .bind(i64::from(tap.epoch))
            .bind(sequence(tap)?)
            .fetch_optional(tx.sql())
            .await?;
    let Some(look) = body.map(|body| read::<Look>("a look", &body)).transpose()? else { return Ok(()) };
    let statement = match again {
        Some(_) => "UPDATE core.look SET due = $4, body = $5 WHERE gate = $1 AND epoch = $2 AND sequence = $3",
        None => {
            "DELETE FROM core.look WHERE gate = $1 AND epoch = $2 AND sequence = $3 AND ($4::bigint, $5::text) IS NOT NULL"
        }
    };
    let due = again.unwrap_or(look.due);
    sqlx::query(statement)
        .bind(tap.gate.as_str())
        .bind(i64::from(tap.epoch))
        .bind(sequence(tap)?)
        .bind(due.unix_ms())
        .bind(json(&Look { due, again: true, ..look }))
        .execute(tx.sql())
        .await?;
    Ok(())
}
