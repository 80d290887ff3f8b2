//! What the city's servers say about themselves, asked as the operations centre would ask.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use facegate_proto::v1;
use facegate_proto::v1::ops_service_client::OpsServiceClient;
use facegate_runtime::grpc::{ChannelOptions, channel};
use facegate_runtime::http::client;
use facegate_runtime::identity::{DeviceIdentity, Role};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::process::beside_this_executable;
use super::{City, STATIONS};
use crate::acquirer::Statistics;

/// What the operations centre sees of the cloud at `address`.
pub async fn overview_of(monitor: &DeviceIdentity, address: SocketAddr) -> Result<v1::OverviewResponse> {
    let channel = channel(monitor, &format!("https://{address}"), Role::Cloud, ChannelOptions::default())?;
    Ok(OpsServiceClient::new(channel).overview(v1::OverviewRequest {}).await?.into_inner())
}

/// The own book of the acquirer at `address`.
pub async fn acquirer_book_at(monitor: &DeviceIdentity, address: SocketAddr) -> Result<Statistics> {
    let url = format!("https://{address}/v1/statistics");
    let response = client(monitor, Role::Acquirer).build()?.get(url).send().await?;
    Ok(response.error_for_status()?.json().await?)
}

impl City {
    /// What the operations centre sees.
    pub async fn overview(&self) -> Result<v1::OverviewResponse> {
        overview_of(&self.monitor, self.network.cloud.grpc).await
    }

    /// Waits until searches at both stations honour everything that the cloud had put on the feed when this was called.
    /// Riders who go on meanwhile make newer changes; nobody waits for those.
    pub async fn wait_for_feed(&self) -> Result<()> {
        let wanted = self.overview().await?.head_version;
        for _ in 0..300 {
            let overview = self.overview().await?;
            let behind = overview
                .stations
                .iter()
                .filter(|station| station.status.as_ref().is_none_or(|status| status.applied_version < wanted));
            if overview.stations.len() == STATIONS.len() && behind.count() == 0 {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("a station does not follow the change feed to version {wanted}; see its log")
    }

    /// The acquirer's own book of what it authorised and captured.
    pub async fn acquirer_book(&self) -> Result<Statistics> {
        acquirer_book_at(&self.monitor, self.network.acquirer).await
    }

    /// A gauge (with its labels as Prometheus writes them) of the station at that place in [`STATIONS`]; 0 if it says
    /// nothing of it.
    pub async fn station_gauge(&self, station: usize, name: &str) -> Result<f64> {
        let text = self.metrics_at(self.network.metrics[station], Role::Station).await?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(value.map(str::parse).transpose()?.unwrap_or(0.0))
    }

    /// The Prometheus texts of the cloud and the stations.
    pub async fn metrics(&self) -> Result<Vec<String>> {
        let mut texts = Vec::new();
        for (_, place) in self.network.clouds() {
            texts.push(self.metrics_at(place.metrics, Role::Cloud).await?);
        }
        for address in self.network.metrics {
            texts.push(self.metrics_at(address, Role::Station).await?);
        }
        Ok(texts)
    }

    async fn metrics_at(&self, address: SocketAddr, role: Role) -> Result<String> {
        let url = format!("https://{address}/metrics");
        let response = client(&self.monitor, role).build()?.get(url).send().await?;
        Ok(response.error_for_status()?.text().await?)
    }
}

/// The hash that goes into the cloud's config, made by the cloud's own command.
pub(super) async fn hash_password(password: &str) -> Result<String> {
    let mut command = Command::new(beside_this_executable("facegate-cloud-sync")?)
        .arg("hash-password")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdin = command.stdin.take().context("the command takes no input")?;
    stdin.write_all(format!("{password}\n").as_bytes()).await?;
    drop(stdin);
    let output = command.wait_with_output().await?;
    ensure!(output.status.success(), "facegate-cloud-sync hash-password failed");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
