//! What every interface of the cloud works on: one store, one enrolment, one clock.

use std::sync::Arc;
use std::time::Duration;

use facegate_domain::Clock;
use facegate_domain::code::CodeIssuer;
use facegate_runtime::disk::RealDisk;
use facegate_runtime::keys::{KeyError, KeyProvider};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::auditor::Auditor;
use crate::books::Desk;
use crate::completeness::Completeness;
use crate::config::{Config, StoreConfig};
use crate::enrolment::{Enrolment, EnrolmentError, FaceCapture};
use crate::intake::Intakes;
use crate::leases::Leases;
use crate::notify::NotifyError;
use crate::register::{self, Register, RegisterError};
use crate::risk::Risk;
use crate::store::postgres::PgStore;
use crate::store::sled::SledStore;
use crate::store::{Store, StoreError};

/// Purpose of the key that signs rider certificates.
pub const ISSUER_KEY: &str = "ride-code-issuer";

#[derive(Debug, thiserror::Error)]
pub enum CloudError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Register(#[from] RegisterError),
    #[error("asking a list outside: {0}")]
    Outside(#[from] NotifyError),
    #[error(transparent)]
    Enrolment(#[from] EnrolmentError),
}

/// The cloud, open and ready; shared by all its listeners and loops.
#[derive(Debug)]
pub struct Cloud {
    pub config: Config,
    pub clock: Arc<dyn Clock>,
    pub store: Arc<dyn Store>,
    pub enrolment: Enrolment,
    pub intakes: Intakes,
    pub completeness: Completeness,
    pub auditor: Auditor,
    /// What finance does.
    pub desk: Arc<Desk>,
    pub leases: Leases,
    /// None without rules about risk.
    pub risk: Option<Arc<Risk>>,
    /// Rung when taps have come.
    pub taps_came: Arc<Notify>,
    /// Cancelled when the server stops: long streams end with it.
    pub stop: CancellationToken,
}

impl Cloud {
    /// Opens the store, erases again whom the register says, and reads every template into the duplicate search.
    pub async fn open(
        config: Config,
        clock: Arc<dyn Clock>,
        faces: Arc<dyn FaceCapture>,
        stop: CancellationToken,
    ) -> Result<Self, CloudError> {
        let keys = config.keys.open()?;
        let store = Self::open_store(&config).await?;
        let dir = config.erasures_dir.clone();
        let register = tokio::task::spawn_blocking(move || Register::open(Arc::new(RealDisk), &dir)).await;
        let register = register.map_err(|stopped| StoreError::Unavailable(stopped.to_string()))??;
        Box::pin(Self::with_store(config, clock, store, register, keys, faces, stop)).await
    }

    /// [`Cloud::open`] on a store and a register that are open already.
    pub async fn with_store(
        config: Config,
        clock: Arc<dyn Clock>,
        store: Arc<dyn Store>,
        register: Register,
        keys: Arc<dyn KeyProvider>,
        faces: Arc<dyn FaceCapture>,
        stop: CancellationToken,
    ) -> Result<Self, CloudError> {
        register::reconcile(&register, &*store, clock.now()).await?;
        register::learn_all(&register, &*store).await?;
        store.want_holds(config.charging.billing.prepaid.is_some());
        let issuer = CodeIssuer::from_secret(keys.key(ISSUER_KEY)?.expose());
        let leases = Leases::new(Arc::clone(&store), Arc::clone(&clock), keys, config.lease);
        let (stored, time) = (Arc::clone(&store), Arc::clone(&clock));
        let enrolment = Enrolment::new(stored, register, faces, issuer, time, config.enrolment.clone()).await?;
        let taps_came = Arc::new(Notify::new());
        let (currency, days) = (config.fares.currency(), config.audit.days.clone());
        let (rules, priced_after) = (config.after.risk.clone(), config.settling.settle_after + Duration::from_secs(3));
        let risk = Risk::open(Arc::clone(&store), Arc::clone(&clock), rules, currency, days, priced_after)?;
        let looks = risk.as_ref().map(|risk| risk.intake());
        let intakes =
            Intakes::new(Arc::clone(&store), Arc::clone(&clock), Arc::clone(&taps_came), config.intake, looks);
        let completeness = Completeness::new(Arc::clone(&store), Arc::clone(&clock), config.audit.days.clone());
        let auditor = Auditor::new(Arc::clone(&store), Arc::clone(&clock), config.audit.clone());
        let desk = Arc::new(Desk::new(Arc::clone(&store), Arc::clone(&clock), &config));
        Ok(Self {
            config,
            clock,
            store,
            enrolment,
            intakes,
            completeness,
            auditor,
            desk,
            leases,
            risk,
            taps_came,
            stop,
        })
    }

    /// The store alone, as the config has it: for the operator's commands.
    pub async fn open_store(config: &Config) -> Result<Arc<dyn Store>, CloudError> {
        let keys = config.keys.open()?;
        let kept = config.feed_kept;
        let store: Arc<dyn Store> = match config.store.clone() {
            StoreConfig::Sled { dir, cache_bytes } => {
                let open = move || SledStore::open_cached(&dir, &*keys, kept, cache_bytes);
                let opened = tokio::task::spawn_blocking(open).await;
                Arc::new(opened.map_err(|stopped| StoreError::Unavailable(stopped.to_string()))??)
            }
            StoreConfig::Postgres { url } => Arc::new(PgStore::open(&url, &*keys, kept).await?),
        };
        store.keep_notices(config.after.notices.is_some());
        Ok(store)
    }

    /// Puts the keys that verify rider certificates on the feed, if they are not there yet.
    pub async fn publish_issuer(&self) -> Result<(), CloudError> {
        Ok(self.store.publish_issuer_keys(vec![self.enrolment.issuer_key()]).await?)
    }
}
