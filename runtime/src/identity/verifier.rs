//! A client's check of the server it reached: the usual chain and host name, and then the role.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{IdentityError, PeerIdentity, Role};

pub(super) fn for_server(
    roots: Arc<RootCertStore>,
    server: Role,
) -> Result<Arc<dyn ServerCertVerifier>, IdentityError> {
    let chain = WebPkiServerVerifier::builder(roots).build()?;
    Ok(Arc::new(RoleVerifier { chain, server }))
}

#[derive(Debug)]
struct RoleVerifier {
    chain: Arc<WebPkiServerVerifier>,
    server: Role,
}

impl ServerCertVerifier for RoleVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        match PeerIdentity::from_der(end_entity) {
            Ok(peer) if peer.role == self.server => Ok(verified),
            Ok(peer) => {
                tracing::warn!(%peer, expected = %self.server, "a server showed a certificate of another role");
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
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
