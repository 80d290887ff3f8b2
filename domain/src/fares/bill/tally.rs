//! What a rider has ridden and paid in the periods that are running.

use jiff::civil::Date;

use crate::fares::calendar::Period;

/// Rides and money since a period began.
#[derive(Debug, Clone, Copy)]
pub struct Tally {
    since: Date,
    pub rides: u32,
    pub paid_minor: i64,
}

impl Tally {
    const fn new() -> Self {
        Self { since: Date::MIN, rides: 0, paid_minor: 0 }
    }

    /// A new period begins from nothing. Rides come in the order of time, so none is behind.
    fn in_period(&mut self, since: Date) -> &mut Self {
        if self.since != since {
            *self = Self { since, ..Self::new() };
        }
        self
    }

    pub fn pay(&mut self, minor: i64) {
        self.paid_minor = self.paid_minor.saturating_add(minor);
    }
}

/// All tallies of one rider.
#[derive(Debug, Clone)]
pub struct Tallies<'t> {
    /// Of everything, by period.
    all: [Tally; 3],
    /// By the name of the cap, so that one goes on from a table to the next.
    caps: Vec<(&'t str, Tally)>,
    /// Missing ends filled in and repaired, in the travel month.
    filled: [Tally; 2],
}

impl<'t> Tallies<'t> {
    pub const fn new() -> Self {
        Self { all: [Tally::new(); 3], caps: Vec::new(), filled: [Tally::new(); 2] }
    }

    pub fn of(&mut self, period: Period, day: Date) -> &mut Tally {
        let at = match period {
            Period::Day => 0,
            Period::Week => 1,
            Period::Month => 2,
        };
        self.all[at].in_period(period.since(day))
    }

    pub fn cap(&mut self, name: &'t str, period: Period, day: Date) -> &mut Tally {
        let at = self.caps.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
            self.caps.push((name, Tally::new()));
            self.caps.len() - 1
        });
        self.caps[at].1.in_period(period.since(day))
    }

    pub fn usual(&mut self, day: Date) -> &mut Tally {
        self.filled[0].in_period(Period::Month.since(day))
    }

    pub fn repaired(&mut self, day: Date) -> &mut Tally {
        self.filled[1].in_period(Period::Month.since(day))
    }
}
