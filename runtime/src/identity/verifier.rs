//! What rustls asks of an identity at each handshake, always answered from what the files held last: our certificate,
//! and whether to believe the other side's. Chain and host name as usual, then revocation, then a server's role.

use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{DeviceIdentity, PeerIdentity, Role};

impl ResolvesServerCert for DeviceIdentity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.material().certified))
    }
}

impl ResolvesClientCert for DeviceIdentity {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let certified = Arc::clone(&self.material().certified);
        certified.key.choose_scheme(schemes).is_some().then_some(certified)
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// A server's check of its client.
#[derive(Debug)]
pub(super) struct Clients(pub DeviceIdentity);

impl ClientCertVerifier for Clients {
    /// No hint: a device has one certificate, and the list would have to outlive the CA file.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let material = self.0.material();
        let verified = material.clients.verify_client_cert(end_entity, intermediates, now)?;
        not_revoked(&self.0, end_entity)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.material().clients.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.material().clients.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.material().clients.supported_verify_schemes()
    }
}

/// A client's check of the server it reached.
#[derive(Debug)]
pub(super) struct Servers {
    pub identity: DeviceIdentity,
    pub role: Role,
}

impl ServerCertVerifier for Servers {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let material = self.identity.material();
        let verified =
            material.servers.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        not_revoked(&self.identity, end_entity)?;
        match PeerIdentity::from_der(end_entity) {
            Ok(peer) if peer.role == self.role => Ok(verified),
            Ok(peer) => {
                tracing::warn!(%peer, expected = %self.role, "a server showed a certificate of another role");
                Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
            }
            Err(_) => Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.identity.material().servers.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.identity.material().servers.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.identity.material().servers.supported_verify_schemes()
    }
}

fn not_revoked(identity: &DeviceIdentity, certificate: &CertificateDer<'_>) -> Result<(), Error> {
    if !identity.is_revoked(certificate) {
        return Ok(());
    }
    let peer = PeerIdentity::from_der(certificate).map_or_else(|why| why.to_string(), |peer| peer.to_string());
    tracing::warn!(peer, "a revoked certificate was shown and refused");
    Err(Error::InvalidCertificate(CertificateError::Revoked))
}
