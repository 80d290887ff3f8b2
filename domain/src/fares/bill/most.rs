//! What a ride may still cost, known when it begins: what a rider is held for who pays in advance.
//!
//! Every way that the ride may end is priced as it would be after the rides before it: to each station, at each moment from
//! which on something else holds. So what the rider's category, passes, coupons, discounts and caps leave is what is held.
//! Staying too long comes on top of it.

use std::time::Duration;

use super::base::Biller;
use crate::clock::Timestamp;
use crate::fares::calendar::Hours;
use crate::fares::rider::RiderTerms;
use crate::fares::rules::TransferClock;
use crate::fares::{Fare, FareTable, PricingError, Ride, Rule, Tariff};
use crate::ids::{RecordId, StationId};
use crate::journey::{Journey, JourneyId};
use crate::money::Money;
use crate::tap::{Direction, Tap};

/// No ride is longer.
const LONGEST: Duration = Duration::from_secs(86_400);
/// The first moment after a time limit.
const AFTER: Duration = Duration::from_millis(1);

/// Of all ways that a ride may end.
#[derive(Debug, Clone, Copy, Default)]
struct Most {
    /// Before anything is taken off.
    whole_minor: i64,
    left_minor: i64,
    /// Out where he went in: nothing is taken off that.
    back_minor: i64,
}

impl Tariff {
    /// The most that a ride may cost which begins with this entry and ends at another station. Of a rider from whom
    /// something is taken off that is all; of another it is what a missing exit costs, or leaving where he came in, if
    /// that is more.
    /// `before` are the rider's rides that are known, as many as [`Tariff::look_back`] asks for.
    ///
    /// Errors: `NotYetValid`.
    pub fn most_after(&self, before: &[Ride<'_>], entry: &Tap, terms: &RiderTerms) -> Result<Money, PricingError> {
        let table = self.at(entry.at)?;
        let earlier: Vec<Ride<'_>> = before.iter().copied().filter(|ride| ride.began() < entry.at).collect();
        let (biller, _) = self.bill_with(&earlier, terms);
        // Where it knows no way, the ride is held for a person, and costs at most what he is used to.
        let most = biller.most(table, entry).unwrap_or_default();
        let is_reduced = most.left_minor < most.whole_minor;
        let minor = if is_reduced {
            most.left_minor
        } else {
            most.left_minor.max(most.back_minor).max(table.maximum_fare_minor)
        };
        Ok(table.money(minor))
    }
}

impl Biller<'_> {
    /// None if the table prices no way from there.
    fn most(&self, table: &FareTable, entry: &Tap) -> Option<Most> {
        let exit = Tap {
            id: RecordId { sequence: u64::MAX, ..entry.id.clone() },
            direction: Direction::Exit,
            mode: crate::gate::GateMode::Normal,
            ..entry.clone()
        };
        let mut ride = Journey { id: JourneyId::of_broken(&entry.id), entry: entry.clone(), exit };
        let moments = self.moments(table, entry);
        // An end that is filled in afterwards goes on from no ride before.
        let is_filled = table.rules.autofill.is_some() || table.rules.repairs.is_some();
        let mut most: Option<Most> = None;
        for station in table.stations() {
            ride.exit.station = station.clone();
            for at in stays(table, entry, station).chain(moments.iter().copied()) {
                ride.exit.at = at;
                let alone = (is_filled && self.before.is_some()).then_some(true);
                for alone in [false].into_iter().chain(alone) {
                    let mut biller = self.fork(alone);
                    let Ok(fare) = biller.price(Ride::Whole(&ride)) else { continue };
                    most = Some(most.unwrap_or_default().or(&fare));
                }
            }
        }
        most
    }

    /// When the ride may end such that it costs something else than if it ended before: at once, or when a transfer is
    /// too late, a waiver over, another product holds.
    fn moments(&self, table: &FareTable, entry: &Tap) -> Vec<Timestamp> {
        let mut moments = vec![entry.at];
        if let Some(before) = &self.before {
            let limits = table.rules.transfers.iter().filter_map(|rule| Some((rule.clock, rule.within_s?)));
            moments.extend(limits.filter_map(|(clock, within_s)| {
                let since = match clock {
                    TransferClock::EntryToExit => before.transfers.1,
                    TransferClock::ExitToExit => before.left_at,
                    TransferClock::EntryToEntry | TransferClock::ExitToEntry => return None,
                };
                Some(since.plus(Duration::from_secs(within_s.into())).plus(AFTER))
            }));
        }
        moments.extend(table.rules.waivers.iter().map(|waiver| waiver.until));
        let hours = table.products.iter().flat_map(|product| &product.until);
        let bounds: Vec<u16> = hours.flat_map(Hours::bounds).collect();
        if !bounds.is_empty() {
            let began = table.calendar.moment(entry.at);
            let minute = Timestamp::from_unix_ms(entry.at.unix_ms().div_euclid(60_000) * 60_000);
            moments
                .extend(bounds.iter().map(|bound| minute.plus(Duration::from_secs(60 * began.minutes_until(*bound)))));
            // Another travel day may be one of another kind.
            moments.push(table.calendar.days().end(began.day));
        }
        moments.retain(|at| (entry.at..entry.at.plus(LONGEST)).contains(at));
        moments.sort_unstable();
        moments.dedup();
        moments
    }
}

/// Out where he went in it matters how long he stayed.
fn stays<'t>(table: &'t FareTable, entry: &'t Tap, station: &StationId) -> impl Iterator<Item = Timestamp> + use<'t> {
    let here = *station == entry.station;
    let limits = table.rules.same_station.iter().filter_map(|rule| rule.up_to_s).filter(move |_| here);
    limits.map(|up_to_s| entry.at.plus(Duration::from_secs(up_to_s.into())).plus(AFTER))
}

impl Most {
    /// Or it costs so much.
    fn or(self, fare: &Fare) -> Self {
        let (mut whole, mut left) = (0_i64, 0_i64);
        for line in fare.lines() {
            match line.rule {
                Rule::Overstay { .. } => {}
                Rule::SameStation => {
                    return Self { back_minor: self.back_minor.max(fare.total().minor()), ..self };
                }
                _ => {
                    whole = whole.saturating_add(line.amount.minor().max(0));
                    left = left.saturating_add(line.amount.minor());
                }
            }
        }
        Self { whole_minor: self.whole_minor.max(whole), left_minor: self.left_minor.max(left), ..self }
    }
}

#[cfg(test)]
mod tests;
