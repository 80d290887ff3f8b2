//! A disk in memory that keeps apart what a program sees and what power loss would leave.
//!
//! Each file remembers the writes since its last sync, each directory the renames since its own. Cutting the power
//! applies, by seed, a prefix of them with the last write torn, or any mixture of their sectors; file handles and
//! locks from before are dead.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::{DirLock, Disk, DiskFile};
use crate::kv::simulated::SimContent;
use crate::kv::{Database, KvError, KvOptions};

mod databases;
mod file;
mod image;

use file::{FileId, SimFile, SimHandle};
pub use image::DiskImage;

/// Cheap to clone; clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct SimDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<FileId, SimFile>,
    names: BTreeMap<PathBuf, FileId>,
    durable_names: BTreeMap<PathBuf, FileId>,
    /// Changes of names since the last sync of their directory, oldest first.
    name_changes: Vec<NameChange>,
    /// By directory.
    databases: BTreeMap<PathBuf, SimContent>,
    /// Appends are served where they are made, without a thread.
    instant: bool,
    locked: BTreeSet<PathBuf>,
    /// Counts power cuts, so that handles from before are known as dead.
    boot: u64,
    /// After a power cut, until the power is restored.
    off: bool,
    /// Changes to go before the power cuts itself, and the seed for what it leaves.
    cut_after: Option<(u64, u64)>,
    capacity_bytes: Option<u64>,
    syncs_to_fail: u32,
    /// Says done to a sync, and does it with the next.
    lies: bool,
    syncs: u64,
}

#[derive(Clone, Debug)]
struct NameChange {
    dir: PathBuf,
    gone: Option<PathBuf>,
    come: Option<(PathBuf, FileId)>,
}

impl SimDisk {
    pub fn new() -> Self {
        Self::default()
    }

    /// A disk on which nobody waits in a thread, so that a run is the same each time.
    pub fn instant() -> Self {
        let disk = Self::default();
        disk.state().instant = true;
        disk
    }

    /// The process dies and the machine lives on: files are as it wrote them, databases lose what it had buffered, as
    /// `seed` has it. Handles and locks from before are dead.
    pub fn kill_process(&self, seed: u64) {
        let mut state = self.state();
        let mut rng = SmallRng::seed_from_u64(seed);
        state.databases.values_mut().for_each(|database| database.lose_process(&mut rng));
        state.locked.clear();
        state.cut_after = None;
        state.boot += 1;
    }

    /// Whether the power is cut.
    pub fn is_off(&self) -> bool {
        self.state().off
    }

    /// The power fails: what was not synced is lost, kept or torn as `seed` has it, and nothing works until
    /// [`SimDisk::restore_power`].
    pub fn cut_power(&self, seed: u64) {
        self.state().cut_power(seed);
    }

    /// Cuts the power by itself before the change (write, sync, new name…) after the next `changes`.
    pub fn cut_power_after(&self, changes: u64, seed: u64) {
        self.state().cut_after = Some((changes, seed));
    }

    /// Takes back [`SimDisk::cut_power_after`].
    pub fn never_cut_power(&self) {
        self.state().cut_after = None;
    }

    /// The machine starts again. Handles and locks from before stay dead.
    pub fn restore_power(&self) {
        let mut state = self.state();
        state.off = false;
        state.cut_after = None;
    }

    /// Writes beyond this many bytes in all files fail with `StorageFull`, after as much as fits.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity_bytes = bytes;
    }

    /// The next `count` syncs of file content fail, and what they should have made durable counts as written
    /// to nobody: as on Linux, a later sync succeeds without it.
    pub fn fail_syncs(&self, count: u32) {
        self.state().syncs_to_fail = count;
    }

    /// From now on a sync says done at once and is done with the next one, as drives do whose cache does not outlive the
    /// power: what was said of the last is lost with it. No program can bear this; tests see whether they notice.
    pub fn lie_about_syncs(&self) {
        self.state().lies = true;
    }

    /// Successful syncs of file content so far.
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// Content of all files and databases.
    pub fn used_bytes(&self) -> u64 {
        self.state().used_bytes()
    }

    /// A file's content as a program sees it, for tests that damage it.
    pub fn content(&self, path: &Path) -> io::Result<Vec<u8>> {
        let state = self.state();
        Ok(state.file(state.id(path)?)?.seen.clone())
    }

    /// Replaces a file's content, durably: rot, or an operator's editor.
    pub fn set_content(&self, path: &Path, content: Vec<u8>) -> io::Result<()> {
        let mut state = self.state();
        let id = state.id(path)?;
        state.files.insert(id, SimFile::durable(content));
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self, id: FileId, boot: u64) -> Arc<dyn DiskFile> {
        Arc::new(SimHandle { disk: self.clone(), id, boot })
    }
}

impl State {
    fn cut_power(&mut self, seed: u64) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let changes = std::mem::take(&mut self.name_changes);
        let kept = rng.random_range(0..=changes.len());
        for change in &changes[..kept] {
            apply(&mut self.durable_names, change);
        }
        self.names = self.durable_names.clone();
        let named: BTreeSet<_> = self.names.values().copied().collect();
        self.files.retain(|id, _| named.contains(id));
        self.files.values_mut().for_each(|file| file.lose_power(&mut rng));
        self.databases.values_mut().for_each(|database| database.lose_power(&mut rng));
        self.locked.clear();
        self.boot += 1;
        self.off = true;
    }

    /// To be called before every change.
    fn powered(&mut self) -> io::Result<()> {
        match self.cut_after {
            Some((0, seed)) if !self.off => self.cut_power(seed),
            Some((changes, seed)) => self.cut_after = Some((changes.saturating_sub(1), seed)),
            None => (),
        }
        if self.off { Err(io::Error::other("the power is off")) } else { Ok(()) }
    }

    fn id(&self, path: &Path) -> io::Result<FileId> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn file(&self, id: FileId) -> io::Result<&SimFile> {
        self.files.get(&id).ok_or_else(|| io::Error::other("the file was on a disk that lost its power"))
    }

    fn change(&mut self, change: NameChange) {
        apply(&mut self.names, &change);
        self.name_changes.push(change);
    }

    fn free_bytes(&self) -> u64 {
        let Some(capacity) = self.capacity_bytes else { return u64::MAX };
        capacity.saturating_sub(self.used_bytes())
    }

    fn used_bytes(&self) -> u64 {
        let files: usize = self.files.values().map(|file| file.seen.len()).sum();
        (files + self.databases.values().map(SimContent::durable_bytes).sum::<usize>()) as u64
    }
}

fn apply(names: &mut BTreeMap<PathBuf, FileId>, change: &NameChange) {
    if let Some(gone) = &change.gone {
        names.remove(gone);
    }
    if let Some((path, id)) = &change.come {
        names.insert(path.clone(), *id);
    }
}

fn parent(path: &Path) -> PathBuf {
    path.parent().map(Path::to_owned).unwrap_or_default()
}

impl Disk for SimDisk {
    fn create_dir(&self, _: &Path) -> io::Result<()> {
        self.state().powered()
    }

    fn lock(&self, dir: &Path) -> io::Result<DirLock> {
        let mut state = self.state();
        state.powered()?;
        if !state.locked.insert(dir.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(SimLock { disk: self.clone(), dir: dir.to_owned(), boot: state.boot }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        let inside = state.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside.filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect())
    }

    fn list_dirs(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        let below = state.names.keys().filter_map(|path| path.parent()?.strip_prefix(dir).ok());
        let first = below.filter_map(|path| path.components().next()?.as_os_str().to_str());
        Ok(first.map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect())
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        let inside: Vec<PathBuf> = self.state().names.keys().filter(|path| path.starts_with(dir)).cloned().collect();
        inside.iter().try_for_each(|path| self.remove(path))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        state.powered()?;
        let id = FileId::next();
        state.files.insert(id, SimFile::default());
        state.change(NameChange { dir: parent(path), gone: None, come: Some((path.to_owned(), id)) });
        Ok(self.handle(id, state.boot))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let state = self.state();
        Ok(self.handle(state.id(path)?, state.boot))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.powered()?;
        let id = state.id(from)?;
        let change = NameChange { dir: parent(to), gone: Some(from.to_owned()), come: Some((to.to_owned(), id)) };
        state.change(change);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.powered()?;
        state.id(path)?;
        state.change(NameChange { dir: parent(path), gone: Some(path.to_owned()), come: None });
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.powered()?;
        let (synced, pending) = std::mem::take(&mut state.name_changes).into_iter().partition(|c| c.dir == dir);
        state.name_changes = pending;
        let synced: Vec<NameChange> = synced;
        synced.iter().for_each(|change| apply(&mut state.durable_names, change));
        Ok(())
    }

    fn database(&self, dir: &Path, _: KvOptions) -> Result<Database, KvError> {
        self.open_database(dir)
    }

    fn is_instant(&self) -> bool {
        self.state().instant
    }
}

struct SimLock {
    disk: SimDisk,
    dir: PathBuf,
    boot: u64,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        // After a power cut somebody else may hold the lock already.
        if state.boot == self.boot {
            state.locked.remove(&self.dir);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path() -> &'static Path {
        Path::new("dir/file")
    }

    #[test]
    fn what_was_synced_stays_and_the_rest_takes_every_shape() {
        let mut shapes = BTreeSet::new();
        for seed in 0..200 {
            let disk = SimDisk::new();
            let file = disk.create(path()).unwrap();
            file.write_at(0, &[b'a'; 100]).unwrap();
            file.sync_data().unwrap();
            disk.sync_dir(Path::new("dir")).unwrap();
            file.write_at(100, &[b'b'; 100]).unwrap();
            disk.cut_power(seed);
            assert!(file.size().is_err(), "a handle from before the cut is dead");
            disk.restore_power();
            let content = disk.content(path()).unwrap();
            assert!(content.starts_with(&[b'a'; 100]), "seed {seed}");
            let kept = content[100..].iter().filter(|byte| **byte == b'b').count();
            shapes.insert(if kept == 0 {
                "lost"
            } else if kept < 100 {
                "torn"
            } else {
                "kept"
            });
        }
        assert_eq!(shapes, BTreeSet::from(["kept", "lost", "torn"]));
    }

    #[test]
    fn a_name_lasts_only_once_its_directory_is_synced() {
        let survives = |synced: bool, seed| {
            let disk = SimDisk::new();
            disk.create(path()).unwrap().sync_data().unwrap();
            if synced {
                disk.sync_dir(Path::new("dir")).unwrap();
            }
            disk.cut_power(seed);
            disk.restore_power();
            disk.open(path()).is_ok()
        };
        assert!((0..50).all(|seed| survives(true, seed)));
        assert!((0..50).any(|seed| !survives(false, seed)));
    }

    #[test]
    fn a_full_disk_takes_what_fits() {
        let disk = SimDisk::new();
        disk.set_capacity(Some(10));
        let file = disk.create(path()).unwrap();
        assert_eq!(file.write_at(0, &[1; 16]).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(file.size().unwrap(), 10);
    }
}
