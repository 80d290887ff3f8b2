//! The lines that a gate and its aisle's controller exchange.

use serde::{Deserialize, Serialize};

/// Gate → aisle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cmd", rename_all = "snake_case", deny_unknown_fields)]
pub enum ToAisle {
    /// Open the door for one body; `token` names the authorisation.
    Open {
        token: String,
    },
    Close,
    Status,
    /// The event is on the gate's disk: the controller may forget it.
    Ack {
        event: u64,
    },
}

/// Aisle → gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FromAisle {
    Event(Event),
    Status {
        /// `open` or `closed`.
        status: String,
        token: Option<String>,
        unacknowledged: Vec<Event>,
        /// Tokens it ever opened for, oldest first, bounded.
        known: Vec<String>,
    },
}

/// What the sensors saw; repeated after a reconnect until acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub event: u64,
    pub token: String,
    pub kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Crossed,
    TurnedBack,
    TimedOut,
}
