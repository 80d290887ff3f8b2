//! Records in, taps out.

use std::time::Duration;

use facegate_cloud_sync::store::{ErasureId, Gap, Mark, Store, StoreError};
use facegate_domain::booth::{BoothAct, BoothReason, GateOpened};
use facegate_domain::gate::GateMode;
use facegate_domain::ids::{ActId, GateId, RiderId, StationId};
use facegate_domain::tap::{Evidence, GateRecord, Medium, Passage, PassageOutcome, RecordBody, Tap};

use crate::places::Place;
use crate::world::{DAY, Gate, NOW, after, enrolled, face, ride, ride_code, settle, settlement, tap_of};

pub async fn an_authorisation_and_its_passage_are_one_tap_in_either_order(place: &Place) {
    let store = place.open().await;
    let mut gate = Gate::entry("north");
    let mut taps = Vec::new();
    for reversed in [false, true] {
        for apart in [false, true] {
            let mut pair = gate.passed(RiderId::random(), NOW).to_vec();
            taps.push(tap_of(&pair[0]));
            if reversed {
                pair.reverse();
            }
            let batches: Vec<Vec<GateRecord>> =
                if apart { pair.into_iter().map(|r| vec![r]).collect() } else { vec![pair] };
            let mut made = Vec::new();
            for batch in batches {
                made.extend(store.record_taps(batch, NOW).await.unwrap().taps);
            }
            assert_eq!(made, [taps.last().unwrap().clone()], "reversed {reversed}, apart {apart}");
        }
    }
    assert_eq!(store.overview().await.unwrap().taps, 4);
    assert_eq!(store.riders_with_open_taps(None, 100).await.unwrap().len(), 4);
}

pub async fn a_tap_has_the_mode_that_its_passage_met_in_either_order(place: &Place) {
    let store = place.open().await;
    let mut gate = Gate::entry("north");
    for reversed in [false, true] {
        for apart in [false, true] {
            let granted = gate.authorise(RiderId::random(), NOW, face());
            let passage = Passage {
                ended_in: Some(GateMode::EmergencyOpen),
                ..Passage::new(granted.id.sequence, PassageOutcome::Passed)
            };
            let seen = gate.write(NOW, RecordBody::Passage(passage));
            let expected = Tap { mode: GateMode::EmergencyOpen, ..tap_of(&granted) };
            let mut pair = vec![granted, seen];
            if reversed {
                pair.reverse();
            }
            let batches: Vec<Vec<GateRecord>> =
                if apart { pair.into_iter().map(|r| vec![r]).collect() } else { vec![pair] };
            let mut made = Vec::new();
            for batch in batches {
                made.extend(store.record_taps(batch, NOW).await.unwrap().taps);
            }
            assert_eq!(made, std::slice::from_ref(&expected), "reversed {reversed}, apart {apart}");
            let kept = store.taps_to_pair(expected.rider, DAY).await.unwrap().taps;
            assert_eq!(kept, [expected]);
        }
    }
}

pub async fn only_a_seen_passage_makes_a_tap(place: &Place) {
    let store = place.open().await;
    let mut gate = Gate::entry("north");
    for outcome in [PassageOutcome::TurnedBack, PassageOutcome::TimedOut, PassageOutcome::Unknown] {
        let intake = store.record_taps(gate.pass(RiderId::random(), NOW, outcome).into(), NOW).await.unwrap();
        assert!(intake.taps.is_empty() && intake.new_records == 2);
    }
    // A passage that names a passage, and one that names nothing there will ever be.
    let seen = gate.write(NOW, RecordBody::Passage(Passage::new(1, PassageOutcome::Passed)));
    let none = Passage::new(u64::MAX, PassageOutcome::Passed);
    let none = gate.write(NOW, RecordBody::Passage(none));
    assert!(store.record_taps(vec![seen, none], NOW).await.unwrap().taps.is_empty());
    let overview = store.overview().await.unwrap();
    assert_eq!((overview.taps, overview.in_system, overview.passages_unknown), (0, 0, 1));
}

pub async fn an_unknown_passage_is_reported_until_it_is_known(place: &Place) {
    let store = place.open().await;
    let mut gate = Gate::entry("north");
    let granted = gate.authorise(RiderId::random(), NOW, face());
    let unknown = gate.passage(&granted, PassageOutcome::Unknown);
    let passed = gate.passage(&granted, PassageOutcome::Passed);
    let again = gate.passage(&granted, PassageOutcome::Unknown);
    store.record_taps(vec![granted.clone(), unknown], NOW).await.unwrap();
    let reported = store.unknown_passages().await.unwrap();
    assert_eq!((reported.len(), &reported[0].authorisation), (1, &granted.id));
    assert_eq!(store.record_taps(vec![passed, again], NOW).await.unwrap().taps, [tap_of(&granted)]);
    assert!(store.unknown_passages().await.unwrap().is_empty());
    let overview = store.overview().await.unwrap();
    assert_eq!((overview.passages_unknown, overview.taps), (0, 1));
}

pub async fn the_same_identity_with_another_content_is_kept_apart(place: &Place) {
    let store = place.open().await;
    let mut gate = Gate::entry("north");
    let [granted, seen] = gate.pass(RiderId::random(), NOW, PassageOutcome::TurnedBack);
    let mut forged = seen.clone();
    forged.body = RecordBody::Passage(Passage::new(0, PassageOutcome::Passed));
    // In one batch the first stands; then again over what is stored.
    let intake = store.record_taps(vec![granted.clone(), seen.clone(), forged.clone()], NOW).await.unwrap();
    assert_eq!((intake.conflicts.len(), intake.new_records, intake.taps.len()), (1, 2, 0));
    let intake = store.record_taps(vec![forged.clone(), seen, granted], NOW).await.unwrap();
    assert_eq!((intake.conflicts, intake.duplicates, intake.taps.len()), (vec![forged.id.clone()], 2, 0));
    let conflicts = store.conflicts().await.unwrap();
    assert_eq!((conflicts.len(), &conflicts[0].refused), (1, &forged));
    let overview = store.overview().await.unwrap();
    assert_eq!((overview.conflicts, overview.taps), (1, 0));
}

pub async fn marks_tell_how_far_a_journal_is_without_a_gap(place: &Place) {
    let store = place.open().await;
    let mut gate = Gate::entry("north");
    let records: Vec<GateRecord> = (0..5).flat_map(|_| gate.passed(RiderId::random(), NOW)).collect();
    let deliver = async |kept: &[usize]| {
        let batch = kept.iter().map(|i| records[*i].clone()).collect();
        store.record_taps(batch, NOW).await.unwrap().marks
    };
    let mark = |next_sequence| vec![Mark { gate: gate.gate.clone(), epoch: 1, next_sequence }];
    let gap = |first_missing, last_missing| Gap { gate: gate.gate.clone(), epoch: 1, first_missing, last_missing };
    assert_eq!(deliver(&[3]).await, mark(0));
    assert_eq!(store.gaps().await.unwrap(), [gap(0, 2)]);
    assert_eq!(deliver(&[0, 1, 6, 7]).await, mark(2));
    assert_eq!(store.gaps().await.unwrap(), [gap(2, 2), gap(4, 5)]);
    assert_eq!(store.overview().await.unwrap().gaps.len(), 2);
    assert_eq!(deliver(&[5, 2]).await, mark(4));
    assert_eq!(deliver(&[4]).await, mark(8));
    assert!(store.gaps().await.unwrap().is_empty());
    assert_eq!(deliver(&[9, 8]).await, mark(10));

    // Replaced hardware begins anew, beside the old journal.
    let mut replaced = Gate { epoch: 2, next: 0, ..gate.clone() };
    store.record_taps(replaced.passed(RiderId::random(), NOW).into(), NOW).await.unwrap();
    let marks = store.marks(&gate.gate).await.unwrap();
    assert_eq!(marks.iter().map(|mark| (mark.epoch, mark.next_sequence)).collect::<Vec<_>>(), [(1, 10), (2, 2)]);
    assert!(store.marks(&Gate::entry("elsewhere").gate).await.unwrap().is_empty());
    assert!(store.record_taps(Vec::new(), NOW).await.unwrap().marks.is_empty());
}

pub async fn a_code_that_opened_two_gates_is_counted(place: &Place) {
    let store = place.open().await;
    let rider = RiderId::random();
    let mut codes: Vec<GateRecord> = Vec::new();
    for name in ["north", "south", "west"] {
        codes.push(Gate::entry(name).authorise(rider, NOW, ride_code(7)));
    }
    let last = codes.pop().unwrap();
    store.record_taps(codes.clone(), NOW).await.unwrap();
    store.record_taps(vec![last.clone()], NOW).await.unwrap();
    codes.push(last);
    store.record_taps(codes, NOW).await.unwrap();
    assert_eq!(store.overview().await.unwrap().codes_replayed, 2);
    assert_eq!(store.changes_after(0, 10).await.unwrap().unwrap().0.len(), 1, "stations are told once");
}

pub async fn the_latest_tap_says_who_is_inside(place: &Place) {
    let store = place.open().await;
    let rider = RiderId::random();
    let (mut entry, mut exit) = (Gate::entry("north"), Gate::exit("south"));
    let inside = async || store.overview().await.unwrap().in_system;
    let (first, left, second) =
        (entry.passed(rider, NOW), exit.passed(rider, after(60)), entry.passed(rider, after(90)));
    store.record_taps(left.into(), after(99)).await.unwrap();
    assert_eq!(inside().await, 0);
    store.record_taps(first.into(), after(99)).await.unwrap();
    assert_eq!(inside().await, 0, "the exit is later, however late the entry arrives");
    store.record_taps(second.into(), after(99)).await.unwrap();
    assert_eq!(inside().await, 1);
    store.erase_rider(ErasureId::random(), rider, after(99)).await.unwrap_err();
    let known = crate::world::rider(&*store).await;
    store.record_taps(entry.passed(known, after(91)).into(), after(99)).await.unwrap();
    store.erase_rider(ErasureId::random(), known, after(99)).await.unwrap();
    assert_eq!(inside().await, 1, "an erased rider is no hint");
    store.record_taps(entry.passed(known, after(95)).into(), after(99)).await.unwrap();
    assert_eq!(inside().await, 1, "nor does he become one again");
}

pub async fn what_ended_an_entry_is_not_undone_by_an_older_tap(place: &Place) {
    let store = place.open().await;
    let inside = async || store.overview().await.unwrap().in_system;
    let (mut gate, mut late) = (Gate::entry("north"), Gate::entry("south"));
    let [withdrawn, unheard] = [enrolled(&*store).await, enrolled(&*store).await];
    store.record_taps(gate.passed(withdrawn.rider, after(50)).into(), after(60)).await.unwrap();
    assert_eq!(inside().await, 1);
    for rider in [withdrawn.rider, unheard.rider] {
        store.withdraw_face(ErasureId::random(), rider, after(70), after(70)).await.unwrap();
    }
    assert_eq!(inside().await, 0);
    // What a station that was cut off still had of them.
    for rider in [withdrawn.rider, unheard.rider] {
        store.record_taps(late.passed(rider, after(20)).into(), after(80)).await.unwrap();
        store.record_taps(late.passed(rider, after(69)).into(), after(80)).await.unwrap();
        assert_eq!(inside().await, 0, "nothing from before shows him inside");
    }
    let (_, head) = store.changes_after(0, 1000).await.unwrap().unwrap();
    store.record_taps(late.passed(withdrawn.rider, after(90)).into(), after(91)).await.unwrap();
    let (changes, _) = store.changes_after(head, 10).await.unwrap().unwrap();
    assert_eq!((inside().await, changes.len()), (1, 1), "a ride by code since then is one");
}

pub async fn an_entry_that_ran_out_is_not_brought_back_by_an_older_tap(place: &Place) {
    let store = place.open().await;
    let (mut gate, mut late) = (Gate::entry("north"), Gate::exit("south"));
    let rider = RiderId::random();
    store.record_taps(gate.passed(rider, after(50)).into(), after(60)).await.unwrap();
    assert_eq!(store.end_long_entries(Duration::from_secs(5), 10, after(60)).await.unwrap(), 1);
    store.record_taps(late.passed(rider, after(20)).into(), after(70)).await.unwrap();
    assert_eq!(store.overview().await.unwrap().in_system, 0);
}

pub async fn an_old_entry_moves_nobody_in(place: &Place) {
    let store = place.open().await;
    let mut gate = Gate::entry("north");
    let late = NOW.plus(DAY + Duration::from_secs(1));
    assert_eq!(store.record_taps(gate.passed(RiderId::random(), NOW).into(), late).await.unwrap().taps.len(), 1);
    assert_eq!(store.overview().await.unwrap().in_system, 0);
    store.record_taps(gate.passed(RiderId::random(), after(2)).into(), late).await.unwrap();
    assert_eq!(store.overview().await.unwrap().in_system, 1);
}

pub async fn taps_to_pair_reach_back_and_tell_what_is_settled(place: &Place) {
    let store = place.open().await;
    let rider = RiderId::random();
    let (mut entry, mut exit) = (Gate::entry("north"), Gate::exit("south"));
    let hour = Duration::from_secs(3600);
    assert!(store.taps_to_pair(rider, hour).await.unwrap().taps.is_empty());
    let old = ride(&*store, &mut entry, &mut exit, rider, NOW.minus(hour * 5)).await;
    let near = ride(&*store, &mut entry, &mut exit, rider, NOW).await;
    for journey in [&old, &near] {
        settle(&*store, settlement(journey), 700).await.unwrap();
    }
    assert!(store.riders_with_open_taps(None, 10).await.unwrap().is_empty());
    let open = entry.passed(rider, after(1800));
    store.record_taps(open.clone().into(), after(1800)).await.unwrap();
    let found = store.taps_to_pair(rider, hour).await.unwrap();
    assert_eq!(found.taps, [near.entry.clone(), near.exit.clone(), tap_of(&open[0])]);
    assert_eq!(found.settled, [near.entry.id, near.exit.id].into());
    let all = store.taps_to_pair(rider, hour * 10).await.unwrap();
    assert_eq!((all.taps.len(), all.settled.len()), (5, 4));
    for _ in 0..5 {
        store.record_taps(entry.passed(RiderId::random(), NOW).into(), NOW).await.unwrap();
    }
    let mut riders = store.riders_with_open_taps(None, 4).await.unwrap();
    riders.extend(store.riders_with_open_taps(riders.last().copied(), 4).await.unwrap());
    assert!(riders.len() == 6 && riders.is_sorted() && riders.contains(&rider));
}

pub async fn only_riders_with_an_exit_or_an_old_tap_may_have_something_to_settle(place: &Place) {
    let store = place.open().await;
    let (mut entry, mut exit) = (Gate::entry("north"), Gate::exit("south"));
    let [inside, left, long_ago] = [(); 3].map(|()| RiderId::random());
    store.record_taps(entry.passed(inside, after(100)).into(), after(200)).await.unwrap();
    store.record_taps(entry.passed(long_ago, after(0)).into(), after(200)).await.unwrap();
    ride(&*store, &mut entry, &mut exit, left, after(100)).await;
    let to_settle = async |left_by, given_up_by| {
        store.riders_to_settle(None, 10, after(left_by), after(given_up_by)).await.unwrap()
    };
    assert!(to_settle(0, 0).await == [long_ago] && to_settle(699, 99).await == [long_ago]);
    let mut both = vec![long_ago, left];
    both.sort_unstable();
    assert_eq!(to_settle(700, 99).await, both);
    let rest = store.riders_to_settle(Some(both[0]), 10, after(700), after(99)).await.unwrap();
    assert_eq!(rest, both[1..]);
    assert_eq!(store.riders_to_settle(None, 2, after(700), after(700)).await.unwrap().len(), 2);
    assert_eq!(to_settle(700, 700).await.len(), 3);
}

pub async fn who_had_settled_more_when_an_entry_came_late_may_have_something_to_settle(place: &Place) {
    let store = place.open().await;
    let (mut entry, mut exit, mut other) = (Gate::entry("north"), Gate::exit("south"), Gate::entry("east"));
    let rider = RiderId::random();
    let journey = ride(&*store, &mut entry, &mut exit, rider, after(0)).await;
    settle(&*store, settlement(&journey), 700).await.unwrap();
    let to_settle = async |by| store.riders_to_settle(None, 10, after(by), NOW.minus(DAY)).await.unwrap();
    assert!(to_settle(700).await.is_empty());
    store.record_taps(other.passed(rider, after(300)).into(), after(800)).await.unwrap();
    assert_eq!(to_settle(700).await, [rider]);
    assert!(to_settle(299).await.is_empty(), "not before what was settled then would be");
    // The same of one who is under way, which says nothing.
    store.record_taps(other.passed(RiderId::random(), after(300)).into(), after(800)).await.unwrap();
    assert_eq!(to_settle(700).await, [rider]);
}

pub async fn a_sequence_that_no_journal_reaches_harms_nothing(place: &Place) {
    let store = place.open().await;
    let mut gate = Gate::entry("north");
    gate.next = i64::MAX.unsigned_abs();
    let highest = gate.authorise(RiderId::random(), NOW, face());
    assert_eq!(store.record_taps(vec![highest], NOW).await.unwrap().marks[0].next_sequence, 0);
    let refused = store.record_taps(vec![gate.authorise(RiderId::random(), NOW, face())], NOW).await;
    // One store has no room for it and says so, the other keeps it; neither takes it for a journal's next.
    assert!(matches!(refused, Ok(_) | Err(StoreError::BeyondRange(_))), "{refused:?}");
    assert_eq!(store.marks(&gate.gate).await.unwrap()[0].next_sequence, 0);
    let store: &dyn Store = &*store;
    store.record_taps(Gate::entry("north").passed(RiderId::random(), NOW).into(), NOW).await.unwrap();
    assert_eq!(store.marks(&gate.gate).await.unwrap()[0].next_sequence, 2);
}

pub async fn what_an_attendant_did_is_a_tap_and_a_line_of_the_audit_once(place: &Place) {
    let store = place.open().await;
    let mut booth = Gate::entry("south-booth");
    booth.gate = GateId::new("south-booth").unwrap();
    let act = |n| BoothAct { id: ActId::from_bytes([n; 16]), attendant: "li".into(), reason: BoothReason::CodeFailed };
    let (rider, at) = (RiderId::random(), NOW.minus(Duration::from_secs(1200)));
    let evidence = Evidence::Booth { act: act(1), station: StationId::new("north").unwrap(), at };
    let entered = booth.authorise(rider, NOW, evidence);
    let passed = booth.passage(&entered, PassageOutcome::Passed);
    let gate = GateId::new("south-out").unwrap();
    let opened = booth.write(NOW, RecordBody::GateOpened(GateOpened { act: act(2), gate }));
    let records = vec![entered.clone(), passed, opened];
    let intake = store.record_taps(records.clone(), NOW).await.unwrap();
    assert_eq!((intake.taps.as_slice(), intake.new_records), (&[tap_of(&entered)][..], 3));
    assert_eq!(store.record_taps(records, NOW).await.unwrap().duplicates, 3);
    let taps = store.taps_to_pair(rider, DAY).await.unwrap().taps;
    assert_eq!((taps[0].medium, taps[0].station.as_str(), taps[0].at), (Medium::Booth, "north", at));
    assert_eq!(store.overview().await.unwrap().in_system, 1);
    let lines = store.audit_entries(0, 10).await.unwrap();
    let seen: Vec<(&str, &str)> = lines.iter().map(|line| (line.actor.as_str(), line.action.as_str())).collect();
    let actor = format!("attendant/{}/li", entered.station);
    assert_eq!(seen, [(actor.as_str(), "booth.entry"), (actor.as_str(), "booth.open")]);
    assert!(lines[0].subject.contains(&rider.to_string()) && lines[0].subject.contains("code_failed"), "{lines:?}");
    assert!(store.verify_audit().await.unwrap().is_ok());
}
