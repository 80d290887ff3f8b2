//! The aisle's hardware: a door that opens for a token, beams whose reports stay latched until acknowledged, a lamp, a
//! sound. What the reports mean is found by `facegate_domain::aisle`.

pub mod message;
pub mod serial;
pub mod simulated;

use async_trait::async_trait;
pub use facegate_domain::aisle::{AisleEvent, PassageToken};
use serde::{Deserialize, Serialize};

/// What the hardware knows when a connection to it comes up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AisleStatus {
    /// Another number means that the hardware has started anew and remembers nothing of before.
    pub boot: u32,
    pub now_ms: u64,
    pub unacknowledged: Vec<AisleEvent>,
}

/// What the hardware says by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// The connection is up; commands work from here on.
    Online(AisleStatus),
    Offline,
    /// Repeated after every reconnection until acknowledged.
    Saw(AisleEvent),
    /// Everything up to this moment of the hardware's clock has been heard.
    InStep {
        now_ms: u64,
    },
}

/// What the lamp over the aisle shows; shape and place differ as well as colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lamp {
    /// A white bar: the gate waits for somebody.
    #[default]
    Ready,
    /// A green arrow.
    Go,
    /// A red cross.
    Stop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sound {
    #[default]
    None,
    Go,
    Refused,
    Alarm,
}

/// What the hardware is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Open, or stay open, for this one; a token that was ever opened is not opened again.
    Open(PassageToken),
    /// Close as soon as nobody is between the beams.
    Close,
    /// Stand open for everybody, or do so no longer. Kept over a loss of power and of the gate.
    Stand(bool),
    /// What the watchdog does when the gate is silent: stand open, or close. Until it is told it closes.
    WithoutGate(bool),
    /// Everything up to this event is on our disk: the hardware may forget it.
    Acknowledge(u64),
    Show(Lamp, Sound),
}

/// The hardware cannot be told anything now; `Signal::Online` will follow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the aisle cannot be reached; its door goes to its safe state, and it is asked what happened when it is back")]
pub struct AisleOffline;

/// Door, beams, lamp and sound of one aisle. The hardware has a watchdog: if the gate says nothing for some seconds, the
/// door goes to its safe state by itself.
#[async_trait]
pub trait Actuator: Send {
    /// The order has been taken when it returns.
    async fn order(&mut self, order: Order) -> Result<(), AisleOffline>;

    /// The next thing the hardware says. Dropping the future loses nothing.
    async fn next_signal(&mut self) -> Signal;

    /// Whether reports may be lost for a while, so that time has passed without them only up to [`Signal::InStep`].
    fn is_lossy(&self) -> bool {
        false
    }
}
