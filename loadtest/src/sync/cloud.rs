//! The real cloud server in this process.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use facegate_cloud_sync::cloud::Cloud;
use facegate_cloud_sync::config::{Config, RawConfig};
use facegate_cloud_sync::enrolment::FaceCapture;
use facegate_cloud_sync::server::Server;
use facegate_domain::ids::ModelId;
use facegate_models::enrolment::{Capture, CaptureProblem};
use facegate_runtime::clock::SystemClock;
use facegate_runtime::config;
use facegate_runtime::identity::Role;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::faces::MODEL;
use crate::city::{Certificates, configs};

/// Templates come by import here, never from photographs.
#[derive(Debug)]
struct NoPhotographs(ModelId);

impl FaceCapture for NoPhotographs {
    fn model(&self) -> &ModelId {
        &self.0
    }

    fn capture(&self, _photograph: &[u8]) -> Result<Capture, CaptureProblem> {
        Err(CaptureProblem::NoFace)
    }
}

/// A cloud that runs until it is stopped.
#[derive(Debug)]
pub struct BenchCloud {
    pub cloud: Arc<Cloud>,
    pub address: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<Result<()>>,
}

impl BenchCloud {
    /// Over what lies in `folder`, or anew.
    pub async fn start(folder: &Path, certificates: &Certificates, feed_kept: u64) -> Result<Self> {
        let config = config_in(folder, certificates, feed_kept)?;
        let faces = Arc::new(NoPhotographs(ModelId::new(MODEL)?));
        let server = Server::bind(config, Arc::new(SystemClock::new()), faces, None).await?;
        let (cloud, address, stop) = (Arc::clone(server.cloud()), server.address()?, CancellationToken::new());
        let stopping = stop.clone();
        let serving = tokio::spawn(async move { Ok(server.serve(stopping).await?) });
        Ok(Self { cloud, address, stop, serving })
    }

    /// Waits until its store is closed, so that another may open it.
    pub async fn stop(self) -> Result<()> {
        let Self { cloud, stop, serving, .. } = self;
        stop.cancel();
        serving.await.context("the cloud panicked")??;
        let store = Arc::downgrade(&cloud.store);
        drop(cloud);
        while store.strong_count() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

/// For each of the store's databases: three million riders are imported at random, which is slow where they do not fit.
const CACHE_MIB: u64 = 2048;

/// The config of a cloud in `folder`, which keeps so many changes in its log.
pub fn config_in(folder: &Path, certificates: &Certificates, feed_kept: u64) -> Result<Config> {
    std::fs::create_dir_all(folder)?;
    let tls = certificates.issue(Role::Cloud, "cloud")?;
    let fares = folder.join("fares.toml");
    std::fs::write(&fares, FARES)?;
    let raw = json!({
        "listen": "127.0.0.1:0",
        "data_dir": folder.join("data"),
        "models_dir": folder.join("models"),
        "fares": fares,
        "tls": { "cert": tls.cert, "key": tls.key, "ca": tls.ca },
        "feed": { "kept": feed_kept },
        "store": { "cache_mib": CACHE_MIB },
    });
    let path = configs::write(folder, "cloud", &raw)?;
    Ok(config::load::<RawConfig, Config>(&path)?)
}

const FARES: &str = r#"
name = "bench"
valid_from = "2020-01-01T00:00:00+08:00"
currency = "CNY"
maximum_fare_minor = 900
[[station]]
id = "s-0"
[[station]]
id = "s-1"
[[link]]
from = "s-0"
to = "s-1"
metres = 7000
[[band]]
from_m = 0
up_to_m = 6000
price_minor = 300
[[band]]
from_m = 6000
price_minor = 400
"#;
