//! Ride codes that were presented, so that none opens two gates. Bounded by time: an older code is refused unseen.

use std::time::Duration;

use facegate_domain::Timestamp;
use facegate_runtime::kv::Tree;

use super::{StoreError, number};

/// Nonce → when it may be forgotten (unix milliseconds, 8 bytes big-endian).
#[derive(Debug)]
pub struct CodeStore {
    tree: Tree,
}

/// What became of an attempt to spend a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spent {
    /// It was fresh and is spent now; durable after the next `Store::commit`.
    Now,
    Before,
    /// Its time lies outside of what is remembered: whether it was spent cannot be known.
    BeyondMemory,
}

impl CodeStore {
    pub(super) fn new(tree: Tree) -> Self {
        Self { tree }
    }

    /// Spends a code unless it was spent before, in one step.
    pub fn spend(
        &self,
        nonce: [u8; 8],
        issued_at: Timestamp,
        now: Timestamp,
        memory: Duration,
    ) -> Result<Spent, StoreError> {
        let off = now.since(issued_at).max(issued_at.since(now));
        if off >= memory {
            return Ok(Spent::BeyondMemory);
        }
        let until = forget_at(issued_at.max(now), memory);
        let swapped = self.tree.compare_and_swap(nonce, None, Some(&until))?;
        Ok(if swapped { Spent::Now } else { Spent::Before })
    }

    /// Notes a code that was spent elsewhere (another station, or a gate that could not ask).
    pub fn learn(&self, nonce: [u8; 8], at: Timestamp, memory: Duration) -> Result<(), StoreError> {
        // Whoever learns of it later must not shorten the memory of it.
        self.tree.update(nonce, |old| {
            let until = forget_at(at, memory);
            Some(old.filter(|old| *old >= until.as_slice()).map_or(until.to_vec(), <[u8]>::to_vec))
        })?;
        Ok(())
    }

    /// Drops what need not be remembered any more; gives how many.
    pub fn forget(&self, now: Timestamp) -> Result<usize, StoreError> {
        let mut dropped = 0;
        for entry in self.tree.iter() {
            let (nonce, until) = entry?;
            if number(&until, "spent code")? <= unsigned(now) {
                self.tree.remove(nonce)?;
                dropped += 1;
            }
        }
        Ok(dropped)
    }

    pub fn len(&self) -> usize {
        self.tree.len()
    }

    pub fn is_empty(&self) -> bool {
        self.tree.is_empty()
    }
}

fn forget_at(from: Timestamp, memory: Duration) -> [u8; 8] {
    unsigned(from.plus(memory)).to_be_bytes()
}

fn unsigned(at: Timestamp) -> u64 {
    u64::try_from(at.unix_ms()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use facegate_runtime::disk::{Disk, SimDisk};

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_ms(1_790_000_000_000);
    const MEMORY: Duration = Duration::from_secs(600);

    fn store() -> CodeStore {
        CodeStore::new(SimDisk::new().database(Path::new("state"), super::super::OPTIONS).unwrap().root())
    }

    #[test]
    fn a_code_is_spent_once_and_never_while_its_memory_could_be_gone() {
        let store = store();
        let after = |s| NOW.plus(Duration::from_secs(s));
        assert_eq!(store.spend([1; 8], NOW, NOW, MEMORY).unwrap(), Spent::Now);
        for s in [0, 100, 599, 600, 10_000] {
            store.forget(after(s)).unwrap();
            assert_ne!(store.spend([1; 8], NOW, after(s), MEMORY).unwrap(), Spent::Now, "after {s} s");
        }
        assert_eq!(store.spend([2; 8], after(601), NOW, MEMORY).unwrap(), Spent::BeyondMemory);
    }

    #[test]
    fn memory_is_bounded_by_time_and_learning_never_shortens_it() {
        let store = store();
        store.learn([1; 8], NOW, MEMORY).unwrap();
        store.learn([1; 8], NOW.minus(MEMORY), MEMORY).unwrap();
        assert_eq!(store.spend([1; 8], NOW, NOW, MEMORY).unwrap(), Spent::Before);
        assert_eq!(store.forget(NOW.plus(MEMORY).minus(Duration::from_millis(1))).unwrap(), 0);
        assert_eq!(store.forget(NOW.plus(MEMORY)).unwrap(), 1);
        assert!(store.is_empty());
    }
}
