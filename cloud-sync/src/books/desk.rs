//! The desk of finance: all that it does, on one store, for the command line and the page alike.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use facegate_domain::ledger::{Account, Totals};
use facegate_domain::money::{Currency, Money};
use facegate_domain::{Clock, Timestamp};
use jiff::civil::Date;

use super::import::{Importing, import_file};
use super::payment::{Payees, Payment};
use super::statement::{self, Expected};
use super::tables::Hashed;
use super::{BooksError, Closer, Closing, Matched, Matcher};
use crate::auditor::Auditor;
use crate::config::Config;
use crate::store::{DayClose, SettlementFile, Store, WrittenFile};

/// Movements before a statement's first entry that it may be about.
const EXPECTED_DAYS: i64 = 30;

/// Where finance's tables go, and who is paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BooksConfig {
    pub dir: PathBuf,
    pub inbox_every: Duration,
    /// None: nobody is paid by file.
    pub payees: Option<Payees>,
}

/// See the module.
#[derive(Debug)]
pub struct Desk {
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub closer: Closer,
    pub currency: Currency,
    /// Whose files are taken.
    pub acquirers: Vec<String>,
    pub config: BooksConfig,
}

impl Desk {
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, config: &Config) -> Self {
        let currency = config.fares.currency();
        let acquirers: Vec<String> = config.acquirers.iter().map(|acquirer| acquirer.name.to_string()).collect();
        let matcher = Matcher {
            store: Arc::clone(&store),
            days: config.audit.days.clone(),
            dir: config.books.dir.clone(),
            currency,
            acquirers: acquirers.clone(),
        };
        let auditor = Auditor::new(Arc::clone(&store), Arc::clone(&clock), config.audit.clone());
        let closer = Closer::new(matcher, auditor, config.audit.close_after);
        Self { store, clock, closer, currency, acquirers, config: config.books.clone() }
    }

    pub fn matcher(&self) -> &Matcher {
        &self.closer.matcher
    }

    /// The travel day that is under way.
    pub fn today(&self) -> Date {
        self.matcher().days.of(self.clock.now())
    }

    pub async fn trial_balance(&self, at: Timestamp) -> Result<Totals, BooksError> {
        Ok(self.store.totals_at(at).await?)
    }

    pub async fn import(&self, path: &Path, by: &str) -> Result<SettlementFile, BooksError> {
        let (acquirers, currency, now) = (self.acquirers.as_slice(), self.currency, self.clock.now());
        import_file(&*self.store, path, &Importing { acquirers, currency, by, now }).await
    }

    /// Matches the day as it is now.
    pub async fn preview(&self, day: Date) -> Result<Matched, BooksError> {
        self.closer.preview(day, self.clock.now()).await
    }

    pub async fn close(&self, day: Date, closing: &Closing) -> Result<DayClose, BooksError> {
        self.closer.close(day, closing, self.clock.now()).await
    }

    /// Writes the payment of a closed day and posts it. The same day gives the same file again.
    pub async fn pay(&self, day: Date, by: &str) -> Result<(WrittenFile, Payment), BooksError> {
        let Some(payees) = &self.config.payees else {
            let missing = "the config's section [books] names no payer and payees: add them, and restart";
            return Err(BooksError::Payment(missing.to_owned()));
        };
        let Some(close) = self.store.closed_day(day).await? else {
            return Err(BooksError::Payment(format!("{day} is not closed: close it first, since its sum may change")));
        };
        let wrong = |problem: &dyn std::fmt::Display| BooksError::Payment(problem.to_string());
        let sum = close.totals.settled.minor.checked_sub(close.totals.fees.minor);
        let sum = sum.ok_or_else(|| wrong(&"the sum does not fit into 64 bits"))?;
        let payment =
            Payment::of(day, Money::from_minor(sum, self.currency), payees).map_err(|problem| wrong(&problem))?;
        let Some(payment) = payment else {
            return Err(BooksError::Payment(format!(
                "on {day} acquirers have paid nothing out: there is nothing to pay"
            )));
        };
        let entry = payment.entry(self.clock.now())?;
        self.store.post_entry(entry, by, "books.payment", &day.to_string()).await?;
        let path = self.matcher().folder(day).join(format!("payment-{day}.xml"));
        let text = payment.xml(close.closed_at).map_err(BooksError::write(&path))?;
        let mut file = Hashed::create(&path)?;
        std::io::Write::write_all(&mut file, text.as_bytes()).map_err(BooksError::write(&path))?;
        Ok((file.finish()?, payment))
    }

    /// Holds the bank's statements against the books.
    pub async fn statement(&self, file: &str, bytes: &[u8]) -> Result<Vec<statement::Matched>, BooksError> {
        let statements = statement::read(bytes)
            .map_err(|error| BooksError::Statement { file: file.to_owned(), reason: error.to_string() })?;
        let lines: Vec<_> = statements.into_iter().flat_map(|statement| statement.entries).collect();
        if let Some(line) = lines.iter().find(|line| line.amount.currency() != self.currency) {
            let reason = format!("{} is not in {}, which the books are in", line.amount, self.currency);
            return Err(BooksError::Statement { file: file.to_owned(), reason });
        }
        let first = lines.iter().map(|line| line.booked).min().unwrap_or_else(|| self.today());
        let last = lines.iter().map(|line| line.booked).max().unwrap_or(first);
        let since = first.checked_sub(jiff::Span::new().days(EXPECTED_DAYS)).unwrap_or(first);
        Ok(statement::match_entries(lines, self.expected(since, last).await?))
    }

    /// What should have moved at the bank.
    async fn expected(&self, since: Date, until: Date) -> Result<Vec<Expected>, BooksError> {
        let mut expected = Vec::new();
        for file in self.store.settlement_files(since).await? {
            let header = &file.settlement.header;
            if let Some(entry) = file.settlement.entry(file.imported_at)? {
                let paid = entry.postings().iter().find(|posting| posting.account == Account::OperatorBank);
                expected.extend(paid.map(|posting| Expected {
                    entry: entry.id().to_string(),
                    names: vec![header.acquirer.clone(), header.date.to_string()],
                    amount: posting.amount,
                    since: header.date,
                }));
            }
        }
        for close in self.store.closed_days(400).await?.into_iter().filter(|close| close.day >= since) {
            expected.extend(self.expected_payments(&close).await?);
        }
        expected.retain(|expected| expected.since <= until);
        Ok(expected)
    }

    async fn expected_payments(&self, close: &DayClose) -> Result<Vec<Expected>, BooksError> {
        let Some(payees) = &self.config.payees else { return Ok(Vec::new()) };
        let sum = Money::from_minor(close.totals.settled.minor.saturating_sub(close.totals.fees.minor), self.currency);
        let payment = Payment::of(close.day, sum, payees).ok().flatten();
        let Some(payment) = payment else { return Ok(Vec::new()) };
        let entry = payment.entry(close.closed_at)?.id().clone();
        if self.store.posted(std::slice::from_ref(&entry)).await? == [false] {
            return Ok(Vec::new());
        }
        let days = self.matcher().days.of(close.closed_at);
        let one = |transfer: super::payment::Transfer| Expected {
            entry: entry.to_string(),
            names: vec![transfer.id],
            amount: Money::from_minor(-transfer.amount.minor(), transfer.amount.currency()),
            since: days.min(close.day),
        };
        Ok(payment.transfers.into_iter().map(one).collect())
    }
}
