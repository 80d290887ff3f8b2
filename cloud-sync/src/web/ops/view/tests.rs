use facegate_domain::ids::{GateId, RiderId, StationId};
use facegate_domain::tap::Direction;

use super::*;
use crate::store::{RefusalCount, StationReport};

const NOW: Timestamp = Timestamp::from_unix_ms(1_000_000);

fn gate_report(name: &str, refusals: &[(&str, u64)]) -> GateReport {
    GateReport {
        gate: GateId::new(name).unwrap(),
        connected: true,
        last_seen: NOW,
        kind: "gate".into(),
        direction: Some(Direction::Entry),
        mode: "development".into(),
        face_passages: 3,
        code_passages: 1,
        refusals: refusals.iter().map(|(r, n)| RefusalCount { reason: (*r).into(), count: *n }).collect(),
        backlog: 0,
        decision_ms_p50: 40.0,
        decision_ms_p99: 90.0,
        fault: String::new(),
        software_version: "0.1.0".into(),
        journal_epoch: 1,
        journal_next_sequence: 8,
        journal_waiting_percent: 0,
        certificate_ends: None,
        gate_mode: String::new(),
        order_id: String::new(),
        order_outcome: String::new(),
    }
}

fn station_view(silent_s: u64, gates: Vec<GateReport>) -> StationView {
    StationView {
        report: Some(StationReport { applied_version: 40, gates, ..StationReport::default() }),
        ..StationView::new(StationId::new("north").unwrap(), NOW.minus(Duration::from_secs(silent_s)))
    }
}

fn overview(stations: Vec<StationView>) -> Overview {
    Overview {
        head_version: 42,
        stations,
        riders: 2,
        enrolled: 1,
        in_system: 1,
        taps: 4,
        journeys: 1,
        charges: vec![
            ChargeCount { state: "due".into(), count: 0 },
            ChargeCount { state: "captured".into(), count: 1 },
        ],
        gaps: Vec::new(),
        passages_unknown: 0,
        conflicts: 0,
        codes_replayed: 0,
        ledger_balanced: true,
    }
}

fn state_of(silent_s: u64, gate: GateReport) -> (State, State) {
    let view = OpsView::new(overview(vec![station_view(silent_s, vec![gate])]), &Findings::default(), 0.0, NOW);
    (view.stations[0].state, view.stations[0].gates[0].state)
}

#[test]
fn states_follow_silence_and_a_gate_is_never_livelier_than_its_station() {
    let gate = || gate_report("north-in-1", &[]);
    assert_eq!(state_of(0, gate()), (State::Live, State::Live));
    assert_eq!(state_of(6, gate()), (State::Silent, State::Silent));
    assert_eq!(state_of(30, gate()), (State::Offline, State::Offline));
    assert_eq!(state_of(0, GateReport { connected: false, ..gate() }), (State::Live, State::Offline));
    assert_eq!(state_of(0, GateReport { fault: "door".into(), ..gate() }), (State::Live, State::Fault));
    assert_eq!(state_of(30, GateReport { fault: "door".into(), ..gate() }), (State::Offline, State::Offline));
    let quiet = GateReport { last_seen: NOW.minus(Duration::from_secs(10)), ..gate() };
    assert_eq!(state_of(0, quiet), (State::Live, State::Silent));
}

#[test]
fn refusals_are_summed_over_gates_and_lag_is_counted_from_the_head() {
    let gates = vec![
        gate_report("north-in-1", &[("too_dark", 1), ("not_recognised", 2)]),
        gate_report("north-in-2", &[("not_recognised", 3), ("blurred", 0)]),
    ];
    let view = OpsView::new(overview(vec![station_view(0, gates)]), &Findings::default(), 1.5, NOW);
    let named = |name: &str, count| NamedCount { name: name.into(), count };
    assert_eq!(view.refusals, [named("not_recognised", 5), named("too_dark", 1)]);
    assert_eq!(view.charges, [named("captured", 1)]);
    assert_eq!(view.stations[0].feed_lag, 2);
    assert_eq!(view.stations[0].gates[0].refused, 3);
}

#[test]
fn a_riders_id_is_nowhere_in_it() {
    let rider = RiderId::random();
    let passage = UnknownPassage {
        authorisation: "north-in-1/1/7".parse().unwrap(),
        rider,
        station: StationId::new("north").unwrap(),
        at: NOW,
    };
    let findings = Findings { unknown: vec![passage; LISTED_MAX + 5], ..Findings::default() };
    let view = OpsView::new(overview(Vec::new()), &findings, 0.0, NOW);
    let json = serde_json::to_string(&view).unwrap();
    assert_eq!(json.matches("north-in-1/1/7").count(), LISTED_MAX);
    assert!(!json.contains(&rider.to_string()) && json.contains(&masked(rider)));
}

#[test]
fn what_tiers_decide_is_summed_over_stations_and_who_is_in_them_is_not() {
    let report = |riders, decisions, added, risk, added_risk| {
        let tier = crate::store::TierReport { tier: "regulars".into(), riders, decisions, added, risk, added_risk };
        let mut view = station_view(0, vec![]);
        view.report.as_mut().unwrap().tiers = vec![tier];
        view
    };
    let lines = tiers(&[report(12, 3, 1, 2e-6, 1e-6), report(10, 1, 0, 2e-6, 0.0), station_view(0, vec![])]);
    assert_eq!(lines.len(), Tier::ALL.len());
    let line = lines.iter().find(|line| line.tier == "regulars").unwrap();
    assert_eq!((line.riders, line.decisions, line.added), (12, 4, 1));
    assert!((line.risk_per_million - 1.0).abs() < 1e-9 && (line.added_risk_per_million - 1.0).abs() < 1e-9);
    assert!(tiers(&[station_view(0, vec![])]).is_empty());
}

#[test]
fn a_certificate_that_ends_within_a_week_is_told_apart() {
    let line = |left: Duration| {
        let gate = GateReport { certificate_ends: Some(NOW.plus(left)), ..gate_report("a", &[]) };
        let mut view = station_view(0, vec![gate]);
        view.report.as_mut().unwrap().certificate_ends = Some(NOW.plus(left));
        let lines = OpsView::new(overview(vec![view]), &Findings::default(), 0.0, NOW).stations;
        assert_eq!(lines[0].certificate, lines[0].gates[0].certificate);
        lines[0].certificate.unwrap()
    };
    let days = |days: u64| Duration::from_secs(days * 86_400);
    assert_eq!(line(days(30)), Certificate { days_left: 30, ends_soon: false });
    assert_eq!(line(days(7)), Certificate { days_left: 7, ends_soon: false });
    assert_eq!(line(days(7) - Duration::from_secs(1)), Certificate { days_left: 6, ends_soon: true });
    let ended = certificate(NOW.minus(Duration::from_secs(1)), NOW);
    assert_eq!(ended, Certificate { days_left: -1, ends_soon: true });
    let unknown = OpsView::new(overview(vec![station_view(0, vec![])]), &Findings::default(), 0.0, NOW).stations;
    assert_eq!(unknown[0].certificate, None);
}
