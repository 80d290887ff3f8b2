//! What a fare table may say beyond its prices: each rule as the file has it.

use std::collections::BTreeSet;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::fares::calendar::Period;
use crate::ids::StationId;

/// Out of one station and into the other (or the same) in time: the ride goes on, and is priced as one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interchange {
    pub from: StationId,
    pub to: StationId,
    pub within_s: u32,
}

/// From when to when the time for a transfer is taken; the names say how GTFS numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum TransferClock {
    /// 0: from the first entry to this ride's exit.
    EntryToExit,
    /// 1: from the first entry to this ride's entry.
    #[default]
    EntryToEntry,
    /// 2: from the exit before to this ride's entry.
    ExitToEntry,
    /// 3: from the exit before to this ride's exit.
    ExitToExit,
}

/// What is paid for two rides with a transfer between them; the names say how GTFS numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferPays {
    /// 0: the ride before, and the transfer.
    BeforeAndTransfer,
    /// 1: both rides, and the transfer (a negative price is a rebate).
    All,
    /// 2: the transfer alone.
    TransferAlone,
}

/// A second ride within some time of the one before costs something else.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    pub name: String,
    /// Groups of products; none: any.
    pub from_group: Option<String>,
    pub to_group: Option<String>,
    pub within_s: Option<u32>,
    #[serde(default)]
    pub clock: TransferClock,
    /// How often in a row; none: without limit.
    pub count_max: Option<u32>,
    pub price_minor: i64,
    pub pays: TransferPays,
}

/// Out at the station where he went in: what counts is how long he was inside. Shorter ones first.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SameStation {
    /// None: however long.
    pub up_to_s: Option<u32>,
    /// None: what a ride of no length costs.
    pub price_minor: Option<i64>,
}

/// Longer inside than a ride takes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overstay {
    pub after_s: u32,
    /// Only rides that cost at most this by themselves; rules with a lower limit first.
    pub fare_up_to_minor: Option<i64>,
    pub price_minor: i64,
    /// Again for each further so many seconds begun; none: once.
    pub each_s: Option<u32>,
    pub at_most_minor: Option<i64>,
}

/// The missing end of a ride is taken to be where the rider usually went, before he is asked for the maximum fare.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Autofill {
    /// Rides of a travel month, the earliest first.
    pub per_month: u32,
    /// He must have gone that way so often, and more often than any other, in the `days` before.
    pub rides_min: u32,
    pub days: u32,
}

/// The rider tells himself where he went.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repairs {
    /// Days after the ride's travel day.
    pub within_days: u32,
    pub per_month: u32,
}

/// Who pays another share, once his enrolment has verified it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Category {
    pub name: String,
    /// Taken off the adult fare before the share.
    #[serde(default)]
    pub less_minor: i64,
    /// Of the adult fare, in hundredths of a percent.
    pub pays_bp: u32,
}

/// A campaign, a coupon, or what those who ride much pay less. Of all that hold for a ride the best for the rider counts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discount {
    pub name: String,
    /// Of the fare, in hundredths of a percent; 0 is a free ride.
    pub pays_bp: u32,
    /// First and last travel day.
    pub first_day: Option<Date>,
    pub last_day: Option<Date>,
    /// Rides begun in these hours alone.
    #[serde(default)]
    pub when: Vec<String>,
    /// None: everybody.
    pub category: Option<String>,
    /// Only for who holds a coupon of this discount.
    #[serde(default)]
    pub coupon: bool,
    /// What the conditions below count by.
    pub period: Option<Period>,
    /// Paid in the period before this ride, at least and below.
    pub paid_from_minor: Option<i64>,
    pub paid_below_minor: Option<i64>,
    /// The number of this ride in the period, from 1; at least and at most.
    pub ride_from: Option<u32>,
    pub ride_up_to: Option<u32>,
    /// Every so many-th ride of the period.
    pub every: Option<u32>,
}

/// Nobody pays more in a period, whatever he shows at the gates.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cap {
    pub name: String,
    pub period: Period,
    pub most_minor: i64,
    /// For rides within these zones; `[1, 2]` is zones 1 to 2.
    pub zones: Option<[u8; 2]>,
    pub category: Option<String>,
}

/// Rides paid for beforehand.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pass {
    pub name: String,
    /// What it costs; without it, it is not sold here.
    pub price_minor: Option<i64>,
    /// Travel days from the one it begins on.
    pub days: u32,
    /// None: any number.
    pub rides: Option<u32>,
    pub zones: Option<[u8; 2]>,
}

/// What a waiver gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Waives {
    /// Rides that begin or end there cost nothing.
    Fare,
    /// Trains do not run: leaving where one came in, staying too long and a missing end cost nothing.
    Disruption,
    /// Gates stand open: a missing exit costs nothing.
    MissingExit,
}

/// Stations at which, for some time, something costs nothing. Telling it afterwards makes it hold all the same.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawWaiver {
    pub reason: String,
    pub waives: Waives,
    /// None: all.
    pub stations: Option<BTreeSet<StationId>>,
    /// With offsets, such as 2026-01-01T04:30:00+08:00.
    pub from: String,
    pub until: String,
}
