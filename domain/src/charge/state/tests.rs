use super::*;

fn id(name: &str) -> AuthorisationId {
    AuthorisationId::new(name)
}

fn declined() -> State {
    State::Declined { reason: DeclineReason::Acquirer("no".to_owned()) }
}

fn states() -> Vec<State> {
    vec![
        State::Due,
        State::Authorising,
        State::Authorised { authorisation: id("a") },
        State::Capturing { authorisation: id("a") },
        State::Unknown { authorisation: None },
        State::Unknown { authorisation: Some(id("a")) },
        State::Captured,
        declined(),
    ]
}

fn events() -> Vec<Event> {
    vec![
        Event::AuthoriseBegun,
        Event::CaptureBegun,
        Event::Authorised { authorisation: id("a") },
        Event::Captured,
        Event::Declined(Decline::soft("no")),
        Event::NotReached,
        Event::NoAnswer,
        Event::QueryFailed,
        Event::Found(Found::Nothing),
        Event::Found(Found::Authorised { authorisation: id("a") }),
        Event::Found(Found::Captured { authorisation: id("a") }),
        Event::Found(Found::Declined(Decline::soft("no"))),
        Event::Found(Found::Voided),
        Event::Found(Found::Refunded),
        Event::Found(Found::Pending { authorisation: id("a") }),
        Event::WalletPaid,
        Event::WalletShort,
    ]
}

/// One letter per state, `.` for "cannot happen": rows are states, columns events, in the order above.
/// d due, i authorising, a authorised, c capturing, u unknown while authorising, U unknown while capturing,
/// C captured, x declined, w declined because the wallet is short.
const TABLE: [(&str, &str); 8] = [
    //                       authorise capture | authorised captured declined | notreached noanswer queryfailed | found: nothing authorised captured declined voided refunded pending | wallet: paid short
    ("due", "i..............Cw"),
    ("authorising", "..a.xduudaCxx.u.."),
    ("authorised", ".c..............."),
    ("capturing", "...CxaUU.aCxx.U.."),
    ("unknown", ".......udaCxx.u.."),
    ("unknown while capturing", ".......U.aCxx.U.."),
    ("captured", "................."),
    ("declined", "................."),
];

#[expect(clippy::needless_pass_by_value, reason = "the tables read better without references")]
fn letter(state: Option<State>) -> char {
    match state {
        None => '.',
        Some(State::Due) => 'd',
        Some(State::Authorising) => 'i',
        Some(State::Authorised { .. }) => 'a',
        Some(State::Capturing { .. }) => 'c',
        Some(State::Unknown { authorisation: None }) => 'u',
        Some(State::Unknown { authorisation: Some(_) }) => 'U',
        Some(State::Captured) => 'C',
        Some(State::Declined { reason: DeclineReason::Acquirer(_) }) => 'x',
        Some(State::Declined { reason: DeclineReason::WalletShort }) => 'w',
    }
}

#[test]
fn every_state_meets_every_event_as_the_table_says() {
    for (state, (name, row)) in states().iter().zip(TABLE) {
        let computed: String = events().iter().map(|event| letter(state.after(event))).collect();
        assert_eq!(computed, row, "{name}");
    }
}

#[test]
fn the_authorisation_is_kept_through_capture_and_doubt() {
    for (before, event, after) in [
        (
            State::Authorising,
            Event::Authorised { authorisation: id("a") },
            State::Authorised { authorisation: id("a") },
        ),
        (
            State::Authorised { authorisation: id("a") },
            Event::CaptureBegun,
            State::Capturing { authorisation: id("a") },
        ),
        (State::Capturing { authorisation: id("a") }, Event::NoAnswer, State::Unknown { authorisation: Some(id("a")) }),
        (
            State::Unknown { authorisation: Some(id("a")) },
            Event::Found(Found::Authorised { authorisation: id("a") }),
            State::Authorised { authorisation: id("a") },
        ),
    ] {
        assert_eq!(before.after(&event), Some(after));
    }
}

#[test]
fn an_acquirer_that_contradicts_itself_stops_the_charge() {
    let doubt = State::Unknown { authorisation: Some(id("a")) };
    for found in
        [Found::Nothing, Found::Authorised { authorisation: id("b") }, Found::Captured { authorisation: id("b") }]
    {
        assert_eq!(doubt.after(&Event::Found(found)), None);
    }
}
