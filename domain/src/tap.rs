//! What a gate writes down: authorisations, passages, and the tap that the two make together.

use serde::{Deserialize, Serialize};

use crate::booth::{BoothAct, GateOpened};
use crate::clock::Timestamp;
use crate::gate::GateMode;
use crate::ids::{RecordId, RiderId, StationId};
use crate::score::{Similarity, Tier};

/// Which way the rider passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Entry,
    Exit,
}

impl Direction {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Entry => "entry",
            Self::Exit => "exit",
        }
    }
}

/// What the rider showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Medium {
    Face,
    Code,
    /// Nothing that a gate saw: an attendant wrote it down.
    Booth,
}

impl Medium {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Face => "face",
            Self::Code => "code",
            Self::Booth => "booth",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Face, Self::Code, Self::Booth].into_iter().find(|medium| medium.name() == name)
    }
}

/// The gate's two clocks at the moment of a record; the monotonic one tells a jump of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateStamp {
    pub wall: Timestamp,
    /// Milliseconds since the gate process started its clock.
    pub monotonic_ms: u64,
}

/// Why the rider was let through: kept with the record, so that a disputed charge can be looked into.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Evidence {
    Face {
        similarity: Similarity,
        tier: Tier,
        /// 1 − posterior at the moment of the decision.
        risk: f64,
        frames: u32,
    },
    Code {
        /// Identity of the presented code; one code opens one gate once.
        nonce: [u8; 8],
        /// False when the station could not be asked about replay and deny list (offline rule).
        checked_online: bool,
        /// In an aisle that asks for both: how like the face was to the rider whom the code names.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        face: Option<Similarity>,
    },
    /// An attendant's word for where and when he came in or went out.
    Booth { act: BoothAct, station: StationId, at: Timestamp },
}

impl Evidence {
    pub const fn medium(&self) -> Medium {
        match self {
            Self::Face { .. } => Medium::Face,
            Self::Code { .. } => Medium::Code,
            Self::Booth { .. } => Medium::Booth,
        }
    }
}

/// "This rider may pass": on the disk before the gate opens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Authorisation {
    pub rider: RiderId,
    pub direction: Direction,
    pub evidence: Evidence,
    /// The gate's mode at that moment: fares follow it.
    #[serde(default)]
    pub mode: GateMode,
}

impl Authorisation {
    /// In normal operation.
    pub const fn new(rider: RiderId, direction: Direction, evidence: Evidence) -> Self {
        Self { rider, direction, evidence, mode: GateMode::Normal }
    }

    #[must_use]
    pub fn in_mode(self, mode: GateMode) -> Self {
        Self { mode, ..self }
    }
}

/// What the sensors saw of an authorised passage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PassageOutcome {
    /// A body crossed the beam: only this makes a tap.
    Passed,
    TurnedBack,
    TimedOut,
    /// A crash left the authorisation alone and the hardware does not know either: reported, never a charge.
    Unknown,
}

impl PassageOutcome {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::TurnedBack => "turned_back",
            Self::TimedOut => "timed_out",
            Self::Unknown => "unknown",
        }
    }
}

/// What the sensors saw beside the outcome; none of it changes a fare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Remark {
    /// Somebody whom nothing authorised went through behind him.
    Tailgated,
    /// A short body: a child, alone or at his heels.
    Child,
    Luggage,
    /// All beams at once: a wheelchair or a pram; the door waited.
    Wheelchair,
    /// The sensors contradict each other.
    Contradicted,
}

impl Remark {
    pub const ALL: [Self; 5] = [Self::Tailgated, Self::Child, Self::Luggage, Self::Wheelchair, Self::Contradicted];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Tailgated => "tailgated",
            Self::Child => "child",
            Self::Luggage => "luggage",
            Self::Wheelchair => "wheelchair",
            Self::Contradicted => "contradicted",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|remark| remark.name() == name)
    }
}

/// A set of [`Remark`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Remarks(u8);

impl Remarks {
    #[must_use]
    pub const fn with(self, remark: Remark) -> Self {
        Self(self.0 | 1 << remark as u8)
    }

    pub const fn has(self, remark: Remark) -> bool {
        self.0 & 1 << remark as u8 != 0
    }

    pub fn iter(self) -> impl Iterator<Item = Remark> {
        Remark::ALL.into_iter().filter(move |remark| self.has(*remark))
    }
}

/// "This is what became of authorisation `authorisation`" (a sequence of the same gate and epoch).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passage {
    pub authorisation: u64,
    pub outcome: PassageOutcome,
    /// None in records of before there were any.
    #[serde(default)]
    pub remarks: Remarks,
    /// The mode that the gate went into while he passed, if it is another than that of the authorisation. None also in
    /// records of before there was any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_in: Option<GateMode>,
}

impl Passage {
    /// Without remarks.
    pub const fn new(authorisation: u64, outcome: PassageOutcome) -> Self {
        Self { authorisation, outcome, remarks: Remarks(0), ended_in: None }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RecordBody {
    Authorisation(Authorisation),
    Passage(Passage),
    /// Of a booth, and no tap: who opened which gate.
    GateOpened(GateOpened),
}

/// One line of a gate's journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateRecord {
    pub id: RecordId,
    pub station: StationId,
    pub stamp: GateStamp,
    pub body: RecordBody,
}

/// One rider through one gate: an authorisation whose passage was seen. `id` is the authorisation's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tap {
    pub id: RecordId,
    pub rider: RiderId,
    pub station: StationId,
    pub direction: Direction,
    pub medium: Medium,
    /// Of the gate, when the rider was authorised or while he passed: the one that fares follow.
    #[serde(default)]
    pub mode: GateMode,
    /// When the rider was authorised, by the gate's wall clock; of a booth, when he passed.
    pub at: Timestamp,
}

impl Tap {
    /// Joins the two records; `None` unless `passage` is the seen passage of `authorisation`.
    pub fn join(authorisation: &GateRecord, passage: &GateRecord) -> Option<Self> {
        let RecordBody::Passage(seen) = &passage.body else { return None };
        let same_journal = authorisation.id.gate == passage.id.gate && authorisation.id.epoch == passage.id.epoch;
        let passed = seen.outcome == PassageOutcome::Passed && seen.authorisation == authorisation.id.sequence;
        if same_journal && passed { Some(Self::once_passed(authorisation)?.seen(seen)) } else { None }
    }

    /// The tap that an authorisation becomes once its passage was seen; `None` if it is none.
    pub fn once_passed(authorisation: &GateRecord) -> Option<Self> {
        let RecordBody::Authorisation(granted) = &authorisation.body else { return None };
        let (station, at) = match &granted.evidence {
            Evidence::Booth { station, at, .. } => (station, *at),
            Evidence::Face { .. } | Evidence::Code { .. } => (&authorisation.station, authorisation.stamp.wall),
        };
        Some(Self {
            id: authorisation.id.clone(),
            rider: granted.rider,
            station: station.clone(),
            direction: granted.direction,
            medium: granted.evidence.medium(),
            mode: granted.mode,
            at,
        })
    }

    /// With what the passage says of the gate's mode.
    #[must_use]
    pub fn seen(self, passage: &Passage) -> Self {
        Self { mode: passage.ended_in.map_or(self.mode, |ended_in| self.mode.then(ended_in)), ..self }
    }
}
