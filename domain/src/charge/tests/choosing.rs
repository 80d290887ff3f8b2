//! The order of use, limits and the schedule, from one charge that its first instrument has declined.

use super::*;

struct Case {
    instruments: Instruments,
    used: BTreeMap<InstrumentId, Used>,
    schedule: RetrySchedule,
    days: TravelDays,
}

fn case(bound: Vec<Bound>) -> Case {
    Case {
        instruments: bound.into_iter().collect(),
        used: BTreeMap::new(),
        schedule: RetrySchedule { days: vec![1, 3] },
        days: TravelDays::new("UTC", "04:30").unwrap(),
    }
}

impl Case {
    fn choose(&self, charge: &Charge, now: Timestamp) -> Event {
        let Self { instruments, used, schedule, days } = self;
        charge.choose(&Circumstances { instruments, used, schedule, days, now })
    }
}

fn limited(instrument: Instrument, limits: Limits) -> Bound {
    Bound { instrument, limits }
}

#[test]
fn the_next_in_order_is_asked_and_then_nobody_until_another_day() {
    let (a, b) = (token("tok_a"), token("tok_b"));
    let case = case(vec![a.clone().into(), b.clone().into()]);
    let first = declined(&open(300, a.clone()), Decline::soft("no"), NOW);
    let chosen = case.choose(&first, NOW);
    assert_eq!(chosen, Event::Chosen(b.into()));
    let second = declined(&apply(&first, chosen).charge, Decline::hard("stolen"), NOW);
    let Event::NoneLeft { again_at: Some(again_at) } = case.choose(&second, NOW) else {
        panic!("b is never asked again")
    };
    assert_eq!(again_at, case.days.end(case.days.of(NOW)), "a on the next travel day");
    let debt = apply(&second, Event::NoneLeft { again_at: Some(again_at) }).charge;
    assert_eq!(case.choose(&debt, again_at), Event::Chosen(a.into()));
}

#[test]
fn tries_are_on_different_days_and_there_is_an_end_to_them() {
    let case = case(vec![card().into()]);
    let (mut charge, mut now, mut tries) = (open(300, card()), NOW, Vec::new());
    let asked = loop {
        charge = declined(&charge, Decline::soft("no"), now);
        tries.push(case.days.of(now));
        let event = case.choose(&charge, now);
        charge = charge.apply(&event, now, &RETRY).unwrap().charge;
        let Event::NoneLeft { again_at } = event else { panic!("not on the same day") };
        let Some(again_at) = again_at else { break charge.asked_for(now.plus(DAY * 90)).unwrap() };
        now = again_at;
        charge = charge.apply(&case.choose(&charge, now), now, &RETRY).unwrap().charge;
    };
    let first = tries[0];
    let told: Vec<i32> = tries.iter().map(|day| (*day - first).get_days()).collect();
    assert_eq!(told, [0, 1, 3]);
    assert_eq!(case.choose(&asked, now.plus(DAY * 90)), Event::Chosen(card().into()), "the rider may");
}

#[test]
fn what_is_expired_limited_or_for_another_channel_is_passed_over() {
    let gone = Limits { expires_at: Some(NOW), ..Limits::default() };
    let small = Limits { amount_max_minor: Some(299), ..Limits::default() };
    let own = Limits { only: Some(Channel::PayNow), ..Limits::default() };
    let once = Limits { day_count_max: Some(1), ..Limits::default() };
    let little = Limits { day_amount_max_minor: Some(400), ..Limits::default() };
    let first = declined(&open(300, token("tok_x")), Decline::hard("no"), NOW);
    let tomorrow = |case: &Case| Event::NoneLeft { again_at: Some(case.days.end(case.days.of(NOW))) };
    for limits in [gone, small, own.clone()] {
        let case = case(vec![limited(card(), limits)]);
        assert_eq!(case.choose(&first, NOW), Event::NoneLeft { again_at: None });
    }
    for limits in [once, little] {
        let mut case = case(vec![limited(card(), limits)]);
        assert_eq!(case.choose(&first, NOW), Event::Chosen(case.instruments.first().unwrap().clone()));
        case.used.insert(card().id(), Used { count: 1, minor: 101 });
        assert_eq!(case.choose(&first, NOW), tomorrow(&case));
    }
    let case = case(vec![limited(card(), own)]);
    let asked = apply(&first, Event::NoneLeft { again_at: None }).charge.asked_for(NOW.plus(RETRY.max)).unwrap();
    assert!(matches!(case.choose(&asked, NOW.plus(RETRY.max)), Event::Chosen(_)), "he asks himself");
}

#[test]
fn a_verification_asks_each_instrument_once() {
    let case = case(vec![card().into(), Instrument::Wallet.into()]);
    let id = ChargeId::of_verification(&record(1), card().id());
    let opened = Charge::ahead(rider(), id, Purpose::Verification, cny(100), card(), NOW).charge;
    let first = declined(&opened, Decline::soft("no"), NOW);
    let second = apply(&first, case.choose(&first, NOW)).charge;
    assert_eq!(second.instrument(), &Instrument::Wallet);
    let both = declined(&second, Decline::soft("no"), NOW);
    assert_eq!(case.choose(&both, NOW.plus(DAY)), Event::NoneLeft { again_at: None });
}
