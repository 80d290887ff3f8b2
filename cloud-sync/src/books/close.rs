//! The close of a day: a recorded act. It refuses while something is known to be missing, unless somebody says why it
//! should be so; afterwards the day's figures and tables stay as they are.

use std::time::Duration;

use facegate_domain::Timestamp;
use facegate_domain::reconcile::Kind;
use jiff::civil::Date;

use super::matching::{Matched, Matcher};
use super::{BooksError, trial};
use crate::audit_report::{Sums, moment};
use crate::auditor::Auditor;
use crate::store::DayClose;

/// Who closes a day, and what he says to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    pub by: String,
    pub note: Option<String>,
    /// Whatever speaks against it. Takes a note.
    pub force: bool,
}

/// Closes days.
#[derive(Debug)]
pub struct Closer {
    pub matcher: Matcher,
    pub auditor: Auditor,
    /// From a day's end until it may be closed.
    pub close_after: Duration,
}

/// Days are matched one at a time, by one replica; whoever stops without a word is out of the way after so long.
const TURN: &str = "books";
const TURN_LASTS: Duration = Duration::from_secs(30 * 60);

impl Closer {
    pub const fn new(matcher: Matcher, auditor: Auditor, close_after: Duration) -> Self {
        Self { matcher, auditor, close_after }
    }

    /// Matches an open day as it is now. A closed one is not matched again: its tables are there.
    pub async fn preview(&self, day: Date, now: Timestamp) -> Result<Matched, BooksError> {
        let turn = self.begin(day, now).await?;
        let matched = self.preview_alone(day, now).await;
        self.end(&turn).await;
        matched
    }

    async fn preview_alone(&self, day: Date, now: Timestamp) -> Result<Matched, BooksError> {
        if let Some(close) = self.matcher.store.closed_day(day).await? {
            return Ok(Matched { day, totals: close.totals, differences: Vec::new(), files: close.files });
        }
        self.matcher.run(day, now).await
    }

    /// Closes the day; a second close gives the first.
    pub async fn close(&self, day: Date, closing: &Closing, now: Timestamp) -> Result<DayClose, BooksError> {
        let store = &self.matcher.store;
        if let Some(first) = store.closed_day(day).await? {
            return Ok(first);
        }
        let over = self.matcher.days.end(day).plus(self.close_after);
        if now < over {
            return Err(BooksError::NotOver { day, over: moment(over) });
        }
        let latest = store.closed_days(1).await?.first().map(|close| close.day);
        let next = latest.map(|latest| latest.tomorrow().unwrap_or(latest));
        if let Some(next) = next.filter(|next| *next != day) {
            return Err(BooksError::OutOfOrder { next });
        }
        let note = closing.note.as_deref().map(str::trim).filter(|note| !note.is_empty()).map(str::to_owned);
        if closing.force && note.is_none() {
            return Err(BooksError::NoteMissing);
        }
        let turn = self.begin(day, now).await?;
        let closed = self.close_alone(day, &Closing { note, ..closing.clone() }, &turn, now).await;
        if let Err(error) = store.give_close_up(&turn).await {
            tracing::warn!(%error, %day, "what comes late of the day waits for half an hour");
        }
        self.end(&turn).await;
        closed
    }

    async fn close_alone(
        &self,
        day: Date,
        closing: &Closing,
        turn: &str,
        now: Timestamp,
    ) -> Result<DayClose, BooksError> {
        let store = &self.matcher.store;
        // Another replica may have closed it while this one waited for its turn.
        if let Some(first) = store.closed_day(day).await? {
            return Ok(first);
        }
        let mut against = self.missing_records(day).await?;
        if !against.is_empty() && !closing.force {
            return Err(BooksError::Against { day, against });
        }
        // What the match does not see from here on is late, and nothing is neither.
        store.begin_close(day, turn, now.plus(TURN_LASTS)).await?;
        let mut matched = self.matcher.run(day, now).await?;
        against.extend(unresolved(&matched));
        if !against.is_empty() && !closing.force {
            return Err(BooksError::Against { day, against });
        }
        matched.files.push(self.write_trial_balance(day).await?);
        let Closing { by, note, .. } = closing.clone();
        let close =
            DayClose { day, closed_at: now, by, note, forced: against, totals: matched.totals, files: matched.files };
        let recorded = store.close_day(close, turn).await?;
        tracing::info!(%day, by = recorded.by, differences = recorded.totals.differences_count(), "a day is closed");
        Ok(recorded)
    }

    /// Waits for nobody. Gives the name under which the turn is held.
    async fn begin(&self, day: Date, now: Timestamp) -> Result<String, BooksError> {
        let holder = uuid::Uuid::new_v4().to_string();
        let alone = self.matcher.store.hold_lease(TURN, &holder, now, TURN_LASTS).await?;
        if alone { Ok(holder) } else { Err(BooksError::UnderWay(day)) }
    }

    async fn end(&self, holder: &str) {
        if let Err(error) = self.matcher.store.end_lease(TURN, holder).await {
            tracing::warn!(%error, "the next match of a day waits for half an hour");
        }
    }

    /// What the end-of-day audit says against it.
    async fn missing_records(&self, day: Date) -> Result<Vec<String>, BooksError> {
        let report = self.auditor.report(day).await?;
        let sums = Sums::of(&report);
        let mut against = Vec::new();
        if report.preliminary && !report.lines.is_empty() {
            against.push("the end-of-day audit has not looked at it for good yet".to_owned());
        }
        if sums.missing() > 0 {
            let (missing, lost) = (sums.missing(), sums.lost);
            against.push(format!("{missing} records that gates wrote are not here ({lost} of them are lost for good)"));
        }
        Ok(against)
    }

    /// What every account held when the day ended.
    async fn write_trial_balance(&self, day: Date) -> Result<crate::store::WrittenFile, BooksError> {
        use std::io::Write as _;
        let at = self.matcher.span(day).to;
        // Of all that was made before the day's end.
        let totals = self.matcher.store.totals_at(Timestamp::from_unix_ms(at.unix_ms().saturating_sub(1))).await?;
        let path = self.matcher.folder(day).join("trial-balance.csv");
        let mut file = super::tables::Hashed::create(&path)?;
        file.write_all(trial::csv(at, &totals).as_bytes()).map_err(BooksError::write(&path))?;
        file.finish()
    }
}

fn unresolved(matched: &Matched) -> Vec<String> {
    let count = |kind| matched.totals.differences.get(&kind).map_or(0, |amounts| amounts.count);
    let mut against = Vec::new();
    let waiting = count(Kind::BillWithoutOutcome);
    if waiting > 0 {
        against.push(format!("of {waiting} bills nobody knows yet whether they were paid"));
    }
    let files = count(Kind::FileMissing);
    if files > 0 {
        against.push(format!("{files} settlement files that should be here were not imported"));
    }
    against
}
