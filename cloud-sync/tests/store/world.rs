//! Riders, gates and journeys for the tests.

use std::sync::Arc;
use std::time::Duration;

use facegate_cloud_sync::store::{Consent, Pricing, Profile, Purpose, Settlement, Store, StoreError};
use facegate_domain::Timestamp;
use facegate_domain::billing::{Item, ItemKind};
use facegate_domain::face::{Embedding, Template};
use facegate_domain::fares::{FareTable, Ride, RiderTerms, Tariff};
use facegate_domain::ids::{GateId, ModelId, RecordId, RiderId, StationId, TemplateId};
use facegate_domain::journey::{Journey, JourneyId, PairingPolicy, Ridden, pair};
use facegate_domain::score::{Similarity, Tier};
use facegate_domain::tap::{
    Authorisation, Direction, Evidence, GateRecord, GateStamp, Passage, PassageOutcome, RecordBody, Tap,
};

pub const NOW: Timestamp = Timestamp::from_unix_ms(1_795_000_000_000);

pub const DAY: Duration = Duration::from_secs(24 * 3600);

/// North to south is 400.
pub fn fares_text() -> String {
    crate::trial::fares(&["north", "south"], &[7000])
}

pub fn fares() -> Tariff {
    Tariff::new(vec![Arc::new(FareTable::parse(&fares_text()).unwrap())]).unwrap()
}

pub fn after(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

pub fn station(name: &str) -> StationId {
    StationId::new(name).unwrap()
}

/// The journal of one gate.
#[derive(Debug, Clone)]
pub struct Gate {
    pub station: StationId,
    pub gate: GateId,
    pub epoch: u32,
    pub direction: Direction,
    pub next: u64,
}

impl Gate {
    pub fn new(station: &str, direction: Direction) -> Self {
        let gate = GateId::new(format!("{station}-{}", direction.name())).unwrap();
        Self { station: self::station(station), gate, epoch: 1, direction, next: 0 }
    }

    pub fn entry(station: &str) -> Self {
        Self::new(station, Direction::Entry)
    }

    pub fn exit(station: &str) -> Self {
        Self::new(station, Direction::Exit)
    }

    pub fn write(&mut self, at: Timestamp, body: RecordBody) -> GateRecord {
        let sequence = self.next;
        self.next += 1;
        GateRecord {
            id: RecordId { gate: self.gate.clone(), epoch: self.epoch, sequence },
            station: self.station.clone(),
            stamp: GateStamp { wall: at, monotonic_ms: sequence },
            body,
        }
    }

    pub fn authorise(&mut self, rider: RiderId, at: Timestamp, evidence: Evidence) -> GateRecord {
        let direction = self.direction;
        self.write(at, RecordBody::Authorisation(Authorisation::new(rider, direction, evidence)))
    }

    pub fn passage(&mut self, of: &GateRecord, outcome: PassageOutcome) -> GateRecord {
        self.write(of.stamp.wall, RecordBody::Passage(Passage::new(of.id.sequence, outcome)))
    }

    /// An authorisation and what became of it.
    pub fn pass(&mut self, rider: RiderId, at: Timestamp, outcome: PassageOutcome) -> [GateRecord; 2] {
        let granted = self.authorise(rider, at, face());
        let seen = self.passage(&granted, outcome);
        [granted, seen]
    }

    pub fn passed(&mut self, rider: RiderId, at: Timestamp) -> [GateRecord; 2] {
        self.pass(rider, at, PassageOutcome::Passed)
    }
}

pub fn face() -> Evidence {
    Evidence::Face { similarity: Similarity::from_cosine(0.8), tier: Tier::City, risk: 1e-8, frames: 3 }
}

pub fn ride_code(nonce: u8) -> Evidence {
    Evidence::Code { nonce: [nonce; 8], checked_online: true, face: None }
}

pub fn tap_of(authorisation: &GateRecord) -> Tap {
    Tap::once_passed(authorisation).unwrap()
}

pub fn template(rider: RiderId) -> Template {
    let embedding = Embedding::from_unit(ModelId::new("sface").unwrap(), vec![0.6, 0.8]).unwrap();
    Template { id: TemplateId::random(), rider, embedding, photographs: 2 }
}

pub fn consent() -> Consent {
    let (text_version, channel) = ("1".to_owned(), "app".to_owned());
    Consent { purpose: Purpose::Recognition, text_version, channel, given_at: NOW }
}

pub async fn rider(store: &dyn Store) -> RiderId {
    let rider = RiderId::random();
    store.create_rider(rider, Profile { display_name: "Nemo".into() }, NOW).await.unwrap();
    rider
}

/// A rider with a face; his template.
pub async fn enrolled(store: &dyn Store) -> Template {
    let rider = rider(store).await;
    store.record_consent(rider, consent()).await.unwrap();
    let template = template(rider);
    store.put_template(template.clone(), NOW).await.unwrap();
    template
}

/// From north to south, delivered whole.
pub async fn ride(store: &dyn Store, entry: &mut Gate, exit: &mut Gate, rider: RiderId, at: Timestamp) -> Journey {
    let [granted, seen] = entry.passed(rider, at);
    let [left, gone] = exit.passed(rider, at.plus(Duration::from_secs(600)));
    let journey = Journey::new(tap_of(&granted), tap_of(&left));
    store.record_taps(vec![granted, seen, left, gone], NOW).await.unwrap();
    journey
}

pub fn settlement(journey: &Journey) -> Settlement {
    settlement_of(journey.rider(), &[Ridden::Whole(journey.clone())])
}

/// The first settlement of the rider.
pub fn settlement_of(rider: RiderId, rides: &[Ridden]) -> Settlement {
    let mut settlement = Settlement::of(rider, 0);
    let new: Vec<Ride<'_>> = rides.iter().map(Ride::from).collect();
    let bill = fares().settle(&[], &new, NOW, &RiderTerms::default()).unwrap();
    for (ride, billed) in rides.iter().zip(bill.new) {
        let fare = billed.price.unwrap();
        let kind = ItemKind::Ride { ride: ride.id() };
        settlement.items.push(Item::new(rider, billed.day, fare.total(), kind, after(700)));
        settlement.rides.push((ride.clone(), Pricing::ours(fare)));
    }
    settlement
}

/// Stores it as the next one of its rider.
pub async fn settle(store: &dyn Store, settlement: Settlement, at: u64) -> Result<(), StoreError> {
    let seen = store.settlements(settlement.rider).await.unwrap();
    store.settle(Settlement { seen, ..settlement }, after(at)).await
}

/// The items of a ride, in their order.
pub async fn items_of(store: &dyn Store, ride: JourneyId) -> Vec<Item> {
    let mut items = Vec::new();
    for posted in store.ride(ride).await.unwrap().unwrap().items {
        items.push(store.item(posted.item).await.unwrap().unwrap().0);
    }
    items
}

/// A ride that is settled and priced.
pub async fn settled_ride(store: &dyn Store, rider: RiderId) -> Journey {
    let (mut entry, mut exit) = (Gate::entry("north"), Gate::exit("south"));
    // Gates of their own, so that rides of one test do not share a journal.
    for gate in [&mut entry, &mut exit] {
        gate.gate = GateId::new(format!("g-{}", uuid::Uuid::new_v4().simple())).unwrap();
    }
    let journey = ride(store, &mut entry, &mut exit, rider, NOW).await;
    settle(store, settlement(&journey), 700).await.unwrap();
    journey
}

/// Settles all that the rider's open taps make, as the cloud's loop does.
pub async fn settle_rider(store: &dyn Store, rider: RiderId, now: Timestamp) {
    let policy = PairingPolicy { merge_window: Duration::from_secs(10), journey_max: Duration::from_secs(64_800) };
    let taps = store.taps_to_pair(rider, policy.journey_max + policy.merge_window).await.unwrap();
    let pairing = pair(&taps.taps, &policy);
    let whole = pairing.journeys.into_iter().map(Ridden::Whole);
    let rides: Vec<Ridden> = whole.chain(pairing.incomplete.into_iter().map(Ridden::Broken)).collect();
    let settlement = Settlement { merged: pairing.merged, ..settlement_of(rider, &rides) };
    store.settle(settlement, now).await.unwrap();
}
