//! Leases of the keys under which stations keep their templates.
//!
//! A station's key is derived from the master key by the station's name and a generation. It is handed out for a time,
//! with the version of the feed that must be applied before anybody is searched; a station keeps it in memory only. So
//! the disk of a station that was cut off, stolen or put back from a backup opens only after the cloud has been asked,
//! and is searched only after it has caught up with what was erased meanwhile.

use std::sync::Arc;
use std::time::Duration;

use facegate_domain::Clock;
use facegate_domain::ids::StationId;
use facegate_runtime::keys::{Key, KeyError, KeyProvider};
use facegate_runtime::simulation;

use crate::enrolment::Actor;
use crate::store::{Leasehold, Standing, Store, StoreError};

/// Purpose of the master key.
const MASTER_KEY: &str = "gallery-leases";

/// A lease as it is handed out. `Debug` shows no key.
#[derive(Debug, Clone)]
pub struct Lease {
    pub key: Key,
    pub generation: u32,
    /// From the moment that the station asked.
    pub valid_for: Duration,
    /// No face may be searched before the station has applied this version.
    pub required_version: u64,
}

#[derive(Debug)]
pub struct Leases {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    keys: Arc<dyn KeyProvider>,
    valid_for: Duration,
}

/// Why there is no lease.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("reading the master key panicked")]
    Panicked,
}

impl Leases {
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, keys: Arc<dyn KeyProvider>, valid_for: Duration) -> Self {
        Self { store, clock, keys, valid_for }
    }

    /// Errors: `Store(LeaseEnded)` while the operator has the station revoked or decommissioned.
    pub async fn grant(&self, station: StationId) -> Result<Lease, LeaseError> {
        // Read each time: the operator may have rotated it, and stations move to the new one with their next lease.
        let keys = Arc::clone(&self.keys);
        let master = simulation::blocking(move || keys.key(MASTER_KEY)).await.map_err(|_| LeaseError::Panicked)??;
        let now = self.clock.now();
        let generation = self.store.grant_lease(station.clone(), self.surely_over(now), now).await?;
        // Read after the grant: what was erased before it is in this version, and later receipts name the station.
        let required_version = *self.store.head().borrow();
        let key = master.derived(MASTER_KEY, &[station.as_str().as_bytes(), &generation.to_be_bytes()]);
        tracing::info!(%station, generation, required_version, "lease granted");
        Ok(Lease { key, generation, valid_for: self.valid_for, required_version })
    }

    /// Changes whether the station gets a lease, by an operator's word.
    pub async fn set_standing(
        &self,
        actor: &Actor,
        station: StationId,
        standing: Standing,
    ) -> Result<Leasehold, StoreError> {
        let now = self.clock.now();
        if self.store.station(&station).await?.is_none() {
            return Err(StoreError::UnknownStation(station));
        }
        self.store.audit(actor.as_str(), &format!("station.{}", standing.name()), station.as_str(), now).await?;
        let lease = self.store.set_standing(station.clone(), standing, self.surely_over(now)).await?;
        tracing::warn!(%station, standing = standing.name(), by = actor.as_str(), "a station's standing is changed");
        self.store.release_decommissioned(now).await?;
        Ok(lease)
    }

    /// When a lease of now is over by any clock that is off by less than one part in a hundred.
    fn surely_over(&self, now: facegate_domain::Timestamp) -> facegate_domain::Timestamp {
        now.plus(self.valid_for + self.valid_for / 100)
    }
}
