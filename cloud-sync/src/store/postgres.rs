//! The store that outgrows one machine: any number of `cloud-sync` replicas before one PostgreSQL, or a database that
//! speaks like it.
//!
//! `migrations/` is the schema, and says what each table is. A command is one transaction over a few statements, each
//! over all rows it concerns; the locks that it needs are taken in one order (journals, taps' riders, ledger, feed,
//! counters), and what the database cannot serialise is tried again. Only plain SQL is used: no advisory locks, no
//! notifications, no sequences, so that a distributed engine fits behind it.
//!
//! The feed's versions are taken by updating one row, as the last thing but the counters that a transaction does, and
//! its lock is held until the commit: versions become visible in their order, so a reader who has seen one has seen all
//! below it. A task looks at that row every few milliseconds, so that changes of the other replicas wake readers here.

mod acquirers;
mod audit;
mod books;
mod charges;
mod closing;
mod conclude;
mod credits;
mod debits;
mod digest;
mod erasure;
mod error;
mod feed;
mod habits;
mod import;
mod intake;
mod journal;
mod journals;
mod journeys;
mod keys;
mod leases;
mod ledger;
mod migrations;
mod notices;
mod operation;
mod overview;
mod place;
mod remedies;
mod reserve;
mod riders;
mod risk;
mod sealed;
mod settlements;
mod snapshot;
mod standing;
mod stations;
mod taps;
mod terms;
mod tx;
mod url;
mod values;
mod waivers;
mod wallets;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use facegate_runtime::keys::KeyProvider;
use sqlx::postgres::{PgPool, PgPoolOptions};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

pub use url::{BadUrl, PostgresUrl};

use super::{SealedValues, Store, StoreError};
use error::Trouble;
use sealed::Sealed;
use tx::Tx;

/// Connections that one replica holds at most.
const CONNECTIONS_MAX: u32 = 16;

/// How long a command waits for a connection before it is told that the database is out of reach.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// How often the feed's head is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// While the database is out of reach.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub struct PgStore {
    pool: PgPool,
    faces: Sealed,
    identity: Sealed,
    head: watch::Sender<u64>,
    log_id: [u8; 16],
    feed_kept: u64,
    keeps_notices: AtomicBool,
    wants_holds: AtomicBool,
    wants_looks: AtomicBool,
    looking: JoinHandle<()>,
}

/// Runs `$body` over a transaction, and again from the start if the database could not serialise it.
macro_rules! transact {
    ($store:expr, $tx:ident => $body:expr) => {{
        let mut tries = $crate::store::postgres::error::Tries::default();
        loop {
            let tried = async {
                let mut $tx = $store.begin().await?;
                let value = $body?;
                $tx.commit().await?;
                Ok::<_, $crate::store::postgres::error::Trouble>(value)
            };
            match tried.await {
                Ok(value) => break Ok(value),
                Err(trouble) => tries.rest(trouble).await?,
            }
        }
    }};
}
use transact;

impl PgStore {
    /// Connects, brings the schema up to date, and checks that the sealed values are under these keys.
    ///
    /// Errors: `Newer` for a database that a newer version migrated, `WrongKey`, `Unavailable`.
    ///
    /// `feed_kept` is how many of the feed's latest versions stay; a station further behind takes a snapshot.
    pub async fn open(url: &PostgresUrl, keys: &dyn KeyProvider, feed_kept: u64) -> Result<Self, StoreError> {
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(CONNECT_WITHIN)
            .connect_lazy_with(url.options().clone());
        migrations::run(&pool, url).await?;
        let [faces, identity] = SealedValues::ALL.map(|values| (values, keys.ring(values.purpose())));
        let faces = Sealed::open(&pool, faces.0, &faces.1?).await?;
        let identity = Sealed::open(&pool, identity.0, &identity.1?).await?;
        let head = watch::Sender::new(feed::head(&pool).await.map_err(Trouble::from)?);
        let log_id: Uuid =
            sqlx::query_scalar("SELECT log FROM core.feed_head").fetch_one(&pool).await.map_err(Trouble::from)?;
        let looking = tokio::spawn(look(pool.clone(), head.clone()));
        let [keeps_notices, wants_holds, wants_looks] = [false; 3].map(AtomicBool::new);
        let log_id = log_id.into_bytes();
        Ok(Self { pool, faces, identity, head, log_id, feed_kept, keeps_notices, wants_holds, wants_looks, looking })
    }

    async fn begin(&self) -> Result<Tx, Trouble> {
        let mut tx = Tx::new(self.pool.begin().await?, self.head.clone(), self.feed_kept);
        tx.keeps_notices = self.keeps_notices.load(Ordering::Relaxed);
        tx.wants_holds = self.wants_holds.load(Ordering::Relaxed);
        tx.wants_looks = self.wants_looks.load(Ordering::Relaxed);
        Ok(tx)
    }
}

impl Store for PgStore {}

impl Drop for PgStore {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

/// Wakes this replica's readers when another one has published.
async fn look(pool: PgPool, head: watch::Sender<u64>) {
    let mut away = false;
    loop {
        match feed::head(&pool).await {
            Ok(version) => {
                away = false;
                tx::rise(&head, version);
                tokio::time::sleep(LOOK_EVERY).await;
            }
            Err(error) => {
                if !std::mem::replace(&mut away, true) {
                    tracing::error!(%error, "the database is out of reach; commands are refused until it is back");
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
    }
}
