//! A test's world: an operator's CA, a cloud, one station, and devices that call it.

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use facegate_domain::Timestamp;
use facegate_proto::v1::station_service_client::StationServiceClient;
use facegate_runtime::clock::{ManualClock, SystemClock};
use facegate_runtime::config;
use facegate_runtime::disk::{Disk, RealDisk};
use facegate_runtime::grpc::{self, ChannelOptions};
use facegate_runtime::identity::ca::{CA_VALIDITY, CertificateAuthority, DEVICE_VALIDITY};
use facegate_runtime::identity::{DeviceIdentity, PeerIdentity, Role, TlsPaths};
use facegate_runtime::kv::KvOptions;
use facegate_runtime::telemetry::Metrics;
use facegate_station_server::config::{Config, RawConfig};
use facegate_station_server::server::Server;
use facegate_station_server::station::Station;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use crate::cloud::Cloud;

/// The station's wall clock at the start of every test; TLS goes by the real one.
pub const NOW: Timestamp = Timestamp::from_unix_ms(1_790_000_000_000);

pub struct World {
    pub cloud: Cloud,
    pub clock: Arc<ManualClock>,
    dir: tempfile::TempDir,
    ca: CertificateAuthority,
}

/// A station that runs until it is stopped or dropped.
pub struct Running {
    pub address: SocketAddr,
    pub metrics_address: Option<SocketAddr>,
    pub booth_address: Option<SocketAddr>,
    pub station: Arc<Station>,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl World {
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ca = CertificateAuthority::create("Test operator", CA_VALIDITY, &SystemClock::new()).unwrap();
        let identity = DeviceIdentity::load(&issue(&ca, dir.path(), Role::Cloud, "c1")).unwrap();
        let cloud = Cloud::start(&identity).await;
        Self { cloud, clock: Arc::new(ManualClock::at(NOW)), dir, ca }
    }

    pub fn identity(&self, role: Role, id: &str) -> DeviceIdentity {
        DeviceIdentity::load(&self.tls(role, id)).unwrap()
    }

    pub fn tls(&self, role: Role, id: &str) -> TlsPaths {
        issue(&self.ca, self.dir.path(), role, id)
    }

    /// Station `north` with gates `north-in` and `north-out` and the camera `north-hall`, as its disk is now.
    pub async fn station(&self) -> Running {
        self.station_with("", None).await
    }

    /// The same with more TOML in its config.
    pub async fn station_with(&self, more: &str, metrics: Option<Metrics>) -> Running {
        let running = self.station_as_it_starts(more, metrics).await;
        eventually("it has opened its templates", || async { running.station.facts().gallery().is_some() }).await;
        running
    }

    /// Whether or not it has got a lease.
    pub async fn station_as_it_starts(&self, more: &str, metrics: Option<Metrics>) -> Running {
        let server = Server::bind(self.config(more), Arc::clone(&self.clock) as _, metrics).await.unwrap();
        let (address, metrics_address) = (server.address().unwrap(), server.metrics_address().unwrap());
        let booth_address = server.booth_address();
        let stop = CancellationToken::new();
        let (stopping, station) = (stop.clone(), Arc::clone(server.station()));
        let serving = tokio::spawn(async move { server.serve(stopping).await.unwrap() });
        Running { address, metrics_address, booth_address, station, stop, serving }
    }

    pub fn config(&self, more: &str) -> Config {
        config::parse::<RawConfig, Config>(Path::new("test.toml"), &self.config_text("127.0.0.1:0", more)).unwrap()
    }

    pub fn config_text(&self, listen: &str, more: &str) -> String {
        let tls = self.tls(Role::Station, "north");
        format!(
            "station = \"north\"\nlisten = \"{listen}\"\ncloud = \"https://{}\"\ndata_dir = {:?}\n\
             gates = [\"north-in\", \"north-out\"]\ncameras = [\"north-hall\"]\n{more}\n\
             [tls]\ncert = {:?}\nkey = {:?}\nca = {:?}\n",
            self.cloud.address,
            self.dir.path().join("data"),
            tls.cert,
            tls.key,
            tls.ca
        )
    }

    pub async fn call(&self, station: &Running, role: Role, id: &str) -> StationServiceClient<Channel> {
        StationServiceClient::new(self.channel(station, role, id))
    }

    pub fn channel(&self, station: &Running, role: Role, id: &str) -> Channel {
        self.channel_to(station.address, role, id)
    }

    pub fn channel_to(&self, address: SocketAddr, role: Role, id: &str) -> Channel {
        let uri = format!("https://{address}");
        grpc::channel(&self.identity(role, id), &uri, Role::Station, ChannelOptions::default()).unwrap()
    }

    /// The gate `north-in`, which most tests are about.
    pub async fn gate(&self, station: &Running) -> StationServiceClient<Channel> {
        self.call(station, Role::Gate, "north-in").await
    }

    /// Makes the station's state look as one of before left it, which understood level 1. The station must not run.
    pub async fn forget_level(&self) {
        let options = KvOptions { cache_bytes: 1 << 20, flush_every_ms: None, syncs: true };
        let state = RealDisk.database(&self.dir.path().join("data/state"), options).unwrap();
        for tree in ["facts-a", "facts-b"] {
            state.tree(tree).unwrap().remove(b"l").unwrap();
        }
        state.commit().await.unwrap();
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

impl Running {
    /// Stops as SIGTERM does, and waits until everything is closed.
    pub async fn stop(self) {
        drop(self.station);
        self.stop.cancel();
        self.serving.await.unwrap();
    }
}

fn issue(ca: &CertificateAuthority, dir: &Path, role: Role, id: &str) -> TlsPaths {
    let device = PeerIdentity::new(role, id).unwrap();
    let issued = ca.issue(&device, &[], DEVICE_VALIDITY, &SystemClock::new()).unwrap();
    issued.save(dir, &format!("{role}-{id}")).unwrap()
}

/// Waits until `condition` holds, and fails the test if it does not within ten seconds.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    for _ in 0..500 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("did not happen within ten seconds: {what}");
}
