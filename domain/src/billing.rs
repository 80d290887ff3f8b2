//! What bills are made of. An item is written once, with the ride or the purchase that it is for, and never changed: what
//! a ride costs otherwise, by all that is known later, is an item of its own, so that the items of a ride always come to
//! its price.

mod policy;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

pub use policy::{BillingPolicy, Bills, Prepayment, Unbilled};

use crate::clock::Timestamp;
use crate::ids::RiderId;
use crate::journey::JourneyId;
use crate::money::Money;

digest_id!(
    /// The identity of an item: a digest of what it is for, so that billing it twice is once.
    ItemId,
    "item"
);

digest_id!(
    /// The identity of something bought: a digest of the rider's and the order's names.
    PurchaseId,
    "purchase"
);

impl PurchaseId {
    /// `order` is the name that the app gave it, so that an order sent twice is one.
    pub fn of(rider: RiderId, order: &str) -> Self {
        // Any text makes one line of this.
        Self::digest([rider.to_string(), format!("{order:?}")])
    }
}

/// What an item is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ItemKind {
    /// What a ride cost when it first cost anything.
    Ride { ride: JourneyId },
    /// What a ride costs more or less than its items before, by what has become known since. Numbered from 1.
    Adjustment { of: JourneyId, number: u32 },
    /// A pass.
    Purchase { purchase: PurchaseId, name: String },
}

impl ItemKind {
    /// The ride that it is about.
    pub const fn ride(&self) -> Option<JourneyId> {
        match self {
            Self::Ride { ride } | Self::Adjustment { of: ride, .. } => Some(*ride),
            Self::Purchase { .. } => None,
        }
    }

    fn id(&self) -> ItemId {
        match self {
            Self::Ride { ride } => ItemId::digest(["ride", &ride.to_string()]),
            Self::Adjustment { of, number } => ItemId::digest(["adjustment", &of.to_string(), &number.to_string()]),
            Self::Purchase { purchase, .. } => ItemId::digest(["purchase", &purchase.to_string()]),
        }
    }
}

/// One line of a bill. What costs nothing has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    id: ItemId,
    rider: RiderId,
    /// The travel day that it is counted on.
    day: Date,
    /// Negative if it is given back.
    amount: Money,
    #[serde(flatten)]
    kind: ItemKind,
    bill_at: Timestamp,
}

impl Item {
    /// `bill_at` is when it may be put on a bill.
    pub fn new(rider: RiderId, day: Date, amount: Money, kind: ItemKind, bill_at: Timestamp) -> Self {
        Self { id: kind.id(), rider, day, amount, kind, bill_at }
    }

    pub const fn id(&self) -> ItemId {
        self.id
    }

    pub const fn rider(&self) -> RiderId {
        self.rider
    }

    pub const fn day(&self) -> Date {
        self.day
    }

    pub const fn amount(&self) -> Money {
        self.amount
    }

    pub const fn kind(&self) -> &ItemKind {
        &self.kind
    }

    pub const fn bill_at(&self) -> Timestamp {
        self.bill_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{GateId, RecordId};

    #[test]
    fn what_an_item_is_for_names_it_and_nothing_else_does() {
        let record = |sequence| RecordId { gate: GateId::new("g").unwrap(), epoch: 1, sequence };
        let (whole, broken) = (JourneyId::of(&record(1), &record(2)), JourneyId::of_broken(&record(1)));
        let kinds = [
            ItemKind::Ride { ride: whole },
            ItemKind::Ride { ride: broken },
            ItemKind::Adjustment { of: whole, number: 1 },
            ItemKind::Adjustment { of: whole, number: 2 },
            ItemKind::Purchase { purchase: PurchaseId::of(RiderId::from_bytes([1; 16]), "a\nb"), name: "week".into() },
        ];
        let of = |minor, kind: &ItemKind| {
            let amount = Money::from_minor(minor, "CNY".parse().unwrap());
            Item::new(RiderId::from_bytes([1; 16]), Date::MIN, amount, kind.clone(), Timestamp::default())
        };
        let mut ids: Vec<ItemId> = kinds.iter().map(|kind| of(5, kind).id()).collect();
        assert_eq!(ids[0], of(-7, &kinds[0]).id());
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), kinds.len());
    }
}
