//! One station among millions of riders, and four gates before it, each a process of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use facegate_domain::code::IssuerKey;
use facegate_domain::face::Template;
use facegate_domain::ids::{GateId, RecordId};
use facegate_proto::convert::sync::FeedChange;
use facegate_runtime::identity::Role;
use serde_json::json;

use super::likeness::Likeness;
use crate::aisle::{Aisle, AisleTimes};
use crate::city::network::{LOOPBACK, free_port};
use crate::city::{Certificates, Gate, Process, configs};
use crate::feed::{self, Fed, Told};

const STATION: &str = "flow";
/// Whose identity asks the station for cached passages.
pub const ASKING_GATE: &str = "cached";
/// The station is given so long to take three million riders.
const FED_WITHIN: Duration = Duration::from_secs(900);
const READY_WITHIN: Duration = Duration::from_secs(60);
/// From the line to behind the exit beam.
const THROUGH: Duration = Duration::from_millis(580);
/// Made-up riders who are inside, besides those who walk.
const INSIDE: usize = 2_000;

/// What is enrolled.
pub struct Enrolled {
    /// Real faces; all of them are inside.
    pub templates: Vec<Template>,
    pub likeness: Likeness,
    /// Real and made up.
    pub count: usize,
    pub issuer: IssuerKey,
}

impl Enrolled {
    /// First the key of ride codes, then everybody, then who is inside.
    fn told(self) -> Told {
        let Self { templates, likeness, count, issuer } = self;
        let made_up = move |number: usize| likeness.template(number as u64);
        let real = templates.len();
        let of = move |number: usize| templates.get(number).cloned().map_or_else(|| made_up(number), Ok);
        let inside = real.max(INSIDE.min(count));
        let change = move |index: usize| match index.checked_sub(1) {
            None => FeedChange::IssuerKeys(vec![issuer]),
            // A vector of deviates has a direction.
            Some(number) if number < count => FeedChange::TemplatePut(of(number).expect("a rider can be made up")),
            Some(number) => {
                let rider = of(number - count).expect("a rider can be made up").rider;
                FeedChange::EnteredSystem { rider, entry: entry(number - count) }
            }
        };
        Told { count: 1 + count + inside, change: Box::new(change) }
    }
}

/// The tap by which rider `number` is inside.
fn entry(number: usize) -> RecordId {
    let gate = GateId::new("elsewhere-in").expect("a gate's name");
    RecordId { gate, epoch: 1, sequence: number as u64 * 2 }
}

/// The running processes.
#[derive(Debug)]
pub struct Place {
    pub fed: Fed,
    pub station: SocketAddr,
    pub certificates: Certificates,
    pub gates: Vec<Gate>,
    processes: Vec<Process>,
}

impl Place {
    /// `gates`: name and direction of each.
    pub async fn start(home: &Path, folder: &Path, enrolled: Enrolled, gates: &[(&str, &str)]) -> Result<Self> {
        let certificates = Certificates::make(&folder.join("certificates"), &[])?;
        let told = enrolled.told();
        let all = told.count as u64;
        let fed = feed::serve(told, &certificates).await?;
        let listen = SocketAddr::new(LOOPBACK, free_port()?);
        let names: Vec<&str> = gates.iter().map(|(name, _)| *name).chain([ASKING_GATE]).collect();
        let tls = certificates.issue(Role::Station, STATION)?;
        let cloud = [format!("https://{}", fed.address)];
        let config = configs::station(STATION, listen, &cloud, &names, &[], &tls, folder);
        let config = configs::write(folder, "station", &config)?;
        let arguments = vec!["--config".to_owned(), config.display().to_string()];
        let station = Process::start("station", "facegate-station-server", arguments, folder, None)?;
        let mut place = Self { fed, station: listen, certificates, gates: Vec::new(), processes: vec![station] };
        place.wait_until_fed(all).await?;
        for (name, direction) in gates {
            place.start_gate(home, folder, name, direction).await?;
        }
        place.wait_until_ready().await?;
        Ok(place)
    }

    async fn wait_until_fed(&mut self, all: u64) -> Result<()> {
        let deadline = tokio::time::Instant::now() + FED_WITHIN;
        let mut told = 0;
        loop {
            let applied = *self.fed.applied.borrow_and_update();
            if applied >= all {
                return Ok(());
            }
            if applied >= told + all / 10 {
                eprintln!("the station has taken {applied} of {all} facts…");
                told = applied;
            }
            self.check_running()?;
            if tokio::time::Instant::now() > deadline {
                bail!("the station did not take the feed in time: {applied} of {all}; see {}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    fn log(&self) -> String {
        self.processes[0].log().display().to_string()
    }

    async fn start_gate(&mut self, home: &Path, folder: &Path, name: &str, direction: &str) -> Result<()> {
        let times = AisleTimes { crossing: THROUGH };
        let aisle = Aisle::start(LOOPBACK, times).await?;
        let camera = folder.join(format!("camera-{name}"));
        std::fs::create_dir_all(&camera)?;
        let screen = SocketAddr::new(LOOPBACK, free_port()?);
        let tls = self.certificates.issue(Role::Gate, name)?;
        let config = json!({
            "role": "gate",
            "mode": "development",
            "id": name,
            "direction": direction,
            "models_dir": home.join("models"),
            "data_dir": folder.join(format!("gate-{name}")),
            "tls": configs::tls_table(&tls),
            "station": { "address": self.station.to_string() },
            "camera": { "kind": "folder", "folder": camera },
            "actuator": { "kind": "simulated", "address": aisle.address().to_string() },
            "screen": { "listen": screen.to_string() },
        });
        let path = configs::write(folder, &format!("gate-{name}"), &config)?;
        let arguments = vec!["--config".to_owned(), path.display().to_string()];
        let process = Process::start(name, "facegate-gate-agent", arguments, folder, None)?;
        self.gates.push(Gate::new(name, process.log().to_owned(), aisle, screen, camera));
        self.processes.push(process);
        Ok(())
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = tokio::time::Instant::now() + READY_WITHIN;
        for gate in self.gates.clone() {
            while !gate.screen().await.is_ok_and(|screen| screen.phase == "idle") {
                self.check_running()?;
                if tokio::time::Instant::now() > deadline {
                    bail!(
                        "gate {} is not ready after {} s; see {}",
                        gate.id,
                        READY_WITHIN.as_secs(),
                        gate.log.display()
                    );
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Ok(())
    }

    pub fn check_running(&mut self) -> Result<()> {
        self.processes.iter_mut().try_for_each(Process::check_running)
    }

    /// Gates first.
    pub async fn stop(&mut self) -> Result<()> {
        for process in self.processes.iter_mut().rev() {
            process.stop().await?;
        }
        Ok(())
    }
}
