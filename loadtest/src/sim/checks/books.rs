//! Taps, journeys and money, compared with the bodies and with the acquirer's own books. Pure, so that tests show that it
//! finds what it is for.

use std::collections::{BTreeMap, BTreeSet};

use facegate_cloud_sync::store::PricedRide;
use facegate_domain::billing::{Item, ItemId};
use facegate_domain::charge::{Charge, IdempotencyKey, Instrument, State};
use facegate_domain::ids::{RecordId, RiderId};
use facegate_domain::ledger::{Account as LedgerAccount, Entry};
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
    /// The same part of the keys of taps that were used up: in a ride, or merged.
    pub used: BTreeSet<Vec<u8>>,
    pub priced: Vec<PricedRide>,
    pub items: Vec<Item>,
    pub charges: Vec<Charge>,
    /// Of the ledger.
    pub entries: Vec<Entry>,
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
        for end in self.standing().flat_map(|priced| priced.ride.taps()) {
            if !ends.insert(&end.id) {
                findings.push((Broken::DoubleCharge, format!("{} is in two rides", end.id)));
            }
        }
        findings
    }

    pub fn standing(&self) -> impl Iterator<Item = &PricedRide> {
        self.priced.iter().filter(|priced| priced.superseded.is_none())
    }

    /// The items of each ride come to what it costs: nothing if it does not stand any more.
    fn items(&self) -> Findings {
        let mut findings = Vec::new();
        let mut items: BTreeMap<_, i64> = BTreeMap::new();
        for item in &self.items {
            *items.entry(item.kind().ride()).or_default() += item.amount().minor();
        }
        for priced in &self.priced {
            let costs = priced.fare().filter(|_| priced.superseded.is_none()).map_or(0, |fare| fare.total().minor());
            let billed = items.remove(&Some(priced.id())).unwrap_or(0);
            if billed != costs {
                let broken = if billed > costs { Broken::DoubleCharge } else { Broken::TapLost };
                findings.push((broken, format!("{:?} costs {costs}, its items come to {billed}", priced.id())));
            }
        }
        let no_ride = items.into_keys().flatten();
        findings.extend(no_ride.map(|ride| (Broken::DoubleCharge, format!("{ride:?} is billed and no ride"))));
        findings
    }

    /// Every item that is to be paid is in one charge, and what was charged is what the acquirer has taken.
    pub fn charges(&self) -> Findings {
        let mut findings = self.items();
        let mut charged: BTreeMap<ItemId, usize> = BTreeMap::new();
        for item in self.charges.iter().flat_map(Charge::items) {
            *charged.entry(*item).or_default() += 1;
        }
        for item in &self.items {
            match (item.amount().is_positive(), charged.remove(&item.id()).unwrap_or(0)) {
                (true, 1) | (false, 0 | 1) => (),
                (true, 0) => findings.push((Broken::TapLost, format!("{item:?} was never charged"))),
                (_, charges) => findings.push((Broken::DoubleCharge, format!("{item:?} is in {charges} charges"))),
            }
        }
        let unknown = charged.into_keys();
        findings.extend(unknown.map(|item| (Broken::DoubleCharge, format!("{item} is charged and was never made"))));
        self.charges.iter().for_each(|charge| findings.extend(self.charge(charge)));
        let keys: BTreeSet<IdempotencyKey> = self.charges.iter().flat_map(keys_of).collect();
        for key in self.acquirer.keys().filter(|key| !keys.contains(key)) {
            findings.push((Broken::DoubleCharge, format!("the acquirer has {key}, which is no charge")));
        }
        findings.extend(self.riders());
        findings
    }

    fn charge(&self, charge: &Charge) -> Option<(Broken, String)> {
        let (id, state) = (charge.id(), charge.state());
        let taken: Vec<&Account> =
            keys_of(charge).filter_map(|key| self.acquirer.get(&key)).filter(|account| account.captures > 0).collect();
        let by_wallet = matches!(charge.instrument(), Instrument::Wallet);
        match (state, &taken[..]) {
            (State::Captured, []) if by_wallet => None,
            (State::Debt { .. } | State::Settled | State::Voided | State::Refused { .. }, []) => None,
            (State::Captured, [account]) if account.captures == 1 && account.taken == charge.amount() => None,
            (_, []) => Some((Broken::TapLost, format!("{id} is {state:?} at the end"))),
            (_, taken) => Some((Broken::DoubleCharge, format!("{id} is {state:?}; the acquirer took {taken:?}"))),
        }
    }

    /// The books say that the acquirer owes what it has taken, and it keeps nobody's money for nothing.
    pub fn ledger(&self) -> Findings {
        let mut findings = Vec::new();
        let owed = self.entries.iter().flat_map(Entry::postings);
        let owed = owed.filter(|posting| posting.account == LedgerAccount::AcquirerReceivable);
        let owed: i64 = owed.map(|posting| posting.amount.minor()).sum();
        let taken: i64 = self.acquirer.values().map(Account::kept_minor).sum();
        if owed != taken {
            findings.push((Broken::Ledger, format!("the acquirer has taken {taken}, the books say {owed}")));
        }
        let open = |account: &Account| !account.declined && !account.voided && account.captures == 0;
        let open = self.acquirer.iter().filter(|(_, account)| open(account));
        findings.extend(open.map(|(key, _)| (Broken::Ledger, format!("{key} is authorised and nobody wants it"))));
        findings
    }

    /// Nobody is billed for more rides than his body made.
    fn riders(&self) -> Findings {
        let mut ways: BTreeMap<RiderId, [usize; 2]> = BTreeMap::new();
        for crossed in &self.crossed {
            ways.entry(crossed.rider).or_default()[usize::from(crossed.way == Direction::Exit)] += 1;
        }
        let mut billed: BTreeMap<RiderId, [usize; 2]> = BTreeMap::new();
        for priced in self.standing() {
            billed.entry(priced.ride.rider()).or_default()[usize::from(priced.ride.whole().is_none())] += 1;
        }
        let mut findings = Vec::new();
        for (rider, [whole, broken]) in billed {
            let [entries, exits] = ways.get(&rider).copied().unwrap_or_default();
            if whole > entries.min(exits) || 2 * whole + broken > entries + exits {
                let what =
                    format!("{rider:?} made {entries} entries and {exits} exits: {whole} rides, {broken} broken");
                findings.push((Broken::DoubleCharge, what));
            }
        }
        findings
    }
}

/// Those of all its attempts.
fn keys_of(charge: &Charge) -> impl Iterator<Item = IdempotencyKey> {
    (1..=charge.attempt()).map(|attempt| IdempotencyKey::of_attempt(charge.id(), attempt))
}

#[cfg(test)]
mod tests;
