//! Renewing our own certificate: a new key that never leaves this machine, a signing request, and the answer put in place
//! of the old files.
//!
//! Certificate and key are two files. Both are written beside the old ones first, then the certificate is renamed, then the
//! key; a crash between the two leaves a certificate whose key still lies beside it, where [`Material::load`] finds it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use facegate_domain::{Clock, Timestamp};
use rcgen::{CertificateParams, KeyPair, SanType};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::ca::{CaError, write};
use super::material::Material;
use super::{DeviceIdentity, IdentityError};

/// How often it is looked whether renewal is due, and tried again after a failure.
const EVERY: Duration = Duration::from_secs(600);

#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    #[error(transparent)]
    Ca(#[from] CaError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("the certificate that came is of {found}, not of {ours}; it is not used")]
    OfAnother { found: String, ours: String },
    #[error("{0}")]
    Refused(String),
}

impl DeviceIdentity {
    /// Whether less than a third of the certificate's time is left.
    pub fn is_due(&self, now: Timestamp) -> bool {
        let material = self.material();
        let whole = material.expires_at.since(material.valid_from);
        material.expires_at.since(now) < whole / 3
    }

    /// Renews by `ask`, which takes a signing request (PKCS #10, DER) to whoever has one signed and brings the certificate
    /// back (PEM). What comes is used from the next handshake on.
    pub async fn renew(&self, ask: impl AsyncFnOnce(Vec<u8>) -> Result<String, String>) -> Result<(), RenewError> {
        let key = KeyPair::generate().map_err(CaError::from)?;
        let request = request(&self.material().hosts, &key)?;
        let certificate = ask(request).await.map_err(RenewError::Refused)?;
        let key_pem = Zeroizing::new(key.serialize_pem());
        self.take(&certificate, &key_pem)
    }

    fn take(&self, certificate: &str, key: &str) -> Result<(), RenewError> {
        let paths = &self.0.paths;
        let (new_cert, new_key) = (beside(&paths.cert), beside(&paths.key));
        write(&new_key, key.as_bytes(), 0o600)?;
        write(&new_cert, certificate.as_bytes(), 0o644)?;
        // Both are tried as a whole before they count.
        let fresh = super::TlsPaths { cert: new_cert.clone(), key: new_key.clone(), ..paths.clone() };
        let material = Material::load(&fresh)?;
        if material.name != self.0.name {
            let (found, ours) = (material.name.to_string(), self.0.name.to_string());
            return Err(RenewError::OfAnother { found, ours });
        }
        put(&new_cert, &paths.cert)?;
        put(&new_key, &paths.key)?;
        Ok(self.reload()?)
    }

    /// Renews whenever it is due, until `stop`. A refusal is logged, and tried again after ten minutes: there is a third of
    /// the certificate's time for it.
    pub async fn keep_renewed(
        self,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
        ask: impl AsyncFn(Vec<u8>) -> Result<String, String>,
    ) {
        loop {
            if self.is_due(clock.now()) {
                match self.renew(&ask).await {
                    Ok(()) => tracing::info!(identity = %self.name(), "the certificate is renewed"),
                    Err(error) => tracing::warn!(%error, "the certificate could not be renewed; it is tried again"),
                }
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }
}

/// Where a renewed file lies before it counts.
pub(super) fn beside(path: &Path) -> PathBuf {
    path.with_extension("pem.renewed")
}

fn put(from: &Path, to: &Path) -> Result<(), CaError> {
    std::fs::rename(from, to).map_err(|source| CaError::File { path: to.to_owned(), source })
}

/// A request for the same host names; who it is for says the connection that it goes over.
fn request(hosts: &[SanType], key: &KeyPair) -> Result<Vec<u8>, CaError> {
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params.subject_alt_names = hosts.to_vec();
    Ok(params.serialize_request(key)?.der().to_vec())
}
