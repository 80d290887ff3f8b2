//! Templates that were removed here for ever: their ids, which are random and say nothing. Should the feed or a snapshot
//! bring one again, from a cloud that was restored from a backup, it is refused and reported, until the cloud has erased
//! it once more.
//!
//! | key | value |
//! |---|---|
//! | `t` template (16) | when it was removed, unix milliseconds, 8 bytes big-endian |
//! | `b` template (16) | empty: it came back and the cloud has not been told |

use std::time::Duration;

use facegate_domain::Timestamp;
use facegate_domain::ids::TemplateId;
use facegate_runtime::kv::{Batch, Tree};

use super::{StoreError, number};

/// Longer than any backup is kept that somebody may restore.
pub const KEPT: Duration = Duration::from_secs(5 * 365 * 86_400);
/// Reported at a time.
const REPORTED_MAX: usize = 64;

#[derive(Debug)]
pub struct Tombstones {
    tree: Tree,
}

impl Tombstones {
    pub(super) fn new(tree: Tree) -> Self {
        Self { tree }
    }

    /// Durable after the next `Store::commit`.
    pub fn add(&self, templates: &[TemplateId], now: Timestamp) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        let at = u64::try_from(now.unix_ms()).unwrap_or(0).to_be_bytes();
        templates.iter().for_each(|template| batch.insert(key(b't', *template), at));
        Ok(self.tree.apply(batch)?)
    }

    pub fn holds(&self, template: TemplateId) -> Result<bool, StoreError> {
        Ok(self.tree.contains(key(b't', template))?)
    }

    /// Notes that a removed template came again.
    pub fn came_back(&self, template: TemplateId) -> Result<(), StoreError> {
        self.tree.insert(key(b'b', template), [])?;
        Ok(())
    }

    /// Some of those that came back and the cloud is to be told of.
    pub fn to_report(&self) -> Result<Vec<TemplateId>, StoreError> {
        self.tree.scan(b"b").take(REPORTED_MAX).map(|pair| template_of(&pair?.0)).collect()
    }

    /// The cloud has been told of these.
    pub fn reported(&self, templates: &[TemplateId]) -> Result<(), StoreError> {
        for template in templates {
            self.tree.remove(key(b'b', *template))?;
        }
        Ok(())
    }

    /// Drops those that no backup can bring back any more; gives how many.
    pub fn forget(&self, now: Timestamp) -> Result<usize, StoreError> {
        let until = u64::try_from(now.minus(KEPT).unix_ms()).unwrap_or(0);
        let mut dropped = 0;
        for entry in self.tree.scan(b"t") {
            let (key, at) = entry?;
            if number(&at, "tombstone")? < until {
                self.tree.remove(key)?;
                dropped += 1;
            }
        }
        Ok(dropped)
    }
}

fn key(kind: u8, template: TemplateId) -> Vec<u8> {
    [&[kind], template.as_bytes().as_slice()].concat()
}

fn template_of(key: &[u8]) -> Result<TemplateId, StoreError> {
    let bytes = key.get(1..).and_then(|bytes| bytes.try_into().ok());
    bytes.map(TemplateId::from_bytes).ok_or(StoreError::Damaged { what: "tombstone" })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use facegate_runtime::disk::{Disk, SimDisk};
    use facegate_runtime::kv::Database;

    use super::*;

    fn temporary() -> Database {
        SimDisk::new().database(Path::new("state"), super::super::OPTIONS).unwrap()
    }

    const NOW: Timestamp = Timestamp::from_unix_ms(1_790_000_000_000);

    #[test]
    fn a_removed_template_is_known_for_years_and_reported_until_the_cloud_has_been_told() {
        let tombstones = Tombstones::new(temporary().tree("t").unwrap());
        let (gone, other) = (TemplateId::random(), TemplateId::random());
        tombstones.add(&[gone], NOW).unwrap();
        assert!(tombstones.holds(gone).unwrap() && !tombstones.holds(other).unwrap());
        tombstones.came_back(gone).unwrap();
        assert_eq!(tombstones.to_report().unwrap(), [gone]);
        tombstones.reported(&[gone]).unwrap();
        assert!(tombstones.to_report().unwrap().is_empty() && tombstones.holds(gone).unwrap());
        assert_eq!(tombstones.forget(NOW.plus(KEPT)).unwrap(), 0);
        assert_eq!(tombstones.forget(NOW.plus(KEPT + Duration::from_millis(1))).unwrap(), 1);
        assert!(!tombstones.holds(gone).unwrap());
    }
}
