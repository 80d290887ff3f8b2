//! A small city as real processes on loopback: what the demo and the fault tests run.
//!
//! One cloud, one sandbox acquirer, two stations with an entry and an exit gate each, one entrance camera. Each is a
//! process of its own with its own certificate; the aisles and their bodies live here, outside of what is tested.

mod books;
mod certificates;
pub mod configs;
mod gate;
mod process;
mod ready;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use facegate_runtime::identity::{DeviceIdentity, Role};

pub use certificates::Certificates;
pub use gate::{Decision, Gate, Screen};
pub use process::Process;

use crate::aisle::{Aisle, AisleTimes};
use crate::app::{MetroApp, random_password};
use configs::Addresses;

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
}

impl CityOptions {
    pub fn new(home: &Path, folder: &Path) -> Self {
        Self { home: home.to_owned(), folder: folder.to_owned(), settle_after: Duration::from_secs(2) }
    }
}

/// The running city.
#[derive(Debug)]
pub struct City {
    addresses: Addresses,
    certificates: Certificates,
    monitor: DeviceIdentity,
    ops_password: String,
    api_key: String,
    /// Cloud, acquirer and stations, in the order in which they were started.
    servers: Vec<Process>,
    /// The processes of the gates and the camera.
    devices: Vec<Process>,
    gates: Vec<Gate>,
    camera: Gate,
}

impl City {
    /// Starts every process and waits until each answers.
    pub async fn start(options: &CityOptions) -> Result<Self> {
        let folder = &options.folder;
        let certificates = Certificates::make(&folder.join("certificates"))?;
        let addresses = Addresses::choose()?;
        let (ops_password, api_key) = (random_password(), random_password());
        let monitor = certificates.identity(Role::Monitor, "demo")?;

        let acquirer = configs::acquirer(folder, &certificates, &addresses)?;
        let cloud =
            configs::cloud(options, &certificates, &addresses, &books::hash_password(&ops_password).await?, &api_key)?;
        let mut servers = vec![
            Process::start("acquirer", "facegate-loadtest", acquirer, folder)?,
            Process::start("cloud", "facegate-cloud-sync", config_argument(&cloud), folder)?,
        ];
        for station in STATIONS {
            let config = configs::city_station(folder, &certificates, &addresses, station)?;
            let name = format!("station-{station}");
            servers.push(Process::start(&name, "facegate-station-server", config_argument(&config), folder)?);
        }
        let mut devices = Vec::new();
        let mut gates = Vec::new();
        for station in STATIONS {
            for way in ["in", "out"] {
                let (gate, process) = start_gate(options, &certificates, &addresses, station, way).await?;
                gates.push(gate);
                devices.push(process);
            }
        }
        let (camera, process) = start_gate(options, &certificates, &addresses, STATIONS[0], "camera").await?;
        devices.push(process);
        let mut city =
            Self { addresses, certificates, monitor, ops_password, api_key, servers, devices, gates, camera };
        city.wait_until_ready().await?;
        Ok(city)
    }

    pub fn describe(&self) -> String {
        self.process_names().join(", ")
    }

    /// `https://127.0.0.1:port` of the cloud's pages and REST API.
    pub fn pages(&self) -> String {
        format!("https://127.0.0.1:{}", self.addresses.pages)
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

    /// Names of all processes, as [`City::kill_and_restart`] takes them.
    pub fn process_names(&self) -> Vec<String> {
        self.servers.iter().chain(&self.devices).map(|process| process.name().to_owned()).collect()
    }

    /// SIGKILL, then the same command again.
    pub async fn kill_and_restart(&mut self, name: &str) -> Result<()> {
        let process = self.processes().find(|process| process.name() == name);
        process.with_context(|| format!("there is no process {name}"))?.kill_and_restart().await
    }

    fn processes(&mut self) -> impl DoubleEndedIterator<Item = &mut Process> {
        self.servers.iter_mut().chain(&mut self.devices)
    }

    /// Errors if any process has ended by itself.
    pub fn check_running(&mut self) -> Result<()> {
        self.processes().try_for_each(Process::check_running)
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

async fn start_gate(
    options: &CityOptions,
    certificates: &Certificates,
    addresses: &Addresses,
    station: &str,
    way: &str,
) -> Result<(Gate, Process)> {
    let id = format!("{station}-{way}");
    let aisle = Aisle::start(AisleTimes::default()).await?;
    let camera = options.folder.join(format!("camera-{id}"));
    std::fs::create_dir_all(&camera)?;
    let screen = free_port()?;
    let place = configs::GatePlace { id: &id, station, way, aisle: aisle.address(), camera: &camera, screen };
    let config = configs::gate(options, certificates, addresses, &place)?;
    let process = Process::start(&id, "facegate-gate-agent", config_argument(&config), &options.folder)?;
    let log = process.log().to_owned();
    Ok((Gate::new(&id, log, aisle, format!("http://127.0.0.1:{screen}"), camera), process))
}

fn config_argument(config: &Path) -> Vec<String> {
    vec!["--config".to_owned(), config.display().to_string()]
}

/// A port that nobody listens on at this moment.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0").context("no free loopback port")?.local_addr()?.port())
}
