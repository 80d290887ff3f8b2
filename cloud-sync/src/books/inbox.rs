//! The folder into which settlement files are put, and what becomes of them: each is imported and moved to `imported/`, or
//! moved to `refused/` beside a text that says why. Of acquirers that hand their files out, yesterday's is fetched.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{BooksError, Desk};

/// Who imports, in the audit log.
const BY: &str = "cloud/inbox";

/// Looks into the folder now and then, until `stop`.
pub async fn run(desk: Arc<Desk>, stop: CancellationToken) {
    loop {
        if let Some(Err(error)) = stop.run_until_cancelled(round(&desk)).await {
            tracing::error!(%error, "the folder of settlement files could not be looked through; it is tried again");
        }
        if stop.run_until_cancelled(tokio::time::sleep(desk.config.inbox_every)).await.is_none() {
            return;
        }
    }
}

/// Where files are put.
pub fn folder(desk: &Desk) -> PathBuf {
    desk.config.dir.join("inbox")
}

/// Imports what lies there. A file is put there whole by renaming it: names that begin with a point are left alone.
pub async fn round(desk: &Desk) -> Result<(), BooksError> {
    let inbox = folder(desk);
    let Ok(found) = std::fs::read_dir(&inbox) else { return Ok(()) };
    let mut files: Vec<PathBuf> = found.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files
        .retain(|path| path.is_file() && !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')));
    files.sort();
    for path in files {
        match desk.import(&path, BY).await {
            Ok(_) => keep(&path, "imported", None)?,
            // The file is good or not; the store is not there. It stays where it is.
            Err(error) if !error.is_refusal() => return Err(error),
            Err(error) => {
                tracing::error!(%error, "a settlement file was refused; it lies in the folder refused, with the reason");
                metrics::counter!("facegate_settlement_files_refused_total").increment(1);
                keep(&path, "refused", Some(&error.to_string()))?;
            }
        }
    }
    Ok(())
}

fn keep(path: &Path, place: &str, reason: Option<&str>) -> Result<(), BooksError> {
    let name = path.file_name().map(ToOwned::to_owned).unwrap_or_default();
    let dir = path.parent().unwrap_or(Path::new(".")).join(place);
    std::fs::create_dir_all(&dir).map_err(BooksError::write(&dir))?;
    let to = dir.join(&name);
    if let Some(reason) = reason {
        let text = dir.join(format!("{}.reason.txt", name.to_string_lossy()));
        std::fs::write(&text, format!("{reason}\n")).map_err(BooksError::write(&text))?;
    }
    std::fs::rename(path, &to).map_err(BooksError::write(&to))
}
