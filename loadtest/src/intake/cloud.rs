//! The cloud under load, with the store that was asked for.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use facegate_cloud_sync::server::Server;
use facegate_cloud_sync::store::Store;
use facegate_cloud_sync::store::postgres::{PgStore, PostgresUrl};
use facegate_cloud_sync::store::sled::SledStore;
use facegate_runtime::clock::SystemClock;
use facegate_runtime::identity::Role;
use facegate_runtime::keys::FileKeys;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::city::Certificates;
use crate::database::{Database, StoreKind};
use crate::trial::{NoFaces, TrialCloud, fares};

const FEED_KEPT: u64 = 1_000_000;

pub struct Cloud {
    folder: PathBuf,
    address: std::net::SocketAddr,
    stop: CancellationToken,
    served: JoinHandle<Result<(), facegate_cloud_sync::server::ServerError>>,
    database: Option<Database>,
}

impl Cloud {
    pub async fn start(kind: StoreKind, folder: &Path, certificates: &Certificates) -> Result<Self> {
        let database = match kind {
            StoreKind::Sled => None,
            StoreKind::Postgres => Some(tokio::task::spawn_blocking(Database::start).await??),
        };
        let tls = certificates.issue(Role::Cloud, "cloud")?;
        let postgres = database.as_ref().map(|database| database.url.as_str());
        let trial = TrialCloud { postgres, data_dir: folder.join("cloud"), ..TrialCloud::new(folder, tls) };
        let config = trial.config(&fares(&["busy-0", "busy-1"], &[7000]))?;
        let faces = Arc::new(NoFaces::of("none")?);
        let server = Server::bind(config, Arc::new(SystemClock::new()), faces, None).await?;
        let (address, stop) = (server.address()?, CancellationToken::new());
        let served = tokio::spawn(server.serve(stop.clone()));
        Ok(Self { folder: folder.to_owned(), address, stop, served, database })
    }

    pub fn uri(&self) -> Result<String> {
        Ok(format!("https://{}", self.address))
    }

    /// Gives what is on the disk, and the server that it is on.
    pub async fn stop_and_open_again(self) -> Result<Opened> {
        self.stop.cancel();
        self.served.await??;
        let keys = FileKeys::open(&self.folder.join("keys"))?;
        let store: Arc<dyn Store> = match &self.database {
            Some(database) => {
                Arc::new(PgStore::open(&PostgresUrl::checked(&database.url, None)?, &keys, FEED_KEPT).await?)
            }
            None => Arc::new(open_sled(&self.folder.join("cloud"), &keys).await?),
        };
        Ok(Opened { store, _database: self.database })
    }
}

/// The streams that were open end on their own time, and hold the store until then.
async fn open_sled(dir: &Path, keys: &FileKeys) -> Result<SledStore> {
    for _ in 0..100 {
        if let Ok(store) = SledStore::open(dir, keys, FEED_KEPT) {
            return Ok(store);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    SledStore::open(dir, keys, FEED_KEPT).context("the store cannot be opened again")
}

pub struct Opened {
    store: Arc<dyn Store>,
    _database: Option<Database>,
}

impl std::ops::Deref for Opened {
    type Target = dyn Store;
    fn deref(&self) -> &Self::Target {
        &*self.store
    }
}
