//! Taking in the gates' journals: each record once, in order, on the disk before it is acknowledged.

mod plan;

use std::collections::BTreeMap;
use std::time::Duration;

use facegate_domain::ids::{GateId, RecordId};
use facegate_domain::journal_audit::JournalRange;
use facegate_domain::tap::{Evidence, GateRecord, GateStamp, RecordBody};
use facegate_proto::v1;
use facegate_runtime::journal::Journal;
use prost::Message;
use tokio::sync::Mutex;

use crate::metrics;
use crate::station::{Station, StationError};
use crate::store::{IndexUpdate, JournalKey, Store, StoreError};

pub use plan::Counts;
use plan::{Incoming, Plan};

/// Records of one call; a gate sends a few hundred.
const RECORDS_MAX: usize = 10_000;
/// How far a gate's clock may be ahead before it is worth an alarm.
const CLOCK_AHEAD_MAX: Duration = Duration::from_secs(300);
/// Records that are read at a time when the index is completed after a start.
const REINDEX_RECORDS: usize = 1024;

/// Serialises the intake, so that a record is looked up, stored and indexed before the next is looked at. Gates hand
/// over batches, so one at a time is far more than a station's gates can fill.
#[derive(Debug)]
pub struct Intake {
    one_at_a_time: Mutex<()>,
}

impl Intake {
    /// Completes the index with what a crash left in the journal only. Blocks.
    pub fn open(store: &Store, journal: &Journal, code_memory: Duration) -> Result<Self, StationError> {
        let mut from = store.journals.indexed()?.max(journal.first_index());
        while from < journal.next_index() {
            let mut update = IndexUpdate { indexed: from, ..IndexUpdate::default() };
            let mut marks = BTreeMap::<JournalKey, u64>::new();
            for (index, payload) in journal.read(from, REINDEX_RECORDS)? {
                let incoming = read(payload)?;
                let sequence = incoming.record.id.sequence;
                // A record may be here a second time, since the cloud lacked it: the mark stays where it was.
                let mark = match marks.get(&incoming.journal) {
                    Some(mark) => *mark,
                    None => store.journals.mark(&incoming.journal)?.unwrap_or(0),
                };
                marks.insert(incoming.journal.clone(), mark.max(sequence + 1));
                learn(store, &incoming.record, code_memory)?;
                update.records.push((incoming.journal, sequence, index, incoming.hash));
                update.indexed = index + 1;
            }
            update.marks.extend(marks);
            store.journals.index(&update)?;
            from = update.indexed;
        }
        Ok(Self { one_at_a_time: Mutex::new(()) })
    }
}

/// Takes a batch from `gate`. Answers how far each journal in it has arrived; all below is durable here.
///
/// A record already stored is acknowledged again. One that was stored with another content is reported as a conflict
/// and changes nothing. One after a gap is left to be sent again, after what is missing.
///
/// What the cloud lacks and this station has asked for is taken a second time, wherever in the journal it belongs.
pub async fn deliver(
    station: &Station,
    gate: &GateId,
    request: v1::DeliverRequest,
) -> Result<v1::DeliverResponse, StationError> {
    if request.records.len() > RECORDS_MAX {
        return Err(StationError::BatchTooLarge { records: request.records.len(), max: RECORDS_MAX });
    }
    let not_held: Vec<JournalRange> = request.not_held.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
    let incoming = check(station, gate, request.records)?;
    watch_clock(station, gate, &incoming);
    let _turn = station.intake.one_at_a_time.lock().await;
    let journals = &station.store.journals;
    for key in incoming.iter().map(|i| &i.journal) {
        let issued = journals.epoch(gate)?;
        if key.epoch > issued {
            return Err(StationError::UnknownEpoch { gate: gate.clone(), epoch: key.epoch, issued });
        }
    }
    let plan = Plan::make(&incoming, journals, &station.refetch)?;
    metrics::intake(&plan.counts);
    for id in &plan.conflicts {
        tracing::error!(record = %id, "a record came with another content than before; the first stands: find out which is true");
    }
    let taken = || plan.accepted.iter().chain(&plan.again);
    if taken().next().is_some() {
        let payloads = taken().map(|&i| incoming[i].payload.clone()).collect();
        // Those that come again follow the others, so that the index of the others is simply counted.
        let stored = station.journal.append_all(payloads).await?;
        let accepted = plan.accepted.iter().map(|&i| &incoming[i]);
        for one in accepted.clone() {
            learn(&station.store, &one.record, station.config.code_memory)?;
        }
        let records = accepted.zip(stored.start..);
        let records =
            records.map(|(one, index)| (one.journal.clone(), one.record.id.sequence, index, one.hash)).collect();
        let marks = plan.marks.iter().map(|(journal, next)| (journal.clone(), *next)).collect();
        journals.index(&IndexUpdate { records, marks, indexed: stored.end })?;
    }
    for one in plan.again.iter().map(|&i| &incoming[i]) {
        station.refetch.came(&one.journal, one.record.id.sequence);
    }
    station.refetch.not_held(gate, not_held);
    let mark = |(journal, next_sequence): (JournalKey, u64)| v1::JournalMark {
        gate: journal.gate.into(),
        epoch: journal.epoch,
        next_sequence,
    };
    Ok(v1::DeliverResponse {
        marks: plan.marks.into_iter().map(mark).collect(),
        conflicts: plan.conflicts.into_iter().map(Into::into).collect(),
    })
}

/// Writes records of the station's own recorder, durable when this returns. `bodies` gets the sequence of the first.
pub async fn write(
    station: &Station,
    recorder: &GateId,
    epoch: u32,
    bodies: impl FnOnce(u64) -> Vec<RecordBody>,
) -> Result<(), StationError> {
    let _turn = station.intake.one_at_a_time.lock().await;
    let (journals, journal) = (&station.store.journals, JournalKey { gate: recorder.clone(), epoch });
    let first = journals.mark(&journal)?.unwrap_or(0);
    let stamp = GateStamp { wall: station.clock.now(), monotonic_ms: station.clock.monotonic_ms() };
    let record = |(sequence, body)| {
        let id = RecordId { gate: recorder.clone(), epoch, sequence };
        let record = GateRecord { id, station: station.config.station.clone(), stamp, body };
        let payload = v1::GateRecord::from(record.clone()).encode_to_vec();
        Incoming::new(record, payload)
    };
    let written: Vec<Incoming> = (first..).zip(bodies(first)).map(record).collect();
    let stored = station.journal.append_all(written.iter().map(|one| one.payload.clone()).collect()).await?;
    written.iter().try_for_each(|one| learn(&station.store, &one.record, station.config.code_memory))?;
    let next = first + written.len() as u64;
    let records = written.into_iter().zip(stored.start..);
    let records = records.map(|(one, index)| (one.journal, one.record.id.sequence, index, one.hash)).collect();
    Ok(journals.index(&IndexUpdate { records, marks: vec![(journal, next)], indexed: stored.end })?)
}

/// A record is taken whatever its clock says, since nothing may be lost; but somebody should set that clock.
fn watch_clock(station: &Station, gate: &GateId, incoming: &[Incoming]) {
    let latest = station.clock.now().plus(CLOCK_AHEAD_MAX);
    let ahead: Vec<_> = incoming.iter().filter(|one| one.record.stamp.wall > latest).collect();
    ahead.iter().for_each(|_| metrics::from_the_future());
    if let Some(last) = ahead.last() {
        let ahead_s = last.record.stamp.wall.since(station.clock.now()).as_secs();
        tracing::error!(%gate, record = %last.record.id, ahead_s, "a record is stamped later than now: set the gate's clock");
    }
}

/// A gate hands over its own records of this station only.
fn check(station: &Station, gate: &GateId, records: Vec<v1::GateRecord>) -> Result<Vec<Incoming>, StationError> {
    let not_the_senders =
        |what, given: String, expected: String| Err(StationError::NotTheSenders { what, given, expected });
    let mut incoming = Vec::with_capacity(records.len());
    for wire in records {
        let record: GateRecord = wire.clone().try_into()?;
        if record.id.gate != *gate {
            return not_the_senders("gate", record.id.gate.into(), format!("gate `{gate}`"));
        }
        if record.station != station.config.station {
            let expected = format!("a gate of station `{}`", station.config.station);
            return not_the_senders("station", record.station.into(), expected);
        }
        if is_of_a_booth(&record) {
            return not_the_senders(
                "act",
                record.id.to_string(),
                "a gate, which writes no booth's records,".to_owned(),
            );
        }
        incoming.push(Incoming::new(record, wire.encode_to_vec()));
    }
    Ok(incoming)
}

/// A record as the station's own journal holds it.
fn read(payload: Vec<u8>) -> Result<Incoming, StationError> {
    let wire =
        v1::GateRecord::decode(payload.as_slice()).map_err(|_| StoreError::Damaged { what: "journal record" })?;
    Ok(Incoming::new(wire.try_into()?, payload))
}

/// An attendant's word, which no gate may give.
fn is_of_a_booth(record: &GateRecord) -> bool {
    match &record.body {
        RecordBody::Authorisation(granted) => matches!(granted.evidence, Evidence::Booth { .. }),
        RecordBody::GateOpened(_) => true,
        RecordBody::Passage(_) => false,
    }
}

/// A code that opened a gate is spent, also when the gate could not ask at the time; and the booth's page knows what was done
/// there, and whom a gate let through since.
fn learn(store: &Store, record: &GateRecord, memory: Duration) -> Result<(), StoreError> {
    if let RecordBody::Authorisation(granted) = &record.body
        && let Evidence::Code { nonce, .. } = granted.evidence
    {
        store.codes.learn(nonce, record.stamp.wall, memory)?;
    }
    store.booth.learn(record)
}
