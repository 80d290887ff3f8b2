//! A connection that ends when its certificates are out of date.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// From the moment that certificates are out of date to the end of the connection: calls under way may finish, and a
/// revoked caller is told why.
const GRACE: Duration = Duration::from_secs(10);

/// Reads as closed a little after `outdated` has resolved; what uses it then connects again.
pub struct Ending<S, A = ()> {
    stream: S,
    about: A,
    outdated: Pin<Box<dyn Future<Output = ()> + Send>>,
    over: bool,
}

impl<S, A> Ending<S, A> {
    /// `about` is what is known of the other side.
    pub(super) fn new(stream: S, about: A, outdated: impl Future<Output = ()> + Send + 'static) -> Self {
        let outdated = Box::pin(async move {
            outdated.await;
            tokio::time::sleep(GRACE).await;
        });
        Self { stream, about, outdated, over: false }
    }

    pub(super) const fn about(&self) -> &A {
        &self.about
    }
}

impl<S, A> fmt::Debug for Ending<S, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ending").field("over", &self.over).finish_non_exhaustive()
    }
}

impl<S: AsyncRead + Unpin, A: Unpin> AsyncRead for Ending<S, A> {
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

impl<S: AsyncWrite + Unpin, A: Unpin> AsyncWrite for Ending<S, A> {
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
