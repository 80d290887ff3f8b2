//! How far each journal of a batch has arrived. Its rows are the locks that order the batches of one journal.

use std::collections::{BTreeMap, BTreeSet};

use facegate_domain::ids::{GateId, RecordId};
use facegate_domain::intake::Progress;

use super::error::Trouble;
use super::tx::Tx;
use super::values::{at_most, from_number, record_of};
use crate::store::{Mark, StoreError};

/// Sequences looked at a time when what came early closes a gap.
const PAGE: usize = 4096;

type Journal = (GateId, u32);

#[derive(Debug)]
pub(super) struct Journals(BTreeMap<Journal, Progress>);

impl Journals {
    /// Nobody else takes in records of these journals from here to the commit.
    pub async fn lock(tx: &mut Tx, journals: &BTreeSet<Journal>) -> Result<Self, Trouble> {
        let gates: Vec<&str> = journals.iter().map(|(gate, _)| gate.as_str()).collect();
        let epochs: Vec<i64> = journals.iter().map(|(_, epoch)| i64::from(*epoch)).collect();
        let locked = Self::known(tx, &gates, &epochs).await?;
        if locked.0.len() == journals.len() {
            return Ok(locked);
        }
        sqlx::query(
            "INSERT INTO core.journal (gate, epoch, next, highest)
             SELECT gate, epoch, 0, 0 FROM UNNEST($1::text[], $2::bigint[]) AS t (gate, epoch)
             ON CONFLICT (gate, epoch) DO NOTHING",
        )
        .bind(&gates)
        .bind(&epochs)
        .execute(tx.sql())
        .await?;
        let locked = Self::known(tx, &gates, &epochs).await?;
        if locked.0.len() == journals.len() { Ok(locked) } else { Err(Trouble::Overtaken) }
    }

    async fn known(tx: &mut Tx, gates: &[&str], epochs: &[i64]) -> Result<Self, Trouble> {
        let rows: Vec<(String, i64, i64, i64)> = sqlx::query_as(
            "SELECT j.gate, j.epoch, j.next, j.highest
             FROM UNNEST($1::text[], $2::bigint[]) AS t (gate, epoch)
             JOIN core.journal j ON j.gate = t.gate AND j.epoch = t.epoch
             ORDER BY j.gate, j.epoch FOR UPDATE OF j",
        )
        .bind(gates)
        .bind(epochs)
        .fetch_all(tx.sql())
        .await?;
        let arrived = |(gate, epoch, next, highest)| {
            let id = record_of(gate, epoch, 0)?;
            Ok(((id.gate, id.epoch), Progress { next: from_number(next), highest: from_number(highest) }))
        };
        Ok(Self(rows.into_iter().map(arrived).collect::<Result<_, StoreError>>()?))
    }

    /// False if the record is surely new: beyond all that has come of its journal.
    pub fn may_have(&self, id: &RecordId) -> bool {
        let progress = self.0.get(&(id.gate.clone(), id.epoch));
        progress.is_none_or(|progress| progress.may_have(id.sequence))
    }

    /// Notes records that are in by now.
    pub async fn arrived(&mut self, tx: &mut Tx, new: impl Iterator<Item = &RecordId>) -> Result<(), Trouble> {
        let mut by_journal: BTreeMap<Journal, BTreeSet<u64>> = BTreeMap::new();
        for id in new {
            by_journal.entry((id.gate.clone(), id.epoch)).or_default().insert(id.sequence);
        }
        let (mut gates, mut epochs, mut next, mut highest) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (journal, sequences) in by_journal {
            let progress = self.0.get_mut(&journal).ok_or(Trouble::Overtaken)?;
            progress.note(&sequences);
            close_gap(tx, &journal, progress).await?;
            next.push(at_most(progress.next));
            highest.push(at_most(progress.highest));
            epochs.push(i64::from(journal.1));
            gates.push(String::from(journal.0));
        }
        sqlx::query(
            "UPDATE core.journal j SET next = t.next, highest = t.highest
             FROM UNNEST($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) AS t (gate, epoch, next, highest)
             WHERE j.gate = t.gate AND j.epoch = t.epoch",
        )
        .bind(&gates)
        .bind(&epochs)
        .bind(&next)
        .bind(&highest)
        .execute(tx.sql())
        .await?;
        Ok(())
    }

    pub fn marks(self) -> Vec<Mark> {
        let mark = |((gate, epoch), progress): (Journal, Progress)| Mark { gate, epoch, next_sequence: progress.next };
        self.0.into_iter().map(mark).collect()
    }
}

/// What came early closes the gap together with what has come now.
async fn close_gap(tx: &mut Tx, (gate, epoch): &Journal, progress: &mut Progress) -> Result<(), Trouble> {
    while progress.has_gap() {
        let here: Vec<i64> = sqlx::query_scalar(
            "SELECT sequence FROM core.record WHERE gate = $1 AND epoch = $2 AND sequence >= $3
             ORDER BY sequence LIMIT $4",
        )
        .bind(gate.as_str())
        .bind(i64::from(*epoch))
        .bind(at_most(progress.next))
        .bind(at_most(PAGE))
        .fetch_all(tx.sql())
        .await?;
        if !progress.close_gap(here.into_iter().map(from_number)) {
            break;
        }
    }
    Ok(())
}
