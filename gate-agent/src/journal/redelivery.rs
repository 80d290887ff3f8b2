//! What the station has asked for once more, because the cloud lacks it and the station has let go of it.

use facegate_domain::journal_audit::{JournalRange, Span};
use facegate_proto::v1;
use facegate_runtime::journal::JournalError;
use prost::Message;

use super::{GateJournal, GateJournalError, unreadable};

/// Ranges that may be asked for at a time; the station asks again for what is forgotten.
const ASKED_MAX: usize = 64;

/// Part of the answer to what was asked for.
#[derive(Debug, Default)]
pub struct Again {
    pub records: Vec<v1::GateRecord>,
    pub not_held: Vec<JournalRange>,
    /// What is left of the range after this part.
    rest: Option<JournalRange>,
}

impl GateJournal {
    /// Remembers what to hand over once more.
    pub fn ask_again(&self, ranges: Vec<JournalRange>) {
        let mut state = self.state();
        for range in ranges {
            if range.gate == self.place.gate && state.asked.len() < ASKED_MAX && !state.asked.contains(&range) {
                state.asked.push(range);
            }
        }
        drop(state);
        self.changed.notify_one();
    }

    /// The next part of what was asked for, at most `max` records of one range; [`GateJournal::answered`] when the
    /// station has taken it.
    pub fn asked_again(&self, max: usize) -> Result<Option<Again>, GateJournalError> {
        let Some(range) = self.state().asked.first().cloned() else { return Ok(None) };
        let journal = self.state().epochs.get(&range.epoch).map(|epoch| epoch.journal.clone());
        let Some(journal) = journal else {
            return Ok(Some(Again { not_held: vec![range], ..Again::default() }));
        };
        let mut again = Again::default();
        let mut not_held = |first: u64, last: u64| {
            let span = Span::new(first, last.min(range.span.last));
            again.not_held.extend(span.map(|span| JournalRange { span, ..range.clone() }));
        };
        let (held, end) = (journal.first_index(), journal.next_index());
        if held > range.span.first {
            not_held(range.span.first, held - 1);
        }
        if end <= range.span.last {
            not_held(end.max(range.span.first), range.span.last);
        }
        let mut next = range.span.first.max(held);
        let read = match journal.read(next, max) {
            // Let go of between the two looks: the next one names it as not held.
            Err(JournalError::Released { .. }) => Vec::new(),
            read => read?,
        };
        for (index, bytes) in read.into_iter().take_while(|(index, _)| *index <= range.span.last) {
            let record = v1::GateRecord::decode(bytes.as_slice()).map_err(|e| unreadable(range.epoch, index, &e))?;
            again.records.push(record);
            next = index + 1;
        }
        let rest = Span::new(next, range.span.last.min(end.saturating_sub(1)));
        again.rest = rest.map(|span| JournalRange { span, ..range });
        Ok(Some(again))
    }

    /// The station has taken this part.
    pub fn answered(&self, again: Again) {
        let mut state = self.state();
        if !state.asked.is_empty() {
            state.asked.remove(0);
        }
        if let Some(rest) = again.rest {
            state.asked.insert(0, rest);
        }
    }
}
