//! The operator's device CA, online: stations renew their own certificates and their gates'.
//!
//! A station may ask for a gate or camera that it alone reports: one that another station reports too is refused, and the
//! operator told, since one of the two is not what it says.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use facegate_domain::ids::StationId;
use facegate_runtime::identity::ca::{CaError, CaFolder, Certified};
use facegate_runtime::identity::{PeerError, PeerIdentity, Role};

use crate::cloud::Cloud;
use crate::store::StoreError;

/// Where the CA is and how long what it renews counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaConfig {
    pub dir: PathBuf,
    pub valid_for: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum RenewalError {
    #[error("this cloud holds no CA ([ca] in its config); have the operator issue a certificate with `ca issue`")]
    NoCa,
    #[error("{asked} is not a gate or camera that {station} alone reports; have the operator issue a certificate")]
    NotYours { station: StationId, asked: PeerIdentity },
    #[error(transparent)]
    Device(#[from] PeerError),
    #[error("the CA: {0}")]
    Ca(#[from] CaError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("signing stopped: {0}")]
    Stopped(#[from] tokio::task::JoinError),
}

/// Signs for stations. Clones are the same CA.
#[derive(Debug, Clone)]
pub struct Renewals {
    folder: Option<(Arc<Mutex<CaFolder>>, Duration)>,
}

impl Renewals {
    pub fn open(config: Option<&CaConfig>) -> Result<Self, CaError> {
        let folder = config.map(|config| Ok::<_, CaError>((CaFolder::open(&config.dir)?, config.valid_for)));
        let folder = folder.transpose()?.map(|(folder, valid_for)| (Arc::new(Mutex::new(folder)), valid_for));
        Ok(Self { folder })
    }

    /// A certificate for `device`, at the word of `station`.
    pub async fn renew(
        &self,
        cloud: &Cloud,
        station: &StationId,
        device: PeerIdentity,
        request: Vec<u8>,
    ) -> Result<Certified, RenewalError> {
        let (folder, valid_for) = self.folder.clone().ok_or(RenewalError::NoCa)?;
        let is_itself = device.role == Role::Station && device.id == station.as_str();
        if !is_itself && !reports_alone(cloud, station, &device).await? {
            tracing::warn!(%station, %device, "a station asked for the certificate of a device that is not its own");
            return Err(RenewalError::NotYours { station: station.clone(), asked: device });
        }
        let now = cloud.clock.now();
        cloud.store.audit(&format!("station/{station}"), "certificate.renew", &device.to_string(), now).await?;
        let clock = Arc::clone(&cloud.clock);
        let certified = tokio::task::spawn_blocking(move || {
            let mut folder = folder.lock().unwrap_or_else(PoisonError::into_inner);
            folder.certify(&request, &device, valid_for, &*clock)
        });
        Ok(certified.await??)
    }
}

async fn reports_alone(cloud: &Cloud, station: &StationId, device: &PeerIdentity) -> Result<bool, StoreError> {
    let mut reporters = Vec::new();
    for view in cloud.store.stations().await? {
        let gates = view.report.map(|report| report.gates).unwrap_or_default();
        if gates.iter().any(|gate| gate.gate.as_str() == device.id && gate.kind == device.role.as_str()) {
            reporters.push(view.station);
        }
    }
    Ok(reporters == [station.clone()])
}
