//! A server's connections: accepted, through the handshake, and only then seen by tonic.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::Stream;
use tonic::transport::server::Connected;

use super::ending::Ending;
use super::{ALPN_H2, HANDSHAKE_TIMEOUT};
use crate::identity::{Connection, DeviceIdentity};

/// Handshakes at a time; more connections wait to be accepted.
const HANDSHAKES_MAX: usize = 256;

/// Verified connections of a listener.
pub struct Incoming {
    listener: TcpListener,
    identity: DeviceIdentity,
    config: Arc<ServerConfig>,
    handshakes: JoinSet<io::Result<Accepted>>,
}

impl Incoming {
    pub(super) fn new(listener: std::net::TcpListener, identity: DeviceIdentity) -> io::Result<Self> {
        crate::install_crypto();
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let mut config = identity.server_config(true);
        config.alpn_protocols = vec![ALPN_H2.to_vec()];
        Ok(Self { listener, identity, config: Arc::new(config), handshakes: JoinSet::new() })
    }

    fn begin(&mut self, stream: TcpStream) {
        let (config, identity) = (Arc::clone(&self.config), self.identity.clone());
        self.handshakes.spawn(async move {
            stream.set_nodelay(true)?;
            let handshake = TlsAcceptor::from(config).accept(stream);
            let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await??;
            Ok(accepted(stream, identity))
        });
    }
}

impl Stream for Incoming {
    type Item = io::Result<Accepted>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            while self.handshakes.len() < HANDSHAKES_MAX {
                match self.listener.poll_accept(cx) {
                    Poll::Ready(Ok((stream, _))) => self.begin(stream),
                    Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error))),
                    Poll::Pending => break,
                }
            }
            match self.handshakes.poll_join_next(cx) {
                Poll::Ready(Some(Ok(Ok(stream)))) => return Poll::Ready(Some(Ok(stream))),
                Poll::Ready(Some(Ok(Err(error)))) => tracing::debug!(%error, "a connection ended in its handshake"),
                Poll::Ready(Some(Err(error))) => tracing::error!(%error, "a handshake panicked"),
                // Without handshakes, the listener alone wakes us.
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Incoming({:?})", self.listener)
    }
}

/// A connection whose client has shown a certificate under our CA.
pub type Accepted = Ending<TlsStream<TcpStream>, Connection>;

fn accepted(stream: TlsStream<TcpStream>, server: DeviceIdentity) -> Accepted {
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let certificate = certificate.map(|certificate| certificate.clone().into_owned());
    let outdated = server.outdated(certificate.as_deref().unwrap_or_default().to_vec(), false);
    Ending::new(stream, Connection { certificate, server }, outdated)
}

impl Connected for Accepted {
    type ConnectInfo = Connection;

    fn connect_info(&self) -> Connection {
        self.about().clone()
    }
}
