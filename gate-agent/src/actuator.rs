//! The aisle: a door that opens for a token, and sensors whose verdicts stay latched until acknowledged.

pub mod simulated;

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use facegate_domain::tap::PassageOutcome;

/// Names one authorisation to the hardware, so that it can say later what became of it: `<epoch>-<sequence>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PassageToken {
    pub epoch: u32,
    pub sequence: u64,
}

impl fmt::Display for PassageToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.sequence)
    }
}

impl FromStr for PassageToken {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (epoch, sequence) = text.split_once('-').ok_or(())?;
        Ok(Self { epoch: epoch.parse().map_err(drop)?, sequence: sequence.parse().map_err(drop)? })
    }
}

/// What the sensors saw of one token. The hardware repeats it after every reconnection until acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sensed {
    /// The hardware's number of the event.
    pub event: u64,
    pub token: PassageToken,
    pub outcome: PassageOutcome,
}

/// What the hardware knows when a connection to it comes up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AisleStatus {
    /// The token that the door stands open for.
    pub open: Option<PassageToken>,
    pub unacknowledged: Vec<Sensed>,
}

/// What the hardware says by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// The connection is up; commands work from here on.
    Online(AisleStatus),
    Offline,
    Sensed(Sensed),
}

/// The hardware cannot be told anything now; `Signal::Online` will follow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the aisle cannot be reached; its door stays as it is, and it is asked what happened when it is back")]
pub struct AisleOffline;

/// Door and sensors of one aisle.
#[async_trait]
pub trait Actuator: Send {
    /// Opens for one passage. The door closes by itself after it, or after a while.
    async fn open(&mut self, token: PassageToken) -> Result<(), AisleOffline>;

    /// The event is on our disk: the hardware may forget it.
    async fn acknowledge(&mut self, event: u64) -> Result<(), AisleOffline>;

    /// The next thing the hardware says. Dropping the future loses nothing.
    async fn next_signal(&mut self) -> Signal;
}
