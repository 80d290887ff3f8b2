//! Attempts, debts and what ends them; bills over days; first rides. What was asked of whom is counted in the acquirer's
//! own book.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use facegate_cloud_sync::charging::Scheduler;
use facegate_cloud_sync::charging::acquirer::{Acquirer, Trouble, Unconfigured};
use facegate_domain::Clock;
use facegate_domain::billing::{BillingPolicy, Bills};
use facegate_domain::charge::{Answer, Call, Change, Decline, Found, IdempotencyKey, Instrument, State};
use facegate_domain::deny::DenyReason;
use facegate_domain::ids::RiderId;
use facegate_domain::ledger::Account;
use facegate_domain::money::Money;
use facegate_domain::travel_day::TravelDays;

use crate::harness::{Books, FARE, Operator, Sandbox, card, client, cny};

const DAY: Duration = Duration::from_secs(86_400);

async fn denied_for(books: &Books, rider: RiderId) -> BTreeSet<DenyReason> {
    books.store.denied_for(rider).await.unwrap()
}

async fn add(books: &Books, rider: RiderId, instrument: Instrument) {
    let change = Some(Change::Add(instrument.into()));
    books.store.change_instruments(rider, change, Vec::new(), books.clock.now()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instrument_that_declines_is_passed_over_and_the_next_pays_once() {
    let operator = Operator::new();
    let sandbox = Sandbox::open(&operator, None).await;
    let mut books = Books::open(operator.folder.path()).await;
    let rider = books.rider_with_token("tok_declined_1").await;
    add(&books, rider, Instrument::Wallet).await;
    add(&books, rider, card("tok_ok_1")).await;
    books.ride(rider).await;
    books.passes(&books.scheduler(client(&operator, sandbox.address)), 3).await;
    assert_eq!(books.states(rider).await, [Some(State::Captured)]);
    let charge = books.store.trips(rider).await.unwrap()[0].charge().unwrap().clone();
    assert_eq!((charge.attempt(), charge.tried().len()), (3, 2), "the card, the empty wallet, the other card");
    let paid = sandbox.of_token("tok_ok_1").await;
    assert_eq!((paid.authorisations, paid.captures, paid.captured_minor), (1, 1, FARE));
    assert!(denied_for(&books, rider).await.is_empty());
    assert_eq!(books.balance(Account::RiderReceivable(rider)).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_debt_is_recovered_by_another_instrument_and_lifts_no_operators_denial() {
    let operator = Operator::new();
    let sandbox = Sandbox::open(&operator, None).await;
    let mut books = Books::open(operator.folder.path()).await;
    let scheduler = books.scheduler(client(&operator, sandbox.address));
    let rider = books.rider_with_token("tok_declined_1").await;
    books.ride(rider).await;
    books.passes(&scheduler, 2).await;
    assert!(matches!(books.states(rider).await[..], [Some(State::Debt { .. })]));
    assert_eq!(denied_for(&books, rider).await, BTreeSet::from([DenyReason::Debt]));
    assert!(books.store.is_denied(rider).await.unwrap());
    books.store.set_denied(rider, true).await.unwrap();

    add(&books, rider, card("tok_ok_1")).await;
    scheduler.pass().await.unwrap();
    assert_eq!(books.states(rider).await, [Some(State::Captured)]);
    assert_eq!(denied_for(&books, rider).await, BTreeSet::from([DenyReason::Operator]));
    assert!(books.store.debts(rider).await.unwrap().is_empty());
    assert_eq!(sandbox.of_token("tok_ok_1").await.captures, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_top_up_pays_what_the_wallet_owed() {
    let operator = Operator::new();
    let mut books = Books::open(operator.folder.path()).await;
    let scheduler = books.scheduler(Arc::new(Unconfigured));
    let rider = books.rider(Some(Instrument::Wallet), FARE - 1).await;
    books.ride(rider).await;
    books.passes(&scheduler, 2).await;
    assert!(books.store.is_denied(rider).await.unwrap());
    books.clock.advance(Duration::from_secs(60));
    books.top_up(rider, 2).await;
    scheduler.pass().await.unwrap();
    assert_eq!(books.states(rider).await, [Some(State::Captured)]);
    assert!(!books.store.is_denied(rider).await.unwrap());
    assert_eq!(books.balance(Account::Wallet(rider)).await, -1);
}

/// An acquirer that never has the money.
#[derive(Debug, Default)]
struct Short(AtomicUsize);

impl Short {
    fn asked(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Acquirer for Short {
    fn name(&self) -> &'static str {
        "short"
    }

    async fn make(&self, _: &Call) -> Result<Answer, Trouble> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(Answer::Declined(Decline::soft("insufficient_funds")))
    }

    async fn find(&self, _: &IdempotencyKey, _: Money) -> Result<Found, Trouble> {
        Ok(Found::Nothing)
    }
}

/// Declined for want of money: on which days the card is asked again, and that there is an end to it.
#[tokio::test(flavor = "multi_thread")]
async fn a_soft_decline_is_tried_on_the_days_of_the_schedule_and_no_others() {
    let operator = Operator::new();
    let mut books = Books::open(operator.folder.path()).await;
    let short = Arc::new(Short::default());
    let scheduler = books.scheduler(Arc::clone(&short) as Arc<dyn Acquirer>);
    let rider = books.rider_with_token("tok_1").await;
    books.ride(rider).await;
    let days = books.policy.billing.days.clone();
    let first = days.of(books.clock.now());
    let mut asked = Vec::new();
    for _ in 0..160 {
        let (before, day) = (short.asked(), days.of(books.clock.now()));
        scheduler.pass().await.unwrap();
        asked.extend((short.asked() > before).then(|| (day - first).get_days()));
        books.clock.advance(DAY / 4);
    }
    assert_eq!(asked, [0, 1, 3, 7, 14], "once a day at most, and five times in all");
    assert!(matches!(books.states(rider).await[..], [Some(State::Debt { again_at: None, .. })]));
    assert_eq!(books.balance(Account::RiderReceivable(rider)).await, FARE);
    // What the rider asks for himself is his own payment.
    assert_eq!(books.store.ask_for_debts(rider, books.clock.now()).await.unwrap(), 1);
    scheduler.pass().await.unwrap();
    assert_eq!(short.asked(), 6);
}

fn per_day(books: &mut Books) -> Scheduler {
    let days = TravelDays::new("UTC", "04:30").unwrap();
    let grace = Duration::from_secs(7200);
    books.policy.billing =
        BillingPolicy { bills: Bills::PerDay, days, grace, first_ride_limit_minor: Some(3 * FARE), prepaid: None };
    books.scheduler(Arc::new(Unconfigured))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_travel_day_is_one_charge_also_with_two_replicas() {
    let operator = Operator::new();
    let mut books = Books::open(operator.folder.path()).await;
    let (one, two) = (per_day(&mut books), per_day(&mut books));
    let riders =
        [books.rider(Some(Instrument::Wallet), 9 * FARE).await, books.rider(Some(Instrument::Wallet), 0).await];
    for rider in riders {
        for _ in 0..2 {
            books.ride(rider).await;
        }
    }
    assert_eq!(one.pass().await.unwrap().opened, 0, "the day is not over");
    books.clock.advance(DAY * 2);
    let (first, second) = tokio::join!(one.pass(), two.pass());
    assert!(first.unwrap().opened + second.unwrap().opened >= 2);
    one.pass().await.unwrap();
    for (rider, state) in riders.into_iter().zip(["captured", "debt"]) {
        let trips = books.store.trips(rider).await.unwrap();
        let charges: BTreeSet<_> = trips.iter().map(|trip| trip.charge().unwrap().id()).collect();
        let charge = trips[0].charge().unwrap();
        assert_eq!((charges.len(), charge.amount(), charge.state().name()), (1, cny(2 * FARE), state));
    }
    assert_eq!(books.balance(Account::Wallet(riders[0])).await, -7 * FARE);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_never_paid_is_billed_at_his_limit_and_who_has_is_not() {
    let operator = Operator::new();
    let mut books = Books::open(operator.folder.path()).await;
    let scheduler = per_day(&mut books);
    let rider = books.rider(Some(Instrument::Wallet), 100 * FARE).await;
    for opened in [0, 0, 1, 0, 0, 0, 0] {
        books.ride(rider).await;
        assert_eq!(scheduler.pass().await.unwrap().opened, opened);
    }
    assert_eq!(books.balance(Account::Wallet(rider)).await, -97 * FARE, "three rides in one charge");
}
