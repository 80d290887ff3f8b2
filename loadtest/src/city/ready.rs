//! When a city is up: every server answers its health check, every gate's screen answers and is past its start.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, bail};
use facegate_runtime::grpc::{ChannelOptions, channel};
use facegate_runtime::identity::{DeviceIdentity, Role};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::{City, STATIONS};

/// How long the slowest process may take to answer.
const START_MAX: Duration = Duration::from_secs(60);

impl City {
    /// Waits until every process answers; errors with the log of one that ended instead.
    pub(super) async fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = tokio::time::Instant::now() + START_MAX;
        loop {
            let Some(waiting_for) = self.not_ready().await else { return Ok(()) };
            self.check_running()?;
            if tokio::time::Instant::now() > deadline {
                bail!("{waiting_for} does not answer after {} s; see its log", START_MAX.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Name of a process that does not answer yet.
    async fn not_ready(&self) -> Option<String> {
        let clouds = self.network.clouds().map(|(name, place)| (Role::Cloud, place.grpc, name));
        let stations = STATIONS.iter().zip(self.network.stations);
        let stations = stations.map(|(id, address)| (Role::Station, address, format!("station {id}")));
        for (role, address, name) in clouds.chain(stations) {
            if !serves(&self.monitor, role, address).await {
                return Some(name);
            }
        }
        if self.acquirer_book().await.is_err() {
            return Some("acquirer".to_owned());
        }
        for gate in &self.gates {
            match gate.screen().await {
                Ok(screen) if screen.phase != "starting" && screen.aisle_online => {}
                _ => return Some(gate.id.clone()),
            }
        }
        None
    }
}

async fn serves(identity: &DeviceIdentity, role: Role, address: SocketAddr) -> bool {
    let Ok(channel) = channel(identity, &format!("https://{address}"), role, ChannelOptions::default()) else {
        return false;
    };
    let request = HealthCheckRequest { service: String::new() };
    HealthClient::new(channel).check(request).await.is_ok()
}
