//! Orders to banks that take one file a day.

use async_trait::async_trait;
use facegate_domain::charge::IdempotencyKey;
use facegate_domain::debit::{
    AnswerFile, Answered, Change, DebitOrder, DebitProblem, OrderKind, OrderState, Outcome, file_body,
};
use facegate_domain::money::{Currency, Money};
use jiff::civil::Date;

use super::error::Trouble;
use super::tx::Tx;
use super::values::{json, read};
use super::{PgStore, transact};
use crate::store::{DebitFile, DebitStore, StoreError};

#[async_trait]
impl DebitStore for PgStore {
    async fn debit_order(&self, acquirer: &str, key: &IdempotencyKey) -> Result<Option<DebitOrder>, StoreError> {
        let body: Option<String> = sqlx::query_scalar("SELECT body FROM core.debit WHERE acquirer = $1 AND key = $2")
            .bind(acquirer)
            .bind(key.as_str())
            .fetch_optional(&self.pool)
            .await
            .map_err(Trouble::from)?;
        body.map(|body| read(key, &body)).transpose()
    }

    async fn change_debit_order(
        &self,
        acquirer: &str,
        key: &IdempotencyKey,
        change: &Change,
    ) -> Result<DebitOrder, StoreError> {
        transact!(self, tx => change_order(&mut tx, acquirer, key, change).await)
    }

    async fn order_credit(
        &self,
        acquirer: &str,
        key: &IdempotencyKey,
        of: &IdempotencyKey,
        amount: Money,
    ) -> Result<DebitOrder, StoreError> {
        transact!(self, tx => credit(&mut tx, acquirer, key, of, amount).await)
    }

    async fn cut_debit_file(&self, acquirer: &str, day: Date, currency: Currency) -> Result<DebitFile, StoreError> {
        transact!(self, tx => cut(&mut tx, acquirer, day, currency).await)
    }

    async fn debit_files(&self, acquirer: &str, from: Date) -> Result<Vec<DebitFile>, StoreError> {
        let bodies: Vec<String> =
            sqlx::query_scalar("SELECT body FROM core.debit_file WHERE acquirer = $1 AND day >= $2 ORDER BY day")
                .bind(acquirer)
                .bind(from.to_string())
                .fetch_all(&self.pool)
                .await
                .map_err(Trouble::from)?;
        bodies.iter().map(|body| read("a debit file", body)).collect()
    }

    async fn take_debit_answer(&self, acquirer: &str, file: &AnswerFile, digest: &str) -> Result<Answered, StoreError> {
        transact!(self, tx => take(&mut tx, acquirer, file, digest).await)
    }
}

/// Whoever changes orders of an acquirer or cuts a file of them does so alone: a file holds all that was ordered before.
async fn alone(tx: &mut Tx, acquirer: &str) -> Result<(), Trouble> {
    sqlx::query(
        "INSERT INTO core.debit_turn (acquirer) VALUES ($1) ON CONFLICT (acquirer) DO UPDATE SET acquirer = $1",
    )
    .bind(acquirer)
    .execute(tx.sql())
    .await?;
    Ok(())
}

async fn find(tx: &mut Tx, acquirer: &str, key: &IdempotencyKey) -> Result<Option<DebitOrder>, Trouble> {
    let body: Option<String> = sqlx::query_scalar("SELECT body FROM core.debit WHERE acquirer = $1 AND key = $2")
        .bind(acquirer)
        .bind(key.as_str())
        .fetch_optional(tx.sql())
        .await?;
    Ok(body.map(|body| read(key, &body)).transpose()?)
}

async fn stored(tx: &mut Tx, acquirer: &str, key: &IdempotencyKey) -> Result<DebitOrder, Trouble> {
    let unknown = || StoreError::from(DebitProblem::UnknownKey { key: key.clone() });
    Ok(find(tx, acquirer, key).await?.ok_or_else(unknown)?)
}

async fn keep(tx: &mut Tx, acquirer: &str, order: &DebitOrder) -> Result<(), Trouble> {
    sqlx::query(
        "INSERT INTO core.debit (acquirer, key, ordered, body) VALUES ($1, $2, $3, $4)
         ON CONFLICT (acquirer, key) DO UPDATE SET ordered = excluded.ordered, body = excluded.body",
    )
    .bind(acquirer)
    .bind(order.key.as_str())
    .bind(order.state == OrderState::Ordered)
    .bind(json(order))
    .execute(tx.sql())
    .await?;
    Ok(())
}

async fn change_order(
    tx: &mut Tx,
    acquirer: &str,
    key: &IdempotencyKey,
    change: &Change,
) -> Result<DebitOrder, Trouble> {
    alone(tx, acquirer).await?;
    let before = find(tx, acquirer, key).await?;
    let order = DebitOrder::after(key, before.as_ref(), change).map_err(StoreError::from)?;
    keep(tx, acquirer, &order).await?;
    Ok(order)
}

async fn credit(
    tx: &mut Tx,
    acquirer: &str,
    key: &IdempotencyKey,
    of: &IdempotencyKey,
    amount: Money,
) -> Result<DebitOrder, Trouble> {
    alone(tx, acquirer).await?;
    if let Some(before) = find(tx, acquirer, key).await? {
        return Ok(before);
    }
    let debit = stored(tx, acquirer, of).await?;
    let (credit, debit) = debit.credit(key, amount).map_err(StoreError::from)?;
    keep(tx, acquirer, &credit).await?;
    keep(tx, acquirer, &debit).await?;
    Ok(credit)
}

async fn cut(tx: &mut Tx, acquirer: &str, day: Date, currency: Currency) -> Result<DebitFile, Trouble> {
    alone(tx, acquirer).await?;
    let before: Option<String> =
        sqlx::query_scalar("SELECT body FROM core.debit_file WHERE acquirer = $1 AND day = $2")
            .bind(acquirer)
            .bind(day.to_string())
            .fetch_optional(tx.sql())
            .await?;
    if let Some(before) = before {
        return Ok(read("a debit file", &before)?);
    }
    let bodies: Vec<String> =
        sqlx::query_scalar("SELECT body FROM core.debit WHERE acquirer = $1 AND ordered ORDER BY key")
            .bind(acquirer)
            .fetch_all(tx.sql())
            .await?;
    let orders: Vec<DebitOrder> = bodies.iter().map(|body| read("an order", body)).collect::<Result<_, _>>()?;
    let orders: Vec<DebitOrder> = orders.into_iter().filter(|order| order.amount.currency() == currency).collect();
    let file = DebitFile { day, body: file_body(acquirer, day, currency, &orders) };
    for order in orders {
        keep(tx, acquirer, &DebitOrder { state: OrderState::Sent { day }, ..order }).await?;
    }
    sqlx::query("INSERT INTO core.debit_file (acquirer, day, body) VALUES ($1, $2, $3)")
        .bind(acquirer)
        .bind(day.to_string())
        .bind(json(&file))
        .execute(tx.sql())
        .await?;
    Ok(file)
}

async fn take(tx: &mut Tx, acquirer: &str, file: &AnswerFile, digest: &str) -> Result<Answered, Trouble> {
    alone(tx, acquirer).await?;
    let number = file.number;
    let taken: Vec<(i64, String)> =
        sqlx::query_as("SELECT number, digest FROM core.debit_answer WHERE acquirer = $1 ORDER BY number")
            .bind(acquirer)
            .fetch_all(tx.sql())
            .await?;
    if let Some((_, before)) = taken.iter().find(|(taken, _)| u64::try_from(*taken) == Ok(number)) {
        if before != digest {
            return Err(StoreError::from(DebitProblem::Contradicts { number }).into());
        }
        let mut again = Answered { again: true, ..Answered::default() };
        for line in &file.lines {
            let order = stored(tx, acquirer, &line.key).await?;
            again.taken_back.extend(order.was_taken_back_by(line).then(|| line.clone()));
        }
        return Ok(again);
    }
    let expected = taken.len() as u64 + 1;
    if number != expected {
        return Err(StoreError::from(DebitProblem::Early { found: number, expected }).into());
    }
    let mut answered = Answered::default();
    for line in &file.lines {
        let order = stored(tx, acquirer, &line.key).await?;
        if order.amount != line.amount {
            return Err(StoreError::from(DebitProblem::AmountDiffers { key: line.key.clone() }).into());
        }
        let after = order.answered(&line.outcome).map_err(StoreError::from)?;
        match (&order.state, &line.outcome) {
            (OrderState::Sent { .. }, Outcome::Accepted) => answered.accepted += 1,
            (OrderState::Sent { .. }, Outcome::Returned { .. }) => answered.returned += 1,
            (OrderState::Accepted, Outcome::Returned { .. }) if order.kind == OrderKind::Debit => {
                answered.taken_back.push(line.clone());
            }
            _ => {}
        }
        keep(tx, acquirer, &after).await?;
    }
    sqlx::query("INSERT INTO core.debit_answer (acquirer, number, digest) VALUES ($1, $2, $3)")
        .bind(acquirer)
        .bind(i64::try_from(number).unwrap_or(i64::MAX))
        .bind(digest)
        .execute(tx.sql())
        .await?;
    Ok(answered)
}
