//! Every state on every event, as `table.md` lists it, and what no pair of them may ever do.

use std::fmt::Write as _;

use super::*;
use crate::operation::StationMode;
use crate::tap::Direction;

const A: u64 = 7;
const B: u64 = 8;
const OTHER: u64 = 3;
const PASSED: PassageOutcome = PassageOutcome::Passed;
const TABLE: &str = include_str!("table.md");

const STATES: [(&str, GateState); 16] = [
    ("idle", State::Idle),
    ("standing", State::Standing),
    ("out of service", State::OutOfService),
    ("approaching", State::Approaching),
    ("deciding", State::Deciding),
    ("storing", State::Storing),
    ("open A", State::Open { rider: A }),
    ("passing A", State::Passing { rider: A }),
    ("passing A, storing", State::PassingStoring { rider: A }),
    ("passing A, B waits", State::Queued { rider: A, next: Next::Waits(B) }),
    ("passing A, B follows", State::Queued { rider: A, next: Next::Follows(B) }),
    ("closed A", State::Closed { rider: A }),
    ("closed A, storing", State::ClosedStoring { rider: A }),
    ("closed A, B waits", State::ClosedQueued { rider: A, next: Next::Waits(B) }),
    ("closed A, B follows", State::ClosedQueued { rider: A, next: Next::Follows(B) }),
    ("let through", State::LetThrough),
];

const EVENTS: [(&str, GateEvent); 25] = [
    ("approached", Event::Approached),
    ("left", Event::Left),
    ("asked", Event::Asked),
    ("refused", Event::Refused),
    ("granted", Event::Granted),
    ("authorisation B stored", Event::AuthorisationStored(B)),
    ("authorisation unstored", Event::AuthorisationUnstored),
    ("entered A", Event::Entered(A)),
    ("entered B", Event::Entered(B)),
    ("entered another", Event::Entered(OTHER)),
    ("concluded A", Event::Concluded(A, PASSED)),
    ("concluded B", Event::Concluded(B, PASSED)),
    ("concluded another", Event::Concluded(OTHER, PASSED)),
    ("passage A stored", Event::PassageStored(A)),
    ("passage B stored", Event::PassageStored(B)),
    ("passage of another stored", Event::PassageStored(OTHER)),
    ("passage A unstored", Event::PassageUnstored(A)),
    ("passage B unstored", Event::PassageUnstored(B)),
    ("resumed A", Event::Resumed(A)),
    ("resumed B", Event::Resumed(B)),
    ("open once", Event::OpenOnce),
    ("once concluded", Event::OnceConcluded),
    ("told: in service", Event::Told(Rest::InService)),
    ("told: stand open", Event::Told(Rest::Standing)),
    ("told: out of service", Event::Told(Rest::OutOfService)),
];

/// The rest that a state belongs to; those under way may come back to any, and the table shows them in service.
fn gate(state: GateState) -> Gate {
    let rest = match state {
        State::Standing => Rest::Standing,
        State::OutOfService => Rest::OutOfService,
        _ => Rest::InService,
    };
    Gate { state, rest }
}

fn state_name(state: GateState) -> String {
    let of = |rider: u64| if rider == A { "A" } else { "B" };
    let next = |next: Next| match next {
        Next::Waits(rider) => format!("{} waits", of(rider)),
        Next::Follows(rider) => format!("{} follows", of(rider)),
    };
    match state {
        State::Open { rider } => format!("open {}", of(rider)),
        State::Passing { rider } => format!("passing {}", of(rider)),
        State::PassingStoring { rider } => format!("passing {}, storing", of(rider)),
        State::Queued { rider, next: behind } => format!("passing {}, {}", of(rider), next(behind)),
        State::Closed { rider } => format!("closed {}", of(rider)),
        State::ClosedStoring { rider } => format!("closed {}, storing", of(rider)),
        State::ClosedQueued { rider, next: behind } => format!("closed {}, {}", of(rider), next(behind)),
        named => STATES.iter().find(|(_, state)| *state == named).map_or_else(String::new, |(name, _)| (*name).into()),
    }
}

fn command_name(command: GateCommand) -> String {
    let of = |rider: u64| if rider == A { "A" } else { "B" };
    match command {
        Command::StoreAuthorisation => "store the authorisation".into(),
        Command::OpenDoor(rider) => format!("open for {}", of(rider)),
        Command::CloseAndStore(rider, _) => format!("close, store the passage of {}", of(rider)),
        Command::Store(rider, _) => format!("store the passage of {}", of(rider)),
        Command::AcknowledgeSensors(rider) => format!("acknowledge the sensors of {}", of(rider)),
        Command::RefuseBusy => "ask to wait".into(),
        Command::RefuseMode => "refuse: the mode".into(),
        Command::ReportFault => "report the fault".into(),
        Command::OpenOnce => "open for one body".into(),
        Command::StandOpen => "stand open".into(),
        Command::CloseDoor => "close".into(),
        Command::Nothing => String::new(),
    }
}

#[test]
fn the_table_lists_every_state_on_every_event() {
    let mut table = String::from(
        "What a gate does: every state on every event. A is the rider in the aisle or the only one, B the one behind; an\n\
         empty cell is \"nothing\". Written by the test that checks it.\n\n| state | event | becomes | does |\n|---|---|---|---|\n",
    );
    for (name, state) in STATES {
        for (event_name, event) in EVENTS {
            let mut gate = gate(state);
            let command = gate.on(event);
            let becomes = if gate.state == state { String::new() } else { state_name(gate.state) };
            writeln!(table, "| {name} | {event_name} | {becomes} | {} |", command_name(command)).unwrap();
        }
    }
    if std::env::var_os("FACEGATE_WRITE_TABLE").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/gate/table.md");
        std::fs::write(path, &table).unwrap();
    } else {
        assert!(table == TABLE, "run this test once with FACEGATE_WRITE_TABLE=1, and read what changed in table.md");
    }
}

/// No state is missing from the table: this does not compile with one more, and the count is of the list.
#[test]
fn no_state_and_no_event_is_left_out() {
    let kind = |state: GateState| match state {
        State::Idle => 0,
        State::Standing => 1,
        State::OutOfService => 2,
        State::Approaching => 3,
        State::Deciding => 4,
        State::Storing => 5,
        State::Open { .. } => 6,
        State::Passing { .. } => 7,
        State::PassingStoring { .. } => 8,
        State::Queued { next: Next::Waits(_), .. } => 9,
        State::Queued { next: Next::Follows(_), .. } => 10,
        State::Closed { .. } => 11,
        State::ClosedStoring { .. } => 12,
        State::ClosedQueued { next: Next::Waits(_), .. } => 13,
        State::ClosedQueued { next: Next::Follows(_), .. } => 14,
        State::LetThrough => 15,
    };
    assert!(STATES.iter().enumerate().all(|(place, (_, state))| kind(*state) == place));
    let kind = |event: GateEvent| match event {
        Event::Approached => 0,
        Event::Left => 1,
        Event::Asked => 2,
        Event::Refused => 3,
        Event::Granted => 4,
        Event::AuthorisationStored(_) => 5,
        Event::AuthorisationUnstored => 6,
        Event::Entered(_) => 7,
        Event::Concluded(..) => 8,
        Event::PassageStored(_) => 9,
        Event::PassageUnstored(_) => 10,
        Event::Resumed(_) => 11,
        Event::OpenOnce => 12,
        Event::OnceConcluded => 13,
        Event::Told(_) => 14,
    };
    let mut kinds: Vec<u8> = EVENTS.iter().map(|(_, event)| kind(*event)).collect();
    kinds.dedup();
    assert_eq!(kinds, (0..=14).collect::<Vec<u8>>());
}

fn every_pair(mut look: impl FnMut(Gate, GateEvent, Gate, GateCommand)) {
    for rest in [Rest::InService, Rest::Standing, Rest::OutOfService] {
        for (_, state) in STATES {
            for (_, event) in EVENTS {
                let before = Gate { rest, ..gate(state) };
                let mut after = before;
                let command = after.on(event);
                look(before, event, after, command);
            }
        }
    }
}

#[test]
fn the_door_opens_for_a_rider_only_when_his_authorisation_is_stored() {
    every_pair(|before, event, _, command| {
        let opens = matches!(command, Command::OpenDoor(_));
        let waits = matches!(before.state, State::Storing | State::PassingStoring { .. } | State::ClosedStoring { .. });
        let stored = waits && matches!(event, Event::AuthorisationStored(_));
        assert_eq!(opens, stored, "{before:?} on {event:?}");
    });
}

#[test]
fn sensors_are_acknowledged_only_when_the_passage_is_stored() {
    every_pair(|before, event, _, command| {
        if let Command::AcknowledgeSensors(rider) = command {
            assert_eq!(event, Event::PassageStored(rider), "{before:?}");
        }
    });
}

#[test]
fn nobody_under_way_is_ever_forgotten() {
    every_pair(|before, event, after, command| {
        let kept: Vec<u64> = after.state.under_way().collect();
        let stored = match command {
            Command::CloseAndStore(rider, _) | Command::Store(rider, _) => Some(rider),
            _ => None,
        };
        for rider in before.state.under_way() {
            assert!(kept.contains(&rider) != (stored == Some(rider)), "{before:?} on {event:?}: {after:?} {command:?}");
        }
    });
}

#[test]
fn the_door_never_closes_on_somebody_who_is_authorised() {
    every_pair(|before, event, after, command| {
        let closes = matches!(command, Command::CloseAndStore(..));
        assert!(!closes || after.state.under_way().next().is_none(), "{before:?} on {event:?}");
        if closes {
            assert_ne!(before.rest, Rest::Standing);
        }
    });
}

#[test]
fn in_an_emergency_the_door_stands_open_whatever_the_gate_was_doing() {
    for (_, state) in STATES {
        let mut gate = gate(state);
        assert_eq!(gate.on(Event::Told(Rest::Standing)), Command::StandOpen, "{state:?}");
        assert_ne!(gate.on(Event::Granted), Command::StoreAuthorisation, "{state:?}");
    }
}

#[test]
fn two_riders_in_close_succession_have_a_passage_each() {
    let mut gate = Gate::default();
    let story = [
        (Event::Approached, Command::Nothing),
        (Event::Asked, Command::Nothing),
        (Event::Granted, Command::StoreAuthorisation),
        (Event::AuthorisationStored(A), Command::OpenDoor(A)),
        (Event::Granted, Command::RefuseBusy),
        (Event::Entered(A), Command::Nothing),
        (Event::Granted, Command::StoreAuthorisation),
        (Event::AuthorisationStored(B), Command::OpenDoor(B)),
        (Event::Granted, Command::RefuseBusy),
        (Event::Entered(B), Command::Nothing),
        (Event::Concluded(A, PASSED), Command::Store(A, PASSED)),
        (Event::PassageStored(A), Command::AcknowledgeSensors(A)),
        (Event::Concluded(B, PASSED), Command::CloseAndStore(B, PASSED)),
        (Event::PassageStored(B), Command::AcknowledgeSensors(B)),
    ];
    for (event, command) in story {
        assert_eq!(gate.on(event), command, "{event:?}");
    }
    assert_eq!(gate, Gate::default());
}

#[test]
fn modes_read_back_by_name_and_say_which_side_they_serve() {
    for mode in GateMode::ALL {
        assert_eq!(GateMode::from_name(mode.name()), Some(mode));
    }
    use Direction::{Entry, Exit};
    assert_eq!(GateMode::NormalEntry.rest(Entry), Rest::InService);
    assert_eq!(GateMode::NormalEntry.rest(Exit), Rest::OutOfService);
    assert_eq!(GateMode::NormalExit.rest(Entry), Rest::OutOfService);
    assert_eq!(GateMode::Bidirectional.rest(Exit), Rest::InService);
    assert_eq!(GateMode::EmergencyOpen.rest(Entry), Rest::Standing);
    for mode in [GateMode::FareExempt, GateMode::TimeExempt, GateMode::SequenceExempt] {
        assert_eq!(mode.rest(Exit), Rest::InService);
    }
}

#[test]
fn a_stations_emergency_opens_every_gate_and_its_closing_opens_none() {
    for mode in GateMode::ALL {
        assert_eq!(mode.under(StationMode::EmergencyOpen), GateMode::EmergencyOpen);
        assert_eq!(mode.under(StationMode::Normal), mode);
        assert_ne!(mode.under(StationMode::Closed).rest(Direction::Entry), Rest::InService, "{mode}");
    }
    assert_eq!(GateMode::EmergencyOpen.under(StationMode::Closed), GateMode::EmergencyOpen);
    assert_eq!(GateMode::Normal.under(StationMode::FareFree), GateMode::FareExempt);
}

#[test]
fn of_the_modes_that_a_passage_meets_the_one_that_gives_up_most_counts() {
    use GateMode::{Closed, EmergencyOpen, FareExempt, Maintenance, Normal, SequenceExempt, TimeExempt};
    for (first, later, expected) in [
        (Normal, EmergencyOpen, EmergencyOpen),
        (EmergencyOpen, Normal, EmergencyOpen),
        (FareExempt, EmergencyOpen, EmergencyOpen),
        (FareExempt, Normal, FareExempt),
        (Normal, FareExempt, FareExempt),
        (FareExempt, TimeExempt, FareExempt),
        (TimeExempt, SequenceExempt, SequenceExempt),
        (TimeExempt, Closed, TimeExempt),
        (Normal, Closed, Closed),
        (Closed, Maintenance, Maintenance),
    ] {
        assert_eq!(first.then(later), expected, "{first}, then {later}");
    }
    for one in GateMode::ALL {
        assert_eq!(one.then(one), one);
        for two in GateMode::ALL {
            for three in GateMode::ALL {
                assert_eq!(one.then(two).then(three), one.then(two.then(three)), "{one} {two} {three}");
            }
        }
    }
}
