//! How one gate lets people pass, as the operations centre tells it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::operation::StationMode;
use crate::tap::Direction;

/// What a gate goes back to when nobody is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rest {
    #[default]
    InService,
    /// The door stands open.
    Standing,
    OutOfService,
}

/// A gate's mode. Every record carries the one it was made in, so that fares follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateMode {
    /// As configured: the gate serves its own side.
    #[default]
    Normal,
    NormalEntry,
    NormalExit,
    /// Both sides, each by an agent of its own.
    Bidirectional,
    Closed,
    /// The gate says so of itself; nobody tells it.
    Fault,
    Maintenance,
    EmergencyOpen,
    /// A ride that begins or ends here costs nothing.
    FareExempt,
    /// Staying too long costs nothing extra.
    TimeExempt,
    /// An exit without an entry, or an entry without an exit, costs nothing.
    SequenceExempt,
}

impl GateMode {
    pub const ALL: [Self; 11] = [
        Self::Normal,
        Self::NormalEntry,
        Self::NormalExit,
        Self::Bidirectional,
        Self::Closed,
        Self::Fault,
        Self::Maintenance,
        Self::EmergencyOpen,
        Self::FareExempt,
        Self::TimeExempt,
        Self::SequenceExempt,
    ];

    /// The name on the wire, in reports and for the operator.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::NormalEntry => "normal_entry",
            Self::NormalExit => "normal_exit",
            Self::Bidirectional => "bidirectional",
            Self::Closed => "closed",
            Self::Fault => "fault",
            Self::Maintenance => "maintenance",
            Self::EmergencyOpen => "emergency_open",
            Self::FareExempt => "fare_exempt",
            Self::TimeExempt => "time_exempt",
            Self::SequenceExempt => "sequence_exempt",
        }
    }

    /// As a receipt says it.
    pub fn in_words(self) -> String {
        self.name().replace('_', " ")
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }

    /// Of two modes that one passage met, the one that fares follow: the one that gives up more, else the later one. A
    /// rider whom the gate let go for less is not charged more since it changed its mode while he walked.
    #[must_use]
    pub const fn then(self, later: Self) -> Self {
        if later.gives_up() >= self.gives_up() { later } else { self }
    }

    /// How much of a fare a passage in the mode gives up; only for comparing.
    const fn gives_up(self) -> u8 {
        match self {
            Self::EmergencyOpen => 3,
            Self::FareExempt => 2,
            Self::TimeExempt | Self::SequenceExempt => 1,
            _ => 0,
        }
    }

    /// What a gate of this side does in the mode.
    pub const fn rest(self, side: Direction) -> Rest {
        match (self, side) {
            (Self::EmergencyOpen, _) => Rest::Standing,
            (Self::Closed | Self::Fault | Self::Maintenance, _)
            | (Self::NormalEntry, Direction::Exit)
            | (Self::NormalExit, Direction::Entry) => Rest::OutOfService,
            _ => Rest::InService,
        }
    }

    /// Whether somebody from the other side comes as he should.
    pub const fn lets_the_other_side_in(self, side: Direction) -> bool {
        match self {
            Self::Bidirectional | Self::EmergencyOpen | Self::Maintenance => true,
            Self::NormalEntry => matches!(side, Direction::Exit),
            Self::NormalExit => matches!(side, Direction::Entry),
            _ => false,
        }
    }

    /// The mode of a gate: the station's goes before its own, except that nothing shuts what stands open, and a closed
    /// gate stays closed.
    #[must_use]
    pub const fn under(self, station: StationMode) -> Self {
        match (station, self) {
            (StationMode::EmergencyOpen, _) | (_, Self::EmergencyOpen) => Self::EmergencyOpen,
            (_, Self::Maintenance | Self::Fault) => self,
            (StationMode::Closed, _) => Self::Closed,
            (StationMode::FareFree, Self::Normal) => Self::FareExempt,
            _ => self,
        }
    }
}

impl fmt::Display for GateMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
