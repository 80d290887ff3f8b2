//! A batch of a station's records on its way in, in few statements. The rows of its journals are locked first: records
//! of one journal come in one batch after the other, so an authorisation always meets its passage.

use std::collections::{BTreeSet, HashMap};

use facegate_domain::Timestamp;
use facegate_domain::booth::Deed;
use facegate_domain::ids::{GateId, RecordId};
use facegate_domain::intake::{Codes, Standing};
use facegate_domain::tap::GateRecord;
use facegate_proto::v1;
use prost::Message;
use sha2::{Digest, Sha256};

use super::conclude::conclude;
use super::error::Trouble;
use super::journal::Journals;
use super::overview::{CONFLICTS, REPLAYS};
use super::tx::Tx;
use super::values::{IdColumns, json, record_of};
use super::{audit, place, risk, standing};
use crate::store::logged::Logged;
use crate::store::{Conflict, Intake, StoreError};

/// Records with their content as it is kept.
#[derive(Debug)]
pub(super) struct Batch {
    records: Vec<(GateRecord, Vec<u8>)>,
}

impl Batch {
    /// Errors: `BeyondRange` for a sequence that no journal can have.
    pub fn of(records: Vec<GateRecord>) -> Result<Self, StoreError> {
        let with_content = |record: GateRecord| {
            super::values::sequence(&record.id)?;
            let content = v1::GateRecord::from(record.clone()).encode_to_vec();
            Ok((record, content))
        };
        Ok(Self { records: records.into_iter().map(with_content).collect::<Result<_, StoreError>>()? })
    }

    fn journals(&self) -> BTreeSet<(GateId, u32)> {
        self.records.iter().map(|(record, _)| (record.id.gate.clone(), record.id.epoch)).collect()
    }
}

pub(super) async fn take_in(tx: &mut Tx, batch: &Batch, now: Timestamp) -> Result<Intake, Trouble> {
    let mut journals = Journals::lock(tx, &batch.journals()).await?;
    let mut intake = Intake::default();
    let (new, refused) = sort(tx, batch, &journals, &mut intake).await?;
    refuse(tx, &refused, now).await?;
    intake.new_records = new.len();
    if !new.is_empty() {
        insert(tx, &new).await?;
        journals.arrived(tx, new.iter().map(|(record, _)| &record.id)).await?;
        let mut changes = spend(tx, &new).await?;
        intake.taps = conclude(tx, new.iter().map(|(record, _)| record)).await?;
        standing::ride(tx, &intake.taps).await?;
        risk::want_looks(tx, &intake.taps, now).await?;
        changes.extend(place::move_riders(tx, &intake.taps, now).await?);
        for deed in new.iter().filter_map(|(record, _)| Deed::of(record)) {
            audit::append(tx, &deed.actor, deed.action, &deed.subject, now).await?;
        }
        if !changes.is_empty() {
            tx.publish(&changes).await?;
        }
    }
    intake.marks = journals.marks();
    Ok(intake)
}

type Records<'b> = Vec<&'b (GateRecord, Vec<u8>)>;

/// What is new, and what is here already with another content; the rest is counted as duplicates.
async fn sort<'b>(
    tx: &mut Tx,
    batch: &'b Batch,
    journals: &Journals,
    intake: &mut Intake,
) -> Result<(Records<'b>, Records<'b>), Trouble> {
    let perhaps_here = batch.records.iter().map(|(record, _)| &record.id).filter(|id| journals.may_have(id));
    let stored = contents(tx, perhaps_here).await?;
    let mut kept: HashMap<&RecordId, &[u8]> = stored.iter().map(|(id, content)| (id, content.as_slice())).collect();
    let (mut new, mut refused) = (Vec::new(), Vec::new());
    for numbered @ (record, content) in &batch.records {
        match Standing::of(content, kept.get(&record.id).copied()) {
            Standing::New => {
                kept.insert(&record.id, content);
                new.push(numbered);
            }
            Standing::Duplicate => intake.duplicates += 1,
            Standing::Conflict => {
                intake.conflicts.push(record.id.clone());
                refused.push(numbered);
            }
        }
    }
    Ok((new, refused))
}

/// Of those records that are here, what is kept of them.
pub(super) async fn contents<'i>(
    tx: &mut Tx,
    ids: impl Iterator<Item = &'i RecordId>,
) -> Result<HashMap<RecordId, Vec<u8>>, Trouble> {
    let ids = IdColumns::of(ids)?;
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(String, i64, i64, Vec<u8>)> = sqlx::query_as(
        "SELECT r.gate, r.epoch, r.sequence, r.content
         FROM UNNEST($1::text[], $2::bigint[], $3::bigint[]) AS t (gate, epoch, sequence)
         JOIN core.record r ON r.gate = t.gate AND r.epoch = t.epoch AND r.sequence = t.sequence",
    )
    .bind(&ids.gates)
    .bind(&ids.epochs)
    .bind(&ids.sequences)
    .fetch_all(tx.sql())
    .await?;
    let content = |(gate, epoch, sequence, content)| Ok((record_of(gate, epoch, sequence)?, content));
    Ok(rows.into_iter().map(content).collect::<Result<_, StoreError>>()?)
}

async fn insert(tx: &mut Tx, new: &[&(GateRecord, Vec<u8>)]) -> Result<(), Trouble> {
    let ids = IdColumns::of(new.iter().map(|(record, _)| &record.id))?;
    let contents: Vec<&[u8]> = new.iter().map(|(_, content)| content.as_slice()).collect();
    sqlx::query(
        "INSERT INTO core.record (gate, epoch, sequence, content)
         SELECT * FROM UNNEST($1::text[], $2::bigint[], $3::bigint[], $4::bytea[])",
    )
    .bind(&ids.gates)
    .bind(&ids.epochs)
    .bind(&ids.sequences)
    .bind(&contents)
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// The first stands; what came with the same id is kept for whoever looks into the alarm.
async fn refuse(tx: &mut Tx, refused: &[&(GateRecord, Vec<u8>)], now: Timestamp) -> Result<(), Trouble> {
    for (record, content) in refused {
        let sha256: [u8; 32] = Sha256::digest(content).into();
        let kept = sqlx::query(
            "INSERT INTO core.conflict (gate, epoch, sequence, sha256, body) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT DO NOTHING",
        )
        .bind(record.id.gate.as_str())
        .bind(i64::from(record.id.epoch))
        .bind(super::values::sequence(&record.id)?)
        .bind(sha256.as_slice())
        .bind(json(&Conflict { refused: record.clone(), refused_at: now }))
        .execute(tx.sql())
        .await?;
        tx.count(CONFLICTS, i64::from(kept.rows_affected() == 1));
    }
    Ok(())
}

/// Every station learns that a code is spent. One that opened a second gate, while a station was cut off, is kept.
async fn spend(tx: &mut Tx, new: &[&(GateRecord, Vec<u8>)]) -> Result<Vec<Logged>, Trouble> {
    let Codes { first, mut again } = Codes::of(new.iter().map(|(record, _)| record));
    if first.is_empty() {
        return Ok(Vec::new());
    }
    let ids = IdColumns::of(first.values().map(|record| &record.id))?;
    let nonces: Vec<&[u8]> = first.keys().map(<[u8; 8]>::as_slice).collect();
    let at: Vec<i64> = first.values().map(|record| record.stamp.wall.unix_ms()).collect();
    let spent: Vec<Vec<u8>> = sqlx::query_scalar(
        "INSERT INTO core.nonce (nonce, gate, epoch, sequence, at)
         SELECT * FROM UNNEST($1::bytea[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])
         ON CONFLICT (nonce) DO NOTHING RETURNING nonce",
    )
    .bind(&nonces)
    .bind(&ids.gates)
    .bind(&ids.epochs)
    .bind(&ids.sequences)
    .bind(&at)
    .fetch_all(tx.sql())
    .await?;
    let spent: BTreeSet<Vec<u8>> = spent.into_iter().collect();
    let mut changes = Vec::with_capacity(spent.len());
    for (nonce, record) in &first {
        if spent.contains(nonce.as_slice()) {
            changes.push(Logged::CodeNonceSpent { nonce: *nonce, issued_at: record.stamp.wall });
        } else {
            again.push((*nonce, &record.id));
        }
    }
    keep_replays(tx, &again).await?;
    Ok(changes)
}

async fn keep_replays(tx: &mut Tx, again: &[([u8; 8], &RecordId)]) -> Result<(), Trouble> {
    if again.is_empty() {
        return Ok(());
    }
    let ids = IdColumns::of(again.iter().map(|(_, id)| *id))?;
    let nonces: Vec<&[u8]> = again.iter().map(|(nonce, _)| nonce.as_slice()).collect();
    sqlx::query(
        "INSERT INTO core.replay (gate, epoch, sequence, nonce)
         SELECT * FROM UNNEST($1::text[], $2::bigint[], $3::bigint[], $4::bytea[])",
    )
    .bind(&ids.gates)
    .bind(&ids.epochs)
    .bind(&ids.sequences)
    .bind(&nonces)
    .execute(tx.sql())
    .await?;
    tx.count(REPLAYS, i64::try_from(again.len()).unwrap_or(i64::MAX));
    Ok(())
}
