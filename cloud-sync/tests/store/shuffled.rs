//! The property that money rests on: whatever the order, the batches and the repetitions, the same records amount to the
//! same taps, marks, journeys and books.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use facegate_cloud_sync::store::Store;
use facegate_domain::charge::{Charge, Instrument};
use facegate_domain::fares::{Ride, RiderTerms};
use facegate_domain::ids::{RecordId, RiderId};
use facegate_domain::journey::{PairingPolicy, Ridden, pair};
use facegate_domain::ledger::Account;
use facegate_domain::tap::{Evidence, GateRecord, Passage, PassageOutcome, RecordBody, Tap};
use facegate_proto::convert::sync::FeedChange;
use rand::rngs::StdRng;
use rand::seq::{IndexedMutRandom, IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};

use crate::model::Model;
use crate::places::Place;
use crate::world::{DAY, Gate, NOW, after, face, fares, settle_rider};

/// Orders that are tried of each world.
const SEEDS: std::ops::Range<u64> = 0..6;

/// What some riders' bodies did, as their gates wrote it down.
fn world(random: &mut StdRng, riders: &[RiderId]) -> Vec<GateRecord> {
    let mut gates: Vec<Gate> = ["north", "south"].into_iter().flat_map(|s| [Gate::entry(s), Gate::exit(s)]).collect();
    let mut records = Vec::new();
    for at in 0..60 {
        let gate = gates.choose_mut(random).unwrap();
        let evidence = if random.random_bool(0.3) {
            Evidence::Code { nonce: [random.random_range(0..12); 8], checked_online: true, face: None }
        } else {
            face()
        };
        let granted = gate.authorise(*riders.choose(random).unwrap(), after(at * 37), evidence);
        for _ in 0..random.random_range(0..3) {
            let outcomes =
                [PassageOutcome::Passed, PassageOutcome::Passed, PassageOutcome::TurnedBack, PassageOutcome::Unknown];
            records.push(gate.passage(&granted, *outcomes.choose(random).unwrap()));
        }
        records.push(granted);
        if random.random_bool(0.02) {
            gate.epoch += 1;
            gate.next = 0;
        }
    }
    records
}

/// Lost on the way for good, come again, come with another content.
fn deliveries(random: &mut StdRng, records: &[GateRecord]) -> Vec<GateRecord> {
    let mut deliveries: Vec<GateRecord> = records.iter().filter(|_| random.random_bool(0.97)).cloned().collect();
    for _ in 0..deliveries.len() / 2 {
        deliveries.push(deliveries.choose(random).unwrap().clone());
    }
    for _ in 0..4 {
        let mut forged = deliveries.choose(random).unwrap().clone();
        forged.body = RecordBody::Passage(Passage::new(0, PassageOutcome::TimedOut));
        deliveries.push(forged);
    }
    deliveries.shuffle(random);
    deliveries
}

pub async fn any_order_and_repetition_amounts_to_the_same(place: &Place) {
    for seed in SEEDS {
        let place = Place::new(place.backend).await;
        one_order(&*place.open().await, seed).await;
        place.remove().await;
    }
}

async fn one_order(store: &dyn Store, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let riders: Vec<RiderId> = (0..6).map(|_| RiderId::from_bytes(random.random())).collect();
    let records = world(&mut random, &riders);
    let mut rest = deliveries(&mut random, &records);
    let (mut model, mut made) = (Model::default(), Vec::new());
    while !rest.is_empty() {
        let batch = rest.split_off(rest.len().saturating_sub(random.random_range(1..30)));
        batch.iter().for_each(|record| model.deliver(record));
        let intake = store.record_taps(batch, after(4000)).await.unwrap();
        made.extend(intake.taps);
        let marks = model.marks();
        assert!(intake.marks.iter().all(|mark| marks.contains(mark)), "seed {seed}");
    }
    same_taps(store, &model, made, seed).await;
    same_books(store, &model, &riders, seed).await;
}

async fn same_taps(store: &dyn Store, model: &Model, mut made: Vec<Tap>, seed: u64) {
    let mut taps = model.taps();
    taps.sort_by(|a, b| a.id.cmp(&b.id));
    made.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(made, taps, "seed {seed}: each tap is told once");
    let unknown = store.unknown_passages().await.unwrap();
    assert_eq!(unknown.into_iter().map(|u| u.authorisation).collect::<BTreeSet<RecordId>>(), model.unknown(), "{seed}");
    assert_eq!(store.gaps().await.unwrap(), model.gaps(), "seed {seed}");
    let mut marks = Vec::new();
    for gate in model.marks().into_iter().map(|mark| mark.gate).collect::<BTreeSet<_>>() {
        marks.extend(store.marks(&gate).await.unwrap());
    }
    assert_eq!(marks, model.marks(), "seed {seed}");
    let facts = store.snapshot_page(None, 10_000, NOW.minus(DAY)).await.unwrap().facts;
    let inside = facts.into_iter().filter_map(|fact| match fact {
        FeedChange::EnteredSystem { rider, entry } => Some((rider, entry)),
        _ => None,
    });
    assert_eq!(inside.collect::<BTreeMap<_, _>>(), model.inside(), "seed {seed}");
    let overview = store.overview().await.unwrap();
    let counted = (overview.taps, overview.passages_unknown, overview.conflicts, overview.codes_replayed);
    let expected = (taps.len() as u64, model.unknown().len() as u64, model.conflicts.len() as u64, model.replays());
    assert_eq!(counted, expected, "seed {seed}");
    assert_eq!(overview.in_system, model.inside().len() as u64, "seed {seed}");
}

async fn same_books(store: &dyn Store, model: &Model, riders: &[RiderId], seed: u64) {
    let policy = PairingPolicy { merge_window: Duration::from_secs(10), journey_max: Duration::from_secs(64_800) };
    let expected = pair(&model.taps(), &policy);
    let (mut owed, fares) = (0, fares());
    for rider in riders {
        settle_rider(store, *rider, after(9000)).await;
        let whole = expected.journeys.iter().cloned().map(Ridden::Whole);
        let rides = whole.chain(expected.incomplete.iter().cloned().map(Ridden::Broken));
        let rides: Vec<Ridden> = rides.filter(|ride| ride.rider() == *rider).collect();
        let trips = store.trips(*rider).await.unwrap();
        let ids: BTreeSet<_> = trips.iter().map(|trip| trip.priced.id()).collect();
        assert_eq!(ids, rides.iter().map(Ridden::id).collect(), "seed {seed}");
        let bill = fares.bill(&rides.iter().map(Ride::from).collect::<Vec<_>>(), &RiderTerms::default());
        owed += bill.rides.iter().map(|billed| billed.total().unwrap().minor()).sum::<i64>();
    }
    while let Some(waiting) = store.uncharged_items(after(9001), None, 1).await.unwrap().pop() {
        let rider = waiting.rider();
        let opened = Charge::open(rider, &[waiting], Instrument::Wallet, after(9001)).unwrap();
        store.open_charge(opened.clone()).await.unwrap();
        store.open_charge(opened).await.unwrap();
    }
    let revenue = store.balance(Account::OperatorRevenue, fares.currency()).await.unwrap();
    assert_eq!(revenue.minor(), -owed, "seed {seed}");
    let trial = store.trial_balance().await.unwrap();
    assert!(trial.is_balanced() && store.is_balanced().await.unwrap(), "seed {seed}");
    assert_eq!(trial.balance(Account::OperatorRevenue, fares.currency()), revenue, "seed {seed}");
}
