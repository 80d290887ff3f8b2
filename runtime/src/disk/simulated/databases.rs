//! The databases on a simulated disk: opened, changed and committed under the same power as its files.

use std::io;
use std::path::Path;

use super::SimDisk;
use crate::kv::simulated::{SimContent, SimDatabase};
use crate::kv::{Database, KvError};

impl SimDisk {
    pub(super) fn open_database(&self, dir: &Path) -> Result<Database, KvError> {
        let mut state = self.state();
        state.powered()?;
        state.databases.entry(dir.to_owned()).or_default();
        Ok(Database::simulated(SimDatabase { disk: self.clone(), dir: dir.to_owned(), boot: state.boot }))
    }

    /// Gives `work` the database. A change counts as one for [`SimDisk::cut_power_after`].
    pub(crate) fn with_database<T>(
        &self,
        database: &SimDatabase,
        changes: bool,
        work: impl FnOnce(&mut SimContent) -> T,
    ) -> Result<T, KvError> {
        let mut state = self.state();
        if changes {
            state.powered()?;
        }
        let boot = state.boot;
        match state.databases.get_mut(&database.dir) {
            Some(content) if boot == database.boot => Ok(work(content)),
            _ => Err(io::Error::other("the database was open before the power was cut").into()),
        }
    }

    pub(crate) fn commit_database(&self, database: &SimDatabase) -> Result<(), KvError> {
        let (fails, lies, free) = {
            let mut state = self.state();
            state.powered()?;
            let fails = state.syncs_to_fail > 0;
            state.syncs_to_fail = state.syncs_to_fail.saturating_sub(1);
            (fails, state.lies, state.free_bytes())
        };
        self.with_database(database, false, |content| {
            if fails {
                content.fail();
                return Err(io::Error::other("the disk reported an error on sync").into());
            }
            if content.pending_bytes() as u64 > free {
                return Err(io::Error::from(io::ErrorKind::StorageFull).into());
            }
            if lies { content.commit_late() } else { content.commit() }
        })?
    }
}
