//! What should be here and is not: found when a station reports, asked for in the answer.
//!
//! A station says of each journal how far it has handed it on, with our acknowledgement. Whatever lies below and is not
//! here was lost on our side (a restored backup, a damaged disk), and so was whatever lies below a record that is here.
//! The station hands it on once more, or asks its gate for it, or says that nobody holds it any more.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use facegate_domain::ids::{GateId, StationId};
use facegate_domain::journal_audit::{JournalRange, Span};
use facegate_domain::travel_day::TravelDays;
use facegate_domain::{Clock, Timestamp};
use jiff::civil::Date;

use crate::store::{Arrival, JournalWord, StationReport, Store, StoreError, Wanted};

/// Ranges that one answer asks for, and sequences of each: what a station brings in a round.
const RANGES_MAX: usize = 16;
const SEQUENCES_MAX: u64 = 2000;
/// What nobody held is asked for again after so long: a gate's old disk may have come back.
const LOST_ASKED_AGAIN: Duration = Duration::from_secs(24 * 3600);

/// One journal as its station knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StationJournal {
    pub gate: GateId,
    pub epoch: u32,
    /// All below were handed over to the station.
    pub next_sequence: u64,
    /// All below were acknowledged by us, as the station remembers it.
    pub acknowledged: u64,
}

/// What a station is told when it has reported.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// To be handed on once more.
    pub missing: Vec<JournalRange>,
    /// The newest journal of each gate.
    pub newest: Vec<Arrival>,
}

type JournalName = (GateId, u32);

/// See the module.
#[derive(Debug)]
pub struct Completeness {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    days: TravelDays,
    /// Words already noted by this process, so that one that says nothing new is not written again.
    noted: Mutex<BTreeMap<JournalName, (Date, u64)>>,
}

impl Completeness {
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, days: TravelDays) -> Self {
        Self { store, clock, days, noted: Mutex::default() }
    }

    /// Notes what a station and its gates say of their journals; says what is lacking here.
    pub async fn heard(&self, report: &StationReport, journals: &[StationJournal]) -> Result<Answer, StoreError> {
        let now = self.clock.now();
        self.note(report, journals, now).await?;
        let mut answer = Answer::default();
        for gate in report.gates.iter().map(|gate| &gate.gate) {
            let arrivals = self.store.arrivals(Some(gate)).await?;
            answer.newest.extend(arrivals.iter().max_by_key(|arrival| arrival.epoch).cloned());
            for arrival in arrivals {
                let of = |journal: &&StationJournal| journal.gate == *gate && journal.epoch == arrival.epoch;
                let acknowledged = journals.iter().find(of).map_or(0, |journal| journal.acknowledged);
                let end = acknowledged.max(arrival.end);
                if arrival.next_sequence < end && answer.missing.len() < RANGES_MAX {
                    let rest = RANGES_MAX - answer.missing.len();
                    answer.missing.extend(self.ask(&arrival, end, now, rest).await?);
                }
            }
        }
        Ok(answer)
    }

    /// A station says that neither it nor its gate holds these any more.
    pub async fn not_held(&self, station: &StationId, ranges: Vec<JournalRange>) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mut lost = Vec::new();
        for range in ranges {
            // Only what was asked for: a station cannot give up what nobody misses.
            let wanted = self.store.wanted(&range.gate, range.epoch).await?;
            let Some(asked) = wanted.iter().find(|wanted| {
                let span = wanted.range.span;
                span.contains(range.span.first) && span.contains(range.span.last)
            }) else {
                continue;
            };
            metrics::counter!("facegate_records_lost_total").increment(range.span.count());
            let (gate, epoch, first, last) = (&range.gate, range.epoch, range.span.first, range.span.last);
            tracing::error!(%station, %gate, epoch, first, last, "ALARM: nobody holds these records any more");
            lost.push(Wanted { asked_at: asked.asked_at, lost_at: Some(now), range });
        }
        self.store.note_wanted(lost).await
    }

    async fn ask(
        &self,
        arrival: &Arrival,
        end: u64,
        now: Timestamp,
        max: usize,
    ) -> Result<Vec<JournalRange>, StoreError> {
        let (gate, epoch) = (&arrival.gate, arrival.epoch);
        let known = self.store.wanted(gate, epoch).await?;
        let lately = |wanted: &&Wanted| wanted.lost_at.is_some_and(|at| now.since(at) < LOST_ASKED_AGAIN);
        let lost: Vec<Span> = known.iter().filter(lately).map(|wanted| wanted.range.span).collect();
        let missing = self.store.missing_spans(gate, epoch, end, RANGES_MAX + lost.len()).await?;
        let parts = missing.into_iter().flat_map(|span| span.without(&lost)).flat_map(short);
        let range = |span| JournalRange { gate: gate.clone(), epoch, span };
        let asked: Vec<JournalRange> = parts.take(max).map(range).collect();
        let new = |range: &&JournalRange| known.iter().all(|known| known.range != **range || lately(&known));
        let fresh: Vec<_> = asked.iter().filter(new).collect();
        if !fresh.is_empty() {
            tracing::warn!(%gate, epoch, ranges = ?fresh, "records that should be here are not; they are asked for");
            let wanted = |range: &JournalRange| Wanted { range: range.clone(), asked_at: now, lost_at: None };
            self.store.note_wanted(fresh.into_iter().map(wanted).collect()).await?;
        }
        Ok(asked)
    }

    async fn note(
        &self,
        report: &StationReport,
        journals: &[StationJournal],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let of_station = journals.iter().map(|j| (j.gate.clone(), j.epoch, self.days.of(now), j.next_sequence));
        // A gate that is gone said this when it was seen last.
        let of_gates = report
            .gates
            .iter()
            .map(|g| (g.gate.clone(), g.journal_epoch, self.days.of(g.last_seen.min(now)), g.journal_next_sequence));
        let mut words = Vec::new();
        for (gate, epoch, day, next_sequence) in of_station.chain(of_gates).filter(|word| word.3 > 0) {
            let noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner).get(&(gate.clone(), epoch)).copied();
            if noted.is_none_or(|noted| noted < (day, next_sequence)) {
                words.push(JournalWord { gate, epoch, day, next_sequence });
            }
        }
        if words.is_empty() {
            return Ok(());
        }
        self.store.note_words(words.clone()).await?;
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        for word in words {
            let latest = noted.entry((word.gate, word.epoch)).or_default();
            *latest = (*latest).max((word.day, word.next_sequence));
        }
        Ok(())
    }
}

/// Parts that a station brings in one go.
fn short(span: Span) -> impl Iterator<Item = Span> {
    let mut rest = Some(span);
    std::iter::from_fn(move || {
        let span = rest?;
        let last = span.first.saturating_add(SEQUENCES_MAX - 1).min(span.last);
        rest = last.checked_add(1).and_then(|first| Span::new(first, span.last));
        Some(Span { first: span.first, last })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_range_is_asked_for_in_parts() {
        let parts: Vec<_> = short(Span { first: 10, last: 4100 }).map(|span| (span.first, span.last)).collect();
        assert_eq!(parts, [(10, 2009), (2010, 4009), (4010, 4100)]);
        assert_eq!(short(Span { first: u64::MAX, last: u64::MAX }).count(), 1);
    }
}
