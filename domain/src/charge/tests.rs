mod choosing;
mod instruments;

use std::collections::BTreeMap;

use super::*;
use crate::billing::{Item, ItemKind};
use crate::ids::GateId;
use crate::journey::JourneyId;
use crate::ledger::TrialBalance;
use crate::travel_day::TravelDays;

const NOW: Timestamp = Timestamp::from_unix_ms(1_795_000_000_000);
const RETRY: RetryPolicy = RetryPolicy { first: Duration::from_secs(1), max: Duration::from_secs(60) };
const DAY: Duration = Duration::from_secs(86_400);

fn cny(minor: i64) -> Money {
    Money::from_minor(minor, "CNY".parse().unwrap())
}

fn rider() -> RiderId {
    RiderId::from_bytes([7; 16])
}

fn record(sequence: u64) -> RecordId {
    RecordId { gate: GateId::new("g").unwrap(), epoch: 1, sequence }
}

fn item(sequence: u64, minor: i64) -> Item {
    let kind = ItemKind::Ride { ride: JourneyId::of(&record(sequence), &record(sequence + 1)) };
    Item::new(rider(), jiff::civil::date(2026, 11, 30), cny(minor), kind, NOW)
}

fn token(text: &str) -> Instrument {
    Instrument::Acquirer { acquirer: AcquirerName::default(), token: AcquirerToken::new(text).unwrap() }
}

fn card() -> Instrument {
    token("tok_ok_1")
}

fn open(minor: i64, instrument: Instrument) -> Charge {
    Charge::open(rider(), &[item(1, minor)], instrument, NOW).unwrap().charge
}

#[expect(clippy::needless_pass_by_value, reason = "the tables read better without references")]
fn apply(charge: &Charge, event: Event) -> Advanced {
    charge.apply(&event, NOW, &RETRY).unwrap()
}

fn authorisation() -> AuthorisationId {
    AuthorisationId::new("auth-1")
}

fn declined(charge: &Charge, decline: Decline, at: Timestamp) -> Charge {
    let begun = charge.apply(&Event::AuthoriseBegun, at, &RETRY).unwrap().charge;
    begun.apply(&Event::Declined(decline), at, &RETRY).unwrap().charge
}

fn stands(entries: &[Entry], account: Account) -> Money {
    TrialBalance::of(entries).unwrap().balance(account, cny(0).currency())
}

#[test]
fn a_smooth_charge_makes_two_calls_under_one_key_and_books_two_entries() {
    let opened = Charge::open(rider(), &[item(1, 300)], card(), NOW).unwrap();
    let mut entries = vec![opened.entry.unwrap()];
    let key = opened.charge.key().clone();

    assert_eq!(opened.charge.next_step(), Step::Store(Event::AuthoriseBegun));
    let authorising = apply(&opened.charge, Event::AuthoriseBegun);
    let token = AcquirerToken::new("tok_ok_1").unwrap();
    assert_eq!(authorising.call, Some(Call::Authorise { key: key.clone(), token, amount: cny(300) }));

    let authorised = apply(&authorising.charge, Event::Authorised { authorisation: authorisation() });
    assert_eq!((authorised.call, &authorised.entry), (None, &None));
    assert_eq!(authorised.charge.next_step(), Step::Store(Event::CaptureBegun));
    let capturing = apply(&authorised.charge, Event::CaptureBegun);
    assert_eq!(capturing.call, Some(Call::Capture { key, authorisation: authorisation(), amount: cny(300) }));

    let captured = apply(&capturing.charge, Event::Captured);
    entries.push(captured.entry.unwrap());
    assert_eq!(captured.charge.next_step(), Step::Nothing);
    assert_eq!(stands(&entries, Account::OperatorRevenue), cny(-300));
    assert_eq!(stands(&entries, Account::AcquirerReceivable), cny(300));
    assert_eq!(stands(&entries, Account::RiderReceivable(rider())), cny(0));
}

#[test]
fn a_charge_found_in_the_middle_of_a_call_is_queried_and_never_called_again() {
    let opened = open(300, card());
    let query = Step::Query(opened.key().clone());
    let authorising = apply(&opened, Event::AuthoriseBegun).charge;
    assert_eq!(authorising.next_step(), query);
    assert_eq!(apply(&authorising, Event::TakenOn).charge.next_step(), query);
    let authorised = apply(&authorising, Event::Authorised { authorisation: authorisation() }).charge;
    let capturing = apply(&authorised, Event::CaptureBegun).charge;
    assert_eq!(capturing.next_step(), query);
    let found = apply(&capturing, Event::Found(Found::Captured { authorisation: authorisation() }));
    assert_eq!(found.charge.state(), &State::Captured);
    assert_eq!(found.entry.unwrap().id(), &EntryId::of("capture", opened.id()), "booked however it was learnt");
}

#[test]
fn the_wallet_is_asked_as_an_acquirer_is_and_knows_its_rider() {
    let begun = apply(&open(300, Instrument::Wallet), Event::AuthoriseBegun);
    let Some(Call::Authorise { token, .. }) = begun.call else { panic!("{begun:?}") };
    assert_eq!(token.expose(), rider().to_string());
    let authorised = apply(&begun.charge, Event::Authorised { authorisation: authorisation() }).charge;
    let captured = apply(&apply(&authorised, Event::CaptureBegun).charge, Event::Captured);
    let entries = [captured.entry.unwrap()];
    assert_eq!(stands(&entries, Account::WalletHeld(rider())), cny(300), "what was held is the operator's");
}

#[test]
fn the_same_items_make_the_same_charge_and_a_bill_is_never_empty() {
    assert_eq!(Charge::open(rider(), &[], card(), NOW), Err(ChargeError::Nothing));
    let first = open(300, card());
    let later = Charge::open(rider(), &[item(1, 300)], card(), NOW.plus(DAY)).unwrap().charge;
    assert_eq!((first.id(), first.key()), (later.id(), later.key()));
    let mixed = Item::new(
        rider(),
        jiff::civil::date(2026, 11, 30),
        Money::from_minor(5, "EUR".parse().unwrap()),
        ItemKind::Ride { ride: JourneyId::of(&record(8), &record(9)) },
        NOW,
    );
    assert!(matches!(Charge::open(rider(), &[item(1, 3), mixed], card(), NOW), Err(ChargeError::Money(_))));
}

#[test]
fn what_is_given_back_is_a_credit_that_the_next_bill_uses() {
    let back = Charge::open(rider(), &[item(1, 300), item(3, -500)], card(), NOW).unwrap();
    assert_eq!((back.charge.state(), back.charge.amount()), (&State::Settled, cny(0)));
    assert_eq!(back.charge.next_step(), Step::Nothing);
    assert_eq!(back.charge.credit_change().unwrap(), cny(200));
    assert_eq!(stands(&[back.entry.unwrap()], Account::RiderReceivable(rider())), cny(-200));

    let even = Charge::open(rider(), &[item(1, 300), item(3, -300)], card(), NOW).unwrap();
    assert_eq!((even.entry, even.charge.state()), (None, &State::Settled));

    let next = || Charge::open(rider(), &[item(5, 300)], card(), NOW).unwrap();
    let partly = next().with_credit(cny(200)).unwrap();
    assert_eq!(
        (partly.charge.amount(), partly.charge.credit_used(), partly.charge.billed()),
        (cny(100), cny(200), cny(300))
    );
    assert_eq!(partly.charge.credit_change().unwrap(), cny(-200));
    assert_eq!(stands(&[partly.entry.unwrap()], Account::RiderReceivable(rider())), cny(300), "all of it is earned");
    let wholly = next().with_credit(cny(450)).unwrap();
    assert_eq!((wholly.charge.state(), wholly.charge.credit_used()), (&State::Settled, cny(300)));
    assert_eq!(next().with_credit(cny(0)).unwrap(), next());
}

#[test]
fn a_decline_is_followed_by_an_attempt_under_another_key_and_late_words_name_the_old_one() {
    let first = declined(&open(300, card()), Decline::soft("insufficient_funds"), NOW);
    assert_eq!((first.next_step(), first.tried().len()), (Step::Choose, 1));
    let second = apply(&first, Event::Chosen(Instrument::Wallet.into())).charge;
    assert_eq!((second.attempt(), second.state()), (2, &State::Due));
    assert_eq!(second.key().to_string(), format!("facegate-{}-2", second.id()));
    assert_eq!(second.key().attempt(), Some((second.id(), 2)));
    assert_eq!(first.key().attempt(), Some((second.id(), 1)));
    for other in
        ["facegate-x", "refund-1", &format!("facegate-{}-1", second.id()), &format!("facegate-{}-02", second.id())]
    {
        assert_eq!(IdempotencyKey::new(other).attempt(), None, "{other}");
    }
    assert!(matches!(
        second.apply(&Event::Declined(Decline::soft("x")), NOW, &RETRY),
        Err(ChargeError::Impossible { .. })
    ));
}

#[test]
fn a_debt_is_final_until_the_rider_asks_or_its_day_comes() {
    let first = declined(&open(300, card()), Decline::hard("stolen_card"), NOW);
    let debt = apply(&first, Event::NoneLeft { again_at: None }).charge;
    assert!(debt.is_finished() && debt.state().is_debt());
    let asked = debt.asked_for(NOW.plus(DAY)).unwrap();
    assert_eq!((asked.next_at(), asked.is_finished(), asked.next_step()), (NOW.plus(DAY), false, Step::Choose));
    let waits = apply(&first, Event::NoneLeft { again_at: Some(NOW.plus(DAY)) }).charge;
    assert_eq!((waits.next_at(), waits.is_finished()), (NOW.plus(DAY), false));
    assert_eq!(first.asked_for(NOW), None, "it is no debt yet");
}

#[test]
fn a_verification_and_a_hold_are_given_back_and_never_captured() {
    let until = NOW.plus(DAY);
    for purpose in [Purpose::Verification, Purpose::Hold { until }] {
        let id = ChargeId::of_hold(&record(1));
        let opened = Charge::ahead(rider(), id, purpose.clone(), cny(100), card(), NOW);
        assert_eq!(opened.entry, None);
        let begun = apply(&opened.charge, Event::AuthoriseBegun).charge;
        let authorised = apply(&begun, Event::Authorised { authorisation: authorisation() }).charge;
        let held = matches!(purpose, Purpose::Hold { .. });
        assert_eq!(authorised.next_at(), if held { until } else { NOW }, "a hold waits for its ride");
        assert!(authorised.apply(&Event::CaptureBegun, NOW, &RETRY).is_err());
        let voiding = apply(&authorised, Event::VoidBegun);
        assert!(matches!(voiding.call, Some(Call::Void { .. })));
        assert!(
            voiding
                .charge
                .apply(&Event::Found(Found::Captured { authorisation: authorisation() }), NOW, &RETRY)
                .is_err()
        );
        assert_eq!(apply(&voiding.charge, Event::Voided).charge.state(), &State::Voided);
        let refused =
            apply(&apply(&begun, Event::Declined(Decline::hard("no"))).charge, Event::NoneLeft { again_at: None });
        assert!(matches!(refused.charge.state(), State::Refused { .. }), "nothing is owed");
    }
}

#[test]
fn a_hold_takes_its_rides_bill_and_captures_what_the_ride_costs() {
    let hold = Charge::ahead(
        rider(),
        ChargeId::of_hold(&record(1)),
        Purpose::Hold { until: NOW.plus(DAY) },
        cny(900),
        card(),
        NOW,
    );
    let begun = apply(&hold.charge, Event::AuthoriseBegun).charge;
    let authorised = apply(&begun, Event::Authorised { authorisation: authorisation() }).charge;
    assert!(authorised.takes_bill(cny(300)) && !authorised.takes_bill(cny(901)) && !authorised.takes_bill(cny(0)));
    assert_eq!(authorised.bill_held(&[item(1, 901)], cny(0), NOW), Ok(None), "the hold is too small");
    assert_eq!(authorised.bill_held(&[item(1, 300)], cny(300), NOW), Ok(None), "his credit pays it");
    let part = authorised.bill_held(&[item(1, 300)], cny(100), NOW).unwrap().unwrap().charge;
    assert_eq!((part.amount(), part.credit_used(), part.credit_change().unwrap()), (cny(200), cny(100), cny(-100)));
    let billed = authorised.bill_held(&[item(1, 300)], cny(0), NOW).unwrap().unwrap();
    assert_eq!(
        (billed.charge.id(), billed.charge.asked(), billed.charge.amount()),
        (hold.charge.id(), cny(900), cny(300))
    );
    let capturing = apply(&billed.charge, Event::CaptureBegun);
    assert!(matches!(capturing.call, Some(Call::Capture { amount, .. }) if amount == cny(300)));
    let captured = apply(&capturing.charge, Event::Captured);
    let entries = [billed.entry.unwrap(), captured.entry.unwrap()];
    assert_eq!(stands(&entries, Account::RiderReceivable(rider())), cny(0));
    let free = authorised.let_go(NOW).unwrap();
    assert_eq!((free.next_at(), free.next_step()), (NOW, Step::Store(Event::VoidBegun)));
    assert_eq!(free.let_go(NOW), None, "it is on its way back");
    let asking = begun.let_go(NOW).unwrap();
    let found = apply(&asking, Event::Found(Found::Authorised { authorisation: authorisation() })).charge;
    assert_eq!(found.next_at(), NOW, "given back as soon as it is known");
}

#[test]
fn a_bill_on_a_hold_asks_for_what_was_held_and_is_asked_for_anew_once_that_has_lapsed() {
    let purpose = Purpose::Hold { until: NOW.plus(DAY) };
    let hold = Charge::ahead(rider(), ChargeId::of_hold(&record(1)), purpose, cny(900), card(), NOW).charge;
    let unknown = apply(&apply(&hold, Event::AuthoriseBegun).charge, Event::NoAnswer).charge;
    let billed = unknown.bill_held(&[item(1, 300)], cny(0), NOW).unwrap().unwrap().charge;
    assert_eq!(billed.next_at(), unknown.next_at(), "it goes on waiting for its answer");
    let again = apply(&apply(&billed, Event::Found(Found::Nothing)).charge, Event::AuthoriseBegun);
    assert!(matches!(again.call, Some(Call::Authorise { amount, .. }) if amount == cny(900)), "the key asks as before");

    let lapsed = apply(&billed, Event::Found(Found::Voided)).charge;
    let instruments: Instruments = [Bound::from(card())].into_iter().collect();
    let (used, schedule) = (BTreeMap::new(), RetrySchedule::default());
    let days = TravelDays::new("UTC", "04:30").unwrap();
    let circumstances =
        Circumstances { instruments: &instruments, used: &used, schedule: &schedule, days: &days, now: NOW };
    let chosen = lapsed.choose(&circumstances);
    assert!(matches!(chosen, Event::Chosen(_)), "nothing was refused: {chosen:?}");
    let anew = apply(&apply(&lapsed, chosen).charge, Event::AuthoriseBegun);
    assert_ne!(anew.charge.key(), hold.key());
    assert!(matches!(anew.call, Some(Call::Authorise { amount, .. }) if amount == cny(300)));
}

#[test]
fn trouble_makes_a_charge_rest_longer_each_time_and_an_answer_ends_that() {
    let mut charge = open(300, card());
    let mut rests = Vec::new();
    for _ in 0..70 {
        charge = apply(&apply(&charge, Event::AuthoriseBegun).charge, Event::NotReached).charge;
        assert_eq!(charge.state(), &State::Due);
        rests.push(charge.next_at().since(NOW));
    }
    assert!(rests.is_sorted() && rests[0] >= RETRY.first && rests[1] >= RETRY.first * 2, "{rests:?}");
    assert!(rests[69] >= RETRY.max && rests[69] <= RETRY.max * 5 / 4, "{rests:?}");

    let unknown = apply(&apply(&charge, Event::AuthoriseBegun).charge, Event::NoAnswer).charge;
    assert!(unknown.next_at() > NOW);
    assert_eq!(unknown.hurried(NOW).map(|charge| charge.next_at()), Some(NOW));
    assert!(apply(&unknown, Event::Found(Found::Nothing)).charge.next_at() > NOW, "it came to nothing again");
    let found = Found::Authorised { authorisation: authorisation() };
    assert_eq!(apply(&unknown, Event::Found(found)).charge.next_at(), NOW);
}
