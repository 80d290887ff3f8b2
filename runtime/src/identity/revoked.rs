//! What the operator's CA has taken back: its revocation lists (CRLs, PEM), each signed by a CA that we trust.
//!
//! We look serial numbers up ourselves, at every handshake and again at every call, rather than in rustls alone: a
//! connection that was open when the list came must end too. A list whose date has passed still counts, and is warned of.

use std::collections::HashSet;
use std::path::Path;

use facegate_domain::Timestamp;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};

use super::IdentityError;

/// Serial numbers by issuer.
#[derive(Debug, Default)]
pub(super) struct Revoked {
    /// Issuer's name (DER) and the serial number without leading zeros.
    serials: HashSet<(Vec<u8>, Vec<u8>)>,
    /// When the first of the lists should have been replaced.
    pub next_update: Option<Timestamp>,
}

impl Revoked {
    /// The lists in `path`, each of which must be signed by one of `authorities`.
    pub fn load(path: &Path, authorities: &[CertificateDer<'_>]) -> Result<Self, IdentityError> {
        let pem = std::fs::read(path).map_err(|source| IdentityError::Unreadable { path: path.to_owned(), source })?;
        let not_pem = || IdentityError::NotPem { path: path.to_owned(), what: "revocation list" };
        let lists: Vec<_> =
            CertificateRevocationListDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|_| not_pem())?;
        if lists.is_empty() {
            return Err(not_pem());
        }
        let mut revoked = Self::default();
        for list in lists {
            let (_, list) = CertificateRevocationList::from_der(&list).map_err(|_| not_pem())?;
            if !authorities.iter().any(|authority| is_signed_by(&list, authority)) {
                return Err(IdentityError::ForeignRevocations { path: path.to_owned() });
            }
            revoked.take(&list);
        }
        Ok(revoked)
    }

    fn take(&mut self, list: &CertificateRevocationList<'_>) {
        let issuer = list.issuer().as_raw();
        self.serials.extend(
            list.iter_revoked_certificates()
                .map(|revoked| (issuer.to_vec(), significant(revoked.raw_serial()).to_vec())),
        );
        if let Some(next) = list.next_update() {
            let next = Timestamp::from_unix_ms(next.timestamp().saturating_mul(1000));
            self.next_update = Some(self.next_update.map_or(next, |earliest| earliest.min(next)));
        }
    }

    /// Whether the certificate was taken back. One that cannot be read counts as revoked.
    pub fn holds(&self, certificate: &[u8]) -> bool {
        if self.serials.is_empty() {
            return false;
        }
        let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return true };
        let named = (certificate.issuer().as_raw().to_vec(), significant(certificate.raw_serial()).to_vec());
        self.serials.contains(&named)
    }
}

fn is_signed_by(list: &CertificateRevocationList<'_>, authority: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(authority).is_ok_and(|(_, authority)| {
        list.issuer() == authority.subject() && list.verify_signature(authority.public_key()).is_ok()
    })
}

/// Hexadecimal; `None` for what is no certificate.
pub(super) fn serial_of(certificate: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    Some(significant(certificate.raw_serial()).iter().map(|byte| format!("{byte:02x}")).collect())
}

fn significant(serial: &[u8]) -> &[u8] {
    let zeros = serial.iter().take_while(|byte| **byte == 0).count();
    &serial[zeros..]
}
