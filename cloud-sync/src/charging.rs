//! Deferred charging: settled journeys become charges, and each charge is brought to its end, whatever happens on the
//! way. The rules are `facegate_domain::charge`; here are the store, the acquirer and the clock around them.

pub mod acquirer;
mod bills;
mod holds;
mod remedies;
mod schedule;
pub mod webhooks;

use std::time::Duration;

use facegate_domain::billing::BillingPolicy;
use facegate_domain::charge::{RetryPolicy, RetrySchedule};
use facegate_domain::money::Money;
use facegate_domain::travel_day::TravelDays;

pub use remedies::Remedies;
pub use schedule::{Pass, Scheduler};

/// How the scheduler goes about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargingPolicy {
    /// Pause between two passes.
    pub pass_every: Duration,
    /// Of one charge, after a call or query without an answer.
    pub retry: RetryPolicy,
    /// Charges that are looked at in one pass; the others wait for the next.
    pub charges_per_pass_max: usize,
    /// Charges that may wait for the acquirer's answer at the same time.
    pub in_flight_max: usize,
    pub billing: BillingPolicy,
    /// Of one debt, after its instruments have declined.
    pub retries: RetrySchedule,
    /// What a new instrument is shown to have, at its first ride. None: it need not show anything.
    pub verify: Option<Money>,
    /// A rider is told when his wallet falls below it.
    pub wallet_low: Option<Money>,
}

impl Default for ChargingPolicy {
    fn default() -> Self {
        Self {
            pass_every: Duration::from_secs(1),
            retry: RetryPolicy::default(),
            charges_per_pass_max: 1_000,
            in_flight_max: 16,
            billing: BillingPolicy::per_trip(TravelDays::new("UTC", "04:30").expect("both are what they should be")),
            retries: RetrySchedule::default(),
            verify: None,
            wallet_low: None,
        }
    }
}
