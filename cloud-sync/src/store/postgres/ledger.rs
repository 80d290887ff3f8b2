//! Posting, and the running balances.

use async_trait::async_trait;
use facegate_domain::ledger::{Account, Entry, LedgerError};
use facegate_domain::money::{Currency, Money};
use sqlx::postgres::PgConnection;

use super::PgStore;
use super::error::Trouble;
use super::tx::Tx;
use super::values::{at_most, from_number, json, read};
use crate::store::{LedgerStore, StoreError};

fn account_name(account: &Account) -> String {
    json(account)
}

/// Waits until nobody else posts; nobody does from here to the commit. Gives the number of entries.
pub(super) async fn alone(tx: &mut Tx) -> Result<i64, Trouble> {
    Ok(sqlx::query_scalar("SELECT entries FROM core.ledger_head FOR UPDATE").fetch_one(tx.sql()).await?)
}

/// Posts an entry. One that is posted already, with the same content, counts once.
pub(super) async fn post(tx: &mut Tx, entry: &Entry) -> Result<(), Trouble> {
    let number = alone(tx).await?;
    let id = entry.id().as_str();
    let posted: Option<String> =
        sqlx::query_scalar("SELECT body FROM core.entry WHERE id = $1").bind(id).fetch_optional(tx.sql()).await?;
    if let Some(posted) = posted {
        let posted: Entry = read(id, &posted)?;
        let same = posted.postings() == entry.postings();
        return if same { Ok(()) } else { Err(LedgerError::Conflict { id: entry.id().clone() }.into()) };
    }
    sqlx::query("INSERT INTO core.entry (id, number, body) VALUES ($1, $2, $3)")
        .bind(id)
        .bind(number)
        .bind(json(entry))
        .execute(tx.sql())
        .await?;
    for (line, posting) in (0_i16..).zip(entry.postings()) {
        let before = balance_of(tx.sql(), posting.account, posting.amount.currency()).await?;
        let balance = before
            .checked_add(posting.amount)
            .map_err(|problem| LedgerError::Money { id: entry.id().clone(), problem })?;
        let (account, currency) = (account_name(&posting.account), balance.currency());
        sqlx::query("INSERT INTO core.posting (entry, line, account, currency, amount) VALUES ($1, $2, $3, $4, $5)")
            .bind(id)
            .bind(line)
            .bind(&account)
            .bind(currency.as_str())
            .bind(posting.amount.minor())
            .execute(tx.sql())
            .await?;
        sqlx::query(
            "INSERT INTO core.balance (account, currency, amount) VALUES ($1, $2, $3)
             ON CONFLICT (account, currency) DO UPDATE SET amount = excluded.amount",
        )
        .bind(&account)
        .bind(currency.as_str())
        .bind(balance.minor())
        .execute(tx.sql())
        .await?;
    }
    sqlx::query("UPDATE core.ledger_head SET entries = entries + 1").execute(tx.sql()).await?;
    Ok(())
}

pub(super) async fn balance_of(sql: &mut PgConnection, account: Account, currency: Currency) -> Result<Money, Trouble> {
    let minor: Option<i64> = sqlx::query_scalar("SELECT amount FROM core.balance WHERE account = $1 AND currency = $2")
        .bind(account_name(&account))
        .bind(currency.as_str())
        .fetch_optional(sql)
        .await?;
    Ok(Money::from_minor(minor.unwrap_or(0), currency))
}

#[async_trait]
impl LedgerStore for PgStore {
    async fn balance(&self, account: Account, currency: Currency) -> Result<Money, StoreError> {
        let mut connection = self.pool.acquire().await.map_err(Trouble::from)?;
        Ok(balance_of(&mut connection, account, currency).await?)
    }

    async fn entries(&self, from: u64, max: usize) -> Result<Vec<(u64, Entry)>, StoreError> {
        let rows: Vec<(i64, String)> =
            sqlx::query_as("SELECT number, body FROM core.entry WHERE number >= $1 ORDER BY number LIMIT $2")
                .bind(at_most(from))
                .bind(at_most(max))
                .fetch_all(&self.pool)
                .await
                .map_err(Trouble::from)?;
        rows.iter().map(|(number, body)| Ok((from_number(*number), read(number, body)?))).collect()
    }

    async fn is_balanced(&self) -> Result<bool, StoreError> {
        let off: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM core.balance GROUP BY currency HAVING sum(amount) <> 0)")
                .fetch_one(&self.pool)
                .await
                .map_err(Trouble::from)?;
        Ok(!off)
    }
}
