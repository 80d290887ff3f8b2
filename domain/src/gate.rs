//! A gate as a state machine: idle → approaching → deciding → open → passing → closed, and the order of disk, door and
//! sensor that no crash may break.
//!
//! authorise → **store** → open → sensors → **store** → acknowledge the sensors. The gate-agent executes the commands;
//! each event is the completion of one, something the sensors found ([`crate::aisle`]), or something that was told. A
//! second rider may be authorised while the first is passing: the door stays open for him, and each has a passage of
//! his own. What every state does on every event is listed in `gate/table.md`, which a test holds to be true.

mod mode;

pub use self::mode::{GateMode, Rest};
use crate::tap::PassageOutcome;

/// The rider behind the one who is passing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Authorised, not in the aisle yet.
    Waits(u64),
    /// In the aisle too.
    Follows(u64),
}

/// Where a gate stands. Numbers are sequences of authorisations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateState {
    /// Door closed, nobody near.
    Idle,
    /// Emergency: the door stands open for everybody.
    Standing,
    /// Closed, at fault, in maintenance, or the mode serves the other side.
    OutOfService,
    /// Somebody is coming and being looked at.
    Approaching,
    /// The station (or the admission rule) is being asked.
    Deciding,
    /// The authorisation is on its way to the disk; the door is still closed.
    Storing,
    /// The door is open, nobody has entered.
    Open { rider: u64 },
    /// He is between the beams.
    Passing { rider: u64 },
    /// He is, and the authorisation of the next one is on its way to the disk.
    PassingStoring { rider: u64 },
    /// He is, and the next one is authorised.
    Queued { rider: u64, next: Next },
    /// The door has closed behind him; the outcome is on its way to the disk, and the hardware still holds it.
    Closed { rider: u64 },
    /// The outcome and the next authorisation are on their way to the disk.
    ClosedStoring { rider: u64 },
    /// The outcome is on its way to the disk; the door stays open for the next one.
    ClosedQueued { rider: u64, next: Next },
    /// An attendant opened once: somebody passes without a tap.
    LetThrough,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateEvent {
    /// Somebody is near, or shows a code.
    Approached,
    /// Nobody is there any more, or he was told why not.
    Left,
    /// A decision about him was asked for.
    Asked,
    Refused,
    /// A rider was granted passage.
    Granted,
    /// The authorisation record is durable under this sequence.
    AuthorisationStored(u64),
    AuthorisationUnstored,
    /// The sensors found the rider of this authorisation in the aisle.
    Entered(u64),
    /// The sensors concluded the passage of this authorisation.
    Concluded(u64, PassageOutcome),
    PassageStored(u64),
    /// The passage record could not be stored; it is tried again.
    PassageUnstored(u64),
    /// After a start: the hardware holds the door open for this authorisation.
    Resumed(u64),
    /// An attendant opens once.
    OpenOnce,
    /// Whom that was for is through, or nobody came.
    OnceConcluded,
    /// The mode changed, a fault came or went.
    Told(Rest),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateCommand {
    StoreAuthorisation,
    OpenDoor(u64),
    /// Nobody else is authorised: the door closes before the outcome is written.
    CloseAndStore(u64, PassageOutcome),
    /// The door stays as it is: the next rider is authorised, or it stands open for all.
    Store(u64, PassageOutcome),
    /// The hardware may forget what this passage was told from.
    AcknowledgeSensors(u64),
    /// Someone is already passing: this rider is asked to wait.
    RefuseBusy,
    /// Nobody passes here by a tap now.
    RefuseMode,
    ReportFault,
    /// For one body, on nobody's account.
    OpenOnce,
    StandOpen,
    CloseDoor,
    Nothing,
}

/// The state, and what the gate goes back to when nobody is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gate {
    pub state: GateState,
    pub rest: Rest,
}

impl Default for Gate {
    fn default() -> Self {
        Self { state: GateState::Idle, rest: Rest::InService }
    }
}

impl GateState {
    /// The name on the screen and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Standing => "standing",
            Self::OutOfService => "out_of_service",
            Self::Approaching => "approaching",
            Self::Deciding => "deciding",
            Self::Storing => "storing",
            Self::Open { .. } => "open",
            Self::Passing { .. } => "passing",
            Self::PassingStoring { .. } => "passing_storing",
            Self::Queued { .. } => "queued",
            Self::Closed { .. } => "closed",
            Self::ClosedStoring { .. } => "closed_storing",
            Self::ClosedQueued { .. } => "closed_queued",
            Self::LetThrough => "let_through",
        }
    }

    /// Whether a rider may be decided about: nobody is authorised, or the one who is has entered and has none behind.
    pub const fn takes_a_rider(self) -> bool {
        matches!(self, Self::Idle | Self::Approaching | Self::Deciding | Self::Passing { .. })
    }

    /// Whether nobody's passage is under way.
    pub const fn is_at_rest(self) -> bool {
        matches!(self, Self::Idle | Self::Standing | Self::OutOfService | Self::Approaching | Self::Deciding)
    }

    /// Authorisations whose passage is not concluded yet.
    pub fn under_way(self) -> impl Iterator<Item = u64> {
        let (rider, next) = match self {
            Self::Open { rider } | Self::Passing { rider } | Self::PassingStoring { rider } => (Some(rider), None),
            Self::Queued { rider, next } => (Some(rider), Some(next.rider())),
            Self::ClosedQueued { next, .. } => (None, Some(next.rider())),
            _ => (None, None),
        };
        rider.into_iter().chain(next)
    }
}

impl Next {
    pub const fn rider(self) -> u64 {
        match self {
            Self::Waits(rider) | Self::Follows(rider) => rider,
        }
    }

    const fn as_first(self) -> GateState {
        match self {
            Self::Waits(rider) => GateState::Open { rider },
            Self::Follows(rider) => GateState::Passing { rider },
        }
    }
}

use GateCommand as Command;
use GateEvent as Event;
use GateState as State;

impl Gate {
    /// What to do. An event that does not belong to the state changes nothing.
    pub fn on(&mut self, event: GateEvent) -> GateCommand {
        if let Event::Told(rest) = event {
            return self.told(rest);
        }
        let (state, command) = match self.state {
            State::Idle | State::Approaching | State::Deciding => self.before(event),
            State::Standing | State::OutOfService => self.out_of_service(event),
            State::Storing | State::Open { .. } | State::LetThrough => self.open(event),
            State::Passing { .. } | State::PassingStoring { .. } | State::Queued { .. } => self.passing(event),
            State::Closed { .. } | State::ClosedStoring { .. } | State::ClosedQueued { .. } => self.closed(event),
        };
        self.state = state;
        command
    }

    const fn at_rest(self) -> GateState {
        match self.rest {
            Rest::InService => State::Idle,
            Rest::Standing => State::Standing,
            Rest::OutOfService => State::OutOfService,
        }
    }

    /// Whoever is on his way is let through first; the door obeys an emergency at once.
    fn told(&mut self, rest: Rest) -> GateCommand {
        let before = std::mem::replace(&mut self.rest, rest);
        if self.state.is_at_rest() && before != rest {
            self.state = self.at_rest();
        }
        match (before, rest) {
            (_, Rest::Standing) => Command::StandOpen,
            (Rest::Standing, _) => Command::CloseDoor,
            _ => Command::Nothing,
        }
    }

    const fn before(self, event: GateEvent) -> (GateState, GateCommand) {
        match (self.state, event) {
            (State::Idle | State::Approaching, Event::Approached) => (State::Approaching, Command::Nothing),
            (_, Event::Left) => (State::Idle, Command::Nothing),
            (_, Event::Asked) => (State::Deciding, Command::Nothing),
            (State::Deciding, Event::Refused) => (State::Approaching, Command::Nothing),
            (_, Event::Granted) => (State::Storing, Command::StoreAuthorisation),
            (_, Event::Resumed(rider)) => (State::Open { rider }, Command::Nothing),
            (_, Event::OpenOnce) => (State::LetThrough, Command::OpenOnce),
            (state, _) => (state, Command::Nothing),
        }
    }

    const fn out_of_service(self, event: GateEvent) -> (GateState, GateCommand) {
        match (self.state, event) {
            (state, Event::Granted) => (state, Command::RefuseMode),
            // Authorised before: he is let through.
            (_, Event::Resumed(rider)) => (State::Open { rider }, Command::Nothing),
            (State::OutOfService, Event::OpenOnce) => (State::LetThrough, Command::OpenOnce),
            (state, _) => (state, Command::Nothing),
        }
    }

    fn open(self, event: GateEvent) -> (GateState, GateCommand) {
        match (self.state, event) {
            (state, Event::Granted) => (state, Command::RefuseBusy),
            (State::Storing, Event::AuthorisationStored(rider)) => (State::Open { rider }, Command::OpenDoor(rider)),
            (State::Storing, Event::AuthorisationUnstored) => (self.at_rest(), Command::ReportFault),
            (State::Open { rider }, Event::Entered(who)) if rider == who => {
                (State::Passing { rider }, Command::Nothing)
            }
            (State::Open { rider }, Event::Concluded(who, outcome)) if rider == who => self.conclude(rider, outcome),
            (State::LetThrough, Event::OnceConcluded) => {
                let close = if self.rest == Rest::Standing { Command::Nothing } else { Command::CloseDoor };
                (self.at_rest(), close)
            }
            // The journal tells of two only if the second was authorised while the first was passing.
            (State::Open { rider }, Event::Resumed(next)) if rider != next => {
                (State::Queued { rider, next: Next::Waits(next) }, Command::Nothing)
            }
            (state, _) => (state, Command::Nothing),
        }
    }

    fn passing(self, event: GateEvent) -> (GateState, GateCommand) {
        match (self.state, event) {
            (State::Passing { rider }, Event::Granted) if self.rest == Rest::InService => {
                (State::PassingStoring { rider }, Command::StoreAuthorisation)
            }
            (state @ State::Passing { .. }, Event::Granted) => (state, Command::RefuseMode),
            (state, Event::Granted) => (state, Command::RefuseBusy),
            (State::PassingStoring { rider }, Event::AuthorisationStored(next)) => {
                (State::Queued { rider, next: Next::Waits(next) }, Command::OpenDoor(next))
            }
            (State::PassingStoring { rider }, Event::AuthorisationUnstored) => {
                (State::Passing { rider }, Command::ReportFault)
            }
            (State::Passing { rider }, Event::Resumed(next)) if rider != next => {
                (State::Queued { rider, next: Next::Waits(next) }, Command::Nothing)
            }
            (State::Passing { rider }, Event::Concluded(who, outcome)) if rider == who => self.conclude(rider, outcome),
            (State::PassingStoring { rider }, Event::Concluded(who, outcome)) if rider == who => {
                (State::ClosedStoring { rider }, Command::Store(rider, outcome))
            }
            (State::Queued { rider, next: Next::Waits(next) }, Event::Entered(who)) if who == next => {
                (State::Queued { rider, next: Next::Follows(next) }, Command::Nothing)
            }
            (State::Queued { rider, next }, Event::Concluded(who, outcome)) if rider == who => {
                (State::ClosedQueued { rider, next }, Command::Store(rider, outcome))
            }
            // The one behind has turned back, or did not come; the first is still between the beams.
            (State::Queued { rider, next }, Event::Concluded(who, outcome)) if next.rider() == who => {
                (State::ClosedQueued { rider: who, next: Next::Follows(rider) }, Command::Store(who, outcome))
            }
            (state, _) => (state, Command::Nothing),
        }
    }

    fn closed(self, event: GateEvent) -> (GateState, GateCommand) {
        let stored = |who: u64, rider: u64| who == rider;
        match (self.state, event) {
            (state, Event::Granted) => (state, Command::RefuseBusy),
            (State::Closed { rider }, Event::PassageStored(who)) if stored(who, rider) => {
                (self.at_rest(), Command::AcknowledgeSensors(rider))
            }
            // The gate goes on; the hardware keeps what it saw, and the record is tried again.
            (State::Closed { rider }, Event::PassageUnstored(who)) if stored(who, rider) => {
                (self.at_rest(), Command::ReportFault)
            }
            (State::ClosedQueued { rider, next }, Event::PassageStored(who)) if stored(who, rider) => {
                (next.as_first(), Command::AcknowledgeSensors(rider))
            }
            (State::ClosedQueued { rider, next }, Event::PassageUnstored(who)) if stored(who, rider) => {
                (next.as_first(), Command::ReportFault)
            }
            (State::ClosedQueued { rider, next: Next::Waits(next) }, Event::Entered(who)) if who == next => {
                (State::ClosedQueued { rider, next: Next::Follows(next) }, Command::Nothing)
            }
            (State::ClosedStoring { rider }, Event::AuthorisationStored(next)) => {
                (State::ClosedQueued { rider, next: Next::Waits(next) }, Command::OpenDoor(next))
            }
            (State::ClosedStoring { rider }, Event::AuthorisationUnstored) => {
                (State::Closed { rider }, Command::ReportFault)
            }
            (State::ClosedStoring { rider }, Event::PassageStored(who)) if stored(who, rider) => {
                (State::Storing, Command::AcknowledgeSensors(rider))
            }
            (State::ClosedStoring { rider }, Event::PassageUnstored(who)) if stored(who, rider) => {
                (State::Storing, Command::ReportFault)
            }
            (state, _) => (state, Command::Nothing),
        }
    }

    /// The last one on his way is through.
    fn conclude(self, rider: u64, outcome: PassageOutcome) -> (GateState, GateCommand) {
        let command = if self.rest == Rest::Standing {
            Command::Store(rider, outcome)
        } else {
            Command::CloseAndStore(rider, outcome)
        };
        (State::Closed { rider }, command)
    }
}

#[cfg(test)]
mod tests;
