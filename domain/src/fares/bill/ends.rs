//! Where a ride began and ended; a missing end as the rider told it, or as he usually goes.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::base::Biller;
use crate::fares::rider::Repair;
use crate::fares::rules::Autofill;
use crate::fares::{FareTable, PricingError, Ride, Rule};
use crate::ids::StationId;
use crate::journey::Incomplete;

/// A whole ride of before.
#[derive(Debug)]
pub struct Went {
    from: StationId,
    to: StationId,
    day: Date,
}

/// Both ends of a ride by their numbers in the table.
pub struct Ends {
    pub from: usize,
    pub to: usize,
    /// Why the missing one is believed to be there.
    pub filled: Option<Rule>,
}

impl Biller<'_> {
    /// None if one end is missing and nothing says where it was.
    pub(super) fn ends(&mut self, table: &FareTable, ride: Ride<'_>, day: Date) -> Result<Option<Ends>, PricingError> {
        let from = number(table, &ride.first().station)?;
        let incomplete = match ride {
            Ride::Whole(journey) => {
                let to = number(table, &journey.exit.station)?;
                return Ok(Some(Ends { from, to, filled: None }));
            }
            Ride::Broken(incomplete) => incomplete,
        };
        let Some((station, filled)) =
            self.repaired(table, incomplete, day).or_else(|| self.usual(table, incomplete, day))
        else {
            return Ok(None);
        };
        let (here, there, filled) = (from, number(table, &station)?, Some(filled));
        Ok(Some(match incomplete {
            Incomplete::MissingExit { .. } => Ends { from: here, to: there, filled },
            Incomplete::MissingEntry { .. } => Ends { from: there, to: here, filled },
        }))
    }

    /// Keeps what a later ride may be filled in by.
    pub(super) fn remember(&mut self, from: &StationId, to: &StationId, day: Date) {
        if self.asks_habit {
            self.went.push(Went { from: from.clone(), to: to.clone(), day });
        }
    }

    fn repaired(&mut self, table: &FareTable, incomplete: &Incomplete, day: Date) -> Option<(StationId, Rule)> {
        let rules = table.rules.repairs.as_ref()?;
        let tap = &incomplete.tap().id;
        let last_day = day.checked_add(jiff::Span::new().days(i64::from(rules.within_days))).unwrap_or(Date::MAX);
        let until = table.calendar.days().end(last_day);
        let in_time = |repair: &&Repair| repair.tap == *tap && repair.made_at < until;
        // Of several the first that he made holds.
        let order = |repair: &&Repair| (repair.made_at, repair.station.clone());
        let repair = self.terms.repairs.iter().filter(in_time).min_by_key(order)?;
        let tally = self.tallies.repaired(day);
        if tally.rides >= rules.per_month || table.network.number(&repair.station).is_none() {
            return None;
        }
        tally.rides += 1;
        let station = repair.station.clone();
        Some((station.clone(), Rule::Repaired { station }))
    }

    fn usual(&mut self, table: &FareTable, incomplete: &Incomplete, day: Date) -> Option<(StationId, Rule)> {
        let rules = table.rules.autofill.as_ref()?;
        let station = mostly(&self.went, incomplete, rules, day).filter(|to| table.network.number(to).is_some())?;
        let tally = self.tallies.usual(day);
        if tally.rides >= rules.per_month {
            return None;
        }
        tally.rides += 1;
        Some((station.clone(), Rule::Usual { station }))
    }
}

/// The other end of most of his rides that have this one; None if it is rare, or no more usual than another.
fn mostly(went: &[Went], incomplete: &Incomplete, rules: &Autofill, day: Date) -> Option<StationId> {
    let since = day.checked_sub(jiff::Span::new().days(i64::from(rules.days))).unwrap_or(Date::MIN);
    let here = &incomplete.tap().station;
    let mut times: BTreeMap<&StationId, u32> = BTreeMap::new();
    for ride in went.iter().rev().take_while(|ride| ride.day >= since) {
        let (same, other) = match incomplete {
            Incomplete::MissingExit { .. } => (&ride.from, &ride.to),
            Incomplete::MissingEntry { .. } => (&ride.to, &ride.from),
        };
        if same == here {
            *times.entry(other).or_default() += 1;
        }
    }
    let most = *times.values().max()?;
    let mut usual = times.iter().filter(|(_, count)| **count == most);
    let (station, _) = usual.next()?;
    (most >= rules.rides_min && usual.next().is_none()).then(|| (*station).clone())
}

fn number(table: &FareTable, station: &StationId) -> Result<usize, PricingError> {
    let unknown = || PricingError::UnknownStation { table: table.name().to_owned(), station: station.clone() };
    table.network.number(station).ok_or_else(unknown)
}
