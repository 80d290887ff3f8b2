//! What the end-of-day audit reads and writes.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::ids::GateId;
use facegate_domain::journal_audit::{GateDay, Line, Span};
use jiff::civil::Date;

use super::intake::Arrived;
use super::tx::{Tx, damaged, decode};
use super::{SledStore, key};
use crate::store::journals::line_of;
use crate::store::{Arrival, AuditedDay, JournalAuditStore, JournalWord, SkewedRecord, StoreError, Wanted};

/// Records looked at in one go.
const PAGE: usize = 1000;

#[async_trait]
impl JournalAuditStore for SledStore {
    async fn arrivals(&self, gate: Option<&GateId>) -> Result<Vec<Arrival>, StoreError> {
        let prefix = gate.map_or(key::JOURNAL.to_vec(), key::journals);
        Ok(self.read().scan_as::<Arrived>(&prefix)?.iter().map(Arrived::arrival).collect())
    }

    async fn journal_lines(&self, gate: &GateId, epoch: u32, from: u64, max: usize) -> Result<Vec<Line>, StoreError> {
        let prefix = key::records(gate, epoch);
        let from = [prefix.as_slice(), &from.to_be_bytes()].concat();
        self.read()
            .scan_from(&prefix, &from, max)?
            .iter()
            .map(|(k, v)| line_of(v).map_err(|error| damaged(k, error)))
            .collect()
    }

    async fn missing_spans(&self, gate: &GateId, epoch: u32, before: u64, max: usize) -> Result<Vec<Span>, StoreError> {
        let tx = self.read();
        let arrived = tx.get::<Arrived>(&key::journal(gate, epoch))?;
        missing(&tx, gate, epoch, arrived.map_or(0, |arrived| arrived.next), before, max)
    }

    async fn lower_mark(&self, gate: &GateId, epoch: u32, first_missing: u64) -> Result<(), StoreError> {
        self.write(|tx| {
            let key = key::journal(gate, epoch);
            if let Some(arrived) = tx.get::<Arrived>(&key)?.filter(|arrived| arrived.next > first_missing) {
                // Should it have come meanwhile, the next record closes the gap.
                tx.put(key, &Arrived { next: first_missing, ..arrived });
            }
            Ok(())
        })
        .await
    }

    async fn note_words(&self, words: Vec<JournalWord>) -> Result<(), StoreError> {
        self.write(|tx| {
            for word in words {
                let journal = key::journal(&word.gate, word.epoch);
                if !tx.contains(&journal)? {
                    tx.put(journal, &Arrived { gate: word.gate.clone(), epoch: word.epoch, next: 0, highest: 0 });
                }
                let key = key::word(&word.gate, word.epoch, word.day);
                let before = tx.get::<JournalWord>(&key)?;
                if before.is_none_or(|before| before.next_sequence < word.next_sequence) {
                    tx.put(key, &word);
                }
            }
            Ok(())
        })
        .await
    }

    async fn words(&self, gate: &GateId, epoch: u32) -> Result<Vec<JournalWord>, StoreError> {
        self.read().scan_as(&key::words(gate, epoch))
    }

    async fn note_wanted(&self, wanted: Vec<Wanted>) -> Result<(), StoreError> {
        self.write(|tx| {
            wanted.iter().for_each(|wanted| tx.put(key::wanted(&wanted.range), wanted));
            Ok(())
        })
        .await
    }

    async fn wanted(&self, gate: &GateId, epoch: u32) -> Result<Vec<Wanted>, StoreError> {
        self.read().scan_as(&key::wanted_of(gate, epoch))
    }

    async fn put_audit(&self, found: GateDay, now: Timestamp) -> Result<Option<u32>, StoreError> {
        self.write(|tx| {
            let prefix = key::audited_day(&found.gate, found.epoch, found.day);
            let latest: Option<AuditedDay> = tx.last(&prefix)?.map(|(k, v)| decode(&k, &v)).transpose()?;
            if latest.as_ref().is_some_and(|latest| latest.found == found) {
                return Ok(None);
            }
            let revision = latest.map_or(0, |latest| latest.revision) + 1;
            let key = key::audited(&found.gate, found.epoch, found.day, revision);
            tx.put(key, &AuditedDay { revision, found_at: now, found });
            Ok(Some(revision))
        })
        .await
    }

    async fn audited(&self, gate: &GateId, epoch: u32, since: Date) -> Result<Vec<AuditedDay>, StoreError> {
        let prefix = key::audited_of(gate, epoch);
        let found = self.read().scan_from(&prefix, &key::audited_day(gate, epoch, since), usize::MAX)?;
        found.iter().map(|(k, v)| decode(k, v)).collect()
    }

    async fn note_skewed(&self, records: Vec<SkewedRecord>) -> Result<(), StoreError> {
        self.write(|tx| {
            for skewed in records {
                let key = key::skewed(&skewed.record);
                if !tx.contains(&key)? {
                    tx.put(key, &skewed);
                }
            }
            Ok(())
        })
        .await
    }

    async fn skewed(&self, max: usize) -> Result<Vec<SkewedRecord>, StoreError> {
        let found = self.read().scan_from(key::SKEWED, key::SKEWED, max)?;
        found.iter().map(|(k, v)| decode(k, v)).collect()
    }
}

/// The gaps in `from..before`.
fn missing(
    tx: &Tx<'_>,
    gate: &GateId,
    epoch: u32,
    from: u64,
    before: u64,
    max: usize,
) -> Result<Vec<Span>, StoreError> {
    let prefix = key::records(gate, epoch);
    let mut gaps = Vec::new();
    let mut expected = from;
    while gaps.len() < max && expected < before {
        let page = tx.scan_from(&prefix, &[prefix.as_slice(), &expected.to_be_bytes()].concat(), PAGE)?;
        for (k, _) in &page {
            let sequence = u64::from_be_bytes(key::tail(k)).min(before);
            gaps.extend(sequence.checked_sub(1).and_then(|last| Span::new(expected, last)));
            expected = sequence.saturating_add(1);
        }
        if page.len() < PAGE {
            gaps.extend(before.checked_sub(1).and_then(|last| Span::new(expected, last)));
            break;
        }
    }
    gaps.truncate(max);
    Ok(gaps)
}
