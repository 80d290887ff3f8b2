//! Settlement files and their lines.

use async_trait::async_trait;
use facegate_domain::charge::{Charge, ChargeId};
use facegate_domain::ids::RiderId;
use facegate_domain::ledger::{Account, Entry, EntryId};
use facegate_domain::money::Money;
use facegate_domain::reconcile::{LineRow, Ours};
use facegate_domain::settlement::{Header, SettledKind, SettledLine, Settlement};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::key::books as keys;
use super::tx::{Tx, damaged, decode};
use super::{SledStore, audit, key, ledger};
use crate::store::books::bill_row;
use crate::store::{LinePlace, SettlementFile, SettlementRefusal, SettlementStore, StoreError};

/// Lines removed at a time.
const PAGE: usize = 10_000;

/// A file in the store.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Kept {
    /// Some of its lines are here, and count for nothing.
    Begun,
    Imported {
        file: Box<SettlementFile>,
    },
}

/// Where a reference was seen.
#[derive(Debug, Serialize, Deserialize)]
struct Seen {
    date: Date,
    subject: Uuid,
}

/// A line and where it is, beside each other.
#[derive(Debug, Serialize, Deserialize)]
struct KeptLine {
    acquirer: String,
    date: Date,
    line: SettledLine,
}

impl From<KeptLine> for LineRow {
    fn from(KeptLine { acquirer, date, line }: KeptLine) -> Self {
        Self { acquirer, date, line }
    }
}

fn imported(tx: &Tx<'_>, acquirer: &str, date: Date) -> Result<Option<Box<SettlementFile>>, StoreError> {
    Ok(match tx.get(&keys::settlement(acquirer, date))? {
        Some(Kept::Imported { file }) => Some(file),
        Some(Kept::Begun) | None => None,
    })
}

fn refuse_imported(tx: &Tx<'_>, settlement: &Settlement) -> Result<(), StoreError> {
    let Header { acquirer, date, .. } = &settlement.header;
    match imported(tx, acquirer, *date)? {
        Some(file) => Err(file.refuses(&settlement.sha256).into()),
        None => Ok(()),
    }
}

fn remove_line(tx: &mut Tx<'_>, acquirer: &str, date: Date, place: &LinePlace) {
    tx.remove(keys::settled_line(acquirer, date, place));
    tx.remove(keys::settled_of(acquirer, date, place));
    tx.remove(keys::settled_reference(acquirer, place.kind, &place.reference));
}

fn add(tx: &mut Tx<'_>, header: &Header, number: u64, line: SettledLine) -> Result<(), StoreError> {
    let Header { acquirer, date, .. } = header;
    let (place, kind) = (LinePlace::of(&line), line.kind);
    let reference = keys::settled_reference(acquirer, kind, &line.reference);
    if let Some(seen) = tx.get::<Seen>(&reference)?.filter(|seen| seen.date != *date) {
        if imported(tx, acquirer, seen.date)?.is_some() {
            let reference = line.reference;
            return Err(SettlementRefusal::SettledBefore { line: number, kind, reference, date: seen.date }.into());
        }
        // What was left of a file that nobody finished.
        remove_line(tx, acquirer, seen.date, &LinePlace { subject: seen.subject, ..place.clone() });
    }
    tx.put(reference, &Seen { date: *date, subject: place.subject });
    tx.put(keys::settled_of(acquirer, *date, &place), &());
    let kept = KeptLine { acquirer: acquirer.clone(), date: *date, line };
    tx.put(keys::settled_line(acquirer, *date, &place), &kept);
    Ok(())
}

/// Lines of imported files about `subject`.
pub(super) fn lines_about(tx: &Tx<'_>, subject: Uuid) -> Result<Vec<LineRow>, StoreError> {
    let prefix = keys::settled_ofs(subject);
    let mut lines = Vec::new();
    for (k, _) in tx.scan(&prefix)? {
        let rest = k.get(prefix.len()..).unwrap_or_default();
        let place = place_of(rest, subject).ok_or_else(|| damaged(&k, "no place of a line"))?;
        if imported(tx, &place.1, place.0)?.is_none() {
            continue;
        }
        let line = keys::settled_line(&place.1, place.0, &place.2);
        let kept: KeptLine = tx.get(&line)?.ok_or_else(|| damaged(&line, "gone"))?;
        lines.push(kept.into());
    }
    Ok(lines)
}

/// Date, acquirer and place of a line, as `settled-of/` has them behind the subject.
fn place_of(rest: &[u8], subject: Uuid) -> Option<(Date, String, LinePlace)> {
    let (date, rest) = rest.split_at_checked(10)?;
    let mut parts = rest.splitn(3, |byte| *byte == 0).map(|part| std::str::from_utf8(part).ok());
    let (acquirer, kind, reference) = (parts.next()??, parts.next()??, parts.next()??);
    let place = LinePlace { subject, kind: SettledKind::named(kind)?, reference: reference.to_owned() };
    Some((std::str::from_utf8(date).ok()?.parse().ok()?, acquirer.to_owned(), place))
}

fn known_of(tx: &Tx<'_>, row: &LineRow) -> Result<(Ours, Option<RiderId>), StoreError> {
    let subject = LinePlace::of(&row.line).subject;
    let charge = ChargeId::from_bytes(subject.into_bytes());
    let entry = match row.line.kind {
        SettledKind::Capture => None,
        SettledKind::Refund => Some(EntryId::of("refund", subject)),
        kind => Some(EntryId::of(kind.name(), format_args!("{charge}/{}", row.line.reference))),
    };
    let posted = entry.map(|id| ledger::entry(tx, &id)).transpose()?.flatten();
    if let Some(amount) = posted.as_ref().and_then(at_acquirers) {
        return Ok((Ours::Posted(amount), None));
    }
    let Some(charge) = tx.get::<Charge>(&key::charge(charge))? else { return Ok((Ours::Nothing, None)) };
    let rider = charge.rider();
    Ok((Ours::Bill(bill_row(&charge, &[], lines_about(tx, subject)?)), Some(rider)))
}

/// What an entry moved at the acquirers, positive.
fn at_acquirers(entry: &Entry) -> Option<Money> {
    let posting = entry.postings().iter().find(|posting| posting.account == Account::AcquirerReceivable)?;
    if posting.amount.is_negative() { posting.amount.checked_neg().ok() } else { Some(posting.amount) }
}

#[async_trait]
impl SettlementStore for SledStore {
    async fn begin_settlement(&self, settlement: &Settlement) -> Result<(), StoreError> {
        let Header { acquirer, date, .. } = &settlement.header;
        loop {
            let left = self
                .write(|tx| {
                    refuse_imported(tx, settlement)?;
                    tx.put(keys::settlement(acquirer, *date), &Kept::Begun);
                    let lines = keys::settled_lines(acquirer, *date);
                    let page = tx.scan_from(&lines, &lines, PAGE)?;
                    for (k, v) in &page {
                        let kept: KeptLine = decode(k, v)?;
                        remove_line(tx, acquirer, *date, &LinePlace::of(&kept.line));
                    }
                    Ok(page.len())
                })
                .await?;
            if left < PAGE {
                return Ok(());
            }
        }
    }

    async fn add_settled(&self, header: &Header, lines: Vec<(u64, SettledLine)>) -> Result<(), StoreError> {
        self.write(|tx| lines.into_iter().try_for_each(|(number, line)| add(tx, header, number, line))).await
    }

    async fn finish_settlement(&self, file: SettlementFile) -> Result<(), StoreError> {
        self.write(|tx| {
            let Header { acquirer, date, .. } = &file.settlement.header;
            refuse_imported(tx, &file.settlement)?;
            if let Some(entry) = file.settlement.entry(file.imported_at)? {
                ledger::post(tx, &entry)?;
            }
            let subject = format!("{acquirer}/{date} {}", hex::encode(file.settlement.sha256));
            audit::append(tx, &file.by, "books.settlement", &subject, file.imported_at)?;
            tx.put(keys::settlement(acquirer, *date), &Kept::Imported { file: Box::new(file.clone()) });
            Ok(())
        })
        .await
    }

    async fn settlement_files(&self, since: Date) -> Result<Vec<SettlementFile>, StoreError> {
        let mut files = Vec::new();
        for (k, v) in self.read().scan_from(keys::SETTLEMENT, &keys::settlements_of(since), usize::MAX)? {
            if let Kept::Imported { file } = decode(&k, &v)? {
                files.push(*file);
            }
        }
        Ok(files)
    }

    async fn settled_lines(
        &self,
        acquirer: &str,
        date: Date,
        after: Option<&LinePlace>,
        max: usize,
    ) -> Result<Vec<LineRow>, StoreError> {
        let tx = self.read();
        if imported(&tx, acquirer, date)?.is_none() {
            return Ok(Vec::new());
        }
        let lines = keys::settled_lines(acquirer, date);
        let from = after.map_or(lines.clone(), |place| [keys::settled_line(acquirer, date, place), vec![0]].concat());
        let page = tx.scan_from(&lines, &from, max)?;
        page.iter().map(|(k, v)| Ok(decode::<KeptLine>(k, v)?.into())).collect()
    }

    async fn known_of(&self, lines: &[LineRow]) -> Result<Vec<(Ours, Option<RiderId>)>, StoreError> {
        let tx = self.read();
        lines.iter().map(|row| known_of(&tx, row)).collect()
    }
}
