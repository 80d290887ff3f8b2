//! What new records amount to: a tap for an authorisation of which a passage was seen, and an unknown passage for one of
//! which nobody knows. A passage that came before its authorisation waits for it in a table of its own.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use facegate_domain::ids::RecordId;
use facegate_domain::intake::{Amount, passage_of};
use facegate_domain::tap::{GateRecord, Passage, PassageOutcome, RecordBody, Tap};
use facegate_proto::v1;
use prost::Message;

use super::error::Trouble;
use super::intake::contents;
use super::overview::{TAPS, UNKNOWN};
use super::taps::named;
use super::tx::Tx;
use super::values::{IdColumns, damaged, json, record_of};
use crate::store::{StoreError, UnknownPassage};

/// What is known of authorisations' passages.
type Passages = BTreeMap<RecordId, Vec<Passage>>;

/// Gives the taps that these records completed. They and what came before are stored, except for what is made here.
pub(super) async fn conclude<'r>(tx: &mut Tx, new: impl Iterator<Item = &'r GateRecord>) -> Result<Vec<Tap>, Trouble> {
    let new: HashMap<&RecordId, &GateRecord> = new.map(|record| (&record.id, record)).collect();
    let (mut known, mut passages) = (Passages::new(), Vec::new());
    for record in new.values() {
        if let Some((authorisation, passage)) = passage_of(record) {
            known.entry(authorisation.clone()).or_default().push(passage);
            passages.push((authorisation, record.id.sequence, passage.outcome));
        }
    }
    let older = older_records(tx, known.keys().filter(|id| !new.contains_key(id))).await?;
    let early: Vec<_> = passages.iter().filter(|(id, ..)| !new.contains_key(id) && !older.contains_key(id)).collect();
    keep_early(tx, &early).await?;
    let authorisations = new.values().filter(|record| matches!(record.body, RecordBody::Authorisation(_)));
    take_early(tx, authorisations.map(|record| &record.id), &mut known).await?;

    let had_tap = with_tap(tx, older.keys()).await?;
    let (mut taps, mut unknown) = (Vec::new(), Vec::new());
    for (id, passages) in &known {
        let Some(record) = new.get(id).copied().or_else(|| older.get(id)) else { continue };
        match Amount::of(record, passages, had_tap.contains(id)) {
            Amount::Tap(tap) => taps.push(tap),
            Amount::Unknown(tap) => unknown.push(tap),
            Amount::Nothing => {}
        }
    }
    forget_unknown(tx, taps.iter().map(|tap| &tap.id).filter(|id| older.contains_key(id))).await?;
    keep_unknown(tx, unknown).await?;
    insert(tx, &taps).await?;
    Ok(taps)
}

async fn older_records<'i>(
    tx: &mut Tx,
    ids: impl Iterator<Item = &'i RecordId>,
) -> Result<HashMap<RecordId, GateRecord>, Trouble> {
    // One beyond what a journal can have names nothing that will ever come.
    let possible = ids.filter(|id| i64::try_from(id.sequence).is_ok());
    let stored = contents(tx, possible).await?;
    let record = |(id, content): (RecordId, Vec<u8>)| {
        let wire = v1::GateRecord::decode(content.as_slice()).map_err(|error| damaged(&id, error))?;
        let record = GateRecord::try_from(wire).map_err(|error| damaged(&id, error))?;
        Ok((id, record))
    };
    Ok(stored.into_iter().map(record).collect::<Result<_, StoreError>>()?)
}

async fn keep_early(tx: &mut Tx, early: &[&(RecordId, u64, PassageOutcome)]) -> Result<(), Trouble> {
    let possible = || early.iter().filter(|(id, ..)| i64::try_from(id.sequence).is_ok());
    let ids = IdColumns::of(possible().map(|(id, ..)| id))?;
    if ids.is_empty() {
        return Ok(());
    }
    let passages: Vec<RecordId> =
        possible().map(|(id, sequence, _)| RecordId { sequence: *sequence, ..id.clone() }).collect();
    let passages = IdColumns::of(&passages)?;
    let outcomes: Vec<&str> = possible().map(|(.., outcome)| outcome.name()).collect();
    sqlx::query(
        "INSERT INTO core.early_passage (gate, epoch, authorisation, sequence, outcome)
         SELECT * FROM UNNEST($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[])",
    )
    .bind(&ids.gates)
    .bind(&ids.epochs)
    .bind(&ids.sequences)
    .bind(&passages.sequences)
    .bind(&outcomes)
    .execute(tx.sql())
    .await?;
    Ok(())
}

async fn take_early<'i>(
    tx: &mut Tx,
    authorisations: impl Iterator<Item = &'i RecordId>,
    known: &mut Passages,
) -> Result<(), Trouble> {
    let ids = IdColumns::of(authorisations)?;
    if ids.is_empty() {
        return Ok(());
    }
    let rows: Vec<(String, i64, i64, i64, String)> = sqlx::query_as(
        "DELETE FROM core.early_passage e
         USING UNNEST($1::text[], $2::bigint[], $3::bigint[]) AS t (gate, epoch, sequence)
         WHERE e.gate = t.gate AND e.epoch = t.epoch AND e.authorisation = t.sequence
         RETURNING e.gate, e.epoch, e.authorisation, e.sequence, e.outcome",
    )
    .bind(&ids.gates)
    .bind(&ids.epochs)
    .bind(&ids.sequences)
    .fetch_all(tx.sql())
    .await?;
    let mut early = Vec::new();
    for (gate, epoch, authorisation, sequence, outcome) in rows {
        let (authorisation, id) = (record_of(gate.clone(), epoch, authorisation)?, record_of(gate, epoch, sequence)?);
        let outcome_alone = Passage::new(authorisation.sequence, named(&id, &outcome)?);
        early.push((authorisation, id, outcome_alone));
    }
    let records = older_records(tx, early.iter().map(|(_, id, _)| id)).await?;
    for (authorisation, id, outcome_alone) in early {
        // If the disk lost it, the gate is asked for it once more; its outcome is known all the same.
        let passage = records.get(&id).and_then(passage_of).map_or(outcome_alone, |(_, passage)| passage);
        known.entry(authorisation).or_default().push(passage);
    }
    Ok(())
}

async fn with_tap<'i>(tx: &mut Tx, ids: impl Iterator<Item = &'i RecordId>) -> Result<BTreeSet<RecordId>, Trouble> {
    let ids = IdColumns::of(ids)?;
    if ids.is_empty() {
        return Ok(BTreeSet::new());
    }
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(
        "SELECT p.gate, p.epoch, p.sequence
         FROM UNNEST($1::text[], $2::bigint[], $3::bigint[]) AS t (gate, epoch, sequence)
         JOIN core.tap p ON p.gate = t.gate AND p.epoch = t.epoch AND p.sequence = t.sequence",
    )
    .bind(&ids.gates)
    .bind(&ids.epochs)
    .bind(&ids.sequences)
    .fetch_all(tx.sql())
    .await?;
    let id = |(gate, epoch, sequence)| record_of(gate, epoch, sequence);
    Ok(rows.into_iter().map(id).collect::<Result<_, StoreError>>()?)
}

async fn forget_unknown<'i>(tx: &mut Tx, ids: impl Iterator<Item = &'i RecordId>) -> Result<(), Trouble> {
    let ids = IdColumns::of(ids)?;
    if ids.is_empty() {
        return Ok(());
    }
    let known_now = sqlx::query(
        "DELETE FROM core.unknown_passage u
         USING UNNEST($1::text[], $2::bigint[], $3::bigint[]) AS t (gate, epoch, sequence)
         WHERE u.gate = t.gate AND u.epoch = t.epoch AND u.sequence = t.sequence",
    )
    .bind(&ids.gates)
    .bind(&ids.epochs)
    .bind(&ids.sequences)
    .execute(tx.sql())
    .await?;
    tx.count(UNKNOWN, -i64::try_from(known_now.rows_affected()).unwrap_or(i64::MAX));
    Ok(())
}

/// `unknown` are the taps that these would be.
async fn keep_unknown(tx: &mut Tx, unknown: Vec<Tap>) -> Result<(), Trouble> {
    let ids = IdColumns::of(unknown.iter().map(|tap| &tap.id))?;
    if ids.is_empty() {
        return Ok(());
    }
    let body =
        |tap: Tap| json(&UnknownPassage { authorisation: tap.id, rider: tap.rider, station: tap.station, at: tap.at });
    let bodies: Vec<String> = unknown.into_iter().map(body).collect();
    let kept = sqlx::query(
        "INSERT INTO core.unknown_passage (gate, epoch, sequence, body)
         SELECT * FROM UNNEST($1::text[], $2::bigint[], $3::bigint[], $4::text[])
         ON CONFLICT (gate, epoch, sequence) DO NOTHING",
    )
    .bind(&ids.gates)
    .bind(&ids.epochs)
    .bind(&ids.sequences)
    .bind(&bodies)
    .execute(tx.sql())
    .await?;
    tx.count(UNKNOWN, i64::try_from(kept.rows_affected()).unwrap_or(i64::MAX));
    Ok(())
}

async fn insert(tx: &mut Tx, taps: &[Tap]) -> Result<(), Trouble> {
    let ids = IdColumns::of(taps.iter().map(|tap| &tap.id))?;
    if ids.is_empty() {
        return Ok(());
    }
    let riders: Vec<uuid::Uuid> = taps.iter().map(|tap| *tap.rider.as_uuid()).collect();
    let at: Vec<i64> = taps.iter().map(|tap| tap.at.unix_ms()).collect();
    let stations: Vec<&str> = taps.iter().map(|tap| tap.station.as_str()).collect();
    let directions: Vec<&str> = taps.iter().map(|tap| tap.direction.name()).collect();
    let media: Vec<&str> = taps.iter().map(|tap| tap.medium.name()).collect();
    let modes: Vec<&str> = taps.iter().map(|tap| tap.mode.name()).collect();
    sqlx::query(
        "INSERT INTO core.tap (gate, epoch, sequence, rider, at, station, direction, medium, mode)
         SELECT * FROM UNNEST($1::text[], $2::bigint[], $3::bigint[], $4::uuid[], $5::bigint[], $6::text[], $7::text[],
            $8::text[], $9::text[])",
    )
    .bind(&ids.gates)
    .bind(&ids.epochs)
    .bind(&ids.sequences)
    .bind(&riders)
    .bind(&at)
    .bind(&stations)
    .bind(&directions)
    .bind(&media)
    .bind(&modes)
    .execute(tx.sql())
    .await?;
    sqlx::query(
        "INSERT INTO core.open_tap (gate, epoch, sequence, rider, at, direction, late)
         SELECT t.gate, t.epoch, t.sequence, t.rider, t.at, t.direction, t.direction = 'entry' AND coalesce(p.at > t.at, false)
         FROM UNNEST($1::text[], $2::bigint[], $3::bigint[], $4::uuid[], $5::bigint[], $6::text[])
            AS t (gate, epoch, sequence, rider, at, direction)
         LEFT JOIN core.place p ON p.rider = t.rider",
    )
    .bind(&ids.gates)
    .bind(&ids.epochs)
    .bind(&ids.sequences)
    .bind(&riders)
    .bind(&at)
    .bind(&directions)
    .execute(tx.sql())
    .await?;
    tx.count(TAPS, i64::try_from(taps.len()).unwrap_or(i64::MAX));
    Ok(())
}
