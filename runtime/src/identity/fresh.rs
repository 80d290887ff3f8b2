//! Keeps an identity in step with its files, and tells in time when it ends.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use facegate_domain::Clock;
use tokio_util::sync::CancellationToken;

use super::{DeviceIdentity, TlsPaths};

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(5);
/// From here on the log and the operations page warn. Devices renew by themselves long before.
pub const ENDS_SOON: Duration = Duration::from_secs(7 * 24 * 3600);
/// How often it repeats that.
const REPEAT_MS: u64 = 3_600_000;

/// What tells that a file was replaced: length, last change, inode.
pub(super) type Stamp = Vec<Option<(u64, SystemTime, u64)>>;

impl DeviceIdentity {
    /// Reads the files again whenever they have changed, until `stop`. Sets `facegate_certificate_expires_seconds` and
    /// warns from seven days before the end, once an hour.
    pub async fn keep_fresh(self, clock: Arc<dyn Clock>, stop: CancellationToken) {
        let mut seen = self.material().stamp.clone();
        let mut warned_ms = None;
        loop {
            self.tell(&*clock, &mut warned_ms);
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
            let now = stamp(&self.0.paths);
            if now == seen {
                continue;
            }
            match self.reload() {
                Ok(()) => {
                    tracing::info!(identity = %self.name(), "certificate files were replaced and are in use");
                    warned_ms = None;
                }
                // Certificate and key are two files: between the two renames they do not fit, and a moment later they do.
                Err(error) => tracing::warn!(%error, "the replaced certificate files are not used, the old ones go on"),
            }
            // Taken before they were read: a change since then is seen next time.
            seen = now;
        }
    }

    fn tell(&self, clock: &dyn Clock, warned_ms: &mut Option<u64>) {
        let now = clock.now();
        let left_ms = self.expires_at().unix_ms().saturating_sub(now.unix_ms());
        #[allow(clippy::cast_precision_loss)]
        metrics::gauge!("facegate_certificate_expires_seconds").set(left_ms as f64 / 1000.0);
        let monotonic_ms = clock.monotonic_ms();
        let next_update = self.material().revoked.next_update;
        let list_is_old = next_update.is_some_and(|next| next < now);
        let ends_soon = left_ms < i64::try_from(ENDS_SOON.as_millis()).unwrap_or(i64::MAX);
        let due = warned_ms.is_none_or(|at| monotonic_ms.saturating_sub(at) >= REPEAT_MS);
        if !due || !(list_is_old || ends_soon) {
            return;
        }
        *warned_ms = Some(monotonic_ms);
        if ends_soon {
            let days_left = left_ms / 86_400_000;
            tracing::warn!(identity = %self.name(), days_left, "this device's certificate ends soon; renew it, the files are picked up without a restart");
        }
        if list_is_old {
            tracing::warn!(
                "the revocation list is past its date; publish a new one (`ca revoke` and `ca list` write it)"
            );
        }
    }
}

pub(super) fn stamp(paths: &TlsPaths) -> Stamp {
    let files = [&paths.cert, &paths.key, &paths.ca].into_iter().chain(&paths.crl);
    files.map(|file| stamp_of(file)).collect()
}

fn stamp_of(file: &Path) -> Option<(u64, SystemTime, u64)> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.len(), metadata.modified().ok()?, metadata.ino()))
}
