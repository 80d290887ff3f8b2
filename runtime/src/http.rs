//! HTTPS: axum routers behind rustls, and clients for them.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use tokio_util::sync::CancellationToken;

use crate::identity::{DeviceIdentity, IdentityError, Role, roots};

/// How long open requests may take to finish once shutdown was asked for.
const DRAIN: Duration = Duration::from_secs(5);

/// TLS of a listener: each handshake uses what the identity's files hold at that moment.
#[derive(Clone)]
pub struct ServerTls {
    config: Arc<rustls::ServerConfig>,
    identity: DeviceIdentity,
}

impl ServerTls {
    /// Every client must hold a device certificate: machines' interfaces. Handlers extract
    /// [`crate::identity::PeerIdentity`] and ask it for the role.
    pub fn mutual(identity: &DeviceIdentity) -> Self {
        Self::new(identity, true)
    }

    /// Clients are not asked for a certificate: pages and APIs for people and apps, which sign in otherwise.
    pub fn without_client_certificates(identity: &DeviceIdentity) -> Self {
        Self::new(identity, false)
    }

    fn new(identity: &DeviceIdentity, clients_certified: bool) -> Self {
        let mut config = identity.server_config(clients_certified);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self { config: Arc::new(config), identity: identity.clone() }
    }
}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerTls(key hidden)")
    }
}

/// Serves until `shutdown`, then finishes open requests for up to five seconds. Handlers find the caller's
/// `SocketAddr` in `ConnectInfo`.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: ServerTls,
    shutdown: CancellationToken,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let handle = Handle::new();
    let _watch = stop_on(shutdown, &handle);
    // What a handler needs to tell that its caller's certificate was revoked since the handshake.
    let router = router.layer(Extension(tls.identity));
    axum_server::from_tcp_rustls(listener, RustlsConfig::from_config(tls.config))?
        .handle(handle)
        .serve(router.into_make_service_with_connect_info::<SocketAddr>())
        .await
}

/// Serves without TLS on a loopback listener: a gate's own screen, and nothing else.
///
/// # Errors
/// `InvalidInput` if the listener is reachable from other machines.
pub async fn serve_loopback(listener: TcpListener, router: Router, shutdown: CancellationToken) -> io::Result<()> {
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        let message = format!("{address} is not a loopback address; without TLS only the machine itself is served");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    listener.set_nonblocking(true)?;
    let handle = Handle::new();
    let _watch = stop_on(shutdown, &handle);
    axum_server::from_tcp(listener)?
        .handle(handle)
        .serve(router.into_make_service_with_connect_info::<SocketAddr>())
        .await
}

/// A client of the `server` role that presents our certificate. Finish with `.build()`.
pub fn client(identity: &DeviceIdentity, server: Role) -> reqwest::ClientBuilder {
    preconfigured(identity.client_config(server))
}

/// A client with no device identity, as an app or a browser is: trusts the operator's CA in the file `ca`.
pub fn client_without_identity(ca: &Path) -> Result<reqwest::ClientBuilder, IdentityError> {
    crate::install_crypto();
    let config = rustls::ClientConfig::builder().with_root_certificates(roots(ca)?).with_no_client_auth();
    Ok(preconfigured(config))
}

/// A client of somebody else's server in the public internet, which the machine's own list of authorities vouches for; of
/// one on loopback without TLS too. Who it is follows from its address alone, so it is followed nowhere else.
pub fn public_client() -> reqwest::ClientBuilder {
    crate::install_crypto();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(3))
        .timeout(Duration::from_secs(30))
}

fn preconfigured(config: rustls::ClientConfig) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .https_only(true)
        .no_proxy()
        .connect_timeout(Duration::from_secs(3))
        .timeout(Duration::from_secs(30))
}

/// Tells the server when to stop; ends with the server, so that nothing is left waiting for a signal.
fn stop_on(shutdown: CancellationToken, handle: &Handle<SocketAddr>) -> tokio_util::task::AbortOnDropHandle<()> {
    let handle = handle.clone();
    tokio_util::task::AbortOnDropHandle::new(tokio::spawn(async move {
        shutdown.cancelled().await;
        handle.graceful_shutdown(Some(DRAIN));
    }))
}
