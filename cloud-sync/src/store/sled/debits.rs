//! Orders to banks that take one file a day.

use async_trait::async_trait;
use facegate_domain::charge::IdempotencyKey;
use facegate_domain::debit::{
    AnswerFile, Answered, Change, DebitOrder, DebitProblem, OrderKind, OrderState, Outcome, file_body,
};
use facegate_domain::money::{Currency, Money};
use jiff::civil::Date;

use super::SledStore;
use super::key::acquirers as key;
use super::tx::Tx;
use crate::store::{DebitFile, DebitStore, StoreError};

#[async_trait]
impl DebitStore for SledStore {
    async fn debit_order(&self, acquirer: &str, key: &IdempotencyKey) -> Result<Option<DebitOrder>, StoreError> {
        self.read().get(&key::debit(acquirer, key.as_str()))
    }

    async fn change_debit_order(
        &self,
        acquirer: &str,
        key: &IdempotencyKey,
        change: &Change,
    ) -> Result<DebitOrder, StoreError> {
        self.write(|tx| {
            let before = tx.get::<DebitOrder>(&key::debit(acquirer, key.as_str()))?;
            let order = DebitOrder::after(key, before.as_ref(), change)?;
            keep(tx, acquirer, &order);
            Ok(order)
        })
        .await
    }

    async fn order_credit(
        &self,
        acquirer: &str,
        key: &IdempotencyKey,
        of: &IdempotencyKey,
        amount: Money,
    ) -> Result<DebitOrder, StoreError> {
        self.write(|tx| {
            if let Some(before) = tx.get::<DebitOrder>(&key::debit(acquirer, key.as_str()))? {
                return Ok(before);
            }
            let debit = stored(tx, acquirer, of)?;
            let (credit, debit) = debit.credit(key, amount)?;
            keep(tx, acquirer, &credit);
            keep(tx, acquirer, &debit);
            Ok(credit)
        })
        .await
    }

    async fn cut_debit_file(&self, acquirer: &str, day: Date, currency: Currency) -> Result<DebitFile, StoreError> {
        let at = key::debit_file(acquirer, day);
        self.write(|tx| {
            if let Some(file) = tx.get::<DebitFile>(&at)? {
                return Ok(file);
            }
            let mut orders = Vec::new();
            for name in tx.scan_as::<IdempotencyKey>(&key::debits_ordered(acquirer))? {
                let order = stored(tx, acquirer, &name)?;
                if order.amount.currency() == currency {
                    orders.push(order);
                }
            }
            let body = file_body(acquirer, day, currency, &orders);
            for order in orders {
                keep(tx, acquirer, &DebitOrder { state: OrderState::Sent { day }, ..order });
            }
            let file = DebitFile { day, body };
            tx.put(at, &file);
            Ok(file)
        })
        .await
    }

    async fn debit_files(&self, acquirer: &str, from: Date) -> Result<Vec<DebitFile>, StoreError> {
        let files: Vec<DebitFile> = self.read().scan_as(&key::debit_files(acquirer))?;
        Ok(files.into_iter().filter(|file| file.day >= from).collect())
    }

    async fn take_debit_answer(&self, acquirer: &str, file: &AnswerFile, digest: &str) -> Result<Answered, StoreError> {
        self.write(|tx| {
            let number = file.number;
            if let Some(before) = tx.get::<String>(&key::debit_answer(acquirer, number))? {
                if before != digest {
                    return Err(DebitProblem::Contradicts { number }.into());
                }
                let mut again = Answered { again: true, ..Answered::default() };
                for line in &file.lines {
                    let order = stored(tx, acquirer, &line.key)?;
                    again.taken_back.extend(order.was_taken_back_by(line).then(|| line.clone()));
                }
                return Ok(again);
            }
            if number > 1 && !tx.contains(&key::debit_answer(acquirer, number - 1))? {
                let taken = tx.scan(&key::debit_answers(acquirer))?.len() as u64;
                return Err(DebitProblem::Early { found: number, expected: taken + 1 }.into());
            }
            let mut answered = Answered::default();
            for line in &file.lines {
                let order = stored(tx, acquirer, &line.key)?;
                if order.amount != line.amount {
                    return Err(DebitProblem::AmountDiffers { key: line.key.clone() }.into());
                }
                let after = order.answered(&line.outcome)?;
                match (&order.state, &line.outcome) {
                    (OrderState::Sent { .. }, Outcome::Accepted) => answered.accepted += 1,
                    (OrderState::Sent { .. }, Outcome::Returned { .. }) => answered.returned += 1,
                    (OrderState::Accepted, Outcome::Returned { .. }) if order.kind == OrderKind::Debit => {
                        answered.taken_back.push(line.clone());
                    }
                    _ => {}
                }
                keep(tx, acquirer, &after);
            }
            tx.put(key::debit_answer(acquirer, number), &digest);
            Ok(answered)
        })
        .await
    }
}

fn stored(tx: &Tx<'_>, acquirer: &str, key: &IdempotencyKey) -> Result<DebitOrder, StoreError> {
    let order = tx.get(&key::debit(acquirer, key.as_str()))?;
    order.ok_or_else(|| DebitProblem::UnknownKey { key: key.clone() }.into())
}

fn keep(tx: &mut Tx<'_>, acquirer: &str, order: &DebitOrder) {
    let ordered = key::debit_ordered(acquirer, order.key.as_str());
    if order.state == OrderState::Ordered {
        tx.put(ordered, &order.key);
    } else {
        tx.remove(ordered);
    }
    tx.put(key::debit(acquirer, order.key.as_str()), order);
}
