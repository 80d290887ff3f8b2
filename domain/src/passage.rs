//! One authorised passage as a state machine: the order of disk, door and sensor that no crash may break.
//!
//! authorise → **store** → open → sensors → **store** → acknowledge the sensors. The gate-agent executes the commands;
//! each event is the completion of one, or something the hardware saw.

use crate::tap::PassageOutcome;

/// Where one passage stands. `authorisation` is the sequence of its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassageState {
    /// Door closed, nobody authorised.
    Idle,
    /// The authorisation is on its way to the disk; the door is still closed.
    Storing,
    /// The authorisation is on the disk, the door may be open.
    Open { authorisation: u64 },
    /// The outcome is on its way to the disk; the hardware still holds it.
    Concluding { authorisation: u64, outcome: PassageOutcome },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassageEvent {
    /// A rider was granted passage.
    Granted,
    /// The authorisation record is durable under this sequence.
    AuthorisationStored { authorisation: u64 },
    /// The record could not be stored.
    StoreFailed,
    /// The sensors concluded the passage of this authorisation.
    Sensed { authorisation: u64, outcome: PassageOutcome },
    /// The passage record is durable.
    PassageStored,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassageCommand {
    StoreAuthorisation,
    OpenDoor {
        authorisation: u64,
    },
    StorePassage {
        authorisation: u64,
        outcome: PassageOutcome,
    },
    /// The hardware may forget the event now.
    AcknowledgeSensors {
        authorisation: u64,
    },
    /// Someone is already passing: this rider is asked to wait.
    RefuseBusy,
    ReportFault,
    Nothing,
}

impl PassageState {
    /// The next state and what to do. An event that does not belong to the state changes nothing.
    #[must_use]
    pub fn on(self, event: PassageEvent) -> (Self, PassageCommand) {
        use PassageCommand as Command;
        use PassageEvent as Event;
        match (self, event) {
            (Self::Idle, Event::Granted) => (Self::Storing, Command::StoreAuthorisation),
            (state, Event::Granted) => (state, Command::RefuseBusy),

            (Self::Storing, Event::AuthorisationStored { authorisation }) => {
                (Self::Open { authorisation }, Command::OpenDoor { authorisation })
            }
            (Self::Storing, Event::StoreFailed) => (Self::Idle, Command::ReportFault),

            (Self::Open { authorisation: open }, Event::Sensed { authorisation, outcome }) if open == authorisation => {
                (Self::Concluding { authorisation, outcome }, Command::StorePassage { authorisation, outcome })
            }
            (Self::Concluding { authorisation, .. }, Event::PassageStored) => {
                (Self::Idle, Command::AcknowledgeSensors { authorisation })
            }
            // The hardware repeats an event until it is acknowledged, so a failed write is tried again then.
            (Self::Concluding { authorisation, .. }, Event::StoreFailed) => {
                (Self::Open { authorisation }, Command::ReportFault)
            }
            (state, _) => (state, Command::Nothing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [PassageState; 4] = [
        PassageState::Idle,
        PassageState::Storing,
        PassageState::Open { authorisation: 7 },
        PassageState::Concluding { authorisation: 7, outcome: PassageOutcome::Passed },
    ];
    const EVENTS: [PassageEvent; 6] = [
        PassageEvent::Granted,
        PassageEvent::AuthorisationStored { authorisation: 7 },
        PassageEvent::StoreFailed,
        PassageEvent::Sensed { authorisation: 7, outcome: PassageOutcome::Passed },
        PassageEvent::Sensed { authorisation: 6, outcome: PassageOutcome::Passed },
        PassageEvent::PassageStored,
    ];

    #[test]
    fn a_passage_goes_from_granted_to_acknowledged() {
        let mut state = PassageState::Idle;
        let mut commands = vec![];
        for event in [EVENTS[0], EVENTS[1], EVENTS[3], EVENTS[5]] {
            let (next, command) = state.on(event);
            state = next;
            commands.push(command);
        }
        assert_eq!(state, PassageState::Idle);
        assert_eq!(
            commands,
            [
                PassageCommand::StoreAuthorisation,
                PassageCommand::OpenDoor { authorisation: 7 },
                PassageCommand::StorePassage { authorisation: 7, outcome: PassageOutcome::Passed },
                PassageCommand::AcknowledgeSensors { authorisation: 7 },
            ]
        );
    }

    #[test]
    fn the_door_opens_only_when_the_authorisation_is_stored() {
        for state in STATES {
            for event in EVENTS {
                let (_, command) = state.on(event);
                let opens = matches!(command, PassageCommand::OpenDoor { .. });
                let stored = state == PassageState::Storing && event == EVENTS[1];
                assert_eq!(opens, stored, "{state:?} on {event:?}");
            }
        }
    }

    #[test]
    fn sensors_are_acknowledged_only_when_the_passage_is_stored() {
        for state in STATES {
            for event in EVENTS {
                let (_, command) = state.on(event);
                let acknowledges = matches!(command, PassageCommand::AcknowledgeSensors { .. });
                let stored = matches!(state, PassageState::Concluding { .. }) && event == PassageEvent::PassageStored;
                assert_eq!(acknowledges, stored, "{state:?} on {event:?}");
            }
        }
    }

    #[test]
    fn a_foreign_or_late_event_changes_nothing() {
        let (state, command) = STATES[2].on(EVENTS[4]);
        assert_eq!((state, command), (STATES[2], PassageCommand::Nothing));
        let (state, command) = STATES[0].on(EVENTS[3]);
        assert_eq!((state, command), (STATES[0], PassageCommand::Nothing));
    }
}
