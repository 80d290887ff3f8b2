//! What does not fit, and what to do about it.

use serde::{Deserialize, Serialize};

use super::{LineRow, TapRow};
use crate::billing::{Item, ItemId};
use crate::charge::{ChargeId, IdempotencyKey};
use crate::ids::RiderId;
use crate::journey::JourneyId;
use crate::money::Money;

/// What kind of a difference it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    TapWaits,
    TapWithoutRide,
    PriceHeld,
    RideWithoutItem,
    ItemsDiffer,
    ItemMissing,
    ItemWithoutBill,
    BillDiffers,
    BillWithoutOutcome,
    CaptureNotSettled,
    SettledAmountDiffers,
    SettledTwice,
    SettledNotCaptured,
    SettledNotOurs,
    SettledOnAnotherDate,
    RefundNotOurs,
    RefundNotSettled,
    ChargebackNotPosted,
    FileMissing,
    Late,
}

impl Kind {
    pub const ALL: [Self; 20] = [
        Self::TapWaits,
        Self::TapWithoutRide,
        Self::PriceHeld,
        Self::RideWithoutItem,
        Self::ItemsDiffer,
        Self::ItemMissing,
        Self::ItemWithoutBill,
        Self::BillDiffers,
        Self::BillWithoutOutcome,
        Self::CaptureNotSettled,
        Self::SettledAmountDiffers,
        Self::SettledTwice,
        Self::SettledNotCaptured,
        Self::SettledNotOurs,
        Self::SettledOnAnotherDate,
        Self::RefundNotOurs,
        Self::RefundNotSettled,
        Self::ChargebackNotPosted,
        Self::FileMissing,
        Self::Late,
    ];

    /// As tables write it; what serde writes too.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TapWaits => "tap_waits",
            Self::TapWithoutRide => "tap_without_ride",
            Self::PriceHeld => "price_held",
            Self::RideWithoutItem => "ride_without_item",
            Self::ItemsDiffer => "items_differ",
            Self::ItemMissing => "item_missing",
            Self::ItemWithoutBill => "item_without_bill",
            Self::BillDiffers => "bill_differs",
            Self::BillWithoutOutcome => "bill_without_outcome",
            Self::CaptureNotSettled => "capture_not_settled",
            Self::SettledAmountDiffers => "settled_amount_differs",
            Self::SettledTwice => "settled_twice",
            Self::SettledNotCaptured => "settled_not_captured",
            Self::SettledNotOurs => "settled_not_ours",
            Self::SettledOnAnotherDate => "settled_on_another_date",
            Self::RefundNotOurs => "refund_not_ours",
            Self::RefundNotSettled => "refund_not_settled",
            Self::ChargebackNotPosted => "chargeback_not_posted",
            Self::FileMissing => "file_missing",
            Self::Late => "late",
        }
    }

    /// What it means.
    pub const fn says(self) -> &'static str {
        match self {
            Self::TapWaits => "A tap waits for its other end.",
            Self::TapWithoutRide => "A tap is in no ride, and does not wait for one.",
            Self::PriceHeld => "A ride's price is held for somebody to look at.",
            Self::RideWithoutItem => "A ride has a price, and nothing was put on any bill for it.",
            Self::ItemsDiffer => "What was put on bills for a ride does not come to its price.",
            Self::ItemMissing => "A ride names an item that is not stored.",
            Self::ItemWithoutBill => "An item is on no bill.",
            Self::BillDiffers => "A bill does not come to the sum of its items.",
            Self::BillWithoutOutcome => "Nobody knows yet whether a bill was paid.",
            Self::CaptureNotSettled => "A captured amount is in no settlement file.",
            Self::SettledAmountDiffers => "The acquirer settled another amount than the books have.",
            Self::SettledTwice => "The acquirer settled a charge a second time.",
            Self::SettledNotCaptured => "The acquirer settled a charge that the books do not have as captured.",
            Self::SettledNotOurs => "The acquirer settled something that the books do not know.",
            Self::SettledOnAnotherDate => "The acquirer settled it with another date than it was booked on.",
            Self::RefundNotOurs => "The acquirer gave money back for a charge without a refund in the books.",
            Self::RefundNotSettled => "A refund is in no settlement file.",
            Self::ChargebackNotPosted => {
                "A rider's bank took money back (or gave it again), and the books do not have it."
            }
            Self::FileMissing => "An acquirer's settlement file of this date was not imported.",
            Self::Late => "It belongs to a day that is closed, and counts on this one.",
        }
    }

    /// What somebody has to do about it.
    pub const fn next_action(self) -> &'static str {
        match self {
            Self::TapWaits => "Nothing yet: it is priced when its other end comes, or when it is given up waiting for.",
            Self::TapWithoutRide => {
                "Restart settling (restart the cloud); if it stays, report it with the tap's name: a ride may be unpaid."
            }
            Self::PriceHeld => "Look at it among the held cases, and price or waive it.",
            Self::RideWithoutItem => "Report it with the ride's name: the rider was not billed for it.",
            Self::ItemsDiffer => {
                "Compare the ride's receipt with its items, and post an adjustment or a refund of the difference."
            }
            Self::ItemMissing => "Stop charging and restore or report: the store has lost an item.",
            Self::ItemWithoutBill => {
                "Nothing before its time to be billed; after that see whether the rider has an instrument, or write it off."
            }
            Self::BillDiffers => {
                "Stop charging that rider and report it: he is asked for another amount than his items come to."
            }
            Self::BillWithoutOutcome => {
                "Wait for the acquirer's answer; after a day ask it for the outcome of this charge's key."
            }
            Self::CaptureNotSettled => {
                "Import the next file of this acquirer; if it is not in there either, claim the amount from it."
            }
            Self::SettledAmountDiffers => {
                "Claim the difference from the acquirer, or correct the books by an entry that names its reference."
            }
            Self::SettledTwice => {
                "Tell the acquirer to take the second one back, and see that the rider was not charged twice."
            }
            Self::SettledNotCaptured => {
                "Query the charge at the acquirer: if the money was taken, the rider's debt is paid; else have it given back."
            }
            Self::SettledNotOurs => "Ask the acquirer what it is; have it taken back if it is somebody else's.",
            Self::SettledOnAnotherDate => "Nothing, if the amount is there: it belongs to the date it was booked on.",
            Self::RefundNotOurs => "Ask the acquirer who ordered it; post the refund, or claim the amount.",
            Self::RefundNotSettled => {
                "Import the next file of this acquirer; if it is not in there either, see whether the rider has his money."
            }
            Self::ChargebackNotPosted => {
                "Answer the dispute within the scheme's time, and post it to the disputed account."
            }
            Self::FileMissing => "Fetch the file from the acquirer and import it.",
            Self::Late => "Nothing: it is counted on this day, and the closed one stays as it is.",
        }
    }
}

/// The names of what a difference is about; those that it is not about are empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct About {
    pub tap: String,
    pub ride: String,
    pub item: String,
    pub charge: String,
    pub acquirer: String,
    pub reference: String,
    pub key: String,
    /// Of the settlement file.
    pub date: String,
    /// The charge's.
    pub state: String,
}

/// One thing that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    pub kind: Kind,
    pub rider: Option<RiderId>,
    /// What is there.
    pub amount: Option<Money>,
    /// What should be.
    pub expected: Option<Money>,
    pub about: About,
}

impl Difference {
    pub(super) fn new(kind: Kind, rider: RiderId) -> Self {
        Self { kind, rider: Some(rider), amount: None, expected: None, about: About::default() }
    }

    /// Of nobody in particular: a whole file that is not there.
    pub fn of_file(acquirer: &str, date: &impl ToString) -> Self {
        let about = About { acquirer: acquirer.to_owned(), date: date.to_string(), ..About::default() };
        Self { kind: Kind::FileMissing, rider: None, amount: None, expected: None, about }
    }

    /// An item of a day that was closed when it came.
    pub fn late(item: &Item) -> Self {
        let late = Self::new(Kind::Late, item.rider()).item(item.id()).amount(item.amount());
        match item.kind().ride() {
            Some(ride) => late.ride(ride),
            None => late,
        }
    }

    pub(super) fn of_line(kind: Kind, row: &LineRow) -> Self {
        let about = About {
            acquirer: row.acquirer.clone(),
            reference: row.line.reference.clone(),
            key: row.line.key.clone(),
            date: row.date.to_string(),
            ..About::default()
        };
        Self { kind, rider: None, amount: Some(row.line.amount), expected: None, about }
    }

    pub(super) fn tap(mut self, tap: &TapRow) -> Self {
        self.about.tap = tap.id.to_string();
        self
    }

    pub(super) fn ride(mut self, ride: JourneyId) -> Self {
        self.about.ride = ride.to_string();
        self
    }

    pub(super) fn item(mut self, item: ItemId) -> Self {
        self.about.item = item.to_string();
        self
    }

    pub(super) fn charge(mut self, charge: ChargeId) -> Self {
        self.about.charge = charge.to_string();
        self
    }

    pub(super) fn acquirer(mut self, acquirer: Option<&str>) -> Self {
        self.about.acquirer = acquirer.unwrap_or_default().to_owned();
        self
    }

    pub(super) fn key(mut self, key: &IdempotencyKey) -> Self {
        self.about.key = key.to_string();
        self
    }

    pub(super) fn state(mut self, state: &str) -> Self {
        self.about.state = state.to_owned();
        self
    }

    pub(super) fn amount(self, amount: Money) -> Self {
        Self { amount: Some(amount), ..self }
    }

    pub(super) fn expected(self, expected: Money) -> Self {
        Self { expected: Some(expected), ..self }
    }
}
