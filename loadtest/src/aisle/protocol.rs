//! The messages that a gate and its aisle's controller exchange, one JSON object a line.

use serde::{Deserialize, Serialize};

/// Gate → aisle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cmd", rename_all = "snake_case", deny_unknown_fields)]
pub enum ToAisle {
    /// Open the door, or keep it open, for one body; `token` names the authorisation.
    Open {
        token: String,
    },
    /// As soon as nobody is between the beams.
    Close,
    /// Stand open for everybody.
    Stand {
        open: bool,
    },
    /// What the watchdog does when the gate is silent.
    WithoutGate {
        open: bool,
    },
    /// Everything up to the event is on the gate's disk: the controller may forget it.
    Ack {
        event: u64,
    },
    Show {
        lamp: String,
        sound: String,
    },
    Status,
}

/// Aisle → gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FromAisle {
    Event(Event),
    Status {
        /// Another number after every start without memory.
        boot: u32,
        now_ms: u64,
        /// The number of the next event.
        next: u64,
        unacknowledged: Vec<Event>,
    },
}

/// What door and beams did; repeated after a reconnect until acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub event: u64,
    pub at_ms: u64,
    pub saw: Saw,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beam: Option<Beam>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Saw {
    Opened,
    Closed,
    Broken,
    Cleared,
}

/// As the riders of the gate meet them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Beam {
    Entry,
    Mid,
    Exit,
}

impl Beam {
    pub const ALL: [Self; 3] = [Self::Entry, Self::Mid, Self::Exit];
}
