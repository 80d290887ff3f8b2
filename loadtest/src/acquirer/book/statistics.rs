//! The acquirer's own counts, for tests that trust nobody else's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Book, Status};

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Statistics {
    pub charges: Vec<ByKey>,
    /// Somebody charged twice under two keys shows here, against the rides that he was seen to make.
    pub tokens: BTreeMap<String, ByToken>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByKey {
    pub key: String,
    pub amount_minor: i64,
    pub currency: String,
    pub status: Status,
    pub authorisations: u64,
    pub captures: u64,
    pub captured_minor: i64,
    pub refunds: u64,
    pub refunded_minor: i64,
    pub disputed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ByToken {
    pub authorisations: u64,
    pub captures: u64,
    pub captured_minor: i64,
    pub refunded_minor: i64,
}

impl Book {
    /// What really was taken and given back, per key and token.
    pub fn statistics(&self) -> Statistics {
        let mut statistics = Statistics::default();
        for charge in self.charges() {
            let authorised = u64::from(charge.status != Status::Declined || charge.capture.is_some());
            let refunded_minor = charge.refunded_minor();
            let of_token = statistics.tokens.entry(charge.request.token.clone()).or_default();
            of_token.authorisations += authorised;
            of_token.captures += charge.captures;
            of_token.captured_minor += charge.captured_minor;
            of_token.refunded_minor += refunded_minor;
            let refunds = charge.refunds.iter().filter(|refund| refund.declined.is_none()).count();
            statistics.charges.push(ByKey {
                key: charge.key.clone(),
                amount_minor: charge.request.amount_minor,
                currency: charge.request.currency.clone(),
                status: charge.status,
                authorisations: authorised,
                captures: charge.captures,
                captured_minor: charge.captured_minor,
                refunds: refunds as u64,
                refunded_minor,
                disputed: charge.disputed_at_ms.is_some(),
            });
        }
        statistics
    }
}
