//! Two whole clouds before one PostgreSQL, and stations that know both addresses. Either is stopped dead again and again.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use facegate_cloud_sync::config::Config;
use facegate_cloud_sync::server::Server;
use facegate_cloud_sync::store::{ChargeStore, FeedStore, LedgerStore, OverviewStore, RiderStore};
use facegate_domain::Clock;
use facegate_domain::charge::Instrument;
use facegate_domain::ids::{GateId, RiderId};
use facegate_domain::ledger::Account;
use facegate_domain::tap::GateRecord;
use facegate_proto::v1;
use facegate_proto::v1::sync_service_client::SyncServiceClient;
use facegate_runtime::clock::{ManualClock, SystemClock};
use facegate_runtime::grpc::{ChannelOptions, channel_to_any};
use facegate_runtime::identity::ca::CertificateAuthority;
use facegate_runtime::identity::{DeviceIdentity, PeerIdentity, Role, TlsPaths};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use crate::charges::top_up;
use crate::places::{Backend, KEPT, Place};
use crate::trial::{NoFaces, TrialCloud};
use crate::world::{Gate, NOW, after, fares, fares_text};

const RIDERS: usize = 60;

/// A server with an async runtime of its own, which can be dropped under it: no task of it runs on, no call ends.
struct Replica {
    runtime: Option<Runtime>,
    address: SocketAddr,
}

impl Replica {
    fn start(place: &Place, clock: &Arc<ManualClock>, listen: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let faces = Arc::new(NoFaces::of("text").unwrap());
        let bound = Server::bind(trial_config(place, listen), Arc::clone(clock) as Arc<dyn Clock>, faces, None);
        let server = runtime.block_on(bound).unwrap();
        let address = server.address().unwrap();
        runtime.spawn(async move { server.serve(CancellationToken::new()).await.unwrap() });
        Self { runtime: Some(runtime), address }
    }

    fn kill(&mut self) {
        self.runtime.take().unwrap().shutdown_timeout(Duration::from_secs(20));
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn trial_config(place: &Place, listen: SocketAddr) -> Config {
    let dir = place.dir.path();
    let tls = |file: &str| dir.join("tls").join(file);
    let tls = TlsPaths { cert: tls("cloud-main.pem"), key: tls("cloud-main-key.pem"), ca: tls("ca.pem"), crl: None };
    // Every replica has a register of its own, as on a machine of its own.
    let register = dir.join(format!("erasures-{}", uuid::Uuid::new_v4()));
    let more = format!(
        "erasures_dir = \"{}\"\n[journeys]\nsettle_after_ms = 1000\n[charging]\npass_every_ms = 50\nbills = \"trip\"\nverify_minor = 0\n",
        register.display()
    );
    let (listen, postgres) = (listen.to_string(), place.url.as_deref());
    TrialCloud { listen, postgres, more, ..TrialCloud::new(dir, tls) }.config(&fares_text()).unwrap()
}

struct Line {
    ca: CertificateAuthority,
    dir: std::path::PathBuf,
    uris: Vec<String>,
}

impl Line {
    fn issue(&self, role: Role, id: &str) -> DeviceIdentity {
        let device = PeerIdentity::new(role, id).unwrap();
        let issued = self.ca.issue(&device, &[], Duration::from_secs(3600), &SystemClock::new()).unwrap();
        DeviceIdentity::load(&issued.save(&self.dir.join("tls"), &format!("{role}-{id}")).unwrap()).unwrap()
    }

    /// One that goes over to the other replica by itself.
    fn station(&self, id: &str) -> SyncServiceClient<Channel> {
        let identity = self.issue(Role::Station, id);
        let options = ChannelOptions { request_timeout: Duration::from_secs(30), ..ChannelOptions::default() };
        SyncServiceClient::new(channel_to_any(&identity, &self.uris, Role::Cloud, options).unwrap())
    }
}

/// Delivers until it is acknowledged, as a station does.
async fn deliver(mut cloud: SyncServiceClient<Channel>, batches: Vec<Vec<GateRecord>>) {
    for batch in batches {
        let wire: Vec<v1::GateRecord> = batch.into_iter().map(Into::into).collect();
        while cloud.deliver(v1::DeliverRequest { records: wire.clone(), ..Default::default() }).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
}

/// Follows the feed until `done` and the head is reached; gives every version that was told, in its order.
async fn follow(
    mut cloud: SyncServiceClient<Channel>,
    done: Arc<AtomicBool>,
    last: Arc<dyn Fn() -> u64 + Send + Sync>,
) -> Vec<u64> {
    let mut seen: Vec<u64> = Vec::new();
    loop {
        let after_version = seen.last().copied().unwrap_or(0);
        let request = v1::SubscribeRequest { after_version, ..Default::default() };
        if let Ok(stream) = cloud.subscribe(request).await {
            let mut stream = stream.into_inner();
            loop {
                match tokio::time::timeout(Duration::from_millis(300), stream.message()).await {
                    Ok(Ok(Some(change))) => seen.push(change.version),
                    Ok(_) => break,
                    Err(_) if done.load(Ordering::SeqCst) && seen.last().copied().unwrap_or(0) >= last() => {
                        return seen;
                    }
                    Err(_) => {}
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Each rider goes in and out once; one batch per tap, by gates of two stations.
fn rides(riders: &[RiderId]) -> [Vec<Vec<GateRecord>>; 2] {
    let (mut entry, mut exit) = (Gate::entry("north"), Gate::exit("south"));
    entry.gate = GateId::new("north-in").unwrap();
    let (mut ins, mut outs) = (Vec::new(), Vec::new());
    for (n, rider) in riders.iter().enumerate() {
        ins.push(entry.passed(*rider, after(n as u64)).to_vec());
        outs.push(exit.passed(*rider, after(600 + n as u64)).to_vec());
    }
    [ins, outs]
}

#[test]
fn either_of_two_clouds_may_be_killed_at_any_time_and_nothing_is_lost_or_doubled() {
    let world = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let _inside = world.enter();
    let place = world.block_on(Place::new(Backend::Postgres));
    let ca = CertificateAuthority::create("test", Duration::from_secs(3600), &SystemClock::new()).unwrap();
    let mut line = Line { ca, dir: place.dir.path().to_owned(), uris: Vec::new() };
    line.issue(Role::Cloud, "main");
    let clock = Arc::new(ManualClock::at(NOW));
    let free: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let mut replicas = [Replica::start(&place, &clock, free), Replica::start(&place, &clock, free)];
    line.uris = replicas.iter().map(|replica| format!("https://{}", replica.address)).collect();

    let store = Arc::new(world.block_on(place.open_postgres(KEPT)));
    let riders: Vec<RiderId> = world.block_on(async {
        let mut riders = Vec::new();
        for n in 0..RIDERS {
            let rider = crate::world::rider(&*store).await;
            top_up(&*store, rider, 10_000, &n.to_string()).await;
            riders.push(rider);
        }
        riders
    });
    let done = Arc::new(AtomicBool::new(false));
    let head = store.head();
    let last: Arc<dyn Fn() -> u64 + Send + Sync> = Arc::new(move || *head.borrow());
    let followers: Vec<_> = ["north", "south", "west"]
        .map(|id| world.spawn(follow(line.station(id), Arc::clone(&done), Arc::clone(&last))))
        .into();
    let [ins, outs] = rides(&riders);
    let deliveries = [
        world.spawn(deliver(line.station("north"), ins.clone())),
        world.spawn(deliver(line.station("south"), outs)),
        // A station that had no answer sends all of it again, to whichever replica.
        world.spawn(deliver(line.station("north"), ins)),
    ];
    let mut turn = 0;
    while !deliveries.iter().all(tokio::task::JoinHandle::is_finished) {
        std::thread::sleep(Duration::from_millis(400));
        clock.advance(Duration::from_secs(60));
        let replica = &mut replicas[turn % 2];
        replica.kill();
        std::thread::sleep(Duration::from_millis(100));
        *replica = Replica::start(&place, &clock, replica.address);
        turn += 1;
    }
    assert!(turn >= 2, "both were killed");
    world.block_on(async {
        for delivery in deliveries {
            delivery.await.unwrap();
        }
        everything_is_charged_once(&store, &clock).await;
        done.store(true, Ordering::SeqCst);
        for follower in followers {
            let seen = follower.await.unwrap();
            let told = store.changes_after(0, 100_000).await.unwrap().unwrap().0;
            let told: BTreeSet<u64> = told.into_iter().map(|change| change.version).collect();
            assert!(seen.is_sorted_by(|a, b| a < b), "in order, none twice");
            assert_eq!(seen.into_iter().collect::<BTreeSet<u64>>(), told, "every change is told");
        }
    });
    drop(replicas);
    drop(store);
    world.block_on(place.remove());
}

async fn everything_is_charged_once(store: &Arc<facegate_cloud_sync::store::postgres::PgStore>, clock: &ManualClock) {
    let captured = |overview: &facegate_cloud_sync::store::Overview| {
        overview.charges.iter().find(|charges| charges.state == "captured").map_or(0, |charges| charges.count)
    };
    let mut overview = store.overview().await.unwrap();
    for _ in 0..1500 {
        if captured(&overview) >= RIDERS as u64 {
            break;
        }
        // What a killed replica held, another takes over when its turn is over.
        clock.advance(Duration::from_secs(1));
        tokio::time::sleep(Duration::from_millis(20)).await;
        overview = store.overview().await.unwrap();
    }
    let counted = (overview.taps, overview.journeys, captured(&overview), overview.conflicts);
    assert_eq!(counted, (2 * RIDERS as u64, RIDERS as u64, RIDERS as u64, 0));
    assert!(overview.gaps.is_empty() && overview.ledger_balanced && overview.in_system == 0);
    let revenue = store.balance(Account::OperatorRevenue, fares().currency()).await.unwrap();
    assert_eq!(revenue.minor(), -400 * i64::try_from(RIDERS).unwrap());
    assert!(store.due_charges(clock.now(), 10).await.unwrap().is_empty());
    let account = store.account(store.riders(None, 1).await.unwrap()[0].id).await.unwrap();
    assert_eq!(account, Some(Instrument::Wallet));
}
