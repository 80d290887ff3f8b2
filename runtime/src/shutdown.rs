//! Stopping in order: the first SIGINT or SIGTERM asks, the second insists.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that is cancelled at the first SIGINT or SIGTERM. A second signal ends the process at once with
/// status 130, which loses nothing that was acknowledged. Call inside a tokio runtime.
pub fn on_signals() -> io::Result<CancellationToken> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        let name = tokio::select! { _ = interrupt.recv() => "SIGINT", _ = terminate.recv() => "SIGTERM" };
        tracing::info!(signal = name, "stopping; a second signal stops at once");
        cancelled.cancel();
        tokio::select! { _ = interrupt.recv() => (), _ = terminate.recv() => () }
        tracing::warn!("stopped at once on the second signal");
        std::process::exit(130);
    });
    Ok(token)
}
