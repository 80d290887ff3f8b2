//! One sync for all that wait, and a real one: the disk's syncs are counted below the journal.
#![allow(clippy::unwrap_used)]

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use facegate_runtime::disk::{DirLock, Disk, DiskFile, RealDisk};
use facegate_runtime::journal::{Journal, JournalOptions};

/// A real disk whose syncs are counted, and wait while the gate is shut.
#[derive(Debug, Default)]
struct Watched {
    syncs: AtomicU64,
    shut: Mutex<bool>,
    opened: Condvar,
}

impl Watched {
    fn shut(&self, shut: bool) {
        *self.shut.lock().unwrap() = shut;
        self.opened.notify_all();
    }

    fn file(self: &Arc<Self>, inner: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(WatchedFile { inner, watched: Arc::clone(self) })
    }
}

#[derive(Debug)]
struct WatchedDisk(Arc<Watched>);

impl Disk for WatchedDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.create_dir(dir)
    }
    fn lock(&self, dir: &Path) -> io::Result<DirLock> {
        RealDisk.lock(dir)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(dir)
    }
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.0.file(RealDisk.create(path)?))
    }
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.0.file(RealDisk.open(path)?))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.sync_dir(dir)
    }
}

#[derive(Debug)]
struct WatchedFile {
    inner: Arc<dyn DiskFile>,
    watched: Arc<Watched>,
}

impl DiskFile for WatchedFile {
    fn size(&self) -> io::Result<u64> {
        self.inner.size()
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.inner.read_at(offset, buffer)
    }
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.inner.write_at(offset, bytes)
    }
    fn truncate(&self, size: u64) -> io::Result<()> {
        self.inner.truncate(size)
    }
    fn sync_data(&self) -> io::Result<()> {
        let shut = self.watched.shut.lock().unwrap();
        drop(self.watched.opened.wait_while(shut, |shut| *shut).unwrap());
        self.inner.sync_data()?;
        self.watched.syncs.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

fn open(dir: &Path) -> (Journal, Arc<Watched>) {
    let watched = Arc::new(Watched::default());
    let disk = Arc::new(WatchedDisk(Arc::clone(&watched)));
    let (journal, _) = Journal::open(disk, dir, JournalOptions::default()).unwrap();
    watched.syncs.store(0, Ordering::SeqCst);
    (journal, watched)
}

#[tokio::test]
async fn an_append_returns_only_after_a_sync() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, watched) = open(dir.path());
    for done in 1..=5 {
        journal.append(b"tap".to_vec()).await.unwrap();
        assert_eq!(watched.syncs.load(Ordering::SeqCst), done);
    }
    watched.shut(true);
    let waiting = tokio::spawn({
        let journal = journal.clone();
        async move { journal.append(b"tap".to_vec()).await }
    });
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert!(!waiting.is_finished() && journal.next_index() == 5, "nobody may see what is not durable");
    watched.shut(false);
    assert_eq!(waiting.await.unwrap().unwrap(), 5);
}

#[tokio::test]
async fn all_that_wait_share_one_sync() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, watched) = open(dir.path());
    watched.shut(true);
    let appends: Vec<_> = (0..500u32)
        .map(|number| {
            let journal = journal.clone();
            tokio::spawn(async move { journal.append(number.to_le_bytes().to_vec()).await })
        })
        .collect();
    // Turns of this single-threaded runtime put every append into the queue behind the shut gate; a turn may end after
    // some sixty tasks to look at its drivers.
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    watched.shut(false);
    let mut indexes = Vec::new();
    for append in appends {
        indexes.push(append.await.unwrap().unwrap());
    }
    indexes.sort_unstable();
    assert!(indexes.into_iter().eq(0..500));
    let syncs = watched.syncs.load(Ordering::SeqCst);
    assert!((1..=2).contains(&syncs), "500 appends took {syncs} syncs: those before the gate and those behind it");
}
