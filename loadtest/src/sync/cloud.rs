//! The real cloud server in this process.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use facegate_cloud_sync::cloud::Cloud;
use facegate_cloud_sync::config::Config;
use facegate_cloud_sync::server::Server;
use facegate_runtime::clock::SystemClock;
use facegate_runtime::identity::Role;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::faces::MODEL;
use crate::city::Certificates;
use crate::trial::{NoFaces, TrialCloud, fares};

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
        let faces = Arc::new(NoFaces::of(MODEL)?);
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
    let (data_dir, keys_dir) = (folder.join("data"), folder.join("data/keys"));
    let more = format!("[feed]\nkept = {feed_kept}\n[store]\ncache_mib = {CACHE_MIB}\n");
    let tls = certificates.issue(Role::Cloud, "cloud")?;
    TrialCloud { data_dir, keys_dir, more, ..TrialCloud::new(folder, tls) }.config(&fares(&["s-0", "s-1"], &[7000]))
}
