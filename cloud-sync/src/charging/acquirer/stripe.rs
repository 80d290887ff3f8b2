//! The adapter for Stripe, and for what speaks as it does: PaymentIntents that are captured by hand.
//!
//! Stripe's idempotency keys end after a day, and servers that only resemble it have none, so nothing here rests on
//! them. An authorisation is two calls: a PaymentIntent is made with our key in its metadata, which moves no money; its
//! id is stored; then it is confirmed, and confirming one id twice is once. A crash or a lost answer between the two
//! leaves an intent that is found again in the list by its metadata, or one that nobody ever confirms. Everything after
//! that goes by the id. A refund, which is a single call, is looked for by its metadata before it is tried again.
//!
//! A token is the id of a PaymentMethod, with `cus_…-` before it where it belongs to a customer.

mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use facegate_domain::Clock;
use facegate_domain::charge::{
    AcquirerName, AcquirerToken, Answer, AuthorisationId, Call, Decline, Found, IdempotencyKey,
};
use facegate_domain::money::Money;
use facegate_runtime::http;

use super::{Acquirer, Trouble};
use crate::signature::SharedSecret;
use crate::store::{AskedOf, Store};
use wire::{Exchanged, Intent, Listed, Object, Refund, Wire};

/// What the clocks of Stripe and of ours may differ by, when a list is read back to the moment of our asking.
const CLOCKS_DIFFER_MAX: Duration = Duration::from_secs(600);
/// The most that a page of a list may hold.
const PAGE: &str = "100";

/// How one is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StripeConfig {
    /// `https://api.stripe.com`, or a stand-in on loopback.
    pub address: String,
    pub secret: SharedSecret,
    pub answer_within: Duration,
    /// Says that the rider is not there to be asked anything, as is so when a ride is charged.
    pub off_session: bool,
}

#[derive(Debug)]
pub struct StripeAcquirer {
    name: AcquirerName,
    wire: Wire,
    off_session: bool,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

impl StripeAcquirer {
    pub fn new(
        name: AcquirerName,
        config: &StripeConfig,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, reqwest::Error> {
        let client = http::public_client().timeout(config.answer_within).build()?;
        let wire = Wire::new(client, &config.address, config.secret.clone());
        Ok(Self { name, wire, off_session: config.off_session, store, clock })
    }

    async fn authorise(&self, key: &IdempotencyKey, token: &AcquirerToken, amount: Money) -> Result<Answer, Trouble> {
        let asked = self.begin(key, None).await?;
        let before = match asked.reference {
            Some(id) => Some(id),
            None if asked.is_new => None,
            None => self.find_intent(key, &asked).await?.map(|intent| intent.id),
        };
        let id = match before {
            Some(id) => id,
            None => match self.create(key, token, amount).await? {
                Ok(intent) => intent.id,
                Err(decline) => return Ok(Answer::Declined(decline)),
            },
        };
        self.keep(key, &id).await?;
        let mut form = Vec::new();
        if self.off_session {
            form.push(("off_session", "true".to_owned()));
        }
        match self.wire.post::<Intent>(&format!("/v1/payment_intents/{id}/confirm"), key, "confirm", &form).await? {
            Exchanged::Object(intent) => intent.answer_to_confirming(),
            Exchanged::Declined(decline) => Ok(Answer::Declined(decline)),
            Exchanged::Refused(why) => Err(Trouble::NoAnswer(why)),
        }
    }

    /// An intent that is not confirmed: nobody is asked for money yet. Or why there will never be one.
    async fn create(
        &self,
        key: &IdempotencyKey,
        token: &AcquirerToken,
        amount: Money,
    ) -> Result<Result<Intent, Decline>, Trouble> {
        let (customer, method) = match token.expose().split_once('-') {
            Some((customer, method)) => (Some(customer), method),
            None => (None, token.expose()),
        };
        let mut form = vec![
            ("amount", amount.minor().to_string()),
            ("currency", amount.currency().as_str().to_lowercase()),
            ("payment_method", method.to_owned()),
            ("capture_method", "manual".to_owned()),
            ("metadata[facegate_key]", key.to_string()),
        ];
        if let Some(customer) = customer {
            form.push(("customer", customer.to_owned()));
        }
        match self.wire.post::<Intent>("/v1/payment_intents", key, "create", &form).await? {
            Exchanged::Object(intent) => Ok(Ok(intent)),
            Exchanged::Declined(decline) => Ok(Err(decline)),
            // Nothing was made, and no money was asked for. A token that nobody knows stays so.
            Exchanged::Refused(why) if why.starts_with("404") => Ok(Err(Decline::hard("unknown_token"))),
            Exchanged::Refused(why) => Err(Trouble::NoAnswer(why)),
        }
    }

    async fn refund(
        &self,
        key: &IdempotencyKey,
        authorisation: &AuthorisationId,
        amount: Money,
    ) -> Result<Answer, Trouble> {
        let asked = self.begin(key, Some(authorisation.as_str())).await?;
        let before = if asked.is_new { None } else { self.find_refund(key, &asked).await? };
        let refund = match before {
            Some(refund) => refund,
            None => {
                let form = vec![
                    ("payment_intent", authorisation.to_string()),
                    ("amount", amount.minor().to_string()),
                    ("metadata[facegate_key]", key.to_string()),
                ];
                match self.wire.post::<Refund>("/v1/refunds", key, "refund", &form).await? {
                    Exchanged::Object(refund) => refund,
                    Exchanged::Declined(decline) => return Ok(Answer::Declined(decline)),
                    Exchanged::Refused(why) => return Err(Trouble::NoAnswer(why)),
                }
            }
        };
        self.keep(key, &refund.id).await?;
        refund.answer()
    }

    /// What was stored of this key before, else that it is asked for from now on.
    async fn begin(&self, key: &IdempotencyKey, of: Option<&str>) -> Result<AskedOf, Trouble> {
        let begun = self.store.ask_acquirer(self.name.as_str(), key, of, self.clock.now()).await;
        begun.map_err(|error| Trouble::NotReached(format!("our own store: {error}")))
    }

    async fn keep(&self, key: &IdempotencyKey, id: &str) -> Result<(), Trouble> {
        let kept = self.store.keep_reference(self.name.as_str(), key, id).await;
        kept.map_err(|error| Trouble::NoAnswer(format!("our own store: {error}")))
    }

    async fn find_intent(&self, key: &IdempotencyKey, asked: &AskedOf) -> Result<Option<Intent>, Trouble> {
        if let Some(id) = &asked.reference {
            return self.wire.get::<Intent>(&format!("/v1/payment_intents/{id}"), &[]).await.map(Some);
        }
        self.search("/v1/payment_intents", &[], key, asked).await
    }

    async fn find_refund(&self, key: &IdempotencyKey, asked: &AskedOf) -> Result<Option<Refund>, Trouble> {
        if let Some(id) = &asked.reference {
            return self.wire.get::<Refund>(&format!("/v1/refunds/{id}"), &[]).await.map(Some);
        }
        let of = asked.of.clone().unwrap_or_default();
        self.search("/v1/refunds", &[("payment_intent", of)], key, asked).await
    }

    /// Looks for our key in a list, from its beginning to the end or, where the newest stand first, to what is older
    /// than our asking. Stripe's own search follows its writes only after a while, so it proves nothing.
    async fn search<T: Object>(
        &self,
        path: &str,
        filter: &[(&'static str, String)],
        key: &IdempotencyKey,
        asked: &AskedOf,
    ) -> Result<Option<T>, Trouble> {
        let begun_s = asked.asked_at.minus(CLOCKS_DIFFER_MAX).unix_ms().div_euclid(1000);
        let mut after: Option<String> = None;
        let mut best: Option<T> = None;
        loop {
            let mut query = filter.to_vec();
            query.push(("limit", PAGE.to_owned()));
            query.extend(after.map(|id| ("starting_after", id)));
            let page = self.wire.get::<Listed<T>>(path, &query).await?;
            let ends = (page.data.first().map(Object::created), page.data.last().map(Object::created));
            let newest_first = matches!(ends, (Some(first), Some(last)) if first > last);
            let reached = newest_first && ends.1.is_some_and(|last| last < begun_s);
            after = page.data.last().map(|last| last.id().to_owned());
            let ours = page.data.into_iter().filter(|object| object.key() == Some(key.as_str()));
            // Of several the one that has come furthest: the others were never confirmed.
            best = best.into_iter().chain(ours).max_by_key(Object::progress);
            if !page.has_more || after.is_none() || reached {
                return Ok(best);
            }
        }
    }
}

#[async_trait]
impl Acquirer for StripeAcquirer {
    fn name(&self) -> &str {
        self.name.as_str()
    }

    async fn make(&self, call: &Call) -> Result<Answer, Trouble> {
        let (key, path, verb, form) = match call {
            Call::Authorise { key, token, amount } => return self.authorise(key, token, *amount).await,
            Call::Refund { key, authorisation, amount, .. } => return self.refund(key, authorisation, *amount).await,
            Call::Capture { key, authorisation, amount } => {
                (key, authorisation, "capture", vec![("amount_to_capture", amount.minor().to_string())])
            }
            Call::Void { key, authorisation } => (key, authorisation, "cancel", Vec::new()),
        };
        match self.wire.post::<Intent>(&format!("/v1/payment_intents/{path}/{verb}"), key, verb, &form).await? {
            Exchanged::Object(intent) => intent.answer_to(call),
            Exchanged::Declined(decline) => Ok(Answer::Declined(decline)),
            // It may be where the call would have brought it already: a query tells.
            Exchanged::Refused(why) => Err(Trouble::NoAnswer(why)),
        }
    }

    async fn find(&self, key: &IdempotencyKey, amount: Money) -> Result<Found, Trouble> {
        let asked = self.store.asked_of_acquirer(self.name.as_str(), key).await;
        // Every asking is stored before it is made.
        let Some(asked) = asked.map_err(|error| Trouble::NoAnswer(format!("our own store: {error}")))? else {
            return Ok(Found::Nothing);
        };
        if asked.of.is_some() {
            let refund = self.find_refund(key, &asked).await?;
            return refund.map_or(Ok(Found::Nothing), |refund| refund.found(amount));
        }
        let intent = self.find_intent(key, &asked).await?;
        intent.map_or(Ok(Found::Nothing), |intent| intent.found(amount))
    }
}
