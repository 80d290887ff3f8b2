//! What acquirers tell by themselves. A webhook moves no money and settles no charge: it has the charge or refund looked
//! at now, by a query. Of its claims only a dispute is believed: that the acquirer keeps what a rider has taken back.

use std::time::Duration;

use facegate_domain::Timestamp;
use facegate_domain::charge::IdempotencyKey;
use facegate_domain::dispute::DisputeState;
use facegate_domain::money::Money;
use serde::Deserialize;

use crate::signature::{BadSignature, SharedSecret};
use crate::store::{Chargeback, Store, StoreError};

/// A signature counts for so long.
pub const AGE_MAX: Duration = Duration::from_secs(300);
/// An event is remembered for so long, far beyond its signature: senders repeat one for days, signed anew each time.
pub const REMEMBERED: Duration = Duration::from_secs(30 * 86_400);
/// No event of any acquirer's comes near it.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
const ID_CHARACTERS_MAX: usize = 255;

/// How an acquirer writes its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Sandbox,
    Stripe,
}

/// Who may tell, and how he signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookPolicy {
    pub dialect: Dialect,
    pub secret: SharedSecret,
}

impl Dialect {
    /// The header with the signature.
    pub const fn header(self) -> &'static str {
        match self {
            Self::Sandbox => crate::signature::HEADER,
            Self::Stripe => "stripe-signature",
        }
    }
}

/// Why an event is not taken. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    #[error(transparent)]
    Signature(#[from] BadSignature),
    #[error("the event cannot be read: {0}")]
    Malformed(String),
    #[error("the event is about a charge that this cloud never made")]
    UnknownCharge,
    #[error(transparent)]
    Store(StoreError),
    /// The charge cannot be disputed so.
    #[error(transparent)]
    Refused(StoreError),
}

impl From<StoreError> for WebhookError {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::Dispute(_)) { Self::Refused(error) } else { Self::Store(error) }
    }
}

impl WebhookError {
    /// Its name in the metric.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Signature(_) => "bad_signature",
            Self::Malformed(_) => "malformed",
            Self::UnknownCharge => "unknown_charge",
            Self::Store(_) => "failed",
            Self::Refused(_) => "impossible",
        }
    }
}

/// What became of an event that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// The charge or refund is looked at now.
    Woken,
    /// It was settled already.
    Settled,
    /// A dispute is on record.
    Disputed,
    /// It was told before.
    Known,
    /// Nobody waits for events of its kind.
    Ignored,
}

impl Taken {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Woken => "woken",
            Self::Settled => "settled",
            Self::Disputed => "disputed",
            Self::Known => "known",
            Self::Ignored => "ignored",
        }
    }
}

/// An event, as far as it says anything to us.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    id: String,
    about: About,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum About {
    Charge(IdempotencyKey),
    Refund(IdempotencyKey),
    Dispute { of: Of, reference: String, amount_minor: i64, currency: String, won: bool },
    Other,
}

/// Whose a dispute is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Of {
    Key(IdempotencyKey),
    /// The acquirer's own name for the charge.
    Reference(String),
}

/// Checks and takes one event of `acquirer`.
pub async fn take(
    store: &dyn Store,
    acquirer: &str,
    policy: &WebhookPolicy,
    signature: &str,
    body: &[u8],
    now: Timestamp,
) -> Result<Taken, WebhookError> {
    policy.secret.verify(signature, body, now, AGE_MAX)?;
    let told = match policy.dialect {
        Dialect::Sandbox => sandbox(body)?,
        Dialect::Stripe => stripe(body)?,
    };
    let (of, dispute) = match told.about {
        About::Other => return Ok(Taken::Ignored),
        About::Charge(key) => (Of::Key(key), None),
        About::Refund(key) => return take_refund(store, acquirer, (&told.id, &key), now).await,
        About::Dispute { of, reference, amount_minor, currency, won } => {
            let malformed = |_| WebhookError::Malformed("its currency is none".to_owned());
            (of, Some((reference, Money::from_minor(amount_minor, currency.parse().map_err(malformed)?), won)))
        }
    };
    let key = match of {
        Of::Key(key) => key,
        Of::Reference(id) => store.key_of_reference(acquirer, &id).await?.ok_or(WebhookError::UnknownCharge)?,
    };
    let (charge, _) = key.attempt().ok_or(WebhookError::UnknownCharge)?;
    let is_finished = store.charge(charge).await?.ok_or(WebhookError::UnknownCharge)?.is_finished();
    let Some((reference, amount, won)) = dispute else {
        if !store.take_event(acquirer, &told.id, now).await? {
            return Ok(Taken::Known);
        }
        store.hurry_charge(charge, now).await?;
        return Ok(if is_finished { Taken::Settled } else { Taken::Woken });
    };
    // Once by its reference, however often and in whatever way it is told; so it comes before the event is remembered.
    let dispute = store.open_dispute(&Chargeback { charge, reference, amount }, now).await?;
    if won {
        store.close_dispute(dispute.id, DisputeState::Won, now).await?;
    }
    Ok(if store.take_event(acquirer, &told.id, now).await? { Taken::Disputed } else { Taken::Known })
}

/// A refund is queried now, as a charge is.
async fn take_refund(
    store: &dyn Store,
    acquirer: &str,
    (event, key): (&str, &IdempotencyKey),
    now: Timestamp,
) -> Result<Taken, WebhookError> {
    let refund = key.refund().ok_or(WebhookError::UnknownCharge)?;
    let known = store.remedy(refund).await?.ok_or(WebhookError::UnknownCharge)?;
    if !store.take_event(acquirer, event, now).await? {
        return Ok(Taken::Known);
    }
    store.hurry_remedy(refund, now).await?;
    Ok(if known.state().is_under_way() { Taken::Woken } else { Taken::Settled })
}

#[derive(Debug, Deserialize)]
struct SandboxEvent {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    key: String,
    amount_minor: i64,
    currency: String,
    /// Of a dispute, as the settlement file has it.
    #[serde(default)]
    reference: String,
}

fn sandbox(body: &[u8]) -> Result<Told, WebhookError> {
    let event: SandboxEvent = read(body)?;
    let key = IdempotencyKey::new(event.key);
    let (amount_minor, currency, reference) = (event.amount_minor, event.currency, event.reference);
    let about = match event.kind.as_str() {
        "charge.authorised" | "charge.captured" | "charge.declined" => About::Charge(key),
        "refund.succeeded" | "refund.failed" => About::Refund(key),
        "charge.disputed" => About::Dispute { of: Of::Key(key), reference, amount_minor, currency, won: false },
        "charge.dispute_reversed" => About::Dispute { of: Of::Key(key), reference, amount_minor, currency, won: true },
        _ => About::Other,
    };
    told(event.id, about)
}

#[derive(Debug, Deserialize)]
struct StripeEvent {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    data: StripeData,
}

#[derive(Debug, Deserialize)]
struct StripeData {
    object: StripeObject,
}

#[derive(Debug, Deserialize)]
struct StripeObject {
    #[serde(default)]
    id: String,
    #[serde(default)]
    metadata: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    amount: i64,
    #[serde(default)]
    currency: String,
    #[serde(default)]
    status: String,
    /// Of a dispute, which has no metadata of the intent's.
    payment_intent: Option<String>,
}

fn stripe(body: &[u8]) -> Result<Told, WebhookError> {
    let event: StripeEvent = read(body)?;
    let object = event.data.object;
    // Without our key it is not of our making, such as another program's of the same account.
    let key = object.metadata.get("facegate_key").map(IdempotencyKey::new);
    let about = match (event.kind.as_str(), key, object.payment_intent) {
        (kind, Some(key), _) if kind.starts_with("payment_intent.") => About::Charge(key),
        (kind, Some(key), _) if kind.starts_with("refund.") || kind == "charge.refund.updated" => About::Refund(key),
        // One that is closed and lost changes nothing any more.
        ("charge.dispute.closed", ..) if object.status != "won" => About::Other,
        ("charge.dispute.created" | "charge.dispute.closed", _, Some(id)) => About::Dispute {
            of: Of::Reference(id),
            reference: object.id,
            amount_minor: object.amount,
            currency: object.currency.to_uppercase(),
            won: object.status == "won",
        },
        _ => About::Other,
    };
    told(event.id, about)
}

fn told(id: String, about: About) -> Result<Told, WebhookError> {
    if (1..=ID_CHARACTERS_MAX).contains(&id.len()) {
        return Ok(Told { id, about });
    }
    Err(WebhookError::Malformed(format!("its id must have 1 to {ID_CHARACTERS_MAX} characters")))
}

fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, WebhookError> {
    serde_json::from_slice(body).map_err(|error| WebhookError::Malformed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(told: Result<Told, WebhookError>) -> Option<About> {
        told.ok().map(|told| told.about)
    }

    #[test]
    fn each_dialect_is_understood() {
        let key = IdempotencyKey::new("k1");
        let event = |kind: &str| {
            format!(
                r#"{{"id":"e1","type":"{kind}","created":1,"key":"k1","amount_minor":4,"currency":"CNY","reference":"cb_1"}}"#
            )
        };
        let dispute = |of, won| {
            let (reference, currency) = ("cb_1".to_owned(), "CNY".to_owned());
            About::Dispute { of, reference, amount_minor: 4, currency, won }
        };
        let by_key = || Of::Key(key.clone());
        assert_eq!(about(sandbox(event("charge.captured").as_bytes())), Some(About::Charge(key.clone())));
        assert_eq!(about(sandbox(event("charge.disputed").as_bytes())), Some(dispute(by_key(), false)));
        assert_eq!(about(sandbox(event("charge.dispute_reversed").as_bytes())), Some(dispute(by_key(), true)));
        assert_eq!(about(sandbox(event("refund.succeeded").as_bytes())), Some(About::Refund(key.clone())));
        assert_eq!(about(sandbox(event("weather.changed").as_bytes())), Some(About::Other));

        let event = |kind: &str, metadata: &str, status: &str| {
            let object = format!(
                r#"{{"id":"cb_1","metadata":{metadata},"amount":4,"currency":"cny","status":"{status}","payment_intent":"pi_1"}}"#
            );
            format!(r#"{{"id":"e1","type":"{kind}","data":{{"object":{object}}}}}"#)
        };
        let ours = r#"{"facegate_key":"k1"}"#;
        let stripe = |kind, metadata, status| about(super::stripe(event(kind, metadata, status).as_bytes()));
        assert_eq!(stripe("payment_intent.succeeded", ours, "succeeded"), Some(About::Charge(key.clone())));
        assert_eq!(stripe("payment_intent.succeeded", "{}", "succeeded"), Some(About::Other));
        assert_eq!(stripe("charge.refund.updated", ours, "succeeded"), Some(About::Refund(key.clone())));
        assert_eq!(stripe("refund.created", "{}", "succeeded"), Some(About::Other), "of another program's");
        let by_reference = || Of::Reference("pi_1".to_owned());
        assert_eq!(stripe("charge.dispute.created", "{}", "needs_response"), Some(dispute(by_reference(), false)));
        assert_eq!(stripe("charge.dispute.closed", "{}", "won"), Some(dispute(by_reference(), true)));
        assert_eq!(stripe("charge.dispute.closed", "{}", "lost"), Some(About::Other));
    }

    #[test]
    fn what_is_no_event_is_refused() {
        for body in
            ["", "{}", "[]", r#"{"id":"","type":"charge.captured","key":"k","amount_minor":1,"currency":"CNY"}"#]
        {
            assert!(matches!(sandbox(body.as_bytes()), Err(WebhookError::Malformed(_))), "{body}");
            assert!(matches!(stripe(body.as_bytes()), Err(WebhookError::Malformed(_))), "{body}");
        }
    }
}
