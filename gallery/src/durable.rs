//! An index that survives: a sealed snapshot and a sealed log of the changes since.
//!
//! A change is in the log, synced, before the index knows it, so what was acknowledged is there after any crash. A
//! snapshot is written beside the work: rows chunk by chunk, then those that changed meanwhile, the last of them under
//! the lock, so that the file is the index as it was at one version of the feed. Then the log begins anew. It does when
//! the log is long, and a day after a removal, since the files before it still hold what was removed.
//!
//! Opening reads the snapshot and the logs after it, and gives all of it or an error that names the file: nothing is
//! half-loaded. A torn end of the last log was never acknowledged and is cut off. What ends before the newest version
//! this device ever reached is refused (a restored backup would bring back the faces of people who left); `newest` keeps
//! that version in a place of its own. A backup of the whole disk, with that place, is not told apart.
//!
//! An empty place is filled by the feed or, before anybody searches it, by hand and then adopted. What is filled in by
//! hand is staged in files of its own, from which filling goes on in another process.

mod disk;
mod error;
mod format;
mod log;
mod newest;
mod place;
mod removals;
mod snapshot;
mod staged;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use facegate_domain::Timestamp;
use facegate_domain::face::Template;
use facegate_domain::ids::{ModelId, RiderId, TemplateId};

use crate::engine::EngineError;
use crate::index::{Index, Row};
use format::{Format, Key};
use log::{Log, OldLog};
use newest::Newest;
use removals::OldestRemoval;
use staged::Staged;

pub use error::DurableError;
pub use place::Place;

/// A log that long is worth a snapshot: replaying it takes about as long as reading a million templates.
const LOG_BYTES_MAX: u64 = 256 << 20;
/// Changes put into force under one lock: a search that runs waits for some of them once, not for each.
const CHANGES_AT_ONCE: usize = 16;

/// One change, as the feed tells it.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    Put(Template),
    RemoveTemplate(TemplateId),
    RemoveRider(RiderId),
}

/// What becomes of rows that were staged before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filling {
    Anew,
    GoesOn,
}

/// See the module. The only way to change its index.
#[derive(Debug)]
pub struct Durable {
    index: Index,
    place: Place,
    format: Format,
    files: Mutex<Files>,
    /// Held while a snapshot is written: there is one file for it.
    snapshot: Mutex<()>,
    /// Begun anew, and not yet where this device has been: it may hold whom the feed removes later.
    behind: AtomicBool,
    templates_max: usize,
    /// Keeps others out of the place.
    _lock: File,
}

#[derive(Debug)]
struct Files {
    log: Log,
    /// What a start has to replay before it.
    older: Vec<OldLog>,
    newest: Newest,
    /// Of the feed; what was applied last.
    version: u64,
    /// Empty when it was opened, or staged only, and not applied to since.
    by_hand: bool,
    staged: Staged,
    removal: OldestRemoval,
}

impl Durable {
    /// Opens what lies in the place, or begins an empty index there. What was staged and not adopted is removed. Blocks
    /// for as long as reading it takes.
    pub fn open(model: ModelId, dims: usize, place: Place) -> Result<Self, DurableError> {
        Self::open_and(model, dims, place, Filling::Anew)
    }

    /// Goes on filling a place by hand, from what was [kept](Durable::keep_staged) of it. Whatever else lies there is
    /// removed.
    pub fn resume(model: ModelId, dims: usize, place: Place) -> Result<Self, DurableError> {
        Self::open_and(model, dims, place, Filling::GoesOn)
    }

    fn open_and(model: ModelId, dims: usize, place: Place, filling: Filling) -> Result<Self, DurableError> {
        let lock = place.take()?;
        if filling == Filling::GoesOn {
            staged::leave_only(&place.dir)?;
        }
        let mut newest = Newest::open(&place.newest, &model)?;
        let format = Format::new(&model, dims, place.centre.as_deref(), Key::new(&place.key));
        let mut index = Index::new(model, dims);
        let logs = log::list(&place.dir)?;
        // An empty place is no old copy, but one to be filled from the cloud.
        let empty = logs.is_empty() && !snapshot::exists(&place.dir);
        snapshot::discard_fresh(&place.dir)?;
        let mut version = snapshot::read(&place.dir, &format, &mut index)?;
        let mut removal = OldestRemoval::Nothing;
        for (i, log) in logs.iter().enumerate() {
            let replayed = log::replay(&log.path, &format, &index, version, i + 1 == logs.len())?;
            version = replayed.version;
            if replayed.removed {
                removal = OldestRemoval::BEFORE_THE_START;
            }
        }
        if version < newest.version() && !empty {
            return Err(DurableError::Stale { path: place.dir, found: version, newest: newest.version() });
        }
        newest.reach(version)?;
        newest.sync()?;
        let behind = AtomicBool::new(version < newest.version());
        let log = Log::create(&place.dir, &format, version)?;
        let mut older = log::list(&place.dir)?;
        older.retain(|old| old.path != log.path());
        let staged = match filling {
            Filling::Anew => Staged::begin(&place.dir, &format)?,
            Filling::GoesOn => Staged::resume(&place.dir, &format, &index)?,
        };
        let files = Files { log, older, newest, version, by_hand: empty, staged, removal };
        Ok(Self {
            index,
            place,
            format,
            files: Mutex::new(files),
            snapshot: Mutex::default(),
            behind,
            templates_max: Index::TEMPLATES_MAX,
            _lock: lock,
        })
    }

    /// Removes every file of a place, to begin anew. What the device has seen stays known.
    pub fn discard(place: &Place) -> Result<(), DurableError> {
        place.clear()
    }

    /// For searches and memberships. What else is changed through it is not on the disk, and gone after a start, unless
    /// it is done before [`Durable::adopt`].
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The version of the feed up to which everything is applied.
    pub fn version(&self) -> u64 {
        self.files().version
    }

    /// Puts changes into force that bring the index to `version` of the feed: on the disk, then for every search. Those
    /// up to the present version were applied before and are left out. On an error none is in force, except that the
    /// index is full: then all are but new templates, since removals must not wait for room.
    pub fn apply(&self, changes: &[(u64, Change)]) -> Result<(), DurableError> {
        let mut files = self.files();
        let new: Vec<_> = changes.iter().filter(|(version, _)| *version > files.version).collect();
        let Some(last) = new.last().map(|(version, _)| *version) else { return Ok(()) };
        let is_new = |change: &Change| matches!(change, Change::Put(template) if !self.index.holds(template.id));
        let full = self.make_room(new.iter().filter(|(_, change)| is_new(change)).count()).err();
        let fit = new.iter().filter(|(_, change)| full.is_none() || !is_new(change));
        let records = fit.map(|(version, change)| log::Record::of(*version, change, |template| self.row(template)));
        let mut records = records.collect::<Result<Vec<_>, _>>()?;
        if full.is_some() {
            records.push(log::Record::nothing(last));
        }
        self.append(&mut files, &records)?;
        let mut outcome = full.map_or(Ok(()), Err);
        for some in records.chunks(CHANGES_AT_ONCE) {
            let mut index = self.index.changing();
            for record in some {
                match record.apply(&mut index) {
                    Ok(true) => files.removal.note(),
                    Ok(false) => (),
                    Err(error) => outcome = Err(error),
                }
            }
        }
        self.at(&mut files, last)?;
        Ok(outcome?)
    }

    /// Brings changes about that belong to the present version: the feed had brought them before, and the index lost them.
    /// They are in force at once, and on the disk after [`Durable::write_snapshot`]; without it they are to be repaired
    /// again after a start.
    pub fn repair(&self, changes: &[Change]) -> Result<(), DurableError> {
        let mut files = self.files();
        for some in changes.chunks(CHANGES_AT_ONCE) {
            let records =
                some.iter().map(|change| log::Record::of(files.version, change, |template| self.row(template)));
            let records = records.collect::<Result<Vec<_>, _>>()?;
            let mut index = self.index.changing();
            for record in &records {
                if record.apply(&mut index)? {
                    files.removal.note();
                }
            }
        }
        Ok(())
    }

    /// Says that the index is complete up to `version`, though the last changes concerned another index.
    pub fn reach(&self, version: u64) -> Result<(), DurableError> {
        let mut files = self.files();
        if version > files.version {
            self.append(&mut files, &[log::Record::nothing(version)])?;
            self.at(&mut files, version)?;
        }
        Ok(())
    }

    /// Says that this device had come to `version` before, though the files are gone that would tell.
    pub fn has_been_at(&self, version: u64) -> Result<(), DurableError> {
        let mut files = self.files();
        files.newest.reach(version)?;
        files.newest.sync()?;
        self.behind.store(files.version < files.newest.version(), Ordering::Release);
        Ok(())
    }

    /// Writes everything to one file and begins the log anew. Searches go on, and so do changes but for milliseconds at
    /// the end. On an error (a full disk) the snapshot and logs of before stay in use.
    pub fn write_snapshot(&self) -> Result<(), DurableError> {
        self.snapshot_as(None)
    }

    /// Whether a snapshot should be written: the log is long, or a removal is a day old.
    pub fn wants_snapshot(&self, now: Timestamp) -> bool {
        self.log_bytes() > LOG_BYTES_MAX || self.files().removal.is_due(now)
    }

    /// Inserts by hand, to be adopted. Errors: `InUse` unless the place was empty and nothing was applied.
    pub fn put(&self, template: &Template) -> Result<(), DurableError> {
        let mut files = self.files();
        self.expect_by_hand(&files)?;
        let row = self.row(template)?;
        files.staged.add(&row)?;
        Ok(self.index.changing().put(&row)?)
    }

    /// Makes what was put in by hand durable, to go on from: see [`Durable::resume`].
    pub fn keep_staged(&self) -> Result<(), DurableError> {
        self.files().staged.keep()
    }

    /// Makes what was put in by hand, while nobody else used the place, durable as `version` of the feed. It is the
    /// cloud's whole word: this is not behind any more, even if a cloud that lost its latest days has a lower version
    /// than this device had seen. Errors: `InUse` unless the place was empty and nothing was applied.
    pub fn adopt(&self, version: u64) -> Result<(), DurableError> {
        self.expect_by_hand(&self.files())?;
        self.snapshot_as(Some(version))?;
        self.files().by_hand = false;
        self.behind.store(false, Ordering::Release);
        Ok(())
    }

    /// Says that from now on this place is the one in use, and its version the newest that this device has seen, even if
    /// it is lower. Apart from [`Durable::adopt`], so that until the caller has made up his mind on the disk the place
    /// used before can be opened again.
    pub fn take_over(&self) -> Result<(), DurableError> {
        let mut files = self.files();
        let version = files.version;
        files.newest.begin_at(version)?;
        files.newest.sync()?;
        files.staged.discard()
    }

    /// Whether it was begun anew and has not come to where this device has been: then it may hold templates that were
    /// removed long ago, and must not be searched.
    pub fn is_behind(&self) -> bool {
        self.behind.load(Ordering::Acquire)
    }

    pub(crate) fn in_use(&self) -> DurableError {
        DurableError::InUse { path: self.place.dir.clone() }
    }

    /// Bytes in the logs: what a start has to replay.
    pub fn log_bytes(&self) -> u64 {
        let files = self.files();
        files.older.iter().map(|old| old.bytes).sum::<u64>() + files.log.bytes()
    }

    fn snapshot_as(&self, adopted: Option<u64>) -> Result<(), DurableError> {
        let _one = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        let removal = std::mem::replace(&mut self.files().removal, OldestRemoval::Nothing);
        let written = self.write_snapshot_as(adopted);
        if written.is_err() {
            let mut files = self.files();
            files.removal = files.removal.min(removal);
        }
        written
    }

    fn write_snapshot_as(&self, adopted: Option<u64>) -> Result<(), DurableError> {
        let mut writer = snapshot::Writer::create(&self.place.dir, &self.format, &self.index)?;
        writer.rows(&self.index)?;
        let replaced = {
            let mut files = self.files();
            let version = adopted.unwrap_or(files.version);
            writer.end(&self.index, version)?;
            self.begin_log(&mut files, version)?;
            files.version = version;
            files.older.clone()
        };
        writer.finish()?;
        let mut files = self.files();
        for old in replaced {
            disk::remove(&old.path).map_err(|source| DurableError::File { path: old.path.clone(), source })?;
            files.older.retain(|older| *older != old);
        }
        files.newest.sync()
    }

    fn at(&self, files: &mut Files, version: u64) -> Result<(), DurableError> {
        files.version = version;
        files.by_hand = false;
        self.behind.store(version < files.newest.version(), Ordering::Release);
        files.newest.reach(version)
    }

    fn append(&self, files: &mut Files, records: &[log::Record]) -> Result<(), DurableError> {
        if files.log.is_broken() {
            let version = files.version;
            self.begin_log(files, version)?;
        }
        files.log.append(records)
    }

    /// Goes on in a new log, unless the present one is new.
    fn begin_log(&self, files: &mut Files, version: u64) -> Result<(), DurableError> {
        if files.log.is_new(version) {
            return Ok(());
        }
        if files.log.is_broken() {
            files.log.cut_back()?;
        }
        let log = Log::create(&self.place.dir, &self.format, version)?;
        let old = std::mem::replace(&mut files.log, log);
        if old.path() != files.log.path() {
            files.older.push(OldLog { path: old.path().to_owned(), bytes: old.bytes() });
        }
        Ok(())
    }

    /// A template as the index stores it: centred as the place says.
    fn row(&self, template: &Template) -> Result<Row, EngineError> {
        let centred = self.place.centre.as_ref().map(|centre| template.embedding.centred(centre)).transpose()?;
        self.index.row_as(template, centred.as_ref().unwrap_or(&template.embedding))
    }

    fn make_room(&self, templates: usize) -> Result<(), EngineError> {
        if self.index.len() + templates > self.templates_max {
            return Err(crate::index::Full::Rows.into());
        }
        self.index.reserve(templates)
    }

    fn expect_by_hand(&self, files: &Files) -> Result<(), DurableError> {
        if files.by_hand { Ok(()) } else { Err(self.in_use()) }
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
