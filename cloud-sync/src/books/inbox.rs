//! The folder into which settlement files are put, and what becomes of them: each is imported and moved to `imported/`, or
//! moved to `refused/` beside a text that says why. Of acquirers that hand their files out, yesterday's is fetched.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use facegate_domain::travel_day::TravelDays;
use jiff::civil::Date;
use tokio_util::sync::CancellationToken;

use super::{BooksError, Desk};
use crate::charging::acquirer::Acquirers;
use crate::store::{SettlementFile, SettlementRefusal};

/// Who imports, in the audit log.
const BY: &str = "cloud/inbox";

/// Between two tries to fetch a file that is not there.
const FETCHED_EVERY: Duration = Duration::from_secs(3600);
/// From the end of an acquirer's day until its file is looked for.
const READY_AFTER: Duration = Duration::from_secs(600);
/// One replica fetches.
const TURN: &str = "books-inbox";

/// Looks into the folder now and then, until `stop`.
pub async fn run(desk: Arc<Desk>, acquirers: Acquirers, stop: CancellationToken) {
    let me = uuid::Uuid::new_v4().to_string();
    loop {
        let fetching = async {
            let now = desk.clock.now();
            if desk.store.hold_lease(TURN, &me, now, FETCHED_EVERY).await? {
                fetch(&desk, &acquirers).await
            } else {
                Ok(())
            }
        };
        if let Some(Err(error)) = stop.run_until_cancelled(fetching).await {
            tracing::error!(%error, "settlement files could not be fetched; it is tried again");
        }
        if let Some(Err(error)) = stop.run_until_cancelled(round(&desk)).await {
            tracing::error!(%error, "the folder of settlement files could not be looked through; it is tried again");
        }
        if stop.run_until_cancelled(tokio::time::sleep(desk.config.inbox_every)).await.is_none() {
            return;
        }
    }
}

/// Fetches yesterday's file of each acquirer that hands one out, unless it is here.
pub async fn fetch(desk: &Desk, acquirers: &Acquirers) -> Result<(), BooksError> {
    let Ok(dates) = TravelDays::new("UTC", "00:00") else { return Ok(()) };
    let yesterday = dates.of(desk.clock.now().minus(READY_AFTER)).yesterday().unwrap_or(Date::MIN);
    let files = desk.store.settlement_files(yesterday).await?;
    for acquirer in acquirers.all() {
        let name = format!("settlement-{}-{yesterday}.csv", acquirer.name());
        let of = |file: &SettlementFile| {
            let header = &file.settlement.header;
            header.acquirer == acquirer.name() && header.date == yesterday
        };
        let refused = folder(desk).join("refused").join(&name);
        let tried = std::fs::metadata(&refused).and_then(|file| file.modified()).ok().and_then(|at| at.elapsed().ok());
        if files.iter().any(of) || tried.is_some_and(|ago| ago < FETCHED_EVERY) {
            continue;
        }
        let inbox = folder(desk);
        let part = inbox.join(format!(".{name}.part"));
        match acquirer.settlement(yesterday, desk.currency, &part).await {
            Ok(false) => {}
            Ok(true) => std::fs::rename(&part, inbox.join(&name)).map_err(BooksError::write(&part))?,
            Err(trouble) => {
                tracing::warn!(acquirer = acquirer.name(), %trouble, "its settlement file is fetched later");
            }
        }
    }
    Ok(())
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
            // Another replica was faster, or it was put there twice.
            Ok(_) | Err(BooksError::Refused { source: SettlementRefusal::Imported { .. }, .. }) => {
                keep(&path, "imported", None)?;
            }
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
