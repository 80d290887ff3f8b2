//! Durability for sled. `sled::Db::flush` writes its log with `sync_file_range`, which neither writes the file's size nor
//! empties the disk's cache, so a power cut may undo it. [`SledSync::commit`] adds the `fdatasync`, one for all that wait.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::SystemTime;

use tokio::sync::{mpsc, oneshot};

use crate::disk::{sync_dir, sync_file};

const COMMITS_QUEUED_MAX: usize = 1024;

/// `Clone`, because all that waited for a sync get the same error.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SledSyncError {
    #[error("sled could not write in {}: {source}; nothing was acknowledged, it may be tried again", dir.display())]
    Flush { dir: PathBuf, source: sled::Error },
    #[error("syncing {} failed: {source}; what the disk holds is unknown, restart the process", path.display())]
    Sync { path: PathBuf, source: Arc<io::Error> },
    #[error("the thread that syncs sled is gone; restart the process")]
    Gone,
}

/// Commits a sled database. Clones serve the same database; the thread ends with the last of them.
#[derive(Clone, Debug)]
pub struct SledSync(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    /// `None` only while dropping.
    commits: Option<mpsc::Sender<Done>>,
    thread: Option<JoinHandle<()>>,
}

type Done = oneshot::Sender<Result<(), SledSyncError>>;

impl SledSync {
    /// `dir` is the path that `db` was opened at.
    pub fn start(db: sled::Db, dir: &Path) -> io::Result<Self> {
        let (commits, queue) = mpsc::channel(COMMITS_QUEUED_MAX);
        let syncer = Syncer { db, dir: dir.to_owned(), synced: BTreeMap::new() };
        let thread = std::thread::Builder::new().name("sled-sync".into()).spawn(move || syncer.run(queue))?;
        Ok(Self(Arc::new(Handle { commits: Some(commits), thread: Some(thread) })))
    }

    /// What was written to the database before this call is durable when it returns.
    ///
    /// # Errors
    /// After a failed sync every further commit fails as well: a later success would prove nothing.
    pub async fn commit(&self) -> Result<(), SledSyncError> {
        let (done, outcome) = oneshot::channel();
        let commits = self.0.commits.as_ref().ok_or(SledSyncError::Gone)?;
        commits.send(done).await.map_err(|_| SledSyncError::Gone)?;
        outcome.await.map_err(|_| SledSyncError::Gone)?
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // The thread holds the database open; waiting for it lets the next one open it.
        self.commits = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that syncs sled panicked");
        }
    }
}

struct Syncer {
    db: sled::Db,
    dir: PathBuf,
    /// Files synced before, with what their metadata said then; sled's large values lie in files of their own.
    synced: Files,
}

/// Size and time of the last change, by path.
type Files = BTreeMap<PathBuf, (u64, SystemTime)>;

impl Syncer {
    fn run(mut self, mut queue: mpsc::Receiver<Done>) {
        let mut stopped = None;
        while let Some(first) = queue.blocking_recv() {
            let mut waiting = vec![first];
            while waiting.len() < COMMITS_QUEUED_MAX
                && let Ok(done) = queue.try_recv()
            {
                waiting.push(done);
            }
            let result = stopped.clone().map_or_else(|| self.commit(), Err);
            if let Err(error @ SledSyncError::Sync { .. }) = &result {
                stopped = Some(error.clone());
            }
            // A caller who stopped waiting is told nothing.
            waiting.into_iter().for_each(|done| drop(done.send(result.clone())));
        }
    }

    fn commit(&mut self) -> Result<(), SledSyncError> {
        self.db.flush().map_err(|source| SledSyncError::Flush { dir: self.dir.clone(), source })?;
        let failed = |path: &Path| {
            let path = path.to_owned();
            |source| SledSyncError::Sync { path, source: Arc::new(source) }
        };
        // The log first: it alone changes in place, under one name, whatever its metadata say.
        let log = self.dir.join("db");
        sync_file(&log).map_err(failed(&log))?;
        let mut found = BTreeMap::new();
        for dir in [self.dir.clone(), self.dir.join("blobs")] {
            self.sync_changed(&dir, &log, &mut found).map_err(failed(&dir))?;
        }
        self.synced = found;
        Ok(())
    }

    /// Syncs the files of `dir` that are new or changed since last time, and then their names.
    fn sync_changed(&self, dir: &Path, except: &Path, found: &mut Files) -> io::Result<()> {
        let mut any = false;
        for entry in std::fs::read_dir(dir)? {
            let path = entry?.path();
            // sled removes snapshots and large values by itself, at any time: gone is as good as synced.
            let Ok(metadata) = std::fs::metadata(&path) else { continue };
            let state = (metadata.len(), metadata.modified()?);
            if !metadata.is_file() || path == except {
                continue;
            }
            if self.synced.get(&path) != Some(&state) {
                match sync_file(&path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    synced => synced?,
                }
                any = true;
            }
            found.insert(path, state);
        }
        if any { sync_dir(dir) } else { Ok(()) }
    }
}
