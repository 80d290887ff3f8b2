//! The end-of-day audit: of each gate's journal and travel day what is here, what is missing, what is lost.
//!
//! It counts the records themselves and not what was noted when they came, so that it also finds what went missing
//! afterwards; the journal's mark is then lowered, and the records are asked for like any others. A day that is over is
//! stored as it was found. When late records change it, that is a new revision: what finance has printed stays.

use std::sync::Arc;
use std::time::Duration;

use facegate_domain::Clock;
use facegate_domain::ids::GateId;
use facegate_domain::journal_audit::{Beside, GateDay, Line, audit};
use facegate_domain::travel_day::TravelDays;
use jiff::civil::Date;
use tokio_util::sync::CancellationToken;

use crate::store::{Arrival, AuditedDay, Store, StoreError};

/// Records read at a time.
const PAGE: usize = 5000;
/// Incomplete days are looked at again for so long.
const INCOMPLETE_DAYS: i64 = 90;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPolicy {
    pub days: TravelDays,
    /// Between two rounds.
    pub every: Duration,
    /// From the day's end to its first audit: what is late may still arrive.
    pub close_after: Duration,
    /// Complete days that are looked at again, in case something went missing.
    pub recheck_days: i64,
}

/// A day's audit as it is read.
#[derive(Debug, Clone, PartialEq)]
pub struct DayReport {
    pub day: Date,
    /// Not over, or not audited yet: these are the figures of the moment.
    pub preliminary: bool,
    /// Every journal with something on that day, by gate and epoch. A preliminary line is of revision 0.
    pub lines: Vec<AuditedDay>,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Auditor {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    policy: AuditPolicy,
}

impl Auditor {
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, policy: AuditPolicy) -> Self {
        Self { store, clock, policy }
    }

    /// A round now and then, until stopped.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            if let Some(Err(error)) = stop.run_until_cancelled(self.round()).await {
                tracing::error!(%error, "the journals could not be audited; the next round tries again");
            }
            if stop.run_until_cancelled(tokio::time::sleep(self.policy.every)).await.is_none() {
                return;
            }
        }
    }

    /// Looks at every journal; stores what was found of days that are over, asks for what is missing.
    pub async fn round(&self) -> Result<(), StoreError> {
        let (mut missing, mut lost) = (0, 0);
        for arrival in self.store.arrivals(None).await? {
            for found in self.days_of(&arrival).await? {
                missing += found.expected - found.count;
                lost += found.lost;
                if self.is_over(found.day) {
                    self.store_day(found).await?;
                }
            }
        }
        gauge("facegate_audit_records_missing", missing);
        gauge("facegate_audit_records_lost", lost);
        Ok(())
    }

    /// The present travel day.
    pub fn today(&self) -> Date {
        self.policy.days.of(self.clock.now())
    }

    /// The one before it.
    pub fn yesterday(&self) -> Date {
        let today = self.today();
        today.yesterday().unwrap_or(today)
    }

    /// What is known of a day: as it was stored, or the figures of the moment.
    pub async fn report(&self, day: Date) -> Result<DayReport, StoreError> {
        let mut report = DayReport { day, preliminary: false, lines: Vec::new() };
        for arrival in self.store.arrivals(None).await? {
            let stored = self.store.audited(&arrival.gate, arrival.epoch, day).await?;
            if let Some(latest) = stored.into_iter().rfind(|line| line.found.day == day) {
                report.lines.push(latest);
            } else if !self.is_over(day) || self.is_recent(day) {
                let found = self.days_of(&arrival).await?.into_iter().find(|found| found.day == day);
                let found_at = self.clock.now();
                report.lines.extend(found.map(|found| AuditedDay { revision: 0, found_at, found }));
            }
        }
        report.preliminary = !self.is_over(day) || report.lines.iter().any(|line| line.revision == 0);
        Ok(report)
    }

    fn is_over(&self, day: Date) -> bool {
        self.clock.now() >= self.policy.days.end(day).plus(self.policy.close_after)
    }

    fn is_recent(&self, day: Date) -> bool {
        day >= before(self.policy.days.of(self.clock.now()), self.policy.recheck_days + 1)
    }

    async fn store_day(&self, found: GateDay) -> Result<(), StoreError> {
        let (gate, epoch, day) = (found.gate.clone(), found.epoch, found.day);
        let (missing, lost) = (found.expected - found.count, found.lost);
        let Some(revision) = self.store.put_audit(found, self.clock.now()).await? else { return Ok(()) };
        if missing > 0 {
            tracing::error!(%gate, epoch, %day, revision, missing, lost, "ALARM: a day's audit is not complete");
        } else if revision > 1 {
            tracing::warn!(%gate, epoch, %day, revision, "a day's audit was revised: records came late");
        }
        Ok(())
    }

    /// The journal's days that may still change: the open one, the latest, and those that were not complete.
    async fn days_of(&self, arrival: &Arrival) -> Result<Vec<GateDay>, StoreError> {
        let (gate, epoch) = (&arrival.gate, arrival.epoch);
        let today = self.policy.days.of(self.clock.now());
        let stored = latest(self.store.audited(gate, epoch, Date::MIN).await?);
        let looked_after = before(today, INCOMPLETE_DAYS);
        let incomplete = stored.iter().filter(|day| day.day >= looked_after && !day.is_complete());
        let incomplete = incomplete.map(|day| day.day).min();
        let recheck = before(today, self.policy.recheck_days);
        let mut since = incomplete.map_or(recheck, |day| day.min(recheck));
        let mut days = self.audit_since(gate, epoch, since, &stored).await?;
        if let Some(late) = days.first().map(|day| day.day).filter(|day| *day < since) {
            // An old disk came back with records of a day that was closed long ago: that day is counted anew, whole.
            since = late;
            days = self.audit_since(gate, epoch, since, &stored).await?;
        }
        let first_missing = days.iter().flat_map(|day| &day.missing).map(|span| span.first).min();
        if let Some(first) = first_missing.filter(|first| *first < arrival.next_sequence) {
            tracing::error!(%gate, epoch, first, "ALARM: records that had come are gone; they are asked for");
            self.store.lower_mark(gate, epoch, first).await?;
        }
        Ok(days)
    }

    /// Counts from the end of the last stored day before `since`.
    async fn audit_since(
        &self,
        gate: &GateId,
        epoch: u32,
        since: Date,
        stored: &[GateDay],
    ) -> Result<Vec<GateDay>, StoreError> {
        let closed = stored.iter().filter(|day| day.day < since).filter_map(|day| day.last).max();
        let from = closed.map_or(0, |last| last.saturating_add(1));
        let mut lines: Vec<Line> = Vec::new();
        let mut next = from;
        loop {
            let page = self.store.journal_lines(gate, epoch, next, PAGE).await?;
            let Some(last) = page.last() else { break };
            next = last.sequence.saturating_add(1);
            lines.extend(page);
        }
        let beside = self.beside(gate, epoch).await?;
        // A clock that is ahead makes no days that have not come yet.
        let now = self.clock.now();
        Ok(audit(gate, epoch, from, &lines, &beside, |at| self.policy.days.of(at.min(now))))
    }

    async fn beside(&self, gate: &GateId, epoch: u32) -> Result<Beside, StoreError> {
        let mut beside = Beside::default();
        for word in self.store.words(gate, epoch).await? {
            beside.words.insert(word.day, word.next_sequence);
        }
        for wanted in self.store.wanted(gate, epoch).await? {
            beside.asked.push(wanted.range.span);
            if wanted.lost_at.is_some() {
                beside.lost.push(wanted.range.span);
            }
        }
        for conflict in self.store.conflicts().await? {
            let id = &conflict.refused.id;
            if (&id.gate, id.epoch) == (gate, epoch) {
                *beside.conflicts.entry(self.policy.days.of(conflict.refused.stamp.wall)).or_default() += 1;
            }
        }
        Ok(beside)
    }
}

fn before(day: Date, days: i64) -> Date {
    day.checked_sub(jiff::Span::new().days(days)).unwrap_or(Date::MIN)
}

/// The latest revision of each day.
fn latest(stored: Vec<AuditedDay>) -> Vec<GateDay> {
    let mut latest: Vec<GateDay> = Vec::new();
    for line in stored {
        if latest.last().is_some_and(|last| last.day == line.found.day) {
            latest.pop();
        }
        latest.push(line.found);
    }
    latest
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; counts of records stay far below 2^52")]
fn gauge(name: &'static str, value: u64) {
    metrics::gauge!(name).set(value as f64);
}
