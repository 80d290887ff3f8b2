//! The overview as the ops page reads it: a pure view of what the store counted and what stations reported.

mod act;

use std::collections::BTreeMap;
use std::time::Duration;

use facegate_domain::Timestamp;
use facegate_domain::operation::StationMode;
use facegate_domain::score::Tier;
use facegate_runtime::identity::ENDS_SOON;
use serde::Serialize;

pub use self::act::ActLine;
use self::act::Seen;
use crate::store::{ChargeCount, Conflict, Gap, GateReport, Overview, StationView, ToldAct, UnknownPassage};
use crate::web::mask::masked;

/// A station reports every second or two; after this long it is worth a look, and then an alarm.
const SILENT_AFTER: Duration = Duration::from_secs(6);
const OFFLINE_AFTER: Duration = Duration::from_secs(30);

/// Unknown passages and conflicts listed one by one; the counts are complete.
const LISTED_MAX: usize = 20;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OpsView {
    head_version: u64,
    stations: Vec<StationLine>,
    riders: u64,
    enrolled: u64,
    in_system: u64,
    taps: u64,
    journeys: u64,
    passages_per_minute: f64,
    refusals: Vec<NamedCount>,
    tiers: Vec<TierLine>,
    charges: Vec<NamedCount>,
    gaps: Vec<Gap>,
    passages_unknown: u64,
    unknown: Vec<UnknownLine>,
    conflicts: u64,
    conflicting: Vec<String>,
    codes_replayed: u64,
    ledger_balanced: bool,
}

/// What there is to list one by one, if there is any.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    pub unknown: Vec<UnknownPassage>,
    pub conflicts: Vec<Conflict>,
    /// The latest one at each gate.
    pub acts: Vec<ToldAct>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Live,
    Silent,
    Offline,
    Fault,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct StationLine {
    station: String,
    state: State,
    silent_ms: u64,
    /// Changes that searches at the station do not honour yet.
    feed_lag: u64,
    /// One number over all the facts that the station holds: equal where the facts are.
    digest: String,
    /// Sets of facts in which it differs from the cloud, until it has healed.
    differs: Vec<String>,
    station_mode: &'static str,
    templates: u64,
    in_system: u64,
    backlog: u64,
    journal_waiting_percent: u32,
    journal_days_left: Option<f64>,
    software_version: String,
    /// Whether it may have a lease of its templates' key, and whether it searches faces now.
    standing: &'static str,
    recognises: bool,
    /// Erased templates that were refused when something brought them back.
    come_back_refused: u64,
    certificate: Option<Certificate>,
    gates: Vec<GateLine>,
}

/// Of a device, as it showed it last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Certificate {
    /// Whole days; negative if it has ended.
    days_left: i64,
    /// Devices renew long before: this one could not.
    ends_soon: bool,
}

/// What one tier did at all stations since they started.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
struct TierLine {
    tier: String,
    /// Among whom a search looks for one, at the station that has most of them: everybody is in the city at each.
    riders: u64,
    decisions: u64,
    /// Recognitions that the city's prior alone would have refused.
    added: u64,
    /// Risk accepted, as false recognitions expected in a million of the tier's.
    risk_per_million: f64,
    added_risk_per_million: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct GateLine {
    gate: String,
    kind: String,
    state: State,
    silent_ms: u64,
    direction: &'static str,
    mode: String,
    /// The mode that it makes records in; empty if it did not say.
    gate_mode: String,
    /// What somebody did here last, and what came of it.
    act: Option<ActLine>,
    face_passages: u64,
    code_passages: u64,
    refused: u64,
    backlog: u64,
    journal_waiting_percent: u32,
    decision_ms_p50: f64,
    decision_ms_p99: f64,
    fault: String,
    certificate: Option<Certificate>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct NamedCount {
    name: String,
    count: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct UnknownLine {
    authorisation: String,
    station: String,
    rider: String,
}

impl OpsView {
    pub fn new(overview: Overview, findings: &Findings, passages_per_minute: f64, now: Timestamp) -> Self {
        let head = overview.head_version;
        Self {
            head_version: head,
            refusals: refusals(&overview.stations),
            tiers: tiers(&overview.stations),
            stations: overview.stations.into_iter().map(|view| station(view, &findings.acts, head, now)).collect(),
            riders: overview.riders,
            enrolled: overview.enrolled,
            in_system: overview.in_system,
            taps: overview.taps,
            journeys: overview.journeys,
            passages_per_minute,
            charges: overview.charges.into_iter().filter(|charge| charge.count > 0).map(NamedCount::from).collect(),
            gaps: overview.gaps,
            passages_unknown: overview.passages_unknown,
            unknown: findings.unknown.iter().take(LISTED_MAX).map(UnknownLine::from).collect(),
            conflicts: overview.conflicts,
            conflicting: findings.conflicts.iter().take(LISTED_MAX).map(|c| c.refused.id.to_string()).collect(),
            codes_replayed: overview.codes_replayed,
            ledger_balanced: overview.ledger_balanced,
        }
    }
}

fn station(view: StationView, acts: &[ToldAct], head: u64, now: Timestamp) -> StationLine {
    let silent = now.since(view.last_seen);
    let state = by_silence(silent);
    let report = view.report.unwrap_or_default();
    let (gates, mode) = (report.gates, report.mode);
    let act_at = |gate: &GateReport| {
        let told = acts.iter().find(|told| told.act.gate == gate.gate)?;
        Some(ActLine::new(told, seen(gate, mode, state, now), now))
    };
    StationLine {
        station: view.station.to_string(),
        state,
        silent_ms: millis(silent),
        feed_lag: head.saturating_sub(report.applied_version),
        digest: report.digest,
        differs: report.differs,
        station_mode: mode.name(),
        templates: report.templates,
        in_system: report.in_system,
        backlog: report.backlog,
        journal_waiting_percent: report.journal_waiting_percent,
        journal_days_left: report.journal_days_left,
        software_version: report.software_version,
        standing: view.lease.standing.name(),
        recognises: report.recognises,
        come_back_refused: report.come_back_refused,
        certificate: report.certificate_ends.map(|ends| certificate(ends, now)),
        gates: gates.into_iter().map(|report| gate(act_at(&report), report, state, now)).collect(),
    }
}

impl ActLine {
    /// `None` if the station has not told of the gate.
    pub fn of(told: &ToldAct, view: &StationView, now: Timestamp) -> Option<Self> {
        let report = view.report.as_ref()?;
        let gate = report.gates.iter().find(|gate| gate.gate == told.act.gate)?;
        Some(Self::new(told, seen(gate, report.mode, by_silence(now.since(view.last_seen)), now), now))
    }
}

fn seen(report: &GateReport, station_mode: StationMode, station: State, now: Timestamp) -> Seen<'_> {
    Seen { report, station_mode, is_connected: gate_state(report, station, now) != State::Offline }
}

/// What a station said of a gate is worth no more than the station's own freshness.
fn gate_state(report: &GateReport, station: State, now: Timestamp) -> State {
    match station {
        State::Live if !report.connected => State::Offline,
        State::Live if !report.fault.is_empty() => State::Fault,
        State::Live => by_silence(now.since(report.last_seen)),
        stale => stale,
    }
}

fn gate(act: Option<ActLine>, report: GateReport, station: State, now: Timestamp) -> GateLine {
    let state = gate_state(&report, station, now);
    GateLine {
        gate: report.gate.to_string(),
        kind: report.kind,
        state,
        silent_ms: millis(now.since(report.last_seen)),
        direction: report.direction.map_or("", facegate_domain::tap::Direction::name),
        mode: report.mode,
        gate_mode: report.gate_mode,
        act,
        face_passages: report.face_passages,
        code_passages: report.code_passages,
        refused: report.refusals.iter().map(|refusal| refusal.count).sum(),
        backlog: report.backlog,
        journal_waiting_percent: report.journal_waiting_percent,
        decision_ms_p50: report.decision_ms_p50,
        decision_ms_p99: report.decision_ms_p99,
        fault: report.fault,
        certificate: report.certificate_ends.map(|ends| certificate(ends, now)),
    }
}

fn certificate(ends: Timestamp, now: Timestamp) -> Certificate {
    let left_ms = ends.unix_ms() - now.unix_ms();
    Certificate { days_left: left_ms.div_euclid(86_400_000), ends_soon: ends < now.plus(ENDS_SOON) }
}

fn by_silence(silent: Duration) -> State {
    match silent {
        silent if silent < SILENT_AFTER => State::Live,
        silent if silent < OFFLINE_AFTER => State::Silent,
        _ => State::Offline,
    }
}

/// Sums over all gates, the most frequent first.
fn refusals(stations: &[StationView]) -> Vec<NamedCount> {
    let gates = stations.iter().filter_map(|view| view.report.as_ref()).flat_map(|report| &report.gates);
    let mut sums = BTreeMap::<&str, u64>::new();
    for refusal in gates.flat_map(|gate| &gate.refusals).filter(|refusal| refusal.count > 0) {
        *sums.entry(&refusal.reason).or_default() += refusal.count;
    }
    let mut sums: Vec<_> = sums.into_iter().map(|(name, count)| NamedCount { name: name.to_owned(), count }).collect();
    sums.sort_by_key(|sum| std::cmp::Reverse(sum.count));
    sums
}

/// Over all stations, in the order of `Tier`.
fn tiers(stations: &[StationView]) -> Vec<TierLine> {
    let reports: Vec<_> = stations.iter().filter_map(|view| view.report.as_ref()).flat_map(|r| &r.tiers).collect();
    let line = |tier: Tier| {
        let of_tier = || reports.iter().filter(move |report| report.tier == tier.name());
        let decisions = of_tier().map(|report| report.decisions).sum();
        let added = of_tier().map(|report| report.added).sum();
        TierLine {
            tier: tier.name().to_owned(),
            riders: of_tier().map(|report| report.riders).max().unwrap_or(0),
            decisions,
            added,
            risk_per_million: per_million(of_tier().map(|report| report.risk).sum(), decisions),
            added_risk_per_million: per_million(of_tier().map(|report| report.added_risk).sum(), added),
        }
    };
    if reports.is_empty() { Vec::new() } else { Tier::ALL.into_iter().map(line).collect() }
}

#[expect(clippy::cast_precision_loss, reason = "a share; counts of decisions stay far below 2^52")]
fn per_million(sum: f64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { sum / of as f64 * 1e6 }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl From<ChargeCount> for NamedCount {
    fn from(charge: ChargeCount) -> Self {
        Self { name: charge.state, count: charge.count }
    }
}

impl From<&UnknownPassage> for UnknownLine {
    fn from(passage: &UnknownPassage) -> Self {
        Self {
            authorisation: passage.authorisation.to_string(),
            station: passage.station.to_string(),
            rider: masked(passage.rider),
        }
    }
}

#[cfg(test)]
mod tests;
