//! One record of a gate's journal on its way in. Nothing here depends on the order in which records arrive, nor on how
//! often.

use facegate_domain::Timestamp;
use facegate_domain::ids::{GateId, RecordId, RiderId};
use facegate_domain::tap::{Evidence, GateRecord, PassageOutcome, RecordBody, Tap};
use facegate_proto::v1;
use prost::Message;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::feed::publish;
use super::key;
use super::tx::{Tx, damaged, decode};
use crate::store::logged::Logged;
use crate::store::taps::says_inside;
use crate::store::{Arrival, Conflict, Intake, Mark, Rider, StoreError, UnknownPassage};

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

pub(super) fn take_in(
    tx: &mut Tx<'_>,
    record: &GateRecord,
    now: Timestamp,
    intake: &mut Intake,
) -> Result<(), StoreError> {
    let content = v1::GateRecord::from(record.clone()).encode_to_vec();
    match tx.get_bytes(&key::record(&record.id))? {
        Some(stored) if stored == content => intake.duplicates += 1,
        Some(_) => {
            refuse(tx, record, &content, now)?;
            intake.conflicts.push(record.id.clone());
        }
        None => {
            intake.new_records += 1;
            tx.put_bytes(key::record(&record.id), content);
            arrive(tx, &record.id)?;
            apply(tx, record, now, intake)?;
        }
    }
    Ok(())
}

fn apply(tx: &mut Tx<'_>, record: &GateRecord, now: Timestamp, intake: &mut Intake) -> Result<(), StoreError> {
    let authorisation = match &record.body {
        RecordBody::Authorisation(granted) => {
            if let Evidence::Code { nonce, .. } = granted.evidence {
                spend(tx, nonce, record)?;
            }
            record.clone()
        }
        RecordBody::Passage(passage) => {
            let authorisation = RecordId { sequence: passage.authorisation, ..record.id.clone() };
            tx.put(key::passage(&authorisation, record.id.sequence), &passage.outcome);
            match load(tx, &authorisation)? {
                Some(authorisation) => authorisation,
                // It comes later, and concludes then.
                None => return Ok(()),
            }
        }
    };
    intake.taps.extend(conclude(tx, &authorisation, now)?);
    Ok(())
}

/// What all passages known of an authorisation amount to: a tap if any was seen, else unknown if any says so.
fn conclude(tx: &mut Tx<'_>, authorisation: &GateRecord, now: Timestamp) -> Result<Option<Tap>, StoreError> {
    let RecordBody::Authorisation(granted) = &authorisation.body else { return Ok(None) };
    if tx.contains(&key::tap(granted.rider, authorisation.stamp.wall, &authorisation.id))? {
        return Ok(None);
    }
    let mut unknown = false;
    for (k, v) in tx.scan(&key::passages(&authorisation.id))? {
        let outcome: PassageOutcome = decode(&k, &v)?;
        unknown |= outcome == PassageOutcome::Unknown;
        if outcome != PassageOutcome::Passed {
            continue;
        }
        let passage = RecordId { sequence: u64::from_be_bytes(key::tail(&k)), ..authorisation.id.clone() };
        let passage = load(tx, &passage)?.ok_or_else(|| damaged(&k, "the passage's record is gone"))?;
        let tap = Tap::join(authorisation, &passage).ok_or_else(|| damaged(&k, "not a passage of this"))?;
        add_tap(tx, &tap, now)?;
        return Ok(Some(tap));
    }
    let key = key::unknown(&authorisation.id);
    if unknown && !tx.contains(&key)? {
        let (id, station) = (authorisation.id.clone(), authorisation.station.clone());
        let at = authorisation.stamp.wall;
        tx.put(key, &UnknownPassage { authorisation: id, rider: granted.rider, station, at });
        tx.count(UNKNOWN, 1)?;
    }
    Ok(None)
}

fn add_tap(tx: &mut Tx<'_>, tap: &Tap, now: Timestamp) -> Result<(), StoreError> {
    if tx.contains(&key::unknown(&tap.id))? {
        tx.remove(key::unknown(&tap.id));
        tx.count(UNKNOWN, -1)?;
    }
    tx.put(key::tap(tap.rider, tap.at, &tap.id), tap);
    tx.put(key::open(tap.rider, tap.at, &tap.id), &tap.direction);
    tx.count(TAPS, 1)?;
    place(tx, tap.rider, now)
}

/// Inside or outside is what the rider's latest tap says, however late the others arrive.
fn place(tx: &mut Tx<'_>, rider: RiderId, now: Timestamp) -> Result<(), StoreError> {
    let erased = tx.get::<Rider>(&key::rider(rider))?.is_some_and(|rider| rider.erasure.is_some());
    let latest: Option<Tap> = tx.last(&key::taps(rider))?.map(|(k, v)| decode(&k, &v)).transpose()?;
    let entry = latest.filter(|tap| !erased && says_inside(tap.direction, tap.at, now)).map(|tap| tap.id);
    let before: Option<RecordId> = tx.get(&key::inside(rider))?;
    if before == entry {
        return Ok(());
    }
    if let Some(before) = before {
        leave(tx, rider, before)?;
    }
    if let Some(entry) = entry {
        tx.put(key::inside(rider), &entry);
        tx.count(INSIDE, 1)?;
        publish(tx, &Logged::EnteredSystem { rider, entry })?;
    }
    Ok(())
}

pub(super) fn leave(tx: &mut Tx<'_>, rider: RiderId, entry: RecordId) -> Result<(), StoreError> {
    tx.remove(key::inside(rider));
    tx.count(INSIDE, -1)?;
    publish(tx, &Logged::LeftSystem { rider, entry })?;
    Ok(())
}

/// Every station learns that the code is spent. One that opened a second gate, while a station was cut off, is kept.
fn spend(tx: &mut Tx<'_>, nonce: [u8; 8], record: &GateRecord) -> Result<(), StoreError> {
    let at = record.stamp.wall;
    match tx.get::<SpentNonce>(&key::nonce(nonce))? {
        Some(spent) => {
            tx.put(key::replay(&record.id), &spent.authorisation);
            tx.count(REPLAYS, 1)?;
        }
        None => {
            tx.put(key::nonce(nonce), &SpentNonce { authorisation: record.id.clone(), at });
            publish(tx, &Logged::CodeNonceSpent { nonce, issued_at: at })?;
        }
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

fn arrive(tx: &mut Tx<'_>, id: &RecordId) -> Result<(), StoreError> {
    let key = key::journal(&id.gate, id.epoch);
    let mut arrived = tx.get::<Arrived>(&key)?.unwrap_or_else(|| Arrived {
        gate: id.gate.clone(),
        epoch: id.epoch,
        next: 0,
        highest: 0,
    });
    arrived.highest = arrived.highest.max(id.sequence);
    // What came early closes the gap together with this one.
    while arrived.next <= arrived.highest
        && tx.contains(&key::record(&RecordId { sequence: arrived.next, ..id.clone() }))?
    {
        arrived.next += 1;
    }
    tx.put(key, &arrived);
    Ok(())
}

pub(super) fn load(tx: &Tx<'_>, id: &RecordId) -> Result<Option<GateRecord>, StoreError> {
    let key = key::record(id);
    let Some(bytes) = tx.get_bytes(&key)? else { return Ok(None) };
    let wire = v1::GateRecord::decode(bytes.as_slice()).map_err(|error| damaged(&key, error))?;
    GateRecord::try_from(wire).map(Some).map_err(|error| damaged(&key, error))
}
