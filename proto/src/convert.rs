//! Wire ↔ domain, one file per .proto. A message that does not fit is refused with the field's name.

pub mod gate;
pub mod ops;
pub mod station;
pub mod sync;

use facegate_domain::face::InvalidEmbedding;
use facegate_domain::ids::InvalidId;
use facegate_domain::operation::InvalidInstruction;
use facegate_domain::score::OutOfRange;

/// What is wrong with a message.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidMessage {
    #[error("field {field} is missing")]
    Missing { field: &'static str },
    #[error("field {field} has {got} bytes, expected {expected}")]
    WrongSize { field: &'static str, expected: &'static str, got: usize },
    #[error("field {field} has the unknown value {got}")]
    UnknownValue { field: &'static str, got: String },
    #[error(transparent)]
    Id(#[from] InvalidId),
    #[error(transparent)]
    Embedding(#[from] InvalidEmbedding),
    #[error(transparent)]
    Score(#[from] OutOfRange),
    #[error(transparent)]
    Instruction(#[from] InvalidInstruction),
}

impl From<InvalidMessage> for tonic::Status {
    fn from(error: InvalidMessage) -> Self {
        Self::invalid_argument(error.to_string())
    }
}

/// Exactly `N` bytes, or an error that names the field.
pub fn fixed<const N: usize>(field: &'static str, bytes: &[u8]) -> Result<[u8; N], InvalidMessage> {
    let expected = match N {
        8 => "8",
        16 => "16",
        32 => "32",
        _ => "another number",
    };
    bytes.try_into().map_err(|_| InvalidMessage::WrongSize { field, expected, got: bytes.len() })
}

fn required<T>(field: &'static str, value: Option<T>) -> Result<T, InvalidMessage> {
    value.ok_or(InvalidMessage::Missing { field })
}
