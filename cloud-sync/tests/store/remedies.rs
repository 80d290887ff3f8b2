//! Money given back, and disputes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use facegate_cloud_sync::store::{Chargeback, Store, StoreError};
use facegate_domain::charge::{
    AuthorisationId, Bound, Call, Change, Charge, ChargeId, Circumstances, Event, Found, IdempotencyKey, Instrument,
    Instruments, RetryPolicy, RetrySchedule, State, Step,
};
use facegate_domain::deny::DenyReason;
use facegate_domain::dispute::{DisputeError, DisputeState, LossPolicy};
use facegate_domain::four_eyes::{ApprovalError, ApprovalState};
use facegate_domain::ids::RiderId;
use facegate_domain::ledger::Account;
use facegate_domain::money::Money;
use facegate_domain::remedy::{
    Ground, Measure, RemedyError, RemedyEvent, RemedyPolicy, RemedyRequest, RemedyState, RemedyStep,
};
use facegate_domain::reserve::{FundingError, FundingId, FundingRequest};
use facegate_domain::travel_day::TravelDays;

use crate::charges::{card, opened, top_up};
use crate::places::Place;
use crate::world::{after, fares, rider, settled_ride};

const POLICY: RemedyPolicy = RemedyPolicy { four_eyes_above_minor: 300 };

fn money(minor: i64) -> Money {
    Money::from_minor(minor, fares().currency())
}

fn request(order: &str, rider: RiderId, measure: Measure, minor: i64) -> RemedyRequest {
    RemedyRequest {
        order: order.into(),
        rider,
        measure,
        amount: money(minor),
        ground: Ground::Price,
        reason: "the gate was broken".into(),
        by: "operator/a".into(),
    }
}

async fn balance(store: &dyn Store, account: Account) -> i64 {
    store.balance(account, fares().currency()).await.unwrap().minor()
}

/// A charge of 400 by card that is captured, or declined.
async fn charged(store: &dyn Store, captured: bool) -> Charge {
    let rider = rider(store).await;
    let journey = settled_ride(store, rider).await;
    let mut charge = store.open_charge(opened(&[&journey], card(), 800)).await.unwrap();
    let authorisation = AuthorisationId::new("auth-1");
    let declined = facegate_domain::charge::Decline::hard("stolen");
    let events = if captured {
        vec![Event::AuthoriseBegun, Event::Authorised { authorisation }, Event::CaptureBegun, Event::Captured]
    } else {
        vec![Event::AuthoriseBegun, Event::Declined(declined), Event::NoneLeft { again_at: None }]
    };
    for event in events {
        charge = store.advance_charge(charge.id(), 1, event, after(810), &RetryPolicy::default()).await.unwrap().charge;
    }
    charge
}

pub async fn a_refund_goes_its_way_step_by_step(place: &Place) {
    let store = place.open().await;
    store.keep_notices(true);
    let charge = charged(&*store, true).await;
    let asked = request("a", charge.rider(), Measure::Refund { charge: charge.id() }, 150);
    let remedy = store.ask_remedy(asked.clone(), &POLICY, after(900)).await.unwrap();
    assert_eq!(store.ask_remedy(asked.clone(), &POLICY, after(901)).await.unwrap(), remedy, "asked twice is once");
    let other = RemedyRequest { amount: money(151), ..asked };
    let refused = store.ask_remedy(other, &POLICY, after(902)).await;
    assert!(matches!(refused, Err(StoreError::Remedy(RemedyError::OtherWords(_)))), "{refused:?}");
    assert_eq!(store.due_remedies(after(899), 10).await.unwrap(), []);
    assert_eq!(store.due_remedies(after(900), 10).await.unwrap(), std::slice::from_ref(&remedy));
    let entries = store.entries(0, 100).await.unwrap().len();
    let step = async |event| store.advance_remedy(remedy.id(), event, after(910), &RetryPolicy::default()).await;
    let found = Found::Captured { authorisation: AuthorisationId::new("auth-1") };
    let located = step(RemedyEvent::Charge(found)).await.unwrap().remedy;
    assert_eq!(located.next_step(), RemedyStep::Store(RemedyEvent::Begun));
    let begun = step(RemedyEvent::Begun).await.unwrap();
    assert!(matches!(begun.call, Some(Call::Refund { amount, .. }) if amount == money(150)));
    assert!(step(RemedyEvent::Begun).await.is_err(), "it is queried, not called again");
    assert_eq!(store.entries(0, 100).await.unwrap().len(), entries, "nothing is booked before it is certain");
    let done = step(RemedyEvent::Refunded).await.unwrap().remedy;
    assert_eq!((done.state(), store.remedy(done.id()).await.unwrap()), (&RemedyState::Done, Some(done.clone())));
    assert_eq!(store.remedies_of(charge.rider()).await.unwrap(), [done]);
    assert_eq!(store.due_remedies(after(99_999), 10).await.unwrap(), []);
    assert_eq!(balance(&*store, Account::OperatorRevenue).await, -250);
    assert_eq!(balance(&*store, Account::AcquirerReceivable).await, 250);
    assert!(store.is_balanced().await.unwrap());
    assert_eq!(store.notices_of(charge.rider()).await.unwrap().written, 3, "priced, charged, refunded");
}

pub async fn no_more_is_given_back_than_was_captured(place: &Place) {
    let store = place.open().await;
    let charge = charged(&*store, true).await;
    let measure = Measure::Refund { charge: charge.id() };
    let entries = store.entries(0, 100).await.unwrap();
    let ask = async |order: &str, minor| {
        store.ask_remedy(request(order, charge.rider(), measure, minor), &POLICY, after(900)).await
    };
    let refused = ask("a", 401).await;
    assert!(matches!(refused, Err(StoreError::Remedy(RemedyError::TooMuch { .. }))), "{refused:?}");
    assert_eq!(store.remedies_of(charge.rider()).await.unwrap(), []);
    ask("b", 250).await.unwrap();
    // At once, of which only one finds room.
    let mut asking = tokio::task::JoinSet::new();
    for order in ["c", "d", "e", "f"] {
        let (store, rider) = (Arc::clone(&store), charge.rider());
        asking.spawn(async move {
            store.ask_remedy(request(order, rider, measure, 100), &POLICY, after(900)).await.is_ok()
        });
    }
    let granted = asking.join_all().await.into_iter().filter(|granted| *granted).count();
    assert_eq!(granted, 1);
    let chargeback = Chargeback { charge: charge.id(), reference: "cb-1".into(), amount: money(50) };
    store.open_dispute(&chargeback, after(950)).await.unwrap();
    let refused = ask("g", 1).await;
    assert!(matches!(refused, Err(StoreError::Remedy(RemedyError::TooMuch { .. }))), "in dispute: {refused:?}");
    assert_eq!(store.entries(0, 100).await.unwrap().len(), entries.len() + 1, "the dispute's alone");
    let nobody = request("h", RiderId::random(), Measure::Credit, 5);
    assert!(matches!(store.ask_remedy(nobody, &POLICY, after(900)).await, Err(StoreError::UnknownRider(_))));
    let nothing = request("i", charge.rider(), Measure::Refund { charge: ChargeId::of(&[]) }, 5);
    assert!(matches!(store.ask_remedy(nothing, &POLICY, after(900)).await, Err(StoreError::UnknownCharge(_))));
}

pub async fn another_person_decides_above_the_limit_and_the_log_says_who(place: &Place) {
    let store = place.open().await;
    let charge = charged(&*store, true).await;
    let asked = request("a", charge.rider(), Measure::Refund { charge: charge.id() }, 301);
    let remedy = store.ask_remedy(asked, &POLICY, after(900)).await.unwrap();
    assert!(remedy.awaits_approval() && store.due_remedies(after(9999), 10).await.unwrap().is_empty());
    assert_eq!(store.awaiting_remedies(10).await.unwrap(), std::slice::from_ref(&remedy));
    let same = store.decide_remedy(remedy.id(), true, "operator/a", after(910)).await;
    assert!(matches!(same, Err(StoreError::Remedy(RemedyError::SamePerson { .. }))), "{same:?}");
    let approved = store.decide_remedy(remedy.id(), true, "operator/b", after(920)).await.unwrap();
    assert_eq!((approved.state(), approved.decided_by()), (&RemedyState::Due, Some("operator/b")));
    assert!(store.decide_remedy(remedy.id(), false, "operator/b", after(930)).await.is_err());
    assert!(store.awaiting_remedies(10).await.unwrap().is_empty());
    assert_eq!(store.due_remedies(after(920), 10).await.unwrap(), [approved]);
    let lines = store.audit_entries(0, 10).await.unwrap();
    let told: Vec<_> = lines.iter().map(|line| (line.actor.as_str(), line.action.as_str())).collect();
    assert_eq!(told, [("operator/a", "remedy.ask"), ("operator/b", "remedy.approve")]);
    assert_eq!(lines[0].subject, remedy.id().to_string());
    assert_eq!(store.verify_audit().await.unwrap(), Ok(2));
}

pub async fn what_needs_no_acquirer_is_done_at_once(place: &Place) {
    let store = place.open().await;
    let paid = rider(&*store).await;
    top_up(&*store, paid, 700, "first").await;
    let journey = settled_ride(&*store, paid).await;
    let charge = store.open_charge(opened(&[&journey], Instrument::Wallet, 800)).await.unwrap().id();
    let key = IdempotencyKey::of(charge);
    assert!(store.hold_in_wallet(&key, paid, money(400), None, after(801)).await.unwrap());
    let authorisation = AuthorisationId::new("held");
    for event in [Event::AuthoriseBegun, Event::Authorised { authorisation }, Event::CaptureBegun, Event::Captured] {
        let _ = store.advance_charge(charge, 1, event, after(801), &RetryPolicy::default()).await.unwrap();
    }
    let proven = RemedyRequest { ground: Ground::WrongCharge, ..request("a", paid, Measure::Refund { charge }, 200) };
    let remedy = store.ask_remedy(proven, &POLICY, after(900)).await.unwrap();
    assert_eq!(remedy.state(), &RemedyState::Done);
    assert_eq!(
        (balance(&*store, Account::Wallet(paid)).await, balance(&*store, Account::RiskReserve).await),
        (-500, 200)
    );
    let owes = charged(&*store, false).await;
    let waived = |minor| request("b", owes.rider(), Measure::Waiver { charge: owes.id() }, minor);
    let part = store.ask_remedy(waived(399), &POLICY, after(900)).await;
    assert!(matches!(part, Err(StoreError::Remedy(RemedyError::NotOwed { .. }))), "{part:?}");
    let remedy = store.ask_remedy(waived(400), &POLICY, after(900)).await.unwrap();
    store.decide_remedy(remedy.id(), true, "operator/b", after(901)).await.unwrap();
    assert_eq!(balance(&*store, Account::RiderReceivable(owes.rider())).await, 0);
    let again = RemedyRequest { order: "c".into(), ..waived(400) };
    assert!(store.ask_remedy(again, &POLICY, after(902)).await.is_err(), "waived already");
    let goodwill = RemedyRequest { ground: Ground::Goodwill, ..request("d", owes.rider(), Measure::Credit, 100) };
    store.ask_remedy(goodwill, &POLICY, after(903)).await.unwrap();
    assert_eq!(balance(&*store, Account::RiderReceivable(owes.rider())).await, -100);
    assert_eq!(balance(&*store, Account::Goodwill).await, 100);
    assert!(store.is_balanced().await.unwrap());
}

pub async fn a_dispute_is_opened_once_and_ends_once(place: &Place) {
    let store = place.open().await;
    let charge = charged(&*store, true).await;
    let chargeback = |reference: &str, minor| {
        let (charge, reference) = (charge.id(), reference.to_owned());
        Chargeback { charge, reference, amount: money(minor) }
    };
    let refused = store.open_dispute(&chargeback("cb-0", 401), after(900)).await;
    assert!(matches!(refused, Err(StoreError::Dispute(DisputeError::Amount { .. }))), "{refused:?}");
    let unknown = Chargeback { charge: ChargeId::of(&[]), ..chargeback("cb-0", 1) };
    assert!(matches!(store.open_dispute(&unknown, after(900)).await, Err(StoreError::UnknownCharge(_))));
    let won = store.open_dispute(&chargeback("cb-1", 300), after(900)).await.unwrap();
    assert_eq!(store.open_dispute(&chargeback("cb-1", 300), after(950)).await.unwrap(), won, "heard twice");
    assert!(store.open_dispute(&chargeback("cb-1", 299), after(950)).await.is_err());
    let lost = store.open_dispute(&chargeback("cb-2", 100), after(901)).await.unwrap();
    assert_eq!(store.open_disputes(10).await.unwrap(), [won.clone(), lost.clone()]);
    assert_eq!(balance(&*store, Account::Disputed).await, 400);
    let became = LossPolicy::Debt;
    for _ in 0..2 {
        store.close_dispute(won.id, DisputeState::Won, after(1000)).await.unwrap();
        store.close_dispute(lost.id, DisputeState::Lost { became }, after(1000)).await.unwrap();
    }
    assert!(store.close_dispute(won.id, DisputeState::Lost { became }, after(1001)).await.is_err());
    assert!(store.open_disputes(10).await.unwrap().is_empty());
    assert_eq!(store.disputes_of(charge.rider()).await.unwrap().len(), 2);
    assert_eq!(balance(&*store, Account::Disputed).await, 0);
    assert_eq!(balance(&*store, Account::AcquirerReceivable).await, 300);
    assert_eq!(balance(&*store, Account::RiderReceivable(charge.rider())).await, 100);
    assert!(store.is_balanced().await.unwrap());
}

pub async fn a_lost_dispute_is_owed_again_and_what_pays_it_lets_its_rider_in(place: &Place) {
    let store = place.open().await;
    let charge = charged(&*store, true).await;
    let taken_back = Chargeback { charge: charge.id(), reference: "cb-1".into(), amount: money(300) };
    let dispute = store.open_dispute(&taken_back, after(900)).await.unwrap();
    let lost = DisputeState::Lost { became: LossPolicy::Debt };
    store.close_dispute(dispute.id, lost, after(1000)).await.unwrap();
    store.close_dispute(dispute.id, lost, after(1001)).await.unwrap();
    let due = store.due_charges(after(1000), 10).await.unwrap();
    assert_eq!((due.len(), due[0].id(), due[0].amount()), (1, ChargeId::of_dispute(dispute.id), money(300)));
    // The instrument that it was taken back to is not asked by us.
    let instruments: Instruments = [Bound::from(card())].into_iter().collect();
    let (used, schedule) = (BTreeMap::new(), RetrySchedule::default());
    let days = TravelDays::new("UTC", "04:30").unwrap();
    let at = |now| Circumstances { instruments: &instruments, used: &used, schedule: &schedule, days: &days, now };
    let none = due[0].choose(&at(after(1000)));
    assert_eq!(none, Event::NoneLeft { again_at: None });
    let step = async |attempt, event| {
        store.advance_charge(due[0].id(), attempt, event, after(1100), &RetryPolicy::default()).await.unwrap().charge
    };
    let debt = step(1, none).await;
    let rider = charge.rider();
    assert_eq!(store.denied_for(rider).await.unwrap(), BTreeSet::from([DenyReason::Debt]));
    assert_eq!(store.debts(rider).await.unwrap(), [debt]);
    assert_eq!(balance(&*store, Account::RiderReceivable(rider)).await, 300);
    // He offers it himself, and it pays.
    assert_eq!(store.ask_for_debts(rider, after(1200)).await.unwrap(), 1);
    let asked = store.charge(due[0].id()).await.unwrap().unwrap();
    let chosen = asked.choose(&at(after(1200)));
    assert!(matches!(chosen, Event::Chosen(_)), "{chosen:?}");
    let authorisation = AuthorisationId::new("auth-2");
    step(1, chosen).await;
    for event in [Event::AuthoriseBegun, Event::Authorised { authorisation }, Event::CaptureBegun, Event::Captured] {
        step(2, event).await;
    }
    assert!(store.denied_for(rider).await.unwrap().is_empty() && store.debts(rider).await.unwrap().is_empty());
    assert_eq!(balance(&*store, Account::RiderReceivable(rider)).await, 0);
    assert_eq!(balance(&*store, Account::AcquirerReceivable).await, 400);
    assert!(store.is_balanced().await.unwrap());
}

pub async fn a_waived_debt_is_never_tried_again(place: &Place) {
    let store = place.open().await;
    let owes = charged(&*store, false).await;
    let rider = owes.rider();
    assert_eq!(store.denied_for(rider).await.unwrap(), BTreeSet::from([DenyReason::Debt]));
    // It is about to be tried when it is waived.
    store.ask_for_debts(rider, after(900)).await.unwrap();
    let waived = request("a", rider, Measure::Waiver { charge: owes.id() }, 400);
    let remedy = store.ask_remedy(waived, &POLICY, after(900)).await.unwrap();
    store.decide_remedy(remedy.id(), true, "operator/b", after(901)).await.unwrap();
    assert!(store.denied_for(rider).await.unwrap().is_empty());
    assert!(store.due_charges(after(99_999_999), 10).await.unwrap().is_empty());
    assert_eq!(store.ask_for_debts(rider, after(902)).await.unwrap(), 0, "nothing is owed");
    store
        .change_instruments(rider, Some(Change::Add(Instrument::Wallet.into())), Vec::new(), after(903))
        .await
        .unwrap();
    let stored = store.charge(owes.id()).await.unwrap().unwrap();
    assert_eq!((stored.state(), stored.next_step()), (&State::Waived, Step::Nothing));
    assert!(store.due_charges(after(99_999_999), 10).await.unwrap().is_empty());
    let chosen = Event::Chosen(card().into());
    let tried = store.advance_charge(owes.id(), 1, chosen, after(904), &RetryPolicy::default()).await;
    assert!(tried.is_err(), "{tried:?}");
}

pub async fn an_old_credit_goes_back_to_the_last_charges_as_far_as_they_go(place: &Place) {
    let store = place.open().await;
    let charge = charged(&*store, true).await;
    let (rider, currency) = (charge.rider(), fares().currency());
    let refund = request("a", rider, Measure::Refund { charge: charge.id() }, 150);
    store.ask_remedy(refund, &POLICY, after(900)).await.unwrap();
    let credit = RemedyRequest { ground: Ground::Goodwill, ..request("b", rider, Measure::Credit, 290) };
    store.ask_remedy(credit, &POLICY, after(1000)).await.unwrap();
    assert!(store.old_credits(after(999), None, 10).await.unwrap().is_empty(), "it is not old");
    assert!(store.pay_credit_out(rider, currency, after(999), after(2000)).await.unwrap().is_empty());
    let old = store.old_credits(after(1000), None, 10).await.unwrap();
    assert_eq!(old.iter().map(|(of, credit)| (*of, credit.amount)).collect::<Vec<_>>(), [(rider, money(290))]);
    assert!(store.old_credits(after(1000), Some((rider, currency)), 10).await.unwrap().is_empty());

    let paid = store.pay_credit_out(rider, currency, after(1000), after(2000)).await.unwrap();
    assert_eq!(
        (paid.len(), paid[0].amount(), paid[0].measure()),
        (1, money(250), Measure::Payout { charge: charge.id() })
    );
    let left = async || store.credit(rider, currency).await.unwrap().map_or(0, |credit| credit.amount.minor());
    assert_eq!(left().await, 40, "not more than was captured and not given back; the rest stays");
    assert!(store.pay_credit_out(rider, currency, after(1000), after(2001)).await.unwrap().is_empty());
    assert_eq!(store.old_credits(after(1000), None, 10).await.unwrap().len(), 1, "finance reads of it");
    let step = async |event| store.advance_remedy(paid[0].id(), event, after(2100), &RetryPolicy::default()).await;
    let found = Found::Captured { authorisation: AuthorisationId::new("auth-1") };
    for event in [RemedyEvent::Charge(found), RemedyEvent::Begun] {
        let _ = step(event).await.unwrap();
    }
    let owed = async || balance(&*store, Account::RiderReceivable(rider)).await;
    assert_eq!(owed().await, -290, "it is owed until the acquirer has done it");
    let _ = step(RemedyEvent::Refunded).await.unwrap();
    assert_eq!(owed().await, -40);

    // One that the acquirer will not do is a credit again, and the same charge is not asked for the same one.
    let other = charged(&*store, true).await;
    let credit = RemedyRequest { ground: Ground::Goodwill, ..request("b", other.rider(), Measure::Credit, 100) };
    store.ask_remedy(credit, &POLICY, after(1000)).await.unwrap();
    let failed = store.pay_credit_out(other.rider(), currency, after(1000), after(2000)).await.unwrap().remove(0);
    assert_eq!(store.credit(other.rider(), currency).await.unwrap(), None);
    let found = Found::Captured { authorisation: AuthorisationId::new("auth-1") };
    for event in [RemedyEvent::Charge(found), RemedyEvent::Begun, RemedyEvent::Declined { reason: "closed".into() }] {
        let _ = store.advance_remedy(failed.id(), event, after(2100), &RetryPolicy::default()).await.unwrap();
    }
    let back = store.credit(other.rider(), currency).await.unwrap().unwrap();
    assert_eq!((back.amount, back.since), (money(100), after(2100)), "and has its time anew");
    assert!(store.is_balanced().await.unwrap());
}

pub async fn the_reserve_is_funded_by_one_or_by_two_and_the_log_says_who(place: &Place) {
    let store = place.open().await;
    let request = |order: &str, minor| FundingRequest {
        order: order.into(),
        amount: money(minor),
        reason: "the quarter's".into(),
        by: "operator/a".into(),
    };
    let done = store.ask_funding(request("a", 200), &POLICY, after(900)).await.unwrap();
    assert_eq!(store.ask_funding(request("a", 200), &POLICY, after(901)).await.unwrap(), done, "asked twice is once");
    assert!(store.ask_funding(request("a", 201), &POLICY, after(901)).await.is_err());
    assert_eq!(balance(&*store, Account::RiskReserve).await, -200);
    let waits = store.ask_funding(request("b", 200), &POLICY, after(902)).await.unwrap();
    assert_eq!(
        (waits.approval.state, balance(&*store, Account::RiskReserve).await),
        (ApprovalState::AwaitingApproval, -200)
    );
    let same = store.decide_funding(waits.id, true, "operator/a", after(903)).await;
    assert!(
        matches!(same, Err(StoreError::Funding(FundingError::Approval(ApprovalError::SamePerson { .. })))),
        "{same:?}"
    );
    let nobody = store.decide_funding(FundingId::of("z"), true, "operator/b", after(903)).await;
    assert!(matches!(nobody, Err(StoreError::Funding(FundingError::Unknown(_)))), "{nobody:?}");
    store.decide_funding(waits.id, true, "operator/b", after(904)).await.unwrap();
    assert!(store.decide_funding(waits.id, false, "operator/c", after(905)).await.is_err());
    assert_eq!(balance(&*store, Account::RiskReserve).await, -400);
    assert_eq!(store.fundings(10).await.unwrap().len(), 2);
    assert_eq!(store.fundings(1).await.unwrap()[0].id, waits.id, "the latest first");
    let lines = store.audit_entries(0, 10).await.unwrap();
    let told: Vec<_> = lines.iter().map(|line| (line.actor.as_str(), line.action.as_str())).collect();
    assert_eq!(told, [("operator/a", "reserve.ask"), ("operator/a", "reserve.ask"), ("operator/b", "reserve.approve")]);
    assert!(store.is_balanced().await.unwrap());
}
