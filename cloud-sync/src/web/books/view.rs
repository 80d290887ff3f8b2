//! What the finance page is told.

use std::collections::BTreeMap;
use std::path::Path;

use facegate_domain::Timestamp;
use facegate_domain::ledger::Totals;
use facegate_domain::reconcile::{DayTotals, Kind};
use jiff::civil::Date;
use serde::Serialize;

use super::Work;
use crate::audit_report::moment;
use crate::books::Desk;
use crate::books::matching::Summary;
use crate::store::{DayClose, SettlementFile};

/// A day in the list.
#[derive(Debug, Serialize)]
struct DayLine {
    day: Date,
    state: State,
    /// Known of a closed day, and of one that was matched.
    taps: Option<u64>,
    billed_minor: Option<i64>,
    captured_minor: Option<i64>,
    settled_minor: Option<i64>,
    differences: Option<u64>,
    work: Option<Work>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Closed,
    Open,
    /// It is not over.
    UnderWay,
}

#[derive(Debug, Serialize)]
struct FileLine {
    acquirer: String,
    date: Date,
    counts_on: Date,
    lines: u64,
    sum_minor: i64,
    fees_minor: i64,
    imported_at: String,
    by: String,
}

#[derive(Debug, Serialize)]
pub struct DaysView {
    currency: String,
    digits: u32,
    days: Vec<DayLine>,
    files: Vec<FileLine>,
    acquirers: Vec<String>,
}

impl DaysView {
    pub fn new(
        desk: &Desk,
        closed: &[DayClose],
        files: &[SettlementFile],
        work: &BTreeMap<Date, Work>,
        days_max: i64,
    ) -> Self {
        let today = desk.today();
        let closed: BTreeMap<Date, &DayClose> = closed.iter().map(|close| (close.day, close)).collect();
        let line = |day: Date| {
            let close = closed.get(&day);
            let summary = if close.is_none() { Summary::read(&desk.matcher().folder(day)) } else { None };
            let totals = close.map(|close| &close.totals).or(summary.as_ref().map(|summary| &summary.totals));
            let state = match close {
                Some(_) => State::Closed,
                None if day >= today => State::UnderWay,
                None => State::Open,
            };
            let of = |minor: fn(&DayTotals) -> i64| totals.map(minor);
            DayLine {
                day,
                state,
                taps: totals.map(|totals| totals.taps),
                billed_minor: of(|totals| totals.bills.minor),
                captured_minor: of(|totals| totals.captured.minor),
                settled_minor: of(|totals| totals.settled.minor),
                differences: totals.map(DayTotals::differences_count),
                work: work.get(&day).cloned(),
            }
        };
        let days = (0..days_max).filter_map(|back| today.checked_sub(jiff::Span::new().days(back)).ok());
        let file = |file: &SettlementFile| FileLine {
            acquirer: file.settlement.header.acquirer.clone(),
            date: file.settlement.header.date,
            counts_on: file.counts_on,
            lines: file.settlement.lines,
            sum_minor: file.settlement.sum.minor(),
            fees_minor: file.settlement.fees.minor(),
            imported_at: moment(file.imported_at),
            by: file.by.clone(),
        };
        Self {
            currency: desk.currency.to_string(),
            digits: desk.currency.minor_digits(),
            days: days.map(line).collect(),
            files: files.iter().rev().map(file).collect(),
            acquirers: desk.acquirers.clone(),
        }
    }
}

/// A kind of difference and how much of it there is.
#[derive(Debug, Serialize)]
struct KindLine {
    kind: &'static str,
    says: &'static str,
    next_action: &'static str,
    count: u64,
    minor: i64,
}

#[derive(Debug, Serialize)]
pub struct DayView {
    day: Date,
    is_over: bool,
    closed: Option<Closed>,
    matched_at: Option<String>,
    totals: Option<DayTotals>,
    kinds: Vec<KindLine>,
    files: Vec<&'static str>,
    work: Option<Work>,
}

#[derive(Debug, Serialize)]
struct Closed {
    at: String,
    by: String,
    note: Option<String>,
    forced: Vec<String>,
    hashes: Vec<(String, String)>,
}

impl DayView {
    pub fn new(
        desk: &Desk,
        day: Date,
        close: Option<DayClose>,
        summary: Option<Summary>,
        files: Vec<&'static str>,
        work: Option<Work>,
    ) -> Self {
        let matched_at = summary.as_ref().map(|summary| moment(summary.matched_at));
        let totals = close.as_ref().map(|close| close.totals.clone()).or(summary.map(|summary| summary.totals));
        let kinds = totals.iter().flat_map(|totals| &totals.differences);
        let kinds = kinds.map(|(kind, sum)| KindLine {
            kind: kind.name(),
            says: kind.says(),
            next_action: kind.next_action(),
            count: sum.count,
            minor: sum.minor,
        });
        let kinds = kinds.collect();
        let closed = close.map(|close| Closed {
            at: moment(close.closed_at),
            by: close.by,
            note: close.note,
            forced: close.forced,
            hashes: close.files.into_iter().map(|file| (file.name, file.sha256)).collect(),
        });
        Self { day, is_over: day < desk.today(), closed, matched_at, totals, kinds, files, work }
    }
}

/// Some differences of a day, as its table has them.
#[derive(Debug, Default, Serialize)]
pub struct Differences {
    rows: Vec<BTreeMap<String, String>>,
    /// Where the next ones begin; none after the last.
    next: Option<usize>,
}

impl Differences {
    /// Reads the table at `path`; a day that was never matched has none.
    pub fn read(path: &Path, kind: Option<&str>, from: usize, max: usize) -> Result<Self, csv::Error> {
        let known = kind.is_none_or(|kind| Kind::ALL.iter().any(|known| known.name() == kind));
        if !path.is_file() || !known {
            return Ok(Self::default());
        }
        let mut table = csv::Reader::from_path(path)?;
        let names = table.headers()?.clone();
        let mut found = Self::default();
        let mut seen = 0;
        for row in table.records() {
            let row = row?;
            if kind.is_some_and(|kind| row.get(0) != Some(kind)) {
                continue;
            }
            seen += 1;
            if seen <= from {
                continue;
            }
            if found.rows.len() == max {
                found.next = Some(seen - 1);
                break;
            }
            let cells = names.iter().zip(row.iter()).filter(|(_, text)| !text.is_empty());
            found.rows.push(cells.map(|(name, text)| (name.to_owned(), text.to_owned())).collect());
        }
        Ok(found)
    }
}

#[derive(Debug, Serialize)]
pub struct TrialView {
    at: String,
    balanced: bool,
    accounts: Vec<AccountLine>,
}

/// Amounts as texts: sums may be beyond what a browser's numbers hold exactly.
#[derive(Debug, Serialize)]
struct AccountLine {
    account: &'static str,
    currency: String,
    debited: String,
    credited: String,
    balance: String,
}

impl TrialView {
    pub fn new(at: Timestamp, totals: &Totals) -> Self {
        let amount = crate::books::trial::amount;
        let line =
            |(control, currency, moved): (facegate_domain::ledger::Control, _, facegate_domain::ledger::Turnover)| {
                AccountLine {
                    account: control.name(),
                    debited: amount(moved.debits, currency),
                    credited: amount(moved.credits, currency),
                    balance: amount(moved.balance(), currency),
                    currency: currency.to_string(),
                }
            };
        Self { at: moment(at), balanced: totals.is_balanced(), accounts: totals.iter().map(line).collect() }
    }
}
