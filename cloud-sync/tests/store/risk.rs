//! Decisions about risk, and riders who have to show their ride code.

use std::time::Duration;

use facegate_cloud_sync::store::ErasureId;
use facegate_domain::ids::{GateId, RiderId};
use facegate_domain::risk::{AttacksTold, Finding, Measure, RiskDecision, RuleName};
use facegate_proto::convert::sync::FeedChange;

use crate::places::Place;
use crate::world::{Gate, NOW, after, rider, station, tap_of};

pub async fn a_decision_is_written_once_a_tap_and_read_the_latest_first(place: &Place) {
    let store = place.open().await;
    let mut gate = Gate::entry("north");
    let mut decisions = Vec::new();
    for second in [20, 10, 30] {
        let [granted, _] = gate.passed(RiderId::random(), after(second));
        let tap = tap_of(&granted);
        let findings = vec![Finding { rule: RuleName::Velocity, saw: "9 taps".into(), asks: Measure::Hold }];
        let decision = RiskDecision { tap: tap.id, rider: tap.rider, at: tap.at, findings, measure: Measure::Hold };
        assert!(store.note_risk(&decision).await.unwrap());
        decisions.push(decision);
    }
    let other = RiskDecision { measure: Measure::Deny, ..decisions[0].clone() };
    assert!(!store.note_risk(&other).await.unwrap(), "the first stands");
    assert_eq!(store.risk_of(&other.tap).await.unwrap(), Some(decisions[0].clone()));
    let log = store.risk_log(2).await.unwrap();
    assert_eq!(log, [decisions[2].clone(), decisions[0].clone()]);
}

pub async fn taps_around_a_moment_are_told_by_time(place: &Place) {
    let store = place.open().await;
    let (rider, mut gate) = (rider(&*store).await, Gate::entry("north"));
    let mut taps = Vec::new();
    for second in [30, 10, 20] {
        let [granted, seen] = gate.passed(rider, after(second));
        taps.push(tap_of(&granted));
        store.record_taps(vec![granted, seen], NOW).await.unwrap();
    }
    let around = store.taps_around(rider, after(10), after(20)).await.unwrap();
    assert_eq!(around, [taps[1].clone(), taps[2].clone()]);
    assert!(store.taps_around(RiderId::random(), after(0), after(99)).await.unwrap().is_empty());
}

pub async fn a_capped_face_is_on_the_feed_and_in_snapshots_until_then(place: &Place) {
    let store = place.open().await;
    let [stays, gone] = [rider(&*store).await, rider(&*store).await];
    let until = NOW.plus(Duration::from_secs(3600));
    for rider in [stays, stays, gone] {
        store.cap_face(rider, until, NOW).await.unwrap();
    }
    store.cap_face(stays, NOW, NOW).await.unwrap();
    let (changes, _) = store.changes_after(0, 100).await.unwrap().unwrap();
    let capped = |rider| FeedChange::FaceCapped { rider, until };
    let told: Vec<_> = changes.into_iter().map(|change| change.change).collect();
    assert_eq!(told, [capped(stays), capped(gone)], "once each");
    store.erase_rider(ErasureId::random(), gone, after(10)).await.unwrap();
    store.cap_face(gone, until.plus(Duration::from_secs(1)), after(11)).await.unwrap();
    let facts = async |since| store.snapshot_page(None, 100, since).await.unwrap().facts;
    assert_eq!(facts(NOW).await, [capped(stays)]);
    assert_eq!(facts(until.plus(Duration::from_secs(1))).await, []);
}

pub async fn taps_wait_to_be_looked_at_until_somebody_has(place: &Place) {
    let store = place.open().await;
    let mut gate = Gate::entry("north");
    let mut come = async |second| {
        let [granted, seen] = gate.passed(RiderId::random(), after(second));
        store.record_taps(vec![granted.clone(), seen.clone()], after(second)).await.unwrap();
        store.record_taps(vec![granted.clone(), seen], after(second)).await.unwrap();
        tap_of(&granted)
    };
    come(0).await;
    store.want_looks(true);
    let (one, two) = (come(10).await, come(20).await);
    drop(store);
    let store = place.open().await;
    let take = async |now, until| {
        let looks = store.take_looks(after(now), after(until), 10).await.unwrap();
        looks.into_iter().map(|look| (look.tap, look.again)).collect::<Vec<_>>()
    };
    assert_eq!(take(9, 60).await, []);
    assert_eq!(take(10, 60).await, [(one.clone(), false)], "also by another process");
    assert_eq!(take(30, 60).await, [(two.clone(), false)], "the other is somebody's");
    assert_eq!(take(60, 120).await.len(), 2, "whoever took them has died");
    store.looked(&one.id, None).await.unwrap();
    store.looked(&two.id, Some(after(100))).await.unwrap();
    assert_eq!(take(99, 200).await, []);
    assert_eq!(take(100, 200).await, [(two.clone(), true)]);
    for _ in 0..2 {
        store.looked(&two.id, None).await.unwrap();
    }
    assert_eq!(take(9999, 9999).await, []);
}

pub async fn attacks_are_counted_by_gate_of_a_station_and_forgotten_in_time(place: &Place) {
    let store = place.open().await;
    let kept = std::time::Duration::from_secs(600);
    let gate = |name: &str| GateId::new(name).unwrap();
    let say = async |at: &str, told: &[(&str, u64)], second: u64| {
        let said_at = after(second);
        let told: Vec<_> =
            told.iter().map(|(name, counted)| (gate(name), AttacksTold { counted: *counted, said_at })).collect();
        store.count_attacks(&station(at), &told, after(second), kept).await.unwrap();
    };
    let counts = async |at: &str| -> Vec<(GateId, u64)> {
        let attacks = store.attacks_at(&station(at)).await.unwrap();
        attacks.into_iter().map(|(gate, attacks)| (gate, attacks.since(after(0)))).collect()
    };
    say("north", &[("n-2", 50), ("n-1", 7)], 1).await;
    say("north-east", &[("e-1", 9)], 1).await;
    assert_eq!(counts("north").await, [(gate("n-1"), 0), (gate("n-2"), 0)], "what was before is not lately");
    say("north", &[("n-1", 9), ("n-2", 50)], 20).await;
    say("north", &[("n-1", 9), ("n-2", 1)], 40).await;
    say("north", &[("n-1", 8)], 10).await;
    assert_eq!(counts("north").await, [(gate("n-1"), 2), (gate("n-2"), 1)], "a late word says nothing");
    assert_eq!(counts("north-east").await, [(gate("e-1"), 0)]);
    assert_eq!(counts("nowhere").await, []);
    say("north", &[("n-1", 9)], 700).await;
    assert_eq!(counts("north").await, [(gate("n-1"), 0), (gate("n-2"), 1)], "each until its gate speaks after that");
}
