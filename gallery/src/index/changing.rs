//! Several changes in one go: a search waits once for all of them.

use std::sync::RwLockWriteGuard;

use facegate_domain::ids::{RiderId, TemplateId};

use super::{Contents, Index, Row};
use crate::engine::EngineError;

/// Changes that come into force for every search when this is dropped. Keep it for microseconds.
pub(crate) struct Changing<'i>(RwLockWriteGuard<'i, Contents>);

impl Index {
    pub(crate) fn changing(&self) -> Changing<'_> {
        Changing(self.write())
    }
}

impl Changing<'_> {
    pub fn put(&mut self, row: &Row) -> Result<(), EngineError> {
        self.0.put(row)
    }

    pub fn remove(&mut self, template: TemplateId) -> bool {
        let row = self.0.rows.row_of(template);
        row.map(|row| self.0.remove(row)).is_some()
    }

    pub fn remove_rider(&mut self, rider: RiderId) -> usize {
        let mut removed = 0;
        while let Some(row) = self.0.rows.rows_of(rider).first().copied() {
            self.0.remove(row);
            removed += 1;
        }
        self.0.tiers.values_mut().for_each(|members| members.leave(rider));
        removed
    }
}
