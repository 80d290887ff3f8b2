//! Posting, the running balances, and the totals of each hour.

use std::collections::BTreeMap;

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::ledger::{Account, Control, Entry, EntryId, LedgerError, Totals, Turnover, hour_begins, hour_of};
use facegate_domain::money::{Currency, Money};
use sqlx::postgres::PgConnection;

use super::error::Trouble;
use super::tx::Tx;
use super::values::{at_most, damaged, from_number, json, read};
use super::{PgStore, audit, transact};
use crate::store::{LedgerStore, StoreError};

fn account_name(account: &Account) -> String {
    json(account)
}

/// Waits until nobody else posts; nobody does from here to the commit. Gives the number of entries.
pub(super) async fn alone(tx: &mut Tx) -> Result<i64, Trouble> {
    Ok(sqlx::query_scalar("SELECT entries FROM core.ledger_head FOR UPDATE").fetch_one(tx.sql()).await?)
}

/// The entry of that id, if it is posted.
pub(super) async fn posted(sql: &mut PgConnection, id: &EntryId) -> Result<Option<Entry>, Trouble> {
    let body: Option<String> =
        sqlx::query_scalar("SELECT body FROM core.entry WHERE id = $1").bind(id.as_str()).fetch_optional(sql).await?;
    Ok(body.map(|body| read(id, &body)).transpose()?)
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
    sqlx::query("INSERT INTO core.entry (id, number, body, at) VALUES ($1, $2, $3, $4)")
        .bind(id)
        .bind(number)
        .bind(json(entry))
        .bind(entry.at().unix_ms())
        .execute(tx.sql())
        .await?;
    write_postings(tx, entry).await?;
    change_balances(tx, entry).await?;
    count_in_its_hour(tx, entry).await?;
    sqlx::query("UPDATE core.ledger_head SET entries = entries + 1").execute(tx.sql()).await?;
    Ok(())
}

async fn order(tx: &mut Tx, entry: &Entry, actor: &str, action: &str, subject: &str) -> Result<(), Trouble> {
    let before = alone(tx).await?;
    post(tx, entry).await?;
    if alone(tx).await? > before {
        audit::append(tx, actor, action, subject, entry.at()).await?;
    }
    Ok(())
}

async fn write_postings(tx: &mut Tx, entry: &Entry) -> Result<(), Trouble> {
    let postings = entry.postings();
    let lines: Vec<i16> = (0_i16..).zip(postings).map(|(line, _)| line).collect();
    let accounts: Vec<String> = postings.iter().map(|posting| account_name(&posting.account)).collect();
    let currencies: Vec<String> = postings.iter().map(|p| p.amount.currency().as_str().to_owned()).collect();
    let amounts: Vec<i64> = postings.iter().map(|posting| posting.amount.minor()).collect();
    sqlx::query(
        "INSERT INTO core.posting (entry, line, account, currency, amount)
         SELECT $1, * FROM UNNEST($2::smallint[], $3::text[], $4::text[], $5::bigint[])",
    )
    .bind(entry.id().as_str())
    .bind(&lines)
    .bind(&accounts)
    .bind(&currencies)
    .bind(&amounts)
    .execute(tx.sql())
    .await?;
    Ok(())
}

async fn change_balances(tx: &mut Tx, entry: &Entry) -> Result<(), Trouble> {
    let accounts: Vec<String> = entry.postings().iter().map(|posting| account_name(&posting.account)).collect();
    let held: Vec<(String, String, i64)> =
        sqlx::query_as("SELECT account, currency, amount FROM core.balance WHERE account = ANY($1)")
            .bind(&accounts)
            .fetch_all(tx.sql())
            .await?;
    let held: BTreeMap<(String, String), i64> = held.into_iter().map(|(a, c, amount)| ((a, c), amount)).collect();
    let mut after = BTreeMap::<(String, String), Money>::new();
    for (account, posting) in accounts.into_iter().zip(entry.postings()) {
        let currency = posting.amount.currency();
        let key = (account, currency.as_str().to_owned());
        let before = after.get(&key).copied();
        let before = before.unwrap_or_else(|| Money::from_minor(held.get(&key).copied().unwrap_or(0), currency));
        let balance = before.checked_add(posting.amount);
        after.insert(key, balance.map_err(|problem| LedgerError::Money { id: entry.id().clone(), problem })?);
    }
    let (keys, amounts): (Vec<_>, Vec<_>) = after.into_iter().map(|(key, balance)| (key, balance.minor())).unzip();
    let (accounts, currencies): (Vec<String>, Vec<String>) = keys.into_iter().unzip();
    sqlx::query(
        "INSERT INTO core.balance (account, currency, amount)
         SELECT * FROM UNNEST($1::text[], $2::text[], $3::bigint[])
         ON CONFLICT (account, currency) DO UPDATE SET amount = excluded.amount",
    )
    .bind(&accounts)
    .bind(&currencies)
    .bind(&amounts)
    .execute(tx.sql())
    .await?;
    Ok(())
}

async fn count_in_its_hour(tx: &mut Tx, entry: &Entry) -> Result<(), Trouble> {
    let (mut controls, mut currencies) = (Vec::new(), Vec::new());
    let (mut debits, mut credits) = (Vec::new(), Vec::new());
    for (control, currency, moved) in Totals::of([entry]).iter() {
        controls.push(control.name());
        currencies.push(currency.as_str().to_owned());
        debits.push(at_most(moved.debits));
        credits.push(at_most(moved.credits));
    }
    sqlx::query(
        "INSERT INTO core.ledger_hour AS h (hour, control, currency, debits, credits)
         SELECT $1, * FROM UNNEST($2::text[], $3::text[], $4::bigint[], $5::bigint[])
         ON CONFLICT (hour, control, currency)
         DO UPDATE SET debits = h.debits + excluded.debits, credits = h.credits + excluded.credits",
    )
    .bind(hour_of(entry.at()))
    .bind(&controls)
    .bind(&currencies)
    .bind(&debits)
    .bind(&credits)
    .execute(tx.sql())
    .await?;
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

    async fn post_entry(&self, entry: Entry, actor: &str, action: &str, subject: &str) -> Result<(), StoreError> {
        transact!(self, tx => order(&mut tx, &entry, actor, action, subject).await)
    }

    async fn posted(&self, ids: &[EntryId]) -> Result<Vec<bool>, StoreError> {
        let asked: Vec<&str> = ids.iter().map(EntryId::as_str).collect();
        let known: Vec<String> = sqlx::query_scalar("SELECT id FROM core.entry WHERE id = ANY($1)")
            .bind(&asked)
            .fetch_all(&self.pool)
            .await
            .map_err(Trouble::from)?;
        Ok(asked.iter().map(|id| known.iter().any(|known| known == id)).collect())
    }

    async fn totals_at(&self, at: Timestamp) -> Result<Totals, StoreError> {
        let hour = hour_of(at);
        // One statement, hence one moment of the database.
        let rows: Vec<(String, String, String, String)> = sqlx::query_as(
            "SELECT control, currency, sum(debits)::text, sum(credits)::text FROM (
                SELECT control, currency, debits, credits FROM core.ledger_hour WHERE hour < $1
                UNION ALL
                SELECT p.account::json ->> 'account', p.currency, greatest(p.amount, 0), greatest(-p.amount, 0)
                    FROM core.entry e JOIN core.posting p ON p.entry = e.id WHERE e.at >= $2 AND e.at <= $3
             ) AS moved (control, currency, debits, credits) GROUP BY control, currency",
        )
        .bind(hour)
        .bind(hour_begins(hour).unix_ms())
        .bind(at.unix_ms())
        .fetch_all(&self.pool)
        .await
        .map_err(Trouble::from)?;
        let mut totals = Totals::default();
        for (control, currency, debits, credits) in rows {
            let named = Control::named(&control).ok_or_else(|| damaged("an hour's totals", &control))?;
            let currency = currency.parse().map_err(|error| damaged("an hour's totals", error))?;
            let side = |text: &str| text.parse::<i128>().map_err(|error| damaged("an hour's totals", error));
            totals.add_turnover(named, currency, Turnover { debits: side(&debits)?, credits: side(&credits)? });
        }
        Ok(totals)
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
