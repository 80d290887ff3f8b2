//! Why something about the books did not happen.

use std::path::{Path, PathBuf};

use facegate_domain::ledger::LedgerError;
use facegate_domain::settlement::SettlementError;
use jiff::civil::Date;

use crate::store::{SettlementRefusal, StoreError};

#[derive(Debug, thiserror::Error)]
pub enum BooksError {
    #[error("{file}: {source}")]
    Settlement { file: String, source: SettlementError },
    #[error("{file}: {source}")]
    Refused { file: String, source: SettlementRefusal },
    #[error("{file} is of {date}, which has not come yet: look at the clock of this machine, or of whoever wrote it")]
    Future { file: String, date: Date },
    #[error("{file} was changed while it was read: nothing of it counts; import it again")]
    Changed { file: String },
    #[error("{day} is not over before {over}: close it then")]
    NotOver { day: Date, over: String },
    #[error("days are closed one after the other, and {next} is the next: close that one first")]
    OutOfOrder { next: Date },
    #[error("{day} is not closed: {}. Do what is to be done, or close it all the same with a note that says why", against.join("; "))]
    Against { day: Date, against: Vec<String> },
    #[error("to close a day all the same takes a note that says why")]
    NoteMissing,
    #[error("the close of {0} is under way: look again when it is through")]
    UnderWay(Date),
    #[error("cannot write {}: {source}; the books are as they were", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("cannot write {}: {source}; the books are as they were", path.display())]
    Table { path: PathBuf, source: parquet::errors::ParquetError },
    #[error("cannot read {file}: {source}")]
    Read { file: String, source: std::io::Error },
    #[error("{file}: {reason}")]
    Statement { file: String, reason: String },
    #[error("{0}")]
    Payment(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl BooksError {
    pub(super) fn write(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        |source| Self::Write { path: path.to_owned(), source }
    }

    /// Whether the caller has asked for what cannot be, and nothing is wrong with the cloud.
    pub fn is_refusal(&self) -> bool {
        !matches!(self, Self::Write { .. } | Self::Table { .. } | Self::Store(_))
    }
}
