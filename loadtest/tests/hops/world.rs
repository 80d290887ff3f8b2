//! The three hops. Each can be stopped, have its disk tampered with, and start again at the same address.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use facegate_cloud_sync::cloud::Cloud;
use facegate_cloud_sync::enrolment::FaceCapture;
use facegate_domain::Clock;
use facegate_domain::ids::{GateId, ModelId, RiderId};
use facegate_domain::tap::{Authorisation, Direction, Evidence, PassageOutcome, Remarks};
use facegate_gate_agent::board::{Board, Who};
use facegate_gate_agent::config::{Mode, Role as Duty};
use facegate_gate_agent::delivery::deliver;
use facegate_gate_agent::journal::{GateJournal, JournalPlace};
use facegate_gate_agent::link::Link;
use facegate_gate_agent::memory::Memory;
use facegate_gate_agent::station::Station as StationClient;
use facegate_gate_agent::station::grpc::{Deadlines, GrpcStation};
use facegate_models::enrolment::{Capture, CaptureProblem};
use facegate_runtime::clock::{ManualClock, SystemClock};
use facegate_runtime::config;
use facegate_runtime::disk::RealDisk;
use facegate_runtime::grpc::{ChannelOptions, channel, wire};
use facegate_runtime::identity::ca::{CA_VALIDITY, CertificateAuthority, DEVICE_VALIDITY};
use facegate_runtime::identity::{DeviceIdentity, PeerIdentity, Role};
use facegate_runtime::journal::JournalOptions;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const FARES: &str = "name = \"test\"\nvalid_from = \"2020-01-01T00:00:00+08:00\"\ncurrency = \"CNY\"\n\
maximum_fare_minor = 900\n[[station]]\nid = \"north\"\n[[station]]\nid = \"south\"\n[[link]]\nfrom = \"north\"\n\
to = \"south\"\nmetres = 7000\n[[band]]\nfrom_m = 0\nprice_minor = 300\n";

/// Nobody is enrolled here.
#[derive(Debug)]
struct NoFaces(ModelId);

impl FaceCapture for NoFaces {
    fn model(&self) -> &ModelId {
        &self.0
    }

    fn capture(&self, _photograph: &[u8]) -> Result<Capture, CaptureProblem> {
        Err(CaptureProblem::NoFace)
    }
}

/// Folders, certificates and ports that outlive every process.
pub struct World {
    dir: TempDir,
    ca: CertificateAuthority,
    /// How long ago devices got their certificates; they last thirty days.
    pub issued_ago: Duration,
    cloud_port: u16,
    station_port: u16,
    south_port: u16,
}

/// Something that runs until it is stopped.
pub struct Running {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Running {
    pub async fn stop(self) {
        self.stop.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

impl World {
    pub fn new() -> Self {
        let ca = CertificateAuthority::create("Test operator", CA_VALIDITY, &SystemClock::new()).unwrap();
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (dir, issued_ago) = (tempfile::tempdir().unwrap(), Duration::ZERO);
        Self { dir, ca, issued_ago, cloud_port: free(), station_port: free(), south_port: free() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn tls(&self, role: Role, id: &str) -> (String, DeviceIdentity) {
        let device = PeerIdentity::new(role, id).unwrap();
        let then = ManualClock::at(SystemClock::new().now().minus(self.issued_ago));
        let issued = self.ca.issue(&device, &[], DEVICE_VALIDITY, &then).unwrap();
        let paths = issued.save(&self.path("tls"), &format!("{role}-{id}")).unwrap();
        let text = format!("[tls]\ncert = {:?}\nkey = {:?}\nca = {:?}\n", paths.cert, paths.key, paths.ca);
        (text, DeviceIdentity::load(&paths).unwrap())
    }

    pub async fn cloud(&self) -> (Arc<Cloud>, Running) {
        use facegate_cloud_sync::config::{Config, RawConfig};
        std::fs::write(self.path("fares.toml"), FARES).unwrap();
        let (tls, _) = self.tls(Role::Cloud, "main");
        self.ca.save(&self.path("ca")).unwrap();
        let text = format!(
            "listen = \"127.0.0.1:{}\"\ndata_dir = {:?}\nmodels_dir = \"unused\"\nfares = {:?}\n\
             [journeys]\nsettle_after_ms = 500\n{tls}[ca]\ndir = {:?}\n",
            self.cloud_port,
            self.path("cloud"),
            self.path("fares.toml"),
            self.path("ca")
        );
        let config: Config = config::parse::<RawConfig, Config>(Path::new("cloud.toml"), &text).unwrap();
        let faces = Arc::new(NoFaces(ModelId::new("sface-2021dec").unwrap()));
        let clock = Arc::new(SystemClock::new());
        let server = facegate_cloud_sync::server::Server::bind(config, clock, faces, None).await.unwrap();
        let (cloud, stop) = (Arc::clone(server.cloud()), CancellationToken::new());
        let stopping = stop.clone();
        let task = tokio::spawn(async move { server.serve(stopping).await.unwrap() });
        (cloud, Running { stop, tasks: vec![task] })
    }

    /// Waits until nobody has the store open any more.
    pub async fn stop_cloud(&self, cloud: Arc<Cloud>, running: Running) {
        running.stop().await;
        let store = Arc::downgrade(&cloud.store);
        drop(cloud);
        eventually("the store is closed", async || store.strong_count() == 0).await;
    }

    pub async fn station(&self) -> Running {
        self.station_with("").await.0
    }

    /// With more TOML in its config; where its booth is, if it has one.
    pub async fn station_with(&self, more: &str) -> (Running, Option<SocketAddr>) {
        self.station_of("north", self.station_port, "station", more).await
    }

    /// A second one, with a gate of its own.
    pub async fn south(&self) -> Running {
        self.station_of("south", self.south_port, "south", "").await.0
    }

    async fn station_of(&self, id: &str, port: u16, folder: &str, more: &str) -> (Running, Option<SocketAddr>) {
        use facegate_station_server::config::{Config, RawConfig};
        let (tls, _) = self.tls(Role::Station, id);
        let text = format!(
            "station = \"{id}\"\nlisten = \"127.0.0.1:{port}\"\ncloud = \"https://127.0.0.1:{}\"\ndata_dir = {:?}\n\
             gates = [\"{id}-in\"]\n{more}{tls}",
            self.cloud_port,
            self.path(folder)
        );
        let config: Config = config::parse::<RawConfig, Config>(Path::new("station.toml"), &text).unwrap();
        let mut bound = None;
        // Connections of the one before let go of its files on their own time.
        eventually("the station starts", async || {
            let clock = Arc::new(SystemClock::new());
            let server = facegate_station_server::server::Server::bind(config.clone(), clock, None).await;
            bound = server.inspect_err(|error| eprintln!("{error}")).ok();
            bound.is_some()
        })
        .await;
        let server = bound.unwrap();
        let (stop, booth) = (CancellationToken::new(), server.booth_address());
        let stopping = stop.clone();
        let task = tokio::spawn(async move { server.serve(stopping).await.unwrap() });
        (Running { stop, tasks: vec![task] }, booth)
    }

    /// The gate's journal with its line to the station.
    pub async fn gate(&self) -> (Arc<GateJournal>, Running) {
        let (_, identity) = self.tls(Role::Gate, "north-in");
        let uri = format!("https://127.0.0.1:{}", self.station_port);
        let channel = channel(&identity, &uri, Role::Station, ChannelOptions::default()).unwrap();
        let within = Duration::from_secs(10);
        let deadlines = Deadlines { identify: within, code: within, background: within };
        let station: Arc<dyn StationClient> = Arc::new(GrpcStation::new(wire(channel), deadlines));
        eventually("the gate's memory is free", async || {
            std::fs::create_dir_all(self.path("gate")).unwrap();
            Memory::open(&RealDisk, &self.path("gate/memory")).is_ok()
        })
        .await;
        let (journal, memory, clock) = self.journal();
        let id = GateId::new("north-in").unwrap();
        let direction = Some(Direction::Entry);
        let board = Arc::new(Board::new(Who { id, role: Duty::Gate, mode: Mode::Development, direction }));
        let link = Link {
            station: Arc::clone(&station),
            journal: Some(Arc::clone(&journal)),
            memory,
            board: Arc::clone(&board),
            clock,
            model: ModelId::new("sface-2021dec").unwrap(),
            issuer_keys: watch::Sender::new(Vec::new()),
            told: watch::Sender::default(),
        };
        let stop = CancellationToken::new();
        let tasks = vec![
            tokio::spawn(link.run(stop.clone())),
            tokio::spawn(deliver(Arc::clone(&journal), station, board, stop.clone())),
        ];
        (journal, Running { stop, tasks })
    }

    /// The gate's journal alone.
    pub fn journal(&self) -> (Arc<GateJournal>, Memory, Arc<dyn Clock>) {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        std::fs::create_dir_all(self.path("gate")).unwrap();
        let memory = Memory::open(&RealDisk, &self.path("gate/memory")).unwrap();
        let place = JournalPlace {
            gate: GateId::new("north-in").unwrap(),
            dir: self.path("gate/journal"),
            options: JournalOptions::default(),
            kept: Duration::from_secs(7 * 86_400),
            disk: Arc::new(RealDisk),
            clock: Arc::clone(&clock),
        };
        (Arc::new(GateJournal::open(place, memory.clone()).unwrap()), memory, clock)
    }

    /// A client of a server, by its role's port.
    pub fn channel(&self, role: Role, id: &str, to: Role) -> tonic::transport::Channel {
        self.channel_of(&self.tls(role, id).1, to)
    }

    /// Of a gate of the second station.
    pub fn channel_to_south(&self, gate: &str) -> tonic::transport::Channel {
        let uri = format!("https://127.0.0.1:{}", self.south_port);
        channel(&self.tls(Role::Gate, gate).1, &uri, Role::Station, ChannelOptions::default()).unwrap()
    }

    pub fn channel_of(&self, identity: &DeviceIdentity, to: Role) -> tonic::transport::Channel {
        let port = if to == Role::Cloud { self.cloud_port } else { self.station_port };
        channel(identity, &format!("https://127.0.0.1:{port}"), to, ChannelOptions::default()).unwrap()
    }
}

pub fn authorisation() -> Authorisation {
    let nonce = std::array::from_fn(|i| RiderId::random().as_bytes()[i]);
    by_code(RiderId::random(), nonce)
}

pub fn by_code(rider: RiderId, nonce: [u8; 8]) -> Authorisation {
    let evidence = Evidence::Code { nonce, checked_online: true, face: None };
    Authorisation::new(rider, Direction::Entry, evidence)
}

/// `count` riders pass: two records each.
pub async fn pass(journal: &GateJournal, count: usize) {
    for _ in 0..count {
        let token = journal.authorise(authorisation()).await.unwrap();
        journal.conclude(token, PassageOutcome::Passed, Remarks::default(), None).await.unwrap();
    }
}

/// Waits until `condition` holds; the machine may be slow.
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    for _ in 0..3000 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("did not happen within a minute: {what}");
}
