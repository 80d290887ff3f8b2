//! Rides priced by an external ticketing system: the cloud's adapter against a server over mutual TLS that answers late and
//! out of order.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use facegate_cloud_sync::journeys::{SettlingPolicy, settle_all};
use facegate_cloud_sync::store::sled::SledStore;
use facegate_cloud_sync::store::{Store, Trip};
use facegate_cloud_sync::ticketing::{Price, PriceLine, Ticketing, TicketingConfig, TicketingError, pass};
use facegate_domain::Timestamp;
use facegate_domain::billing::{BillingPolicy, ItemKind};
use facegate_domain::fares::{Elsewhere, FareTable, Tariff};
use facegate_domain::ids::{GateId, RecordId, RiderId, StationId};
use facegate_domain::journey::PairingPolicy;
use facegate_domain::score::{Similarity, Tier};
use facegate_domain::tap::{
    Authorisation, Direction, Evidence, GateRecord, GateStamp, Passage, PassageOutcome, RecordBody,
};
use facegate_domain::travel_day::TravelDays;
use facegate_loadtest::ticketing::{Desk, router};
use facegate_runtime::clock::SystemClock;
use facegate_runtime::http::{ServerTls, serve};
use facegate_runtime::identity::ca::{CA_VALIDITY, CertificateAuthority, DEVICE_VALIDITY};
use facegate_runtime::identity::{DeviceIdentity, PeerIdentity, Role};
use facegate_runtime::keys::FileKeys;
use tokio_util::sync::CancellationToken;

const BEGIN: Timestamp = Timestamp::from_unix_ms(1_795_000_000_000);
const DAY: Duration = Duration::from_secs(86_400);

fn after(seconds: u64) -> Timestamp {
    BEGIN.plus(Duration::from_secs(seconds))
}

fn policy() -> SettlingPolicy {
    SettlingPolicy {
        pairing: PairingPolicy::default(),
        settle_after: Duration::from_secs(60),
        give_up_after: DAY,
        ride_expected_max: DAY,
        wait_for_stations: DAY,
        billing: BillingPolicy::per_trip(TravelDays::new("UTC", "04:30").unwrap()),
    }
}

fn identity(ca: &CertificateAuthority, folder: &std::path::Path, role: Role) -> DeviceIdentity {
    let device = PeerIdentity::new(role, "test").unwrap();
    let issued = ca.issue(&device, &[], DEVICE_VALIDITY, &SystemClock::new()).unwrap();
    DeviceIdentity::load(&issued.save(&folder.join("tls"), role.as_str()).unwrap()).unwrap()
}

/// Through one gate, by a journal of its own.
async fn passes(store: &dyn Store, rider: RiderId, direction: Direction, at: Timestamp) {
    let (way, number) = (direction.name(), rider.as_uuid().simple());
    let station = StationId::new(if direction == Direction::Entry { "north" } else { "south" }).unwrap();
    let gate = GateId::new(format!("{way}-{number}")).unwrap();
    let evidence = Evidence::Face { similarity: Similarity::from_cosine(0.8), tier: Tier::City, risk: 1e-8, frames: 3 };
    let bodies = [
        RecordBody::Authorisation(Authorisation::new(rider, direction, evidence)),
        RecordBody::Passage(Passage::new(0, PassageOutcome::Passed)),
    ];
    let record = |(sequence, body)| GateRecord {
        id: RecordId { gate: gate.clone(), epoch: 1, sequence },
        station: station.clone(),
        stamp: GateStamp { wall: at, monotonic_ms: sequence },
        body,
    };
    store.record_taps((0..).zip(bodies).map(record).collect(), at).await.unwrap();
}

fn items(trip: &Trip) -> Vec<i64> {
    trip.items.iter().map(|billed| billed.item.amount().minor()).collect()
}

struct World {
    store: Arc<dyn Store>,
    tariff: Tariff,
    ticketing: Ticketing,
    told: BTreeSet<facegate_domain::journey::JourneyId>,
}

impl World {
    async fn settle(&self, now: Timestamp) {
        settle_all(&*self.store, &Elsewhere(&self.tariff), now, &policy()).await.unwrap();
    }

    async fn pass(&mut self, now: Timestamp) -> Result<usize, TicketingError> {
        let billing = policy().billing;
        pass(&*self.store, &self.ticketing, (&self.tariff, &billing), &mut self.told, now).await
    }

    async fn waiting(&self) -> usize {
        self.store.rides_priced_elsewhere(None, 100).await.unwrap().len()
    }

    async fn trips(&self, rider: RiderId) -> Vec<Trip> {
        self.store.trips(rider).await.unwrap()
    }

    /// What the rider's trip has been billed, once it was asked some times.
    async fn billed(&mut self, rider: RiderId, now: Timestamp) -> Vec<i64> {
        for _ in 0..3 {
            self.pass(now).await.unwrap();
        }
        items(&self.trips(rider).await[0])
    }

    /// So often that every answer is ready.
    async fn until_priced(&mut self, now: Timestamp) -> usize {
        let mut priced = 0;
        for _ in 0..8 {
            priced += self.pass(now).await.unwrap();
        }
        priced
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rides_wait_for_answers_that_come_late_and_out_of_order_and_each_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    let ca = CertificateAuthority::create("test", CA_VALIDITY, &SystemClock::new()).unwrap();
    let (desk, stop) = (Desk::default(), CancellationToken::new());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    let tls = ServerTls::mutual(&identity(&ca, folder.path(), Role::Ticketing));
    let served = tokio::spawn(serve(listener, router(desk.clone()), tls, stop.clone()));
    let keys = FileKeys::open(&folder.path().join("keys")).unwrap();
    let store: Arc<dyn Store> = Arc::new(SledStore::open(&folder.path().join("store"), &keys, 100).unwrap());
    let table = facegate_loadtest::trial::fares(&["north", "south"], &[7000]);
    let tariff = Tariff::new(vec![Arc::new(FareTable::parse(&table).unwrap())]).unwrap();
    let cloud = identity(&ca, folder.path(), Role::Cloud);
    let client = |address: &str, cloud: &DeviceIdentity| {
        let within = Duration::from_secs(5);
        let config = TicketingConfig { address: address.to_owned(), answer_within: within, ask_every: within };
        Ticketing::new(cloud, &config).unwrap()
    };
    let mut world = World { store, tariff, ticketing: client("https://127.0.0.1:9", &cloud), told: BTreeSet::new() };

    let riders: Vec<RiderId> = (1..=20).map(|n| RiderId::from_bytes([n; 16])).collect();
    for (n, rider) in (0..).zip(&riders) {
        passes(&*world.store, *rider, Direction::Entry, after(n)).await;
        // Nobody saw how the last one left.
        if n < 19 {
            passes(&*world.store, *rider, Direction::Exit, after(600 + n)).await;
        }
    }
    let (nonsense, broken) = (riders[7], riders[19]);
    desk.book().nonsense_for = Some(nonsense.to_string());
    world.settle(BEGIN.plus(DAY * 2)).await;
    assert!(world.pass(after(900)).await.is_err(), "it is down");
    assert_eq!(world.waiting().await, 20);
    assert!(world.store.uncharged_items(BEGIN.plus(DAY * 9), None, 9).await.unwrap().is_empty());

    world.ticketing = client(&address, &identity(&ca, folder.path(), Role::Integrator));
    assert!(world.pass(after(900)).await.is_err(), "it prices for the cloud alone");
    world.ticketing = client(&address, &cloud);
    let at_once = world.pass(after(901)).await.unwrap();
    assert!(at_once < 20 && world.waiting().await == 20 - at_once, "{at_once} were ready at once");
    // The cloud restarts, and tells of what still waits once more.
    world.told.clear();
    assert_eq!(at_once + world.until_priced(after(902)).await, 20);
    assert_eq!((world.waiting().await, desk.book().told_again > 0), (0, true));
    let mut in_order = desk.book().answered.clone();
    in_order.sort();
    assert_ne!(desk.book().answered, in_order, "by chance of their ids, answers come in another order");
    for rider in riders.iter().filter(|rider| ![nonsense, broken].contains(rider)) {
        let trips = world.trips(*rider).await;
        assert_eq!((trips.len(), items(&trips[0])), (1, vec![500]));
        let said: Vec<String> =
            trips[0].priced.fare().unwrap().lines().iter().map(|line| line.rule.to_string()).collect();
        assert_eq!(said, ["north to south", "introductory offer"]);
    }
    let held = world.store.held_rides(None, 9).await.unwrap();
    assert_eq!(held.iter().map(|priced| priced.ride.rider()).collect::<Vec<_>>(), [nonsense]);

    changes_its_mind(&mut world, &desk, (riders[0], nonsense)).await;
    // The missing exit comes, and the system prices the whole ride instead of the broken one.
    assert_eq!(items(&world.trips(broken).await[0]), [900]);
    let gone = world.trips(broken).await[0].priced.id().to_string();
    passes(&*world.store, broken, Direction::Exit, after(700)).await;
    world.settle(BEGIN.plus(DAY * 2)).await;
    assert_eq!(world.until_priced(after(1000)).await, 1);
    let trips = world.trips(broken).await;
    assert_eq!((items(&trips[0]), items(&trips[1])), (vec![500], vec![900, -900]));
    assert!(!desk.knows(&gone), "it has heard what the ride replaces");
    stop.cancel();
    served.await.unwrap().unwrap();
}

/// It says of its own accord that a ride costs otherwise than it said: the difference is an item, with the next number.
async fn changes_its_mind(world: &mut World, desk: &Desk, (rider, unreadable): (RiderId, RiderId)) {
    let ride = world.trips(rider).await[0].priced.id();
    let says = |ride: String, version: u32, amount_minor: i64| Price {
        ride_id: ride,
        version,
        currency: "CNY".into(),
        lines: vec![PriceLine { said: format!("as of version {version}"), amount_minor }],
    };
    let price = |version, amount_minor| says(ride.to_string(), version, amount_minor);
    desk.book().changed = vec![price(1, 700)];
    assert_eq!(world.billed(rider, after(910)).await, [500], "the same version is the same answer");
    desk.book().changed = vec![price(2, 350)];
    assert_eq!(world.billed(rider, after(911)).await, [500, -150], "told three times, done once");
    // The desk answers in the other order.
    desk.book().changed = vec![price(2, 350), price(3, 0), price(4, 600)];
    assert_eq!(world.billed(rider, after(912)).await, [500, -150, 250], "what was overtaken counts no more");
    let trip = world.trips(rider).await.remove(0);
    let kinds: Vec<ItemKind> = trip.items.iter().map(|billed| billed.item.kind().clone()).collect();
    let adjusts = |number| ItemKind::Adjustment { of: ride, number };
    assert_eq!(kinds, [ItemKind::Ride { ride }, adjusts(1), adjusts(2)], "and none was edited");
    assert_eq!(trip.priced.fare().unwrap().lines()[0].rule.to_string(), "as of version 4");
    let nonsense = Price { currency: "EUR".into(), ..price(9, 100) };
    desk.book().changed = vec![nonsense, says("no ride".into(), 9, 1), says(RiderId::random().to_string(), 9, 1)];
    assert_eq!(world.billed(rider, after(913)).await, [500, -150, 250], "what is no price of ours changes nothing");
    // What could not be read and is held is priced by an answer that can.
    let held = world.trips(unreadable).await[0].priced.id().to_string();
    desk.book().changed = vec![says(held, 1, 450)];
    assert_eq!(world.billed(unreadable, after(914)).await, [450]);
    desk.book().changed.clear();
}
