//! Withdrawn faces, leases, regulars: what ends by itself or by the operator's word.

use std::collections::BTreeSet;
use std::time::Duration;

use facegate_cloud_sync::store::{ErasureId, ErasureScope, Standing, Store, StoreError};
use facegate_domain::habits::{Hours, Regular};
use facegate_domain::ids::RiderId;
use facegate_proto::convert::sync::FeedChange;

use crate::places::Place;
use crate::world::{DAY, Gate, NOW, after, consent, enrolled, station, template};

/// All that the snapshot tells.
async fn facts(store: &dyn Store) -> Vec<FeedChange> {
    let (mut facts, mut from) = (Vec::new(), None);
    loop {
        let page = store.snapshot_page(from, 2, NOW).await.unwrap();
        facts.extend(page.facts);
        from = page.next;
        if from.is_none() {
            return facts;
        }
    }
}

pub async fn a_withdrawn_face_is_forgotten_and_its_rider_may_enrol_again(place: &Place) {
    let store = place.open().await;
    let (face, other) = (enrolled(&*store).await, enrolled(&*store).await);
    let rider = face.rider;
    let mut gate = Gate::entry("north");
    store.record_taps(gate.passed(rider, NOW).to_vec(), NOW).await.unwrap();
    store.station_joined(station("north"), NOW).await.unwrap();
    assert_eq!(store.rider_of(face.id).await.unwrap(), Some(rider));

    let id = ErasureId::random();
    let receipt = store.withdraw_face(id, rider, after(5), after(5)).await.unwrap();
    assert_eq!((receipt.id, receipt.scope), (id, ErasureScope::Face));
    assert_eq!(receipt.outstanding, BTreeSet::from([station("north")]));
    assert_eq!(store.withdraw_face(id, rider, after(9), after(9)).await.unwrap(), receipt, "the same id is the same");
    let known = store.rider(rider).await.unwrap().unwrap();
    assert!(known.consents.is_empty() && known.face.is_none() && known.erasure.is_none());
    assert_eq!(known.withdrawal, Some(id));
    assert!(store.profile(rider).await.unwrap().is_some(), "he himself stays");
    assert_eq!(store.rider_of(face.id).await.unwrap(), None);
    assert_eq!(store.templates(None, 10).await.unwrap(), std::slice::from_ref(&other));
    assert_eq!(facts(&*store).await, [FeedChange::TemplatePut(other)], "nor is he shown inside");
    assert_eq!((store.overview().await.unwrap().enrolled, store.overview().await.unwrap().in_system), (1, 0));
    let refused = store.put_template(template(rider), after(10)).await;
    assert!(matches!(refused, Err(StoreError::ConsentMissing { .. })), "{refused:?}");

    let mut anew = consent();
    anew.given_at = after(20);
    store.record_consent(rider, anew.clone()).await.unwrap();
    let second = template(rider);
    store.put_template(second.clone(), after(20)).await.unwrap();
    // A restored register withdraws the former face alone: what was consented to since then stands.
    store.withdraw_face(ErasureId::random(), rider, after(5), after(30)).await.unwrap();
    assert_eq!(store.rider(rider).await.unwrap().unwrap().consents, [anew]);
    let nobody = store.withdraw_face(ErasureId::random(), RiderId::random(), NOW, NOW).await;
    assert!(matches!(nobody, Err(StoreError::UnknownRider(_))), "{nobody:?}");
}

pub async fn a_face_is_unused_from_its_enrolment_or_last_tap_on(place: &Place) {
    let store = place.open().await;
    let (idle, rides) = (enrolled(&*store).await.rider, enrolled(&*store).await.rider);
    let mut gate = Gate::entry("north");
    store.record_taps(gate.passed(rides, NOW.plus(DAY)).to_vec(), NOW.plus(DAY)).await.unwrap();
    let unused = async |cutoff| {
        let (mut found, mut after) = (BTreeSet::new(), None);
        loop {
            let (page, last) = store.faces_unused_since(cutoff, after, 1).await.unwrap();
            found.extend(page);
            after = last;
            if after.is_none() {
                return found;
            }
        }
    };
    assert_eq!(unused(NOW).await, BTreeSet::new());
    assert_eq!(unused(after(1)).await, BTreeSet::from([idle]));
    assert_eq!(unused(NOW.plus(2 * DAY)).await, BTreeSet::from([idle, rides]));
}

pub async fn a_lease_is_granted_to_active_stations_alone(place: &Place) {
    let store = place.open().await;
    let north = station("north");
    let unknown = store.set_standing(north.clone(), Standing::Revoked, NOW).await;
    assert!(matches!(unknown, Err(StoreError::UnknownStation(_))), "{unknown:?}");
    assert_eq!(store.station(&north).await.unwrap(), None);
    assert_eq!(store.grant_lease(north.clone(), after(100), NOW).await.unwrap(), 1);
    assert_eq!(store.grant_lease(north.clone(), after(50), after(1)).await.unwrap(), 1);
    let view = store.station(&north).await.unwrap().unwrap();
    assert_eq!((view.lease.until, view.last_seen), (Some(after(100)), after(1)), "never shorter than before");

    let ended = store.set_standing(north.clone(), Standing::Revoked, after(200)).await.unwrap();
    assert_eq!((ended.generation, ended.until), (2, Some(after(100))));
    for refused in [
        store.grant_lease(north.clone(), after(500), after(2)).await.map(drop),
        store.station_joined(north.clone(), after(2)).await,
    ] {
        assert!(matches!(refused, Err(StoreError::LeaseEnded(_))), "{refused:?}");
    }
    assert_eq!(store.stations().await.unwrap()[0].last_seen, after(1));
    store.set_standing(north.clone(), Standing::Active, after(200)).await.unwrap();
    assert_eq!(store.grant_lease(north, after(500), after(3)).await.unwrap(), 2, "of another key");
}

pub async fn receipts_wait_for_a_decommissioned_station_until_its_lease_is_over(place: &Place) {
    let store = place.open().await;
    let (first, second) = (enrolled(&*store).await.rider, enrolled(&*store).await.rider);
    let gone = station("gone");
    store.grant_lease(gone.clone(), after(100), NOW).await.unwrap();
    let receipt = store.erase_rider(ErasureId::random(), first, after(1)).await.unwrap();
    store.set_standing(gone.clone(), Standing::Decommissioned, after(100)).await.unwrap();
    assert_eq!(store.release_decommissioned(after(99)).await.unwrap(), 0);
    assert_eq!(store.erasure(receipt.id).await.unwrap().unwrap().outstanding, BTreeSet::from([gone]));
    assert_eq!(store.release_decommissioned(after(100)).await.unwrap(), 1);
    assert!(store.erasure(receipt.id).await.unwrap().unwrap().is_final());
    assert!(store.erase_rider(ErasureId::random(), second, after(101)).await.unwrap().is_final());
}

pub async fn regulars_are_on_the_feed_by_their_station_and_go_with_the_face(place: &Place) {
    let store = place.open().await;
    let (stays, gone) = (enrolled(&*store).await.rider, enrolled(&*store).await.rider);
    let north = station("north");
    let mut gate = Gate::entry("north");
    for rider in [stays, gone] {
        store.record_taps(gate.passed(rider, after(60)).to_vec(), after(60)).await.unwrap();
    }
    let (entries, last) = store.entries_of_enrolled(NOW, None, 10).await.unwrap();
    let mut expected = [stays, gone].map(|rider| (rider, vec![(north.clone(), after(60))]));
    expected.sort();
    assert_eq!(entries, expected);
    assert_eq!(last, Some(stays.max(gone)));
    assert_eq!(store.entries_of_enrolled(NOW, last, 10).await.unwrap(), (Vec::new(), None));
    assert_eq!(store.entries_of_enrolled(after(61), None, 10).await.unwrap().0, []);

    let regular = |rider| Regular { rider, hours: Hours::NONE.with(8) };
    let stranger = regular(RiderId::random());
    let set = vec![regular(stays), stranger, regular(gone)];
    assert!(store.set_regulars(north.clone(), set.clone()).await.unwrap());
    assert!(!store.set_regulars(north.clone(), set).await.unwrap(), "they are the same");
    assert_eq!(store.regulars(&north).await.unwrap(), [regular(stays), regular(gone)]);
    assert_eq!(store.stations_with_regulars().await.unwrap(), std::slice::from_ref(&north));
    let told = FeedChange::Regulars { station: north.clone(), riders: Vec::new() };
    let (changes, head) = store.changes_after(0, 100).await.unwrap().unwrap();
    assert!(changes.iter().any(|c| c.version == head && c.change == told), "without a word of who they are");
    assert!(facts(&*store).await.contains(&told));

    store.withdraw_face(ErasureId::random(), gone, after(99), after(99)).await.unwrap();
    assert_eq!(store.regulars(&north).await.unwrap(), [regular(stays)]);
    assert!(store.set_regulars(north.clone(), Vec::new()).await.unwrap());
    assert!(store.stations_with_regulars().await.unwrap().is_empty());
    assert!(!facts(&*store).await.contains(&told));
    assert_eq!(store.regulars_computed_at().await.unwrap(), None);
    store.set_regulars_computed_at(after(7)).await.unwrap();
    assert_eq!(store.regulars_computed_at().await.unwrap(), Some(after(7)));
}

pub async fn an_entry_without_an_exit_ends_after_its_limit(place: &Place) {
    let store = place.open().await;
    let rider = enrolled(&*store).await.rider;
    let mut gate = Gate::entry("north");
    let [granted, seen] = gate.passed(rider, NOW);
    let entry = granted.id.clone();
    store.record_taps(vec![granted, seen], NOW).await.unwrap();
    let limit = Duration::from_secs(100);
    assert_eq!(store.end_long_entries(limit, 10, after(100)).await.unwrap(), 0);
    assert_eq!(store.end_long_entries(limit, 10, after(101)).await.unwrap(), 1);
    assert_eq!(store.end_long_entries(limit, 10, after(101)).await.unwrap(), 0);
    assert_eq!(store.overview().await.unwrap().in_system, 0);
    let (changes, head) = store.changes_after(0, 100).await.unwrap().unwrap();
    assert!(
        changes.iter().any(|c| c.version == head && c.change == FeedChange::LeftSystem { rider, entry: entry.clone() })
    );
}
