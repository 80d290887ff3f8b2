//! One rider's settled rides and their items in memory, settled as the cloud settles them, over any number of rounds.

use std::collections::{BTreeMap, BTreeSet};

use facegate_domain::fares::{Ride, RiderTerms, Settled, Tariff};
use facegate_domain::ids::RecordId;
use facegate_domain::journey::{JourneyId, PairingPolicy, Ridden, pair, unsettled};
use facegate_domain::money::Money;
use facegate_domain::tap::Tap;
use jiff::civil::Date;

/// A ride and what was made of it.
#[derive(Debug, Clone)]
pub struct Kept {
    pub ride: Ridden,
    pub day: Date,
    pub items: Vec<Money>,
    pub held: bool,
    pub stands: bool,
}

#[derive(Debug, Default)]
pub struct Books {
    pub rides: BTreeMap<JourneyId, Kept>,
    taps: BTreeMap<RecordId, Tap>,
    settled: BTreeSet<RecordId>,
}

impl Books {
    pub fn take_in(&mut self, taps: &[Tap]) {
        self.taps.extend(taps.iter().map(|tap| (tap.id.clone(), tap.clone())));
    }

    /// One round; a ride or a second presentation waits unless `is_ripe` says otherwise of its last tap.
    pub fn settle(
        &mut self,
        tariff: &Tariff,
        terms: &RiderTerms,
        is_ripe: impl Fn(&Tap) -> bool,
    ) -> Result<(), String> {
        let policy = PairingPolicy::default();
        let reach = policy.journey_max + policy.merge_window;
        let open = self.taps.values().filter(|tap| !self.settled.contains(&tap.id));
        let Some(from) = open.map(|tap| tap.at.minus(reach)).min() else { return Ok(()) };
        let taps: Vec<Tap> = self.taps.values().filter(|tap| tap.at >= from).cloned().collect();
        let standing: Vec<Ridden> = self
            .rides
            .values()
            .filter(|kept| kept.stands && kept.ride.last().at >= from)
            .map(|kept| kept.ride.clone())
            .collect();
        let found = unsettled(pair(&taps, &policy), &self.settled, &standing, |ride| is_ripe(ride.last()), &is_ripe);
        for superseded in &found.superseded {
            let Some(kept) = self.rides.get_mut(&superseded.ride) else { continue };
            kept.stands = false;
            for tap in kept.ride.taps() {
                free(&mut self.settled, tap)?;
            }
        }
        found.unmerged.iter().try_for_each(|tap| free(&mut self.settled, tap))?;
        for tap in found.rides.iter().flat_map(Ridden::taps).chain(&found.merged) {
            if !self.settled.insert(tap.id.clone()) {
                return Err(format!("{} is in two rides", tap.id));
            }
        }
        self.price(tariff, terms, found.rides, &found.superseded.iter().map(|superseded| superseded.ride).collect())
    }

    fn price(
        &mut self,
        tariff: &Tariff,
        terms: &RiderTerms,
        new: Vec<Ridden>,
        gone: &BTreeSet<JourneyId>,
    ) -> Result<(), String> {
        let gone_began = gone.iter().map(|ride| self.rides[ride].ride.first().at);
        let Some(since) = new.iter().map(|ride| ride.first().at).chain(gone_began).min() else { return Ok(()) };
        let from = tariff.look_back(since).map_or(since, |looked_back| looked_back.from.min(since));
        let nothing = Money::zero(tariff.currency());
        let mut before = Vec::new();
        for kept in self.rides.values().filter(|kept| kept.ride.last().at >= from) {
            if kept.stands || gone.contains(&kept.ride.id()) {
                let posted = kept
                    .items
                    .iter()
                    .try_fold(nothing, |sum, item| sum.checked_add(*item))
                    .map_err(|error| error.to_string())?;
                before.push(Settled { ride: (&kept.ride).into(), posted, held: kept.held, stands: kept.stands });
            }
        }
        let rides: Vec<Ride<'_>> = new.iter().map(Ride::from).collect();
        let settling = tariff.settle(&before, &rides, since, terms).map_err(|error| error.to_string())?;
        for change in settling.changes {
            let Some(kept) = self.rides.get_mut(&change.ride) else { continue };
            kept.items.push(change.amount);
            kept.held = change.price.is_some_and(|price| price.is_err());
        }
        for (ride, billed) in new.into_iter().zip(settling.new) {
            // A ride that stood before may stand again: what it was billed and given back then stays.
            let kept = self.rides.entry(ride.id()).or_insert_with(|| Kept {
                ride,
                day: billed.day,
                items: Vec::new(),
                held: false,
                stands: true,
            });
            (kept.stands, kept.held) = (true, billed.price.is_err());
            kept.items.push(billed.total().unwrap_or(nothing));
        }
        Ok(())
    }

    /// What all items of each day come to.
    pub fn net(&self) -> BTreeMap<Date, i64> {
        let mut net = BTreeMap::new();
        for kept in self.rides.values() {
            *net.entry(kept.day).or_default() += kept.items.iter().map(|item| item.minor()).sum::<i64>();
        }
        net
    }
}

fn free(settled: &mut BTreeSet<RecordId>, tap: &Tap) -> Result<(), String> {
    if settled.remove(&tap.id) { Ok(()) } else { Err(format!("{} was in a ride and not used up", tap.id)) }
}
