//! Taps: taking batches in, and what is asked about them.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::gate::GateMode;
use facegate_domain::ids::{GateId, RecordId, RiderId, StationId};
use facegate_domain::tap::{Direction, GateRecord, Medium, Tap};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::error::Trouble;
use super::intake::{Batch, take_in};
use super::values::{at_most, damaged, from_number, gate_of, read, record_of, rider_of};
use super::{PgStore, transact};
use crate::store::{Conflict, Gap, Intake, Mark, RiderTaps, StoreError, TapStore, UnknownPassage};

/// So many gaps are listed; a journal with more is in trouble that a longer list does not explain.
const GAPS_LISTED_MAX: usize = 1000;

/// A tap's columns, and whether it is open.
type Row = (String, i64, i64, Uuid, i64, String, String, String, String, bool);

#[async_trait]
impl TapStore for PgStore {
    async fn record_taps(&self, records: Vec<GateRecord>, now: Timestamp) -> Result<Intake, StoreError> {
        let batch = Batch::of(records)?;
        transact!(self, tx => take_in(&mut tx, &batch, now).await)
    }

    async fn marks(&self, gate: &GateId) -> Result<Vec<Mark>, StoreError> {
        let rows: Vec<(i64, i64)> =
            sqlx::query_as("SELECT epoch, next FROM core.journal WHERE gate = $1 ORDER BY epoch")
                .bind(gate.as_str())
                .fetch_all(&self.pool)
                .await
                .map_err(Trouble::from)?;
        let mark = |(epoch, next)| {
            let epoch = u32::try_from(epoch).map_err(|error| damaged("an epoch", error))?;
            Ok(Mark { gate: gate.clone(), epoch, next_sequence: from_number(next) })
        };
        rows.into_iter().map(mark).collect()
    }

    async fn riders_with_open_taps(&self, after: Option<RiderId>, max: usize) -> Result<Vec<RiderId>, StoreError> {
        let riders: Vec<Uuid> = sqlx::query_scalar(
            "SELECT rider FROM core.open_tap WHERE $1::uuid IS NULL OR rider > $1
             GROUP BY rider ORDER BY rider LIMIT $2",
        )
        .bind(after.as_ref().map(RiderId::as_uuid))
        .bind(at_most(max))
        .fetch_all(&self.pool)
        .await
        .map_err(Trouble::from)?;
        Ok(riders.into_iter().map(rider_of).collect())
    }

    async fn riders_to_settle(
        &self,
        after: Option<RiderId>,
        max: usize,
        left_by: Timestamp,
        given_up_by: Timestamp,
    ) -> Result<Vec<RiderId>, StoreError> {
        let riders: Vec<Uuid> = sqlx::query_scalar(
            "SELECT rider FROM core.open_tap
             WHERE ($1::uuid IS NULL OR rider > $1) AND (at <= $3 OR (at <= $2 AND (direction = 'exit' OR late)))
             GROUP BY rider ORDER BY rider LIMIT $4",
        )
        .bind(after.as_ref().map(RiderId::as_uuid))
        .bind(left_by.unix_ms())
        .bind(given_up_by.unix_ms())
        .bind(at_most(max))
        .fetch_all(&self.pool)
        .await
        .map_err(Trouble::from)?;
        Ok(riders.into_iter().map(rider_of).collect())
    }

    async fn taps_to_pair(&self, rider: RiderId, reach: Duration) -> Result<RiderTaps, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT t.gate, t.epoch, t.sequence, t.rider, t.at, t.station, t.direction, t.medium, t.mode, o.rider IS NOT NULL
             FROM core.tap t
             LEFT JOIN core.open_tap o ON o.rider = t.rider AND o.at = t.at AND o.gate = t.gate
                AND o.epoch = t.epoch AND o.sequence = t.sequence
             WHERE t.rider = $1 AND t.at >= (SELECT min(at) FROM core.open_tap WHERE rider = $1) - $2
             ORDER BY t.at, t.gate, t.epoch, t.sequence",
        )
        .bind(rider.as_uuid())
        .bind(at_most(reach.as_millis()))
        .fetch_all(&self.pool)
        .await
        .map_err(Trouble::from)?;
        let mut found = RiderTaps { taps: Vec::with_capacity(rows.len()), settled: BTreeSet::new() };
        for (gate, epoch, sequence, rider, at, station, direction, medium, mode, open) in rows {
            let id = record_of(gate, epoch, sequence)?;
            if !open {
                found.settled.insert(id.clone());
            }
            found.taps.push(Tap {
                rider: rider_of(rider),
                station: StationId::new(station).map_err(|error| damaged(&id, error))?,
                direction: named::<Direction>(&id, &direction)?,
                medium: named::<Medium>(&id, &medium)?,
                mode: gate_mode(&id, &mode)?,
                at: Timestamp::from_unix_ms(at),
                id,
            });
        }
        Ok(found)
    }

    async fn gaps(&self) -> Result<Vec<Gap>, StoreError> {
        // What lies between a record and the one before it in the same journal, from the first that is missing on.
        let rows: Vec<(String, i64, i64, i64)> = sqlx::query_as(
            "SELECT gate, epoch, before + 1, sequence - 1 FROM (
                SELECT r.gate, r.epoch, r.sequence,
                    coalesce(lag(r.sequence) OVER (PARTITION BY r.gate, r.epoch ORDER BY r.sequence), j.next - 1) AS before
                FROM core.journal j
                JOIN core.record r ON r.gate = j.gate AND r.epoch = j.epoch AND r.sequence >= j.next
                WHERE j.next <= j.highest
             ) AS seen WHERE sequence > before + 1 ORDER BY gate, epoch, sequence LIMIT $1",
        )
        .bind(at_most(GAPS_LISTED_MAX))
        .fetch_all(&self.pool)
        .await
        .map_err(Trouble::from)?;
        let gap = |(gate, epoch, first, last)| {
            let epoch = u32::try_from(epoch).map_err(|error| damaged("an epoch", error))?;
            let (first_missing, last_missing) = (from_number(first), from_number(last));
            Ok(Gap { gate: gate_of(gate)?, epoch, first_missing, last_missing })
        };
        rows.into_iter().map(gap).collect()
    }

    async fn unknown_passages(&self) -> Result<Vec<UnknownPassage>, StoreError> {
        self.bodies("SELECT body FROM core.unknown_passage ORDER BY gate, epoch, sequence").await
    }

    async fn conflicts(&self) -> Result<Vec<Conflict>, StoreError> {
        self.bodies("SELECT body FROM core.conflict ORDER BY gate, epoch, sequence, sha256").await
    }
}

impl PgStore {
    async fn bodies<T: DeserializeOwned>(&self, select: &'static str) -> Result<Vec<T>, StoreError> {
        let bodies: Vec<String> = sqlx::query_scalar(select).fetch_all(&self.pool).await.map_err(Trouble::from)?;
        bodies.iter().map(|body| read("a report", body)).collect()
    }
}

/// A value that serialises as its name.
pub(super) fn named<T: DeserializeOwned>(of: &RecordId, name: &str) -> Result<T, StoreError> {
    serde_json::from_value(serde_json::Value::String(name.to_owned())).map_err(|error| damaged(of, error))
}

fn gate_mode(id: &RecordId, mode: &str) -> Result<GateMode, StoreError> {
    GateMode::from_name(mode).ok_or_else(|| damaged(id, format!("no gate has the mode {mode}")))
}
