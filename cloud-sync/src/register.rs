//! The register of erasures: who was erased and which templates are gone for ever, by random ids alone, in a folder apart
//! from the data. A restored backup of the data knows nothing of what was erased since it was made; the register does,
//! and [`reconcile`] erases again, before any station is served.
//!
//! It is a journal (`facegate_runtime::journal`): a line is on the disk before the erasure is acknowledged, a torn end is
//! cut off, a damaged middle stops the start. It only grows: some 150 bytes an erasure. Never restore it from a backup,
//! nor leave it out of one that goes to another machine.
//!
//! Each replica of the cloud keeps its own, and takes over what the others have erased: all of it when it starts
//! ([`learn_all`]), then as the feed tells. So each is whole up to when its replica last ran; the register of one that
//! was stopped meanwhile is made whole by another's ([`Register::take_over`]), before a restored database is served from.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use facegate_domain::Timestamp;
use facegate_domain::ids::{RiderId, TemplateId};
use facegate_runtime::disk::Disk;
use facegate_runtime::journal::{Journal, JournalError, JournalOptions};
use serde::{Deserialize, Serialize};

use crate::store::{ErasureId, ErasureReceipt, ErasureScope, Purpose, Rider, Store, StoreError};

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

impl From<ErasureReceipt> for Erased {
    fn from(receipt: ErasureReceipt) -> Self {
        let ErasureReceipt { id, rider, scope, templates, requested_at, .. } = receipt;
        Self { erasure: id, rider, scope, templates, at: requested_at }
    }
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
pub struct Register {
    journal: Journal,
    /// Every erasure in it.
    known: Arc<Mutex<HashSet<ErasureId>>>,
}

impl Register {
    /// Opens it, or begins an empty one. Blocks.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self, RegisterError> {
        let (journal, recovery) = Journal::open(disk, dir, OPTIONS)?;
        if let Some(torn) = &recovery.torn {
            tracing::warn!(?torn, "the register's last line was cut short; that erasure was never acknowledged");
        }
        let register = Self { journal, known: Arc::default() };
        let (mut from, mut known) = (0, HashSet::new());
        loop {
            let page = register.read(from, PAGE)?;
            let Some((last, _)) = page.last() else { break };
            from = last + 1;
            known.extend(page.into_iter().map(|(_, erased)| erased.erasure));
        }
        *register.known() = known;
        Ok(register)
    }

    /// On the disk when this returns.
    pub async fn append(&self, erased: &Erased) -> Result<(), RegisterError> {
        let line = serde_json::to_vec(erased).map_err(|error| unreadable(self.journal.next_index(), &error))?;
        self.journal.append_all(vec![line]).await?;
        self.known().insert(erased.erasure);
        Ok(())
    }

    /// Appends it if it is not there; gives whether it was not.
    pub async fn learn(&self, erased: &Erased) -> Result<bool, RegisterError> {
        let new = !self.known().contains(&erased.erasure);
        if new {
            self.append(erased).await?;
        }
        Ok(new)
    }

    /// Appends what only `other` has; gives how many lines.
    pub async fn take_over(&self, other: &Self) -> Result<usize, RegisterError> {
        let (mut from, mut taken) = (0, 0);
        loop {
            let page = other.read(from, PAGE)?;
            let Some((last, _)) = page.last() else { return Ok(taken) };
            from = last + 1;
            for (_, erased) in page {
                taken += usize::from(self.learn(&erased).await?);
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, HashSet<ErasureId>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// At most `max` lines from number `from` on, with their numbers.
    pub fn read(&self, from: u64, max: usize) -> Result<Vec<(u64, Erased)>, RegisterError> {
        let lines = self.journal.read(from, max)?;
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

/// Takes over every erasure that the store knows and the register does not: by other replicas, while this one was stopped.
pub async fn learn_all(register: &Register, store: &dyn Store) -> Result<usize, RegisterError> {
    let (mut after, mut learnt) = (None, 0);
    loop {
        let page = store.erasures(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(learnt) };
        after = Some(last.id);
        for receipt in page {
            learnt += usize::from(register.learn(&receipt.into()).await?);
        }
    }
}

/// The same of one rider, of whom the feed tells that he was removed.
pub async fn learn_of(register: &Register, store: &dyn Store, rider: RiderId) -> Result<(), RegisterError> {
    let Some(known) = store.rider(rider).await? else { return Ok(()) };
    for id in known.erasure.into_iter().chain(known.withdrawal) {
        if let Some(receipt) = store.erasure(id).await? {
            register.learn(&receipt.into()).await?;
        }
    }
    Ok(())
}

async fn erase_again(erased: &Erased, store: &dyn Store, now: Timestamp) -> Result<bool, StoreError> {
    let Some(rider) = store.rider(erased.rider).await? else { return Ok(false) };
    let alive = match erased.scope {
        _ if rider.erasure.is_some() => false,
        ErasureScope::Rider => true,
        ErasureScope::Face => is_back(erased, &rider),
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

/// Whether the rider has what was withdrawn. A face enrolled since then has a consent of its own, and keeps it.
fn is_back(erased: &Erased, rider: &Rider) -> bool {
    let recognition = rider.consents.iter().filter(|consent| consent.purpose == Purpose::Recognition);
    let consents_are = || recognition.into_iter().any(|consent| consent.given_at <= erased.at);
    match &rider.face {
        Some(face) if !erased.templates.is_empty() => erased.templates.contains(&face.template),
        // Nobody wrote down which face it was, or there was none.
        _ => consents_are(),
    }
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
        assert_eq!(register.read(0, 10).unwrap(), [(0, erased.clone())]);
        assert!(register.read(1, 10).unwrap().is_empty());

        let other = Register::open(Arc::new(RealDisk), &dir.path().join("other")).unwrap();
        let elsewhere = Erased { erasure: ErasureId::random(), scope: ErasureScope::Rider, ..erased.clone() };
        other.append(&elsewhere).await.unwrap();
        other.append(&erased).await.unwrap();
        assert_eq!(register.take_over(&other).await.unwrap(), 1, "what is here already is not written again");
        assert_eq!(register.take_over(&other).await.unwrap(), 0);
        assert_eq!(register.read(0, 10).unwrap(), [(0, erased), (1, elsewhere)]);
    }
}
