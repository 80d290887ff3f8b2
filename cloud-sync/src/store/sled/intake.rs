//! A batch of gates' records on its way in.

use std::collections::{BTreeMap, BTreeSet, btree_map};

use facegate_domain::Timestamp;
use facegate_domain::booth::Deed;
use facegate_domain::ids::{GateId, RecordId, RiderId};
use facegate_domain::intake::{Amount, Codes, Move, Place, Progress, Standing, moves, passage_of};
use facegate_domain::tap::{GateRecord, Passage, Tap};
use facegate_proto::v1;
use prost::Message;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::feed::publish;
use super::tx::{Tx, damaged, decode};
use super::{audit, key, risk, standing};
use crate::store::logged::Logged;
use crate::store::{Arrival, Conflict, ErasureReceipt, Intake, Mark, Rider, StoreError, UnknownPassage};

pub(super) const TAPS: &str = "taps";
pub(super) const INSIDE: &str = "inside";
pub(super) const UNKNOWN: &str = "unknown";
pub(super) const CONFLICTS: &str = "conflicts";
pub(super) const REPLAYS: &str = "replays";

/// How much of one journal is here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Arrived {
    pub gate: GateId,
    pub epoch: u32,
    /// All below are here.
    pub next: u64,
    /// The highest that was seen; at or above `next` only if there is a gap.
    pub highest: u64,
}

impl Arrived {
    const fn progress(&self) -> Progress {
        Progress { next: self.next, highest: self.highest }
    }

    pub fn arrival(&self) -> Arrival {
        Arrival::new(self.gate.clone(), self.epoch, self.next, self.highest)
    }

    pub fn mark(&self) -> Mark {
        Mark { gate: self.gate.clone(), epoch: self.epoch, next_sequence: self.next }
    }
}

/// A ride code that opened a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SpentNonce {
    pub authorisation: RecordId,
    pub at: Timestamp,
}

/// Reads and writes what the rules of [`facegate_domain::intake`] ask for and answer.
pub(super) fn take_in(tx: &mut Tx<'_>, records: &[GateRecord], now: Timestamp) -> Result<Intake, StoreError> {
    let (mut intake, mut new) = (Intake::default(), Vec::new());
    for record in records {
        let content = v1::GateRecord::from(record.clone()).encode_to_vec();
        match Standing::of(&content, tx.get_bytes(&key::record(&record.id))?.as_deref()) {
            Standing::New => {
                tx.put_bytes(key::record(&record.id), content);
                new.push(record);
            }
            Standing::Duplicate => intake.duplicates += 1,
            Standing::Conflict => {
                refuse(tx, record, &content, now)?;
                intake.conflicts.push(record.id.clone());
            }
        }
    }
    intake.new_records = new.len();
    arrive(tx, &new)?;
    spend(tx, &new)?;
    let (taps, before) = conclude(tx, &new)?;
    for step in moves(&taps, before, now) {
        follow(tx, &step)?;
    }
    risk::want_looks(tx, &taps, now)?;
    for deed in new.iter().filter_map(|record| Deed::of(record)) {
        audit::append(tx, &deed.actor, deed.action, &deed.subject, now)?;
    }
    intake.taps = taps;
    Ok(intake)
}

/// The taps that these records completed, stored, and where their riders were before them.
fn conclude(tx: &mut Tx<'_>, new: &[&GateRecord]) -> Result<(Vec<Tap>, BTreeMap<RiderId, Place>), StoreError> {
    let mut concerned = BTreeSet::new();
    for record in new {
        match passage_of(record) {
            Some((authorisation, passage)) => {
                tx.put(key::passage(&authorisation, record.id.sequence), &passage.outcome);
                concerned.insert(authorisation);
            }
            None => _ = concerned.insert(record.id.clone()),
        }
    }
    let (mut taps, mut before) = (Vec::new(), BTreeMap::new());
    for id in concerned {
        // A passage that came first waits: its authorisation concludes when it comes.
        let Some(authorisation) = load(tx, &id)? else { continue };
        match Amount::of(&authorisation, &passages(tx, &id)?, has_tap(tx, &authorisation)?) {
            Amount::Tap(tap) => {
                let known = match before.entry(tap.rider) {
                    btree_map::Entry::Occupied(known) => known.into_mut(),
                    btree_map::Entry::Vacant(unknown) => unknown.insert(place(tx, tap.rider)?),
                };
                let is_late = known.latest.as_ref().is_some_and(|(at, ..)| *at > tap.at);
                add_tap(tx, &tap, is_late)?;
                standing::rides(tx, &tap)?;
                taps.push(tap);
            }
            Amount::Unknown(tap) => keep_unknown(tx, tap)?,
            Amount::Nothing => {}
        }
    }
    Ok((taps, before))
}

/// Those that are known of an authorisation.
fn passages(tx: &Tx<'_>, authorisation: &RecordId) -> Result<Vec<Passage>, StoreError> {
    let mut known = Vec::new();
    for (k, v) in tx.scan(&key::passages(authorisation))? {
        let id = RecordId { sequence: u64::from_be_bytes(key::tail(&k)), ..authorisation.clone() };
        let record = load(tx, &id)?.as_ref().and_then(passage_of);
        // If the disk lost it, the gate is asked for it once more; its outcome is known all the same.
        let outcome_alone = || Ok::<_, StoreError>(Passage::new(authorisation.sequence, decode(&k, &v)?));
        known.push(record.map_or_else(outcome_alone, |(_, passage)| Ok(passage))?);
    }
    Ok(known)
}

fn has_tap(tx: &Tx<'_>, authorisation: &GateRecord) -> Result<bool, StoreError> {
    let Some(tap) = Tap::once_passed(authorisation) else { return Ok(false) };
    tx.contains(&key::tap(tap.rider, tap.at, &tap.id))
}

fn keep_unknown(tx: &mut Tx<'_>, tap: Tap) -> Result<(), StoreError> {
    let key = key::unknown(&tap.id);
    if !tx.contains(&key)? {
        tx.put(key, &UnknownPassage { authorisation: tap.id, rider: tap.rider, station: tap.station, at: tap.at });
        tx.count(UNKNOWN, 1)?;
    }
    Ok(())
}

/// An entry that comes after a later tap is kept without its direction: what was settled may change at once, as by an exit.
fn add_tap(tx: &mut Tx<'_>, tap: &Tap, is_late: bool) -> Result<(), StoreError> {
    if tx.contains(&key::unknown(&tap.id))? {
        tx.remove(key::unknown(&tap.id));
        tx.count(UNKNOWN, -1)?;
    }
    tx.put(key::tap(tap.rider, tap.at, &tap.id), tap);
    tx.put(key::open(tap.rider, tap.at, &tap.id), &(!is_late).then_some(tap.direction));
    tx.count(TAPS, 1)?;
    Ok(())
}

/// What is known of the rider's whereabouts.
fn place(tx: &Tx<'_>, rider: RiderId) -> Result<Place, StoreError> {
    let known = tx.get::<Rider>(&key::rider(rider))?;
    let withdrawal = known.as_ref().and_then(|rider| rider.withdrawal).map(key::erasure);
    let receipt: Option<ErasureReceipt> = withdrawal.map(|key| tx.get(&key)).transpose()?.flatten();
    let latest: Option<Tap> = tx.last(&key::taps(rider))?.map(|(k, v)| decode(&k, &v)).transpose()?;
    let latest = latest.map(|tap| (tap.at, tap.id, tap.direction));
    Ok(Place {
        latest,
        inside: tx.contains(&key::inside(rider))?,
        silent_until: receipt.map(|receipt| receipt.requested_at),
        erased: known.is_some_and(|rider| rider.erasure.is_some()),
    })
}

fn follow(tx: &mut Tx<'_>, step: &Move) -> Result<(), StoreError> {
    let (told, more_inside) = Logged::of_move(step);
    if told.is_empty() {
        return Ok(());
    }
    match step.after.entry() {
        Some(entry) => tx.put(key::inside(step.rider), entry),
        None => tx.remove(key::inside(step.rider)),
    }
    tx.count(INSIDE, more_inside)?;
    told.iter().try_for_each(|change| publish(tx, change).map(drop))
}

pub(super) fn leave(tx: &mut Tx<'_>, rider: RiderId, entry: RecordId) -> Result<(), StoreError> {
    tx.remove(key::inside(rider));
    tx.count(INSIDE, -1)?;
    publish(tx, &Logged::LeftSystem { rider, entry })?;
    Ok(())
}

/// Every station learns that a code is spent. One that opened a second gate, while a station was cut off, is kept.
fn spend(tx: &mut Tx<'_>, new: &[&GateRecord]) -> Result<(), StoreError> {
    let Codes { first, mut again } = Codes::of(new.iter().copied());
    for (nonce, record) in first {
        if tx.contains(&key::nonce(nonce))? {
            again.push((nonce, &record.id));
            continue;
        }
        let at = record.stamp.wall;
        tx.put(key::nonce(nonce), &SpentNonce { authorisation: record.id.clone(), at });
        publish(tx, &Logged::CodeNonceSpent { nonce, issued_at: at })?;
    }
    for (nonce, id) in again {
        let key = key::nonce(nonce);
        let spent: SpentNonce = tx.get(&key)?.ok_or_else(|| damaged(&key, "gone"))?;
        tx.put(key::replay(id), &spent.authorisation);
        tx.count(REPLAYS, 1)?;
    }
    Ok(())
}

fn refuse(tx: &mut Tx<'_>, record: &GateRecord, content: &[u8], now: Timestamp) -> Result<(), StoreError> {
    let key = key::conflict(&record.id, &Sha256::digest(content).into());
    if !tx.contains(&key)? {
        tx.put(key, &Conflict { refused: record.clone(), refused_at: now });
        tx.count(CONFLICTS, 1)?;
    }
    Ok(())
}

fn arrive(tx: &mut Tx<'_>, new: &[&GateRecord]) -> Result<(), StoreError> {
    let mut journals: BTreeMap<(&GateId, u32), BTreeSet<u64>> = BTreeMap::new();
    for RecordId { gate, epoch, sequence } in new.iter().map(|record| &record.id) {
        journals.entry((gate, *epoch)).or_default().insert(*sequence);
    }
    for ((gate, epoch), sequences) in journals {
        let key = key::journal(gate, epoch);
        let before = tx.get::<Arrived>(&key)?.map(|arrived| arrived.progress());
        let mut progress = before.unwrap_or_default();
        progress.note(&sequences);
        // What came early closes the gap together with what has come now.
        let here = |sequence| key::record(&RecordId { gate: gate.clone(), epoch, sequence });
        while progress.has_gap() && tx.contains(&here(progress.next))? {
            progress.close_gap([progress.next]);
        }
        let Progress { next, highest } = progress;
        tx.put(key, &Arrived { gate: gate.clone(), epoch, next, highest });
    }
    Ok(())
}

pub(super) fn load(tx: &Tx<'_>, id: &RecordId) -> Result<Option<GateRecord>, StoreError> {
    let key = key::record(id);
    let Some(bytes) = tx.get_bytes(&key)? else { return Ok(None) };
    let wire = v1::GateRecord::decode(bytes.as_slice()).map_err(|error| damaged(&key, error))?;
    GateRecord::try_from(wire).map(Some).map_err(|error| damaged(&key, error))
}
