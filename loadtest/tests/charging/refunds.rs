//! Refunds through the sandbox acquirer: once each, whatever becomes of the answers and of the cloud.

use std::sync::Arc;
use std::time::Duration;

use facegate_cloud_sync::charging::Remedies;
use facegate_cloud_sync::charging::acquirer::{Acquirer, Acquirers};
use facegate_domain::Clock;
use facegate_domain::ids::RiderId;
use facegate_domain::ledger::Account;
use facegate_domain::remedy::{Ground, Measure, Remedy, RemedyPolicy, RemedyRequest, RemedyState};

use crate::harness::{Books, FARE, Operator, Sandbox, client, cny};

const POLICY: RemedyPolicy = RemedyPolicy { four_eyes_above_minor: 100_000 };

pub fn remedies(books: &Books, acquirer: Arc<dyn Acquirer>) -> Remedies {
    let clock = Arc::clone(&books.clock) as Arc<dyn Clock>;
    Remedies::new(Arc::clone(&books.store), Acquirers::only(acquirer), clock, books.policy.clone())
}

/// A rider with a captured charge, of which part is to be given back.
pub async fn asked(books: &mut Books, sandbox: &Sandbox, operator: &Operator, minor: i64) -> (RiderId, Remedy) {
    let rider = books.rider_with_token("tok_ok_1").await;
    books.ride(rider).await;
    books.passes(&books.scheduler(client(operator, sandbox.address)), 2).await;
    let trips = books.store.trips(rider).await.unwrap();
    let charge = trips[0].charge().unwrap().id();
    let request = RemedyRequest {
        order: "first".into(),
        rider,
        measure: Measure::Refund { charge },
        amount: cny(minor),
        ground: Ground::WrongCharge,
        reason: "another rider's ride".into(),
        by: "operator/a".into(),
    };
    (rider, books.store.ask_remedy(request, &POLICY, books.clock.now()).await.unwrap())
}

pub async fn state(books: &Books, remedy: &Remedy) -> RemedyState {
    books.store.remedy(remedy.id()).await.unwrap().unwrap().state().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn part_of_a_charge_goes_back_once_and_the_reserve_bears_it() {
    let operator = Operator::new();
    let sandbox = Sandbox::open(&operator, None).await;
    let mut books = Books::open(operator.folder.path()).await;
    let (_, remedy) = asked(&mut books, &sandbox, &operator, 150).await;
    let remedies = remedies(&books, client(&operator, sandbox.address));
    for _ in 0..3 {
        remedies.pass().await.unwrap();
        books.clock.advance(Duration::from_secs(100));
    }
    assert_eq!(state(&books, &remedy).await, RemedyState::Done);
    assert_eq!(sandbox.of_token("tok_ok_1").await.refunded_minor, 150);
    assert_eq!(books.balance(Account::AcquirerReceivable).await, FARE - 150);
    assert_eq!(books.balance(Account::RiskReserve).await, 150);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_that_dies_around_the_call_and_an_acquirer_that_is_away_refund_once() {
    let operator = Operator::new();
    let sandbox = Sandbox::open(&operator, None).await;
    let mut books = Books::open(operator.folder.path()).await;
    let (_, remedy) = asked(&mut books, &sandbox, &operator, FARE).await;
    // The acquirer is away: nothing is lost, and nothing happens.
    let address = sandbox.close().await;
    remedies(&books, client(&operator, address)).pass().await.unwrap();
    assert_eq!(state(&books, &remedy).await, RemedyState::Due);
    let sandbox = Sandbox::open(&operator, Some(address)).await;
    // Passes that are dropped wherever they are, and a store that is opened anew.
    for cut in 0..40_u64 {
        let passes = remedies(&books, client(&operator, address));
        let _ = tokio::time::timeout(Duration::from_millis(cut * 2), passes.pass()).await;
        drop(passes);
        books.clock.advance(Duration::from_secs(100));
        if cut % 10 == 9 {
            books = books.reopen(operator.folder.path()).await;
        }
    }
    let passes = remedies(&books, client(&operator, address));
    for _ in 0..5 {
        passes.pass().await.unwrap();
        books.clock.advance(Duration::from_secs(100));
    }
    assert_eq!(state(&books, &remedy).await, RemedyState::Done);
    assert_eq!(sandbox.of_token("tok_ok_1").await.refunded_minor, FARE);
    assert_eq!(books.balance(Account::AcquirerReceivable).await, 0);
    assert_eq!(books.balance(Account::RiskReserve).await, FARE);
}
