//! The city with its wires cut, slow and lossy while a crowd rides: stations go on by themselves, gates take codes, and
//! when the wires are whole again everything converges. Each site is in a network namespace of its own.

mod drill;
mod namespaces;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use crate::city::network::{CloudPlace, Network};
use crate::wire::{Faults, Wire};
use namespaces::{Namespaces, address};

/// Wires cut, slow and lossy under load, between real processes in network namespaces of their own.
///
/// The demo's city (cloud and acquirer, two stations, two gates each) runs in namespaces wired by veth pairs, while a
/// crowd rides by face and by code. Every wire loses packets; then one station is cut off from the cloud; then gates
/// from their station; then both at once. In the end every body has to be one tap and every ride one journey and one
/// captured charge. Needs root and iproute2; the namespaces go with the run.
#[derive(Debug, Clone, clap::Args)]
pub struct PartitionOptions {
    /// Chooses rides and lost packets; printed. Random unless given.
    #[arg(long)]
    seed: Option<u64>,
    /// Shorter cuts.
    #[arg(long)]
    quick: bool,
    /// Exit with an error if anything was lost or doubled, or nobody passed where somebody should have.
    #[arg(long)]
    check: bool,
    /// The run whose hub this is; the driver says it to itself.
    #[arg(long, hide = true, value_name = "RUN")]
    inside: Option<String>,
}

/// Makes the namespaces and runs itself once more in their hub.
pub async fn run(options: &PartitionOptions, home: &Path, folder: &Path) -> Result<()> {
    if let Some(run) = &options.inside {
        namespaces::check_inside(run)?;
        let stopped = facegate_runtime::shutdown::on_signals()?;
        let drill = drill::run(options, run, home, folder);
        return stopped.run_until_cancelled(Box::pin(drill)).await.context("stopped by a signal")?;
    }
    let namespaces = Namespaces::make()?;
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &namespaces.hub()]).arg(std::env::current_exe()?);
    command.args(["partition", "--inside", namespaces.run()]);
    command.arg("--home").arg(home).arg("--folder").arg(folder);
    command.args(options.seed.map(|seed| format!("--seed={seed}")));
    command.args(options.quick.then_some("--quick")).args(options.check.then_some("--check"));
    let mut driver = command.kill_on_drop(true).spawn().context("the driver does not start inside the namespaces")?;
    let stopped = facegate_runtime::shutdown::on_signals()?;
    let status = stopped.run_until_cancelled(driver.wait()).await.context("stopped by a signal")??;
    ensure!(status.success(), "the drill failed; it said why above");
    Ok(())
}

/// The driver's relays across the hub: what a station dials to reach the cloud, what gates dial to reach their station.
#[derive(Debug)]
struct Wires {
    all: Vec<Wire>,
}

impl Wires {
    fn set(&self, faults: Faults) {
        self.all.iter().for_each(|wire| wire.set(faults));
    }

    fn lost(&self) -> u64 {
        self.all.iter().map(Wire::lost).sum()
    }
}

const CLOUD: u16 = 7000;
const STATION: u16 = 7100;

/// Lays the wires across the hub of `run`; gives them with the network that they make.
async fn lay_wires(run: &str, seed: u64) -> Result<(Wires, Network)> {
    let cloud = |port| SocketAddr::new(address(1, 2), port);
    let at = |subnet: u8, host, port| [subnet, subnet + 3].map(|subnet| SocketAddr::new(address(subnet, host), port));
    let stations = at(3, 2, STATION);
    let network = Network {
        cloud: CloudPlace { grpc: cloud(CLOUD), pages: cloud(CLOUD + 1), metrics: cloud(CLOUD + 3) },
        replicas: Vec::new(),
        acquirer: cloud(CLOUD + 2),
        stations,
        metrics: at(3, 2, STATION + 1),
        to_cloud: at(2, 1, CLOUD).map(|address| vec![address]),
        to_station: at(4, 1, STATION),
        aisles: at(4, 1, 0).map(|address| address.ip()),
        screens: at(4, 2, 0).map(|address| address.ip()),
        namespaces: Some(namespaces::names(run)),
    };
    let mut all = Vec::new();
    let ends = network.to_cloud.iter().flatten().map(|from| (*from, network.cloud.grpc));
    for ((from, to), number) in ends.chain(network.to_station.into_iter().zip(stations)).zip(0..) {
        all.push(Wire::lay(from, to, seed.wrapping_add(number)).await?);
    }
    Ok((Wires { all }, network))
}

/// How long things last.
#[derive(Debug, Clone, Copy)]
struct Lengths {
    /// Of a stretch with whole wires.
    whole: Duration,
    /// Of a cut, and of the stretch with lossy wires.
    cut: Duration,
}

impl Lengths {
    fn of(options: &PartitionOptions) -> Self {
        let seconds = Duration::from_secs;
        if options.quick {
            Self { whole: seconds(4), cut: seconds(12) }
        } else {
            Self { whole: seconds(10), cut: seconds(30) }
        }
    }
}
