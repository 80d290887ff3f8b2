//! What the files of an identity hold at one moment, checked as a whole.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use facegate_domain::Timestamp;
use rcgen::SanType;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{ASN1Time, FromDer, GeneralName, X509Certificate};
use zeroize::Zeroizing;

use super::fresh::{Stamp, stamp};
use super::renew::beside;
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
    pub valid_from: Timestamp,
    pub expires_at: Timestamp,
    /// What it serves under.
    pub hosts: Vec<SanType>,
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
        let (valid_from, expires_at, hosts) = read_leaf(&chain[0]);
        let certified = match certified(&chain, &paths.key) {
            // A renewal that was cut short between its two renames has left the key beside.
            Err(IdentityError::Tls(error)) => {
                let renewed = beside(&paths.key);
                let certified = certified(&chain, &renewed).map_err(|_| IdentityError::Tls(error))?;
                std::fs::rename(&renewed, &paths.key)
                    .map_err(|source| IdentityError::Unreadable { path: renewed, source })?;
                certified
            }
            certified => certified?,
        };
        let authorities = certificates(&read(&paths.ca)?, &paths.ca)?;
        let revoked = paths.crl.as_ref().map(|crl| Revoked::load(crl, &authorities)).transpose()?.unwrap_or_default();
        let roots = Arc::new(root_store(authorities)?);
        Ok(Self {
            name,
            certified: Arc::new(certified),
            servers: WebPkiServerVerifier::builder(Arc::clone(&roots)).build()?,
            clients: WebPkiClientVerifier::builder(roots).build()?,
            revoked,
            valid_from,
            expires_at,
            hosts,
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

/// Errors: `Tls` if they are not a pair.
fn certified(chain: &[CertificateDer<'static>], key: &Path) -> Result<CertifiedKey, IdentityError> {
    let pem = Zeroizing::new(read(key)?);
    let der = PrivateKeyDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| IdentityError::NotPem { path: key.to_owned(), what: "private key" })?;
    Ok(CertifiedKey::from_der(chain.to_vec(), der, &rustls::crypto::ring::default_provider())?)
}

/// From when to when a certificate that was parsed before counts, and the hosts it names.
fn read_leaf(certificate: &[u8]) -> (Timestamp, Timestamp, Vec<SanType>) {
    let at = |time: ASN1Time| Timestamp::from_unix_ms(time.timestamp().saturating_mul(1000));
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else {
        return (Timestamp::from_unix_ms(0), Timestamp::from_unix_ms(0), Vec::new());
    };
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    let hosts = names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(SanType::DnsName((*name).try_into().ok()?)),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).ok().map(IpAddr::from);
            Some(SanType::IpAddress(v4.or_else(|| <[u8; 16]>::try_from(*bytes).ok().map(IpAddr::from))?))
        }
        _ => None,
    });
    let hosts = hosts.collect();
    (at(certificate.validity().not_before), at(certificate.validity().not_after), hosts)
}
