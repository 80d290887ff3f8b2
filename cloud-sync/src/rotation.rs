//! Takes new generations of keys into use while the cloud runs: `facegate-cloud-sync keys rotate` makes one, and within
//! seconds new values are sealed under it and the old ones anew, page by page. A restart begins the pass again, which only
//! looks at what is done already.
//!
//! Ride codes: a new issuer key is published beside the old ones at once, so that every gate knows it before the first
//! certificate that it signs comes along, and signs from [`ISSUER_SETTLES`] on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use facegate_domain::code::CodeIssuer;
use facegate_runtime::keys::{Key, KeyError, KeyId, KeyProvider, KeyRing};

use crate::cloud::{Cloud, CloudError, ISSUER_KEY};
use crate::store::{SealedValues, Store, StoreError};

/// How often the provider is asked for new keys.
const EVERY: Duration = Duration::from_secs(10);
/// Values looked at in one command of the store.
const PAGE: usize = 256;
/// How long an issuer key is published before it signs.
pub const ISSUER_SETTLES: Duration = Duration::from_secs(3600);

/// Keeps the cloud on the newest keys.
#[derive(Debug)]
pub struct Rotation {
    cloud: Arc<Cloud>,
    keys: Arc<dyn KeyProvider>,
    /// The newest key under which everything is sealed already.
    done: BTreeMap<SealedValues, KeyId>,
}

impl Rotation {
    pub fn new(cloud: Arc<Cloud>, keys: Arc<dyn KeyProvider>) -> Self {
        Self { cloud, keys, done: BTreeMap::new() }
    }

    /// Looks every few seconds until the cloud stops. A provider that fails is reported; what is in use stays in use.
    pub async fn run(mut self) {
        let stop = self.cloud.stop.clone();
        while !stop.is_cancelled() {
            if let Err(error) = self.look().await {
                tracing::error!(%error, "new keys could not be looked for; the cloud goes on with those it has");
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    /// One look; when it returns, everything is sealed under the newest keys, unless the cloud stops.
    pub async fn look(&mut self) -> Result<(), CloudError> {
        self.publish_issuers().await?;
        for values in SealedValues::ALL {
            let ring = self.ring(values.purpose()).await?;
            let newest = ring.newest().id();
            if self.done.get(&values) == Some(&newest) {
                continue;
            }
            self.note_use(values.purpose(), &ring).await?;
            let several = ring.iter().count() > 1;
            self.cloud.store.use_keys(values, ring).await?;
            if !several || self.reseal(values).await? {
                self.done.insert(values, newest);
            }
        }
        Ok(())
    }

    /// Publishes every generation, and signs with the newest that gates had time to hear of.
    pub async fn publish_issuers(&self) -> Result<(), CloudError> {
        let ring = self.ring(ISSUER_KEY).await?;
        let issuers: Vec<CodeIssuer> = ring.iter().map(|key| CodeIssuer::from_secret(key.expose())).collect();
        self.cloud.store.publish_issuer_keys(issuers.iter().map(CodeIssuer::public).collect()).await?;
        self.note_use(ISSUER_KEY, &ring).await?;
        let signing = signing_key(&*self.cloud.store, &ring, self.cloud.clock.now()).await?;
        self.cloud.enrolment.sign_with(CodeIssuer::from_secret(signing.expose()));
        Ok(())
    }

    /// False if the cloud stops before all is done.
    async fn reseal(&self, values: SealedValues) -> Result<bool, StoreError> {
        let purpose = values.purpose();
        let (mut from, mut resealed, mut looked_at) = (None, 0, 0);
        loop {
            let page = self.cloud.store.reseal(values, from, PAGE).await?;
            resealed += page.resealed;
            looked_at += page.looked_at;
            metrics::gauge!("facegate_values_resealed", "purpose" => purpose)
                .set(f64::from(u32::try_from(resealed).unwrap_or(u32::MAX)));
            if looked_at % (PAGE as u64 * 100) == 0 {
                tracing::info!(purpose, looked_at, resealed, "sealing anew");
            }
            match page.next {
                Some(next) if !self.cloud.stop.is_cancelled() => from = Some(next),
                Some(_) => return Ok(false),
                None => break,
            }
        }
        tracing::info!(
            purpose,
            looked_at,
            resealed,
            "everything is sealed under the newest key; older ones may be retired"
        );
        Ok(true)
    }

    /// Notes since when the newest key is used; in the audit log too, if it follows another.
    async fn note_use(&self, purpose: &str, ring: &KeyRing) -> Result<(), StoreError> {
        let (id, now) = (ring.newest().id(), self.cloud.clock.now());
        if self.cloud.store.key_used(purpose, id, now).await?.first && ring.iter().count() > 1 {
            tracing::info!(purpose, key = ?id, "a new key is in use");
            self.cloud.store.audit("system/keys", "key.first-use", &format!("{purpose}/{id:?}"), now).await?;
        }
        Ok(())
    }

    /// The provider may be an HSM across a network.
    async fn ring(&self, purpose: &'static str) -> Result<KeyRing, CloudError> {
        let keys = Arc::clone(&self.keys);
        let ring = facegate_runtime::simulation::blocking(move || keys.existing(purpose)).await;
        let ring = ring.map_err(|stopped| StoreError::Unavailable(stopped.to_string()))??;
        Ok(ring.ok_or_else(|| KeyError::Gone { purpose: purpose.to_owned() })?)
    }
}

/// The newest issuer key that has been published for long enough; the oldest if none has.
async fn signing_key(store: &dyn Store, ring: &KeyRing, now: facegate_domain::Timestamp) -> Result<Key, StoreError> {
    let mut last = ring.newest().clone();
    for key in ring.iter() {
        last = key.clone();
        let since = store.key_used(ISSUER_KEY, key.id(), now).await?.since;
        if now.since(since) >= ISSUER_SETTLES {
            break;
        }
    }
    Ok(last)
}
