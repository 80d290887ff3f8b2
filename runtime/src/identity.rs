//! Who a process is, and who calls it: X.509 certificates under the operator's own CA.
//!
//! A device's certificate carries the URI `facegate://<role>/<id>` among its subject alternative names, and if the
//! role serves anything also DNS `localhost` and the hosts it was issued for. Both ends of every connection
//! check the other's chain, role, **and** that it was not revoked: a stolen gate certificate cannot pose as a station.
//!
//! The files may be replaced at any time: [`DeviceIdentity::keep_fresh`] notices, and every handshake after that uses
//! what they hold now, without a restart. A set of files that does not fit together is reported and not used.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use facegate_domain::Timestamp;
use rustls::client::Resumption;
use rustls::server::NoServerSessionStorage;
use tokio::sync::watch;

pub mod ca;
mod fresh;
mod material;
mod peer;
mod renew;
mod revoked;
mod verifier;

use material::Material;
pub(crate) use material::roots;

pub use fresh::ENDS_SOON;
pub use peer::{Connection, PeerError, PeerIdentity, PeerRefusal, Role, certificate_ends, require};
pub use renew::RenewError;

/// Where a device's identity lies: its certificate chain, its private key, the operator's CA and, if the operator
/// revokes, the CA's revocation lists, all PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsPaths {
    pub cert: PathBuf,
    pub key: PathBuf,
    pub ca: PathBuf,
    pub crl: Option<PathBuf>,
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
    #[error("{} holds a revocation list that no CA of the CA file has signed; get the operator's own", path.display())]
    ForeignRevocations { path: PathBuf },
    #[error("{} is now of {found}, this process is {ours}: put its own certificate back", path.display())]
    Renamed { path: PathBuf, found: PeerIdentity, ours: PeerIdentity },
}

/// This process's own identity, as its files hold it now. Cheap to clone; `Debug` shows the name, never the key.
#[derive(Clone)]
pub struct DeviceIdentity(Arc<Shared>);

struct Shared {
    name: PeerIdentity,
    paths: TlsPaths,
    current: watch::Sender<Arc<Material>>,
}

impl DeviceIdentity {
    /// # Errors
    /// If a file is missing or not PEM, the certificate names no Facegate role, key and certificate are not a pair, or
    /// a revocation list is of another CA.
    pub fn load(paths: &TlsPaths) -> Result<Self, IdentityError> {
        crate::install_crypto();
        let material = Arc::new(Material::load(paths)?);
        let name = material.name.clone();
        Ok(Self(Arc::new(Shared { name, paths: paths.clone(), current: watch::Sender::new(material) })))
    }

    /// Reads the files again; what they hold now counts from the next handshake on, and the revocation lists at once.
    ///
    /// # Errors
    /// As [`DeviceIdentity::load`], and `Renamed`; then everything stays as it was.
    pub fn reload(&self) -> Result<(), IdentityError> {
        let material = Material::load(&self.0.paths)?;
        if material.name != self.0.name {
            let (path, found, ours) = (self.0.paths.cert.clone(), material.name, self.0.name.clone());
            return Err(IdentityError::Renamed { path, found, ours });
        }
        self.0.current.send_replace(Arc::new(material));
        Ok(())
    }

    /// Our own role and id, as our peers see them.
    pub fn name(&self) -> &PeerIdentity {
        &self.0.name
    }

    /// When our own certificate ends.
    pub fn expires_at(&self) -> Timestamp {
        self.material().expires_at
    }

    /// Our own certificate's serial number, hexadecimal.
    pub fn serial(&self) -> String {
        revoked::serial_of(self.material().leaf()).unwrap_or_default()
    }

    pub fn paths(&self) -> &TlsPaths {
        &self.0.paths
    }

    fn material(&self) -> Arc<Material> {
        Arc::clone(&self.0.current.borrow())
    }

    /// Whether the operator has taken this certificate (DER) back.
    pub(crate) fn is_revoked(&self, certificate: &[u8]) -> bool {
        self.material().revoked.holds(certificate)
    }

    /// Resolves once a connection to or from the holder of `peer` should be made anew: our own certificate was replaced
    /// (only asked for by clients, `ours`), or the peer's was revoked.
    pub(crate) fn outdated(&self, peer: Vec<u8>, ours: bool) -> impl Future<Output = ()> + Send + use<> {
        let mut current = self.0.current.subscribe();
        let used = current.borrow_and_update().leaf().clone();
        async move {
            let over = |now: &Arc<Material>| (ours && *now.leaf() != used) || now.revoked.holds(&peer);
            // An identity that is dropped changes no more.
            if current.wait_for(over).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// TLS as a client of a `server`, presenting our certificate. Nothing is resumed, so that each connection is checked.
    pub(crate) fn client_config(&self, server: Role) -> rustls::ClientConfig {
        let servers = verifier::Servers { identity: self.clone(), role: server };
        let config = rustls::ClientConfig::builder().dangerous().with_custom_certificate_verifier(Arc::new(servers));
        let mut config = config.with_client_cert_resolver(Arc::new(self.clone()));
        config.resumption = Resumption::disabled();
        config
    }

    /// TLS as a server; `clients_certified` demands a certificate under our CA from every client.
    pub(crate) fn server_config(&self, clients_certified: bool) -> rustls::ServerConfig {
        let config = rustls::ServerConfig::builder();
        if !clients_certified {
            return config.with_no_client_auth().with_cert_resolver(Arc::new(self.clone()));
        }
        let config = config.with_client_cert_verifier(Arc::new(verifier::Clients(self.clone())));
        let mut config = config.with_cert_resolver(Arc::new(self.clone()));
        // A resumed session would bring a certificate along that was checked when it began.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config
    }
}

impl fmt::Debug for DeviceIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceIdentity({})", self.0.name)
    }
}
