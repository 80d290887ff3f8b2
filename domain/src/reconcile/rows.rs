//! What the match needs to know of the things that it matches: little, since there are millions.

use jiff::civil::Date;

use crate::billing::ItemId;
use crate::charge::ChargeId;
use crate::clock::Timestamp;
use crate::ids::{RecordId, RiderId, StationId};
use crate::journey::JourneyId;
use crate::money::Money;
use crate::remedy::RemedyId;
use crate::settlement::SettledLine;
use crate::tap::Direction;
use crate::travel_day::TravelDays;

/// One rider's day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RiderDay {
    pub rider: RiderId,
    /// Made on the day.
    pub taps: Vec<TapRow>,
    /// Ended on the day.
    pub rides: Vec<RideRow>,
    /// Those that the rides' items are in; some may belong to another day.
    pub bills: Vec<BillRow>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TapRow {
    pub id: RecordId,
    pub at: Timestamp,
    pub station: StationId,
    pub direction: Direction,
    pub used: Used,
}

/// What became of a tap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Used {
    Ride {
        id: JourneyId,
        /// Whether there is that ride, on whichever day.
        exists: bool,
    },
    /// A second presentation.
    Merged,
    /// It waits for its other end.
    Open,
    /// Neither: it was lost between the gates and the rides.
    Nothing,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RideRow {
    pub id: JourneyId,
    pub price: Price,
    pub items: Vec<ItemRow>,
    /// Its taps are in other rides: it costs nothing any more.
    pub superseded: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Price {
    Fare(Money),
    /// Somebody has to look at it first.
    Held,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemRow {
    pub id: ItemId,
    pub amount: Money,
    pub charge: Option<ChargeId>,
    /// False if the ride names it and nothing is stored under the name.
    pub is_known: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillRow {
    pub id: ChargeId,
    /// The latest of its items' days.
    pub day: Date,
    pub billed: Money,
    /// None if an item is missing, or they cannot be summed.
    pub items_come_to: Option<Money>,
    /// What is collected of it.
    pub amount: Money,
    pub outcome: Outcome,
    /// None if it is paid without one.
    pub acquirer: Option<String>,
    /// Lines of imported files that are about it.
    pub settled: Vec<LineRow>,
}

/// Money that went back through an acquirer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundRow {
    pub id: RemedyId,
    pub rider: RiderId,
    /// The one that it is of.
    pub charge: Option<ChargeId>,
    pub acquirer: Option<String>,
    pub amount: Money,
    /// Lines of imported files that are about it.
    pub settled: Vec<LineRow>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Captured,
    /// There was nothing to collect.
    Nothing,
    /// Nobody paid: the rider owes it.
    Debt,
    /// Not at its end; in this state.
    Waiting(String),
}

impl Outcome {
    pub fn name(&self) -> &str {
        match self {
            Self::Captured => "captured",
            Self::Nothing => "nothing_to_collect",
            Self::Debt => "debt",
            Self::Waiting(state) => state,
        }
    }
}

/// A line of a settlement file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineRow {
    pub acquirer: String,
    /// Of the file.
    pub date: Date,
    pub line: SettledLine,
}

impl LineRow {
    /// Acquirers count by days of UTC.
    pub fn is_of_another_date(&self) -> bool {
        TravelDays::new("UTC", "00:00").is_ok_and(|days| days.of(self.line.booked_at) != self.date)
    }
}
