//! Is everything here that the gates wrote? What the end-of-day audit reads and writes.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::ids::{GateId, RecordId, StationId};
use facegate_domain::journal_audit::{GateDay, JournalRange, Line, LineEntry, Span};
use facegate_domain::tap::{GateRecord, RecordBody};
use facegate_proto::v1;
use jiff::civil::Date;
use prost::Message;
use serde::{Deserialize, Serialize};

use super::StoreError;

/// How much of one journal is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    pub gate: GateId,
    pub epoch: u32,
    /// All below are here, as far as is known: the audit looks.
    pub next_sequence: u64,
    /// One beyond the highest that ever came; 0 if none did.
    pub end: u64,
}

impl Arrival {
    /// From the next sequence that is missing and the highest that was seen; both are 0 if nothing has come.
    pub(super) fn new(gate: GateId, epoch: u32, next_sequence: u64, highest: u64) -> Self {
        let end = if (next_sequence, highest) == (0, 0) { 0 } else { highest.saturating_add(1) };
        Self { gate, epoch, next_sequence, end: end.max(next_sequence) }
    }
}

/// What the audit needs of a record as it is kept.
pub(super) fn line_of(content: &[u8]) -> Result<Line, String> {
    let wire = v1::GateRecord::decode(content).map_err(|error| error.to_string())?;
    let record = GateRecord::try_from(wire).map_err(|error| error.to_string())?;
    let entry = match record.body {
        RecordBody::Authorisation(_) => LineEntry::Authorisation,
        RecordBody::GateOpened(_) => LineEntry::GateOpened,
        RecordBody::Passage(passage) => {
            LineEntry::Passage { authorisation: passage.authorisation, outcome: passage.outcome }
        }
    };
    Ok(Line { sequence: record.id.sequence, at: record.stamp.wall, entry })
}

/// What a gate or its station said last on a day: it had written all sequences below.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalWord {
    pub gate: GateId,
    pub epoch: u32,
    pub day: Date,
    pub next_sequence: u64,
}

/// Records that were asked for once more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    pub range: JournalRange,
    pub asked_at: Timestamp,
    /// When gate and station said that they do not hold them.
    pub lost_at: Option<Timestamp>,
}

/// One journal's day as it was found, for good. What is found differently later is the next revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditedDay {
    /// From 1.
    pub revision: u32,
    pub found_at: Timestamp,
    pub found: GateDay,
}

/// A record stamped later than the moment at which it came: taken, since nothing may be lost, and listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkewedRecord {
    pub record: RecordId,
    pub station: StationId,
    pub stamped: Timestamp,
    pub received: Timestamp,
}

#[async_trait]
pub trait JournalAuditStore {
    /// All journals of which a record has come or a word was heard, of one gate or of all.
    async fn arrivals(&self, gate: Option<&GateId>) -> Result<Vec<Arrival>, StoreError>;

    /// At most `max` records of a journal from sequence `from` on, in order.
    async fn journal_lines(&self, gate: &GateId, epoch: u32, from: u64, max: usize) -> Result<Vec<Line>, StoreError>;

    /// At most `max` of the gaps between a journal's mark and sequence `before`.
    async fn missing_spans(&self, gate: &GateId, epoch: u32, before: u64, max: usize) -> Result<Vec<Span>, StoreError>;

    /// The audit has not found this sequence, so the journal's mark is lowered to it.
    async fn lower_mark(&self, gate: &GateId, epoch: u32, first_missing: u64) -> Result<(), StoreError>;

    /// Keeps the furthest word of each journal and day.
    async fn note_words(&self, words: Vec<JournalWord>) -> Result<(), StoreError>;

    /// By day.
    async fn words(&self, gate: &GateId, epoch: u32) -> Result<Vec<JournalWord>, StoreError>;

    /// Notes what was asked for, or that it is lost. The later of two notes on the same range stands.
    async fn note_wanted(&self, wanted: Vec<Wanted>) -> Result<(), StoreError>;

    async fn wanted(&self, gate: &GateId, epoch: u32) -> Result<Vec<Wanted>, StoreError>;

    /// Stores what was found of a day, unless that is what the latest revision says. Gives the new revision.
    async fn put_audit(&self, found: GateDay, now: Timestamp) -> Result<Option<u32>, StoreError>;

    /// All revisions of a journal's days from `since` on, by day and revision.
    async fn audited(&self, gate: &GateId, epoch: u32, since: Date) -> Result<Vec<AuditedDay>, StoreError>;

    /// Lists records from the future; one that is listed stays as it is.
    async fn note_skewed(&self, records: Vec<SkewedRecord>) -> Result<(), StoreError>;

    async fn skewed(&self, max: usize) -> Result<Vec<SkewedRecord>, StoreError>;
}
