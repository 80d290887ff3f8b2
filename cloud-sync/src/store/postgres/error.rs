//! What the database says, sorted into: try again, out of reach, and impossible.

use std::time::Duration;

use facegate_domain::charge::ChargeError;
use facegate_domain::dispute::DisputeError;
use facegate_domain::ledger::LedgerError;
use facegate_domain::remedy::RemedyError;

use crate::store::StoreError;

/// A command is tried so often before it is told that the database is too busy.
const TRIES_MAX: u32 = 12;

/// Why a transaction did not happen.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The command itself refuses.
    Refused(StoreError),
    Sql(sqlx::Error),
    /// Somebody was faster at something that only one can do; the next try sees it.
    Overtaken,
}

impl From<StoreError> for Trouble {
    fn from(refused: StoreError) -> Self {
        Self::Refused(refused)
    }
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<ChargeError> for Trouble {
    fn from(refused: ChargeError) -> Self {
        Self::Refused(refused.into())
    }
}

impl From<RemedyError> for Trouble {
    fn from(refused: RemedyError) -> Self {
        Self::Refused(refused.into())
    }
}

impl From<DisputeError> for Trouble {
    fn from(refused: DisputeError) -> Self {
        Self::Refused(refused.into())
    }
}

impl From<LedgerError> for Trouble {
    fn from(refused: LedgerError) -> Self {
        Self::Refused(refused.into())
    }
}

impl From<Trouble> for StoreError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Refused(refused) => refused,
            Trouble::Overtaken => Self::Unavailable("too many commands at once".to_owned()),
            Trouble::Sql(error) => from_sql(error),
        }
    }
}

fn from_sql(error: sqlx::Error) -> StoreError {
    let Some(told) = error.as_database_error() else {
        return match error {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::RowNotFound => {
                StoreError::Damaged { key: "a row".into(), reason: error.to_string() }
            }
            other => StoreError::Unavailable(other.to_string()),
        };
    };
    let code = told.code().unwrap_or_default();
    // Connection, resources (a full disk), an operator at work, the system below; a server that only reads.
    let passes = ["08", "53", "57", "58", "40"].iter().any(|class| code.starts_with(class)) || code == "25006";
    if passes {
        return StoreError::Unavailable(told.to_string());
    }
    let key = told.constraint().or(told.table()).unwrap_or("a statement").to_owned();
    StoreError::Damaged { key, reason: told.to_string() }
}

/// Counts how often one command was tried.
#[derive(Debug, Default)]
pub(super) struct Tries(u32);

impl Tries {
    /// Rests before the next try, longer each time; gives the error if there should be none.
    pub async fn rest(&mut self, trouble: Trouble) -> Result<(), StoreError> {
        self.0 += 1;
        if self.0 >= TRIES_MAX || !is_passing(&trouble) {
            return Err(trouble.into());
        }
        metrics::counter!("facegate_store_retries_total").increment(1);
        let at_most = 2_u64 << self.0.min(8);
        tokio::time::sleep(Duration::from_millis(rand::random_range(1..=at_most))).await;
        Ok(())
    }
}

/// Whether the same command may well succeed at once: a conflict or a deadlock with another one.
fn is_passing(trouble: &Trouble) -> bool {
    match trouble {
        Trouble::Refused(_) => false,
        Trouble::Overtaken => true,
        Trouble::Sql(error) => {
            let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
            matches!(code.as_deref(), Some("40001" | "40P01"))
        }
    }
}
