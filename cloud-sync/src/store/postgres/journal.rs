//! How far each journal of a batch has arrived. Its rows are the locks that order the batches of one journal.

use std::collections::{BTreeMap, BTreeSet};

use facegate_domain::ids::{GateId, RecordId};

use super::error::Trouble;
use super::tx::Tx;
use super::values::{at_most, from_number, record_of};
use crate::store::{Mark, StoreError};

/// Sequences looked at a time when what came early closes a gap.
const PAGE: usize = 4096;

type Journal = (GateId, u32);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Arrived {
    /// All below are here.
    next: u64,
    /// The highest that was seen; at or above `next` only if there is a gap.
    highest: u64,
}

#[derive(Debug)]
pub(super) struct Journals(BTreeMap<Journal, Arrived>);

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
            Ok(((id.gate, id.epoch), Arrived { next: from_number(next), highest: from_number(highest) }))
        };
        Ok(Self(rows.into_iter().map(arrived).collect::<Result<_, StoreError>>()?))
    }

    /// False if the record is surely new: beyond all that has come of its journal.
    pub fn may_have(&self, id: &RecordId) -> bool {
        let arrived = self.0.get(&(id.gate.clone(), id.epoch));
        arrived.is_none_or(|arrived| arrived.has_any() && id.sequence <= arrived.highest)
    }

    /// Notes records that are in by now.
    pub async fn arrived(&mut self, tx: &mut Tx, new: impl Iterator<Item = &RecordId>) -> Result<(), Trouble> {
        let mut by_journal: BTreeMap<Journal, BTreeSet<u64>> = BTreeMap::new();
        for id in new {
            by_journal.entry((id.gate.clone(), id.epoch)).or_default().insert(id.sequence);
        }
        let (mut gates, mut epochs, mut next, mut highest) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (journal, sequences) in by_journal {
            let arrived = self.0.get_mut(&journal).ok_or(Trouble::Overtaken)?;
            arrived.note(&sequences);
            arrived.close_gaps(tx, &journal).await?;
            next.push(at_most(arrived.next));
            highest.push(at_most(arrived.highest));
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
        let mark = |((gate, epoch), arrived): (Journal, Arrived)| Mark { gate, epoch, next_sequence: arrived.next };
        self.0.into_iter().map(mark).collect()
    }
}

impl Arrived {
    fn has_any(self) -> bool {
        self.next > 0 || self.highest > 0
    }

    fn note(&mut self, sequences: &BTreeSet<u64>) {
        while sequences.contains(&self.next) {
            self.next += 1;
        }
        self.highest = self.highest.max(sequences.last().copied().unwrap_or(0));
    }

    /// What came early closes the gap together with what has come now.
    async fn close_gaps(&mut self, tx: &mut Tx, (gate, epoch): &Journal) -> Result<(), Trouble> {
        while self.next <= self.highest {
            let here: Vec<i64> = sqlx::query_scalar(
                "SELECT sequence FROM core.record WHERE gate = $1 AND epoch = $2 AND sequence >= $3
                 ORDER BY sequence LIMIT $4",
            )
            .bind(gate.as_str())
            .bind(i64::from(*epoch))
            .bind(at_most(self.next))
            .bind(at_most(PAGE))
            .fetch_all(tx.sql())
            .await?;
            let before = self.next;
            for sequence in &here {
                if from_number(*sequence) != self.next {
                    return Ok(());
                }
                self.next += 1;
            }
            if self.next == before {
                return Ok(());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_goes_as_far_as_nothing_is_missing() {
        let mut arrived = Arrived { next: 0, highest: 0 };
        assert!(!arrived.has_any());
        arrived.note(&BTreeSet::from([1, 2, 5]));
        assert_eq!(arrived, Arrived { next: 0, highest: 5 });
        arrived.note(&BTreeSet::from([0]));
        assert_eq!(arrived, Arrived { next: 1, highest: 5 });
    }
}
