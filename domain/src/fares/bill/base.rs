//! The price of a ride before anything is taken off: its ends, its product, what goes on from the ride before.

use jiff::civil::Date;

use super::ends::{Ends, Went};
use super::receipt::Receipt;
use super::tally::Tallies;
use crate::clock::Timestamp;
use crate::fares::product::{Trip, spans};
use crate::fares::rider::RiderTerms;
use crate::fares::rules::{Transfer, TransferClock, TransferPays, Waives};
use crate::fares::table::Waiver;
use crate::fares::{Fare, FareTable, PricingError, Quantity, Ride, Rule, Tariff};
use crate::gate::GateMode;
use crate::ids::StationId;
use crate::journey::Incomplete;
use crate::money::{Money, MoneyError};
use crate::tap::{Medium, Tap};

/// Goes over one rider's rides in the order in which they began.
pub struct Biller<'t> {
    tariff: &'t Tariff,
    pub(super) terms: &'t RiderTerms,
    pub(super) tallies: Tallies<'t>,
    /// Rides taken from each pass and each coupon.
    pub(super) pass_rides: Vec<u32>,
    pub(super) coupon_rides: Vec<u32>,
    /// Whole rides until now.
    pub(super) went: Vec<Went>,
    /// Whether any table fills missing ends in.
    pub(super) asks_habit: bool,
    pub(super) before: Option<Before<'t>>,
}

/// The ride before, as far as the next one may go on from it.
#[derive(Clone)]
pub struct Before<'t> {
    table: &'t FareTable,
    left: StationId,
    pub(super) left_at: Timestamp,
    trip: Trip,
    /// Before anything was taken off.
    price: Money,
    group: Option<&'t str>,
    /// Transfers in a row until now, and when the first of their rides began.
    pub(super) transfers: (u32, Timestamp),
}

/// What the reductions need to know of a priced ride.
pub struct Priced {
    pub day: Date,
    pub trip: Trip,
    /// Lowest and highest zone.
    pub zones: Option<(u8, u8)>,
    /// Whether it goes on from the ride before, and is none of its own.
    pub goes_on: bool,
}

impl<'t> Biller<'t> {
    pub fn new(tariff: &'t Tariff, terms: &'t RiderTerms) -> Self {
        let (pass_rides, coupon_rides) = (vec![0; terms.passes.len()], vec![0; terms.coupons.len()]);
        let asks_habit = tariff.tables().iter().any(|table| table.rules.autofill.is_some());
        let tallies = Tallies::new();
        Self { tariff, terms, tallies, pass_rides, coupon_rides, went: Vec::new(), asks_habit, before: None }
    }

    /// To price one ride that may be, and forget it: after all others, or as if no ride were before it to go on from.
    pub(super) fn fork(&self, alone: bool) -> Self {
        Self {
            tallies: self.tallies.clone(),
            pass_rides: self.pass_rides.clone(),
            coupon_rides: self.coupon_rides.clone(),
            // What is not asked for of a whole ride.
            went: Vec::new(),
            before: if alone { None } else { self.before.clone() },
            ..*self
        }
    }

    pub fn price(&mut self, ride: Ride<'_>) -> Result<Fare, PricingError> {
        let before = self.before.take();
        let table: &'t FareTable = self.tariff.at(ride.began())?;
        let day = table.calendar.moment(ride.began()).day;
        let Some(ends) = self.ends(table, ride, day)? else { return Ok(maximum(table, ride)?) };
        if let Ride::Whole(journey) = ride {
            self.remember(&journey.entry.station, &journey.exit.station, day);
            if ends.from == ends.to
                && let Some(fare) = same_station(table, ride)?
            {
                return Ok(fare);
            }
        }
        let goes_on = before.as_ref().filter(|_| ends.filled.is_none()).and_then(|before| go_on(before, ride));
        let (table, trip) = match goes_on {
            Some(trip) => (before.as_ref().map_or(table, |before| before.table), trip),
            None => (table, fresh(table, ride, &ends)),
        };
        let mut receipt = Receipt::new(table);
        let none = || PricingError::NoProduct { table: table.name().to_owned(), metres: trip.way.metres };
        let category = self.terms.category_on(day);
        let found = table.products.iter().find_map(|product| Some((product, product.price(&trip, category)?)));
        let (product, (rule, quantity, minor)) = found.ok_or_else(none)?;
        let group = product.group.as_deref();
        let zones = zones_of(&rule, &trip);
        let price = table.money(minor);
        written_down(&mut receipt, ride)?;
        if let Some(filled) = ends.filled {
            receipt.add(filled, Quantity::Journeys(1), table.money(0))?;
        }
        receipt.add(rule, quantity, price)?;
        let mut transfers = (0, ride.began());
        if let Some(before) = &before {
            if goes_on.is_some() {
                transfers = before.transfers;
                let more = price.minor().saturating_sub(before.price.minor()).max(0);
                receipt.leave(Rule::Continued, Quantity::Journeys(1), table.money(more))?;
            } else if let Some(transfer) = transfer(table, before, group, ride) {
                transfers = (before.transfers.0 + 1, before.transfers.1);
                let due = after_transfer(transfer, price, before.price)?;
                let rule = Rule::Transfer { name: transfer.name.clone() };
                receipt.leave(rule, Quantity::Journeys(1), due)?;
            }
        }
        if let Some(reason) = waived(table, ride, &[Waives::Fare]) {
            receipt.leave(Rule::Waived { reason }, Quantity::Journeys(1), table.money(0))?;
            return Ok(receipt.into_fare()?);
        }
        let base = receipt.due();
        self.reduce(&mut receipt, &Priced { day, trip, zones, goes_on: goes_on.is_some() })?;
        if let Ride::Whole(journey) = ride {
            overstay(&mut receipt, ride, base)?;
            let (left, left_at) = (journey.exit.station.clone(), journey.exit.at);
            self.before = Some(Before { table, left, left_at, trip, price, group, transfers });
        }
        Ok(receipt.into_fare()?)
    }
}

fn fresh(table: &FareTable, ride: Ride<'_>, ends: &Ends) -> Trip {
    Trip {
        way: table.network.way(ends.from, ends.to),
        areas: (table.areas[ends.from], table.areas[ends.to]),
        zones: (table.network.zones(ends.from), table.network.zones(ends.to)),
        began: table.calendar.moment(ride.began()),
        ended: table.calendar.moment(ride.last().at),
    }
}

/// The trip that this ride and the ones before it make together, by the table of the first; None if it does not go on
/// from them.
fn go_on(before: &Before<'_>, ride: Ride<'_>) -> Option<Trip> {
    let Ride::Whole(journey) = ride else { return None };
    let Before { table, left, left_at, trip, .. } = before;
    let number = |station| table.network.number(station);
    let (left, from, to) = (number(left)?, number(&journey.entry.station)?, number(&journey.exit.station)?);
    let within = *table.rules.interchanges.get(&(left, from))?;
    let walked = journey.entry.at.since(*left_at);
    (walked.as_secs() <= u64::from(within) && left != to).then(|| Trip {
        way: trip.way.and(table.network.way(from, to)),
        areas: (trip.areas.0, table.areas[to]),
        zones: (trip.zones.0, table.network.zones(to)),
        began: trip.began,
        ended: table.calendar.moment(journey.exit.at),
    })
}

fn zones_of(rule: &Rule, trip: &Trip) -> Option<(u8, u8)> {
    match rule {
        Rule::Zones { from, to, .. } => Some((*from, *to)),
        _ => spans(trip.way.zones, trip.zones).min_by_key(|(from, to)| (to - from, *from)),
    }
}

/// The first transfer that the ride may take.
fn transfer<'t>(
    table: &'t FareTable,
    before: &Before<'_>,
    group: Option<&str>,
    ride: Ride<'_>,
) -> Option<&'t Transfer> {
    let Ride::Whole(journey) = ride else { return None };
    let of = |wanted: &Option<String>, group: Option<&str>| wanted.is_none() || wanted.as_deref() == group;
    let in_time = |rule: &Transfer| {
        let elapsed = match rule.clock {
            TransferClock::EntryToExit => journey.exit.at.since(before.transfers.1),
            TransferClock::EntryToEntry => journey.entry.at.since(before.transfers.1),
            TransferClock::ExitToEntry => journey.entry.at.since(before.left_at),
            TransferClock::ExitToExit => journey.exit.at.since(before.left_at),
        };
        rule.within_s.is_none_or(|within| elapsed.as_secs() <= u64::from(within))
    };
    table.rules.transfers.iter().find(|rule| {
        of(&rule.from_group, before.group)
            && of(&rule.to_group, group)
            && rule.count_max.is_none_or(|most| before.transfers.0 < most)
            && in_time(rule)
    })
}

/// What is still to be paid; never less than nothing.
fn after_transfer(transfer: &Transfer, price: Money, before: Money) -> Result<Money, MoneyError> {
    let rule = Money::from_minor(transfer.price_minor, price.currency());
    let due = match transfer.pays {
        TransferPays::BeforeAndTransfer => rule,
        TransferPays::All => price.checked_add(rule)?,
        TransferPays::TransferAlone => rule.checked_sub(before)?,
    };
    Ok(if due.is_negative() { Money::zero(price.currency()) } else { due })
}

/// Why one of these is given up for the ride; the first reason in the table's order.
fn waived(table: &FareTable, ride: Ride<'_>, what: &[Waives]) -> Option<String> {
    if what.contains(&Waives::Fare)
        && let Some(reason) = exempt(ride, GateMode::FareExempt).or_else(|| exempt(ride, GateMode::EmergencyOpen))
    {
        return Some(reason);
    }
    let at_an_end =
        |waiver: &&Waiver| [ride.first(), ride.last()].into_iter().any(|tap| waiver.covers(&tap.station, tap.at));
    let mut waivers = table.rules.waivers.iter().filter(|waiver| what.contains(&waiver.waives));
    waivers.find(at_an_end).map(|waiver| waiver.reason.clone())
}

/// A gate that he went through was in this mode.
fn exempt(ride: Ride<'_>, mode: GateMode) -> Option<String> {
    let mut ends = [ride.first(), ride.last()].into_iter();
    ends.find(|tap| tap.mode == mode).map(|tap| match tap.medium {
        Medium::Booth => format!("an attendant at {} let you out {}", tap.station, mode.in_words()),
        Medium::Face | Medium::Code => format!("the gate at {} was {}", tap.station, mode.in_words()),
    })
}

/// The rider reads which end of his ride an attendant wrote down.
fn written_down(receipt: &mut Receipt<'_>, ride: Ride<'_>) -> Result<(), MoneyError> {
    let ends: &[&Tap] = match ride {
        Ride::Whole(journey) => &[&journey.entry, &journey.exit],
        Ride::Broken(incomplete) => &[incomplete.tap()],
    };
    for tap in ends.iter().filter(|tap| tap.medium == Medium::Booth) {
        let rule = Rule::AtBooth { end: tap.direction, station: tap.station.clone() };
        receipt.add(rule, Quantity::Journeys(1), receipt.table.money(0))?;
    }
    Ok(())
}

/// What a ride costs of which one end is missing. No cap, pass or discount is for it.
fn maximum(table: &FareTable, ride: Ride<'_>) -> Result<Fare, MoneyError> {
    let mut receipt = Receipt::new(table);
    written_down(&mut receipt, ride)?;
    receipt.add(Rule::MaximumFare, Quantity::Journeys(1), table.money(table.maximum_fare_minor))?;
    let waives: &[Waives] = match ride {
        Ride::Broken(Incomplete::MissingExit { .. }) => &[Waives::Fare, Waives::Disruption, Waives::MissingExit],
        _ => &[Waives::Fare, Waives::Disruption],
    };
    if let Some(reason) = waived(table, ride, waives).or_else(|| exempt(ride, GateMode::SequenceExempt)) {
        receipt.leave(Rule::Waived { reason }, Quantity::Journeys(1), table.money(0))?;
    }
    receipt.into_fare()
}

/// Out where he went in, if the table has a rule for how long he stayed.
fn same_station(table: &FareTable, ride: Ride<'_>) -> Result<Option<Fare>, MoneyError> {
    let stayed = ride.last().at.since(ride.began()).as_secs();
    let mut rules = table.rules.same_station.iter();
    let rule = rules.find(|rule| rule.up_to_s.is_none_or(|up_to| stayed <= u64::from(up_to)));
    let Some(price_minor) = rule.and_then(|rule| rule.price_minor) else { return Ok(None) };
    let mut receipt = Receipt::new(table);
    written_down(&mut receipt, ride)?;
    receipt.add(Rule::SameStation, minutes(stayed), table.money(price_minor))?;
    if let Some(reason) = waived(table, ride, &[Waives::Fare, Waives::Disruption]) {
        receipt.leave(Rule::Waived { reason }, Quantity::Journeys(1), table.money(0))?;
    }
    receipt.into_fare().map(Some)
}

/// Comes on top of everything, and neither caps nor passes cover it. `fare` is the ride's own.
fn overstay(receipt: &mut Receipt<'_>, ride: Ride<'_>, fare: Money) -> Result<(), MoneyError> {
    let table = receipt.table;
    let stayed = ride.last().at.since(ride.began());
    let mut rules = table.rules.overstay.iter();
    let Some(rule) = rules.find(|rule| rule.fare_up_to_minor.is_none_or(|up_to| fare.minor() <= up_to)) else {
        return Ok(());
    };
    let beyond = stayed.saturating_sub(std::time::Duration::from_secs(rule.after_s.into()));
    let given_up = waived(table, ride, &[Waives::Disruption]).or_else(|| exempt(ride, GateMode::TimeExempt));
    if beyond.is_zero() || given_up.is_some() {
        return Ok(());
    }
    let times = rule.each_s.map_or(1, |each| beyond.as_millis().div_ceil(u128::from(each) * 1_000));
    let times = u32::try_from(times).unwrap_or(u32::MAX);
    let most = rule.at_most_minor.unwrap_or(i64::MAX);
    let amount = rule.price_minor.saturating_mul(times.into()).min(most);
    receipt.add(Rule::Overstay { after_s: rule.after_s }, minutes(stayed.as_secs()), table.money(amount))
}

fn minutes(seconds: u64) -> Quantity {
    Quantity::Minutes(u32::try_from(seconds.div_ceil(60)).unwrap_or(u32::MAX))
}
