//! A small city as real processes on loopback: what the demo and the fault tests run.
//!
//! One cloud (or two replicas before one PostgreSQL), one sandbox acquirer, two stations with an entry and an exit gate each, one entrance camera. Each is a
//! process of its own with its own certificate; the aisles and their bodies live here, outside of what is tested.

pub mod books;
mod certificates;
pub mod configs;
mod gate;
pub mod network;
mod process;
mod ready;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use facegate_runtime::identity::{DeviceIdentity, Role};

pub use certificates::Certificates;
pub use gate::{Decision, Gate, Screen};
pub use process::Process;

use crate::aisle::{Aisle, AisleTimes};
use crate::app::{MetroApp, random_password};
use crate::database::{Database, StoreKind};
use network::{Network, free_port};

pub const STATIONS: [&str; 2] = ["north", "south"];
/// The entrance camera stands at the first station.
pub const CAMERA: &str = "north-camera";

/// How a city is set up.
#[derive(Debug, Clone)]
pub struct CityOptions {
    /// Where models and portraits are.
    pub home: PathBuf,
    /// Where certificates, configs, data and logs go.
    pub folder: PathBuf,
    /// How long after its exit a journey is finalised and charged.
    pub settle_after: Duration,
    /// A longer ride waits until no station and no gate is behind: its middle may be missing.
    pub ride_expected_max: Duration,
    /// What the cloud keeps its books in; with PostgreSQL it is two replicas.
    pub store: StoreKind,
    /// Where its processes are; on loopback unless given.
    pub network: Option<Network>,
}

impl CityOptions {
    pub fn new(home: &Path, folder: &Path) -> Self {
        let (home, folder, settle_after) = (home.to_owned(), folder.to_owned(), Duration::from_secs(2));
        let ride_expected_max = Duration::from_secs(5400);
        Self { home, folder, settle_after, ride_expected_max, store: StoreKind::default(), network: None }
    }

    /// For a city whose processes and wires fail: rides here take seconds, so every one of them may have lost its middle.
    pub fn under_faults(home: &Path, folder: &Path) -> Self {
        let settle_after = Duration::from_secs(6);
        Self { settle_after, ride_expected_max: Duration::ZERO, ..Self::new(home, folder) }
    }
}

/// The running city.
#[derive(Debug)]
pub struct City {
    network: Network,
    certificates: Certificates,
    monitor: DeviceIdentity,
    ops_password: String,
    api_key: String,
    /// Cloud, acquirer and stations, in the order in which they were started.
    servers: Vec<Process>,
    /// The processes of the gates and the camera.
    devices: Vec<Process>,
    /// What makes the screens of gates in other network namespaces reachable from here.
    relays: Vec<Process>,
    gates: Vec<Gate>,
    camera: Gate,
    /// Last, so that it ends after those who use it.
    database: Option<Database>,
}

impl City {
    /// Starts every process and waits until each answers.
    pub async fn start(options: &CityOptions) -> Result<Self> {
        let folder = &options.folder;
        let database = match options.store {
            StoreKind::Sled => None,
            StoreKind::Postgres => Some(tokio::task::spawn_blocking(Database::start).await??),
        };
        let replicas = usize::from(database.is_some());
        let network = options.network.clone().map_or_else(|| Network::on_loopback(replicas), Ok)?;
        let certificates = Certificates::make(&folder.join("certificates"), &network.hosts())?;
        let (ops_password, api_key) = (random_password(), random_password());
        let monitor = certificates.identity(Role::Monitor, "demo")?;

        let staff = configs::Staff { ops_password_hash: books::hash_password(&ops_password).await?, api_key };
        let servers = start_servers(options, &certificates, &network, database.as_ref(), &staff)?;
        let (mut devices, mut relays, mut gates) = (Vec::new(), Vec::new(), Vec::new());
        for station in STATIONS {
            for way in ["in", "out"] {
                let (gate, process) = start_gate(options, &certificates, &network, station, way).await?;
                relays.extend(relay_screen(&network, &gate, station, folder)?);
                gates.push(gate);
                devices.push(process);
            }
        }
        let (camera, process) = start_gate(options, &certificates, &network, STATIONS[0], "camera").await?;
        devices.push(process);
        let api_key = staff.api_key;
        let mut city = Self {
            network,
            certificates,
            monitor,
            ops_password,
            api_key,
            servers,
            devices,
            relays,
            gates,
            camera,
            database,
        };
        city.wait_until_ready().await?;
        Ok(city)
    }

    pub fn describe(&self) -> String {
        self.process_names().join(", ")
    }

    /// `https://host:port` of the cloud's pages and REST API.
    pub fn pages(&self) -> String {
        format!("https://{}", self.network.cloud.pages)
    }

    pub fn ops_user(&self) -> &'static str {
        configs::OPS_USER
    }

    pub fn ops_password(&self) -> &str {
        &self.ops_password
    }

    pub fn gates(&self) -> &[Gate] {
        &self.gates
    }

    pub fn camera(&self) -> &Gate {
        &self.camera
    }

    /// The gate of `station` for `way` (`in` or `out`).
    pub fn gate(&self, station: &str, way: &str) -> Result<&Gate> {
        let id = format!("{station}-{way}");
        self.gates.iter().find(|gate| gate.id == id).with_context(|| format!("there is no gate {id}"))
    }

    pub fn metro_app(&self) -> Result<MetroApp> {
        MetroApp::new(&self.pages(), &self.api_key, &self.certificates.ca())
    }

    /// The same by the last of the cloud's replicas.
    pub fn metro_app_of_last_replica(&self) -> Result<MetroApp> {
        let place = self.network.clouds().last().map_or(self.network.cloud, |(_, place)| place);
        MetroApp::new(&format!("https://{}", place.pages), &self.api_key, &self.certificates.ca())
    }

    /// The database that the cloud's replicas share.
    pub fn database_url(&self) -> Option<&str> {
        self.database.as_ref().map(|database| database.url.as_str())
    }

    /// Those of the cloud's replicas among [`City::process_names`].
    pub fn cloud_names(&self) -> Vec<String> {
        self.network.clouds().map(|(name, _)| name).collect()
    }

    /// Names of all processes, as [`City::kill_and_restart`] takes them.
    pub fn process_names(&self) -> Vec<String> {
        self.servers.iter().chain(&self.devices).map(|process| process.name().to_owned()).collect()
    }

    /// Name and id of each process that runs.
    pub fn process_ids(&self) -> Vec<(String, u32)> {
        let processes = self.servers.iter().chain(&self.devices);
        processes.filter_map(|process| Some((process.name().to_owned(), process.id()?))).collect()
    }

    /// SIGKILL, then the same command again.
    pub async fn kill_and_restart(&mut self, name: &str) -> Result<()> {
        self.kill(name).await?;
        self.start_again(name)
    }

    /// SIGKILL.
    pub async fn kill(&mut self, name: &str) -> Result<()> {
        self.process(name)?.kill().await
    }

    /// Asks it to stop, and waits until it has.
    pub async fn stop_one(&mut self, name: &str) -> Result<()> {
        self.process(name)?.stop().await
    }

    /// Starts what was killed or stopped, with the same command.
    pub fn start_again(&mut self, name: &str) -> Result<()> {
        self.process(name)?.start_again()
    }

    fn process(&mut self, name: &str) -> Result<&mut Process> {
        self.processes().find(|process| process.name() == name).with_context(|| format!("there is no process {name}"))
    }

    fn processes(&mut self) -> impl DoubleEndedIterator<Item = &mut Process> {
        self.servers.iter_mut().chain(&mut self.devices)
    }

    /// Errors if any process has ended by itself.
    pub fn check_running(&mut self) -> Result<()> {
        self.servers.iter_mut().chain(&mut self.devices).chain(&mut self.relays).try_for_each(Process::check_running)
    }

    /// Stops everything in order, gates first; errors if one did not stop cleanly.
    pub async fn stop(&mut self) -> Result<()> {
        let mut failures = Vec::new();
        for process in self.processes().rev() {
            if let Err(error) = process.stop().await {
                failures.push(error.to_string());
            }
        }
        ensure!(failures.is_empty(), "{}", failures.join("\n"));
        Ok(())
    }
}

/// Acquirer, cloud and stations.
fn start_servers(
    options: &CityOptions,
    certificates: &Certificates,
    network: &Network,
    database: Option<&Database>,
    staff: &configs::Staff,
) -> Result<Vec<Process>> {
    let folder = &options.folder;
    let of_cloud = network.namespaces.as_ref().map(|all| all.cloud.as_str());
    let acquirer = configs::acquirer(folder, certificates, network)?;
    let mut servers = vec![Process::start("acquirer", "facegate-loadtest", acquirer, folder, of_cloud)?];
    for (name, place) in network.clouds() {
        let config = configs::cloud(options, certificates, network, (&name, place), database, staff)?;
        servers.push(Process::start(&name, "facegate-cloud-sync", config_argument(&config), folder, of_cloud)?);
    }
    for (index, station) in STATIONS.into_iter().enumerate() {
        let config = configs::city_station(folder, certificates, network, station)?;
        let inside = network.namespaces.as_ref().map(|all| all.stations[index].as_str());
        let name = format!("station-{station}");
        servers.push(Process::start(&name, "facegate-station-server", config_argument(&config), folder, inside)?);
    }
    Ok(servers)
}

async fn start_gate(
    options: &CityOptions,
    certificates: &Certificates,
    network: &Network,
    station: &str,
    way: &str,
) -> Result<(Gate, Process)> {
    let id = format!("{station}-{way}");
    let index = index_of(station);
    let aisle = Aisle::start(network.aisles[index], AisleTimes::default()).await?;
    let camera = options.folder.join(format!("camera-{id}"));
    std::fs::create_dir_all(&camera)?;
    let screen = free_port()?;
    let place = configs::GatePlace { id: &id, station, way, aisle: aisle.address(), camera: &camera, screen };
    let config = configs::gate(options, certificates, network, &place)?;
    let inside = network.namespaces.as_ref().map(|all| all.gates[index].as_str());
    let process = Process::start(&id, "facegate-gate-agent", config_argument(&config), &options.folder, inside)?;
    let log = process.log().to_owned();
    Ok((Gate::new(&id, log, aisle, SocketAddr::new(network.screens[index], screen), camera), process))
}

/// Makes the gate's screen reachable from here, if it is in a namespace of its own.
fn relay_screen(network: &Network, gate: &Gate, station: &str, folder: &Path) -> Result<Option<Process>> {
    let Some(namespaces) = &network.namespaces else { return Ok(None) };
    let inside = namespaces.gates[index_of(station)].as_str();
    let (listen, to) = (gate.screen_address.to_string(), format!("127.0.0.1:{}", gate.screen_address.port()));
    let arguments = ["relay", "--listen", &listen, "--to", &to].map(str::to_owned).to_vec();
    Process::start(&format!("relay-{}", gate.id), "facegate-loadtest", arguments, folder, Some(inside)).map(Some)
}

/// The station's place in [`STATIONS`].
fn index_of(station: &str) -> usize {
    STATIONS.iter().position(|known| *known == station).unwrap_or_default()
}

fn config_argument(config: &Path) -> Vec<String> {
    vec!["--config".to_owned(), config.display().to_string()]
}
