//! Who a process is, and who calls it: X.509 certificates under the operator's own CA.
//!
//! A device's certificate carries the URI `facegate://<role>/<id>` among its subject alternative names, and if the
//! role serves anything also DNS `localhost` and the hosts it was issued for. Both ends of every connection
//! check the other's chain **and role**: a stolen gate certificate cannot pose as a station.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

pub mod ca;
mod peer;
mod verifier;

pub use peer::{PeerError, PeerIdentity, PeerRefusal, Role, require};

/// Where a device's identity lies: its certificate chain, its private key and the operator's CA, all PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsPaths {
    pub cert: PathBuf,
    pub key: PathBuf,
    pub ca: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("cannot read {}: {source}; have the operator's CA issue this device an identity", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{} holds no {what} in PEM form", path.display())]
    NotPem { path: PathBuf, what: &'static str },
    #[error("{}: {source}", path.display())]
    NotADevice { path: PathBuf, source: PeerError },
    #[error("the certificate, key and CA do not make a TLS identity: {0}; issue them anew together")]
    Tls(#[from] rustls::Error),
    #[error("the CA file cannot verify anybody: {0}")]
    Ca(#[from] rustls::server::VerifierBuilderError),
}

/// This process's own identity. Cheap to clone; `Debug` shows the name, never the key.
#[derive(Clone)]
pub struct DeviceIdentity(Arc<Material>);

struct Material {
    name: PeerIdentity,
    cert_pem: String,
    key_pem: Zeroizing<String>,
    ca_pem: String,
    chain: Vec<CertificateDer<'static>>,
    roots: Arc<rustls::RootCertStore>,
}

impl DeviceIdentity {
    /// # Errors
    /// If a file is missing or not PEM, the certificate names no Facegate role, or key and certificate are not a pair.
    pub fn load(paths: &TlsPaths) -> Result<Self, IdentityError> {
        crate::install_crypto();
        let cert_pem = read(&paths.cert)?;
        let key_pem = Zeroizing::new(read(&paths.key)?);
        let ca_pem = read(&paths.ca)?;
        let chain = certificates(&cert_pem, &paths.cert)?;
        let roots = Arc::new(root_store(&ca_pem, &paths.ca)?);
        let name = PeerIdentity::from_der(&chain[0])
            .map_err(|source| IdentityError::NotADevice { path: paths.cert.clone(), source })?;
        let identity = Self(Arc::new(Material { name, cert_pem, key_pem, ca_pem, chain, roots }));
        let key = identity
            .private_key()
            .map_err(|_| IdentityError::NotPem { path: paths.key.clone(), what: "private key" })?;
        let provider = rustls::crypto::ring::default_provider();
        rustls::sign::CertifiedKey::from_der(identity.0.chain.clone(), key, &provider)?;
        Ok(identity)
    }

    /// Our own role and id, as our peers see them.
    pub fn name(&self) -> &PeerIdentity {
        &self.0.name
    }

    pub(crate) fn tonic_identity(&self) -> tonic::transport::Identity {
        tonic::transport::Identity::from_pem(&self.0.cert_pem, self.0.key_pem.as_bytes())
    }

    pub(crate) fn tonic_ca(&self) -> tonic::transport::Certificate {
        tonic::transport::Certificate::from_pem(&self.0.ca_pem)
    }

    /// Verifies a server: chain, host name, and that its role is `server`.
    pub(crate) fn server_verifier(
        &self,
        server: Role,
    ) -> Result<Arc<dyn rustls::client::danger::ServerCertVerifier>, IdentityError> {
        verifier::for_server(Arc::clone(&self.0.roots), server)
    }

    /// TLS as a client of a `server`, presenting our certificate.
    pub(crate) fn client_config(&self, server: Role) -> Result<rustls::ClientConfig, IdentityError> {
        let config =
            rustls::ClientConfig::builder().dangerous().with_custom_certificate_verifier(self.server_verifier(server)?);
        Ok(config.with_client_auth_cert(self.0.chain.clone(), self.private_key()?)?)
    }

    /// TLS as an HTTPS server; `clients_certified` demands a certificate under our CA from every client.
    pub(crate) fn server_config(&self, clients_certified: bool) -> Result<rustls::ServerConfig, IdentityError> {
        let config = rustls::ServerConfig::builder();
        let config = if clients_certified {
            let verifier = rustls::server::WebPkiClientVerifier::builder(Arc::clone(&self.0.roots)).build()?;
            config.with_client_cert_verifier(verifier)
        } else {
            config.with_no_client_auth()
        };
        let mut config = config.with_single_cert(self.0.chain.clone(), self.private_key()?)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    fn private_key(&self) -> Result<PrivateKeyDer<'static>, rustls::Error> {
        PrivateKeyDer::from_pem_slice(self.0.key_pem.as_bytes())
            .map_err(|_| rustls::Error::General("the private key is not PEM".into()))
    }
}

impl fmt::Debug for DeviceIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceIdentity({})", self.0.name)
    }
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

/// What a client without a device identity (an app, a browser) trusts.
pub(crate) fn roots(ca: &Path) -> Result<rustls::RootCertStore, IdentityError> {
    root_store(&read(ca)?, ca)
}

fn root_store(pem: &str, path: &Path) -> Result<rustls::RootCertStore, IdentityError> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in certificates(pem, path)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}
