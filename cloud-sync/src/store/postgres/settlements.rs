//! Settlement files and their lines.

use std::collections::BTreeMap;

use async_trait::async_trait;
use facegate_domain::charge::{Charge, ChargeId};
use facegate_domain::ids::RiderId;
use facegate_domain::ledger::{Account, Entry, EntryId};
use facegate_domain::money::Money;
use facegate_domain::reconcile::{LineRow, Ours};
use facegate_domain::settlement::{Header, SettledKind, SettledLine, Settlement};
use jiff::civil::Date;
use sqlx::postgres::PgPool;
use uuid::Uuid;

use super::error::Trouble;
use super::tx::Tx;
use super::values::{at_most, damaged, json, read};
use super::{PgStore, audit, ledger, transact};
use crate::store::books::bill_row;
use crate::store::{LinePlace, SettlementFile, SettlementRefusal, SettlementStore, StoreError};

/// The file's row, locked. None if there is none; `Some(None)` while its lines are being taken over.
async fn stored(tx: &mut Tx, acquirer: &str, date: Date) -> Result<Option<Option<SettlementFile>>, Trouble> {
    let row: Option<Option<String>> =
        sqlx::query_scalar("SELECT body FROM core.settlement WHERE day = $1 AND acquirer = $2 FOR UPDATE")
            .bind(date.to_string())
            .bind(acquirer)
            .fetch_optional(tx.sql())
            .await?;
    let body = row.map(|body| body.map(|body| read("a settlement file", &body)).transpose()).transpose()?;
    Ok(body)
}

async fn refuse_imported(tx: &mut Tx, settlement: &Settlement) -> Result<(), Trouble> {
    let Header { acquirer, date, .. } = &settlement.header;
    match stored(tx, acquirer, *date).await? {
        Some(Some(file)) => Err(StoreError::from(file.refuses(&settlement.sha256)).into()),
        _ => Ok(()),
    }
}

async fn begin(tx: &mut Tx, settlement: &Settlement) -> Result<(), Trouble> {
    let Header { acquirer, date, .. } = &settlement.header;
    sqlx::query("INSERT INTO core.settlement (day, acquirer) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(date.to_string())
        .bind(acquirer)
        .execute(tx.sql())
        .await?;
    refuse_imported(tx, settlement).await?;
    sqlx::query("DELETE FROM core.settled_line WHERE acquirer = $1 AND day = $2")
        .bind(acquirer)
        .bind(date.to_string())
        .execute(tx.sql())
        .await?;
    Ok(())
}

/// Lines as columns.
#[derive(Default)]
struct Columns {
    kinds: Vec<&'static str>,
    references: Vec<String>,
    subjects: Vec<Uuid>,
    bodies: Vec<String>,
}

impl Columns {
    fn of(lines: &[(u64, SettledLine)]) -> Self {
        let mut columns = Self::default();
        for (_, line) in lines {
            columns.kinds.push(line.kind.name());
            columns.references.push(line.reference.clone());
            columns.subjects.push(crate::store::subject(&line.key));
            columns.bodies.push(json(line));
        }
        columns
    }
}

async fn add(tx: &mut Tx, header: &Header, lines: &[(u64, SettledLine)]) -> Result<(), Trouble> {
    let (acquirer, day) = (&header.acquirer, header.date.to_string());
    let columns = Columns::of(lines);
    let before: Option<(String, String, String)> = sqlx::query_as(
        "SELECT l.kind, l.reference, l.day
         FROM UNNEST($2::text[], $3::text[]) AS new (kind, reference)
         JOIN core.settled_line l ON l.acquirer = $1 AND l.kind = new.kind AND l.reference = new.reference
         JOIN core.settlement s ON s.day = l.day AND s.acquirer = l.acquirer
         WHERE l.day <> $4 AND s.body IS NOT NULL LIMIT 1",
    )
    .bind(acquirer)
    .bind(&columns.kinds)
    .bind(&columns.references)
    .bind(&day)
    .fetch_optional(tx.sql())
    .await?;
    if let Some((kind, reference, date)) = before {
        let kind = SettledKind::named(&kind).ok_or_else(|| damaged("a settled line", &kind))?;
        let number = lines.iter().find(|(_, line)| line.kind == kind && line.reference == reference);
        let line = number.map_or(0, |(number, _)| *number);
        let date = date.parse().map_err(|error| damaged("a settled line", error))?;
        return Err(StoreError::from(SettlementRefusal::SettledBefore { line, kind, reference, date }).into());
    }
    sqlx::query(
        "INSERT INTO core.settled_line (acquirer, kind, reference, day, subject, body)
         SELECT $1, kind, reference, $2, subject, body
         FROM UNNEST($3::text[], $4::text[], $5::uuid[], $6::text[]) AS new (kind, reference, subject, body)
         ON CONFLICT (acquirer, kind, reference)
         DO UPDATE SET day = excluded.day, subject = excluded.subject, body = excluded.body",
    )
    .bind(acquirer)
    .bind(&day)
    .bind(&columns.kinds)
    .bind(&columns.references)
    .bind(&columns.subjects)
    .bind(&columns.bodies)
    .execute(tx.sql())
    .await?;
    Ok(())
}

async fn finish(tx: &mut Tx, file: &SettlementFile) -> Result<(), Trouble> {
    let Header { acquirer, date, .. } = &file.settlement.header;
    refuse_imported(tx, &file.settlement).await?;
    sqlx::query("UPDATE core.settlement SET body = $3 WHERE day = $1 AND acquirer = $2")
        .bind(date.to_string())
        .bind(acquirer)
        .bind(json(file))
        .execute(tx.sql())
        .await?;
    if let Some(entry) = file.settlement.entry(file.imported_at)? {
        ledger::post(tx, &entry).await?;
    }
    let subject = format!("{acquirer}/{date} {}", hex::encode(file.settlement.sha256));
    audit::append(tx, &file.by, "books.settlement", &subject, file.imported_at).await
}

/// Lines of imported files, by what they are about.
pub(super) async fn lines_about(pool: &PgPool, subjects: &[Uuid]) -> Result<BTreeMap<Uuid, Vec<LineRow>>, Trouble> {
    let rows: Vec<(Uuid, String, String, String)> = sqlx::query_as(
        "SELECT l.subject, l.acquirer, l.day, l.body FROM core.settled_line l
         JOIN core.settlement s ON s.day = l.day AND s.acquirer = l.acquirer
         WHERE l.subject = ANY($1) AND s.body IS NOT NULL ORDER BY l.day, l.acquirer, l.kind, l.reference",
    )
    .bind(subjects)
    .fetch_all(pool)
    .await?;
    let mut lines = BTreeMap::<Uuid, Vec<LineRow>>::new();
    for (subject, acquirer, day, body) in rows {
        lines.entry(subject).or_default().push(row(acquirer, &day, &body)?);
    }
    Ok(lines)
}

fn row(acquirer: String, day: &str, body: &str) -> Result<LineRow, StoreError> {
    let date = day.parse().map_err(|error| damaged("a settled line", error))?;
    Ok(LineRow { acquirer, date, line: read("a settled line", body)? })
}

fn entry_of(row: &LineRow, subject: Uuid) -> Option<EntryId> {
    match row.line.kind {
        SettledKind::Capture => None,
        SettledKind::Refund => Some(EntryId::of("refund", subject)),
        kind => Some(EntryId::of(kind.name(), format_args!("{subject}/{}", row.line.reference))),
    }
}

/// What an entry moved at the acquirers, positive.
fn at_acquirers(entry: &Entry) -> Option<Money> {
    let posting = entry.postings().iter().find(|posting| posting.account == Account::AcquirerReceivable)?;
    if posting.amount.is_negative() { posting.amount.checked_neg().ok() } else { Some(posting.amount) }
}

async fn known_of(pool: &PgPool, lines: &[LineRow]) -> Result<Vec<(Ours, Option<RiderId>)>, Trouble> {
    let subjects: Vec<Uuid> = lines.iter().map(|row| LinePlace::of(&row.line).subject).collect();
    let entries: Vec<Option<EntryId>> = lines.iter().zip(&subjects).map(|(row, of)| entry_of(row, *of)).collect();
    let named: Vec<String> = entries.iter().flatten().map(ToString::to_string).collect();
    let mut posted = BTreeMap::new();
    if !named.is_empty() {
        let bodies: Vec<(String, String)> =
            sqlx::query_as("SELECT id, body FROM core.entry WHERE id = ANY($1)").bind(&named).fetch_all(pool).await?;
        for (id, body) in bodies {
            posted.insert(id.clone(), read::<Entry>(id, &body)?);
        }
    }
    let bodies: Vec<(Uuid, String)> =
        sqlx::query_as("SELECT id, body FROM core.charge WHERE id = ANY($1)").bind(&subjects).fetch_all(pool).await?;
    let mut charges = BTreeMap::new();
    for (id, body) in bodies {
        charges.insert(id, read::<Charge>(ChargeId::from_bytes(id.into_bytes()), &body)?);
    }
    let settled = lines_about(pool, &subjects).await?;
    let known = subjects.iter().zip(entries).map(|(subject, entry)| {
        let entry = entry.and_then(|id| posted.get(id.as_str()));
        if let Some(amount) = entry.and_then(at_acquirers) {
            return (Ours::Posted(amount), None);
        }
        let Some(charge) = charges.get(subject) else { return (Ours::Nothing, None) };
        let lines = settled.get(subject).cloned().unwrap_or_default();
        (Ours::Bill(bill_row(charge, &[], lines)), Some(charge.rider()))
    });
    Ok(known.collect())
}

#[async_trait]
impl SettlementStore for PgStore {
    async fn begin_settlement(&self, settlement: &Settlement) -> Result<(), StoreError> {
        transact!(self, tx => begin(&mut tx, settlement).await)
    }

    async fn add_settled(&self, header: &Header, lines: Vec<(u64, SettledLine)>) -> Result<(), StoreError> {
        transact!(self, tx => add(&mut tx, header, &lines).await)
    }

    async fn finish_settlement(&self, file: SettlementFile) -> Result<(), StoreError> {
        transact!(self, tx => finish(&mut tx, &file).await)
    }

    async fn settlement_files(&self, since: Date) -> Result<Vec<SettlementFile>, StoreError> {
        let bodies: Vec<String> = sqlx::query_scalar(
            "SELECT body FROM core.settlement WHERE day >= $1 AND body IS NOT NULL ORDER BY day, acquirer",
        )
        .bind(since.to_string())
        .fetch_all(&self.pool)
        .await
        .map_err(Trouble::from)?;
        bodies.iter().map(|body| read("a settlement file", body)).collect()
    }

    async fn settled_lines(
        &self,
        acquirer: &str,
        date: Date,
        after: Option<&LinePlace>,
        max: usize,
    ) -> Result<Vec<LineRow>, StoreError> {
        let (subject, kind, reference) =
            after.map_or((Uuid::nil(), "", ""), |place| (place.subject, place.kind.name(), &place.reference));
        let rows: Vec<String> = sqlx::query_scalar(
            "SELECT l.body FROM core.settled_line l JOIN core.settlement s ON s.day = l.day AND s.acquirer = l.acquirer
             WHERE l.acquirer = $1 AND l.day = $2 AND s.body IS NOT NULL AND (l.subject, l.kind, l.reference) > ($3, $4, $5)
             ORDER BY l.subject, l.kind, l.reference LIMIT $6",
        )
        .bind(acquirer)
        .bind(date.to_string())
        .bind(subject)
        .bind(kind)
        .bind(reference)
        .bind(at_most(max))
        .fetch_all(&self.pool)
        .await
        .map_err(Trouble::from)?;
        rows.iter().map(|body| row(acquirer.to_owned(), &date.to_string(), body)).collect()
    }

    async fn known_of(&self, lines: &[LineRow]) -> Result<Vec<(Ours, Option<RiderId>)>, StoreError> {
        Ok(known_of(&self.pool, lines).await?)
    }
}
