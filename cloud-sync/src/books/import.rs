//! Takes a settlement file over: read once to check all of it, and once more to keep its lines. Nothing counts before the
//! last step, which posts its entry.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::Path;

use facegate_domain::Timestamp;
use facegate_domain::charge::ChargeId;
use facegate_domain::dispute::DisputeState;
use facegate_domain::money::Currency;
use facegate_domain::settlement::{Header, Reader, SettledKind, SettledLine, Settlement, SettlementError};
use facegate_domain::travel_day::TravelDays;

use super::BooksError;
use crate::store::{Chargeback, SettlementFile, Store, StoreError, subject};

/// Lines kept by one command.
const PAGE: usize = 2000;
/// A longer line is none of a settlement file.
const LINE_BYTES_MAX: u64 = 4096;

/// Whose files are taken, and who takes them.
#[derive(Debug, Clone)]
pub struct Importing<'i> {
    pub acquirers: &'i [String],
    pub currency: Currency,
    pub by: &'i str,
    pub now: Timestamp,
}

/// Imports the file at `path`.
pub async fn import_file(
    store: &dyn Store,
    path: &Path,
    importing: &Importing<'_>,
) -> Result<SettlementFile, BooksError> {
    let file = path.display().to_string();
    let opened = File::open(path).map_err(|source| BooksError::Read { file: file.clone(), source })?;
    let name = path.file_name().map_or_else(|| file.clone(), |name| name.to_string_lossy().into_owned());
    import(store, opened, &name, importing).await
}

/// Imports what `source` holds; `name` is what it is called in errors and in the books.
pub async fn import<S: Read + Seek + Send>(
    store: &dyn Store,
    source: S,
    name: &str,
    importing: &Importing<'_>,
) -> Result<SettlementFile, BooksError> {
    let mut lines = Lines { source: BufReader::new(source), name, importing };
    let settlement = lines.check()?;
    let header = &settlement.header;
    let days = TravelDays::new("UTC", "00:00").ok();
    let today = days.map(|days| days.of(importing.now));
    // Somebody east of us may be a day ahead.
    let latest = today.map(|today| today.tomorrow().unwrap_or(today));
    if latest.is_some_and(|latest| header.date > latest) {
        return Err(BooksError::Future { file: name.to_owned(), date: header.date });
    }
    let refused = |error| match error {
        StoreError::Settlement(source) => BooksError::Refused { file: name.to_owned(), source },
        other => other.into(),
    };
    store.begin_settlement(&settlement).await.map_err(refused)?;
    let taken_back = lines.keep(store, &settlement).await?;
    let closed = store.closed_days(1).await?.first().map(|close| close.day);
    let open = closed.map(|day| day.tomorrow().unwrap_or(day));
    let file = SettlementFile {
        counts_on: open.map_or(header.date, |open| open.max(header.date)),
        name: name.to_owned(),
        by: importing.by.to_owned(),
        imported_at: importing.now,
        settlement,
    };
    store.finish_settlement(file.clone()).await.map_err(refused)?;
    for line in taken_back {
        follow(store, &line, importing.now).await?;
    }
    tracing::info!(file = name, lines = file.settlement.lines, sum = %file.settlement.sum, "a settlement file was imported");
    Ok(file)
}

/// Puts a dispute into the books. What cannot be stays a difference of the day, with what is to be done about it.
async fn follow(store: &dyn Store, line: &SettledLine, now: Timestamp) -> Result<(), StoreError> {
    let charge = ChargeId::from_bytes(subject(&line.key).into_bytes());
    let chargeback = Chargeback { charge, reference: line.reference.clone(), amount: line.amount };
    let followed = async {
        let dispute = store.open_dispute(&chargeback, now).await?;
        if line.kind == SettledKind::ChargebackReversed {
            store.close_dispute(dispute.id, DisputeState::Won, now).await?;
        }
        Ok(())
    };
    match followed.await {
        Err(error @ (StoreError::Dispute(_) | StoreError::UnknownCharge(_))) => {
            tracing::error!(%error, reference = line.reference, "a dispute that cannot be; see the day's differences");
            Ok(())
        }
        followed => followed,
    }
}

struct Lines<'i, S> {
    source: BufReader<S>,
    name: &'i str,
    importing: &'i Importing<'i>,
}

impl<S: Read + Seek + Send> Lines<'_, S> {
    fn wrong(&self, source: SettlementError) -> BooksError {
        BooksError::Settlement { file: self.name.to_owned(), source }
    }

    fn unreadable(&self, source: std::io::Error) -> BooksError {
        BooksError::Read { file: self.name.to_owned(), source }
    }

    /// The next line with its line feed, or what there is without one; empty at the end.
    fn next(source: &mut BufReader<S>, line: &mut Vec<u8>) -> std::io::Result<bool> {
        line.clear();
        source.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', line)?;
        Ok(!line.is_empty())
    }

    fn check(&mut self) -> Result<Settlement, BooksError> {
        let importing = self.importing;
        let mut reader = Reader::new(importing.acquirers, importing.currency);
        let mut line = Vec::new();
        while Self::next(&mut self.source, &mut line).map_err(|error| self.unreadable(error))? {
            reader.feed(&line).map_err(|error| self.wrong(error))?;
        }
        reader.finish().map_err(|error| self.wrong(error))
    }

    /// Keeps the lines of a file that was checked; gives those of charges that riders take back, which are few.
    async fn keep(&mut self, store: &dyn Store, checked: &Settlement) -> Result<Vec<SettledLine>, BooksError> {
        self.source.rewind().map_err(|error| self.unreadable(error))?;
        let importing = self.importing;
        let mut reader = Reader::new(importing.acquirers, importing.currency);
        let (mut line, mut number, mut page) = (Vec::new(), 0, Vec::with_capacity(PAGE));
        let mut taken_back = Vec::new();
        while Self::next(&mut self.source, &mut line).map_err(|error| self.unreadable(error))? {
            number += 1;
            let said = reader.feed(&line).map_err(|error| self.wrong(error))?;
            let disputes =
                |line: &&SettledLine| matches!(line.kind, SettledKind::Chargeback | SettledKind::ChargebackReversed);
            taken_back.extend(said.iter().filter(disputes).cloned());
            page.extend(said.map(|said| (number, said)));
            if page.len() == PAGE {
                self.add(store, &checked.header, std::mem::replace(&mut page, Vec::with_capacity(PAGE))).await?;
            }
        }
        self.add(store, &checked.header, page).await?;
        if reader.finish().map_err(|error| self.wrong(error))? != *checked {
            return Err(BooksError::Changed { file: self.name.to_owned() });
        }
        Ok(taken_back)
    }

    async fn add(&self, store: &dyn Store, header: &Header, page: Vec<(u64, SettledLine)>) -> Result<(), BooksError> {
        store.add_settled(header, page).await.map_err(|error| match error {
            StoreError::Settlement(source) => BooksError::Refused { file: self.name.to_owned(), source },
            other => other.into(),
        })
    }
}
