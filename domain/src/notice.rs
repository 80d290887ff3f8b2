//! What a rider is told about his money: by the operator's app, which hears of it from a webhook.
//!
//! A notice is written in the transaction of what it tells, so that nothing is told that did not happen and nothing that
//! happened goes untold. Those of one rider are numbered from 1 without a gap and delivered in that order: whoever
//! receives them knows a repetition by its number, and that none is missing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::charge::{ChargeId, State};
use crate::clock::Timestamp;
use crate::ids::RiderId;
use crate::journey::JourneyId;
use crate::money::Money;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "data", rename_all = "snake_case")]
pub enum Told {
    /// A trip has its price; it is charged later.
    TripPriced {
        journey: JourneyId,
        amount: Money,
    },
    /// What was billed for a trip has changed: by so much, negative if the rider gets money back.
    TripAdjusted {
        journey: JourneyId,
        amount: Money,
    },
    Charged {
        charge: ChargeId,
        amount: Money,
    },
    /// Nobody paid; the rider owes it.
    ChargeFailed {
        charge: ChargeId,
        amount: Money,
    },
    /// On its way back to what the charge was paid with.
    Refunded {
        charge: ChargeId,
        amount: Money,
    },
    /// A credit for the next trips.
    Credited {
        amount: Money,
    },
    /// A fare that is not asked for any more.
    Waived {
        charge: ChargeId,
        amount: Money,
    },
    WalletLow {
        balance: Money,
    },
    /// Gates refuse the rider until he has paid.
    Denied,
    /// Gates let the rider through again.
    Admitted,
    DebtPaid {
        amount: Money,
    },
}

impl Told {
    /// The name on the wire.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::TripPriced { .. } => "trip_priced",
            Self::TripAdjusted { .. } => "trip_adjusted",
            Self::Charged { .. } => "charged",
            Self::ChargeFailed { .. } => "charge_failed",
            Self::Refunded { .. } => "refunded",
            Self::Credited { .. } => "credited",
            Self::Waived { .. } => "waived",
            Self::WalletLow { .. } => "wallet_low",
            Self::Denied => "denied",
            Self::Admitted => "admitted",
            Self::DebtPaid { .. } => "debt_paid",
        }
    }

    /// What a charge that has just come into this state tells its rider.
    pub fn of_charge(charge: ChargeId, amount: Money, state: &State) -> Option<Self> {
        match state {
            State::Captured => Some(Self::Charged { charge, amount }),
            State::Debt { .. } => Some(Self::ChargeFailed { charge, amount }),
            _ => None,
        }
    }

    /// A line for the rider's phone, English.
    pub fn text_en(&self) -> String {
        match self {
            Self::TripPriced { amount, .. } => format!("Your trip costs {amount}."),
            Self::TripAdjusted { amount, .. } => format!("The price of a trip has changed by {amount}."),
            Self::Charged { amount, .. } => format!("You have paid {amount}."),
            Self::ChargeFailed { amount, .. } => {
                format!("Your payment of {amount} failed. Please settle it in the app, or ask at the ticket booth.")
            }
            Self::Refunded { amount, .. } => format!("You get {amount} back."),
            Self::Credited { amount } => format!("You have a credit of {amount}."),
            Self::Waived { amount, .. } => format!("You need not pay {amount}."),
            Self::WalletLow { balance } => format!("Your wallet holds {balance}. Please top it up."),
            Self::Denied => {
                "Gates are closed to you: there is an open payment. Please settle it in the app, or ask at the ticket \
                 booth."
                    .to_owned()
            }
            Self::Admitted => "Gates are open to you again.".to_owned(),
            Self::DebtPaid { amount } => format!("Your open payment of {amount} is settled. Thank you."),
        }
    }

    /// The same, Chinese.
    pub fn text_zh(&self) -> String {
        match self {
            Self::TripPriced { amount, .. } => format!("本次行程票价 {amount}。"),
            Self::TripAdjusted { amount, .. } => format!("行程票价调整 {amount}。"),
            Self::Charged { amount, .. } => format!("已支付 {amount}。"),
            Self::ChargeFailed { amount, .. } => format!("{amount} 支付失败，请在应用中支付或前往票务处。"),
            Self::Refunded { amount, .. } => format!("已退款 {amount}。"),
            Self::Credited { amount } => format!("您获得 {amount} 的优惠额度。"),
            Self::Waived { amount, .. } => format!("已免除 {amount}。"),
            Self::WalletLow { balance } => format!("钱包余额 {balance}，请充值。"),
            Self::Denied => "您有未支付的行程，暂不能进站。请在应用中支付或前往票务处。".to_owned(),
            Self::Admitted => "您可以继续乘车。".to_owned(),
            Self::DebtPaid { amount } => format!("欠款 {amount} 已结清，谢谢。"),
        }
    }
}

/// One notice in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub rider: RiderId,
    /// 1 for the first.
    pub number: u64,
    /// When it happened.
    pub at: Timestamp,
    #[serde(flatten)]
    pub told: Told,
}

/// How far a rider's notices are given out and delivered. Both stores keep one for each rider, and change it by these
/// rules alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NoticeQueue {
    /// The number of the last notice written.
    pub written: u64,
    /// All up to this one are delivered.
    pub delivered: u64,
    /// When the first one waiting is to be tried.
    pub due: Timestamp,
    /// Tries without success since the last one with.
    pub troubles: u32,
    /// The rider was erased: he is told nothing any more.
    pub closed: bool,
}

impl NoticeQueue {
    /// The number of the notice that is to be delivered next.
    pub const fn waiting(&self) -> Option<u64> {
        if self.delivered < self.written { Some(self.delivered + 1) } else { None }
    }

    /// With one more notice, whose number is `written` then. None if the queue is closed.
    #[must_use]
    pub fn with_another(self, now: Timestamp) -> Option<Self> {
        let due = if self.waiting().is_some() { self.due } else { now };
        (!self.closed).then_some(Self { written: self.written + 1, due, ..self })
    }

    /// After `number` was delivered. None if it is not the one that waits: a repetition.
    #[must_use]
    pub fn after_delivery(self, number: u64, now: Timestamp) -> Option<Self> {
        (self.waiting() == Some(number)).then_some(Self { delivered: number, due: now, troubles: 0, ..self })
    }

    /// After a try of `number` that failed. None if it is not the one that waits.
    #[must_use]
    pub fn after_trouble(self, number: u64, now: Timestamp, rest: &NoticeRest) -> Option<Self> {
        let troubles = self.troubles.saturating_add(1);
        let due = now.plus(rest.after(troubles));
        (self.waiting() == Some(number)).then_some(Self { due, troubles, ..self })
    }

    /// Of a rider who was erased.
    #[must_use]
    pub fn closed(self) -> Self {
        Self { delivered: self.written, closed: true, ..self }
    }
}

/// How long a rider's notices rest after a try that failed: doubling from `first` up to `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoticeRest {
    pub first: Duration,
    pub max: Duration,
}

impl NoticeRest {
    fn after(&self, troubles: u32) -> Duration {
        self.first.saturating_mul(2_u32.saturating_pow(troubles.saturating_sub(1))).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REST: NoticeRest = NoticeRest { first: Duration::from_secs(1), max: Duration::from_secs(60) };

    fn cny(minor: i64) -> Money {
        Money::from_minor(minor, "CNY".parse().unwrap())
    }

    #[test]
    fn everything_is_told_in_both_languages_under_a_name_of_its_own() {
        let charge = ChargeId::from_bytes([3; 16]);
        let told = [
            Told::TripPriced { journey: JourneyId::from_bytes([2; 16]), amount: cny(400) },
            Told::TripAdjusted { journey: JourneyId::from_bytes([2; 16]), amount: cny(-400) },
            Told::Charged { charge, amount: cny(400) },
            Told::ChargeFailed { charge, amount: cny(400) },
            Told::Refunded { charge, amount: cny(400) },
            Told::Credited { amount: cny(400) },
            Told::Waived { charge, amount: cny(400) },
            Told::WalletLow { balance: cny(400) },
            Told::Denied,
            Told::Admitted,
            Told::DebtPaid { amount: cny(400) },
        ];
        for told in &told {
            assert!(told.text_en().ends_with('.') && told.text_zh().ends_with('。'), "{told:?}");
        }
        let kinds: std::collections::BTreeSet<_> = told.iter().map(Told::kind).collect();
        assert_eq!(kinds.len(), told.len());
    }

    #[test]
    fn rests_double_up_to_their_limit() {
        let rests: Vec<u64> = [1, 2, 3, 7, 40].map(|troubles| REST.after(troubles).as_secs()).into();
        assert_eq!(rests, [1, 2, 4, 60, 60]);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Write,
        Deliver(u64),
        Fail(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![Just(Step::Write), (0..20_u64).prop_map(Step::Deliver), (0..20_u64).prop_map(Step::Fail)]
    }

    proptest! {
        #[test]
        fn whatever_is_said_of_notices_they_are_delivered_one_after_the_other(steps in prop::collection::vec(step(), 0..80)) {
            let mut queue = NoticeQueue::default();
            let mut delivered = Vec::new();
            for (second, step) in (0_u64..).zip(steps) {
                let now = Timestamp::default().plus(Duration::from_secs(second));
                let next = match step {
                    Step::Write => queue.with_another(now),
                    Step::Deliver(number) => {
                        let next = queue.after_delivery(number, now);
                        delivered.extend(next.map(|_| number));
                        next
                    }
                    Step::Fail(number) => queue.after_trouble(number, now, &REST),
                };
                queue = next.unwrap_or(queue);
                prop_assert!(queue.delivered <= queue.written);
            }
            prop_assert_eq!(&delivered, &(1..=queue.delivered).collect::<Vec<_>>());
            prop_assert!(queue.closed().with_another(Timestamp::default()).is_none());
            prop_assert!(queue.closed().waiting().is_none());
        }
    }
}
