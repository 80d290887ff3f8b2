//! What stations compare with the cloud: digests, what the operator told, riders who are imported, installations.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use facegate_cloud_sync::store::{Claim, ErasureId, Imported, Profile, Roots, Store, StoreError};
use facegate_domain::fingerprint::{FactSet, Fingerprint, content_fact, content_of, fact, owner_fact, regular_fact};
use facegate_domain::gate::GateMode;
use facegate_domain::habits::{Hours, Regular};
use facegate_domain::ids::{GateId, ModelId, RiderId};
use facegate_domain::operation::{Does, FARE_TABLES_MAX, GateAct, Instruction, OrderKind, PublishedFares, StationMode};
use facegate_proto::convert::sync::FeedChange;

use crate::places::Place;
use crate::world::{DAY, Gate, NOW, after, consent, enrolled, station, template};

fn sets() -> [FactSet; 5] {
    let model = || ModelId::new("sface").unwrap();
    [FactSet::Templates(model()), FactSet::Contents(model()), FactSet::Denied, FactSet::Inside, FactSet::Told]
}

/// The facts that a change brings about: set, id and hash, as stations make them.
fn hashed(change: &FeedChange) -> Vec<(FactSet, [u8; 16], u64)> {
    let one = match change {
        FeedChange::TemplatePut(face) => {
            let (id, model) = (*face.id.as_bytes(), || face.embedding.model().clone());
            let content = content_fact(face.id, face.rider, content_of(face));
            return vec![
                (FactSet::Templates(model()), id, owner_fact(face.id, face.rider)),
                (FactSet::Contents(model()), id, content),
            ];
        }
        FeedChange::Denied(rider) => (FactSet::Denied, *rider.as_bytes(), fact(&[rider.as_bytes()])),
        FeedChange::EnteredSystem { rider, entry } => {
            (FactSet::Inside, *rider.as_bytes(), fact(&[rider.as_bytes(), entry.to_string().as_bytes()]))
        }
        FeedChange::Told(told) => (FactSet::Told, [0; 16], told.fact()),
        _ => return Vec::new(),
    };
    vec![one]
}

/// Digests, buckets and the facts in them are those of a snapshot.
async fn digests_hold(store: &dyn Store) {
    let facts = store.snapshot_page(None, 100_000, NOW.minus(DAY)).await.unwrap().facts;
    let mut expected: BTreeMap<FactSet, Fingerprint> = BTreeMap::new();
    for (set, id, hash) in facts.iter().flat_map(hashed) {
        let buckets = set.buckets();
        expected.entry(set).or_insert_with(|| Fingerprint::new(buckets)).toggle(&id, hash);
    }
    // Copied first: a borrow that is held while something is awaited keeps the head from rising.
    let head = *store.head().borrow();
    let roots: Roots = store.roots_at(head).await.unwrap().unwrap_or_default();
    for set in sets() {
        let none = Fingerprint::new(set.buckets());
        let expected = expected.get(&set).unwrap_or(&none);
        let (version, buckets) = store.buckets(&set).await.unwrap();
        assert_eq!((version, buckets.as_slice()), (head, expected.buckets()), "{set}");
        assert_eq!(roots.get(&set.to_string()).copied().unwrap_or(0), expected.root(), "{set}");
        let mut found = Fingerprint::new(set.buckets());
        for bucket in (0..set.buckets()).filter(|bucket| buckets[*bucket] != 0) {
            let mut from = None;
            loop {
                let page = store.bucket_facts(&set, bucket, from, 2).await.unwrap();
                let hashes = page.facts.iter().flat_map(hashed).filter(|(of, ..)| *of == set);
                hashes.for_each(|(_, id, hash)| found.toggle(&id, hash));
                match page.next {
                    Some(next) => from = Some(next),
                    None => break,
                }
            }
        }
        assert_eq!(&found, expected, "{set}");
    }
}

pub async fn digests_follow_every_change(place: &Place) {
    let store = place.open().await;
    let (mut entry, mut exit) = (Gate::entry("north"), Gate::exit("south"));
    let mut faces = Vec::new();
    for n in 0..6 {
        let face = enrolled(&*store).await;
        store.record_taps(entry.passed(face.rider, after(n)).into(), after(99)).await.unwrap();
        store.set_denied(face.rider, n % 2 == 0).await.unwrap();
        faces.push(face);
    }
    digests_hold(&*store).await;
    let mode = |mode| Instruction::Mode { station: Some(station("north")), mode };
    for told in [mode(Some(StationMode::Closed)), mode(Some(StationMode::FareFree))] {
        store.instruct(told).await.unwrap();
        digests_hold(&*store).await;
    }
    store.record_taps(exit.passed(faces[0].rider, after(60)).into(), after(99)).await.unwrap();
    store.set_denied(faces[2].rider, false).await.unwrap();
    store.erase_rider(ErasureId::random(), faces[1].rider, after(99)).await.unwrap();
    store.instruct(mode(None)).await.unwrap();
    digests_hold(&*store).await;
    assert_eq!(store.roots_at(u64::MAX).await.unwrap(), None);
    drop(store);
    digests_hold(&*place.open().await).await;
}

pub async fn regulars_have_a_digest_that_follows_them(place: &Place) {
    let store = place.open().await;
    let regular = |rider| Regular { rider, hours: Hours::NONE.with(8) };
    let riders = [enrolled(&*store).await.rider, enrolled(&*store).await.rider].map(regular);
    let set = FactSet::Regulars(station("north"));
    let holds = async |store: &dyn Store, those: &[Regular]| {
        let root = those.iter().fold(0, |root, regular| root ^ regular_fact(regular));
        assert_eq!(store.regulars_root(&station("north")).await.unwrap(), root);
        assert_eq!(store.buckets(&set).await.unwrap(), (*store.head().borrow(), vec![root]));
        let facts = store.bucket_facts(&set, 0, None, 100).await.unwrap().facts;
        assert_eq!(facts, [FeedChange::Regulars { station: station("north"), riders: those.to_vec() }]);
    };
    holds(&*store, &[]).await;
    store.set_regulars(station("north"), riders.to_vec()).await.unwrap();
    holds(&*store, &riders).await;
    store.erase_rider(ErasureId::random(), riders[0].rider, after(9)).await.unwrap();
    holds(&*store, &riders[1..]).await;
    drop(store);
    let store = place.open().await;
    holds(&*store, &riders[1..]).await;
    store.set_regulars(station("north"), vec![]).await.unwrap();
    holds(&*store, &[]).await;
}

pub async fn the_log_has_a_name_that_stays_and_can_be_begun_anew(place: &Place) {
    let (id, version) = {
        let store = place.open().await;
        enrolled(&*store).await;
        let version = store.restart_feed(after(5)).await.unwrap();
        assert_eq!((version, *store.head().borrow()), (after(5).unix_ms().unsigned_abs(), version));
        assert!(store.changes_after(1, 10).await.unwrap().is_err());
        assert!(store.restart_feed(after(1)).await.unwrap() == version + 1, "never back");
        store.set_denied(RiderId::random(), true).await.unwrap();
        digests_hold(&*store).await;
        (store.log_id(), version + 2)
    };
    let store = place.open().await;
    assert_eq!((store.log_id(), *store.head().borrow()), (id, version));
    let elsewhere = Place::new(place.backend).await;
    assert_ne!(elsewhere.open().await.log_id(), id);
    elsewhere.remove().await;
}

pub async fn what_the_operator_told_holds_until_it_is_withdrawn(place: &Place) {
    let store = place.open().await;
    let fares = |n: usize| PublishedFares { name: format!("table-{n}"), valid_from: NOW, toml: "x".into() };
    for n in 0..FARE_TABLES_MAX {
        store.instruct(Instruction::Fares(fares(n))).await.unwrap();
    }
    store.instruct(Instruction::Fares(fares(0))).await.unwrap();
    let full = store.instruct(Instruction::Fares(fares(99))).await;
    assert!(matches!(full, Err(StoreError::TooManyFareTables)), "{full:?}");
    store.instruct(Instruction::FaresWithdrawn { name: "table-0".into() }).await.unwrap();
    let version = store.instruct(Instruction::Fares(fares(99))).await.unwrap();
    assert_eq!((version, *store.head().borrow()), (FARE_TABLES_MAX as u64 + 3, version));
    let before = store.instructions().await.unwrap();
    drop(store);
    assert_eq!(place.open().await.instructions().await.unwrap(), before);
}

pub async fn an_act_at_a_gate_is_told_once_by_its_name(place: &Place) {
    let store = place.open().await;
    let gate = |name: &str| GateId::new(name).unwrap();
    let act = |id: &str, gate: GateId, does: Does, at| GateAct {
        id: id.into(),
        gate,
        does,
        reason: "a pram".into(),
        by: "operator/ada".into(),
        at: after(at),
    };
    let closed = |id: &str, at| act(id, gate("in"), Does::Mode { mode: Some(GateMode::Closed) }, at);
    let open = |id: &str, at| {
        let until = after(at + 60);
        act(id, gate("in"), Does::Order { order: OrderKind::OpenOnce, until }, at)
    };
    let first = store.act_at_gate(closed("a", 0)).await.unwrap();
    let second = store.act_at_gate(act("b", gate("in"), Does::Mode { mode: None }, 1)).await.unwrap();
    assert!(second.version > first.version);
    assert_eq!(store.act_at_gate(closed("a", 9)).await.unwrap(), first, "as it was told");
    assert_eq!(store.instructions().await.unwrap().of_gate(&gate("in")).mode, GateMode::Normal, "and nothing happened");
    let refused = store.act_at_gate(open("a", 2)).await;
    assert!(matches!(refused, Err(StoreError::Instruction(_))), "{refused:?}");
    // Of several at once with one name, one is told.
    let many: Vec<_> = (0..4)
        .map(|_| {
            let (store, act) = (Arc::clone(&store), open("c", 3));
            tokio::spawn(async move { store.act_at_gate(act).await.unwrap().version })
        })
        .collect();
    let mut versions = Vec::new();
    for one in many {
        versions.push(one.await.unwrap());
    }
    assert!(versions.iter().all(|version| *version == second.version + 1), "{versions:?}");
    let elsewhere = store.act_at_gate(act("d", gate("out"), Does::Mode { mode: None }, 4)).await.unwrap();
    let latest = store.latest_acts().await.unwrap();
    assert_eq!(latest.iter().map(|told| told.act.id.as_str()).collect::<Vec<_>>(), ["c", "d"]);
    let lines = store.audit_entries(0, 100).await.unwrap();
    assert_eq!(lines.iter().filter(|line| line.actor == "operator/ada").count(), 4);
    digests_hold(&*store).await;
    drop(store);
    let store = place.open().await;
    assert_eq!(store.latest_acts().await.unwrap(), latest);
    // A month later the names may be used again, and what each gate was told last is still known.
    let month = 31 * 86_400;
    let again = store.act_at_gate(closed("e", month)).await.unwrap();
    assert_eq!(store.latest_acts().await.unwrap(), [again, elsewhere]);
    let anew = store.act_at_gate(closed("a", month + 1)).await.unwrap();
    assert!(anew.version > first.version, "{anew:?}");
}

pub async fn riders_are_imported_once(place: &Place) {
    let store = place.open().await;
    let imported = |rider: RiderId| Imported {
        rider,
        profile: Profile { display_name: "Nemo".into() },
        consent: consent(),
        template: template(rider),
    };
    let riders: Vec<Imported> = (0..5).map(|_| imported(RiderId::random())).collect();
    assert_eq!(store.import(riders[..3].to_vec(), NOW).await.unwrap(), 3);
    assert_eq!(store.import([riders.clone(), riders.clone()].concat(), after(1)).await.unwrap(), 2);
    assert_eq!(store.import(riders.clone(), after(2)).await.unwrap(), 0);
    let overview = store.overview().await.unwrap();
    assert_eq!((overview.riders, overview.enrolled, overview.head_version), (5, 5, 5));
    for rider in &riders {
        let known = store.rider(rider.rider).await.unwrap().unwrap();
        let face = known.face.unwrap();
        assert_eq!((face.template, known.consents), (rider.template.id, vec![consent()]));
        let (changes, _) = store.changes_after(face.feed_version - 1, 1).await.unwrap().unwrap();
        assert_eq!(changes[0].change, FeedChange::TemplatePut(rider.template.clone()));
        assert!(store.profile(rider.rider).await.unwrap().is_some());
    }
    digests_hold(&*store).await;
}

pub async fn one_installation_counts_as_a_station(place: &Place) {
    let store = place.open().await;
    let minute = Duration::from_secs(60);
    let claim = async |by: &str, at| store.claim_station(station("north"), by.into(), after(at), minute).await.unwrap();
    assert_eq!(claim("one", 0).await, Claim::Granted);
    assert_eq!(claim("one", 10).await, Claim::Granted);
    assert!(matches!(claim("two", 30).await, Claim::Held { by, .. } if by == "one"));
    store.station_joined(station("north"), after(40)).await.unwrap();
    assert_eq!(claim("two", 99).await, Claim::Held { by: "one".into(), heard: after(40) });
    assert_eq!(claim("two", 100).await, Claim::Granted, "the first was silent for a minute");
    assert!(matches!(claim("one", 101).await, Claim::Held { by, .. } if by == "two"));
    assert_eq!(store.stations().await.unwrap()[0].installation, "two");
}
