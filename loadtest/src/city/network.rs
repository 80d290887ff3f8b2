//! Where the city's processes are: all on loopback, or each site in a network namespace of its own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Context, Result};

use super::STATIONS;

/// One value a station, in the order of [`STATIONS`].
pub type ByStation<T> = [T; STATIONS.len()];

/// Where one replica of the cloud listens.
#[derive(Debug, Clone, Copy)]
pub struct CloudPlace {
    /// gRPC.
    pub grpc: SocketAddr,
    /// HTTPS: pages and REST.
    pub pages: SocketAddr,
    /// HTTPS `/metrics`.
    pub metrics: SocketAddr,
}

/// Who listens where, and what the others dial to get there.
#[derive(Debug, Clone)]
pub struct Network {
    /// The first replica of the cloud: the one that people and apps are sent to.
    pub cloud: CloudPlace,
    /// The others, which share its database.
    pub replicas: Vec<CloudPlace>,
    pub acquirer: SocketAddr,
    /// gRPC of the stations.
    pub stations: ByStation<SocketAddr>,
    /// HTTPS `/metrics` of the stations.
    pub metrics: ByStation<SocketAddr>,
    /// What each station dials to reach the cloud: an address for each replica.
    pub to_cloud: ByStation<Vec<SocketAddr>>,
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
    /// With so many replicas of the cloud beside the first.
    pub fn on_loopback(replicas: usize) -> Result<Self> {
        let free = || Ok::<_, anyhow::Error>(SocketAddr::new(LOOPBACK, free_port()?));
        let place = || Ok::<_, anyhow::Error>(CloudPlace { grpc: free()?, pages: free()?, metrics: free()? });
        let (cloud, stations) = (place()?, [free()?, free()?]);
        let replicas = (0..replicas).map(|_| place()).collect::<Result<Vec<_>>>()?;
        let to_cloud: Vec<_> = std::iter::once(&cloud).chain(&replicas).map(|place| place.grpc).collect();
        Ok(Self {
            cloud,
            replicas,
            acquirer: free()?,
            stations,
            metrics: [free()?, free()?],
            to_cloud: [to_cloud.clone(), to_cloud],
            to_station: stations,
            aisles: [LOOPBACK; 2],
            screens: [LOOPBACK; 2],
            namespaces: None,
        })
    }

    /// Every replica of the cloud, with the name of its process.
    pub fn clouds(&self) -> impl Iterator<Item = (String, CloudPlace)> {
        let replicas = self.replicas.iter().zip(2..).map(|(place, number)| (format!("cloud-{number}"), *place));
        std::iter::once(("cloud".to_owned(), self.cloud)).chain(replicas)
    }

    /// Every address that a certificate of the city has to name.
    pub fn hosts(&self) -> Vec<IpAddr> {
        let clouds = self.clouds().flat_map(|(_, place)| [place.grpc, place.pages, place.metrics]);
        let dialled = self.to_cloud.iter().flatten().copied().chain(self.to_station);
        let servers = clouds.chain([self.acquirer]).chain(self.stations).chain(self.metrics);
        let mut hosts: Vec<IpAddr> = servers.chain(dialled).map(|address| address.ip()).collect();
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
