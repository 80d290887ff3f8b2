//! Executes `domain::passage`: stores before it opens, stores before it acknowledges, and after a crash asks the
//! hardware what became of every authorisation that was left alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use facegate_domain::ids::{RecordId, RiderId};
use facegate_domain::passage::{PassageCommand, PassageEvent, PassageState};
use facegate_domain::tap::{Authorisation, Medium, PassageOutcome};

use crate::actuator::{Actuator, AisleStatus, PassageToken, Sensed, Signal};
use crate::board::Board;
use crate::journal::GateJournal;

/// Why a granted rider cannot pass now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocked {
    /// Somebody is passing.
    Busy,
    /// Journal or hardware; the text is for the attendant.
    Fault(String),
}

/// A passage that the sensors have concluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concluded {
    pub rider: RiderId,
    pub outcome: PassageOutcome,
}

/// The door of this gate.
pub struct Door {
    actuator: Box<dyn Actuator>,
    journal: Arc<GateJournal>,
    board: Arc<Board>,
    state: PassageState,
    /// The authorisation that `state` is about.
    token: Option<PassageToken>,
    /// The hardware is connected and has told what it knows.
    online: bool,
    /// Seen by the sensors, but not on the disk yet because it would not take it.
    unstored: BTreeMap<PassageToken, (PassageOutcome, Option<u64>)>,
}

impl Door {
    pub fn new(actuator: Box<dyn Actuator>, journal: Arc<GateJournal>, board: Arc<Board>) -> Self {
        Self {
            actuator,
            journal,
            board,
            state: PassageState::Idle,
            token: None,
            online: false,
            unstored: BTreeMap::new(),
        }
    }

    /// Whether somebody is authorised and has not passed yet.
    pub fn is_busy(&self) -> bool {
        self.state != PassageState::Idle
    }

    pub fn is_online(&self) -> bool {
        self.online
    }

    /// Stores the authorisation, then opens. If the hardware went away in between, the authorisation stays without a
    /// passage and is cleared up when the hardware is back.
    pub async fn admit(&mut self, authorisation: Authorisation) -> Result<RecordId, Blocked> {
        if !self.online {
            return Err(Blocked::Fault("the aisle cannot be reached".into()));
        }
        let (state, command) = self.state.on(PassageEvent::Granted);
        if command != PassageCommand::StoreAuthorisation {
            return Err(Blocked::Busy);
        }
        self.state = state;
        let token = match self.journal.authorise(authorisation).await {
            Ok(token) => token,
            Err(error) => {
                (self.state, _) = self.state.on(PassageEvent::StoreFailed);
                return Err(Blocked::Fault(error.to_string()));
            }
        };
        let stored = PassageEvent::AuthorisationStored { authorisation: token.sequence };
        let (state, command) = self.state.on(stored);
        (self.state, self.token) = (state, Some(token));
        debug_assert!(matches!(command, PassageCommand::OpenDoor { .. }));
        self.actuator.open(token).await.map_err(|error| Blocked::Fault(error.to_string()))?;
        Ok(self.journal.record_id(token))
    }

    /// The next thing the hardware says. Dropping the future loses nothing.
    pub async fn next_signal(&mut self) -> Signal {
        self.actuator.next_signal().await
    }

    /// Gives the passages that are concluded by it, on the disk already.
    pub async fn on_signal(&mut self, signal: Signal) -> Vec<Concluded> {
        match signal {
            Signal::Offline => {
                self.online = false;
                self.board.aisle_online(false);
                Vec::new()
            }
            Signal::Online(status) => {
                let concluded = self.reconcile(status).await;
                self.online = true;
                self.board.aisle_online(true);
                concluded
            }
            Signal::Sensed(sensed) => self.sensed(sensed).await.into_iter().collect(),
        }
    }

    /// Tries again what the disk would not take.
    pub async fn retry_unstored(&mut self) -> Vec<Concluded> {
        let mut concluded = Vec::new();
        for (token, (outcome, event)) in std::mem::take(&mut self.unstored) {
            concluded.extend(self.conclude(token, outcome, event).await);
        }
        concluded
    }

    /// Clears up every authorisation without a passage with what the hardware knows.
    async fn reconcile(&mut self, status: AisleStatus) -> Vec<Concluded> {
        let mut concluded = Vec::new();
        for sensed in &status.unacknowledged {
            concluded.extend(self.sensed(*sensed).await);
        }
        for (token, _) in self.journal.unconcluded() {
            if status.open == Some(token) {
                self.state = PassageState::Open { authorisation: token.sequence };
                self.token = Some(token);
            } else if !self.unstored.contains_key(&token) {
                tracing::warn!(%token, "the aisle does not know what became of this authorisation");
                concluded.extend(self.conclude(token, PassageOutcome::Unknown, None).await);
            }
        }
        concluded
    }

    async fn sensed(&mut self, sensed: Sensed) -> Option<Concluded> {
        let known = self.journal.unconcluded().iter().any(|(token, _)| *token == sensed.token);
        if known {
            return self.conclude(sensed.token, sensed.outcome, Some(sensed.event)).await;
        }
        // Recorded before, and only the acknowledgement was lost; or of a journal that is lost as well.
        let (current, next) = self.journal.position();
        if sensed.token.epoch == current && sensed.token.sequence >= next {
            tracing::error!(token = %sensed.token, outcome = sensed.outcome.name(), "the aisle reports a passage that no journal authorises");
        }
        self.acknowledge(sensed.event).await;
        None
    }

    /// Records the outcome durably, then lets the hardware forget it.
    async fn conclude(
        &mut self,
        token: PassageToken,
        outcome: PassageOutcome,
        event: Option<u64>,
    ) -> Option<Concluded> {
        let authorisation = self.journal.unconcluded().into_iter().find(|(t, _)| *t == token)?.1;
        // An authorisation of before a restart has its own machine, which stands where the crash left it.
        let ours = self.token == Some(token);
        let open = if ours { self.state } else { PassageState::Open { authorisation: token.sequence } };
        let (concluding, command) = open.on(PassageEvent::Sensed { authorisation: token.sequence, outcome });
        if !matches!(command, PassageCommand::StorePassage { .. }) {
            return None;
        }
        let stored = self.journal.conclude(token, outcome).await;
        let event_of_store = if stored.is_ok() { PassageEvent::PassageStored } else { PassageEvent::StoreFailed };
        let (state, command) = concluding.on(event_of_store);
        if ours {
            self.state = state;
        }
        if let Err(error) = stored {
            tracing::error!(%token, %error, "the passage cannot be recorded; the sensors keep it, and it is tried again");
            self.board.fault(Some(error.to_string()));
            self.unstored.insert(token, (outcome, event));
            return None;
        }
        if ours {
            self.token = None;
        }
        if let (PassageCommand::AcknowledgeSensors { .. }, Some(event)) = (command, event) {
            self.acknowledge(event).await;
        }
        let medium: Medium = authorisation.evidence.medium();
        self.board.passed(&self.journal.record_id(token), medium, outcome);
        Some(Concluded { rider: authorisation.rider, outcome })
    }

    async fn acknowledge(&mut self, event: u64) {
        // If it is lost, the hardware repeats the event and we acknowledge it then.
        if let Err(error) = self.actuator.acknowledge(event).await {
            tracing::debug!(event, %error, "not acknowledged yet");
        }
    }
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Door({:?}, online={})", self.state, self.online)
    }
}
