//! Wallets: prepaid money in the books, of which a part may be set aside for a charge.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::charge::{ChargeError, IdempotencyKey};
use facegate_domain::ids::RiderId;
use facegate_domain::ledger::{Account, Entry, EntryId, LedgerError};
use facegate_domain::money::{Money, MoneyError};
use facegate_domain::notice::Told;

use super::StoreError;

/// What was set aside under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    pub rider: RiderId,
    pub amount: Money,
    /// What was put back.
    pub released: Money,
}

#[async_trait]
pub trait WalletStore {
    /// Sets `amount` aside, reading the balance in the same transaction, so that no two charges spend the same money. The
    /// same key again gives what it gave. False if the wallet holds too little. A rider whose wallet falls below `low` is
    /// told.
    ///
    /// Errors: `Ledger` if the key holds another amount.
    async fn hold_in_wallet(
        &self,
        key: &IdempotencyKey,
        rider: RiderId,
        amount: Money,
        low: Option<Money>,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Puts back what is beyond `kept`. Again is once.
    ///
    /// Errors: `UnknownHold`, `Ledger` if another part was put back.
    async fn release_hold(&self, key: &IdempotencyKey, kept: Money, now: Timestamp) -> Result<(), StoreError>;

    async fn wallet_hold(&self, key: &IdempotencyKey) -> Result<Option<Held>, StoreError>;

    /// Posts an entry that takes from the wallet, if it holds enough. The same entry again is once.
    ///
    /// Errors: `WalletShort`, `Ledger` if it is posted with other content.
    async fn withdraw(&self, rider: RiderId, entry: Entry) -> Result<(), StoreError>;

    /// At most `max` entries of the rider's wallet with their numbers, the latest first, below number `before`.
    async fn wallet_movements(
        &self,
        rider: RiderId,
        before: Option<u64>,
        max: usize,
    ) -> Result<Vec<(u64, Entry)>, StoreError>;
}

pub(super) fn hold_id(key: &IdempotencyKey) -> EntryId {
    EntryId::of("hold", key)
}

pub(super) fn release_id(key: &IdempotencyKey) -> EntryId {
    EntryId::of("release", key)
}

pub(super) fn hold_entry(
    key: &IdempotencyKey,
    rider: RiderId,
    amount: Money,
    now: Timestamp,
) -> Result<Entry, LedgerError> {
    Entry::transfer(hold_id(key), now, amount, Account::WalletHeld(rider), Account::Wallet(rider))
}

/// What a rider whose wallet held `before` is told after `taken` was taken from it.
pub(super) fn told_of_low(before: Money, taken: Money, low: Option<Money>) -> Result<Option<Told>, MoneyError> {
    let Some(low) = low.filter(|low| low.currency() == before.currency()) else { return Ok(None) };
    let balance = before.checked_sub(taken)?;
    let falls = before.compare(low)?.is_ge() && balance.compare(low)?.is_lt();
    Ok(falls.then_some(Told::WalletLow { balance }))
}

/// What is put back of a hold of which `kept` is taken; None if that is nothing.
pub(super) fn release_entry(
    key: &IdempotencyKey,
    held: &Held,
    kept: Money,
    now: Timestamp,
) -> Result<Option<Entry>, StoreError> {
    let rest = held.amount.checked_sub(kept).map_err(ChargeError::from)?;
    if !rest.is_positive() {
        return Ok(None);
    }
    let (wallet, held) = (Account::Wallet(held.rider), Account::WalletHeld(held.rider));
    Ok(Some(Entry::transfer(release_id(key), now, rest, wallet, held)?))
}

/// What the entry takes from the rider's wallet.
pub(super) fn taken(rider: RiderId, entry: &Entry) -> Result<Money, MoneyError> {
    let zero = Money::zero(entry.postings()[0].amount.currency());
    let own = entry.postings().iter().filter(|posting| posting.account == Account::Wallet(rider));
    own.map(|posting| posting.amount).try_fold(zero, facegate_domain::money::Money::checked_add)
}

impl Held {
    /// From the entry that set it aside and the one that put something back.
    pub(super) fn of(hold: &Entry, release: Option<&Entry>) -> Result<Self, StoreError> {
        let aside = hold.postings().iter().find_map(|posting| match posting.account {
            Account::Wallet(rider) => Some((rider, posting.amount)),
            _ => None,
        });
        let (rider, amount) = aside.ok_or_else(|| StoreError::Damaged {
            key: hold.id().to_string(),
            reason: "it holds nothing of a wallet".to_owned(),
        })?;
        let zero = Money::zero(amount.currency());
        let back = release.map_or(Ok(zero), |release| taken(rider, release)?.checked_neg());
        Ok(Self { rider, amount, released: back.map_err(ChargeError::from)? })
    }
}
