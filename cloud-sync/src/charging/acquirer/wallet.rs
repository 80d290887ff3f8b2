//! The wallet as an acquirer: an authorisation sets money aside in the books, a capture takes it, a void puts it back.
//!
//! The charge's own entry is what takes it: `capture/<charge>` is posted in the transaction that stores the capture, so a
//! capture here has only to put back what was held beyond it.

use std::sync::Arc;

use async_trait::async_trait;
use facegate_domain::Clock;
use facegate_domain::charge::{Answer, AuthorisationId, Call, Decline, Found, IdempotencyKey};
use facegate_domain::ids::RiderId;
use facegate_domain::money::Money;

use super::{Acquirer, Trouble};
use crate::store::{Held, Store, StoreError};

/// What a rider reads when his wallet is short.
pub const SHORT: &str = "not enough in the wallet";

/// Over the books of one store.
#[derive(Debug, Clone)]
pub struct Wallets {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    /// A rider is told when his wallet falls below it.
    low: Option<Money>,
}

impl Wallets {
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, low: Option<Money>) -> Self {
        Self { store, clock, low }
    }

    async fn held(&self, key: &IdempotencyKey) -> Result<Option<Held>, Trouble> {
        self.store.wallet_hold(key).await.map_err(|error| trouble(&error))
    }

    /// Ends a hold of which `kept` is taken.
    async fn end(&self, key: &IdempotencyKey, kept: Option<Money>) -> Result<(), Trouble> {
        let held = self.held(key).await?.ok_or_else(|| Trouble::NoAnswer(format!("nothing is held under {key}")))?;
        let kept = kept.unwrap_or(Money::zero(held.amount.currency()));
        self.store.release_hold(key, kept, self.clock.now()).await.map_err(|error| trouble(&error))
    }
}

/// A store that is out of reach may have done it all the same.
fn trouble(error: &StoreError) -> Trouble {
    Trouble::NoAnswer(error.to_string())
}

#[async_trait]
impl Acquirer for Wallets {
    fn name(&self) -> &'static str {
        "wallet"
    }

    async fn make(&self, call: &Call) -> Result<Answer, Trouble> {
        match call {
            Call::Authorise { key, token, amount } => {
                let rider: RiderId =
                    token.expose().parse().map_err(|_| Trouble::NoAnswer("the token names no rider".to_owned()))?;
                let held = self.store.hold_in_wallet(key, rider, *amount, self.low, self.clock.now()).await;
                Ok(if held.map_err(|error| trouble(&error))? {
                    Answer::Authorised(AuthorisationId::new(key.as_str()))
                } else {
                    Answer::Declined(Decline::soft(SHORT))
                })
            }
            Call::Capture { key, amount, .. } => self.end(key, Some(*amount)).await.map(|()| Answer::Captured),
            Call::Void { key, .. } => self.end(key, None).await.map(|()| Answer::Voided),
            // The refund's own entry puts it into the wallet.
            Call::Refund { .. } => Ok(Answer::Refunded),
        }
    }

    async fn find(&self, key: &IdempotencyKey, amount: Money) -> Result<Found, Trouble> {
        let Some(held) = self.held(key).await? else { return Ok(Found::Nothing) };
        if held.amount != amount {
            return Err(Trouble::NoAnswer(format!("{} is held under {key}, not {amount}", held.amount)));
        }
        let authorisation = AuthorisationId::new(key.as_str());
        Ok(if held.released == held.amount { Found::Voided } else { Found::Authorised { authorisation } })
    }
}
