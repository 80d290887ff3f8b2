//! What is seen at gates and stations lately, beside the taps themselves: codes that nobody could check, and attacks that
//! were refused. Windows of minutes, in the memory of the replica that a station talks to.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use facegate_domain::Timestamp;
use facegate_domain::ids::{GateId, RiderId, StationId};
use facegate_domain::policy::Refusal;
use facegate_domain::risk::RiskRules;
use facegate_domain::tap::{Evidence, GateRecord, RecordBody};

use crate::store::GateReport;

/// What the rules look at, by gate.
#[derive(Debug)]
pub struct Patterns {
    codes_window: Option<Duration>,
    gate_window: Option<Duration>,
    station_window: Option<Duration>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// Riders whose codes nobody could check.
    unchecked: BTreeMap<GateId, VecDeque<(Timestamp, RiderId)>>,
    attacks: BTreeMap<GateId, Attacks>,
}

#[derive(Debug)]
struct Attacks {
    station: StationId,
    /// What the gate has counted since its process began.
    counted: u64,
    lately: VecDeque<(Timestamp, u64)>,
}

impl Attacks {
    fn since(&self, since: Timestamp) -> u64 {
        self.lately.iter().filter(|(at, _)| *at >= since).map(|(_, attacks)| attacks).sum()
    }
}

impl Patterns {
    pub fn new(rules: &RiskRules) -> Self {
        let window = |rule: &Option<(Duration, _)>| rule.as_ref().map(|(window, _): &(Duration, _)| *window);
        let (codes_window, gate_window) = (window(&rules.gate_codes), window(&rules.gate_attacks));
        Self { codes_window, gate_window, station_window: window(&rules.station_attacks), seen: Mutex::default() }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that are about to be stored: codes that nobody could check are counted by gate.
    pub fn saw(&self, records: &[GateRecord]) {
        let Some(window) = self.codes_window else { return };
        let mut seen = self.seen();
        for record in records {
            let RecordBody::Authorisation(granted) = &record.body else { continue };
            if !matches!(granted.evidence, Evidence::Code { checked_online: false, .. }) {
                continue;
            }
            let lately = seen.unchecked.entry(record.id.gate.clone()).or_default();
            lately.push_back((record.stamp.wall, granted.rider));
            let since = record.stamp.wall.minus(window);
            while lately.front().is_some_and(|(at, _)| *at < since) {
                lately.pop_front();
            }
        }
    }

    /// What a station says of its gates. The first word of a gate is where counting begins.
    pub fn reported(&self, station: &StationId, gates: &[GateReport], now: Timestamp) {
        let Some(window) = self.gate_window.max(self.station_window) else { return };
        let mut seen = self.seen();
        for report in gates {
            let is_attack = |reason: &str| Refusal::ALL.iter().any(|one| one.is_attack() && one.name() == reason);
            let counted = report.refusals.iter().filter(|refusals| is_attack(&refusals.reason));
            let counted = counted.map(|refusals| refusals.count).sum();
            let fresh = || Attacks { station: station.clone(), counted, lately: VecDeque::new() };
            let attacks = seen.attacks.entry(report.gate.clone()).or_insert_with(fresh);
            // A gate that was started anew counts from nothing.
            let more = counted.checked_sub(attacks.counted).unwrap_or(counted);
            (attacks.station, attacks.counted) = (station.clone(), counted);
            if more > 0 {
                attacks.lately.push_back((now, more));
            }
            while attacks.lately.front().is_some_and(|(at, _)| *at < now.minus(window)) {
                attacks.lately.pop_front();
            }
        }
    }

    /// Different riders at the gate lately whose codes nobody could check.
    pub fn unchecked_at(&self, gate: &GateId) -> u64 {
        let seen = self.seen();
        let lately = seen.unchecked.get(gate).into_iter().flatten();
        lately.map(|(_, rider)| *rider).collect::<HashSet<_>>().len() as u64
    }

    /// Attacks refused lately at the gate, and at all gates of the station.
    pub fn attacks_at(&self, gate: &GateId, station: &StationId, now: Timestamp) -> (u64, u64) {
        let seen = self.seen();
        let at_gate = seen.attacks.get(gate).zip(self.gate_window);
        let at_gate = at_gate.map_or(0, |(attacks, window)| attacks.since(now.minus(window)));
        let at_station = self.station_window.map_or(0, |window| {
            let here = seen.attacks.values().filter(|attacks| attacks.station == *station);
            here.map(|attacks| attacks.since(now.minus(window))).sum()
        });
        (at_gate, at_station)
    }
}
