//! Where the city's processes are: all on loopback, or each site in a network namespace of its own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Context, Result};

use super::STATIONS;

/// One value a station, in the order of [`STATIONS`].
pub type ByStation<T> = [T; STATIONS.len()];

/// Who listens where, and what the others dial to get there.
#[derive(Debug, Clone)]
pub struct Network {
    /// gRPC of the cloud.
    pub cloud: SocketAddr,
    /// HTTPS of the cloud: pages and REST.
    pub pages: SocketAddr,
    pub acquirer: SocketAddr,
    /// gRPC of the stations.
    pub stations: ByStation<SocketAddr>,
    /// HTTPS `/metrics` of the cloud, then of the stations.
    pub metrics: [SocketAddr; 1 + STATIONS.len()],
    /// What each station dials to reach the cloud.
    pub to_cloud: ByStation<SocketAddr>,
    /// What the gates of each station dial to reach it.
    pub to_station: ByStation<SocketAddr>,
    /// Where the controllers of each station's aisles listen.
    pub aisles: ByStation<IpAddr>,
    /// Where the screens of each station's gates can be reached. The gates serve them on loopback only; on another
    /// address something of ours relays them.
    pub screens: ByStation<IpAddr>,
    /// The network namespaces that the processes run in; none: where this program runs.
    pub namespaces: Option<Namespaces>,
}

/// Names of network namespaces, as `ip netns` knows them.
#[derive(Debug, Clone)]
pub struct Namespaces {
    /// The cloud and the acquirer.
    pub cloud: String,
    pub stations: ByStation<String>,
    pub gates: ByStation<String>,
}

impl Network {
    pub fn on_loopback() -> Result<Self> {
        let free = || Ok::<_, anyhow::Error>(SocketAddr::new(LOOPBACK, free_port()?));
        let (cloud, stations) = (free()?, [free()?, free()?]);
        Ok(Self {
            cloud,
            pages: free()?,
            acquirer: free()?,
            stations,
            metrics: [free()?, free()?, free()?],
            to_cloud: [cloud; 2],
            to_station: stations,
            aisles: [LOOPBACK; 2],
            screens: [LOOPBACK; 2],
            namespaces: None,
        })
    }

    /// Every address that a certificate of the city has to name.
    pub fn hosts(&self) -> Vec<IpAddr> {
        let servers = [self.cloud, self.pages, self.acquirer].into_iter();
        let dialled = self.to_cloud.into_iter().chain(self.to_station);
        let mut hosts: Vec<IpAddr> =
            servers.chain(self.stations).chain(self.metrics).chain(dialled).map(|address| address.ip()).collect();
        hosts.sort_unstable();
        hosts.dedup();
        hosts
    }
}

pub const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Below what Linux hands to outgoing connections (from 32768 up): such a port is still free when its process is
/// started again after a kill.
const PORTS: std::ops::Range<u16> = 12_000..32_000;

/// A port that nobody listens on at this moment.
pub fn free_port() -> Result<u16> {
    let free = |port: &u16| TcpListener::bind((LOOPBACK, *port)).is_ok();
    let candidates = std::iter::repeat_with(|| rand::random_range(PORTS)).take(200);
    candidates.into_iter().find(free).context("no free loopback port among 200 tried")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_is_not_one_of_those_that_outgoing_connections_get() {
        let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
        let first: u16 = range.split_whitespace().next().unwrap().parse().unwrap();
        assert!(free_port().unwrap() < first);
    }
}
