//! The register of erasures: who was erased and which templates are gone for ever, by random ids alone, in a folder apart
//! from the data. A restored backup of the data knows nothing of what was erased since it was made; the register does,
//! and [`reconcile`] erases again, before any station is served.
//!
//! It is a journal (`facegate_runtime::journal`): a line is on the disk before the erasure is acknowledged, a torn end is
//! cut off, a damaged middle stops the start. It only grows: some 150 bytes an erasure. Each replica of the cloud keeps
//! its own. Never restore it from a backup, nor leave it out of one that goes to another machine.

use std::path::Path;
use std::sync::Arc;

use facegate_domain::Timestamp;
use facegate_domain::ids::{RiderId, TemplateId};
use facegate_runtime::disk::Disk;
use facegate_runtime::journal::{Journal, JournalError, JournalOptions};
use serde::{Deserialize, Serialize};

use crate::store::{ErasureId, ErasureScope, Purpose, Store, StoreError};

/// Lines read at a time.
const PAGE: usize = 1000;
/// A hundred million erasures.
const OPTIONS: JournalOptions = JournalOptions { segment_bytes_max: 16 << 20, total_bytes_max: 16 << 30 };

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    pub erasure: ErasureId,
    pub rider: RiderId,
    pub scope: ErasureScope,
    /// Removed with it, and never to come back.
    pub templates: Vec<TemplateId>,
    pub at: Timestamp,
}

#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    #[error("the register of erasures: {0}")]
    Journal(#[from] JournalError),
    #[error("line {line} of the register of erasures cannot be read ({reason}); a newer version may have written it")]
    Line { line: u64, reason: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// See the module. Clones are the same register.
#[derive(Debug, Clone)]
pub struct Register(Journal);

impl Register {
    /// Opens it, or begins an empty one. Blocks.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self, RegisterError> {
        let (journal, recovery) = Journal::open(disk, dir, OPTIONS)?;
        if let Some(torn) = &recovery.torn {
            tracing::warn!(?torn, "the register's last line was cut short; that erasure was never acknowledged");
        }
        Ok(Self(journal))
    }

    /// On the disk when this returns.
    pub async fn append(&self, erased: &Erased) -> Result<(), RegisterError> {
        let line = serde_json::to_vec(erased).map_err(|error| unreadable(self.0.next_index(), &error))?;
        self.0.append_all(vec![line]).await?;
        Ok(())
    }

    /// At most `max` lines from number `from` on, with their numbers.
    pub fn read(&self, from: u64, max: usize) -> Result<Vec<(u64, Erased)>, RegisterError> {
        let lines = self.0.read(from, max)?;
        let parse = |(line, bytes): (u64, Vec<u8>)| {
            let erased = serde_json::from_slice(&bytes).map_err(|error| unreadable(line, &error))?;
            Ok((line, erased))
        };
        lines.into_iter().map(parse).collect()
    }
}

fn unreadable(line: u64, error: &serde_json::Error) -> RegisterError {
    RegisterError::Line { line, reason: error.to_string() }
}

/// Erases again whoever is in the register and alive in the store, which then was restored from a backup. Gives how many.
pub async fn reconcile(register: &Register, store: &dyn Store, now: Timestamp) -> Result<usize, RegisterError> {
    let (mut from, mut again) = (0, 0);
    loop {
        let page = register.read(from, PAGE)?;
        let Some((last, _)) = page.last() else { break };
        from = last + 1;
        for (_, erased) in page {
            again += usize::from(erase_again(&erased, store, now).await?);
        }
    }
    if again > 0 {
        tracing::warn!(again, "the store had faces that were erased, from a backup perhaps; they are erased again");
    }
    Ok(again)
}

async fn erase_again(erased: &Erased, store: &dyn Store, now: Timestamp) -> Result<bool, StoreError> {
    let Some(rider) = store.rider(erased.rider).await? else { return Ok(false) };
    let alive = match erased.scope {
        _ if rider.erasure.is_some() => false,
        ErasureScope::Rider => true,
        ErasureScope::Face => {
            let face_is_back = rider.face.as_ref().is_some_and(|face| erased.templates.contains(&face.template));
            let withdrawn = |given_at: Timestamp| given_at <= erased.at;
            let mut consents = rider.consents.iter().filter(|consent| consent.purpose == Purpose::Recognition);
            // A face enrolled since then has a consent of its own, and keeps it.
            face_is_back || (rider.face.is_none() && consents.any(|consent| withdrawn(consent.given_at)))
        }
    };
    if alive {
        store.audit("system/register", "rider.erase-again", &erased.rider.to_string(), now).await?;
        match erased.scope {
            ErasureScope::Rider => store.erase_rider(erased.erasure, erased.rider, now).await?,
            ErasureScope::Face => store.withdraw_face(erased.erasure, erased.rider, erased.at, now).await?,
        };
    }
    Ok(alive)
}

#[cfg(test)]
mod tests {
    use facegate_runtime::disk::RealDisk;

    use super::*;

    #[tokio::test]
    async fn what_was_appended_is_there_when_it_is_opened_again() {
        let dir = tempfile::tempdir().unwrap();
        let (erasure, rider) = (ErasureId::random(), RiderId::random());
        let at = Timestamp::from_unix_ms(1_795_000_000_000);
        let templates = vec![TemplateId::random()];
        let erased = Erased { erasure, rider, scope: ErasureScope::Face, templates, at };
        let register = Register::open(Arc::new(RealDisk), dir.path()).unwrap();
        register.append(&erased).await.unwrap();
        drop(register);
        let register = Register::open(Arc::new(RealDisk), dir.path()).unwrap();
        assert_eq!(register.read(0, 10).unwrap(), [(0, erased)]);
        assert!(register.read(1, 10).unwrap().is_empty());
    }
}
