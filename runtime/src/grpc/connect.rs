//! A client's connections: TCP, then TLS with what the identity holds at that moment.

use std::io;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::ending::Ending;
use super::{ALPN_H2, HANDSHAKE_TIMEOUT};
use crate::identity::{DeviceIdentity, Role};

/// A connection as tonic takes it.
pub(super) type Connected = TokioIo<Ending<TlsStream<TcpStream>>>;

#[derive(Clone)]
pub(super) struct Connector {
    identity: DeviceIdentity,
    config: Arc<ClientConfig>,
    host: String,
    port: u16,
    name: ServerName<'static>,
}

impl Connector {
    /// `authority` is `host:port`; an IPv6 address stands in brackets.
    pub fn new(identity: DeviceIdentity, server: Role, authority: &str) -> Result<Self, String> {
        let authority: http::uri::Authority =
            authority.trim_end_matches('/').parse().map_err(|error: http::uri::InvalidUri| error.to_string())?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = authority.port_u16().unwrap_or(443);
        let name = ServerName::try_from(host.clone()).map_err(|error| error.to_string())?;
        let mut config = identity.client_config(server);
        config.alpn_protocols = vec![ALPN_H2.to_vec()];
        Ok(Self { identity, config: Arc::new(config), host, port, name })
    }

    pub async fn connect(&self) -> io::Result<Connected> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        let handshake = TlsConnector::from(Arc::clone(&self.config)).connect(self.name.clone(), stream);
        let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake)
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the server did not finish the TLS handshake"))??;
        let peer = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let outdated = self.identity.outdated(peer.map(|peer| peer.to_vec()).unwrap_or_default(), true);
        Ok(TokioIo::new(Ending::new(stream, (), outdated)))
    }
}
