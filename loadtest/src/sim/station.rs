//! A station's process: all of the real one, with its cloud and its gates on the simulated network. Its templates lie in
//! real files, which no simulated power cut touches.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use facegate_domain::Clock;
use facegate_domain::tap::Direction;
use facegate_runtime::config;
use facegate_station_server::config::{Config, RawConfig};
use facegate_station_server::server;
use tokio_util::sync::CancellationToken;
use tower::util::BoxCloneSyncService;

use super::machine::{Life, Machine, Part};
use super::network::Server;
use super::node::{Node, gate_id, station_id};
use super::world::World;

/// Starts the process on what its disk holds.
pub fn start(world: &Arc<World>, machine: &Machine, number: u8) -> Result<Life> {
    let config = config(machine, number)?;
    let clock = Arc::clone(&machine.clock) as Arc<dyn Clock>;
    let station = Arc::new(server::open(Arc::new(machine.disk.clone()), config, clock)?);
    let (stop, cloud) = (CancellationToken::new(), world.network.wire(machine.node, Node::Cloud));
    let tasks = server::loops(&station, &server::cloud_client(cloud), &stop);
    let service = BoxCloneSyncService::new(server::service(&station, &stop));
    let life = Life::new(stop, tasks, Part::Station(station));
    let server = Server { service, disk: machine.disk.clone(), alive: life.alive.clone() };
    world.network.listen(machine.node, server);
    Ok(life)
}

fn config(machine: &Machine, number: u8) -> Result<Config> {
    let dir = machine.dir.display();
    let [gate_in, gate_out] = [Direction::Entry, Direction::Exit].map(|way| gate_id(number, way));
    let text = format!(
        r#"
        station = "{}"
        listen = "127.0.0.1:0"
        cloud = "https://cloud:1"
        data_dir = "{dir}"
        gates = ["{gate_in}", "{gate_out}"]
        [tls]
        cert = "{dir}/none.pem"
        key = "{dir}/none.pem"
        ca = "{dir}/none.pem"
        [journal]
        segment_bytes_max = 8192
        total_bytes_max = 1048576
        "#,
        station_id(number)
    );
    Ok(config::parse::<RawConfig, Config>(Path::new("station.toml"), &text)?)
}
