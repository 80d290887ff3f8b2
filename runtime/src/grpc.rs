//! gRPC under mutual TLS: servers that demand a device certificate, channels that check the server's role.

use std::io;
use std::time::Duration;

use axum::http::{Request, Response};
use tonic::body::Body;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint, Server, ServerTlsConfig};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceExt};

use crate::identity::{DeviceIdentity, IdentityError, Role};

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// TLS for a tonic server: a client without a certificate under our CA does not get past the handshake.
pub fn server_tls(identity: &DeviceIdentity) -> ServerTlsConfig {
    ServerTlsConfig::new()
        .identity(identity.tonic_identity())
        .client_ca_root(identity.tonic_ca())
        .timeout(HANDSHAKE_TIMEOUT)
}

/// A tonic server builder with [`server_tls`] and keepalive, so that a gate that lost its power is noticed.
///
/// # Errors
/// If TLS cannot be set up from the identity.
pub fn server(identity: &DeviceIdentity) -> Result<Server, tonic::transport::Error> {
    crate::install_crypto();
    let keepalive = ChannelOptions::default();
    Ok(Server::builder()
        .tls_config(server_tls(identity))?
        .http2_keepalive_interval(Some(keepalive.keepalive))
        .http2_keepalive_timeout(Some(keepalive.keepalive_timeout)))
}

/// An already bound listener (so that the caller knows its port) as `serve_with_incoming` takes it.
pub fn incoming(listener: std::net::TcpListener) -> io::Result<TcpIncoming> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    Ok(TcpIncoming::from(listener).with_nodelay(Some(true)))
}

/// How patient a channel is.
#[derive(Clone, Copy, Debug)]
pub struct ChannelOptions {
    pub connect_timeout: Duration,
    /// Until the response's head; a stream may then run for as long as it likes.
    pub request_timeout: Duration,
    /// How often a silent connection is probed.
    pub keepalive: Duration,
    /// How long a probe may go unanswered before the connection is given up.
    pub keepalive_timeout: Duration,
}

impl Default for ChannelOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            request_timeout: Duration::from_secs(10),
            keepalive: Duration::from_secs(5),
            keepalive_timeout: Duration::from_secs(5),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    #[error("`{uri}` is not an address like https://host:port: {source}")]
    Uri { uri: String, source: tonic::transport::Error },
    #[error("`{uri}` must begin with https://; no connection is made without TLS")]
    NotHttps { uri: String },
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("TLS could not be set up: {0}")]
    Tls(#[from] tonic::transport::Error),
}

/// A channel to the `server` role at `uri` (`https://host:port`). It connects at the first call and again after
/// every break; while there is no connection, calls fail with `UNAVAILABLE`.
pub fn channel(
    identity: &DeviceIdentity,
    uri: &str,
    server: Role,
    options: ChannelOptions,
) -> Result<Channel, ChannelError> {
    Ok(endpoint(identity, uri, server, options)?.connect_lazy())
}

/// What carries a client's calls: a [`channel`], or a network that a simulation made up.
pub type Wire = BoxCloneSyncService<Request<Body>, Response<Body>, WireError>;

/// Why a call did not get through. A `tonic::Status` inside is what the caller sees.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WireError(#[source] pub BoxError);

/// A channel as a wire.
pub fn wire(channel: Channel) -> Wire {
    BoxCloneSyncService::new(channel.map_err(|error| WireError(error.into())))
}

/// [`channel`] before it is made, for callers that want to connect at once or set more.
pub fn endpoint(
    identity: &DeviceIdentity,
    uri: &str,
    server: Role,
    options: ChannelOptions,
) -> Result<Endpoint, ChannelError> {
    crate::install_crypto();
    if !uri.starts_with("https://") {
        return Err(ChannelError::NotHttps { uri: uri.to_owned() });
    }
    let endpoint =
        Endpoint::from_shared(uri.to_owned()).map_err(|source| ChannelError::Uri { uri: uri.to_owned(), source })?;
    let tls = ClientTlsConfig::new().identity(identity.tonic_identity()).timeout(HANDSHAKE_TIMEOUT);
    Ok(endpoint
        .tls_config_with_verifier(tls, identity.server_verifier(server)?)?
        .connect_timeout(options.connect_timeout)
        .timeout(options.request_timeout)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(options.keepalive)
        .keep_alive_timeout(options.keepalive_timeout)
        .keep_alive_while_idle(true))
}
