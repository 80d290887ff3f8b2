use super::*;
use crate::charge::Instrument;

fn id(name: &str) -> AuthorisationId {
    AuthorisationId::new(name)
}

fn declined() -> State {
    State::Declined { decline: Decline::soft("no") }
}

fn states() -> Vec<State> {
    vec![
        State::Due,
        State::Authorising,
        State::Authorised { authorisation: id("a") },
        State::Capturing { authorisation: id("a") },
        State::Voiding { authorisation: id("a") },
        State::Pending { authorisation: None },
        State::Pending { authorisation: Some(id("a")) },
        State::Unknown { authorisation: None },
        State::Unknown { authorisation: Some(id("a")) },
        State::Captured,
        State::Voided,
        declined(),
        State::Debt { decline: Decline::soft("no"), again_at: None },
        State::Refused { decline: Decline::hard("no") },
        State::Waived,
        State::Settled,
    ]
}

fn events() -> Vec<Event> {
    vec![
        Event::Chosen(Instrument::Wallet.into()),
        Event::NoneLeft { again_at: None },
        Event::Waived,
        Event::AuthoriseBegun,
        Event::CaptureBegun,
        Event::VoidBegun,
        Event::Authorised { authorisation: id("a") },
        Event::Captured,
        Event::Voided,
        Event::TakenOn,
        Event::Declined(Decline::soft("no")),
        Event::NotReached,
        Event::NoAnswer,
        Event::QueryFailed,
        Event::Found(Found::Nothing),
        Event::Found(Found::Authorised { authorisation: id("a") }),
        Event::Found(Found::Captured { authorisation: id("a") }),
        Event::Found(Found::Voided),
        Event::Found(Found::Declined(Decline::soft("no"))),
        Event::Found(Found::Pending { authorisation: id("a") }),
        Event::Found(Found::Refunded),
    ]
}

/// One letter per state, `.` for "cannot happen": rows are states, columns events, in the order above.
/// d due, i authorising, a authorised, c capturing, v voiding, p pending, P pending with an authorisation, u unknown,
/// U unknown with an authorisation, C captured, V voided, x declined, D debt,
/// W waived.
const TABLE: [(&str, &str); 16] = [
    // chosen none-left waived | authorise capture void | authorised captured voided taken-on declined | not-reached no-answer
    // query-failed | found: nothing authorised captured voided declined pending refunded
    ("due", "...i................."),
    ("authorising", "......a..pxduudaCVxP."),
    ("authorised", "....cv..............."),
    ("capturing", ".......C.PxaUU.aCVxP."),
    ("voiding", "........VP.aUU.aCVxP."),
    ("pending", ".............p.aCVxP."),
    ("pending with an authorisation", ".............P.aCVxP."),
    ("unknown", ".............udaCVxP."),
    ("unknown with an authorisation", ".............U.aCVxP."),
    ("captured", "....................."),
    ("voided", "....................."),
    ("declined", "dD..................."),
    ("debt", "dDW.................."),
    ("refused", "....................."),
    ("waived", "....................."),
    ("settled", "....................."),
];

#[expect(clippy::needless_pass_by_value, reason = "the tables read better without references")]
fn letter(state: Option<State>) -> char {
    match state {
        None => '.',
        Some(State::Due) => 'd',
        Some(State::Authorising) => 'i',
        Some(State::Authorised { .. }) => 'a',
        Some(State::Capturing { .. }) => 'c',
        Some(State::Voiding { .. }) => 'v',
        Some(State::Pending { authorisation: None }) => 'p',
        Some(State::Pending { authorisation: Some(_) }) => 'P',
        Some(State::Unknown { authorisation: None }) => 'u',
        Some(State::Unknown { authorisation: Some(_) }) => 'U',
        Some(State::Captured) => 'C',
        Some(State::Voided) => 'V',
        Some(State::Declined { .. }) => 'x',
        Some(State::Debt { .. }) => 'D',
        Some(State::Refused { .. }) => 'r',
        Some(State::Waived) => 'W',
        Some(State::Settled) => 's',
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
    let (a, known) = (id("a"), Some(id("a")));
    for (before, event, after) in [
        (
            State::Authorising,
            Event::Authorised { authorisation: a.clone() },
            State::Authorised { authorisation: a.clone() },
        ),
        (
            State::Authorised { authorisation: a.clone() },
            Event::CaptureBegun,
            State::Capturing { authorisation: a.clone() },
        ),
        (
            State::Capturing { authorisation: a.clone() },
            Event::NoAnswer,
            State::Unknown { authorisation: known.clone() },
        ),
        (
            State::Capturing { authorisation: a.clone() },
            Event::TakenOn,
            State::Pending { authorisation: known.clone() },
        ),
        (
            State::Pending { authorisation: known.clone() },
            Event::QueryFailed,
            State::Pending { authorisation: known.clone() },
        ),
        (
            State::Unknown { authorisation: known },
            Event::Found(Found::Authorised { authorisation: a.clone() }),
            State::Authorised { authorisation: a },
        ),
    ] {
        assert_eq!(before.after(&event), Some(after));
    }
}

#[test]
fn an_acquirer_that_contradicts_itself_stops_the_charge() {
    let contradictions = [
        Found::Nothing,
        Found::Authorised { authorisation: id("b") },
        Found::Captured { authorisation: id("b") },
        Found::Pending { authorisation: id("b") },
        Found::Refunded,
    ];
    for doubt in [
        State::Unknown { authorisation: Some(id("a")) },
        State::Pending { authorisation: Some(id("a")) },
        State::Voiding { authorisation: id("a") },
    ] {
        for found in &contradictions {
            assert_eq!(doubt.after(&Event::Found(found.clone())), None, "{doubt:?} {found:?}");
        }
    }
    assert_eq!(State::Pending { authorisation: None }.after(&Event::Found(Found::Nothing)), None, "it was taken on");
}
