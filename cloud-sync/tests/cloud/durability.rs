//! What was acknowledged is there after a kill, and what journeys come of taps does not depend on how they came.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use facegate_cloud_sync::journeys::{SettlingPolicy, settle_all};
use facegate_cloud_sync::store::sled::SledStore;
use facegate_cloud_sync::store::{JourneyStore, OverviewStore};
use facegate_cloud_sync::store::{Profile, RiderStore, TapStore, Trip};
use facegate_domain::billing::BillingPolicy;
use facegate_domain::fares::{FareTable, Tariff};
use facegate_domain::ids::RiderId;
use facegate_domain::journey::{JourneyId, PairingPolicy};
use facegate_domain::tap::{GateRecord, PassageOutcome};
use facegate_domain::travel_day::TravelDays;
use facegate_runtime::keys::FileKeys;
use proptest::prelude::*;

use crate::harness::{BEGIN, FARES};
use crate::riding::{Gate, face, ride_code};

fn open(dir: &Path) -> SledStore {
    SledStore::open(dir, &FileKeys::open(&dir.join("keys")).unwrap(), 1000).unwrap()
}

/// The files as a kill leaves them: no destructor has run.
fn as_killed(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            as_killed(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn everything_acknowledged_is_there_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("running"));
    let mut gate = Gate::entry("north");
    let mut riders = Vec::new();
    for round in 0..5_u64 {
        let rider = RiderId::random();
        store.create_rider(rider, Profile { display_name: "Nemo".into() }, BEGIN).await.unwrap();
        riders.push(rider);
        let records = gate.pass(rider, BEGIN, face(), PassageOutcome::Passed).to_vec();
        store.record_taps(records, BEGIN).await.unwrap();

        let copy = dir.path().join(format!("killed-{round}"));
        as_killed(&dir.path().join("running"), &copy);
        let revived = open(&copy);
        let overview = revived.overview().await.unwrap();
        assert_eq!((overview.riders, overview.taps, overview.in_system), (round + 1, round + 1, round + 1));
        assert_eq!(revived.marks(&gate.gate).await.unwrap()[0].next_sequence, 2 * (round + 1));
        for rider in &riders {
            assert!(revived.profile(*rider).await.unwrap().is_some());
        }
    }
}

#[tokio::test]
async fn many_writers_at_once_share_their_syncs_and_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()));
    let writers = (0..16).map(|n| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let mut gate = Gate::entry(&format!("s{n}"));
            for _ in 0..20 {
                let records = gate.pass(RiderId::random(), BEGIN, face(), PassageOutcome::Passed).to_vec();
                let intake = store.record_taps(records, BEGIN).await.unwrap();
                assert_eq!((intake.taps.len(), intake.duplicates), (1, 0));
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    assert_eq!(store.overview().await.unwrap().taps, 320);
}

/// Some riders' days: in and out by face or code, now and then turned back, unknown, or shown twice.
fn days() -> impl Strategy<Value = Vec<GateRecord>> {
    let step = (0..3_usize, any::<bool>(), 0..8_u8, 1..4000_u64);
    prop::collection::vec(step, 1..24).prop_map(|steps| {
        let riders: Vec<RiderId> = (1..4).map(|n| RiderId::from_bytes([n; 16])).collect();
        let (mut entry, mut exit) = (Gate::entry("north"), Gate::exit("south"));
        let (mut at, mut records) = (BEGIN, Vec::new());
        for (n, (rider, is_exit, kind, seconds)) in (0..).zip(steps) {
            at = at.plus(Duration::from_secs(seconds));
            let gate = if is_exit { &mut exit } else { &mut entry };
            let outcome = match kind {
                0 => PassageOutcome::Unknown,
                1 => PassageOutcome::TurnedBack,
                _ => PassageOutcome::Passed,
            };
            let evidence = if kind % 2 == 0 { face() } else { ride_code(n) };
            records.extend(gate.pass(riders[rider], at, evidence, outcome));
            if kind == 7 {
                records.extend(gate.pass(
                    riders[rider],
                    at.plus(Duration::from_secs(2)),
                    face(),
                    PassageOutcome::Passed,
                ));
            }
        }
        records
    })
}

type Outcome = (BTreeSet<JourneyId>, u64, u64, u64);

fn journeys_of(batches: &[Vec<GateRecord>]) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = open(dir.path());
        let end = BEGIN.plus(Duration::from_secs(28 * 3600));
        for batch in batches {
            store.record_taps(batch.clone(), end).await.unwrap();
        }
        let policy = SettlingPolicy {
            pairing: PairingPolicy::default(),
            settle_after: Duration::from_secs(60),
            give_up_after: Duration::from_secs(30 * 86_400),
            ride_expected_max: Duration::ZERO,
            wait_for_stations: Duration::from_secs(3 * 86_400),
            billing: BillingPolicy::per_trip(TravelDays::new("UTC", "04:30").unwrap()),
        };
        let tariff = Tariff::new(vec![Arc::new(FareTable::parse(&FARES).unwrap())]).unwrap();
        settle_all(&store, &tariff, end, &policy).await.unwrap();
        let mut trips: Vec<Trip> = Vec::new();
        for n in 1..4 {
            trips.extend(store.trips(RiderId::from_bytes([n; 16])).await.unwrap());
        }
        let journeys = trips.iter().map(|trip| trip.priced.id()).collect();
        let overview = store.overview().await.unwrap();
        assert!(overview.gaps.is_empty());
        (journeys, overview.taps, overview.in_system, overview.passages_unknown)
    })
}

/// The records, some of them more than once, in an order and in batches of chance.
fn scrambled(records: Vec<GateRecord>) -> impl Strategy<Value = Vec<Vec<GateRecord>>> {
    let again = prop::collection::vec(0..records.len(), 0..records.len());
    (Just(records), again, 1..7_usize).prop_flat_map(|(records, again, size)| {
        let doubled = again.into_iter().map(|n| records[n].clone());
        let all: Vec<GateRecord> = records.iter().cloned().chain(doubled).collect();
        Just(all).prop_shuffle().prop_map(move |all| all.chunks(size).map(<[GateRecord]>::to_vec).collect())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// A failure prints its seed into proptest-regressions/, which replays it.
    #[test]
    fn any_order_and_repetition_of_the_same_records_gives_the_same_journeys(
        (records, batches) in days().prop_flat_map(|records| (Just(records.clone()), scrambled(records)))
    ) {
        prop_assert_eq!(journeys_of(&[records]), journeys_of(&batches));
    }
}
