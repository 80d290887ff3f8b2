//! The network namespaces of one run: a hub, in which the driver runs, and one each for the cloud, the stations and
//! the gates of each station, wired to the hub alone. They are gone when the run is, however it ends.
//!
//! | wire | the hub's end | the other end |
//! |---|---|---|
//! | `cloud` | 10.77.1.1 | 10.77.1.2, cloud and acquirer |
//! | `wan-0`, `wan-1` | 10.77.2.1, 10.77.5.1 | 10.77.2.2, 10.77.5.2: a station's line to the cloud |
//! | `lan-0`, `lan-1` | 10.77.3.1, 10.77.6.1 | 10.77.3.2, 10.77.6.2: a station's line to its gates |
//! | `gates-0`, `gates-1` | 10.77.4.1, 10.77.7.1 | 10.77.4.2, 10.77.7.2: a station's gates |
//!
//! Nothing is routed: what dials across the hub dials the driver's own relay there.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, bail, ensure};

use crate::city::network;

const PREFIX: &str = "facegate-";
const ADVICE: &str = "network namespaces need root (CAP_SYS_ADMIN and CAP_NET_ADMIN) and iproute2: run this as root, in a \
                      container with `--privileged`, or on a machine of your own";

/// Made with all wires up; deleted when dropped.
#[derive(Debug)]
pub struct Namespaces {
    run: String,
}

impl Namespaces {
    /// Makes them under names with this process's id, so that runs side by side do not meet.
    pub fn make() -> Result<Self> {
        sweep();
        let made = Self { run: format!("{PREFIX}{}", std::process::id()) };
        for namespace in made.all() {
            ip(&["netns", "add", &namespace]).context(ADVICE)?;
            ip(&["-n", &namespace, "link", "set", "lo", "up"]).context(ADVICE)?;
        }
        let names = names(&made.run);
        made.wire("cloud", 1, &names.cloud)?;
        for station in 0..2 {
            let subnet = 3 * u8::try_from(station)?;
            made.wire(&wan(station), 2 + subnet, &names.stations[station])?;
            made.wire(&lan(station), 3 + subnet, &names.stations[station])?;
            made.wire(&format!("gates-{station}"), 4 + subnet, &names.gates[station])?;
        }
        Ok(made)
    }

    /// What [`names`] makes the names of.
    pub fn run(&self) -> &str {
        &self.run
    }

    pub fn hub(&self) -> String {
        format!("{}-hub", self.run)
    }

    fn all(&self) -> Vec<String> {
        let network::Namespaces { cloud, stations, gates } = names(&self.run);
        [self.hub(), cloud].into_iter().chain(stations).chain(gates).collect()
    }

    fn wire(&self, name: &str, subnet: u8, to: &str) -> Result<()> {
        let (hub, there) = (self.hub(), format!("{name}-far"));
        ip(&["-n", &hub, "link", "add", name, "type", "veth", "peer", "name", &there, "netns", to]).context(ADVICE)?;
        for (namespace, end, host) in [(hub.as_str(), name, 1), (to, there.as_str(), 2)] {
            ip(&["-n", namespace, "address", "add", &format!("{}/24", address(subnet, host)), "dev", end])?;
            ip(&["-n", namespace, "link", "set", end, "up"])?;
        }
        Ok(())
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        self.all().iter().for_each(|namespace| delete(namespace));
    }
}

/// The namespaces of the city's processes, in the run of that name.
pub fn names(run: &str) -> network::Namespaces {
    let of = |what: &str| [0, 1].map(|station| format!("{run}-{what}-{station}"));
    network::Namespaces { cloud: format!("{run}-cloud"), stations: of("station"), gates: of("gates") }
}

/// The address of the hub (host 1) or of the other end (host 2) on a wire.
pub fn address(subnet: u8, host: u8) -> IpAddr {
    Ipv4Addr::new(10, 77, subnet, host).into()
}

/// A station's line to the cloud.
pub fn wan(station: usize) -> String {
    format!("wan-{station}")
}

/// A station's line to its gates.
pub fn lan(station: usize) -> String {
    format!("lan-{station}")
}

/// Cuts a wire or makes it whole, from inside the hub. No end is told: packets go nowhere.
pub fn set_wire(name: &str, whole: bool) -> Result<()> {
    ip(&["link", "set", name, if whole { "up" } else { "down" }])
}

/// Deletes what runs left behind that were killed before they could: their process is no more.
fn sweep() {
    let Ok(output) = run_ip(&["netns", "list"]) else { return };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for name in text.lines().filter_map(|line| line.split_whitespace().next()) {
        let pid = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()).and_then(|pid| pid.parse().ok());
        let gone = pid.is_some_and(|pid: u32| !Path::new(&format!("/proc/{pid}")).exists());
        if gone {
            delete(name);
        }
    }
}

/// With whatever of ours still runs in it.
fn delete(namespace: &str) {
    if let Ok(output) = run_ip(&["netns", "pids", namespace]) {
        for pid in String::from_utf8_lossy(&output.stdout).split_whitespace() {
            let _ = Command::new("kill").args(["-KILL", pid]).status();
        }
    }
    // One that was never made cannot be deleted, and need not.
    let _ = run_ip(&["netns", "delete", namespace]);
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = run_ip(arguments)?;
    if !output.status.success() {
        bail!("`ip {}`: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

fn run_ip(arguments: &[&str]) -> Result<Output> {
    let output = Command::new("ip").args(arguments).output();
    output.context("`ip` cannot be started; `apt-get install iproute2` brings it")
}

/// Errors unless this process is in the hub of that run.
pub fn check_inside(run: &str) -> Result<()> {
    let output = run_ip(&["netns", "identify", &std::process::id().to_string()])?;
    let inside = String::from_utf8_lossy(&output.stdout).trim() == format!("{run}-hub");
    ensure!(inside, "this is for the driver inside the hub of {run}; leave `--inside` out");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_that_is_left_behind_is_told_from_one_in_use() {
        if run_ip(&["netns", "list"]).is_err() {
            eprintln!("no iproute2 here: left out");
            return;
        }
        // No process has this id: it is beyond what Linux gives.
        let left = format!("{PREFIX}4194305-hub");
        if ip(&["netns", "add", &left]).is_err() {
            eprintln!("no namespaces here: left out");
            return;
        }
        sweep();
        let output = run_ip(&["netns", "list"]).unwrap();
        assert!(!String::from_utf8_lossy(&output.stdout).contains(&left));
    }
}
