//! What the price of a ride depends on besides the ride: who the rider is and what he holds.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::{RecordId, StationId};
use crate::journey::JourneyId;

/// A rider as fares see him.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RiderTerms {
    /// On days of which `categories` say nothing; none pays the whole fare.
    pub category: Option<String>,
    /// Verified in enrolment.
    pub categories: Vec<HeldCategory>,
    pub passes: Vec<HeldPass>,
    pub coupons: Vec<Coupon>,
    pub repairs: Vec<Repair>,
    /// What a person said that rides cost which no rule can price.
    pub decisions: Vec<Decision>,
}

impl RiderTerms {
    /// What the rider is on that day; of several the one verified last.
    pub fn category_on(&self, day: Date) -> Option<&str> {
        let held = self.categories.iter().rev().find(|held| (held.first_day..=held.last_day).contains(&day));
        held.map(|held| held.category.as_str()).or(self.category.as_deref())
    }
}

/// What a rider is from a day to a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldCategory {
    /// As the table names it.
    pub category: String,
    pub first_day: Date,
    pub last_day: Date,
}

/// The price of a held ride. It counts as long as no rule prices the ride.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    pub ride: JourneyId,
    /// Nothing: waived.
    pub price_minor: i64,
    /// The rider reads it.
    pub reason: String,
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
