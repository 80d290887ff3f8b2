//! A charge of several attempts against random histories of its acquirers: whatever is lost, late, declined or crashes,
//! it is captured at most once, under one key, and the books say who owes what.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use facegate_domain::Timestamp;
use facegate_domain::billing::{Item, ItemKind};
use facegate_domain::charge::{
    AcquirerName, AcquirerToken, AuthorisationId, Bound, Call, Charge, Circumstances, Decline, Event, Found,
    IdempotencyKey, Instrument, Instruments, RetryPolicy, RetrySchedule, State, Step,
};
use facegate_domain::ids::{GateId, RecordId, RiderId};
use facegate_domain::journey::JourneyId;
use facegate_domain::ledger::{Account, Entry, TrialBalance};
use facegate_domain::money::Money;
use facegate_domain::travel_day::TravelDays;
use proptest::prelude::*;

const START: Timestamp = Timestamp::from_unix_ms(1_795_000_000_000);

fn cny(minor: i64) -> Money {
    Money::from_minor(minor, "CNY".parse().unwrap())
}

/// What the acquirer makes of a call that reaches it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Will {
    Does,
    /// Says that it will, and does it when it is asked about.
    Later,
    Soft,
    Hard,
}

/// What happens on the road.
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

/// What is known under one key.
#[derive(Debug, Clone, Default)]
struct Known {
    authorised: bool,
    captures: u32,
    pending: bool,
    declined: Option<Decline>,
}

/// All acquirers together; keys tell them apart.
#[derive(Debug, Default)]
struct Acquirer(BTreeMap<IdempotencyKey, Known>);

impl Acquirer {
    fn call(&mut self, call: &Call, will: Will) -> Event {
        let known = self.0.entry(call.key().clone()).or_default();
        assert!(known.declined.is_none(), "nothing is asked under a key that was declined");
        match will {
            Will::Soft => known.declined = Some(Decline::soft("later")),
            Will::Hard => known.declined = Some(Decline::hard("never")),
            Will::Later => known.pending = true,
            Will::Does => {}
        }
        if let Some(decline) = &known.declined {
            return Event::Declined(decline.clone());
        }
        match call {
            Call::Authorise { .. } => known.authorised = true,
            Call::Capture { .. } => known.captures = known.captures.max(1),
            Call::Void { .. } | Call::Refund { .. } => unreachable!("bills are captured"),
        }
        match call {
            _ if known.pending => Event::TakenOn,
            Call::Authorise { .. } => Event::Authorised { authorisation: authorisation(call.key()) },
            _ => Event::Captured,
        }
    }

    fn find(&mut self, key: &IdempotencyKey) -> Found {
        let authorisation = authorisation(key);
        let Some(known) = self.0.get_mut(key) else { return Found::Nothing };
        if std::mem::take(&mut known.pending) {
            return Found::Pending { authorisation };
        }
        match known {
            Known { declined: Some(decline), .. } => Found::Declined(decline.clone()),
            Known { captures: 1.., .. } => Found::Captured { authorisation },
            Known { authorised: true, .. } => Found::Authorised { authorisation },
            _ => Found::Nothing,
        }
    }

    fn captures(&self) -> u32 {
        self.0.values().map(|known| known.captures).sum()
    }
}

fn authorisation(key: &IdempotencyKey) -> AuthorisationId {
    AuthorisationId::new(format!("of-{key}"))
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        3 => Just(Fault::None),
        1 => Just(Fault::NotReached),
        1 => Just(Fault::AnswerLost),
        1 => Just(Fault::CrashBefore),
        1 => Just(Fault::CrashAfter)
    ]
}

fn will() -> impl Strategy<Value = Will> {
    prop_oneof![4 => Just(Will::Does), 1 => Just(Will::Later), 2 => Just(Will::Soft), 1 => Just(Will::Hard)]
}

fn due_charge(first: Instrument) -> (Charge, Entry) {
    let record = |sequence| RecordId { gate: GateId::new("g").unwrap(), epoch: 1, sequence };
    let kind = ItemKind::Ride { ride: JourneyId::of(&record(1), &record(2)) };
    let rider = RiderId::from_bytes([1; 16]);
    let item = Item::new(rider, jiff::civil::date(2026, 11, 30), cny(300), kind, START);
    let opened = Charge::open(rider, &[item], first, START).unwrap();
    (opened.charge, opened.entry.unwrap())
}

/// One look at a stored charge: what is stored after it, and what is booked.
fn look(
    stored: &Charge,
    acquirer: &mut Acquirer,
    (fault, will): (Fault, Will),
    circumstances: &Circumstances<'_>,
) -> (Charge, Option<Entry>) {
    let (now, retry) = (circumstances.now, RetryPolicy::default());
    let (charge, then) = match stored.next_step() {
        Step::Nothing => return (stored.clone(), None),
        Step::Choose => (stored.clone(), Some(stored.choose(circumstances))),
        Step::Query(key) => match fault {
            Fault::None => (stored.clone(), Some(Event::Found(acquirer.find(&key)))),
            Fault::CrashBefore | Fault::CrashAfter => (stored.clone(), None),
            Fault::NotReached | Fault::AnswerLost => (stored.clone(), Some(Event::QueryFailed)),
        },
        Step::Store(event) => {
            let begun = stored.apply(&event, now, &retry).unwrap();
            let call = begun.call.expect("a begun step holds its call");
            let answer = match fault {
                Fault::None => Some(acquirer.call(&call, will)),
                Fault::NotReached => Some(Event::NotReached),
                Fault::CrashBefore => None,
                Fault::AnswerLost => {
                    acquirer.call(&call, will);
                    Some(Event::NoAnswer)
                }
                Fault::CrashAfter => {
                    acquirer.call(&call, will);
                    None
                }
            };
            (begun.charge, answer)
        }
    };
    let Some(event) = then else { return (charge, None) };
    let advanced = charge.apply(&event, now, &retry).unwrap();
    (advanced.charge, advanced.entry)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Only what `apply` returned is kept between rounds, as it would be on the disk.
    #[test]
    fn a_charge_is_captured_at_most_once_and_its_debt_is_what_is_owed(
        rounds in proptest::collection::vec((fault(), will()), 0..60),
        cards in 1..4_usize,
    ) {
        let card = |number: usize| Instrument::Acquirer {
            acquirer: AcquirerName::default(),
            token: AcquirerToken::new(format!("tok_{number}")).unwrap(),
        };
        let instruments: Instruments = (0..cards).map(|number| Bound::from(card(number))).collect();
        let (used, schedule) = (BTreeMap::new(), RetrySchedule::default());
        let days = TravelDays::new("UTC", "04:30").unwrap();
        let (mut stored, opened) = due_charge(card(0));
        let (mut books, mut acquirer, mut now) = (vec![opened], Acquirer::default(), START);
        let endless = std::iter::repeat((Fault::None, Will::Does));
        for (round, how) in rounds.into_iter().chain(endless).enumerate() {
            prop_assert!(round < 200, "a charge without faults comes to an end: {:?}", stored);
            if stored.is_finished() {
                break;
            }
            now = now.plus(std::time::Duration::from_secs(60)).max(stored.next_at());
            let circumstances =
                Circumstances { instruments: &instruments, used: &used, schedule: &schedule, days: &days, now };
            let (charge, entry) = look(&stored, &mut acquirer, how, &circumstances);
            books.extend(entry);
            stored = charge;
            prop_assert!(acquirer.captures() <= 1, "captured under two keys: {:?}", acquirer);
        }
        let captured = *stored.state() == State::Captured;
        prop_assert_eq!(acquirer.captures(), u32::from(captured), "{:?} {:?}", &stored, &acquirer);
        prop_assert!(captured || stored.state().is_debt());
        let tries = |card: &Bound| stored.tried().iter().filter(|tried| tried.instrument == card.id()).count();
        prop_assert!(instruments.iter().all(|card| tries(card) <= 1 + schedule.days.len()));
        let balance = TrialBalance::of(&books).unwrap();
        let of = |account| balance.balance(account, cny(0).currency()).minor();
        prop_assert!(balance.is_balanced());
        let (paid, owed) = if captured { (300, 0) } else { (0, 300) };
        prop_assert_eq!(of(Account::AcquirerReceivable), paid);
        prop_assert_eq!(of(Account::RiderReceivable(stored.rider())), owed);
    }
}
