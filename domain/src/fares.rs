//! What rides cost, and why. Fare tables are data: parsed once, refused whole with everything that is wrong with them,
//! and from then on a pure function from a rider's rides to his bill.
//!
//! A [`Tariff`] is all tables by the time from which they hold; [`Tariff::bill`] goes over a rider's rides in the order in
//! which they began, whatever the order in which they became known, so that any permutation of the same taps gives the
//! same bill. What was charged before is never edited: [`Tariff::settle`] says what is still to be charged or given
//! back.

pub mod bands;
mod bill;
pub mod calendar;
pub mod explain;
pub mod gtfs;
mod look_back;
pub mod network;
pub mod pricer;
mod product;
pub mod ride;
pub mod rider;
pub mod rules;
pub mod settle;
pub mod table;
mod tariff;
pub mod worked;

pub use bill::{Bill, Billed};
pub use explain::{Fare, Line, Quantity, Rule};
pub use look_back::LookBack;
pub use pricer::{Elsewhere, ExternalPrice, NoPrice, Pricer};
pub use ride::Ride;
pub use rider::RiderTerms;
pub use rules::Waives;
pub use settle::{Change, Settled, Settling};
pub use table::{FareTable, FareTableProblem, FareTableProblems, Waiver};
pub use tariff::{Tariff, TariffProblem};

use crate::clock::Timestamp;
use crate::ids::StationId;
use crate::money::MoneyError;

/// Why this ride has no price. It is held for a person to look at; no charge is opened for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PricingError {
    #[error("fare table {table:?} has no station {station}: the journey is held until a table that knows it is loaded")]
    UnknownStation { table: String, station: StationId },
    #[error(
        "no fare table holds yet: the first, {table:?}, is valid from {valid_from:?}, the journey began at {began:?}"
    )]
    NotYetValid { table: String, valid_from: Timestamp, began: Timestamp },
    #[error("fare table {table:?} has no product for this journey of {metres} m: add one, or bands for all others")]
    NoProduct { table: String, metres: u32 },
    #[error("{metres} m from {from} to {to} within {seconds} s is faster than a train: one rider at two places")]
    Impossible { from: StationId, to: StationId, metres: u32, seconds: u64 },
    #[error("an external ticketing system prices it, and has not answered yet")]
    Elsewhere,
    #[error("the journey's lines cannot be summed: {0}")]
    Money(#[from] MoneyError),
}
