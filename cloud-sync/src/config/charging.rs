//! How rides are charged, as written and as run.

use facegate_domain::billing::{BillingPolicy, Bills, Prepayment};
use facegate_domain::charge::{RetryPolicy, RetrySchedule};
use facegate_domain::money::{Currency, Money};
use facegate_domain::travel_day::TravelDays;
use facegate_runtime::config::Problems;
use serde::Deserialize;

use super::acquirers::{self, AcquirerConfig, RawAcquirer};
use crate::charging::ChargingPolicy;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RawBills {
    Trip,
    Day,
    Amount,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawCharging {
    pub pass_every_ms: u64,
    pub retry_first_ms: u64,
    pub retry_max_s: u64,
    pub charges_per_pass_max: usize,
    pub in_flight_max: usize,
    pub bills: RawBills,
    pub bill_grace_s: u64,
    pub bill_amount_minor: i64,
    pub bill_wait_days: u16,
    pub first_ride_limit_minor: i64,
    pub verify_minor: i64,
    pub retry_days: Vec<u16>,
    pub wallet_low_minor: i64,
    pub prepay: bool,
    pub hold_s: u64,
    pub hold_max_minor: i64,
    pub acquirer: Vec<RawAcquirer>,
}

impl Default for RawCharging {
    fn default() -> Self {
        Self {
            pass_every_ms: 1000,
            retry_first_ms: 1000,
            retry_max_s: 900,
            charges_per_pass_max: 1000,
            in_flight_max: 16,
            bills: RawBills::Day,
            bill_grace_s: 7200,
            bill_amount_minor: 5000,
            bill_wait_days: 7,
            first_ride_limit_minor: 2000,
            verify_minor: 100,
            retry_days: RetrySchedule::default().days,
            wallet_low_minor: 1000,
            prepay: false,
            hold_s: 8 * 86_400,
            hold_max_minor: 0,
            acquirer: Vec::new(),
        }
    }
}

/// What the wallets and the acquirers have in common with the rest of the config.
pub(super) struct Checked {
    policy: Option<ChargingPolicy>,
    pub acquirers: Option<Vec<AcquirerConfig>>,
    verify_minor: i64,
    wallet_low_minor: i64,
}

impl Checked {
    pub fn billing(&self) -> Option<&BillingPolicy> {
        self.policy.as_ref().map(|policy| &policy.billing)
    }

    /// The policy in the currency of the fares.
    pub fn policy(&self, currency: Currency) -> Option<ChargingPolicy> {
        let above_zero = |minor: i64| (minor > 0).then(|| Money::from_minor(minor, currency));
        let (verify, wallet_low) = (above_zero(self.verify_minor), above_zero(self.wallet_low_minor));
        self.policy.clone().map(|policy| ChargingPolicy { verify, wallet_low, ..policy })
    }
}

impl RawCharging {
    /// `days` are those of the audit: finance has one travel day.
    pub(super) fn check(self, days: Option<&TravelDays>, path: &str, problems: &mut Problems) -> Checked {
        let at = |key: &str| format!("{path}.{key}");
        let pass_every = problems.duration_ms(&at("pass_every_ms"), self.pass_every_ms, 10..=3_600_000);
        let first = problems.duration_ms(&at("retry_first_ms"), self.retry_first_ms, 10..=3_600_000);
        let max = problems.duration_s(&at("retry_max_s"), self.retry_max_s, 1..=86_400);
        let per_pass = problems.within(&at("charges_per_pass_max"), self.charges_per_pass_max, 1..=100_000);
        let in_flight = problems.within(&at("in_flight_max"), self.in_flight_max, 1..=1000);
        let grace = problems.duration_s(&at("bill_grace_s"), self.bill_grace_s, 0..=86_400);
        let amount = problems.within(&at("bill_amount_minor"), self.bill_amount_minor, 1..=100_000_000);
        let wait_days = problems.within(&at("bill_wait_days"), self.bill_wait_days, 1..=31);
        let limit = problems.within(&at("first_ride_limit_minor"), self.first_ride_limit_minor, 0..=100_000_000);
        let verify = problems.within(&at("verify_minor"), self.verify_minor, 0..=1_000_000);
        let low = problems.within(&at("wallet_low_minor"), self.wallet_low_minor, 0..=100_000_000);
        let hold_for = problems.duration_s(&at("hold_s"), self.hold_s, 3600..=31 * 86_400);
        let hold_max = problems.within(&at("hold_max_minor"), self.hold_max_minor, 0..=100_000_000);
        let rising = self.retry_days.windows(2).all(|days| days[0] < days[1]);
        if !rising || self.retry_days.len() > 10 || self.retry_days.iter().any(|day| !(1..=60).contains(day)) {
            problems.add(at("retry_days"), "must be at most 10 days from 1 to 60, each later than the one before");
        }
        let bills = match self.bills {
            RawBills::Trip => Some(Bills::PerTrip),
            RawBills::Day => Some(Bills::PerDay),
            RawBills::Amount => amount.zip(wait_days).map(|(minor, wait_days)| Bills::AtAmount { minor, wait_days }),
        };
        let acquirers = acquirers::check(self.acquirer, &at("acquirer"), problems);
        let policy = (|| {
            let above_zero = |minor: i64| (minor > 0).then_some(minor);
            let first_ride_limit_minor = above_zero(limit?);
            let prepaid = Prepayment { hold_for: hold_for?, at_most_minor: above_zero(hold_max?) };
            let prepaid = self.prepay.then_some(prepaid);
            Some(ChargingPolicy {
                pass_every: pass_every?,
                retry: RetryPolicy { first: first?, max: max? },
                charges_per_pass_max: per_pass?,
                in_flight_max: in_flight?,
                billing: BillingPolicy {
                    bills: bills?,
                    days: days?.clone(),
                    grace: grace?,
                    first_ride_limit_minor,
                    prepaid,
                },
                retries: RetrySchedule { days: self.retry_days },
                verify: None,
                wallet_low: None,
            })
        })();
        Checked {
            policy: policy.filter(|_| verify.is_some() && low.is_some()),
            acquirers,
            verify_minor: self.verify_minor,
            wallet_low_minor: self.wallet_low_minor,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn check(text: &str) -> (Checked, Problems) {
        let raw: RawCharging = toml::from_str(text).unwrap();
        let mut problems = Problems::new();
        let days = TravelDays::new("UTC", "04:30").unwrap();
        (raw.check(Some(&days), "charging", &mut problems), problems)
    }

    #[test]
    fn a_day_is_billed_unless_the_config_says_otherwise_and_zero_turns_off() {
        let cny = "CNY".parse().unwrap();
        let policy = check("").0.policy(cny).unwrap();
        assert_eq!((policy.billing.bills, policy.billing.grace), (Bills::PerDay, Duration::from_secs(7200)));
        assert_eq!((policy.verify, policy.billing.prepaid), (Some(Money::from_minor(100, cny)), None));
        let prepaid = check("prepay = true\nhold_max_minor = 500\n").0.policy(cny).unwrap().billing.prepaid;
        let hold_for = Duration::from_secs(8 * 86_400);
        assert_eq!(prepaid, Some(Prepayment { hold_for, at_most_minor: Some(500) }));
        let off = check("bills = \"amount\"\nverify_minor = 0\nfirst_ride_limit_minor = 0\nwallet_low_minor = 0\n");
        let policy = off.0.policy(cny).unwrap();
        assert_eq!(policy.billing.bills, Bills::AtAmount { minor: 5000, wait_days: 7 });
        assert_eq!((policy.verify, policy.billing.first_ride_limit_minor, policy.wallet_low), (None, None, None));
    }

    #[test]
    fn a_schedule_that_the_schemes_do_not_allow_is_refused() {
        for days in ["[1, 1]", "[3, 1]", "[0]", "[61]", "[1,2,3,4,5,6,7,8,9,10,11]"] {
            let (_, problems) = check(&format!("retry_days = {days}"));
            assert!(problems.into_result(Some(())).is_err(), "{days}");
        }
        assert!(check("retry_days = []").1.into_result(Some(())).is_ok(), "none at all is allowed");
    }
}
