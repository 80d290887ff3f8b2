//! What the operator tells stations: kept, and put on the feed.

use async_trait::async_trait;
use facegate_domain::operation::{Instruction, Instructions};

use super::StoreError;

#[async_trait]
pub trait OperationStore {
    /// Makes the instruction hold and puts it on the feed; gives the feed's version. Telling the same again is told
    /// again, and harmless.
    ///
    /// Errors: `TooManyFareTables`.
    async fn instruct(&self, instruction: Instruction) -> Result<u64, StoreError>;

    /// Everything that holds.
    async fn instructions(&self) -> Result<Instructions, StoreError>;
}
