//! The books. Entries are posted by the commands that cause them, in the same transaction.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::ledger::{Account, Entry, EntryId, Totals, TrialBalance};
use facegate_domain::money::{Currency, Money};

use super::StoreError;

#[async_trait]
pub trait LedgerStore: Sync {
    async fn balance(&self, account: Account, currency: Currency) -> Result<Money, StoreError>;

    /// At most `max` entries in the order they were posted, from number `from` on, each with its number.
    async fn entries(&self, from: u64, max: usize) -> Result<Vec<(u64, Entry)>, StoreError>;

    /// Posts an entry that a person has ordered, with a line in the audit log. Posted already, it counts once.
    async fn post_entry(&self, entry: Entry, actor: &str, action: &str, subject: &str) -> Result<(), StoreError>;

    /// Which of these entries are posted.
    async fn posted(&self, ids: &[EntryId]) -> Result<Vec<bool>, StoreError>;

    /// Every balance, folded anew from all entries: what the running balances are checked against.
    async fn trial_balance(&self) -> Result<TrialBalance, StoreError> {
        let (mut balance, mut from) = (TrialBalance::default(), 0);
        loop {
            let page = self.entries(from, 1000).await?;
            let Some((last, _)) = page.last() else { return Ok(balance) };
            from = last + 1;
            page.iter().try_for_each(|(_, entry)| balance.add(entry))?;
        }
    }

    /// The trial balance of a moment, by control account: of every entry that was made at `at` or earlier, exactly. Reads
    /// the totals of the hours before, and the entries of one hour.
    async fn totals_at(&self, at: Timestamp) -> Result<Totals, StoreError>;

    /// Whether the running balances of every currency sum to zero. Reads every balance, no entry.
    async fn is_balanced(&self) -> Result<bool, StoreError>;
}
