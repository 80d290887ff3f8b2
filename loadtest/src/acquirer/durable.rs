//! The book on the disk: every line is durable before it is answered, and opening reads them all again.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use facegate_runtime::clock::Clock;
use facegate_runtime::disk::Disk;
use facegate_runtime::journal::{Journal, JournalError, JournalOptions};
use tokio::sync::{RwLock, RwLockReadGuard};
use uuid::Uuid;

use super::book::{AuthorisationRequest, Book, CaptureRequest, Charge, Line, Refusal, Verdict};

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

/// A charge as answered, and whether this request did the work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub charge: Charge,
    pub first: bool,
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
                let line: Line =
                    serde_json::from_slice(&payload).with_context(|| format!("line {index} of the book"))?;
                book.apply(&line);
                next = index + 1;
            }
        }
        Ok(Self { book: Arc::new(RwLock::new(book)), journal, clock })
    }

    pub async fn read(&self) -> RwLockReadGuard<'_, Book> {
        self.book.read().await
    }

    pub async fn authorise(&self, key: String, request: AuthorisationRequest) -> Result<Answer, BookError> {
        let (fresh, at_ms) = (format!("auth_{}", Uuid::new_v4().simple()), self.now_ms());
        self.act(move |book| book.authorise(&key, request, fresh, at_ms)).await
    }

    pub async fn capture(&self, id: String, key: String, request: CaptureRequest) -> Result<Answer, BookError> {
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
            let (authorisation, first) = match decide(&book)? {
                Verdict::DoneBefore { authorisation } => (authorisation, false),
                Verdict::Do(line) => {
                    let payload = serde_json::to_vec(&line).expect("a line is strings and numbers");
                    journal.append(payload).await?;
                    book.apply(&line);
                    (line.authorisation().to_owned(), true)
                }
            };
            let charge = book.charge(&authorisation).cloned();
            let charge = charge.ok_or(Refusal::UnknownAuthorisation(authorisation))?;
            Ok(Answer { charge, first })
        });
        // The task only ends early if it panics, and then so does this request.
        task.await.expect("the book's task does not panic")
    }
}
