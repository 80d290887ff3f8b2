//! What the operator tells stations: kept, and put on the feed.

use async_trait::async_trait;
use facegate_domain::operation::{GateAct, Instruction, Instructions};
use serde::{Deserialize, Serialize};

use super::StoreError;

/// What somebody did at a gate, and from which version of the feed on stations know of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldAct {
    pub act: GateAct,
    pub version: u64,
}

/// Acts that are over are forgotten with later ones, so many with each.
pub(super) const FORGOTTEN_AT_A_TIME: usize = 16;

#[async_trait]
pub trait OperationStore {
    /// Makes the instruction hold and puts it on the feed; gives the feed's version. Telling the same again is told
    /// again, and harmless.
    ///
    /// Errors: `TooManyFareTables`.
    async fn instruct(&self, instruction: Instruction) -> Result<u64, StoreError>;

    /// Has what the act says hold and puts it on the feed, with its line of the audit log. An act of that name that is
    /// kept already is given as it is, and nothing is told.
    ///
    /// Errors: `Instruction`, if the one of that name is another.
    async fn act_at_gate(&self, act: GateAct) -> Result<ToldAct, StoreError>;

    /// The latest act at each gate.
    async fn latest_acts(&self) -> Result<Vec<ToldAct>, StoreError>;

    /// Everything that holds.
    async fn instructions(&self) -> Result<Instructions, StoreError>;
}
