//! The Stripe adapter against localstripe, a server that nobody here wrote: it has no idempotency keys, lists the oldest
//! first, and forgets nothing.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use facegate_cloud_sync::charging::acquirer::stripe::{StripeAcquirer, StripeConfig};
use facegate_cloud_sync::charging::acquirer::{Acquirer, Trouble};
use facegate_cloud_sync::signature::SharedSecret;
use facegate_domain::charge::{
    AcquirerName, AcquirerToken, Answer, AuthorisationId, Call, Decline, Found, IdempotencyKey,
};
use facegate_domain::money::Money;
use facegate_loadtest::city::network::free_port;
use serde_json::Value;

use crate::harness::{Books, Operator};

/// Accepted when it is kept, declined when it is charged.
const DECLINED_WHEN_CHARGED: &str = "4000000000000341";
const GOOD: &str = "4242424242424242";
const NEEDS_AUTHENTICATION: &str = "4000002500003155";

/// The interpreter of the environment that `cargo xtask test` makes.
pub fn python() -> PathBuf {
    let made = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../.facegate/peers/loadtest/bin/python");
    let python = std::env::var_os("FACEGATE_PEERS_PYTHON").map_or_else(made, PathBuf::from);
    assert!(python.is_file(), "{} is missing: `cargo xtask test` makes it, and runs this test", python.display());
    python
}

struct LocalStripe {
    process: Child,
    address: String,
    client: reqwest::Client,
}

impl Drop for LocalStripe {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl LocalStripe {
    async fn start() -> Self {
        facegate_runtime::install_crypto();
        let port = free_port().unwrap();
        let mut command = Command::new(python());
        command.args(["-m", "localstripe", "--from-scratch", "--port", &port.to_string()]);
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let (address, client) = (format!("http://127.0.0.1:{port}"), reqwest::Client::new());
        let stripe = Self { process, address, client };
        for _ in 0..300 {
            if stripe.client.get(&stripe.address).send().await.is_ok() {
                return stripe;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("localstripe does not answer");
    }

    async fn call(&self, request: reqwest::RequestBuilder) -> Value {
        let response = request.bearer_auth("sk_test_of_the_tests").send().await.unwrap();
        serde_json::from_str(&response.text().await.unwrap()).unwrap()
    }

    async fn get(&self, path: &str) -> Value {
        self.call(self.client.get(format!("{}{path}", self.address))).await
    }

    async fn post(&self, path: &str, form: &str) -> Value {
        let request = self.client.post(format!("{}{path}", self.address)).body(form.to_owned());
        self.call(request.header("content-type", "application/x-www-form-urlencoded")).await
    }

    /// A card in its vault; gives the token.
    async fn card(&self, number: &str) -> AcquirerToken {
        let form = format!("type=card&card[number]={number}&card[exp_month]=12&card[exp_year]=2099&card[cvc]=123");
        let made = self.post("/v1/payment_methods", &form).await;
        AcquirerToken::new(made["id"].as_str().unwrap()).unwrap()
    }

    /// What was really taken, over all its charges.
    async fn captured(&self) -> (usize, i64) {
        let charges = self.get("/v1/charges?limit=100").await;
        let charges = charges["data"].as_array().unwrap().clone();
        let captured: Vec<&Value> =
            charges.iter().filter(|charge| charge["captured"] == true && charge["paid"] == true).collect();
        let minor = |name: &str| captured.iter().map(|charge| charge[name].as_i64().unwrap()).sum::<i64>();
        (captured.len(), minor("amount") - minor("amount_refunded"))
    }

    fn adapter(&self, books: &Books) -> Arc<StripeAcquirer> {
        let secret = SharedSecret::new("sk_test_of_the_tests").unwrap();
        let answer_within = Duration::from_secs(20);
        let config = StripeConfig { address: self.address.clone(), secret, answer_within, off_session: false };
        let (store, clock) = (Arc::clone(&books.store), Arc::clone(&books.clock) as _);
        Arc::new(StripeAcquirer::new(AcquirerName::new("stripe").unwrap(), &config, store, clock).unwrap())
    }
}

fn cny(minor: i64) -> Money {
    Money::from_minor(minor, "CNY".parse().unwrap())
}

fn key(name: &str) -> IdempotencyKey {
    IdempotencyKey::new(name)
}

async fn authorise(adapter: &StripeAcquirer, name: &str, token: &AcquirerToken) -> Result<Answer, Trouble> {
    adapter.make(&Call::Authorise { key: key(name), token: token.clone(), amount: cny(900) }).await
}

async fn authorised(adapter: &StripeAcquirer, name: &str, token: &AcquirerToken) -> AuthorisationId {
    match authorise(adapter, name, token).await {
        Ok(Answer::Authorised(authorisation)) => authorisation,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_intent_is_authorised_captured_in_part_refunded_and_found() {
    let operator = Operator::new();
    let books = Books::open(operator.folder.path()).await;
    let stripe = LocalStripe::start().await;
    let (adapter, card) = (stripe.adapter(&books), stripe.card(GOOD).await);
    assert_eq!(adapter.find(&key("k1"), cny(900)).await, Ok(Found::Nothing));
    let authorisation = authorised(&adapter, "k1", &card).await;
    assert_eq!(
        adapter.find(&key("k1"), cny(900)).await,
        Ok(Found::Authorised { authorisation: authorisation.clone() })
    );
    assert!(adapter.find(&key("k1"), cny(901)).await.is_err(), "another amount is no answer");

    let capture = Call::Capture { key: key("k1"), authorisation: authorisation.clone(), amount: cny(400) };
    assert_eq!(adapter.make(&capture).await, Ok(Answer::Captured));
    assert!(matches!(adapter.make(&capture).await, Err(Trouble::NoAnswer(_))), "a second capture is refused there");
    assert_eq!(adapter.find(&key("k1"), cny(900)).await, Ok(Found::Captured { authorisation: authorisation.clone() }));
    assert_eq!(stripe.captured().await, (1, 400));

    let refund = |name: &str, minor| {
        let (of, authorisation) = (key("k1"), authorisation.clone());
        Call::Refund { key: key(name), of, authorisation, amount: cny(minor) }
    };
    assert_eq!(adapter.find(&key("r1"), cny(150)).await, Ok(Found::Nothing));
    for _ in 0..3 {
        assert_eq!(adapter.make(&refund("r1", 150)).await, Ok(Answer::Refunded), "again is the same refund");
    }
    assert_eq!(adapter.find(&key("r1"), cny(150)).await, Ok(Found::Refunded));
    assert_eq!(stripe.captured().await, (1, 250));

    let other = authorised(&adapter, "k2", &card).await;
    assert_eq!(adapter.make(&Call::Void { key: key("k2"), authorisation: other }).await, Ok(Answer::Voided));
    assert_eq!(adapter.find(&key("k2"), cny(900)).await, Ok(Found::Voided));
    assert_eq!(stripe.captured().await, (1, 250));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_declined_there_is_declined_here() {
    let operator = Operator::new();
    let books = Books::open(operator.folder.path()).await;
    let stripe = LocalStripe::start().await;
    let adapter = stripe.adapter(&books);
    for (number, decline) in [
        (DECLINED_WHEN_CHARGED, Decline::soft("card_declined")),
        (NEEDS_AUTHENTICATION, Decline::hard("authentication_required")),
    ] {
        let card = stripe.card(number).await;
        assert_eq!(authorise(&adapter, number, &card).await, Ok(Answer::Declined(decline.clone())));
        assert_eq!(adapter.find(&key(number), cny(900)).await, Ok(Found::Declined(decline)));
    }
    let unknown = AcquirerToken::new("pm_nobody").unwrap();
    assert_eq!(authorise(&adapter, "k3", &unknown).await, Ok(Answer::Declined(Decline::hard("unknown_token"))));
    assert_eq!(stripe.captured().await, (0, 0));
}

/// The intent is made, and its id is lost with the answer or the process: it is found by its metadata, behind a page and
/// more of others, and not made again.
#[tokio::test(flavor = "multi_thread")]
async fn an_intent_whose_name_was_lost_is_found_by_its_metadata() {
    let operator = Operator::new();
    let books = Books::open(operator.folder.path()).await;
    let stripe = LocalStripe::start().await;
    let (adapter, card) = (stripe.adapter(&books), stripe.card(GOOD).await);
    let form = |name: &str| {
        let card = card.expose();
        format!("amount=900&currency=cny&payment_method={card}&capture_method=manual&metadata[facegate_key]={name}")
    };
    for number in 0..120 {
        stripe.post("/v1/payment_intents", &form(&format!("other-{number}"))).await;
    }
    let made = stripe.post("/v1/payment_intents", &form("k1")).await;
    books.store.ask_acquirer("stripe", &key("k1"), None, facegate_domain::Clock::now(&*books.clock)).await.unwrap();
    assert_eq!(adapter.find(&key("k1"), cny(900)).await, Ok(Found::Nothing), "made, and nobody was asked for money");
    let authorisation = authorised(&adapter, "k1", &card).await;
    assert_eq!(Some(authorisation.as_str()), made["id"].as_str(), "the one that was there");

    // The same with the id lost after the money was asked for: by another cloud, whose store knows of the asking alone.
    let confirmed = stripe.post("/v1/payment_intents", &form("k2")).await;
    let id = confirmed["id"].as_str().unwrap();
    stripe.post(&format!("/v1/payment_intents/{id}/confirm"), "").await;
    books.store.ask_acquirer("stripe", &key("k2"), None, facegate_domain::Clock::now(&*books.clock)).await.unwrap();
    let found = adapter.find(&key("k2"), cny(900)).await;
    assert_eq!(found, Ok(Found::Authorised { authorisation: AuthorisationId::new(id) }));
}

/// A refund that was made, and whose answer was lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_refund_whose_name_was_lost_is_not_made_again() {
    let operator = Operator::new();
    let books = Books::open(operator.folder.path()).await;
    let stripe = LocalStripe::start().await;
    let (adapter, card) = (stripe.adapter(&books), stripe.card(GOOD).await);
    let authorisation = authorised(&adapter, "k1", &card).await;
    let capture = Call::Capture { key: key("k1"), authorisation: authorisation.clone(), amount: cny(900) };
    assert_eq!(adapter.make(&capture).await, Ok(Answer::Captured));
    let now = facegate_domain::Clock::now(&*books.clock);
    books.store.ask_acquirer("stripe", &key("r1"), Some(authorisation.as_str()), now).await.unwrap();
    let form = format!("payment_intent={authorisation}&amount=300&metadata[facegate_key]=r1");
    stripe.post("/v1/refunds", &form).await;
    assert_eq!(adapter.find(&key("r1"), cny(300)).await, Ok(Found::Refunded));
    let refund = Call::Refund { key: key("r1"), of: key("k1"), authorisation, amount: cny(300) };
    assert_eq!(adapter.make(&refund).await, Ok(Answer::Refunded));
    assert_eq!(stripe.captured().await, (1, 600));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stripe_that_is_not_there_was_not_reached() {
    let operator = Operator::new();
    let books = Books::open(operator.folder.path()).await;
    let stripe = LocalStripe::start().await;
    let (adapter, card) = (stripe.adapter(&books), stripe.card(GOOD).await);
    drop(stripe);
    let asked = authorise(&adapter, "k1", &card).await;
    assert!(matches!(asked, Err(Trouble::NotReached(_))), "{asked:?}");
}
