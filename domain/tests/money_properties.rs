//! Money and the books against random amounts, and a charge against random histories of its acquirer.
#![allow(clippy::unwrap_used)]

use facegate_domain::Timestamp;
use facegate_domain::billing::{Item, ItemKind};
use facegate_domain::charge::{
    AcquirerName, AcquirerToken, AuthorisationId, Call, Charge, Event, Found, Instrument, RetryPolicy, State, Step,
};
use facegate_domain::ids::{GateId, RecordId, RiderId};
use facegate_domain::journey::JourneyId;
use facegate_domain::ledger::{Account, Entry, EntryId, Posting, TrialBalance};
use facegate_domain::money::{BasisPoints, Money, Rounding};
use proptest::prelude::*;

fn cny(minor: i64) -> Money {
    Money::from_minor(minor, "CNY".parse().unwrap())
}

fn account() -> impl Strategy<Value = Account> {
    (0..5_u8, 0..3_u8).prop_map(|(kind, rider)| {
        let rider = RiderId::from_bytes([rider; 16]);
        match kind {
            0 => Account::RiderReceivable(rider),
            1 => Account::Wallet(rider),
            2 => Account::OperatorRevenue,
            3 => Account::AcquirerReceivable,
            _ => Account::BoothCash,
        }
    })
}

proptest! {
    #[test]
    fn sums_agree_with_wider_arithmetic_or_refuse(a in any::<i64>(), b in any::<i64>()) {
        let sum = i128::from(a) + i128::from(b);
        prop_assert_eq!(cny(a).checked_add(cny(b)).ok().map(|m| i128::from(m.minor())), i64::try_from(sum).ok().map(i128::from));
        let difference = i128::from(a) - i128::from(b);
        prop_assert_eq!(
            cny(a).checked_sub(cny(b)).ok().map(|m| i128::from(m.minor())),
            i64::try_from(difference).ok().map(i128::from)
        );
    }

    #[test]
    fn a_share_is_within_one_unit_of_the_exact_product_on_the_named_side(
        amount in -1_000_000_000_000_i64..1_000_000_000_000,
        points in 0..20_000_u32,
    ) {
        let exact = i128::from(amount) * i128::from(points);
        let scaled = |rounding| {
            i128::from(cny(amount).checked_share(BasisPoints::new(points), rounding).unwrap().minor()) * 10_000
        };
        let (down, up, half) = (scaled(Rounding::Down), scaled(Rounding::Up), scaled(Rounding::HalfEven));
        prop_assert!(down.abs() <= exact.abs() && exact.abs() - down.abs() < 10_000);
        prop_assert!(up.abs() >= exact.abs() && up.abs() - exact.abs() < 10_000);
        prop_assert!((half - exact).abs() <= 5_000);
    }

    #[test]
    fn money_reads_back_as_written(minor in any::<i64>()) {
        let money = cny(minor);
        prop_assert_eq!(round_trip(&money), money);
    }

    #[test]
    fn the_books_always_balance(postings in proptest::collection::vec((account(), account(), 1..1_000_000_i64), 0..40)) {
        let mut books = TrialBalance::default();
        for (number, (from, to, amount)) in postings.into_iter().enumerate() {
            let id = EntryId::of("test", number);
            books.add(&Entry::transfer(id, Timestamp::default(), cny(amount), from, to).unwrap()).unwrap();
            prop_assert!(books.is_balanced());
        }
    }

    #[test]
    fn an_entry_is_made_exactly_if_its_postings_sum_to_zero(
        amounts in proptest::collection::vec(prop_oneof![-3..0_i64, 1..4_i64], 1..6),
    ) {
        let postings = amounts.iter().map(|amount| Posting::new(Account::BoothCash, cny(*amount))).collect();
        let made = Entry::new(EntryId::of("test", 0), Timestamp::default(), postings);
        prop_assert_eq!(made.is_ok(), amounts.iter().sum::<i64>() == 0);
    }
}

fn round_trip(money: &Money) -> Money {
    let text = toml::to_string(money).unwrap();
    toml::from_str(&text).unwrap()
}

/// An acquirer with idempotency keys, and the faults of the road to it.
#[derive(Default)]
struct Acquirer {
    authorised: Option<AuthorisationId>,
    captures: u32,
    captured: bool,
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    None,
    NotReached,
    /// The work is done and the answer lost.
    AnswerLost,
    /// We crash before the call: the step is stored, nothing else happens.
    CrashBefore,
    /// We crash after the call: its answer is never stored.
    CrashAfter,
}

impl Acquirer {
    fn call(&mut self, call: &Call) -> Event {
        match call {
            Call::Authorise { .. } => {
                let authorisation = self.authorised.get_or_insert(AuthorisationId::new("auth-1")).clone();
                Event::Authorised { authorisation }
            }
            Call::Capture { authorisation, .. } => {
                assert_eq!(Some(authorisation), self.authorised.as_ref(), "capture of what was authorised");
                if !self.captured {
                    self.captures += 1;
                    self.captured = true;
                }
                Event::Captured
            }
            Call::Void { .. } | Call::Refund { .. } => unreachable!("a charge of one fare asks for neither"),
        }
    }

    fn find(&self) -> Found {
        match (&self.authorised, self.captured) {
            (None, _) => Found::Nothing,
            (Some(authorisation), false) => Found::Authorised { authorisation: authorisation.clone() },
            (Some(authorisation), true) => Found::Captured { authorisation: authorisation.clone() },
        }
    }
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::None),
        Just(Fault::NotReached),
        Just(Fault::AnswerLost),
        Just(Fault::CrashBefore),
        Just(Fault::CrashAfter)
    ]
}

fn due_charge() -> (Charge, Entry) {
    let record = |sequence| RecordId { gate: GateId::new("g").unwrap(), epoch: 1, sequence };
    let kind = ItemKind::Ride { ride: JourneyId::of(&record(1), &record(2)) };
    let rider = RiderId::from_bytes([1; 16]);
    let item = Item::new(rider, jiff::civil::date(2026, 11, 30), cny(300), kind, Timestamp::default());
    let card =
        Instrument::Acquirer { acquirer: AcquirerName::default(), token: AcquirerToken::new("tok_ok_1").unwrap() };
    let opened = Charge::open(rider, &[item], card, Timestamp::default()).unwrap();
    (opened.charge, opened.entry.unwrap())
}

proptest! {
    /// Only what `apply` returned is kept between rounds, as it would be on the disk.
    #[test]
    fn a_charge_is_captured_once_and_booked_once_whatever_goes_wrong_on_the_way(
        faults in proptest::collection::vec(fault(), 0..30),
    ) {
        let retry = RetryPolicy::default();
        let (mut stored, opened) = due_charge();
        let mut books = vec![opened];
        let mut acquirer = Acquirer::default();
        let mut rounds = 0;
        for fault in faults.into_iter().chain(std::iter::repeat(Fault::None)) {
            rounds += 1;
            prop_assert!(rounds < 60, "a charge without faults comes to an end");
            let (mut charge, mut then) = match stored.next_step() {
                Step::Nothing => break,
                Step::PayFromWallet => unreachable!("it is paid by card"),
                Step::Query(_) => match fault {
                    Fault::None => (stored.clone(), Some(Event::Found(acquirer.find()))),
                    Fault::CrashBefore | Fault::CrashAfter => (stored.clone(), None),
                    Fault::NotReached | Fault::AnswerLost => (stored.clone(), Some(Event::QueryFailed)),
                },
                Step::Store(event) => {
                    let begun = stored.apply(&event, Timestamp::default(), &retry).unwrap();
                    let call = begun.call.expect("a begun step holds its call");
                    let answer = match fault {
                        Fault::None => Some(acquirer.call(&call)),
                        Fault::NotReached => Some(Event::NotReached),
                        Fault::CrashBefore => None,
                        Fault::AnswerLost => { acquirer.call(&call); Some(Event::NoAnswer) }
                        Fault::CrashAfter => { acquirer.call(&call); None }
                    };
                    (begun.charge, answer)
                }
            };
            if let Some(event) = then.take() {
                let advanced = charge.apply(&event, Timestamp::default(), &retry).unwrap();
                books.extend(advanced.entry);
                charge = advanced.charge;
            }
            stored = charge;
        }
        prop_assert_eq!(stored.state(), &State::Captured);
        prop_assert_eq!(acquirer.captures, 1);
        let balance = TrialBalance::of(&books).unwrap();
        prop_assert_eq!(balance.balance(Account::AcquirerReceivable, cny(0).currency()), cny(300));
        prop_assert_eq!(balance.balance(Account::RiderReceivable(stored.rider()), cny(0).currency()), cny(0));
    }
}
