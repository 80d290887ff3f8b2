//! Is everything there that the gates wrote? One gate's journal of one travel day at a time, from the records
//! themselves, held against the gate's own word.
//!
//! A sequence that is missing belongs to the day on which the gate said that it had written it; without such a word, to
//! the day of the next record that is there.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::GateId;
use crate::tap::PassageOutcome;

/// Sequences of one journal, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span {
    pub first: u64,
    pub last: u64,
}

impl Span {
    /// `None` if there is nothing in it.
    pub fn new(first: u64, last: u64) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    pub fn count(self) -> u64 {
        (self.last - self.first).saturating_add(1)
    }

    pub fn contains(self, sequence: u64) -> bool {
        (self.first..=self.last).contains(&sequence)
    }

    /// What is left of it without the others.
    pub fn without(self, others: &[Self]) -> Vec<Self> {
        let cut = |rest: Vec<Self>, other: &Self| {
            let parts = rest.into_iter().flat_map(|span| {
                let before = other.first.checked_sub(1).and_then(|last| Self::new(span.first, span.last.min(last)));
                let after = other.last.checked_add(1).and_then(|first| Self::new(span.first.max(first), span.last));
                before.into_iter().chain(after)
            });
            parts.collect()
        };
        others.iter().fold(vec![self], cut)
    }

    fn intersection(self, other: Self) -> Option<Self> {
        Self::new(self.first.max(other.first), self.last.min(other.last))
    }
}

/// A span of a named journal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JournalRange {
    pub gate: GateId,
    pub epoch: u32,
    #[serde(flatten)]
    pub span: Span,
}

/// What the audit needs of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    pub sequence: u64,
    pub at: Timestamp,
    pub entry: LineEntry,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineEntry {
    Authorisation,
    Passage {
        authorisation: u64,
        outcome: PassageOutcome,
    },
    /// A booth opened a gate.
    GateOpened,
}

/// What is known of a journal besides its records.
#[derive(Debug, Clone, Default)]
pub struct Beside {
    /// By day: the next sequence, as the gate or its station said last on that day.
    pub words: BTreeMap<Date, u64>,
    /// What was asked for once more.
    pub asked: Vec<Span>,
    /// What gate and station said that they do not hold.
    pub lost: Vec<Span>,
    /// By day: records refused because the same identity had come with another content.
    pub conflicts: BTreeMap<Date, u64>,
}

/// One journal on one travel day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateDay {
    pub gate: GateId,
    pub epoch: u32,
    pub day: Date,
    /// First and last sequence written on that day, here or missing.
    pub first: Option<u64>,
    pub last: Option<u64>,
    /// Records here.
    pub count: u64,
    /// Records that there must be.
    pub expected: u64,
    pub missing: Vec<Span>,
    /// Records here that had been missing and came when they were asked for once more.
    pub refetched: u64,
    /// Of the missing: those that nobody holds any more.
    pub lost: u64,
    /// Authorisations with a body seen to pass.
    pub taps: u64,
    /// Authorisations of which nobody knows whether somebody passed.
    pub passages_unknown: u64,
    pub conflicts: u64,
}

impl GateDay {
    fn new(gate: &GateId, epoch: u32, day: Date) -> Self {
        Self {
            gate: gate.clone(),
            epoch,
            day,
            first: None,
            last: None,
            count: 0,
            expected: 0,
            missing: Vec::new(),
            refetched: 0,
            lost: 0,
            taps: 0,
            passages_unknown: 0,
            conflicts: 0,
        }
    }

    /// Nothing to look after.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }

    fn cover(&mut self, span: Span) {
        self.first = Some(self.first.map_or(span.first, |first| first.min(span.first)));
        self.last = Some(self.last.map_or(span.last, |last| last.max(span.last)));
        self.expected = self.expected.saturating_add(span.count());
    }
}

/// The days of one journal from sequence `from` on, in order. `lines` are all its records from there, by sequence;
/// `day_of` tells a record's travel day.
pub fn audit(
    gate: &GateId,
    epoch: u32,
    from: u64,
    lines: &[Line],
    beside: &Beside,
    day_of: impl Fn(Timestamp) -> Date,
) -> Vec<GateDay> {
    let mut days = Days { gate, epoch, beside, days: BTreeMap::new() };
    let mut expected = from;
    let mut before = None;
    for line in lines {
        let today = day_of(line.at);
        if let Some(gap) = line.sequence.checked_sub(1).and_then(|last| Span::new(expected, last)) {
            days.miss(gap, before, Some(today));
        }
        let day = days.on(today);
        day.cover(Span { first: line.sequence, last: line.sequence });
        day.count += 1;
        day.refetched += u64::from(beside.asked.iter().any(|span| span.contains(line.sequence)));
        expected = line.sequence.saturating_add(1);
        before = Some(today);
    }
    let written = beside.words.values().copied().max().unwrap_or(0);
    if let Some(tail) = written.checked_sub(1).and_then(|last| Span::new(expected, last)) {
        days.miss(tail, before, None);
    }
    days.passages(lines, &day_of);
    let first = days.days.keys().next().copied();
    for (day, count) in beside.conflicts.iter().filter(|(day, _)| first.is_some_and(|first| **day >= first)) {
        days.on(*day).conflicts = *count;
    }
    days.days.into_values().collect()
}

struct Days<'a> {
    gate: &'a GateId,
    epoch: u32,
    beside: &'a Beside,
    days: BTreeMap<Date, GateDay>,
}

impl Days<'_> {
    fn on(&mut self, day: Date) -> &mut GateDay {
        self.days.entry(day).or_insert_with(|| GateDay::new(self.gate, self.epoch, day))
    }

    /// A gap between a record of day `before` and one of day `after`, cut where the gate's words say that a day ended.
    fn miss(&mut self, gap: Span, before: Option<Date>, after: Option<Date>) {
        let mut rest = Some(gap);
        for (day, next) in &self.beside.words {
            let Some(gap) = rest else { return };
            let between = before.is_none_or(|before| before <= *day) && after.is_none_or(|after| *day <= after);
            let Some(said) = next.checked_sub(1).filter(|last| between && *last >= gap.first) else { continue };
            let last = said.min(gap.last);
            self.note(*day, Span { first: gap.first, last });
            rest = last.checked_add(1).and_then(|first| Span::new(first, gap.last));
        }
        // A word brought about every tail, so what is left lies before a record.
        if let (Some(gap), Some(day)) = (rest, after.or(before)) {
            self.note(day, gap);
        }
    }

    fn note(&mut self, day: Date, missing: Span) {
        let lost = self.beside.lost.iter().filter_map(|span| span.intersection(missing)).map(Span::count).sum::<u64>();
        let day = self.on(day);
        day.cover(missing);
        day.missing.push(missing);
        day.lost = day.lost.saturating_add(lost.min(missing.count()));
    }

    /// A passage counts on the day of its authorisation.
    fn passages(&mut self, lines: &[Line], day_of: impl Fn(Timestamp) -> Date) {
        let mut outcomes = BTreeMap::<u64, (bool, bool)>::new();
        for line in lines {
            if let LineEntry::Passage { authorisation, outcome } = line.entry {
                let seen = outcomes.entry(authorisation).or_default();
                seen.0 |= outcome == PassageOutcome::Passed;
                seen.1 |= outcome != PassageOutcome::Unknown;
            }
        }
        for line in lines.iter().filter(|line| line.entry == LineEntry::Authorisation) {
            let (passed, known) = outcomes.get(&line.sequence).copied().unwrap_or_default();
            let day = self.on(day_of(line.at));
            day.taps += u64::from(passed);
            day.passages_unknown += u64::from(!known);
        }
    }
}

#[cfg(test)]
mod tests;
