//! What is seen at gates lately, beside the taps themselves: codes that nobody could check, in windows of minutes in the
//! memory of the replica that the station talks to; and attacks that were refused, which the store counts, so that all
//! replicas together know of all of them.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use facegate_domain::Timestamp;
use facegate_domain::ids::{GateId, RiderId, StationId};
use facegate_domain::policy::Refusal;
use facegate_domain::risk::{AttacksTold, RiskRules};
use facegate_domain::tap::{Evidence, GateRecord, RecordBody};

use crate::store::{GateReport, Store, StoreError};

/// What the rules look at, by gate.
#[derive(Debug)]
pub struct Patterns {
    store: Arc<dyn Store>,
    codes_window: Option<Duration>,
    gate_window: Option<Duration>,
    station_window: Option<Duration>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// Riders whose codes nobody could check.
    unchecked: BTreeMap<GateId, VecDeque<(Timestamp, RiderId)>>,
    /// What the store was told last of each gate's attacks: it need not be told the same every second.
    told: BTreeMap<GateId, u64>,
}

impl Patterns {
    pub fn new(rules: &RiskRules, store: Arc<dyn Store>) -> Self {
        let window = |rule: &Option<(Duration, _)>| rule.as_ref().map(|(window, _): &(Duration, _)| *window);
        let (codes_window, gate_window) = (window(&rules.gate_codes), window(&rules.gate_attacks));
        let station_window = window(&rules.station_attacks);
        Self { store, codes_window, gate_window, station_window, seen: Mutex::default() }
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

    /// What a station says of its gates.
    pub async fn reported(&self, station: &StationId, gates: &[GateReport], now: Timestamp) -> Result<(), StoreError> {
        let Some(kept) = self.gate_window.max(self.station_window) else { return Ok(()) };
        let is_attack = |reason: &str| Refusal::ALL.iter().any(|one| one.is_attack() && one.name() == reason);
        let told = gates.iter().map(|report| {
            let counted = report.refusals.iter().filter(|refusals| is_attack(&refusals.reason));
            let counted = counted.map(|refusals| refusals.count).fold(0, u64::saturating_add);
            (report.gate.clone(), AttacksTold { counted, said_at: report.last_seen })
        });
        let told: Vec<(GateId, AttacksTold)> = {
            let seen = self.seen();
            told.filter(|(gate, told)| seen.told.get(gate) != Some(&told.counted)).collect()
        };
        if told.is_empty() {
            return Ok(());
        }
        self.store.count_attacks(station, &told, now, kept).await?;
        self.seen().told.extend(told.into_iter().map(|(gate, told)| (gate, told.counted)));
        Ok(())
    }

    /// Different riders at the gate lately whose codes nobody could check.
    pub fn unchecked_at(&self, gate: &GateId) -> u64 {
        let seen = self.seen();
        let lately = seen.unchecked.get(gate).into_iter().flatten();
        lately.map(|(_, rider)| *rider).collect::<HashSet<_>>().len() as u64
    }

    /// Attacks refused lately at the gate, and at all gates of the station.
    pub async fn attacks_at(
        &self,
        gate: &GateId,
        station: &StationId,
        now: Timestamp,
    ) -> Result<(u64, u64), StoreError> {
        if self.gate_window.or(self.station_window).is_none() {
            return Ok((0, 0));
        }
        let attacks = self.store.attacks_at(station).await?;
        let within = |window: Option<Duration>, here: &dyn Fn(&GateId) -> bool| {
            let here = attacks.iter().filter(|(of, _)| here(of));
            let since = window.map(|window| now.minus(window));
            since.map_or(0, |since| here.map(|(_, attacks)| attacks.since(since)).fold(0, u64::saturating_add))
        };
        Ok((within(self.gate_window, &|of| of == gate), within(self.station_window, &|_| true)))
    }
}
