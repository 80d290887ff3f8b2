//! One gate with everything around it: CA, station, aisle, camera folder, and a clock that is the system's.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use facegate_domain::code::{CodeIssuer, Phone};
use facegate_domain::ids::RiderId;
use facegate_domain::tap::{Authorisation, GateRecord, Passage, RecordBody};
use facegate_domain::{Clock, Timestamp};
use facegate_gate_agent::actuator::Actuator;
use facegate_gate_agent::actuator::simulated::SimulatedActuator;
use facegate_gate_agent::camera;
use facegate_gate_agent::config::{ActuatorConfig, Config, Duty, RawConfig};
use facegate_gate_agent::memory::Memory;
use facegate_gate_agent::station::grpc::GrpcStation;
use facegate_gate_agent::{Effects, run};
use facegate_models::FaceEngine;
use facegate_runtime::clock::{Stopwatch, SystemClock};
use facegate_runtime::disk::RealDisk;
use facegate_runtime::grpc::{ChannelOptions, channel, wire};
use facegate_runtime::identity::ca::{CA_VALIDITY, CertificateAuthority, DEVICE_VALIDITY};
use facegate_runtime::identity::{DeviceIdentity, PeerIdentity, Role, TlsPaths};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::aisle::Aisle;
use crate::people::engine;
use crate::station::FakeStation;

const PATIENCE: Duration = Duration::from_secs(60);

pub struct World {
    dir: TempDir,
    pub station: FakeStation,
    pub aisle: Aisle,
    pub issuer: CodeIssuer,
    config: String,
    engine: Arc<FaceEngine>,
    pub screen: u16,
    gate: Option<(Runtime, CancellationToken)>,
    frames: u64,
}

impl World {
    /// A running gate, registered and ready.
    pub fn new() -> Self {
        Self::with("")
    }

    /// With more configuration at the end of the file.
    pub fn with(more: &str) -> Self {
        Self::with_engine(engine(), more)
    }

    /// With an engine of its own.
    pub fn with_engine(engine: Arc<FaceEngine>, more: &str) -> Self {
        let mut world = Self::build("gate", engine, None, more);
        world.start_gate();
        world.wait("it is ready", |state| state["phase"] == "idle" && state["station_reachable"] == true);
        world
    }

    /// With another camera than the folder: what stands below `[camera]`.
    pub fn with_camera(engine: Arc<FaceEngine>, camera: &str) -> Self {
        let mut world = Self::build("gate", engine, Some(camera), "");
        world.start_gate();
        world.wait("it is ready", |state| state["phase"] == "idle" && state["station_reachable"] == true);
        world
    }

    /// Where the gate keeps all that it keeps.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A running entrance camera.
    pub fn entrance_camera(engine: Arc<FaceEngine>) -> Self {
        let mut world = Self::build("camera", engine, None, "");
        world.start_gate();
        world
    }

    fn build(role: &str, engine: Arc<FaceEngine>, camera: Option<&str>, more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let (frames, data) = (root.join("frames"), root.join("data"));
        std::fs::create_dir_all(&frames).unwrap();
        let ca = CertificateAuthority::create("Test operator", CA_VALIDITY, &SystemClock::new()).unwrap();
        let station_tls = identity(&ca, Role::Station, "north", root);
        let gate_role = if role == "gate" { Role::Gate } else { Role::Camera };
        let tls = identity(&ca, gate_role, "north-in-1", root);
        let issuer = CodeIssuer::from_secret(&[7; 32]);
        let station = FakeStation::start(DeviceIdentity::load(&station_tls).unwrap(), issuer.public().to_bytes());
        let aisle = Aisle::start(&data.join("journal"), &root.join("copies"));
        let screen = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut config = format!(
            "role = \"{role}\"\nmode = \"development\"\nid = \"north-in-1\"\nmodels_dir = \"unused\"\ndata_dir = {data:?}\n"
        );
        if role == "gate" {
            config += &format!(
                "direction = \"entry\"\n[actuator]\nkind = \"simulated\"\naddress = \"{}\"\n[screen]\nlisten = \"127.0.0.1:{screen}\"\n",
                aisle.address
            );
        }
        let folder = format!("kind = \"folder\"\nfolder = {frames:?}\nidentical_frames = \"accept\"\n");
        let camera = camera.unwrap_or(&folder);
        config += &format!(
            "[tls]\ncert = {:?}\nkey = {:?}\nca = {:?}\n[station]\naddress = \"127.0.0.1:{}\"\nidentify_deadline_ms = 5000\n\
             code_deadline_ms = 5000\n[camera]\n{camera}\
             [approach]\napproach_gap_ms = 2500\nframes_max = 9\n[recognition.liveness]\nframes_min = 3\n{more}\n",
            tls.cert, tls.key, tls.ca, station.port
        );
        Self { dir, station, aisle, issuer, config, engine, screen, gate: None, frames: 0 }
    }

    pub fn start_gate(&mut self) {
        let config: Config =
            facegate_runtime::config::parse::<RawConfig, Config>(Path::new("gate.toml"), &self.config).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let engine = Arc::clone(&self.engine);
        let (started, ready) = std::sync::mpsc::channel();
        runtime.spawn(async move {
            let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
            let identity = DeviceIdentity::load(&config.tls).unwrap();
            let channel = channel(&identity, &config.station_uri, Role::Station, ChannelOptions::default()).unwrap();
            let station = Arc::new(GrpcStation::new(wire(channel), config.deadlines));
            let camera = camera::open(&config.camera, 10_000_000, &clock);
            let actuator = match &config.duty {
                Duty::Gate(duty) => {
                    let ActuatorConfig::Simulated(address) = duty.actuator else { panic!("these tests simulate it") };
                    Some(Box::new(SimulatedActuator::connect(address)) as Box<dyn Actuator>)
                }
                Duty::Camera => None,
            };
            started.send(()).unwrap();
            run(config, Effects { clock, engine }, camera, station, actuator, stop).await.unwrap();
        });
        ready.recv().unwrap();
        self.gate = Some((runtime, shutdown));
    }

    /// Ends the gate between two instructions, as a power cut would.
    pub fn crash_gate(&mut self) {
        let (runtime, _) = self.gate.take().expect("it runs");
        // The looking thread cannot be killed; it holds no journal and ends when it finds nobody to tell.
        runtime.shutdown_timeout(Duration::from_secs(5));
        // The database lets go of its lock a little later; a process that dies does so at once.
        let Ok(lock) = std::fs::File::open(self.dir.path().join("data/memory/db")) else { return };
        let watch = Stopwatch::start();
        while lock.try_lock().is_err() {
            assert!(watch.elapsed() < PATIENCE, "the database of the dead gate stays locked");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The disk is replaced by an empty one.
    pub fn lose_journal(&self) {
        assert!(self.gate.is_none());
        std::fs::remove_dir_all(self.dir.path().join("data")).unwrap();
    }

    /// When the gate, which does not run, is to have heard of its station last.
    pub fn set_last_contact(&self, at: Timestamp) {
        assert!(self.gate.is_none());
        let memory = Memory::open(&RealDisk, &self.dir.path().join("data/memory")).unwrap();
        Runtime::new().unwrap().block_on(memory.contacted(at)).unwrap();
    }

    /// Shows frames one after the other, each when the one before has been looked at.
    pub fn show(&mut self, frames: &[Vec<u8>]) {
        for frame in frames {
            let before = self.looked_at();
            self.put(frame);
            let watch = Stopwatch::start();
            while self.looked_at() == before {
                assert!(watch.elapsed() < PATIENCE, "a frame is not looked at: {}", self.state());
                thread::sleep(Duration::from_millis(5));
            }
        }
    }

    /// Shows frames as fast as they can be written.
    pub fn put(&mut self, frame: &[u8]) {
        self.frames += 1;
        let hidden = self.dir.path().join("frame.part");
        std::fs::write(&hidden, frame).unwrap();
        let name = format!("{:06}.jpg", self.frames);
        std::fs::rename(hidden, self.dir.path().join("frames").join(name)).unwrap();
    }

    fn looked_at(&self) -> u64 {
        let frames = &self.state()["frames"];
        ["bad", "not_looked_at", "no_face", "poor", "usable"].iter().map(|fate| frames[fate].as_u64().unwrap()).sum()
    }

    /// Long enough for an approach to end.
    pub fn pause(&self) {
        thread::sleep(Duration::from_millis(2700));
    }

    pub fn state(&self) -> Value {
        serde_json::from_str(&self.get("/state.json", "127.0.0.1").1).unwrap()
    }

    /// Status line and body of a page of the gate's screen.
    pub fn get(&self, path: &str, host: &str) -> (String, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.screen)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    }

    /// Polls the screen until `done`; before the screen is up it counts as not done.
    pub fn wait(&self, what: &str, done: impl Fn(&Value) -> bool) -> Value {
        let watch = Stopwatch::start();
        loop {
            let up = TcpStream::connect(("127.0.0.1", self.screen)).is_ok();
            let state = if up { self.state() } else { Value::Null };
            if done(&state) {
                return state;
            }
            assert!(watch.elapsed() < PATIENCE, "waited in vain until {what}: {state:#}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The decision with this number, when it is made.
    pub fn decision(&self, number: u64) -> Value {
        let state = self.wait("a decision is made", |state| state["decided"].as_u64() >= Some(number));
        let decisions = state["decisions"].as_array().unwrap();
        decisions.iter().find(|d| d["number"] == number).cloned().unwrap()
    }

    pub fn wait_delivered(&self, records: usize) -> Vec<GateRecord> {
        self.wait("everything is delivered", |state| {
            state["backlog"] == 0 && state["next_sequence"].as_u64() == Some(records as u64)
        });
        self.station.records()
    }

    /// The journal as the aisle saw it at the moment of a command.
    pub fn journal_copy(&self, name: &str) -> PathBuf {
        self.dir.path().join("copies").join(name)
    }

    pub fn phone(&self, rider: RiderId) -> Phone {
        let hour = Duration::from_secs(3600);
        let key = Phone::public_key(&[9; 32]);
        let certificate = self.issuer.issue(rider, &key, [1; 8], now(), hour).unwrap();
        Phone::new(&[9; 32], certificate)
    }
}

pub fn now() -> Timestamp {
    SystemClock::new().now()
}

pub fn identity(ca: &CertificateAuthority, role: Role, id: &str, dir: &Path) -> TlsPaths {
    let device = PeerIdentity::new(role, id).unwrap();
    let issued = ca.issue(&device, &[], DEVICE_VALIDITY, &SystemClock::new()).unwrap();
    issued.save(&dir.join("identity"), id).unwrap()
}

pub fn authorisations(records: &[GateRecord]) -> Vec<Authorisation> {
    let of = |record: &GateRecord| match &record.body {
        RecordBody::Authorisation(authorisation) => Some(authorisation.clone()),
        RecordBody::Passage(_) | RecordBody::GateOpened(_) => None,
    };
    records.iter().filter_map(of).collect()
}

pub fn passages(records: &[GateRecord]) -> Vec<Passage> {
    let of = |record: &GateRecord| match record.body {
        RecordBody::Passage(passage) => Some(passage),
        RecordBody::Authorisation(_) | RecordBody::GateOpened(_) => None,
    };
    records.iter().filter_map(of).collect()
}
