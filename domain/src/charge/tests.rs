use super::*;
use crate::billing::ItemKind;
use crate::ids::{GateId, RecordId};
use crate::journey::JourneyId;
use crate::ledger::TrialBalance;

const NOW: Timestamp = Timestamp::from_unix_ms(1_000_000);
const RETRY: RetryPolicy = RetryPolicy { first: Duration::from_secs(1), max: Duration::from_secs(60) };

fn cny(minor: i64) -> Money {
    Money::from_minor(minor, "CNY".parse().unwrap())
}

fn rider() -> RiderId {
    RiderId::from_bytes([7; 16])
}

fn fare(minor: i64) -> Item {
    let record = |sequence| RecordId { gate: GateId::new("g").unwrap(), epoch: 1, sequence };
    let kind = ItemKind::Ride { ride: JourneyId::of(&record(1), &record(2)) };
    Item::new(rider(), jiff::civil::date(2026, 11, 30), cny(minor), kind, NOW)
}

fn card() -> Instrument {
    Instrument::Acquirer { acquirer: AcquirerName::default(), token: AcquirerToken::new("tok_ok_1").unwrap() }
}

#[expect(clippy::needless_pass_by_value, reason = "the tables read better without references")]
fn apply(charge: &Charge, event: Event) -> Advanced {
    charge.apply(&event, NOW, &RETRY).unwrap()
}

fn authorisation() -> AuthorisationId {
    AuthorisationId::new("auth-1")
}

#[test]
fn a_smooth_charge_makes_two_calls_under_one_key_and_books_two_entries() {
    let opened = Charge::open(rider(), &[fare(300)], card(), NOW).unwrap();
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
    let books = TrialBalance::of(&entries).unwrap();
    let stands = |account| books.balance(account, cny(0).currency());
    assert_eq!(stands(Account::OperatorRevenue), cny(-300));
    assert_eq!(stands(Account::AcquirerReceivable), cny(300));
    assert_eq!(stands(Account::RiderReceivable(rider())), cny(0));
}

#[test]
fn a_charge_found_in_the_middle_of_a_call_is_queried_and_never_called_again() {
    let opened = Charge::open(rider(), &[fare(300)], card(), NOW).unwrap().charge;
    let authorising = apply(&opened, Event::AuthoriseBegun).charge;
    assert_eq!(authorising.next_step(), Step::Query(opened.key().clone()));
    let authorised = apply(&authorising, Event::Authorised { authorisation: authorisation() }).charge;
    let capturing = apply(&authorised, Event::CaptureBegun).charge;
    assert_eq!(capturing.next_step(), Step::Query(opened.key().clone()));
    let found = apply(&capturing, Event::Found(Found::Captured { authorisation: authorisation() }));
    assert_eq!(found.charge.state(), &State::Captured);
    assert_eq!(found.entry.unwrap().id(), &EntryId::of("capture", opened.id()), "booked however it was learnt");
}

#[test]
fn a_wallet_pays_wholly_or_not_at_all() {
    let opened = Charge::open(rider(), &[fare(300)], Instrument::Wallet, NOW).unwrap().charge;
    assert_eq!(opened.next_step(), Step::PayFromWallet);
    let short = opened.pay_from_wallet(cny(299), NOW, &RETRY).unwrap();
    assert_eq!(short.charge.state(), &State::Declined { reason: DeclineReason::WalletShort });
    assert_eq!(short.entry, None);
    let paid = opened.pay_from_wallet(cny(300), NOW, &RETRY).unwrap();
    assert_eq!(paid.charge.state(), &State::Captured);
    let books = TrialBalance::of([&paid.entry.unwrap()]).unwrap();
    assert_eq!(books.balance(Account::Wallet(rider()), cny(0).currency()), cny(300));
    assert!(opened.pay_from_wallet(Money::from_minor(300, "EUR".parse().unwrap()), NOW, &RETRY).is_err());
}

#[test]
fn a_wallet_and_an_acquirer_do_not_take_each_others_events() {
    let wallet = Charge::open(rider(), &[fare(300)], Instrument::Wallet, NOW).unwrap().charge;
    let by_card = Charge::open(rider(), &[fare(300)], card(), NOW).unwrap().charge;
    for (charge, event) in [(&wallet, Event::AuthoriseBegun), (&by_card, Event::WalletPaid)] {
        assert!(matches!(charge.apply(&event, NOW, &RETRY), Err(ChargeError::WrongInstrument { .. })));
    }
    assert!(matches!(by_card.apply(&Event::Captured, NOW, &RETRY), Err(ChargeError::Impossible { .. })));
}

#[test]
fn only_a_positive_total_is_charged_and_the_same_journeys_make_the_same_charge() {
    assert_eq!(Charge::open(rider(), &[fare(0)], card(), NOW), Err(ChargeError::NotPositive { amount: cny(0) }));
    assert!(Charge::open(rider(), &[], card(), NOW).is_err());
    let first = Charge::open(rider(), &[fare(300)], card(), NOW).unwrap().charge;
    let later = Charge::open(rider(), &[fare(300)], card(), NOW.plus(Duration::from_secs(9))).unwrap().charge;
    assert_eq!((first.id(), first.key()), (later.id(), later.key()));
}

#[test]
fn trouble_makes_a_charge_rest_longer_each_time_and_an_answer_ends_that() {
    let mut charge = Charge::open(rider(), &[fare(300)], card(), NOW).unwrap().charge;
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
    assert!(apply(&unknown, Event::Found(Found::Nothing)).charge.next_at() > NOW, "it came to nothing again");
    let found = Found::Authorised { authorisation: authorisation() };
    assert_eq!(apply(&unknown, Event::Found(found)).charge.next_at(), NOW);
}
