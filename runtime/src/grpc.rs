//! gRPC under mutual TLS: servers that demand a device certificate, channels that check the server's role.
//!
//! The handshakes are ours, not tonic's, which would fix certificate and CA for as long as the process runs: here each
//! connection asks the [`DeviceIdentity`] what counts now. A connection whose own certificate was replaced, or whose
//! peer was revoked, ends a little later and is made anew.

use std::io;
use std::time::Duration;

use axum::http::{Request, Response};
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint, Server};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceExt};

use crate::identity::{DeviceIdentity, Role};

mod accept;
mod connect;
mod ending;
mod replicas;

pub use accept::Incoming;
use replicas::Replicas;

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
const ALPN_H2: &[u8] = b"h2";

/// A tonic server builder with keepalive, so that a gate that lost its power is noticed. Serve it with [`incoming`],
/// which is where TLS is.
pub fn server() -> Server {
    let keepalive = ChannelOptions::default();
    Server::builder()
        .http2_keepalive_interval(Some(keepalive.keepalive))
        .http2_keepalive_timeout(Some(keepalive.keepalive_timeout))
}

/// An already bound listener (so that the caller knows its port) as `serve_with_incoming` takes it: a client without a
/// certificate under our CA, or with a revoked one, does not get past the handshake.
pub fn incoming(listener: std::net::TcpListener, identity: &DeviceIdentity) -> io::Result<Incoming> {
    Incoming::new(listener, identity.clone())
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
    #[error("`{uri}` is not an address like https://host:port: {reason}")]
    Uri { uri: String, reason: String },
    #[error("there is no address to connect to")]
    NoAddress,
    #[error("`{uri}` must begin with https://; no connection is made without TLS")]
    NotHttps { uri: String },
}

/// A channel to the `server` role at `uri` (`https://host:port`). It connects at the first call and again after
/// every break; while there is no connection, calls fail with `UNAVAILABLE`.
pub fn channel(
    identity: &DeviceIdentity,
    uri: &str,
    server: Role,
    options: ChannelOptions,
) -> Result<Channel, ChannelError> {
    channel_to_any(identity, &[uri], server, options)
}

/// [`channel`] to whichever of the replicas at `uris` answers. The first is drawn; whenever the connection breaks, or
/// cannot be made, the next is tried. Calls that are under way when it breaks fail, as with one server.
pub fn channel_to_any(
    identity: &DeviceIdentity,
    uris: &[impl AsRef<str>],
    server: Role,
    options: ChannelOptions,
) -> Result<Channel, ChannelError> {
    crate::install_crypto();
    let connectors = uris.iter().map(|uri| connector(identity, uri.as_ref(), server)).collect::<Result<Vec<_>, _>>()?;
    let (Some(uri), Some(replicas)) = (uris.first(), Replicas::new(connectors, options.connect_timeout)) else {
        return Err(ChannelError::NoAddress);
    };
    let uri = uri.as_ref();
    let refused = |reason: String| ChannelError::Uri { uri: uri.to_owned(), reason };
    let origin = uri.parse().map_err(|error: http::uri::InvalidUri| refused(error.to_string()))?;
    // tonic refuses https:// when TLS is not its own; what the server is told is the address as it was given.
    let plain = uri.replacen("https://", "http://", 1);
    let endpoint = Endpoint::from_shared(plain).map_err(|error| refused(error.to_string()))?;
    let rounds = u32::try_from(uris.len()).unwrap_or(u32::MAX);
    let endpoint = endpoint
        .origin(origin)
        .connect_timeout(options.connect_timeout.saturating_mul(rounds))
        .timeout(options.request_timeout)
        .http2_keep_alive_interval(options.keepalive)
        .keep_alive_timeout(options.keepalive_timeout)
        .keep_alive_while_idle(true);
    Ok(endpoint.connect_with_connector_lazy(tower::service_fn(move |_: http::Uri| {
        let replicas = replicas.clone();
        async move { replicas.connect().await }
    })))
}

fn connector(identity: &DeviceIdentity, uri: &str, server: Role) -> Result<connect::Connector, ChannelError> {
    let Some(rest) = uri.strip_prefix("https://") else {
        return Err(ChannelError::NotHttps { uri: uri.to_owned() });
    };
    let refused = |reason: String| ChannelError::Uri { uri: uri.to_owned(), reason };
    connect::Connector::new(identity.clone(), server, rest).map_err(refused)
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
