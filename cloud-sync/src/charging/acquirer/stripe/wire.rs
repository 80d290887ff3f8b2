//! What goes over the wire: form-encoded requests, JSON answers, and what their states mean to a charge.

use std::collections::BTreeMap;

use facegate_domain::charge::{Answer, AuthorisationId, Call, Decline, Found, IdempotencyKey};
use facegate_domain::money::Money;
use reqwest::{RequestBuilder, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::charging::acquirer::{Trouble, exchange, read};
use crate::signature::SharedSecret;

/// Declines after which the card schemes allow no second try with the same card.
const FOR_EVER: [&str; 12] = [
    "expired_card",
    "fraudulent",
    "incorrect_number",
    "invalid_account",
    "invalid_number",
    "lost_card",
    "merchant_blacklist",
    "pickup_card",
    "restricted_card",
    "revocation_of_all_authorizations",
    "revocation_of_authorization",
    "stolen_card",
];

/// One Stripe, and the key that it knows us by.
#[derive(Debug)]
pub struct Wire {
    client: reqwest::Client,
    base: String,
    secret: SharedSecret,
}

/// An answer that came.
#[derive(Debug)]
pub enum Exchanged<T> {
    Object(T),
    Declined(Decline),
    /// The request was not done as it stands: the status and the server's words.
    Refused(String),
}

#[derive(Debug, Deserialize)]
struct Failed {
    error: Failure,
}

#[derive(Debug, Clone, Deserialize)]
struct Failure {
    code: Option<String>,
    decline_code: Option<String>,
    message: Option<String>,
}

impl Failure {
    fn decline(self) -> Decline {
        let reason = self.decline_code.or(self.code).unwrap_or_else(|| "card_declined".to_owned());
        if FOR_EVER.contains(&reason.as_str()) { Decline::hard(reason) } else { Decline::soft(reason) }
    }
}

impl Wire {
    pub fn new(client: reqwest::Client, address: &str, secret: SharedSecret) -> Self {
        Self { client, base: address.trim_end_matches('/').to_owned(), secret }
    }

    /// `step` tells the calls under one key apart: Stripe refuses the same idempotency key for another request.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        key: &IdempotencyKey,
        step: &str,
        form: &[(&'static str, String)],
    ) -> Result<Exchanged<T>, Trouble> {
        let request = self.client.post(format!("{}{path}", self.base)).body(encoded(form));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let request = request.header("idempotency-key", format!("{key}-{step}"));
        let (status, text) = exchange(self.signed(request)).await?;
        match status {
            StatusCode::OK => Ok(Exchanged::Object(read(&text)?)),
            StatusCode::PAYMENT_REQUIRED => Ok(Exchanged::Declined(read::<Failed>(&text)?.error.decline())),
            // An error that is not its own, such as a proxy's, says nothing certain either.
            _ if status.is_client_error() => {
                let failure = read::<Failed>(&text)?.error;
                Ok(Exchanged::Refused(format!("{status}: {}", failure.message.unwrap_or_default())))
            }
            _ => Err(Trouble::NoAnswer(format!("{status}: {text}"))),
        }
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&'static str, String)]) -> Result<T, Trouble> {
        let request = self.client.get(format!("{}{path}", self.base)).query(query);
        let (status, text) = exchange(self.signed(request)).await?;
        if status == StatusCode::OK { read(&text) } else { Err(Trouble::NoAnswer(format!("{status}: {text}"))) }
    }

    fn signed(&self, request: RequestBuilder) -> RequestBuilder {
        request.bearer_auth(self.secret.expose())
    }
}

/// `application/x-www-form-urlencoded`.
fn encoded(form: &[(&'static str, String)]) -> String {
    let escaped = |text: &str| -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        text.bytes()
            .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
            .collect()
    };
    form.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect::<Vec<_>>().join("&")
}

/// What lists hold.
pub trait Object: DeserializeOwned {
    fn id(&self) -> &str;
    /// Seconds since 1970.
    fn created(&self) -> i64;
    /// Our key, if it is of our making.
    fn key(&self) -> Option<&str>;
    /// The further it has come, the higher.
    fn progress(&self) -> u8;
}

#[derive(Debug, Deserialize)]
pub struct Listed<T> {
    pub data: Vec<T>,
    pub has_more: bool,
}

#[derive(Debug, Deserialize)]
pub struct Intent {
    pub id: String,
    status: String,
    amount: i64,
    currency: String,
    created: i64,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    last_payment_error: Option<Failure>,
}

#[derive(Debug, Deserialize)]
pub struct Refund {
    pub id: String,
    status: String,
    amount: i64,
    currency: String,
    created: i64,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    failure_reason: Option<String>,
}

impl Object for Intent {
    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn key(&self) -> Option<&str> {
        self.metadata.get("facegate_key").map(String::as_str)
    }

    fn progress(&self) -> u8 {
        match self.status.as_str() {
            "succeeded" => 4,
            "requires_capture" | "processing" => 3,
            "canceled" => 2,
            _ if self.last_payment_error.is_some() => 1,
            _ => 0,
        }
    }
}

impl Object for Refund {
    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn key(&self) -> Option<&str> {
        self.metadata.get("facegate_key").map(String::as_str)
    }

    fn progress(&self) -> u8 {
        u8::from(self.status == "succeeded")
    }
}

impl Intent {
    fn authorisation(&self) -> AuthorisationId {
        AuthorisationId::new(self.id.as_str())
    }

    fn odd<T>(&self) -> Result<T, Trouble> {
        Err(Trouble::NoAnswer(format!("the intent {} is {}", self.id, self.status)))
    }

    /// The rider is not there to authenticate himself; whoever declined may be asked on another day.
    fn declined(&self) -> Option<Decline> {
        match (self.status.as_str(), &self.last_payment_error) {
            ("requires_action", _) => Some(Decline::hard("authentication_required")),
            ("requires_payment_method", Some(failure)) => Some(failure.clone().decline()),
            _ => None,
        }
    }

    pub fn answer_to_confirming(&self) -> Result<Answer, Trouble> {
        match (self.status.as_str(), self.declined()) {
            (_, Some(decline)) => Ok(Answer::Declined(decline)),
            ("requires_capture", _) => Ok(Answer::Authorised(self.authorisation())),
            ("processing", _) => Ok(Answer::Pending),
            _ => self.odd(),
        }
    }

    pub fn answer_to(&self, call: &Call) -> Result<Answer, Trouble> {
        match (call, self.status.as_str()) {
            (Call::Capture { .. }, "succeeded") => Ok(Answer::Captured),
            (Call::Capture { .. }, "processing") => Ok(Answer::Pending),
            (Call::Void { .. }, "canceled") => Ok(Answer::Voided),
            _ => self.odd(),
        }
    }

    pub fn found(&self, amount: Money) -> Result<Found, Trouble> {
        same_amount(self.amount, &self.currency, amount)?;
        let authorisation = self.authorisation();
        match (self.status.as_str(), self.declined()) {
            (_, Some(decline)) => Ok(Found::Declined(decline)),
            // Never confirmed: nobody was asked for money.
            ("requires_confirmation" | "requires_payment_method", None) => Ok(Found::Nothing),
            ("requires_capture", _) => Ok(Found::Authorised { authorisation }),
            ("processing", _) => Ok(Found::Pending { authorisation }),
            ("succeeded", _) => Ok(Found::Captured { authorisation }),
            ("canceled", _) => Ok(Found::Voided),
            _ => self.odd(),
        }
    }
}

impl Refund {
    fn declined(&self) -> Option<Decline> {
        let failed = matches!(self.status.as_str(), "failed" | "canceled");
        failed.then(|| Decline::hard(self.failure_reason.clone().unwrap_or_else(|| self.status.clone())))
    }

    pub fn answer(&self) -> Result<Answer, Trouble> {
        match (self.status.as_str(), self.declined()) {
            (_, Some(decline)) => Ok(Answer::Declined(decline)),
            ("succeeded", _) => Ok(Answer::Refunded),
            _ => Ok(Answer::Pending),
        }
    }

    pub fn found(&self, amount: Money) -> Result<Found, Trouble> {
        same_amount(self.amount, &self.currency, amount)?;
        match (self.status.as_str(), self.declined()) {
            (_, Some(decline)) => Ok(Found::Declined(decline)),
            ("succeeded", _) => Ok(Found::Refunded),
            _ => Ok(Found::Pending { authorisation: AuthorisationId::new(self.id.as_str()) }),
        }
    }
}

fn same_amount(minor: i64, currency: &str, ours: Money) -> Result<(), Trouble> {
    if minor == ours.minor() && currency.eq_ignore_ascii_case(ours.currency().as_str()) {
        return Ok(());
    }
    tracing::error!(ours = %ours, "the acquirer has another amount under our key");
    Err(Trouble::NoAnswer("the amount differs".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intent(status: &str, error: Option<&str>) -> Intent {
        let error = error.map(|code| serde_json::json!({ "code": "card_declined", "decline_code": code }));
        let json = serde_json::json!({
            "id": "pi_1", "status": status, "amount": 400, "currency": "cny", "created": 1,
            "metadata": { "facegate_key": "k" }, "last_payment_error": error,
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn every_state_of_an_intent_is_something_to_a_charge() {
        let amount = Money::from_minor(400, "CNY".parse().unwrap());
        let authorisation = || AuthorisationId::new("pi_1");
        for (status, error, found) in [
            ("requires_confirmation", None, Found::Nothing),
            ("requires_payment_method", None, Found::Nothing),
            (
                "requires_payment_method",
                Some("insufficient_funds"),
                Found::Declined(Decline::soft("insufficient_funds")),
            ),
            ("requires_payment_method", Some("stolen_card"), Found::Declined(Decline::hard("stolen_card"))),
            ("requires_action", None, Found::Declined(Decline::hard("authentication_required"))),
            ("requires_capture", None, Found::Authorised { authorisation: authorisation() }),
            ("processing", None, Found::Pending { authorisation: authorisation() }),
            ("succeeded", None, Found::Captured { authorisation: authorisation() }),
            ("canceled", None, Found::Voided),
        ] {
            assert_eq!(intent(status, error).found(amount), Ok(found), "{status}");
        }
        assert!(intent("of_the_future", None).found(amount).is_err());
        assert!(intent("succeeded", None).found(Money::from_minor(401, amount.currency())).is_err());
    }

    #[test]
    fn forms_are_escaped() {
        let form = [("metadata[facegate_key]", "a b&c=é".to_owned())];
        assert_eq!(encoded(&form), "metadata%5Bfacegate_key%5D=a%20b%26c%3D%C3%A9");
    }
}
