//! What the match of a day reads, and the record of its close.

use std::collections::BTreeMap;

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::billing::{Item, ItemId};
use facegate_domain::charge::{Charge, ChargeId, Instrument, State};
use facegate_domain::money::Money;
use facegate_domain::reconcile::{BillRow, DayTotals, ItemRow, LineRow, Outcome, Price, RefundRow, RideRow, RiderDay};
use facegate_domain::remedy::{Remedy, RemedyId};
use futures::stream::BoxStream;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{PricedRide, Pricing, StoreError};

/// From one moment up to, and without, another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub from: Timestamp,
    pub to: Timestamp,
}

impl Span {
    pub fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }
}

/// An item of a day that was closed before it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateItem {
    pub at: Timestamp,
    pub item: Item,
}

/// A refund through an acquirer, and when it was booked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookedRefund {
    pub at: Timestamp,
    pub row: RefundRow,
}

/// A place in the order in which refunds were booked.
pub type RefundPlace = (Timestamp, RemedyId);

/// The day that is being closed, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ClosingDay {
    pub day: Date,
    pub holder: String,
    pub until: Timestamp,
}

impl ClosingDay {
    /// Whether these items wait for it. One that nobody has ended in time is over.
    pub fn holds_up(&self, items: &[Item]) -> bool {
        items.iter().any(|item| item.day() == self.day)
    }
}

/// A refund as the match sees it.
pub(super) fn refund_row(remedy: &Remedy, settled: Vec<LineRow>) -> RefundRow {
    RefundRow {
        id: remedy.id(),
        rider: remedy.rider(),
        charge: remedy.measure().charge(),
        acquirer: remedy.acquirer().map(ToString::to_string),
        amount: remedy.amount(),
        settled,
    }
}

/// A place in the order in which items came late.
pub type LatePlace = (Timestamp, ItemId);

/// One of the files that a close has written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenFile {
    pub name: String,
    pub bytes: u64,
    /// Hexadecimal.
    pub sha256: String,
}

/// A day that is closed: its figures as they were and stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayClose {
    pub day: Date,
    pub closed_at: Timestamp,
    pub by: String,
    pub note: Option<String>,
    /// What spoke against it, if somebody closed it all the same.
    pub forced: Vec<String>,
    pub totals: DayTotals,
    pub files: Vec<WrittenFile>,
}

#[async_trait]
pub trait BooksStore {
    /// Every rider who tapped within `span`, by id, some at a time: his taps and the rides that ended within it, with
    /// their items and the bills that those are in. Holds a few of them in memory, however many there are.
    fn rider_days(&self, span: Span) -> BoxStream<'_, Result<Vec<RiderDay>, StoreError>>;

    /// At most `max` items of days that were closed before they came, those that came within `span`, behind `after`.
    async fn late_items(&self, span: Span, after: Option<LatePlace>, max: usize) -> Result<Vec<LateItem>, StoreError>;

    /// At most `max` refunds that were booked within `span` and went through an acquirer, behind `after`.
    async fn refunds(
        &self,
        span: Span,
        after: Option<RefundPlace>,
        max: usize,
    ) -> Result<Vec<BookedRefund>, StoreError>;

    /// Begins to close a day: until `until`, or until it is closed, whatever would add an item to it is refused with
    /// `DayClosing`, and what was about to has been waited for. So a match that begins after this reads all that comes
    /// before the close, and what comes later is late.
    async fn begin_close(&self, day: Date, holder: &str, until: Timestamp) -> Result<(), StoreError>;

    /// Its holder has given it up.
    async fn give_close_up(&self, holder: &str) -> Result<(), StoreError>;

    /// Records the close that `holder` has begun, with a line in the audit log. Gives the first that was recorded of this
    /// day.
    ///
    /// Errors: `CloseOverdue` if something was added since.
    async fn close_day(&self, close: DayClose, holder: &str) -> Result<DayClose, StoreError>;

    async fn closed_day(&self, day: Date) -> Result<Option<DayClose>, StoreError>;

    /// At most `max`, the latest day first.
    async fn closed_days(&self, max: usize) -> Result<Vec<DayClose>, StoreError>;
}

/// A ride as the match sees it, with what is stored of its items.
pub(super) fn ride_row(ride: &PricedRide, items: &BTreeMap<[u8; 16], (Item, Option<ChargeId>)>) -> RideRow {
    let price = match ride.pricing() {
        Some(Pricing::Priced { fare, .. }) => Price::Fare(fare.total()),
        Some(Pricing::Held { .. } | Pricing::Elsewhere) | None => Price::Held,
    };
    let rows = ride.items.iter().map(|posted| {
        let known = items.get(posted.item.as_bytes());
        let charge = known.and_then(|(_, charge)| *charge);
        ItemRow { id: posted.item, amount: posted.amount, charge, is_known: known.is_some() }
    });
    RideRow { id: ride.id(), price, items: rows.collect(), superseded: ride.superseded.is_some() }
}

/// A charge as the match sees it. `items` are those of its items that are stored.
pub(super) fn bill_row(charge: &Charge, items: &[Item], settled: Vec<LineRow>) -> BillRow {
    let complete = items.len() == charge.items().len();
    let sum = Money::checked_sum(charge.billed().currency(), items.iter().map(Item::amount));
    BillRow {
        id: charge.id(),
        day: items.iter().map(Item::day).max().unwrap_or(Date::MIN),
        billed: charge.billed(),
        items_come_to: sum.ok().filter(|_| complete),
        amount: charge.amount(),
        outcome: outcome(charge.state()),
        acquirer: match charge.instrument() {
            Instrument::Wallet => None,
            Instrument::Acquirer { acquirer, .. } => Some(acquirer.to_string()),
        },
        settled,
    }
}

fn outcome(state: &State) -> Outcome {
    match state {
        State::Captured => Outcome::Captured,
        State::Settled | State::Voided | State::Refused { .. } => Outcome::Nothing,
        State::Debt { .. } => Outcome::Debt,
        waiting => Outcome::Waiting(waiting.name().to_owned()),
    }
}

impl DayClose {
    /// The day and, by their hashes, the files that prove it: what the audit log holds for good.
    pub(super) fn audited(&self) -> String {
        let files = self.files.iter().map(|file| format!("{}={}", file.name, file.sha256));
        let mut parts: Vec<String> = vec![self.day.to_string()];
        parts.push(format!("differences={}", self.totals.differences_count()));
        parts.extend(files);
        if !self.forced.is_empty() {
            parts.push(format!("forced: {}", self.note.as_deref().unwrap_or_default()));
        }
        parts.join(" ")
    }
}
