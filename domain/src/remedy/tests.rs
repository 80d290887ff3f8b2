use jiff::civil::Date;
use proptest::prelude::*;

use super::*;
use crate::billing::{Item, ItemKind};
use crate::charge::{AcquirerToken, AuthorisationId, Decline, Event, Found};
use crate::dispute::{Dispute, DisputeState, LossPolicy};
use crate::ids::{GateId, RecordId};
use crate::journey::JourneyId;
use crate::ledger::TrialBalance;

const NOW: Timestamp = Timestamp::from_unix_ms(1_000_000);
const RETRY: RetryPolicy =
    RetryPolicy { first: std::time::Duration::from_secs(1), max: std::time::Duration::from_secs(60) };
const POLICY: RemedyPolicy = RemedyPolicy { four_eyes_above_minor: 1000 };

fn cny(minor: i64) -> Money {
    Money::from_minor(minor, "CNY".parse().unwrap())
}

fn rider() -> RiderId {
    RiderId::from_bytes([7; 16])
}

/// A charge that came to its end, and the entries of its way there.
fn charge(minor: i64, instrument: Instrument, end: Event) -> (Charge, Vec<Entry>) {
    let record = |sequence| RecordId { gate: GateId::new("g").unwrap(), epoch: 1, sequence };
    let ride = JourneyId::of(&record(1), &record(2));
    let items = [Item::new(rider(), Date::MIN, cny(minor), ItemKind::Ride { ride }, NOW)];
    let opened = Charge::open(rider(), &items, instrument, NOW).unwrap();
    let (mut charge, mut entries) = (opened.charge, Vec::from_iter(opened.entry));
    let by_card = [Event::AuthoriseBegun, Event::Authorised { authorisation: authorisation() }, Event::CaptureBegun];
    let events = if end == Event::Captured { by_card.to_vec() } else { Vec::new() };
    for event in events.into_iter().chain([end]) {
        let advanced = charge.apply(&event, NOW, &RETRY).unwrap();
        charge = advanced.charge;
        entries.extend(advanced.entry);
    }
    (charge, entries)
}

fn by_card(minor: i64) -> (Charge, Vec<Entry>) {
    let card = Instrument::Acquirer { acquirer: AcquirerName::default(), token: AcquirerToken::new("tok").unwrap() };
    charge(minor, card, Event::Captured)
}

fn authorisation() -> AuthorisationId {
    AuthorisationId::new("auth-1")
}

fn request(order: &str, measure: Measure, minor: i64) -> RemedyRequest {
    RemedyRequest {
        order: order.into(),
        rider: rider(),
        measure,
        amount: cny(minor),
        ground: Ground::Price,
        reason: "the gate was broken".into(),
        by: "operator/a".into(),
    }
}

fn returned(refunded: i64, disputed: i64) -> Returned {
    Returned { refunded: cny(refunded), disputed: cny(disputed) }
}

fn apply(remedy: &Remedy, event: &RemedyEvent) -> Moved {
    remedy.apply(event, NOW, &RETRY).unwrap()
}

#[test]
fn a_refund_asks_what_was_captured_and_then_calls_under_its_own_key() {
    let (charge, mut entries) = by_card(400);
    let asked = request("a", Measure::Refund { charge: charge.id() }, 150);
    let due = Remedy::ask(&asked, Some((&charge, returned(0, 0))), &POLICY, NOW).unwrap();
    assert_eq!((due.remedy.state(), &due.entry, &due.call), (&RemedyState::Due, &None, &None));
    let locate = RemedyStep::Locate { key: charge.key().clone(), captured: cny(400) };
    assert_eq!(due.remedy.next_step(), locate);
    let found = RemedyEvent::Charge(Found::Captured { authorisation: authorisation() });
    let located = apply(&due.remedy, &found).remedy;
    assert_eq!(located.next_step(), RemedyStep::Store(RemedyEvent::Begun));
    let calling = apply(&located, &RemedyEvent::Begun);
    let (key, of) = (calling.remedy.key(), charge.key().clone());
    let call = Call::Refund { key: key.clone(), of, authorisation: authorisation(), amount: cny(150) };
    assert_eq!(calling.call, Some(call));
    assert_eq!(calling.remedy.next_step(), RemedyStep::Query(key), "found in the middle, it is queried");
    let done = apply(&calling.remedy, &RemedyEvent::Refunded);
    entries.extend(done.entry);
    assert_eq!((done.remedy.state(), done.remedy.next_step()), (&RemedyState::Done, RemedyStep::Nothing));
    assert_eq!(done.remedy.told(), Some(Told::Refunded { charge: charge.id(), amount: cny(150) }));
    let books = TrialBalance::of(&entries).unwrap();
    let stands = |account| books.balance(account, cny(0).currency()).minor();
    assert_eq!((stands(Account::OperatorRevenue), stands(Account::AcquirerReceivable)), (-250, 250));
}

#[test]
fn what_stays_in_our_books_is_done_at_once_and_the_ground_says_who_bears_it() {
    for (ground, bears) in [
        (Ground::Price, Account::OperatorRevenue),
        (Ground::WrongCharge, Account::RiskReserve),
        (Ground::Goodwill, Account::Goodwill),
    ] {
        for (measure, gets) in
            [(Measure::Credit, Account::RiderReceivable(rider())), (Measure::WalletCredit, Account::Wallet(rider()))]
        {
            let asked = RemedyRequest { ground, ..request("a", measure, 150) };
            let done = Remedy::ask(&asked, None, &POLICY, NOW).unwrap();
            assert_eq!(done.remedy.state(), &RemedyState::Done);
            let books = TrialBalance::of(&done.entry).unwrap();
            assert_eq!(books.balance(bears, cny(0).currency()), cny(150));
            assert_eq!(books.balance(gets, cny(0).currency()), cny(-150));
            assert_eq!(Ground::from_name(ground.name()), Some(ground));
        }
    }
}

#[test]
fn above_the_limit_another_person_decides_and_never_the_same() {
    let (charge, _) = by_card(3000);
    let measure = Measure::Refund { charge: charge.id() };
    let ask = |minor, before| {
        Remedy::ask(&request("a", measure, minor), Some((&charge, returned(before, 0))), &POLICY, NOW).unwrap().remedy
    };
    assert_eq!(ask(1000, 0).state(), &RemedyState::Due);
    assert_eq!(ask(1, 1000).state(), &RemedyState::AwaitingApproval, "small parts add up");
    let asked = ask(1001, 0);
    assert_eq!((asked.state(), asked.next_step()), (&RemedyState::AwaitingApproval, RemedyStep::Nothing));
    let same = asked.decide(true, "operator/a", NOW);
    assert_eq!(same, Err(RemedyError::SamePerson { remedy: asked.id(), by: "operator/a".into() }));
    let approved = asked.decide(true, "operator/b", NOW).unwrap().remedy;
    assert_eq!((approved.state(), approved.decided_by()), (&RemedyState::Due, Some("operator/b")));
    let rejected = asked.decide(false, "operator/b", NOW).unwrap().remedy;
    assert_eq!((rejected.state(), rejected.counts()), (&RemedyState::Rejected, false));
    assert!(matches!(rejected.decide(true, "operator/c", NOW), Err(RemedyError::Decided { .. })));
    let credit = Remedy::ask(&request("b", Measure::Credit, 1001), None, &POLICY, NOW).unwrap();
    assert_eq!((credit.remedy.state(), credit.entry), (&RemedyState::AwaitingApproval, None));
}

#[test]
fn more_than_was_captured_and_what_was_not_captured_is_refused() {
    let (charge, _) = by_card(400);
    let measure = Measure::Refund { charge: charge.id() };
    let ask = |minor, returned| Remedy::ask(&request("a", measure, minor), Some((&charge, returned)), &POLICY, NOW);
    for (minor, before, left) in [(401, returned(0, 0), 400), (101, returned(300, 0), 100), (1, returned(100, 300), 0)]
    {
        let refused = RemedyError::TooMuch { charge: charge.id(), asked: cny(minor), left: cny(left) };
        assert_eq!(ask(minor, before), Err(refused));
    }
    assert_eq!(ask(0, returned(0, 0)), Err(RemedyError::NotPositive { amount: cny(0) }));
    assert_eq!(ask(-5, returned(0, 0)), Err(RemedyError::NotPositive { amount: cny(-5) }));
    let dollars = RemedyRequest { amount: Money::from_minor(1, "USD".parse().unwrap()), ..request("a", measure, 1) };
    let refused = Remedy::ask(&dollars, Some((&charge, returned(0, 0))), &POLICY, NOW);
    assert!(matches!(refused, Err(RemedyError::Money(_))), "{refused:?}");
    for reason in ["  ".to_owned(), "x".repeat(REASON_MAX + 1)] {
        let asked = RemedyRequest { reason, ..request("a", measure, 1) };
        assert_eq!(Remedy::ask(&asked, Some((&charge, returned(0, 0))), &POLICY, NOW), Err(RemedyError::Reason));
    }
    let other = RemedyRequest { rider: RiderId::from_bytes([8; 16]), ..request("a", measure, 1) };
    let refused = Remedy::ask(&other, Some((&charge, returned(0, 0))), &POLICY, NOW);
    assert_eq!(refused, Err(RemedyError::OtherRider { charge: charge.id() }));
    let waived = request("a", Measure::Waiver { charge: charge.id() }, 400);
    let refused = Remedy::ask(&waived, Some((&charge, returned(0, 0))), &POLICY, NOW);
    assert!(matches!(refused, Err(RemedyError::NotOwed { .. })), "it was paid: {refused:?}");
}

#[derive(Debug, Clone)]
enum Act {
    Ask(i64),
    Decide(usize, bool, bool),
    Event(usize, u8),
    Dispute(i64),
    Close(usize, bool),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (1..900_i64).prop_map(Act::Ask),
        2 => (0..8_usize, any::<bool>(), any::<bool>()).prop_map(|(i, yes, same)| Act::Decide(i, yes, same)),
        8 => (0..8_usize, 0..9_u8).prop_map(|(i, e)| Act::Event(i, e)),
        1 => (1..1200_i64).prop_map(Act::Dispute),
        1 => (0..4_usize, any::<bool>()).prop_map(|(i, won)| Act::Close(i, won)),
    ]
}

fn event(number: u8) -> RemedyEvent {
    let authorisation = authorisation();
    match number {
        0 => RemedyEvent::Charge(Found::Captured { authorisation }),
        1 => RemedyEvent::Begun,
        2 => RemedyEvent::Refunded,
        3 => RemedyEvent::NotReached,
        4 => RemedyEvent::NoAnswer,
        5 => RemedyEvent::Found(Found::Refunded),
        6 => RemedyEvent::Found(Found::Nothing),
        7 => RemedyEvent::Found(Found::Declined(Decline::hard("closed"))),
        _ => RemedyEvent::QueryFailed,
    }
}

proptest! {
    #[test]
    fn whatever_is_asked_and_happens_no_more_goes_back_than_came(acts in prop::collection::vec(act(), 0..80)) {
        let captured = 1000;
        let (charge, mut entries) = by_card(captured);
        let (mut remedies, mut disputes) = (Vec::<Remedy>::new(), Vec::<Dispute>::new());
        let policy = RemedyPolicy { four_eyes_above_minor: 300 };
        for (order, act) in acts.into_iter().enumerate() {
            let moved = match act {
                Act::Ask(minor) => {
                    let refunded = remedies.iter().filter(|r| r.counts()).map(|r| r.amount().minor()).sum();
                    let disputed = disputes.iter().filter(|d| d.counts()).map(|d| d.amount.minor()).sum();
                    let asked = request(&order.to_string(), Measure::Refund { charge: charge.id() }, minor);
                    Remedy::ask(&asked, Some((&charge, returned(refunded, disputed))), &policy, NOW)
                        .map(|moved| (remedies.len(), moved))
                }
                Act::Decide(i, yes, same) if i < remedies.len() => {
                    let by = if same { "operator/a" } else { "operator/b" };
                    remedies[i].decide(yes, by, NOW).map(|moved| (i, moved))
                }
                Act::Event(i, number) if i < remedies.len() => {
                    remedies[i].apply(&event(number), NOW, &RETRY).map(|moved| (i, moved))
                }
                Act::Dispute(minor) => {
                    // The bank takes back what it likes, but not what it knows was refunded.
                    let refunded: i64 = remedies.iter().filter(|r| r.counts()).map(|r| r.amount().minor()).sum();
                    let open: i64 = disputes.iter().filter(|d| d.counts()).map(|d| d.amount.minor()).sum();
                    let opened = Dispute::open(&charge, &order.to_string(), cny(minor), NOW);
                    prop_assert_eq!(opened.is_err(), minor > captured);
                    if let (Ok((dispute, entry)), true) = (opened, minor + refunded + open <= captured) {
                        disputes.push(dispute);
                        entries.push(entry);
                    }
                    continue;
                }
                Act::Close(i, won) if i < disputes.len() => {
                    let lost = DisputeState::Lost { became: LossPolicy::WriteOff };
                    let state = if won { DisputeState::Won } else { lost };
                    if let Ok(Some((dispute, entry))) = disputes[i].close(state, NOW) {
                        disputes[i] = dispute;
                        entries.push(entry);
                    }
                    continue;
                }
                _ => continue,
            };
            let Ok((i, moved)) = moved else { continue };
            entries.extend(moved.entry);
            if i == remedies.len() { remedies.push(moved.remedy) } else { remedies[i] = moved.remedy }
        }
        let books = TrialBalance::of(&entries).unwrap();
        prop_assert!(books.is_balanced());
        let stands = |account| books.balance(account, cny(0).currency()).minor();
        let done: i64 = remedies.iter().filter(|r| *r.state() == RemedyState::Done).map(|r| r.amount().minor()).sum();
        prop_assert!((0..=captured).contains(&done));
        prop_assert!((0..=captured).contains(&stands(Account::AcquirerReceivable)));
        prop_assert_eq!(stands(Account::OperatorRevenue), done - captured);
        for remedy in &remedies {
            let above = remedy.amount().minor() > policy.four_eyes_above_minor;
            prop_assert!(!above || *remedy.state() != RemedyState::Done || remedy.decided_by() == Some("operator/b"));
        }
        for id in entries.iter().map(Entry::id) {
            prop_assert_eq!(entries.iter().filter(|entry| entry.id() == id).count(), 1, "{:?}", id);
        }
    }
}
