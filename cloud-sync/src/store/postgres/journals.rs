//! What the end-of-day audit reads and writes.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::ids::GateId;
use facegate_domain::journal_audit::{GateDay, Line, Span};
use jiff::civil::Date;
use serde::de::DeserializeOwned;

use super::error::Trouble;
use super::tx::Tx;
use super::values::{at_most, damaged, from_number, gate_of, json, read, sequence};
use super::{PgStore, transact};
use crate::store::journals::line_of;
use crate::store::{Arrival, AuditedDay, JournalAuditStore, JournalWord, SkewedRecord, StoreError, Wanted};

/// Sequences looked at in one go.
const PAGE: usize = 4096;

#[async_trait]
impl JournalAuditStore for PgStore {
    async fn arrivals(&self, gate: Option<&GateId>) -> Result<Vec<Arrival>, StoreError> {
        let rows: Vec<(String, i64, i64, i64)> = sqlx::query_as(
            "SELECT gate, epoch, next, highest FROM core.journal WHERE $1::text IS NULL OR gate = $1
             ORDER BY gate, epoch",
        )
        .bind(gate.map(GateId::as_str))
        .fetch_all(&self.pool)
        .await
        .map_err(Trouble::from)?;
        let arrival = |(gate, epoch, next, highest)| {
            let epoch = u32::try_from(epoch).map_err(|error| damaged("an epoch", error))?;
            Ok(Arrival::new(gate_of(gate)?, epoch, from_number(next), from_number(highest)))
        };
        rows.into_iter().map(arrival).collect()
    }

    async fn journal_lines(&self, gate: &GateId, epoch: u32, from: u64, max: usize) -> Result<Vec<Line>, StoreError> {
        let contents: Vec<Vec<u8>> = sqlx::query_scalar(
            "SELECT content FROM core.record WHERE gate = $1 AND epoch = $2 AND sequence >= $3
             ORDER BY sequence LIMIT $4",
        )
        .bind(gate.as_str())
        .bind(i64::from(epoch))
        .bind(at_most(from))
        .bind(at_most(max))
        .fetch_all(&self.pool)
        .await
        .map_err(Trouble::from)?;
        contents.iter().map(|content| line_of(content).map_err(|error| damaged(gate, error))).collect()
    }

    async fn missing_spans(&self, gate: &GateId, epoch: u32, before: u64, max: usize) -> Result<Vec<Span>, StoreError> {
        let mark: Option<i64> = sqlx::query_scalar("SELECT next FROM core.journal WHERE gate = $1 AND epoch = $2")
            .bind(gate.as_str())
            .bind(i64::from(epoch))
            .fetch_optional(&self.pool)
            .await
            .map_err(Trouble::from)?;
        let mut gaps = Vec::new();
        let mut expected = from_number(mark.unwrap_or(0));
        while gaps.len() < max && expected < before {
            let page = self.sequences(gate, epoch, expected).await?;
            for sequence in &page {
                let sequence = from_number(*sequence).min(before);
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

    async fn lower_mark(&self, gate: &GateId, epoch: u32, first_missing: u64) -> Result<(), StoreError> {
        // Should it have come meanwhile, the next record closes the gap.
        sqlx::query("UPDATE core.journal SET next = $3 WHERE gate = $1 AND epoch = $2 AND next > $3")
            .bind(gate.as_str())
            .bind(i64::from(epoch))
            .bind(at_most(first_missing))
            .execute(&self.pool)
            .await
            .map_err(Trouble::from)?;
        Ok(())
    }

    async fn note_words(&self, words: Vec<JournalWord>) -> Result<(), StoreError> {
        transact!(self, tx => keep_words(&mut tx, &words).await)
    }

    async fn words(&self, gate: &GateId, epoch: u32) -> Result<Vec<JournalWord>, StoreError> {
        self.of_journal("SELECT body FROM core.word WHERE gate = $1 AND epoch = $2 ORDER BY day", gate, epoch).await
    }

    async fn note_wanted(&self, wanted: Vec<Wanted>) -> Result<(), StoreError> {
        transact!(self, tx => keep_wanted(&mut tx, &wanted).await)
    }

    async fn wanted(&self, gate: &GateId, epoch: u32) -> Result<Vec<Wanted>, StoreError> {
        let wanted = "SELECT body FROM core.wanted WHERE gate = $1 AND epoch = $2 ORDER BY first, last";
        self.of_journal(wanted, gate, epoch).await
    }

    async fn put_audit(&self, found: GateDay, now: Timestamp) -> Result<Option<u32>, StoreError> {
        transact!(self, tx => keep_audit(&mut tx, &found, now).await)
    }

    async fn audited(&self, gate: &GateId, epoch: u32, since: Date) -> Result<Vec<AuditedDay>, StoreError> {
        let bodies: Vec<String> = sqlx::query_scalar(
            "SELECT body FROM core.audited WHERE gate = $1 AND epoch = $2 AND day >= $3 ORDER BY day, revision",
        )
        .bind(gate.as_str())
        .bind(i64::from(epoch))
        .bind(since.to_string())
        .fetch_all(&self.pool)
        .await
        .map_err(Trouble::from)?;
        bodies.iter().map(|body| read(gate, body)).collect()
    }

    async fn note_skewed(&self, records: Vec<SkewedRecord>) -> Result<(), StoreError> {
        transact!(self, tx => keep_skewed(&mut tx, &records).await)
    }

    async fn skewed(&self, max: usize) -> Result<Vec<SkewedRecord>, StoreError> {
        let bodies: Vec<String> =
            sqlx::query_scalar("SELECT body FROM core.skewed ORDER BY gate, epoch, sequence LIMIT $1")
                .bind(at_most(max))
                .fetch_all(&self.pool)
                .await
                .map_err(Trouble::from)?;
        bodies.iter().map(|body| read("a skewed record", body)).collect()
    }
}

impl PgStore {
    async fn sequences(&self, gate: &GateId, epoch: u32, from: u64) -> Result<Vec<i64>, StoreError> {
        let sequences = sqlx::query_scalar(
            "SELECT sequence FROM core.record WHERE gate = $1 AND epoch = $2 AND sequence >= $3
             ORDER BY sequence LIMIT $4",
        )
        .bind(gate.as_str())
        .bind(i64::from(epoch))
        .bind(at_most(from))
        .bind(at_most(PAGE))
        .fetch_all(&self.pool)
        .await;
        Ok(sequences.map_err(Trouble::from)?)
    }

    async fn of_journal<T: DeserializeOwned>(
        &self,
        select: &'static str,
        gate: &GateId,
        epoch: u32,
    ) -> Result<Vec<T>, StoreError> {
        let bodies: Vec<String> = sqlx::query_scalar(select)
            .bind(gate.as_str())
            .bind(i64::from(epoch))
            .fetch_all(&self.pool)
            .await
            .map_err(Trouble::from)?;
        bodies.iter().map(|body| read(gate, body)).collect()
    }
}

async fn keep_words(tx: &mut Tx, words: &[JournalWord]) -> Result<(), Trouble> {
    // In one order, as everybody takes the journals' rows.
    let mut words: Vec<&JournalWord> = words.iter().collect();
    words.sort_by(|a, b| (&a.gate, a.epoch, a.day).cmp(&(&b.gate, b.epoch, b.day)));
    for word in words {
        sqlx::query(
            "INSERT INTO core.journal (gate, epoch, next, highest) VALUES ($1, $2, 0, 0)
             ON CONFLICT (gate, epoch) DO NOTHING",
        )
        .bind(word.gate.as_str())
        .bind(i64::from(word.epoch))
        .execute(tx.sql())
        .await?;
        sqlx::query(
            "INSERT INTO core.word AS w (gate, epoch, day, next, body) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (gate, epoch, day) DO UPDATE SET next = excluded.next, body = excluded.body
             WHERE w.next < excluded.next",
        )
        .bind(word.gate.as_str())
        .bind(i64::from(word.epoch))
        .bind(word.day.to_string())
        .bind(at_most(word.next_sequence))
        .bind(json(word))
        .execute(tx.sql())
        .await?;
    }
    Ok(())
}

async fn keep_wanted(tx: &mut Tx, wanted: &[Wanted]) -> Result<(), Trouble> {
    for wanted in wanted {
        sqlx::query(
            "INSERT INTO core.wanted (gate, epoch, first, last, body) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (gate, epoch, first, last) DO UPDATE SET body = excluded.body",
        )
        .bind(wanted.range.gate.as_str())
        .bind(i64::from(wanted.range.epoch))
        .bind(at_most(wanted.range.span.first))
        .bind(at_most(wanted.range.span.last))
        .bind(json(wanted))
        .execute(tx.sql())
        .await?;
    }
    Ok(())
}

async fn keep_audit(tx: &mut Tx, found: &GateDay, now: Timestamp) -> Result<Option<u32>, Trouble> {
    let latest: Option<String> = sqlx::query_scalar(
        "SELECT body FROM core.audited WHERE gate = $1 AND epoch = $2 AND day = $3 ORDER BY revision DESC LIMIT 1",
    )
    .bind(found.gate.as_str())
    .bind(i64::from(found.epoch))
    .bind(found.day.to_string())
    .fetch_optional(tx.sql())
    .await?;
    let latest: Option<AuditedDay> = latest.map(|latest| read(&found.gate, &latest)).transpose()?;
    if latest.as_ref().is_some_and(|latest| latest.found == *found) {
        return Ok(None);
    }
    let revision = latest.map_or(0, |latest| latest.revision) + 1;
    let kept = sqlx::query(
        "INSERT INTO core.audited (gate, epoch, day, revision, body) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT DO NOTHING",
    )
    .bind(found.gate.as_str())
    .bind(i64::from(found.epoch))
    .bind(found.day.to_string())
    .bind(i64::from(revision))
    .bind(json(&AuditedDay { revision, found_at: now, found: found.clone() }))
    .execute(tx.sql())
    .await?;
    // Another replica audits the same day.
    if kept.rows_affected() == 0 { Err(Trouble::Overtaken) } else { Ok(Some(revision)) }
}

async fn keep_skewed(tx: &mut Tx, records: &[SkewedRecord]) -> Result<(), Trouble> {
    for skewed in records {
        sqlx::query(
            "INSERT INTO core.skewed (gate, epoch, sequence, body) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        )
        .bind(skewed.record.gate.as_str())
        .bind(i64::from(skewed.record.epoch))
        .bind(sequence(&skewed.record)?)
        .bind(json(skewed))
        .execute(tx.sql())
        .await?;
    }
    Ok(())
}
