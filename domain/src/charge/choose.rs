//! Which instrument is asked next for a charge that was declined, and when: in the rider's order, within limits, and no
//! more often than the card schemes let a merchant of transit ask for one debt.

use std::collections::BTreeMap;

use crate::charge::{Again, Bound, Channel, Charge, Event, InstrumentId, Instruments, PassedOver, Purpose, Used};
use crate::clock::Timestamp;
use crate::money::Money;
use crate::travel_day::TravelDays;

/// When one instrument is asked again for the same debt after a soft decline. The schemes want another day for every
/// try, and an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrySchedule {
    /// Travel days after the one of the first try, rising.
    pub days: Vec<u16>,
}

impl Default for RetrySchedule {
    /// Four more tries within two weeks.
    fn default() -> Self {
        Self { days: vec![1, 3, 7, 14] }
    }
}

impl RetrySchedule {
    /// When the instrument may be asked again after so many tries, the first of them at `first`. None: never again.
    fn next(&self, first: Timestamp, tries: usize, days: &TravelDays) -> Option<Timestamp> {
        let after = *self.days.get(tries.checked_sub(1)?)?;
        // `end` is where the next travel day begins.
        let mut day = days.of(first);
        for _ in 1..after {
            day = day.tomorrow().ok()?;
        }
        Some(days.end(day))
    }
}

/// What is looked at in choosing.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'c> {
    pub instruments: &'c Instruments,
    /// Of today.
    pub used: &'c BTreeMap<InstrumentId, Used>,
    pub schedule: &'c RetrySchedule,
    pub days: &'c TravelDays,
    pub now: Timestamp,
}

impl Circumstances<'_> {
    /// The first instrument that a new charge of `amount` may be opened on.
    pub fn first_for(&self, amount: Money) -> Option<&Bound> {
        let used = |bound: &Bound| self.used.get(&bound.id()).copied().unwrap_or_default();
        let may = |bound: &&Bound| bound.limits.allow(amount, Channel::Rides, used(bound), self.now).is_ok();
        self.instruments.iter().find(may)
    }
}

/// Authorisations that may lapse one after the other before it counts as a refusal.
const LAPSES_MAX: usize = 3;

enum May {
    Now,
    At(Timestamp),
    Never,
}

impl Charge {
    /// The first instrument that may be asked, or when there is one again.
    pub fn choose(&self, circumstances: &Circumstances<'_>) -> Event {
        let mut again_at: Option<Timestamp> = None;
        for bound in circumstances.instruments.iter() {
            match self.may_ask(bound, circumstances) {
                May::Now => return Event::Chosen(bound.clone()),
                May::At(at) => again_at = Some(again_at.map_or(at, |other| other.min(at))),
                May::Never => {}
            }
        }
        Event::NoneLeft { again_at }
    }

    fn limits(&self, bound: &Bound, circumstances: &Circumstances<'_>) -> Result<(), PassedOver> {
        let last = self.tried.last().map(|tried| tried.at);
        let asks_himself = self.asked_at.is_some_and(|asked_at| last.is_none_or(|last| asked_at > last));
        let channel = if asks_himself { Channel::PayNow } else { Channel::Rides };
        let used = circumstances.used.get(&bound.id()).copied().unwrap_or_default();
        bound.limits.allow(self.amount, channel, used, circumstances.now)
    }

    fn may_ask(&self, bound: &Bound, circumstances: &Circumstances<'_>) -> May {
        let Circumstances { schedule, days, now, .. } = *circumstances;
        match self.limits(bound, circumstances) {
            Err(PassedOver::Always) => return May::Never,
            Err(PassedOver::Today) => return May::At(days.end(days.of(now))),
            Ok(()) => {}
        }
        let tries: Vec<_> = self.tried.iter().filter(|tried| tried.instrument == bound.id()).collect();
        let (Some(first), Some(last)) = (tries.first(), tries.last()) else { return May::Now };
        if last.decline.again == Again::Never || self.purpose != Purpose::Bill {
            return May::Never;
        }
        let lapses = tries.iter().filter(|tried| tried.decline.again == Again::AtOnce).count();
        if last.decline.again == Again::AtOnce && lapses <= LAPSES_MAX {
            return May::Now;
        }
        // What the rider asks for himself is a payment of his, and no retry of ours.
        if self.asked_at.is_some_and(|asked_at| asked_at > last.at) {
            return May::Now;
        }
        if last.decline.again == Again::IfAsked {
            return May::Never;
        }
        match schedule.next(first.at, tries.len(), days) {
            Some(at) if at <= now && days.of(now) != days.of(last.at) => May::Now,
            Some(at) => May::At(at.max(days.end(days.of(last.at)))),
            None => May::Never,
        }
    }
}
