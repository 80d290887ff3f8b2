//! What a journey costs, and why. A fare table is data: parsed once, refused whole with everything that is wrong with
//! it, and from then on a pure function from journey to fare.

pub mod bands;
pub mod explain;
pub mod network;
pub mod table;

pub use explain::{Fare, Line, Quantity, Rule};
pub use table::{FareTable, FareTableProblem, FareTableProblems};

use crate::clock::Timestamp;
use crate::ids::StationId;
use crate::money::MoneyError;

/// Why this journey has no price. It is held for a person to look at; no charge is opened for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PricingError {
    #[error("fare table {table:?} has no station {station}: the journey is held until a table that knows it is loaded")]
    UnknownStation { table: String, station: StationId },
    #[error("fare table {table:?} is valid from {valid_from:?}, the journey began at {began:?}")]
    NotYetValid { table: String, valid_from: Timestamp, began: Timestamp },
    #[error("fare table {table:?} has no band for {metres} m")]
    NoBand { table: String, metres: u32 },
    #[error("the journey's lines cannot be summed: {0}")]
    Money(#[from] MoneyError),
}
