//! The book on the disk: every line is durable before it is answered, and opening reads them all again.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use facegate_runtime::clock::Clock;
use facegate_runtime::disk::Disk;
use facegate_runtime::journal::{Journal, JournalError, JournalOptions};
use tokio::sync::{RwLock, RwLockReadGuard};
use uuid::Uuid;

use super::book::{AmountRequest, AuthorisationRequest, Book, Chances, Charge, Line, Refusal, Verdict};

/// Lines read at a time when opening.
const LINES_PAGE: usize = 1_000;

/// Why a request was not answered with a charge.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("nothing was done: {0}")]
    Journal(#[from] JournalError),
}

/// A charge as answered, and what this request did; nothing if it was done before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub charge: Charge,
    pub done: Vec<Line>,
}

/// Cheap to clone; clones are the same book.
#[derive(Debug, Clone)]
pub struct DurableBook {
    book: Arc<RwLock<Book>>,
    journal: Journal,
    clock: Arc<dyn Clock>,
}

impl DurableBook {
    /// Errors: a journal that is damaged or in use, or a line that this version cannot read.
    pub async fn open(disk: Arc<dyn Disk>, dir: &Path, clock: Arc<dyn Clock>) -> Result<Self> {
        let (journal, recovery) = Journal::open(disk, dir, JournalOptions::default())?;
        let mut book = Book::default();
        let mut next = recovery.first_index;
        while next < recovery.next_index {
            for (index, payload) in journal.read(next, LINES_PAGE)? {
                let lines: Vec<Line> =
                    serde_json::from_slice(&payload).with_context(|| format!("record {index} of the book"))?;
                lines.iter().for_each(|line| book.apply(line));
                next = index + 1;
            }
        }
        Ok(Self { book: Arc::new(RwLock::new(book)), journal, clock })
    }

    pub async fn read(&self) -> RwLockReadGuard<'_, Book> {
        self.book.read().await
    }

    pub async fn authorise(
        &self,
        key: String,
        request: AuthorisationRequest,
        chances: Chances,
    ) -> Result<Answer, BookError> {
        let (fresh, at_ms) = (fresh("auth"), self.now_ms());
        self.act(move |book| book.authorise(&key, request, fresh, chances, at_ms)).await
    }

    pub async fn refund(&self, id: String, key: String, request: AmountRequest) -> Result<Answer, BookError> {
        let (fresh, at_ms) = (fresh("re"), self.now_ms());
        self.act(move |book| book.refund(&id, &key, &request, fresh, at_ms)).await
    }

    /// Ends the captures that were taken on longer ago than `after`; gives what was done.
    pub async fn settle(&self, after: Duration) -> Result<Vec<Line>, BookError> {
        let now = self.clock.now();
        let mut book = self.book.write().await;
        let lines = book.settle(now.minus(after).unix_ms(), now.unix_ms());
        if !lines.is_empty() {
            write(&self.journal, &mut book, &lines).await?;
        }
        Ok(lines)
    }

    pub async fn capture(&self, id: String, key: String, request: AmountRequest) -> Result<Answer, BookError> {
        let at_ms = self.now_ms();
        self.act(move |book| book.capture(&id, &key, &request, at_ms)).await
    }

    pub async fn void(&self, id: String, key: String) -> Result<Answer, BookError> {
        let at_ms = self.now_ms();
        self.act(move |book| book.void(&id, &key, at_ms)).await
    }

    fn now_ms(&self) -> i64 {
        self.clock.now().unix_ms()
    }

    /// Decides, writes and applies under one lock, in a task of its own: a client that hangs up meanwhile must not leave
    /// a line on the disk that the book in memory does not know.
    async fn act(
        &self,
        decide: impl FnOnce(&Book) -> Result<Verdict, Refusal> + Send + 'static,
    ) -> Result<Answer, BookError> {
        let Self { book, journal, .. } = self.clone();
        let task = tokio::spawn(async move {
            let mut book = book.write().await;
            let (authorisation, done) = match decide(&book)? {
                Verdict::DoneBefore { authorisation } => (authorisation, Vec::new()),
                Verdict::Do(lines) => {
                    write(&journal, &mut book, &lines).await?;
                    (lines.first().map(|line| line.authorisation().to_owned()).unwrap_or_default(), lines)
                }
            };
            let charge = book.charge(&authorisation).cloned();
            let charge = charge.ok_or(Refusal::UnknownAuthorisation(authorisation))?;
            Ok(Answer { charge, done })
        });
        // The task only ends early if it panics, and then so does this request.
        task.await.expect("the book's task does not panic")
    }
}

/// One record of the journal, so that all of the lines are there after a kill or none.
async fn write(journal: &Journal, book: &mut Book, lines: &[Line]) -> Result<(), BookError> {
    let payload = serde_json::to_vec(lines).expect("lines are strings and numbers");
    journal.append(payload).await?;
    lines.iter().for_each(|line| book.apply(line));
    Ok(())
}

fn fresh(kind: &str) -> String {
    format!("{kind}_{}", Uuid::new_v4().simple())
}
