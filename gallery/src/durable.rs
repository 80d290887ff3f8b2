//! An index that survives: a sealed snapshot and a sealed log of the changes since.
//!
//! A change is in the log, synced, before the index knows it, so what was acknowledged is there after any crash. A
//! snapshot is written beside the work: rows chunk by chunk, then, under the lock, those that changed meanwhile, so that
//! the file is the index as it was at one version of the feed. Then the log begins anew.
//!
//! Opening reads the snapshot and the logs after it, and gives all of it or an error that names the file: nothing is
//! half-loaded. A torn end of the last log was never acknowledged and is cut off. What ends before the newest version
//! this device ever reached is refused (a restored backup would bring back the faces of people who left); `newest` keeps
//! that version in a place of its own.

mod format;
mod log;
mod newest;
mod snapshot;

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use facegate_domain::face::Template;
use facegate_domain::ids::{ModelId, RiderId, TemplateId};

use crate::engine::EngineError;
use crate::index::Index;
use format::{Format, Key};
use log::Log;
use newest::Newest;

/// Why files could not be used or written. The index in memory is as it was.
#[derive(Debug, thiserror::Error)]
pub enum DurableError {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// Cut short, altered, or sealed under another key: to be rebuilt from the cloud.
    #[error("{} is damaged: {what}; it is not used", path.display())]
    Damaged { path: PathBuf, what: &'static str },
    #[error("{} was written by a newer Facegate (format {format}); run that, or remove it to fetch everything anew", path.display())]
    Newer { path: PathBuf, format: u16 },
    /// Of another model, size or centre: to be rebuilt from the cloud.
    #[error("{} belongs to another gallery: {what}", path.display())]
    Foreign { path: PathBuf, what: &'static str },
    /// An old copy: to be rebuilt from the cloud.
    #[error("{} ends at version {found} of the feed, but this device has seen {newest}: an old copy is not used", path.display())]
    Stale { path: PathBuf, found: u64, newest: u64 },
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("too much changed while the snapshot was written; the log goes on, try again later")]
    Busy,
}

impl DurableError {
    /// Whether the files are useless, so that only fetching everything anew helps.
    pub const fn wants_rebuild(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Foreign { .. } | Self::Stale { .. })
    }
}

/// One change, as the feed tells it.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    Put(Template),
    RemoveTemplate(TemplateId),
    RemoveRider(RiderId),
}

impl Change {
    /// Brings it about in memory alone.
    pub fn apply(&self, index: &Index) -> Result<(), EngineError> {
        match self {
            Self::Put(template) => index.put(template)?,
            Self::RemoveTemplate(template) => drop(index.remove(*template)),
            Self::RemoveRider(rider) => drop(index.remove_rider(*rider)),
        }
        Ok(())
    }
}

/// Where and as what an index is kept.
#[derive(Clone)]
pub struct Place {
    /// A directory of its own.
    pub dir: PathBuf,
    /// A file outside of it, which a restored copy of the directory would not bring back.
    pub newest: PathBuf,
    pub key: [u8; 32],
    /// What templates are centred by: what was stored under another centre is not comparable.
    pub centre: Option<Vec<f32>>,
}

/// See the module. The only way to change its index.
#[derive(Debug)]
pub struct Durable {
    index: Index,
    place: Place,
    format: Format,
    files: Mutex<Files>,
    /// Begun anew, and not yet where this device has been: it may hold whom the feed removes later.
    behind: AtomicBool,
}

#[derive(Debug)]
struct Files {
    log: Log,
    newest: Newest,
    /// Of the feed; what was applied last.
    version: u64,
}

impl Durable {
    /// Opens what lies in the place, or begins an empty index there. Blocks for as long as reading it takes.
    pub fn open(model: ModelId, dims: usize, place: Place) -> Result<Self, DurableError> {
        create_dir(&place.dir)?;
        let format = Format::new(&model, dims, place.centre.as_deref(), Key::new(&place.key));
        let mut index = Index::new(model, dims);
        let logs = log::list(&place.dir)?;
        // An empty place is no old copy, but one to be filled from the cloud.
        let empty = logs.is_empty() && !snapshot::exists(&place.dir);
        let mut version = snapshot::read(&place.dir, &format, &mut index)?;
        for (i, path) in logs.iter().enumerate() {
            version = log::replay(path, &format, &index, version, i + 1 == logs.len())?;
        }
        let newest = Newest::open(&place.newest)?;
        if version < newest.version() && !empty {
            return Err(DurableError::Stale { path: place.dir, found: version, newest: newest.version() });
        }
        let log = Log::create(&place.dir, &format, version)?;
        let behind = AtomicBool::new(version < newest.version());
        Ok(Self { index, place, format, files: Mutex::new(Files { log, newest, version }), behind })
    }

    /// Removes every file of a place, to begin anew. What the device has seen stays known.
    pub fn discard(place: &Place) -> Result<(), DurableError> {
        match fs::remove_dir_all(&place.dir) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(DurableError::File { path: place.dir.clone(), source })
            }
            _ => Ok(()),
        }
    }

    /// For searches.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The version of the feed up to which everything is applied.
    pub fn version(&self) -> u64 {
        self.files().version
    }

    /// Puts changes into force that bring the index to `version` of the feed: on the disk, then for every search. Those
    /// up to the present version were applied before and are left out. On an error, none is in force.
    pub fn apply(&self, changes: &[(u64, Change)]) -> Result<(), DurableError> {
        let mut files = self.files();
        let new: Vec<_> = changes.iter().filter(|(version, _)| *version > files.version).collect();
        let Some(last) = new.last().map(|(version, _)| *version) else { return Ok(()) };
        let records: Vec<_> = new.iter().map(|(v, change)| log::Record::of(*v, change, &self.index)).collect();
        let records = records.into_iter().collect::<Result<Vec<_>, _>>()?;
        self.append(&mut files, &records)?;
        records.iter().try_for_each(|record| record.apply(&self.index))?;
        self.at(&mut files, last)
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

    /// Writes everything to one file and begins the log anew. Searches go on, and so do changes but for milliseconds at
    /// the end. On an error (a full disk) the snapshot and log of before stay in use.
    pub fn write_snapshot(&self) -> Result<(), DurableError> {
        let mut writer = snapshot::Writer::create(&self.place.dir, &self.format)?;
        let before = writer.rows(&self.index)?;
        {
            let mut files = self.files();
            writer.changed(&self.index, before, files.version)?;
            files.log = Log::create(&self.place.dir, &self.format, files.version)?;
        }
        let version = writer.finish()?;
        for path in log::list(&self.place.dir)? {
            if log::base_of(&path).is_some_and(|base| base < version) {
                fs::remove_file(&path).map_err(|source| DurableError::File { path, source })?;
            }
        }
        Ok(())
    }

    /// Makes what was put into the index by hand, while nobody else used the place, durable as `version` of the feed. It
    /// is the cloud's whole word, so that version counts from now on, even if a cloud that lost its latest days has a
    /// lower one than this device had seen.
    pub fn adopt(&self, version: u64) -> Result<(), DurableError> {
        self.files().version = version;
        self.write_snapshot()?;
        self.behind.store(false, Ordering::Release);
        self.files().newest.begin_at(version)
    }

    /// Whether it was begun anew and has not come to where this device has been: then it may hold templates that were
    /// removed long ago, and must not be searched.
    pub fn is_behind(&self) -> bool {
        self.behind.load(Ordering::Acquire)
    }

    /// Bytes in the log: what a start has to replay.
    pub fn log_bytes(&self) -> u64 {
        self.files().log.bytes()
    }

    fn at(&self, files: &mut Files, version: u64) -> Result<(), DurableError> {
        files.version = version;
        self.behind.store(version < files.newest.version(), Ordering::Release);
        files.newest.reach(version)
    }

    fn append(&self, files: &mut Files, records: &[log::Record]) -> Result<(), DurableError> {
        if files.log.is_broken() {
            files.log = Log::create(&self.place.dir, &self.format, files.version)?;
        }
        files.log.append(records)
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({})", self.dir.display())
    }
}

fn create_dir(dir: &Path) -> Result<(), DurableError> {
    use std::os::unix::fs::DirBuilderExt;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|source| DurableError::File { path: dir.to_owned(), source })
}

/// Makes names in a directory durable.
fn sync_dir(dir: &Path) -> Result<(), DurableError> {
    let synced = fs::File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|source| DurableError::File { path: dir.to_owned(), source })
}
