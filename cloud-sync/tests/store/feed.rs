//! The change feed: order, cursors, snapshots.

use std::collections::BTreeMap;

use facegate_cloud_sync::store::{ErasureId, OutOfReach, Store};
use facegate_domain::code::CodeIssuer;
use facegate_domain::ids::{RecordId, RiderId, TemplateId};
use facegate_domain::tap::PassageOutcome;
use facegate_proto::convert::sync::FeedChange;

use crate::places::Place;
use crate::world::{DAY, Gate, NOW, after, enrolled, ride_code};

async fn all_after(store: &dyn Store, mut cursor: u64) -> Vec<(u64, FeedChange)> {
    let mut all = Vec::new();
    loop {
        let (changes, reached) = store.changes_after(cursor, 3).await.unwrap().unwrap();
        all.extend(changes.into_iter().map(|change| (change.version, change.change)));
        if reached == cursor {
            return all;
        }
        cursor = reached;
    }
}

pub async fn versions_rise_and_are_told_in_their_order(place: &Place) {
    let store = place.open().await;
    let mut told = Vec::new();
    for _ in 0..5 {
        let face = enrolled(&*store).await;
        told.push(FeedChange::TemplatePut(face.clone()));
        store.set_denied(face.rider, true).await.unwrap();
        told.push(FeedChange::Denied(face.rider));
    }
    let all = all_after(&*store, 0).await;
    assert!(all.is_sorted_by(|a, b| a.0 < b.0) && all[0].0 == 1);
    assert_eq!(all.into_iter().map(|(_, change)| change).collect::<Vec<_>>(), told);
    assert_eq!(*store.head().borrow(), 10);
    assert_eq!(store.changes_after(10, 5).await.unwrap().unwrap(), (Vec::new(), 10));
}

pub async fn the_head_rises_only_by_what_can_be_read(place: &Place) {
    let store = place.open().await;
    let mut head = store.head();
    assert_eq!(*head.borrow_and_update(), 0);
    store.set_denied(RiderId::random(), true).await.unwrap();
    head.changed().await.unwrap();
    assert_eq!(*head.borrow_and_update(), 1);
    store.audit("operator/x", "nothing for stations", "y", NOW).await.unwrap();
    assert!(!head.has_changed().unwrap());
    assert_eq!(all_after(&*store, 0).await.len(), 1);
}

pub async fn a_cursor_beyond_the_log_and_one_before_its_beginning_are_told_apart(place: &Place) {
    let store = place.open_keeping(10).await;
    let beyond = store.changes_after(1, 10).await.unwrap();
    assert_eq!(beyond, Err(OutOfReach::BeyondHead { cursor: 1, head: 0 }));
    for _ in 0..30 {
        store.set_denied(RiderId::random(), true).await.unwrap();
    }
    let far = store.changes_after(u64::MAX, 10).await.unwrap();
    assert_eq!(far, Err(OutOfReach::BeyondHead { cursor: u64::MAX, head: 30 }));
    let Err(OutOfReach::Compacted { cursor: 0, first }) = store.changes_after(0, 10).await.unwrap() else {
        panic!("the beginning is gone");
    };
    assert!((18..=20).contains(&first), "the last ten stay, and not many more: {first}");
    let (changes, reached) = store.changes_after(first, 100).await.unwrap().unwrap();
    assert_eq!((changes.first().map(|c| c.version), reached), (Some(first + 1), 30));
    assert_eq!(store.changes_after(20, 3).await.unwrap().unwrap().1, 23);
}

/// What a station knows.
#[derive(Debug, Default, PartialEq)]
struct Known {
    faces: BTreeMap<TemplateId, RiderId>,
    inside: BTreeMap<RiderId, RecordId>,
    denied: BTreeMap<RiderId, ()>,
    nonces: BTreeMap<[u8; 8], ()>,
}

impl Known {
    fn apply(&mut self, change: FeedChange) {
        match change {
            FeedChange::TemplatePut(face) => drop(self.faces.insert(face.id, face.rider)),
            FeedChange::RiderRemoved(rider) => {
                self.faces.retain(|_, of| *of != rider);
                self.inside.remove(&rider);
            }
            FeedChange::EnteredSystem { rider, entry } => drop(self.inside.insert(rider, entry)),
            FeedChange::LeftSystem { rider, entry } if self.inside.get(&rider) == Some(&entry) => {
                self.inside.remove(&rider);
            }
            FeedChange::Denied(rider) => drop(self.denied.insert(rider, ())),
            FeedChange::Allowed(rider) => drop(self.denied.remove(&rider)),
            FeedChange::CodeNonceSpent { nonce, .. } => drop(self.nonces.insert(nonce, ())),
            _ => {}
        }
    }
}

/// Pages of three, while the world goes on between them.
async fn snapshot(store: &dyn Store, mut between: impl AsyncFnMut()) -> Known {
    let mut known = Known::default();
    let mut from = None;
    loop {
        let page = store.snapshot_page(from, 3, NOW.minus(DAY)).await.unwrap();
        assert!(page.facts.len() <= 3);
        page.facts.into_iter().for_each(|fact| known.apply(fact));
        between().await;
        match page.next {
            Some(next) => from = Some(next),
            None => return known,
        }
    }
}

pub async fn pages_of_a_snapshot_and_the_changes_since_add_up_to_the_present(place: &Place) {
    let store = place.open().await;
    store.publish_issuer_keys(vec![CodeIssuer::from_secret(&[1; 32]).public()]).await.unwrap();
    let (mut entry, mut exit) = (Gate::entry("north"), Gate::exit("south"));
    let mut faces = Vec::new();
    for n in 0..8 {
        let face = enrolled(&*store).await;
        let granted = entry.authorise(face.rider, after(n.into()), ride_code(n));
        let seen = entry.passage(&granted, PassageOutcome::Passed);
        store.record_taps(vec![granted, seen], NOW).await.unwrap();
        store.set_denied(face.rider, n % 2 == 0).await.unwrap();
        faces.push(face);
    }
    let before = *store.head().borrow();
    let mut steps = 0;
    let mut known = snapshot(&*store, async || {
        let face = faces.pop();
        steps += 1;
        match (face, steps % 3) {
            (Some(face), 0) => drop(store.erase_rider(ErasureId::random(), face.rider, NOW).await.unwrap()),
            (Some(face), 1) => {
                let left = exit.passed(face.rider, after(100 + steps));
                store.record_taps(left.into(), NOW).await.unwrap();
            }
            (Some(face), _) => drop(store.set_denied(face.rider, false).await.unwrap()),
            (None, _) => drop(enrolled(&*store).await),
        }
    })
    .await;
    for (_, change) in all_after(&*store, before).await {
        known.apply(change);
    }
    let present = snapshot(&*store, async || {}).await;
    assert_eq!(known, present);
    assert!(!present.faces.is_empty() && !present.inside.is_empty() && !present.denied.is_empty());
    assert_eq!(present.nonces.len(), 8);
    let overview = store.overview().await.unwrap();
    assert_eq!((overview.enrolled, overview.in_system), (present.faces.len() as u64, present.inside.len() as u64));
}

pub async fn old_spent_codes_are_not_told(place: &Place) {
    let store = place.open().await;
    let mut gate = Gate::entry("north");
    for n in 0..6 {
        let granted = gate.authorise(RiderId::random(), after(u64::from(n) * 10), ride_code(n));
        store.record_taps(vec![granted], NOW).await.unwrap();
    }
    let mut nonces = Vec::new();
    let mut from = None;
    loop {
        let page = store.snapshot_page(from, 2, after(30)).await.unwrap();
        nonces.extend(page.facts.into_iter().filter_map(|fact| match fact {
            FeedChange::CodeNonceSpent { nonce, issued_at } => Some((nonce[0], issued_at)),
            _ => None,
        }));
        match page.next {
            Some(next) => from = Some(next),
            None => break,
        }
    }
    nonces.sort_unstable();
    assert_eq!(nonces, [(3, after(30)), (4, after(40)), (5, after(50))]);
}

pub async fn issuer_keys_are_published_when_they_differ(place: &Place) {
    let store = place.open().await;
    let (old, new) = (CodeIssuer::from_secret(&[1; 32]).public(), CodeIssuer::from_secret(&[2; 32]).public());
    for keys in [vec![old], vec![old], vec![old, new], vec![old, new]] {
        store.publish_issuer_keys(keys).await.unwrap();
    }
    let told: Vec<FeedChange> = all_after(&*store, 0).await.into_iter().map(|(_, change)| change).collect();
    let both = FeedChange::IssuerKeys(vec![old, new]);
    assert_eq!(told, [FeedChange::IssuerKeys(vec![old]), both.clone()]);
    assert_eq!(store.snapshot_page(None, 10, NOW).await.unwrap().facts, [both]);
}

pub async fn the_deny_list_changes_once(place: &Place) {
    let store = place.open().await;
    let rider = RiderId::random();
    let mut changed = Vec::new();
    for denied in [false, true, true, false, false] {
        changed.push(store.set_denied(rider, denied).await.unwrap());
        assert_eq!(store.is_denied(rider).await.unwrap(), denied);
    }
    assert_eq!(changed, [false, true, false, true, false]);
    assert_eq!(*store.head().borrow(), 2);
}
