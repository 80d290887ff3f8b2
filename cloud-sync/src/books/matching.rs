//! Matches a day and writes what came of it: from the taps to the captures rider by rider, and from the lines of the day's
//! settlement files back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use facegate_domain::Timestamp;
use facegate_domain::charge::AcquirerName;
use facegate_domain::ids::RiderId;
use facegate_domain::money::{Currency, Money};
use facegate_domain::reconcile::{
    BillRow, DayTotals, Difference, LineRow, Outcome, Price, RideRow, RiderDay, backward, forward, refund_difference,
};
use facegate_domain::settlement::SettledKind;
use facegate_domain::travel_day::TravelDays;
use futures::TryStreamExt;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::BooksError;
use super::tables::{Cell, Column, Table};
use crate::store::{LinePlace, SettlementFile, Span, Store, WrittenFile};

/// Lines of a settlement file looked at together.
const LINES: usize = 2000;
/// A file counts on its own date, or on the next day that was open: after so many days none is still to come.
const COUNTED_WITHIN_DAYS: i64 = 400;
/// Differences that are kept for the page; all of them are in the tables.
const LISTED_MAX: usize = 10_000;

const DIFFERENCES: &[Column] = &[
    Column::Text("kind"),
    Column::Text("rider"),
    Column::Whole("amount_minor"),
    Column::Whole("expected_minor"),
    Column::Text("currency"),
    Column::Text("tap"),
    Column::Text("ride"),
    Column::Text("item"),
    Column::Text("charge"),
    Column::Text("acquirer"),
    Column::Text("reference"),
    Column::Text("key"),
    Column::Text("settlement_date"),
    Column::Text("state"),
    Column::Text("what"),
    Column::Text("next_action"),
];
const RIDES: &[Column] = &[
    Column::Text("ride"),
    Column::Text("rider"),
    Column::Whole("price_minor"),
    Column::Whole("items_minor"),
    Column::Text("currency"),
    Column::Text("charge"),
    Column::Text("state"),
];
const BILLS: &[Column] = &[
    Column::Text("charge"),
    Column::Text("rider"),
    Column::Whole("billed_minor"),
    Column::Whole("collected_minor"),
    Column::Text("currency"),
    Column::Text("outcome"),
    Column::Text("acquirer"),
    Column::Whole("settled_minor"),
    Column::Whole("fee_minor"),
    Column::Text("reference"),
    Column::Text("settlement_date"),
];

/// What a match found.
#[derive(Debug, Clone, PartialEq)]
pub struct Matched {
    pub day: Date,
    pub totals: DayTotals,
    /// At most [`LISTED_MAX`] of them.
    pub differences: Vec<Difference>,
    pub files: Vec<WrittenFile>,
}

/// What a match came to, beside its tables: the page reads it while the day is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub matched_at: Timestamp,
    pub totals: DayTotals,
}

impl Summary {
    const NAME: &str = "summary.json";

    fn write(&self, folder: &Path) -> Result<(), BooksError> {
        let path = folder.join(Self::NAME);
        let text = serde_json::to_vec(self).map_err(std::io::Error::other).map_err(BooksError::write(&path))?;
        std::fs::write(&path, text).map_err(BooksError::write(&path))
    }

    /// None if the day was never matched.
    pub fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(folder.join(Self::NAME)).ok()?).ok()
    }
}

/// Matches days, and writes each into a folder of its own below `dir`.
#[derive(Debug, Clone)]
pub struct Matcher {
    pub store: Arc<dyn Store>,
    pub days: TravelDays,
    pub dir: PathBuf,
    pub currency: Currency,
    /// In the config.
    pub acquirers: Vec<String>,
}

/// A day that is being matched.
struct Run {
    day: Date,
    totals: DayTotals,
    listed: Vec<Difference>,
    differences: Table,
    rides: Table,
    bills: Table,
    /// Acquirers of captures that are in no file.
    unsettled: BTreeSet<String>,
}

impl Matcher {
    /// The day as a span of time.
    pub fn span(&self, day: Date) -> Span {
        let begin = day.yesterday().map_or(Timestamp::from_unix_ms(i64::MIN), |before| self.days.end(before));
        Span { from: begin, to: self.days.end(day) }
    }

    /// Where the day's tables are.
    pub fn folder(&self, day: Date) -> PathBuf {
        self.dir.join(day.to_string())
    }

    /// Matches the day as it is now and puts its tables in place of those of before. `now` tells which files could be
    /// here.
    pub async fn run(&self, day: Date, now: Timestamp) -> Result<Matched, BooksError> {
        let writing = self.dir.join(format!("{day}.writing-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir_all(&writing).map_err(BooksError::write(&writing))?;
        let written = self.write(day, now, &writing).await;
        match written {
            Ok(matched) => {
                replace(&writing, &self.folder(day))?;
                Ok(matched)
            }
            Err(error) => {
                // What was half written is of no use to anybody.
                let _ = std::fs::remove_dir_all(&writing);
                Err(error)
            }
        }
    }

    async fn write(&self, day: Date, now: Timestamp, folder: &Path) -> Result<Matched, BooksError> {
        let mut run = Run {
            day,
            totals: DayTotals::new(self.currency),
            listed: Vec::new(),
            differences: Table::create(folder, "differences", DIFFERENCES)?,
            rides: Table::create(folder, "rides", RIDES)?,
            bills: Table::create(folder, "bills", BILLS)?,
            unsettled: BTreeSet::new(),
        };
        let mut riders = self.store.rider_days(self.span(day));
        while let Some(page) = riders.try_next().await? {
            page.iter().try_for_each(|rows| run.rider(rows))?;
        }
        drop(riders);
        self.late(&mut run).await?;
        self.refunds(&mut run).await?;
        let since = day.checked_sub(jiff::Span::new().days(COUNTED_WITHIN_DAYS)).unwrap_or(Date::MIN);
        let files = self.store.settlement_files(since).await?;
        for file in files.iter().filter(|file| file.counts_on == day) {
            self.lines(&mut run, file).await?;
        }
        run.files_missing(&files, &self.acquirers, now)?;
        let tables = [run.differences.finish()?, run.rides.finish()?, run.bills.finish()?];
        Summary { matched_at: now, totals: run.totals.clone() }.write(folder)?;
        Ok(Matched { day, totals: run.totals, differences: run.listed, files: tables.into_iter().flatten().collect() })
    }

    /// Lists what came on this day and belongs to one that was closed.
    async fn late(&self, run: &mut Run) -> Result<(), BooksError> {
        let (span, mut after) = (self.span(run.day), None);
        loop {
            let page = self.store.late_items(span, after, LINES).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some((last.at, last.item.id()));
            page.iter().try_for_each(|late| run.difference(Difference::late(&late.item)))?;
        }
    }

    async fn refunds(&self, run: &mut Run) -> Result<(), BooksError> {
        let (span, mut after) = (self.span(run.day), None);
        loop {
            let page = self.store.refunds(span, after, LINES).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some((last.at, last.row.id));
            let lacking = page.iter().filter_map(|refund| refund_difference(&refund.row));
            lacking.collect::<Vec<_>>().into_iter().try_for_each(|difference| run.difference(difference))?;
        }
    }

    async fn lines(&self, run: &mut Run, file: &SettlementFile) -> Result<(), BooksError> {
        let header = &file.settlement.header;
        let mut after: Option<LinePlace> = None;
        loop {
            let page = self.store.settled_lines(&header.acquirer, header.date, after.as_ref(), LINES).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(LinePlace::of(&last.line));
            let known = self.store.known_of(&page).await?;
            for (row, (ours, rider)) in page.iter().zip(known) {
                run.totals.add_line(row);
                backward(row, &ours, rider).into_iter().try_for_each(|difference| run.difference(difference))?;
            }
        }
    }
}

/// Puts the folder `new` where `place` is or was.
fn replace(new: &Path, place: &Path) -> Result<(), BooksError> {
    if place.exists() {
        std::fs::remove_dir_all(place).map_err(BooksError::write(place))?;
    }
    std::fs::rename(new, place).map_err(BooksError::write(place))
}

impl Run {
    fn rider(&mut self, rows: &RiderDay) -> Result<(), BooksError> {
        self.totals.add_rider(self.day, rows);
        rows.rides.iter().try_for_each(|ride| self.rides.push(ride_cells(rows.rider, ride, self.totals.currency)))?;
        for bill in rows.bills.iter().filter(|bill| bill.day == self.day) {
            self.bills.push(bill_cells(rows.rider, bill))?;
            let settled = captures(bill).next().is_some();
            if let (Outcome::Captured, Some(acquirer), false) = (&bill.outcome, &bill.acquirer, settled) {
                self.unsettled.insert(acquirer.clone());
            }
        }
        forward(self.day, rows).into_iter().try_for_each(|difference| self.difference(difference))
    }

    /// What was captured on a day is in the file of that day, or, after midnight where acquirers count, of the next.
    fn files_missing(
        &mut self,
        files: &[SettlementFile],
        acquirers: &[String],
        now: Timestamp,
    ) -> Result<(), BooksError> {
        let Ok(dates) = TravelDays::new("UTC", "00:00") else { return Ok(()) };
        let next = self.day.tomorrow().unwrap_or(self.day);
        let unsettled = std::mem::take(&mut self.unsettled);
        // A token that was bound without a name is of the only one there is.
        let named = |name: String| match acquirers {
            [only] if name == AcquirerName::default().as_str() => only.clone(),
            _ => name,
        };
        for acquirer in unsettled.into_iter().map(named).collect::<BTreeSet<_>>() {
            for date in [self.day, next] {
                let here = |file: &SettlementFile| {
                    let header = &file.settlement.header;
                    header.acquirer == acquirer && header.date == date
                };
                if now >= dates.end(date) && !files.iter().any(here) {
                    self.difference(Difference::of_file(&acquirer, &date))?;
                }
            }
        }
        Ok(())
    }

    fn difference(&mut self, difference: Difference) -> Result<(), BooksError> {
        self.totals.add_difference(&difference);
        self.differences.push(difference_cells(&difference, self.totals.currency))?;
        if self.listed.len() < LISTED_MAX {
            self.listed.push(difference);
        }
        Ok(())
    }
}

fn captures(bill: &BillRow) -> impl Iterator<Item = &LineRow> {
    bill.settled.iter().filter(|row| row.line.kind == SettledKind::Capture)
}

fn minor(amount: Option<Money>) -> Cell {
    Cell::Whole(amount.map(Money::minor))
}

fn rider_cell(rider: Option<RiderId>) -> Cell {
    Cell::Text(rider.map_or_else(String::new, |rider| rider.to_string()))
}

fn difference_cells(difference: &Difference, currency: Currency) -> Vec<Cell> {
    let about = &difference.about;
    let currency = difference.amount.or(difference.expected).map_or(currency, Money::currency);
    vec![
        Cell::text(difference.kind.name()),
        rider_cell(difference.rider),
        minor(difference.amount),
        minor(difference.expected),
        Cell::text(&currency),
        Cell::text(&about.tap),
        Cell::text(&about.ride),
        Cell::text(&about.item),
        Cell::text(&about.charge),
        Cell::text(&about.acquirer),
        Cell::text(&about.reference),
        Cell::text(&about.key),
        Cell::text(&about.date),
        Cell::text(&about.state),
        Cell::text(difference.kind.says()),
        Cell::text(difference.kind.next_action()),
    ]
}

fn ride_cells(rider: RiderId, ride: &RideRow, currency: Currency) -> Vec<Cell> {
    let price = match ride.price {
        Price::Fare(fare) => Some(fare),
        Price::Held => None,
    };
    let items = Money::checked_sum(currency, ride.items.iter().map(|item| item.amount)).ok();
    let charges: BTreeMap<String, ()> =
        ride.items.iter().filter_map(|item| Some((item.charge?.to_string(), ()))).collect();
    let state = match (ride.superseded, price) {
        (true, _) => "superseded",
        (false, Some(_)) => "priced",
        (false, None) => "held",
    };
    vec![
        Cell::text(&ride.id),
        rider_cell(Some(rider)),
        minor(price),
        minor(items),
        Cell::text(&currency),
        Cell::Text(charges.into_keys().collect::<Vec<_>>().join(" ")),
        Cell::text(state),
    ]
}

fn bill_cells(rider: RiderId, bill: &BillRow) -> Vec<Cell> {
    let rows: Vec<&LineRow> = captures(bill).collect();
    let sum = |amount: fn(&LineRow) -> i64| (!rows.is_empty()).then(|| rows.iter().map(|row| amount(row)).sum());
    let names = |name: fn(&LineRow) -> String| rows.iter().map(|row| name(row)).collect::<Vec<_>>().join(" ");
    vec![
        Cell::text(&bill.id),
        rider_cell(Some(rider)),
        minor(Some(bill.billed)),
        minor(Some(bill.amount)),
        Cell::text(&bill.billed.currency()),
        Cell::text(bill.outcome.name()),
        Cell::text(bill.acquirer.as_deref().unwrap_or_default()),
        Cell::Whole(sum(|row| row.line.amount.minor())),
        Cell::Whole(sum(|row| row.line.fee.minor())),
        Cell::Text(names(|row| row.line.reference.clone())),
        Cell::Text(names(|row| row.date.to_string())),
    ]
}
