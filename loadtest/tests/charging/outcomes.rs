//! Every way in which a charge ends, and the waits on the way.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use facegate_cloud_sync::charging::acquirer::wallet::SHORT;
use facegate_cloud_sync::charging::acquirer::{Acquirer, Trouble, Unconfigured};
use facegate_domain::charge::{Answer, AuthorisationId, Call, Found, IdempotencyKey, Instrument, State};
use facegate_domain::ledger::Account;
use facegate_domain::money::Money;
use facegate_loadtest::acquirer::ByToken;

use crate::harness::{Books, FARE, Operator, Sandbox, client};

fn captured_once() -> ByToken {
    ByToken { authorisations: 1, captures: 1, captured_minor: FARE, refunded_minor: 0 }
}

fn owed(reason: &str) -> Vec<Option<String>> {
    vec![Some(reason.to_owned())]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_is_captured_once_however_often_the_scheduler_looks() {
    let operator = Operator::new();
    let sandbox = Sandbox::open(&operator, None).await;
    let mut books = Books::open(operator.folder.path()).await;
    let rider = books.rider_with_token("tok_ok_1").await;
    books.ride(rider).await;
    assert_eq!(books.states(rider).await, [None]);

    let passes = books.passes(&books.scheduler(client(&operator, sandbox.address)), 3).await;
    assert_eq!(passes.iter().map(|pass| (pass.opened, pass.moved)).collect::<Vec<_>>(), [(1, 1), (0, 0), (0, 0)]);
    assert_eq!(books.states(rider).await, [Some(State::Captured)]);
    assert_eq!(sandbox.of_token("tok_ok_1").await, captured_once());
    assert_eq!(books.balance(Account::AcquirerReceivable).await, FARE);
    assert_eq!(books.balance(Account::OperatorRevenue).await, -FARE);
    assert_eq!(books.balance(Account::RiderReceivable(rider)).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_pays_until_it_is_empty_and_then_the_fare_is_owed() {
    let operator = Operator::new();
    let mut books = Books::open(operator.folder.path()).await;
    let rider = books.rider(Some(Instrument::Wallet), 2 * FARE + 1).await;
    for _ in 0..3 {
        books.ride(rider).await;
    }
    books.passes(&books.scheduler(Arc::new(Unconfigured)), 2).await;
    let states = books.states(rider).await;
    assert_eq!(states.iter().filter(|state| **state == Some(State::Captured)).count(), 2, "{states:?}");
    assert!(books.owed_for(rider).await.contains(&Some(SHORT.to_owned())));
    assert_eq!(books.balance(Account::Wallet(rider)).await, -1);
    assert_eq!(books.balance(Account::WalletHeld(rider)).await, 0);
    assert_eq!(books.balance(Account::RiderReceivable(rider)).await, FARE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_card_leaves_the_fare_owed_and_its_reason_on_the_charge() {
    let operator = Operator::new();
    let sandbox = Sandbox::open(&operator, None).await;
    let mut books = Books::open(operator.folder.path()).await;
    let scheduler = books.scheduler(client(&operator, sandbox.address));
    for (token, reason, authorisations) in
        [("tok_declined_1", "do_not_honour", 0), ("tok_lapses_1", "authorisation_lapsed", 1)]
    {
        let rider = books.rider_with_token(token).await;
        books.ride(rider).await;
        books.passes(&scheduler, 2).await;
        assert_eq!(books.owed_for(rider).await, owed(reason));
        assert_eq!(sandbox.of_token(token).await, ByToken { authorisations, ..ByToken::default() });
        assert_eq!(books.balance(Account::RiderReceivable(rider)).await, FARE);
    }
    assert_eq!(books.balance(Account::AcquirerReceivable).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_never_comes_though_the_work_is_done_is_found_by_its_key() {
    let operator = Operator::new();
    let sandbox = Sandbox::open(&operator, None).await;
    let mut books = Books::open(operator.folder.path()).await;
    let rider = books.rider_with_token("tok_ok_late_1").await;
    books.ride(rider).await;
    let scheduler = books.scheduler(client(&operator, sandbox.address));

    books.passes(&scheduler, 1).await;
    assert_eq!(books.states(rider).await, [Some(State::Unknown { authorisation: None })]);
    assert_eq!(sandbox.of_token("tok_ok_late_1").await.authorisations, 1, "the work was done");

    // Authorised is found; the capture is done and its answer is late as well.
    books.passes(&scheduler, 1).await;
    assert!(matches!(books.states(rider).await[..], [Some(State::Unknown { authorisation: Some(_) })]));
    assert_eq!(books.balance(Account::AcquirerReceivable).await, 0, "what is not known is not booked");

    books.passes(&scheduler, 1).await;
    assert_eq!(books.states(rider).await, [Some(State::Captured)]);
    assert_eq!(sandbox.of_token("tok_ok_late_1").await, captured_once());
    assert_eq!(books.balance(Account::AcquirerReceivable).await, FARE);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_acquirer_is_away_its_charges_wait_and_wallets_are_paid() {
    let operator = Operator::new();
    let sandbox = Sandbox::open(&operator, None).await;
    let scheduler_client = client(&operator, sandbox.address);
    let address = sandbox.close().await;
    let mut books = Books::open(operator.folder.path()).await;
    let by_card = books.rider_with_token("tok_ok_1").await;
    let by_wallet = books.rider(Some(Instrument::Wallet), FARE).await;
    books.ride(by_card).await;
    books.ride(by_wallet).await;

    let scheduler = books.scheduler(scheduler_client);
    let pass = scheduler.pass().await.unwrap();
    assert!(pass.acquirer_away);
    assert_eq!(books.states(by_card).await, [Some(State::Due)]);
    assert_eq!(books.states(by_wallet).await, [Some(State::Captured)]);
    assert_eq!(scheduler.pass().await.unwrap().moved, 0, "the charge rests");

    let sandbox = Sandbox::open(&operator, Some(address)).await;
    books.clock.advance(Duration::from_secs(10));
    assert!(!scheduler.pass().await.unwrap().acquirer_away);
    assert_eq!(books.states(by_card).await, [Some(State::Captured)]);
    assert_eq!(sandbox.of_token("tok_ok_1").await, captured_once());
}

#[tokio::test(flavor = "multi_thread")]
async fn riders_without_an_account_wait_and_hold_nobody_up() {
    let operator = Operator::new();
    let mut books = Books::open(operator.folder.path()).await;
    let without = books.rider(None, 0).await;
    // More of them than the scheduler looks up at a time.
    for _ in 0..300 {
        books.ride(without).await;
    }
    books.clock.advance(Duration::from_secs(1));
    let with = books.rider(Some(Instrument::Wallet), FARE).await;
    books.ride(with).await;
    let scheduler = books.scheduler(Arc::new(Unconfigured));
    assert_eq!(scheduler.pass().await.unwrap().opened, 1);
    assert_eq!(books.states(with).await, [Some(State::Captured)]);
    assert_eq!(books.balance(Account::RiderReceivable(without)).await, 0);

    books.store.bind_account(without, Instrument::Wallet, Vec::new()).await.unwrap();
    assert_eq!(scheduler.pass().await.unwrap().opened, 300);
}

/// Gives an authorisation, loses the capture, and has then forgotten all of it.
#[derive(Debug)]
struct Forgetful;

#[async_trait]
impl Acquirer for Forgetful {
    fn name(&self) -> &'static str {
        "forgetful"
    }

    async fn make(&self, call: &Call) -> Result<Answer, Trouble> {
        match call {
            Call::Authorise { .. } => Ok(Answer::Authorised(AuthorisationId::new("auth-1"))),
            _ => Err(Trouble::NoAnswer("lost".to_owned())),
        }
    }

    async fn find(&self, _: &IdempotencyKey, _: Money) -> Result<Found, Trouble> {
        Ok(Found::Nothing)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acquirer_that_contradicts_itself_gets_no_second_call() {
    let operator = Operator::new();
    let mut books = Books::open(operator.folder.path()).await;
    let rider = books.rider_with_token("tok_ok_1").await;
    books.ride(rider).await;
    books.passes(&books.scheduler(Arc::new(Forgetful)), 4).await;
    assert!(matches!(books.states(rider).await[..], [Some(State::Unknown { authorisation: Some(_) })]));
    assert_eq!(books.balance(Account::AcquirerReceivable).await, 0);
    assert_eq!(books.balance(Account::RiderReceivable(rider)).await, FARE);
}
