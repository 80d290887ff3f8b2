//! Rides that are paid in advance, from the tap at the entry to the captured fare: held and captured in the acquirer's own
//! book, and in the wallet.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use facegate_cloud_sync::charging::Scheduler;
use facegate_cloud_sync::charging::acquirer::sandbox::SandboxAcquirer;
use facegate_cloud_sync::charging::acquirer::{Acquirer, Trouble, Unconfigured};
use facegate_cloud_sync::journeys::{SettlingPolicy, settle_all};
use facegate_domain::Clock;
use facegate_domain::billing::{Bills, Prepayment};
use facegate_domain::charge::{Answer, Call, Change, ChargeId, Found, IdempotencyKey, Instrument};
use facegate_domain::deny::DenyReason;
use facegate_domain::ids::{GateId, RecordId, RiderId, StationId};
use facegate_domain::journey::PairingPolicy;
use facegate_domain::ledger::Account;
use facegate_domain::money::Money;
use facegate_domain::score::{Similarity, Tier};
use facegate_domain::tap::{
    Authorisation, Direction, Evidence, GateRecord, GateStamp, Passage, PassageOutcome, RecordBody,
};
use facegate_loadtest::acquirer::{ByToken, Status};

use crate::crash::{self, Cut};
use crate::harness::{Books, Operator, Sandbox, card, client, tariff};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// Books of an operator who has rides paid in advance, and bills the rest by the day.
async fn books(operator: &Operator, at_most_minor: Option<i64>) -> Books {
    let mut books = Books::open(operator.folder.path()).await;
    books.policy.billing.bills = Bills::PerDay;
    books.policy.billing.prepaid = Some(Prepayment { hold_for: DAY * 3, at_most_minor });
    books.store.want_holds(true);
    books
}

/// Through a gate of his own, now. Gives the name of the authorisation's record.
async fn passes(books: &Books, rider: RiderId, direction: Direction, station: &str) -> RecordId {
    let gate = GateId::new(format!("{}-{}", direction.name(), books.clock.now().unix_ms())).unwrap();
    let wall = books.clock.now();
    let record = |sequence, body| GateRecord {
        id: RecordId { gate: gate.clone(), epoch: u32::from(rider.as_bytes()[0]) + 1, sequence },
        station: StationId::new(station).unwrap(),
        stamp: GateStamp { wall, monotonic_ms: sequence },
        body,
    };
    let evidence = Evidence::Face { similarity: Similarity::from_cosine(0.8), tier: Tier::City, risk: 1e-8, frames: 3 };
    let granted = record(0, RecordBody::Authorisation(Authorisation::new(rider, direction, evidence)));
    let seen = record(1, RecordBody::Passage(Passage::new(0, PassageOutcome::Passed)));
    let id = granted.id.clone();
    books.store.record_taps(vec![granted, seen], wall).await.unwrap();
    id
}

async fn settle(books: &Books) {
    let policy = SettlingPolicy {
        pairing: PairingPolicy::default(),
        settle_after: MINUTE,
        give_up_after: DAY,
        ride_expected_max: DAY,
        wait_for_stations: DAY,
        billing: books.policy.billing.clone(),
    };
    settle_all(&*books.store, &tariff(), books.clock.now(), &policy).await.unwrap();
}

/// From north to south (3 yuan) or west (4 yuan), in half an hour, settled.
async fn ride(books: &Books, scheduler: &Scheduler, rider: RiderId, to: &str) -> RecordId {
    let entry = passes(books, rider, Direction::Entry, "north").await;
    look(books, scheduler).await;
    books.clock.advance(MINUTE * 30);
    passes(books, rider, Direction::Exit, to).await;
    books.clock.advance(MINUTE * 5);
    settle(books).await;
    entry
}

/// Passes, until nothing moves any more at this time of day.
async fn look(books: &Books, scheduler: &Scheduler) {
    for _ in 0..4 {
        scheduler.pass().await.unwrap();
        books.clock.advance(Duration::from_secs(5));
    }
}

async fn state(books: &Books, entry: &RecordId) -> &'static str {
    books.store.charge(ChargeId::of_hold(entry)).await.unwrap().map_or("none", |hold| hold.state().name())
}

fn kept(counts: ByToken) -> (u64, u64, i64) {
    (counts.authorisations, counts.captures, counts.captured_minor)
}

async fn denied_for(books: &Books, rider: RiderId) -> BTreeSet<DenyReason> {
    books.store.denied_for(rider).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ride_is_captured_of_what_was_held_at_its_entry() {
    let operator = Operator::new();
    let sandbox = Sandbox::open(&operator, None).await;
    let books = books(&operator, None).await;
    let scheduler = books.scheduler(client(&operator, sandbox.address));
    let rider = books.rider_with_token("tok_ok_1").await;
    let entry = passes(&books, rider, Direction::Entry, "north").await;
    look(&books, &scheduler).await;
    let held = &sandbox.statistics().await.charges[0];
    assert_eq!((held.amount_minor, held.status), (900, Status::Authorised), "the maximum fare is held");
    assert_eq!(books.balance(Account::OperatorRevenue).await, 0, "and nothing is owed");

    books.clock.advance(MINUTE * 30);
    passes(&books, rider, Direction::Exit, "west").await;
    books.clock.advance(MINUTE * 5);
    settle(&books).await;
    look(&books, &scheduler).await;
    assert_eq!(state(&books, &entry).await, "captured");
    assert_eq!(kept(sandbox.of_token("tok_ok_1").await), (1, 1, 400), "one authorisation, and the fare of it");
    assert_eq!(books.balance(Account::AcquirerReceivable).await, 400);
    assert_eq!(books.balance(Account::RiderReceivable(rider)).await, 0);
    let trips = books.store.trips(rider).await.unwrap();
    assert_eq!(trips[0].charge().map(facegate_domain::charge::Charge::id), Some(ChargeId::of_hold(&entry)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_holds_the_maximum_and_gets_the_rest_back() {
    let operator = Operator::new();
    let books = books(&operator, None).await;
    let scheduler = books.scheduler(Arc::new(Unconfigured));
    let rider = books.rider(Some(Instrument::Wallet), 1000).await;
    passes(&books, rider, Direction::Entry, "north").await;
    scheduler.pass().await.unwrap();
    let wallet =
        async || (-books.balance(Account::Wallet(rider)).await, -books.balance(Account::WalletHeld(rider)).await);
    assert_eq!(wallet().await, (100, 900));
    books.clock.advance(MINUTE * 30);
    passes(&books, rider, Direction::Exit, "south").await;
    books.clock.advance(MINUTE * 5);
    settle(&books).await;
    scheduler.pass().await.unwrap();
    assert_eq!(wallet().await, (700, 0));

    // The next one finds too little, is charged for all the same, and stands in the way of the one after it.
    passes(&books, rider, Direction::Entry, "north").await;
    look(&books, &scheduler).await;
    assert_eq!(denied_for(&books, rider).await, BTreeSet::from([DenyReason::Instrument]));
    books.clock.advance(MINUTE * 30);
    passes(&books, rider, Direction::Exit, "south").await;
    books.clock.advance(MINUTE * 5);
    settle(&books).await;
    look(&books, &scheduler).await;
    assert_eq!(wallet().await, (400, 0), "the day is not over, and the ride is paid");
    assert!(denied_for(&books, rider).await.is_empty(), "he has paid");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_denied_a_hold_may_not_ride_again_until_he_can_pay() {
    let operator = Operator::new();
    let sandbox = Sandbox::open(&operator, None).await;
    let books = books(&operator, None).await;
    let scheduler = books.scheduler(client(&operator, sandbox.address));
    let rider = books.rider_with_token("tok_declined_1").await;
    let entry = ride(&books, &scheduler, rider, "south").await;
    assert_eq!(state(&books, &entry).await, "refused");
    assert_eq!(denied_for(&books, rider).await, BTreeSet::from([DenyReason::Instrument]));
    look(&books, &scheduler).await;
    assert_eq!(books.store.debts(rider).await.unwrap().len(), 1, "the ride is billed at once, and owed");
    let change = Some(Change::Only(card("tok_ok_2").into()));
    books.store.change_instruments(rider, change, Vec::new(), books.clock.now()).await.unwrap();
    look(&books, &scheduler).await;
    assert!(denied_for(&books, rider).await.is_empty());
    assert_eq!(sandbox.of_token("tok_ok_2").await.captured_minor, 300);
    let entry = ride(&books, &scheduler, rider, "west").await;
    look(&books, &scheduler).await;
    assert_eq!(state(&books, &entry).await, "captured");
    assert_eq!(sandbox.of_token("tok_ok_2").await.captured_minor, 700);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_ride_costs_beyond_its_hold_is_on_the_next_bill() {
    let operator = Operator::new();
    let sandbox = Sandbox::open(&operator, None).await;
    let books = books(&operator, Some(250)).await;
    let scheduler = books.scheduler(client(&operator, sandbox.address));
    let rider = books.rider_with_token("tok_ok_1").await;
    ride(&books, &scheduler, rider, "west").await;
    look(&books, &scheduler).await;
    assert_eq!(kept(sandbox.of_token("tok_ok_1").await), (1, 1, 250));
    let items = books.store.uncharged_items_of(rider).await.unwrap();
    assert_eq!(items.iter().map(|item| item.amount().minor()).collect::<Vec<_>>(), [150]);
    books.clock.advance(DAY * 2);
    look(&books, &scheduler).await;
    assert_eq!(kept(sandbox.of_token("tok_ok_1").await), (2, 2, 400), "once each");
    assert_eq!(books.balance(Account::RiderReceivable(rider)).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_without_an_exit_is_captured_as_held_and_what_comes_of_nothing_goes_back() {
    let operator = Operator::new();
    let sandbox = Sandbox::open(&operator, None).await;
    let books = books(&operator, None).await;
    let scheduler = books.scheduler(client(&operator, sandbox.address));
    let lost = books.rider_with_token("tok_ok_lost").await;
    let entry = passes(&books, lost, Direction::Entry, "north").await;
    // One who shows himself twice at the same gate makes one ride.
    let twice = books.rider_with_token("tok_ok_twice").await;
    let first = passes(&books, twice, Direction::Entry, "north").await;
    books.clock.advance(Duration::from_secs(3));
    let second = GateRecordAgain { books: &books, of: first.clone() }.passes(twice).await;
    look(&books, &scheduler).await;
    assert_eq!(sandbox.of_token("tok_ok_twice").await.authorisations, 2);
    books.clock.advance(MINUTE * 30);
    passes(&books, twice, Direction::Exit, "south").await;
    books.clock.advance(MINUTE * 5);
    settle(&books).await;
    look(&books, &scheduler).await;
    assert_eq!((state(&books, &first).await, state(&books, &second).await), ("captured", "voided"));

    books.clock.advance(DAY);
    settle(&books).await;
    look(&books, &scheduler).await;
    assert_eq!(state(&books, &entry).await, "captured");
    assert_eq!(sandbox.of_token("tok_ok_lost").await.captured_minor, 900, "the maximum fare");
}

/// A second passage at the gate of a first one.
struct GateRecordAgain<'b> {
    books: &'b Books,
    of: RecordId,
}

impl GateRecordAgain<'_> {
    async fn passes(&self, rider: RiderId) -> RecordId {
        let wall = self.books.clock.now();
        let record = |sequence, body| GateRecord {
            id: RecordId { sequence, ..self.of.clone() },
            station: StationId::new("north").unwrap(),
            stamp: GateStamp { wall, monotonic_ms: sequence },
            body,
        };
        let direction = Direction::Entry;
        let evidence = Evidence::Code { nonce: [9; 8], checked_online: true, face: None };
        let granted = record(2, RecordBody::Authorisation(Authorisation::new(rider, direction, evidence)));
        let seen = record(3, RecordBody::Passage(Passage::new(2, PassageOutcome::Passed)));
        let id = granted.id.clone();
        self.books.store.record_taps(vec![granted, seen], wall).await.unwrap();
        id
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_has_ended_is_released_and_its_ride_billed_like_any_other() {
    let operator = Operator::new();
    let sandbox = Sandbox::open(&operator, None).await;
    let books = books(&operator, None).await;
    let scheduler = books.scheduler(client(&operator, sandbox.address));
    let rider = books.rider_with_token("tok_ok_1").await;
    let entry = passes(&books, rider, Direction::Entry, "north").await;
    look(&books, &scheduler).await;
    books.clock.advance(DAY * 3);
    look(&books, &scheduler).await;
    assert_eq!(state(&books, &entry).await, "voided");
    settle(&books).await;
    books.clock.advance(DAY);
    look(&books, &scheduler).await;
    assert_eq!(kept(sandbox.of_token("tok_ok_1").await), (2, 1, 900), "by a charge of its own");

    // An entry that comes so late that its hold would have ended already opens none.
    let late = passes(&books, rider, Direction::Entry, "north").await;
    books.clock.advance(DAY * 3 + HOUR);
    look(&books, &scheduler).await;
    assert_eq!(state(&books, &late).await, "none");
    assert!(books.store.wanted_holds(10).await.unwrap().is_empty());
}

/// A bank that hears of an order with the day's file.
#[derive(Debug)]
struct Bank;

#[async_trait]
impl Acquirer for Bank {
    fn name(&self) -> &'static str {
        "bank"
    }

    async fn make(&self, _: &Call) -> Result<Answer, Trouble> {
        panic!("nothing is asked of it before the ride")
    }

    async fn find(&self, _: &IdempotencyKey, _: Money) -> Result<Found, Trouble> {
        Ok(Found::Nothing)
    }

    fn can_hold(&self) -> bool {
        false
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_that_cannot_hold_is_charged_afterwards() {
    let operator = Operator::new();
    let books = books(&operator, None).await;
    let scheduler = books.scheduler(Arc::new(Bank));
    let rider = books.rider_with_token("tok_ok_1").await;
    let entry = ride(&books, &scheduler, rider, "south").await;
    look(&books, &scheduler).await;
    assert_eq!(state(&books, &entry).await, "none");
    assert_eq!(books.store.uncharged_items_of(rider).await.unwrap().len(), 1, "it waits for the end of the day");
    assert!(denied_for(&books, rider).await.is_empty());
}

/// Crashes at the authorisation, before the bill is put on the hold, and at the capture, each before and after the
/// acquirer has done its work.
#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_that_crashes_between_any_two_steps_of_a_hold_captures_the_fare_once() {
    let operator = Operator::new();
    let sandbox = Sandbox::open(&operator, None).await;
    let acquirer = client(&operator, sandbox.address);
    let mut books = books(&operator, None).await;
    let mut number = 0;
    for works in [[false, false], [false, true], [true, false], [true, true]] {
        number += 1;
        let token = format!("tok_ok_{number}");
        let rider = books.rider_with_token(&token).await;
        let entry = passes(&books, rider, Direction::Entry, "north").await;
        books = crash(books, &operator, &acquirer, works[0]).await;
        if number % 2 == 0 {
            look(&books, &books.scheduler(Arc::clone(&acquirer) as Arc<dyn Acquirer>)).await;
        }
        books.clock.advance(MINUTE * 30);
        passes(&books, rider, Direction::Exit, "west").await;
        books.clock.advance(MINUTE * 5);
        settle(&books).await;
        books = crash(books, &operator, &acquirer, works[1]).await;
        for _ in 0..2 {
            look(&books, &books.scheduler(Arc::clone(&acquirer) as Arc<dyn Acquirer>)).await;
            books.clock.advance(MINUTE * 5);
        }
        assert_eq!(state(&books, &entry).await, "captured", "{works:?}");
        assert_eq!(kept(sandbox.of_token(&token).await), (1, 1, 400), "{works:?}");
    }
    assert_eq!(books.balance(Account::AcquirerReceivable).await, number * 400);
    let open = sandbox.statistics().await.charges.iter().filter(|charge| charge.status == Status::Authorised).count();
    assert_eq!(open, 0, "nothing is held for nobody");
}

/// A pass that is dropped in the middle of its first call; the store is opened anew.
async fn crash(books: Books, operator: &Operator, acquirer: &Arc<SandboxAcquirer>, works: bool) -> Books {
    crash::crash(&books, acquirer, 0, if works { Cut::After } else { Cut::Before }).await;
    let books = books.reopen(operator.folder.path()).await;
    books.store.want_holds(true);
    books.clock.advance(MINUTE * 2);
    books
}
