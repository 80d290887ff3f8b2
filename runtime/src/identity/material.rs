//! What the files of an identity hold at one moment, checked as a whole.

use std::path::Path;
use std::sync::Arc;

use facegate_domain::Timestamp;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use super::fresh::{Stamp, stamp};
use super::revoked::Revoked;
use super::{IdentityError, PeerIdentity, TlsPaths};

/// One consistent set of certificate, key, CA and revocation lists.
#[derive(Debug)]
pub(super) struct Material {
    pub name: PeerIdentity,
    pub certified: Arc<CertifiedKey>,
    pub servers: Arc<WebPkiServerVerifier>,
    pub clients: Arc<dyn ClientCertVerifier>,
    pub revoked: Revoked,
    pub expires_at: Timestamp,
    /// Of the files, before they were read.
    pub stamp: Stamp,
}

impl Material {
    /// # Errors
    /// If a file is missing or not PEM, the certificate names no Facegate role, key and certificate are not a pair, or
    /// a revocation list is of another CA.
    pub fn load(paths: &TlsPaths) -> Result<Self, IdentityError> {
        let stamp = stamp(paths);
        let chain = certificates(&read(&paths.cert)?, &paths.cert)?;
        let name = PeerIdentity::from_der(&chain[0])
            .map_err(|source| IdentityError::NotADevice { path: paths.cert.clone(), source })?;
        let expires_at = expiry(&chain[0]);
        let key = Zeroizing::new(read(&paths.key)?);
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
            .map_err(|_| IdentityError::NotPem { path: paths.key.clone(), what: "private key" })?;
        let certified = CertifiedKey::from_der(chain, key, &rustls::crypto::ring::default_provider())?;
        let authorities = certificates(&read(&paths.ca)?, &paths.ca)?;
        let revoked = paths.crl.as_ref().map(|crl| Revoked::load(crl, &authorities)).transpose()?.unwrap_or_default();
        let roots = Arc::new(root_store(authorities)?);
        Ok(Self {
            name,
            certified: Arc::new(certified),
            servers: WebPkiServerVerifier::builder(Arc::clone(&roots)).build()?,
            clients: WebPkiClientVerifier::builder(roots).build()?,
            revoked,
            expires_at,
            stamp,
        })
    }

    /// Our own certificate.
    pub fn leaf(&self) -> &CertificateDer<'static> {
        &self.certified.cert[0]
    }
}

/// What a client without a device identity (an app, a browser) trusts.
pub(crate) fn roots(ca: &Path) -> Result<RootCertStore, IdentityError> {
    root_store(certificates(&read(ca)?, ca)?)
}

fn root_store(authorities: Vec<CertificateDer<'static>>) -> Result<RootCertStore, IdentityError> {
    let mut roots = RootCertStore::empty();
    for certificate in authorities {
        roots.add(certificate)?;
    }
    Ok(roots)
}

fn read(path: &Path) -> Result<String, IdentityError> {
    std::fs::read_to_string(path).map_err(|source| IdentityError::Unreadable { path: path.to_owned(), source })
}

/// At least one certificate, the device's own first.
fn certificates(pem: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let not_pem = || IdentityError::NotPem { path: path.to_owned(), what: "certificate" };
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().map_err(|_| not_pem())?;
    if chain.is_empty() { Err(not_pem()) } else { Ok(chain) }
}

/// When a certificate that was parsed before ends.
fn expiry(certificate: &[u8]) -> Timestamp {
    let end = X509Certificate::from_der(certificate).map_or(0, |(_, cert)| cert.validity().not_after.timestamp());
    Timestamp::from_unix_ms(end.saturating_mul(1000))
}
