//! What an acquirer tells by itself, believed only as far as it is signed and never for money.

use facegate_cloud_sync::charging::webhooks::{AGE_MAX, Dialect, Taken, WebhookError, WebhookPolicy, take};
use facegate_cloud_sync::signature::{BadSignature, SharedSecret};
use facegate_domain::Clock;
use facegate_domain::charge::{IdempotencyKey, State};
use facegate_domain::ids::RiderId;
use facegate_domain::ledger::Account;
use facegate_domain::remedy::RemedyState;
use serde_json::{Value, json};

use crate::harness::{ANSWER_WITHIN, Books, FARE, Operator, Sandbox, client};
use crate::refunds::{asked, remedies, state};

fn policy() -> WebhookPolicy {
    WebhookPolicy { dialect: Dialect::Sandbox, secret: SharedSecret::new("a-secret-of-the-tests").unwrap() }
}

fn event(id: &str, kind: &str, key: &str) -> Vec<u8> {
    let event = json!({
        "id": id, "type": kind, "created": 1, "key": key, "amount_minor": FARE, "currency": "CNY", "reference": "cb_1",
    });
    event.to_string().into_bytes()
}

async fn told(books: &Books, body: &[u8]) -> Result<Taken, WebhookError> {
    let (policy, now) = (policy(), books.clock.now());
    let signature = policy.secret.sign(now, body);
    take(&*books.store, "default", &policy, &signature, body, now).await
}

async fn key_of(books: &Books, rider: RiderId) -> IdempotencyKey {
    books.store.trips(rider).await.unwrap()[0].charge().unwrap().key().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_has_its_charge_looked_at_and_changes_nothing_by_itself() {
    let operator = Operator::new();
    let sandbox = Sandbox::open(&operator, None).await;
    let mut books = Books::open(operator.folder.path()).await;
    let rider = books.rider_with_token("tok_ok_late_1").await;
    books.ride(rider).await;
    let scheduler = books.scheduler(client(&operator, sandbox.address));
    scheduler.pass().await.unwrap();
    assert!(
        matches!(books.states(rider).await[..], [Some(State::Unknown { .. })]),
        "no answer came in {ANSWER_WITHIN:?}"
    );
    let key = key_of(&books, rider).await;
    assert_eq!(scheduler.pass().await.unwrap().moved, 0, "it rests");

    let captured = event("e1", "charge.captured", key.as_str());
    assert_eq!(told(&books, &captured).await.unwrap(), Taken::Woken);
    assert!(matches!(books.states(rider).await[..], [Some(State::Unknown { .. })]), "what it claims is not believed");
    assert_eq!(books.balance(Account::AcquirerReceivable).await, 0);
    assert_eq!(told(&books, &captured).await.unwrap(), Taken::Known, "again, and signed anew");
    assert_eq!(scheduler.pass().await.unwrap().moved, 1, "it is looked at now, and found authorised");

    books.passes(&scheduler, 2).await;
    assert_eq!(books.states(rider).await, [Some(State::Captured)]);
    let declined = event("e2", "charge.declined", key.as_str());
    assert_eq!(told(&books, &declined).await.unwrap(), Taken::Settled);
    assert_eq!(books.states(rider).await, [Some(State::Captured)]);
    assert_eq!(books.balance(Account::AcquirerReceivable).await, FARE);

    let disputed = event("e3", "charge.disputed", key.as_str());
    assert_eq!(told(&books, &disputed).await.unwrap(), Taken::Disputed);
    assert_eq!(told(&books, &disputed).await.unwrap(), Taken::Known);
    let disputes = books.store.disputes_of(rider).await.unwrap();
    assert_eq!(disputes.iter().map(|d| (d.reference.as_str(), d.state.name())).collect::<Vec<_>>(), [("cb_1", "open")]);
    assert_eq!(books.balance(Account::AcquirerReceivable).await, 0, "kept apart until the bank decides");
    assert_eq!(books.balance(Account::Disputed).await, FARE);
    let won = event("e4", "charge.dispute_reversed", key.as_str());
    assert_eq!(told(&books, &won).await.unwrap(), Taken::Disputed);
    assert_eq!(books.balance(Account::AcquirerReceivable).await, FARE);
    assert_eq!(books.balance(Account::Disputed).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_event_is_refused_and_changes_nothing() {
    let operator = Operator::new();
    let sandbox = Sandbox::open(&operator, None).await;
    let mut books = Books::open(operator.folder.path()).await;
    let rider = books.rider_with_token("tok_ok_1").await;
    books.ride(rider).await;
    books.passes(&books.scheduler(client(&operator, sandbox.address)), 1).await;
    let key = key_of(&books, rider).await;
    let before = books.store.entries(0, 100).await.unwrap();
    let (policy, now, body) = (policy(), books.clock.now(), event("e1", "charge.disputed", key.as_str()));
    let taken = async |signature: &str, body: &[u8]| {
        take(&*books.store, "default", &policy, signature, body, now).await.map_err(|error| error.name())
    };
    let good = policy.secret.sign(now, &body);
    let other = SharedSecret::new("a-secret-of-somebody").unwrap().sign(now, &body);
    let old = policy.secret.sign(now.minus(AGE_MAX).minus(std::time::Duration::from_secs(1)), &body);
    let altered: Vec<u8> = String::from_utf8(body.clone()).unwrap().replace("e1", "e2").into_bytes();
    for (what, signature, body) in [
        ("none", "", &body[..]),
        ("another secret", &other, &body),
        ("too old", &old, &body),
        ("another body", &good, &altered),
    ] {
        assert_eq!(taken(signature, body).await, Err("bad_signature"), "{what}");
    }
    let stale = policy.secret.verify(&old, &body, now, AGE_MAX);
    assert_eq!(stale, Err(BadSignature::Time));
    for body in [&b"{}"[..], b"not json", &event("", "charge.captured", key.as_str())] {
        assert_eq!(taken(&policy.secret.sign(now, body), body).await, Err("malformed"));
    }
    let never_made = format!("facegate-{}", uuid::Uuid::new_v4());
    for unknown in ["nobody", "facegate-", &never_made] {
        let body = event("e9", "charge.disputed", unknown);
        assert_eq!(taken(&policy.secret.sign(now, &body), &body).await, Err("unknown_charge"), "{unknown}");
    }
    let weather = event("e8", "weather.changed", key.as_str());
    assert_eq!(taken(&policy.secret.sign(now, &weather), &weather).await, Ok(Taken::Ignored));
    assert!(books.store.disputes_of(rider).await.unwrap().is_empty());
    assert_eq!(books.store.entries(0, 100).await.unwrap(), before);
    assert_eq!(books.states(rider).await, [Some(State::Captured)]);

    let value: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(value["type"], "charge.disputed");
    assert_eq!(taken(&good, &body).await, Ok(Taken::Disputed), "the good one is taken after all that");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_about_a_refund_has_it_looked_at_now() {
    let operator = Operator::new();
    let sandbox = Sandbox::open(&operator, None).await;
    let mut books = Books::open(operator.folder.path()).await;
    let (_, remedy) = asked(&mut books, &sandbox, &operator, 150).await;
    // Nobody answers, and it rests.
    let address = sandbox.close().await;
    remedies(&books, client(&operator, address)).pass().await.unwrap();
    let due = async || books.store.due_remedies(books.clock.now(), 10).await.unwrap().len();
    assert_eq!(due().await, 0);
    let event = event("e1", "refund.succeeded", remedy.key().as_str());
    assert_eq!(told(&books, &event).await.unwrap(), Taken::Woken);
    assert_eq!(due().await, 1);
    assert_eq!(state(&books, &remedy).await, RemedyState::Due, "what it claims is not believed");
    assert_eq!(told(&books, &event).await.unwrap(), Taken::Known);
    let unknown = format!("facegate-refund-{}", uuid::Uuid::new_v4());
    let refused = told(&books, &self::event("e2", "refund.succeeded", &unknown)).await;
    assert!(matches!(refused, Err(WebhookError::UnknownCharge)), "{refused:?}");
}
