//! What acquirers have settled: their files, taken over line by line, each wholly or not at all.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::ids::RiderId;
use facegate_domain::reconcile::{LineRow, Ours};
use facegate_domain::settlement::{Header, SettledKind, SettledLine, Settlement};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::StoreError;

/// A file that was taken over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettlementFile {
    pub settlement: Settlement,
    /// As it was called where it was found.
    pub name: String,
    pub by: String,
    pub imported_at: Timestamp,
    /// The day in whose match its lines are: its own date, or the next that was open.
    pub counts_on: Date,
}

/// A place in the order of a file's lines, which is that of what they are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinePlace {
    pub subject: Uuid,
    pub kind: SettledKind,
    pub reference: String,
}

impl LinePlace {
    pub fn of(line: &SettledLine) -> Self {
        Self { subject: subject(&line.key), kind: line.kind, reference: line.reference.clone() }
    }
}

/// The charge or refund that one of our keys is about: the first id in it. None is all zeros.
pub fn subject(key: &str) -> Uuid {
    const LENGTH: usize = 36;
    let starts = (0..=key.len().saturating_sub(LENGTH)).filter(|at| key.is_char_boundary(*at));
    let ids = starts.filter_map(|at| Uuid::try_parse(key.get(at..at + LENGTH)?).ok());
    ids.into_iter().next().unwrap_or(Uuid::nil())
}

/// What an import meets in the store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettlementRefusal {
    #[error(
        "this file of {acquirer} for {date} was imported already, as {name} at {at}: nothing was done, nothing is left to do"
    )]
    Imported { acquirer: String, date: Date, name: String, at: String },
    #[error(
        "another file of {acquirer} for {date} was imported, as {name} at {at}, and this one says something else: what is \
         imported is never changed; ask the acquirer for a file of another date that has the corrections alone"
    )]
    Differs { acquirer: String, date: Date, name: String, at: String },
    #[error(
        "line {line}: {} {reference} was settled in the file of {date} already; ask the acquirer which of the two counts",
        kind.name()
    )]
    SettledBefore { line: u64, kind: SettledKind, reference: String, date: Date },
}

impl SettlementFile {
    /// Why a file with this content is not taken after this one.
    pub(super) fn refuses(&self, sha256: &[u8; 32]) -> SettlementRefusal {
        let Header { acquirer, date, .. } = self.settlement.header.clone();
        let (name, at) = (self.name.clone(), crate::audit_report::moment(self.imported_at));
        if self.settlement.sha256 == *sha256 {
            SettlementRefusal::Imported { acquirer, date, name, at }
        } else {
            SettlementRefusal::Differs { acquirer, date, name, at }
        }
    }
}

#[async_trait]
pub trait SettlementStore {
    /// Begins to take over a file that was checked; what is left of an import of it that was cut short goes.
    ///
    /// Errors: `Settlement` if one of this acquirer and date was imported.
    async fn begin_settlement(&self, settlement: &Settlement) -> Result<(), StoreError>;

    /// Takes some of its lines, each with its number. They count once the file is finished.
    ///
    /// Errors: `Settlement` if a line was in an imported file of another date.
    async fn add_settled(&self, header: &Header, lines: Vec<(u64, SettledLine)>) -> Result<(), StoreError>;

    /// From here on the file counts: its entry is posted and the audit log has a line, in one transaction.
    ///
    /// Errors: as [`Self::begin_settlement`].
    async fn finish_settlement(&self, file: SettlementFile) -> Result<(), StoreError>;

    /// All that were imported, by date and acquirer, from `since` on.
    async fn settlement_files(&self, since: Date) -> Result<Vec<SettlementFile>, StoreError>;

    /// At most `max` lines of an imported file, from behind `after` on.
    async fn settled_lines(
        &self,
        acquirer: &str,
        date: Date,
        after: Option<&LinePlace>,
        max: usize,
    ) -> Result<Vec<LineRow>, StoreError>;

    /// What the books know of what these lines are about, and whose it is.
    async fn known_of(&self, lines: &[LineRow]) -> Result<Vec<(Ours, Option<RiderId>)>, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_what_it_is_about_whatever_is_around_it() {
        let id = "6f1c6f6e-2d2b-8c4f-9b1e-0123456789ab";
        let uuid: Uuid = id.parse().unwrap();
        for key in
            [id.to_owned(), format!("facegate-{id}"), format!("facegate-{id}-2"), format!("facegate-refund-{id}")]
        {
            assert_eq!(subject(&key), uuid, "{key}");
        }
        for key in ["", "somebody-else", "facegate-6f1c6f6e", "ключ-ключ-ключ-ключ-ключ-ключ-ключ-ключ"]
        {
            assert_eq!(subject(key), Uuid::nil(), "{key}");
        }
    }
}
