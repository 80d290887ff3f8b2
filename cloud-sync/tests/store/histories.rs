//! Rides that are paid in advance, in thousands of random histories over the embedded store: entries, holds that are
//! authorised, declined, lapse or whose outcome nobody knows, rides that cost less than what is held, as much or more,
//! exits that come late or never, crashes between any two steps, events that are told twice. Whatever happened, each
//! fare is captured once or owed once, no hold stays, and the books sum to zero.
//!
//! Riders of one world share a store, a clock and an acquirer, so that a crash cuts all of them off at once.
//! `FACEGATE_SEED` repeats a run; without it the seed is drawn, and printed by a failure.

mod acquirer;
mod drawn;

use std::sync::Arc;
use std::time::Duration;

use facegate_cloud_sync::charging::acquirer::{Acquirer, Acquirers};
use facegate_cloud_sync::charging::{ChargingPolicy, Scheduler};
use facegate_cloud_sync::journeys::{SettlingPolicy, settle_all};
use facegate_cloud_sync::store::sled::SledStore;
use facegate_cloud_sync::store::{ChargeStore, Profile, Store};
use facegate_cloud_sync::tariffs::Tariffs;
use facegate_domain::billing::{BillingPolicy, Bills, Prepayment};
use facegate_domain::charge::{AcquirerName, AcquirerToken, Change, Charge, ChargeId, Instrument, RetryPolicy, State};
use facegate_domain::fares::{FareTable, Tariff};
use facegate_domain::ids::{GateId, RiderId};
use facegate_domain::journey::PairingPolicy;
use facegate_domain::ledger::{Account, Entry, EntryId};
use facegate_domain::money::Money;
use facegate_domain::tap::{Direction, GateRecord};
use facegate_domain::travel_day::TravelDays;
use facegate_domain::{Clock, Timestamp};
use facegate_runtime::clock::ManualClock;
use facegate_runtime::keys::FileKeys;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::world::{DAY, Gate, NOW};
use acquirer::Scripted;
use drawn::{Exit, History, Pays, Terms};

/// Of a run: so many worlds of so many riders.
const WORLDS: usize = 16;
const RIDERS: usize = 128;
/// The world's clock moves by this while people ride; after that by days.
const STEP: Duration = Duration::from_secs(300);
const STEPS: u64 = 36;
/// By then every hold has ended, every missing exit is given up, and every retry was made.
const DAYS: u32 = 45;
/// Passes in one step: a crash takes one.
const PASSES_MAX: usize = 60;

/// Between the stations 3, 4 and 4 yuan; a missing exit costs 9.
fn tariff() -> Tariff {
    let table = crate::trial::fares(&["north", "south", "west"], &[5_000, 7_000]);
    Tariff::new(vec![Arc::new(FareTable::parse(&table).unwrap())]).unwrap()
}

fn cny(minor: i64) -> Money {
    Money::from_minor(minor, "CNY".parse().unwrap())
}

/// One rider of a world.
struct Rider {
    id: RiderId,
    history: History,
    entry: Vec<GateRecord>,
    exit: Vec<GateRecord>,
}

struct World {
    dir: tempfile::TempDir,
    /// None while it is opened anew.
    open: Option<Arc<dyn Store>>,
    clock: Arc<ManualClock>,
    acquirer: Arc<Scripted>,
    billing: BillingPolicy,
    riders: Vec<Rider>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_a_hold_its_fare_is_captured_once_or_owed_once() {
    let seed = std::env::var("FACEGATE_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("FACEGATE_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&u64::to_le_bytes(seed));
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let mut ends = std::collections::BTreeMap::new();
    for number in 0..WORLDS {
        let terms = drawn::terms().new_tree(&mut runner).unwrap().current();
        let histories = proptest::collection::vec(drawn::history(), RIDERS).new_tree(&mut runner).unwrap().current();
        println!("world {number}: {terms:?}");
        let mut world = World::new(&terms, histories).await;
        world.live().await;
        for rider in &world.riders {
            *ends.entry(world.judge(rider).await).or_insert(0) += 1;
        }
        assert!(world.store().is_balanced().await.unwrap());
        world.acquirer.judge();
    }
    println!("{ends:?}");
    // That every end is reached shows that the histories are as manifold as they are meant to be.
    for end in ["captured", "voided", "refused", "debt", "none"] {
        assert!(ends.contains_key(end), "no hold came to the end {end:?}: {ends:?}");
    }
}

impl World {
    async fn new(terms: &Terms, histories: Vec<History>) -> Self {
        // Nothing here needs to outlive the machine: where there is a folder in memory, it is faster by far.
        let memory = std::path::Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let store = open(dir.path()).await;
        let prepaid = Some(Prepayment { hold_for: terms.hold_for, at_most_minor: terms.at_most_minor });
        let days = TravelDays::new("+08:00", "04:30").unwrap();
        let billing = BillingPolicy { bills: Bills::PerDay, prepaid, ..BillingPolicy::per_trip(days) };
        let clock = Arc::new(ManualClock::at(NOW));
        let acquirer = Arc::new(Scripted::default());
        let mut riders = Vec::new();
        for (number, history) in histories.into_iter().enumerate() {
            riders.push(admit(&*store, &acquirer, number, history).await);
        }
        Self { dir, open: Some(store), clock, acquirer, billing, riders }
    }

    fn store(&self) -> &Arc<dyn Store> {
        self.open.as_ref().unwrap()
    }

    fn scheduler(&self) -> Scheduler {
        let retry = RetryPolicy { first: Duration::from_secs(1), max: Duration::from_secs(60) };
        let policy = ChargingPolicy { retry, billing: self.billing.clone(), ..ChargingPolicy::default() };
        let acquirers = Acquirers::only(Arc::clone(&self.acquirer) as Arc<dyn Acquirer>);
        let (store, clock) = (Arc::clone(self.store()), Arc::clone(&self.clock) as Arc<dyn Clock>);
        Scheduler::new(store, acquirers, clock, policy).prepaying(Tariffs::new(Arc::new(tariff())))
    }

    /// From the first entry until nothing can happen any more.
    async fn live(&mut self) {
        for step in 0..STEPS {
            self.deliver(STEP).await;
            self.tell_again(step).await;
            self.settle().await;
            self.charge().await;
            if step == STEPS / 2 {
                self.reopen().await;
            }
            self.clock.advance(STEP);
        }
        self.acquirer.be_good();
        for _ in 0..DAYS {
            self.deliver(DAY).await;
            self.settle().await;
            self.charge().await;
            self.clock.advance(DAY);
        }
    }

    /// What has come by now: records in one batch, of some twice.
    async fn deliver(&self, since: Duration) {
        let now = self.clock.now();
        let comes = |at: Timestamp| at <= now && at > now.minus(since);
        let mut batch = Vec::new();
        for rider in &self.riders {
            let (into, out) = rider.history.arrive();
            for (at, records) in [(Some(into), &rider.entry), (out, &rider.exit)] {
                let times = usize::from(at.is_some_and(comes)) * if rider.history.twice { 2 } else { 1 };
                (0..times).for_each(|_| batch.extend(records.iter().cloned()));
            }
        }
        if !batch.is_empty() {
            self.store().record_taps(batch, now).await.unwrap();
        }
    }

    /// An event of the acquirer's about a hold, with nothing new in it.
    async fn tell_again(&self, step: u64) {
        for rider in self.riders.iter().filter(|rider| rider.history.told_at.contains(&step)) {
            if self.store().charge(hold_of(rider)).await.unwrap().is_none() {
                continue;
            }
            for _ in 0..2 {
                self.store().hurry_charge(hold_of(rider), self.clock.now()).await.unwrap();
            }
        }
    }

    async fn settle(&self) {
        let policy = SettlingPolicy {
            pairing: PairingPolicy::default(),
            settle_after: Duration::from_secs(60),
            give_up_after: DAY,
            ride_expected_max: DAY,
            wait_for_stations: DAY,
            billing: self.billing.clone(),
        };
        settle_all(&**self.store(), &tariff(), self.clock.now(), &policy).await.unwrap();
    }

    /// Passes until one is not cut off by a crash; each begins as a new process would.
    async fn charge(&self) {
        for _ in 0..PASSES_MAX {
            let scheduler = self.scheduler();
            tokio::select! {
                biased;
                () = self.acquirer.crashed() => {}
                passed = scheduler.pass() => {
                    passed.unwrap();
                    return;
                }
            }
            self.clock.advance(Duration::from_secs(1));
        }
    }

    async fn reopen(&mut self) {
        let gone = self.open.take().map(|store| Arc::downgrade(&store)).unwrap();
        while gone.strong_count() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.open = Some(open(self.dir.path()).await);
    }

    /// What came of the rider's hold, once everything about him was found to be as it should.
    async fn judge(&self, rider: &Rider) -> &'static str {
        let (store, id) = (self.store(), rider.id);
        let told = format!("{:?}", rider.history);
        let charges = store.charges_since(id, Timestamp::from_unix_ms(0)).await.unwrap();
        let sum = |of: &dyn Fn(&Charge) -> bool| -> i64 {
            charges.iter().filter(|charge| of(charge)).map(|charge| charge.amount().minor()).sum()
        };
        let captured = sum(&|charge| *charge.state() == State::Captured);
        let owed = sum(&Charge::is_owed);
        assert!(charges.iter().all(|charge| charge.is_finished() || charge.is_owed()), "{told}: {charges:#?}");

        let trips = store.trips(id).await.unwrap();
        let items: Vec<_> = trips.iter().flat_map(|trip| &trip.items).collect();
        let billed: i64 = items.iter().map(|billed| billed.item.amount().minor()).sum();
        let ever: i64 = items.iter().map(|billed| billed.item.amount().minor().max(0)).sum();
        assert!(items.iter().all(|billed| billed.charge.is_some()), "{told}: something was never charged: {items:#?}");
        let stands = trips.iter().filter(|trip| trip.priced.superseded.is_none());
        let standing: i64 = stands.filter_map(|trip| trip.priced.fare()).map(|fare| fare.total().minor()).sum();
        assert_eq!(billed, standing, "{told}: the items come to the fares: {trips:#?}");
        let credit = store.credit(id, cny(0).currency()).await.unwrap().map_or(0, |credit| credit.amount.minor());
        assert_eq!(captured + owed - credit, billed, "{told}: captured once or owed once: {charges:#?}");
        assert!(captured <= ever, "{told}: more was captured than ever priced: {charges:#?}");
        let balance = async |account| store.balance(account, cny(0).currency()).await.unwrap().minor();
        assert_eq!(balance(Account::RiderReceivable(id)).await, owed - credit, "{told}");

        if rider.history.pays == Pays::Wallet {
            assert_eq!(balance(Account::WalletHeld(id)).await, 0, "{told}: something is held for nobody");
            assert_eq!(-balance(Account::Wallet(id)).await, rider.history.funds - captured, "{told}");
        } else {
            assert_eq!(self.acquirer.captured_of(rider.number()), captured, "{told}: the acquirer says otherwise");
        }
        store.charge(hold_of(rider)).await.unwrap().map_or("none", |hold| {
            let name = hold.state().name();
            assert!(matches!(name, "captured" | "voided" | "refused" | "debt"), "{told}: {hold:?}");
            name
        })
    }
}

impl Rider {
    /// His place among the riders of the world.
    fn number(&self) -> usize {
        usize::from(u16::from_be_bytes([self.id.as_bytes()[0], self.id.as_bytes()[1]]))
    }
}

fn hold_of(rider: &Rider) -> ChargeId {
    ChargeId::of_hold(&rider.entry[0].id)
}

async fn admit(store: &dyn Store, acquirer: &Scripted, number: usize, history: History) -> Rider {
    let mut bytes = [9; 16];
    bytes[..2].copy_from_slice(&u16::try_from(number).unwrap().to_be_bytes());
    let id = RiderId::from_bytes(bytes);
    store.create_rider(id, Profile { display_name: "Nemo".into() }, NOW).await.unwrap();
    let instruments: Vec<Instrument> = match history.pays {
        Pays::Wallet => vec![Instrument::Wallet],
        Pays::Cards(cards) => (0..cards).map(|card| acquirer_card(number, card)).collect(),
    };
    for instrument in instruments {
        store.change_instruments(id, Some(Change::Add(instrument.into())), Vec::new(), NOW).await.unwrap();
    }
    if history.pays == Pays::Wallet && history.funds > 0 {
        let funds = Entry::transfer(
            EntryId::of("top-up", id),
            NOW,
            cny(history.funds),
            Account::Wallet(id),
            Account::BoothCash,
        );
        store.change_instruments(id, None, vec![funds.unwrap()], NOW).await.unwrap();
    }
    acquirer.script(number, history.contacts.clone());
    let passes = |station: &str, direction: Direction, at: Timestamp| {
        let mut gate = Gate::new(station, direction);
        gate.gate = GateId::new(format!("{}-{number}", direction.name())).unwrap();
        gate.passed(id, at).to_vec()
    };
    let entry = passes("north", Direction::Entry, history.entered());
    let exit = match &history.exit {
        Exit::Never => Vec::new(),
        Exit::At { station, .. } => passes(station, Direction::Exit, history.left().unwrap()),
    };
    Rider { id, history, entry, exit }
}

fn acquirer_card(number: usize, card: usize) -> Instrument {
    let token = AcquirerToken::new(format!("{number}-{card}")).unwrap();
    Instrument::Acquirer { acquirer: AcquirerName::default(), token }
}

async fn open(dir: &std::path::Path) -> Arc<dyn Store> {
    let keys = FileKeys::open(&dir.join("keys")).unwrap();
    // The one that was open before lets go of its lock in its own time.
    for _ in 0..200 {
        if let Ok(store) = SledStore::open(&dir.join("store"), &keys, 100) {
            store.want_holds(true);
            return Arc::new(store);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the store does not open");
}
