//! Taps, journeys and money, compared with the bodies and with the acquirer's own books. Pure, so that tests show that it
//! finds what it is for.

use std::collections::{BTreeMap, BTreeSet};

use facegate_cloud_sync::store::PricedJourney;
use facegate_domain::charge::{Charge, ChargeId, IdempotencyKey, Instrument, State};
use facegate_domain::ids::{RecordId, RiderId};
use facegate_domain::tap::{Direction, Tap};

use crate::sim::acquirer::Account;
use crate::sim::events::Broken;

/// One body through one door: the tap that there must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crossed {
    pub tap: RecordId,
    pub rider: RiderId,
    pub way: Direction,
}

/// What there is to compare.
#[derive(Debug, Default)]
pub struct Books {
    pub crossed: Vec<Crossed>,
    /// With the record's part of the store's key.
    pub taps: Vec<(Vec<u8>, Tap)>,
    /// The same part of the keys of taps that were used up: in a journey, merged, or given up and reported.
    pub used: BTreeSet<Vec<u8>>,
    pub priced: Vec<PricedJourney>,
    pub charges: Vec<Charge>,
    pub acquirer: BTreeMap<IdempotencyKey, Account>,
    /// Records that are missing or contradict each other.
    pub gaps_and_conflicts: usize,
}

type Findings = Vec<(Broken, String)>;

impl Books {
    /// One tap for every body, and none without.
    pub fn taps(&self) -> Findings {
        let known: BTreeMap<&RecordId, &Tap> = self.taps.iter().map(|(_, tap)| (&tap.id, tap)).collect();
        let bodies: BTreeSet<&RecordId> = self.crossed.iter().map(|crossed| &crossed.tap).collect();
        let mut findings = Vec::new();
        for crossed in &self.crossed {
            match known.get(&crossed.tap) {
                None => findings.push((Broken::TapLost, format!("{} is not known to the cloud", crossed.tap))),
                Some(tap) if tap.rider != crossed.rider || tap.direction != crossed.way => {
                    findings.push((Broken::TapLost, format!("{} is another rider's, or another way", crossed.tap)));
                }
                Some(_) => (),
            }
        }
        if bodies.len() != self.crossed.len() {
            findings.push((Broken::TapLost, "two bodies went through on one authorisation".into()));
        }
        for id in known.keys().filter(|id| !bodies.contains(*id)) {
            findings.push((Broken::DoubleCharge, format!("{id} is a tap, and no body went through")));
        }
        if self.gaps_and_conflicts > 0 {
            findings.push((Broken::TapLost, format!("{} gaps or conflicts are left", self.gaps_and_conflicts)));
        }
        findings
    }

    /// Every tap is used up once, and no journey has more than it should.
    pub fn journeys(&self) -> Findings {
        let mut findings = Vec::new();
        for (key, tap) in &self.taps {
            if !self.used.contains(key) {
                findings.push((Broken::TapLost, format!("{} is in no journey and in no report", tap.id)));
            }
        }
        let mut ends = BTreeSet::new();
        for journey in self.priced.iter().map(|priced| &priced.journey) {
            for end in [&journey.entry, &journey.exit] {
                if !ends.insert(&end.id) {
                    findings.push((Broken::DoubleCharge, format!("{} is in two journeys", end.id)));
                }
            }
        }
        findings
    }

    /// Every priced journey is in one charge, and what was charged is what the acquirer has taken.
    pub fn charges(&self) -> Findings {
        let mut findings = Vec::new();
        let mut charged: BTreeMap<_, Vec<ChargeId>> = BTreeMap::new();
        for charge in &self.charges {
            charge
                .journeys()
                .iter()
                .for_each(|journey| charged.entry(*journey.as_bytes()).or_default().push(charge.id()));
        }
        for priced in &self.priced {
            let costs = priced.fare().is_some_and(|fare| fare.total().is_positive());
            let charges = charged.get(priced.journey.id.as_bytes()).map_or(0, Vec::len);
            match (costs, charges) {
                (true, 1) | (false, 0) => (),
                (true, 0) => findings.push((Broken::TapLost, format!("{:?} was never charged", priced.journey.id))),
                _ => findings.push((Broken::DoubleCharge, format!("{:?} is in {charges} charges", priced.journey.id))),
            }
        }
        self.charges.iter().for_each(|charge| findings.extend(self.charge(charge)));
        let keys: BTreeSet<&IdempotencyKey> = self.charges.iter().map(Charge::key).collect();
        for key in self.acquirer.keys().filter(|key| !keys.contains(key)) {
            findings.push((Broken::DoubleCharge, format!("the acquirer has {key}, which is no charge")));
        }
        findings.extend(self.riders());
        findings
    }

    fn charge(&self, charge: &Charge) -> Option<(Broken, String)> {
        let (id, state) = (charge.id(), charge.state());
        let taken = self.acquirer.get(charge.key()).filter(|account| account.captures > 0);
        let by_wallet = matches!(charge.instrument(), Instrument::Wallet);
        match (state, taken) {
            (State::Captured, None) if by_wallet => None,
            (State::Captured, Some(account)) if account.captures == 1 && account.amount == charge.amount() => None,
            (State::Declined { .. }, None) => None,
            (_, Some(account)) => {
                let what =
                    format!("{id} is {state:?}; the acquirer took {} {} times", account.amount, account.captures);
                Some((Broken::DoubleCharge, what))
            }
            (_, None) => Some((Broken::TapLost, format!("{id} is {state:?} at the end"))),
        }
    }

    /// Nobody pays for more rides than his body made.
    fn riders(&self) -> Findings {
        let mut ways: BTreeMap<RiderId, [usize; 2]> = BTreeMap::new();
        for crossed in &self.crossed {
            ways.entry(crossed.rider).or_default()[usize::from(crossed.way == Direction::Exit)] += 1;
        }
        let mut paid: BTreeMap<RiderId, usize> = BTreeMap::new();
        for charge in self.charges.iter().filter(|charge| *charge.state() == State::Captured) {
            *paid.entry(charge.rider()).or_default() += charge.journeys().len();
        }
        let rides = |rider: &RiderId| ways.get(rider).map_or(0, |[entries, exits]| *entries.min(exits));
        let too_many = paid.iter().filter(|(rider, paid)| **paid > rides(rider));
        too_many
            .map(|(rider, paid)| {
                (Broken::DoubleCharge, format!("{rider:?} paid {paid} rides and made {}", rides(rider)))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
