//! What the price of a ride depends on besides the ride: who the rider is and what he holds.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::{RecordId, StationId};

/// A rider as fares see him.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RiderTerms {
    /// Verified in enrolment; none pays the whole fare.
    pub category: Option<String>,
    pub passes: Vec<HeldPass>,
    pub coupons: Vec<Coupon>,
    pub repairs: Vec<Repair>,
}

/// A pass that he has paid for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldPass {
    /// As the table names it.
    pub pass: String,
    pub first_day: Date,
}

/// So many rides at a discount of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coupon {
    pub discount: String,
    pub rides: u32,
    pub first_day: Date,
    pub last_day: Date,
}

/// Where the missing end of a ride was, as the rider says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repair {
    /// The end that is there.
    pub tap: RecordId,
    pub station: StationId,
    pub made_at: Timestamp,
}
