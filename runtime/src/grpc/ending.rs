//! A connection that ends when its certificates are out of date.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// From the moment that certificates are out of date to the end of the connection: calls under way may finish, and a
/// revoked caller is told why.
const GRACE: Duration = Duration::from_secs(10);

/// Reads as closed a little after `outdated` has resolved; what uses it then connects again.
pub(super) struct Ending<S> {
    stream: S,
    outdated: Pin<Box<dyn Future<Output = ()> + Send>>,
    over: bool,
}

impl<S> Ending<S> {
    pub fn new(stream: S, outdated: impl Future<Output = ()> + Send + 'static) -> Self {
        let outdated = Box::pin(async move {
            outdated.await;
            tokio::time::sleep(GRACE).await;
        });
        Self { stream, outdated, over: false }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Ending<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.over && self.outdated.as_mut().poll(cx).is_ready() {
            self.over = true;
        }
        if self.over {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Ending<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
