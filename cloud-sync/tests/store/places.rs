//! Where a store under test lies: a folder, or a database of its own in a PostgreSQL that all tests share.

use std::sync::{Arc, OnceLock};

use facegate_cloud_sync::store::Store;
use facegate_cloud_sync::store::postgres::{PgStore, PostgresUrl};
use facegate_cloud_sync::store::sled::SledStore;
use facegate_runtime::keys::FileKeys;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::postgres::{ADDRESS, Postgres};

/// Versions of the feed that stay, where a test does not say otherwise.
pub const KEPT: u64 = 100_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Sled,
    Postgres,
}

/// One store's disk; a test may open the store again and again, and several at once where the backend allows it.
#[derive(Debug)]
pub struct Place {
    pub backend: Backend,
    pub dir: tempfile::TempDir,
    /// The database, for PostgreSQL.
    pub url: Option<String>,
}

impl Place {
    pub async fn new(backend: Backend) -> Self {
        let url = match backend {
            Backend::Sled => None,
            Backend::Postgres => Some(new_database().await),
        };
        Self { backend, dir: tempfile::tempdir().unwrap(), url }
    }

    pub async fn open(&self) -> Arc<dyn Store> {
        self.open_keeping(KEPT).await
    }

    pub async fn open_keeping(&self, kept: u64) -> Arc<dyn Store> {
        match &self.url {
            None => Arc::new(SledStore::open(self.dir.path(), &self.keys(), kept).unwrap()),
            Some(_) => Arc::new(self.open_postgres(kept).await),
        }
    }

    pub async fn open_postgres(&self, kept: u64) -> PgStore {
        let url = PostgresUrl::checked(self.url.as_ref().unwrap(), None).unwrap();
        PgStore::open(&url, &self.keys(), kept).await.unwrap()
    }

    pub fn keys(&self) -> FileKeys {
        FileKeys::open(&self.dir.path().join("keys")).unwrap()
    }

    /// A connection past the store, for what only the database can be asked.
    pub async fn database(&self) -> PgConnection {
        PgConnection::connect(self.url.as_ref().unwrap()).await.unwrap()
    }

    pub async fn remove(self) {
        if let Some(url) = &self.url {
            let name = url.rsplit_once("/facegate_").unwrap().1.split('?').next().unwrap();
            let mut server = PgConnection::connect(server()).await.unwrap();
            let drop = format!("DROP DATABASE facegate_{name} WITH (FORCE)");
            sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut server).await.unwrap();
        }
    }
}

/// The URL of the server that all tests share: the one that is named, or one of our own that ends with this process.
fn server() -> &'static str {
    static OURS: OnceLock<Postgres> = OnceLock::new();
    static URL: OnceLock<String> = OnceLock::new();
    URL.get_or_init(|| std::env::var(ADDRESS).unwrap_or_else(|_| OURS.get_or_init(|| Postgres::start().unwrap()).url()))
}

async fn new_database() -> String {
    let server = server();
    let name = format!("facegate_{}", uuid::Uuid::new_v4().simple());
    let mut connection = PgConnection::connect(server).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await.unwrap();
    let (before, after) = server.split_once("/postgres?").unwrap_or((server.trim_end_matches("/postgres"), ""));
    if after.is_empty() { format!("{before}/{name}") } else { format!("{before}/{name}?{after}") }
}
