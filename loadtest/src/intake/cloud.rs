//! The cloud under load, with the store that was asked for.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use facegate_cloud_sync::config::{Config, RawConfig};
use facegate_cloud_sync::enrolment::FaceCapture;
use facegate_cloud_sync::server::Server;
use facegate_cloud_sync::store::Store;
use facegate_cloud_sync::store::postgres::{PgStore, PostgresUrl};
use facegate_cloud_sync::store::sled::SledStore;
use facegate_domain::ids::ModelId;
use facegate_models::enrolment::{Capture, CaptureProblem};
use facegate_runtime::clock::SystemClock;
use facegate_runtime::config;
use facegate_runtime::identity::Role;
use facegate_runtime::keys::FileKeys;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Kind;
use crate::city::Certificates;
use crate::postgres::{ADDRESS, Postgres};

const FARES: &str = r#"
name = "intake"
valid_from = "2020-01-01T00:00:00+08:00"
currency = "CNY"
maximum_fare_minor = 900
[[station]]
id = "busy-0"
[[station]]
id = "busy-1"
[[link]]
from = "busy-0"
to = "busy-1"
metres = 7000
[[band]]
from_m = 0
price_minor = 300
"#;

const FEED_KEPT: u64 = 1_000_000;

/// Nobody is photographed here.
#[derive(Debug)]
struct NoFaces(ModelId);

impl FaceCapture for NoFaces {
    fn model(&self) -> &ModelId {
        &self.0
    }

    fn capture(&self, _photograph: &[u8]) -> Result<Capture, CaptureProblem> {
        Err(CaptureProblem::NoFace)
    }
}

pub struct Cloud {
    folder: PathBuf,
    address: std::net::SocketAddr,
    stop: CancellationToken,
    served: JoinHandle<Result<(), facegate_cloud_sync::server::ServerError>>,
    /// Held for as long as it is ours.
    postgres: Option<Postgres>,
    url: Option<String>,
}

impl Cloud {
    pub async fn start(kind: Kind, folder: &Path, certificates: &Certificates) -> Result<Self> {
        let (postgres, url) = match kind {
            Kind::Sled => (None, None),
            Kind::Postgres => {
                let (postgres, url) = tokio::task::spawn_blocking(database).await??;
                (postgres, Some(url))
            }
        };
        let tls = certificates.issue(Role::Cloud, "cloud")?;
        std::fs::write(folder.join("fares.toml"), FARES)?;
        let store = match &url {
            None => json!({ "kind": "sled" }),
            Some(url) => json!({ "kind": "postgres", "url": url }),
        };
        let config = json!({
            "listen": "127.0.0.1:0",
            "data_dir": folder.join("cloud"),
            "keys_dir": folder.join("keys"),
            "models_dir": folder.join("models"),
            "fares": folder.join("fares.toml"),
            "store": store,
            "tls": { "cert": tls.cert, "key": tls.key, "ca": tls.ca },
        });
        let text = toml::to_string(&config)?;
        let config: Config = config::parse::<RawConfig, Config>(Path::new("intake.toml"), &text)?;
        let faces = Arc::new(NoFaces(ModelId::new("none")?));
        let server = Server::bind(config, Arc::new(SystemClock::new()), faces, None).await?;
        let (address, stop) = (server.address()?, CancellationToken::new());
        let served = tokio::spawn(server.serve(stop.clone()));
        Ok(Self { folder: folder.to_owned(), address, stop, served, postgres, url })
    }

    pub fn uri(&self) -> Result<String> {
        Ok(format!("https://{}", self.address))
    }

    /// Gives what is on the disk, and the server that it is on.
    pub async fn stop_and_open_again(self) -> Result<Opened> {
        self.stop.cancel();
        self.served.await??;
        let keys = FileKeys::open(&self.folder.join("keys"))?;
        let store: Arc<dyn Store> = match &self.url {
            Some(url) => Arc::new(PgStore::open(&PostgresUrl::checked(url, None)?, &keys, FEED_KEPT).await?),
            None => Arc::new(open_sled(&self.folder.join("cloud"), &keys).await?),
        };
        Ok(Opened { store, _postgres: self.postgres })
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
    _postgres: Option<Postgres>,
}

impl std::ops::Deref for Opened {
    type Target = dyn Store;
    fn deref(&self) -> &Self::Target {
        &*self.store
    }
}

/// One of our own, unless a server is named: then the database of its URL is used, which should be empty.
fn database() -> Result<(Option<Postgres>, String)> {
    if let Ok(url) = std::env::var(ADDRESS) {
        return Ok((None, url));
    }
    let postgres = Postgres::start()?;
    let url = postgres.url();
    Ok((Some(postgres), url))
}
