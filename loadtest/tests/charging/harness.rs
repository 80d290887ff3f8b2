//! One cloud store with riders and journeys, one sandbox acquirer, and a clock that the test moves.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use facegate_cloud_sync::charging::acquirer::sandbox::SandboxAcquirer;
use facegate_cloud_sync::charging::acquirer::{Acquirer, Acquirers};
use facegate_cloud_sync::charging::{ChargingPolicy, Pass, Scheduler};
use facegate_cloud_sync::store::sled::SledStore;
use facegate_cloud_sync::store::{Pricing, Profile, Settlement, Store};
use facegate_cloud_sync::tariffs::Tariffs;
use facegate_domain::billing::{Item, ItemKind, Unbilled};
use facegate_domain::charge::{AcquirerName, AcquirerToken, Instrument, RetryPolicy, State};
use facegate_domain::fares::{Fare, FareTable, Line, Quantity, Rule, Tariff};
use facegate_domain::gate::GateMode;
use facegate_domain::ids::{GateId, RecordId, RiderId, StationId};
use facegate_domain::journey::Journey;
use facegate_domain::ledger::{Account, Entry, EntryId};
use facegate_domain::money::{Currency, Money};
use facegate_domain::tap::{Direction, Medium, Tap};
use facegate_domain::{Clock, Timestamp};
use facegate_loadtest::acquirer::settlement::Terms;
use facegate_loadtest::acquirer::webhooks::{WebhookConfig, Webhooks};
use facegate_loadtest::acquirer::{
    Acquirer as SandboxState, ByToken, Dice, DurableBook, Faults, Statistics, keep_settling, router,
};
use facegate_runtime::clock::{ManualClock, SystemClock};
use facegate_runtime::disk::RealDisk;
use facegate_runtime::http::{ServerTls, serve};
use facegate_runtime::identity::ca::{CA_VALIDITY, CertificateAuthority, DEVICE_VALIDITY};
use facegate_runtime::identity::{DeviceIdentity, PeerIdentity, Role, TlsPaths};
use facegate_runtime::keys::FileKeys;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What every ride here costs, minor units.
pub const FARE: i64 = 400;
/// No station follows the feed here.
const FEED_KEPT: u64 = 100;
/// How long the cloud waits for an answer; late answers come after it.
pub const ANSWER_WITHIN: Duration = Duration::from_millis(700);

pub fn cny(minor: i64) -> Money {
    Money::from_minor(minor, currency())
}

fn currency() -> Currency {
    "CNY".parse().unwrap()
}

/// 3 yuan up to 6 km, 4 yuan beyond; 9 yuan without an exit.
pub fn tariff() -> Tariff {
    let table = facegate_loadtest::trial::fares(&["north", "south", "west"], &[5_000, 7_000]);
    Tariff::new(vec![Arc::new(FareTable::parse(&table).unwrap())]).unwrap()
}

/// The operator's CA and the identities that the tests need.
pub struct Operator {
    ca: CertificateAuthority,
    pub folder: tempfile::TempDir,
}

impl Operator {
    pub fn new() -> Self {
        let ca = CertificateAuthority::create("test", CA_VALIDITY, &SystemClock::new()).unwrap();
        Self { ca, folder: tempfile::tempdir().unwrap() }
    }

    pub fn issue(&self, role: Role) -> TlsPaths {
        let device = PeerIdentity::new(role, "test").unwrap();
        let issued = self.ca.issue(&device, &[], DEVICE_VALIDITY, &SystemClock::new()).unwrap();
        issued.save(&self.folder.path().join("tls"), role.as_str()).unwrap()
    }

    pub fn identity(&self, role: Role) -> DeviceIdentity {
        DeviceIdentity::load(&self.issue(role)).unwrap()
    }
}

/// The sandbox acquirer's server, in this process.
pub struct Sandbox {
    pub address: SocketAddr,
    pub book: DurableBook,
    stop: CancellationToken,
    served: JoinHandle<std::io::Result<()>>,
}

impl Sandbox {
    /// At a free port, or at `address` again.
    pub async fn open(operator: &Operator, address: Option<SocketAddr>) -> Self {
        Self::with(operator, address, Faults::default(), None).await
    }

    /// With these faults, and events to somebody.
    pub async fn with(
        operator: &Operator,
        address: Option<SocketAddr>,
        faults: Faults,
        webhooks: Option<WebhookConfig>,
    ) -> Self {
        let listener = TcpListener::bind(address.unwrap_or("127.0.0.1:0".parse().unwrap())).unwrap();
        let address = listener.local_addr().unwrap();
        let dir = operator.folder.path().join("book");
        let book = open_book(&dir).await;
        let stop = CancellationToken::new();
        let settle_after = Duration::from_millis(300);
        let dice = Arc::new(Dice::new(Faults { late_answer: ANSWER_WITHIN * 2, settle_after, ..faults }));
        let tls = ServerTls::mutual(&operator.identity(Role::Acquirer));
        let clock = Arc::new(SystemClock::new());
        let webhooks = webhooks.map(|webhooks| Arc::new(Webhooks::new(webhooks, clock, Arc::clone(&dice)).unwrap()));
        let state = SandboxState { book: book.clone(), dice, terms: Terms::default(), webhooks };
        tokio::spawn(keep_settling(state.clone(), stop.clone()));
        let served = tokio::spawn(serve(listener, router(state), tls, stop.clone()));
        Self { address, book, stop, served }
    }

    pub async fn close(self) -> SocketAddr {
        self.stop.cancel();
        self.served.await.unwrap().unwrap();
        self.address
    }

    pub async fn statistics(&self) -> Statistics {
        self.book.read().await.statistics()
    }

    pub async fn of_token(&self, token: &str) -> ByToken {
        self.statistics().await.tokens.get(token).copied().unwrap_or_default()
    }
}

/// Answers that are still on their way hold the journal of a sandbox that was closed a moment ago.
async fn open_book(dir: &Path) -> DurableBook {
    for _ in 0..100 {
        match DurableBook::open(Arc::new(RealDisk), dir, Arc::new(SystemClock::new())).await {
            Ok(book) => return book,
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    DurableBook::open(Arc::new(RealDisk), dir, Arc::new(SystemClock::new())).await.unwrap()
}

/// The cloud's part: everything that charging touches.
pub struct Books {
    pub store: Arc<dyn Store>,
    pub clock: Arc<ManualClock>,
    pub policy: ChargingPolicy,
    rides: u64,
}

impl Books {
    pub async fn open(folder: &Path) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_unix_ms(1_795_000_000_000)));
        let retry = RetryPolicy { first: Duration::from_secs(1), max: Duration::from_secs(60) };
        let policy = ChargingPolicy { retry, ..ChargingPolicy::default() };
        Self { store: open_store(folder).await, clock, policy, rides: 0 }
    }

    pub fn scheduler(&self, acquirer: Arc<dyn Acquirer>) -> Scheduler {
        let acquirers = Acquirers::only(acquirer);
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock) as Arc<dyn Clock>);
        let scheduler = Scheduler::new(store, acquirers, clock, self.policy.clone());
        scheduler.prepaying(Tariffs::new(Arc::new(tariff())))
    }

    /// Forgets all that is in memory, as a crash does, and opens the store again.
    pub async fn reopen(self, folder: &Path) -> Self {
        let Self { store, clock, policy, rides } = self;
        drop(store);
        Self { store: open_store(folder).await, clock, policy, rides }
    }

    pub async fn rider(&self, instrument: Option<Instrument>, wallet_minor: i64) -> RiderId {
        let rider = RiderId::random();
        let now = self.clock.now();
        self.store.create_rider(rider, Profile { display_name: "A rider".to_owned() }, now).await.unwrap();
        let top_up = || {
            let id = EntryId::of("top-up", rider);
            Entry::transfer(id, now, cny(wallet_minor), Account::Wallet(rider), Account::BoothCash).unwrap()
        };
        let entries = if wallet_minor > 0 { vec![top_up()] } else { Vec::new() };
        if let Some(instrument) = instrument {
            self.store.bind_account(rider, instrument, entries).await.unwrap();
        }
        rider
    }

    pub async fn rider_with_token(&self, token: &str) -> RiderId {
        self.rider(Some(card(token)), 0).await
    }

    pub async fn top_up(&self, rider: RiderId, minor: i64) {
        let (id, now) = (EntryId::of("top-up", format_args!("{rider}/more")), self.clock.now());
        let entry = Entry::transfer(id, now, cny(minor), Account::Wallet(rider), Account::BoothCash).unwrap();
        self.store.change_instruments(rider, None, vec![entry], now).await.unwrap();
    }

    /// One settled journey.
    pub async fn ride(&mut self, rider: RiderId) {
        let now = self.clock.now();
        let tap = |gate: &str, direction, sequence, at| Tap {
            id: RecordId { gate: GateId::new(gate).unwrap(), epoch: 1, sequence },
            rider,
            station: StationId::new("north").unwrap(),
            direction,
            medium: Medium::Face,
            mode: GateMode::Normal,
            at,
        };
        let began = now.minus(Duration::from_secs(1200));
        let entry = tap("north-in", Direction::Entry, self.rides, began);
        let journey = Journey::new(entry, tap("south-out", Direction::Exit, self.rides, now));
        self.rides += 1;
        let rule = Rule::DistanceBand { from_m: 6_000, up_to_m: None };
        let line = Line { rule, quantity: Quantity::Metres(7_000), amount: cny(FARE) };
        let pricing = Pricing::ours(Fare::new("test", currency(), vec![line]).unwrap());
        let kind = ItemKind::Ride { ride: journey.id };
        let day = self.policy.billing.days.of(now);
        let owing = self.store.uncharged_items_of(rider).await.unwrap();
        let minor = FARE + owing.iter().map(|item| item.amount().minor()).sum::<i64>();
        let unbilled = Unbilled { minor, has_paid: self.store.has_paid(rider).await.unwrap() };
        let bill_at = self.policy.billing.bill_at(day, unbilled, now);
        let item = Item::new(rider, day, cny(FARE), kind, bill_at);
        let seen = self.store.settlements(rider).await.unwrap();
        let rides = vec![(journey.into(), pricing)];
        let settlement = Settlement { rides, items: vec![item], ..Settlement::of(rider, seen) };
        self.store.settle(settlement, now).await.unwrap();
    }

    /// Passes, with time between them for every charge to have rested.
    pub async fn passes(&self, scheduler: &Scheduler, count: usize) -> Vec<Pass> {
        let mut passes = Vec::new();
        for _ in 0..count {
            passes.push(scheduler.pass().await.unwrap());
            self.clock.advance(Duration::from_secs(100));
        }
        passes
    }

    /// The states of the rider's charges, the latest ride first; none for a ride without a charge.
    pub async fn states(&self, rider: RiderId) -> Vec<Option<State>> {
        let trips = self.store.trips(rider).await.unwrap();
        trips.iter().map(|trip| trip.charge().map(|charge| charge.state().clone())).collect()
    }

    /// Why nobody paid, of each of the rider's charges, the latest ride first; none for one that is no debt.
    pub async fn owed_for(&self, rider: RiderId) -> Vec<Option<String>> {
        let states = self.states(rider).await;
        let debt = |state: Option<State>| match state {
            Some(State::Debt { decline, .. }) => Some(decline.reason),
            _ => None,
        };
        states.into_iter().map(debt).collect()
    }

    pub async fn balance(&self, account: Account) -> i64 {
        assert!(self.store.is_balanced().await.unwrap(), "the books balance at any moment");
        self.store.balance(account, currency()).await.unwrap().minor()
    }
}

pub fn card(token: &str) -> Instrument {
    Instrument::Acquirer { acquirer: AcquirerName::default(), token: AcquirerToken::new(token).unwrap() }
}

pub fn client(operator: &Operator, address: SocketAddr) -> Arc<SandboxAcquirer> {
    let identity = operator.identity(Role::Cloud);
    Arc::new(
        SandboxAcquirer::new(AcquirerName::default(), &identity, &format!("https://{address}"), ANSWER_WITHIN).unwrap(),
    )
}

async fn open_store(folder: &Path) -> Arc<dyn Store> {
    let keys = FileKeys::open(&folder.join("keys")).unwrap();
    // The store that was open before lets go of its lock in its own time.
    for _ in 0..100 {
        if let Ok(store) = SledStore::open(&folder.join("store"), &keys, FEED_KEPT) {
            return Arc::new(store);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the store does not open");
}
