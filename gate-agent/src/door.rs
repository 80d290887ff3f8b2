//! Executes `domain::gate`: stores before it opens, stores before it acknowledges, and after a crash works out from what
//! the hardware has kept what became of every authorisation that was left alone.

mod told;

use std::collections::BTreeMap;
use std::sync::Arc;

use facegate_domain::Clock;
use facegate_domain::aisle::{Aisle, AislePolicy, Beam, Finding, PassageToken, Saw};
use facegate_domain::gate::{Gate, GateCommand, GateEvent, GateMode, GateState, Rest};
use facegate_domain::ids::{RecordId, RiderId};
use facegate_domain::tap::{Authorisation, Direction, Medium, PassageOutcome, Remark, Remarks};

use crate::actuator::{Actuator, AisleEvent, AisleStatus, Lamp, Order, Signal, Sound};
use crate::board::{Alarm, Board};
use crate::journal::GateJournal;
use crate::memory::Memory;

/// Reports may be so long on their way: time that passes without any is let pass so much later.
const REPORTS_LATE_MS: u64 = 150;

/// Why a granted rider cannot pass now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocked {
    /// Somebody is passing.
    Busy,
    /// Nobody passes here by a tap now.
    Mode(GateMode),
    /// Journal or hardware; the text is for the attendant.
    Fault(String),
}

/// A passage that the sensors have concluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concluded {
    pub rider: RiderId,
    pub outcome: PassageOutcome,
}

/// What a door works with.
pub struct DoorParts {
    pub actuator: Box<dyn Actuator>,
    pub journal: Arc<GateJournal>,
    pub memory: Memory,
    pub board: Arc<Board>,
    pub clock: Arc<dyn Clock>,
    pub side: Direction,
    /// What the hardware does with the door when this process is silent.
    pub opens_without_gate: bool,
    pub policy: AislePolicy,
}

/// The door of this gate.
pub struct Door {
    parts: DoorParts,
    gate: Gate,
    mode: GateMode,
    aisle: Aisle,
    /// Whose reports `aisle` has taken.
    boot: Option<u32>,
    /// The number of the last report taken, and of the last one acknowledged.
    taken: Option<u64>,
    acknowledged: Option<u64>,
    /// The hardware's clock, and ours at that moment.
    heard: (u64, u64),
    /// The hardware is connected and has told what it knows.
    online: bool,
    /// By the hardware's reports the door is open, and was not told to close since.
    opened: bool,
    /// The alarm sounds until nobody is in the aisle.
    alarmed: bool,
    /// Entry: somebody has stepped in, and no further yet. Mid: he has.
    stepped: Option<Beam>,
    /// What the lamp shows.
    shown: Option<Lamp>,
    /// Whom `gate` is about, by sequence.
    under_way: BTreeMap<u64, PassageToken>,
    /// What fares follow of the modes that the gate went into while somebody passes.
    met: BTreeMap<PassageToken, GateMode>,
    /// Concluded, but not on the disk yet because it would not take it.
    unstored: BTreeMap<PassageToken, (PassageOutcome, Remarks)>,
}

impl Door {
    pub fn new(parts: DoorParts) -> Self {
        Self {
            aisle: Aisle::new(parts.policy),
            parts,
            gate: Gate::default(),
            mode: GateMode::Normal,
            boot: None,
            taken: None,
            acknowledged: None,
            heard: (0, 0),
            online: false,
            opened: false,
            alarmed: false,
            stepped: None,
            shown: None,
            under_way: BTreeMap::new(),
            met: BTreeMap::new(),
            unstored: BTreeMap::new(),
        }
    }

    /// Whether somebody is authorised and has not passed yet.
    pub fn is_busy(&self) -> bool {
        !self.gate.state.is_at_rest()
    }

    /// Whether a rider may be decided about; one may be behind another who is passing.
    pub fn takes_a_rider(&self) -> bool {
        self.gate.state.takes_a_rider()
    }

    /// Whether somebody has stepped in and may step back yet. Were the next one let through now, no beam could tell which of
    /// the two went on.
    pub fn is_undecided(&self) -> bool {
        self.is_busy() && self.stepped == Some(Beam::Entry)
    }

    pub fn is_online(&self) -> bool {
        self.online
    }

    /// The mode that records are made in.
    pub fn mode(&self) -> GateMode {
        self.mode
    }

    pub fn rest(&self) -> Rest {
        self.gate.rest
    }

    /// Whether this rider is authorised and has not passed yet: whatever more he shows is the same tap.
    pub fn lets_through(&self, rider: RiderId) -> bool {
        self.parts.journal.unconcluded().iter().any(|(_, authorisation)| authorisation.rider == rider)
    }

    /// Stores the authorisation, then opens. If the hardware went away in between, the authorisation stays without a
    /// passage and is cleared up when the hardware is back.
    pub async fn admit(&mut self, authorisation: Authorisation) -> Result<RecordId, Blocked> {
        if !self.online {
            return Err(Blocked::Fault("the aisle cannot be reached".into()));
        }
        match self.on(GateEvent::Granted) {
            GateCommand::StoreAuthorisation => {}
            GateCommand::RefuseMode => return Err(Blocked::Mode(self.mode)),
            _ => return Err(Blocked::Busy),
        }
        let token = match self.parts.journal.authorise(authorisation).await {
            Ok(token) => token,
            Err(error) => {
                self.on(GateEvent::AuthorisationUnstored);
                return Err(Blocked::Fault(error.to_string()));
            }
        };
        self.under_way.insert(token.sequence, token);
        let command = self.on(GateEvent::AuthorisationStored(token.sequence));
        debug_assert_eq!(command, GateCommand::OpenDoor(token.sequence));
        let opened = self.parts.actuator.order(Order::Open(token)).await;
        opened.map_err(|error| Blocked::Fault(error.to_string()))?;
        self.show(Lamp::Go, Sound::Go).await;
        Ok(self.parts.journal.record_id(token))
    }

    /// The next thing the hardware says. Dropping the future loses nothing.
    pub async fn next_signal(&mut self) -> Signal {
        self.parts.actuator.next_signal().await
    }

    /// Gives the passages that are concluded by it, on the disk already.
    pub async fn on_signal(&mut self, signal: Signal) -> Vec<Concluded> {
        match signal {
            Signal::Offline => {
                self.online = false;
                self.parts.board.aisle_online(false);
                Vec::new()
            }
            Signal::Online(status) => {
                let concluded = self.reconcile(status).await;
                self.online = true;
                self.parts.board.aisle_online(true);
                self.tell(Order::WithoutGate(self.parts.opens_without_gate)).await;
                self.settle().await;
                concluded
            }
            Signal::Saw(event) => {
                let found = self.take(event);
                self.follow(found).await
            }
            Signal::InStep { now_ms } => {
                self.heard = (now_ms, self.parts.clock.monotonic_ms());
                Vec::new()
            }
        }
    }

    /// Time passes: nobody has come, somebody is not there any more. Tries again, too, what the disk would not take.
    pub async fn tick(&mut self) -> Vec<Concluded> {
        let mut concluded = Vec::new();
        for (token, (outcome, remarks)) in std::mem::take(&mut self.unstored) {
            concluded.extend(self.conclude(token, outcome, remarks).await);
        }
        if self.online {
            let found = self.aisle.tick(self.heard_of_all_until());
            concluded.extend(self.follow(found).await);
            self.settle().await;
        }
        concluded
    }

    /// The moment, by the hardware's clock, up to which it has nothing to tell that is not here.
    fn heard_of_all_until(&self) -> u64 {
        let (theirs, ours) = self.heard;
        if self.parts.actuator.is_lossy() {
            return theirs;
        }
        let since = self.parts.clock.monotonic_ms().saturating_sub(ours);
        (theirs + since).saturating_sub(REPORTS_LATE_MS)
    }

    fn on(&mut self, event: GateEvent) -> GateCommand {
        let before = self.gate.state;
        let command = self.gate.on(event);
        if self.gate.state != before {
            self.parts.board.gate(self.gate.state, self.mode);
        }
        command
    }

    /// A report; one that was taken before says nothing new.
    fn take(&mut self, event: AisleEvent) -> Vec<Finding> {
        if self.taken.is_some_and(|taken| event.number <= taken) {
            return Vec::new();
        }
        self.taken = Some(event.number);
        self.heard = (event.at_ms, self.parts.clock.monotonic_ms());
        match event.saw {
            Saw::Opened(_) => self.opened = true,
            Saw::Closed => self.opened = false,
            Saw::Broken(Beam::Entry) => _ = self.stepped.get_or_insert(Beam::Entry),
            Saw::Broken(Beam::Mid | Beam::Exit) => self.stepped = Some(Beam::Mid),
            Saw::Cleared(_) => {}
        }
        self.aisle.on(event)
    }

    /// Clears up every authorisation without a passage with what the hardware knows.
    async fn reconcile(&mut self, status: AisleStatus) -> Vec<Concluded> {
        if self.boot != Some(status.boot) {
            self.begin_anew().await;
            (self.boot, self.taken, self.acknowledged) = (Some(status.boot), None, None);
        }
        let mut found = Vec::new();
        for event in status.unacknowledged {
            found.extend(self.take(event));
        }
        self.heard = (status.now_ms, self.parts.clock.monotonic_ms());
        found.extend(self.aisle.tick(status.now_ms));
        let mut concluded = self.follow(found).await;
        let in_hand: BTreeMap<PassageToken, bool> = self.aisle.in_hand().collect();
        for (token, _) in self.parts.journal.unconcluded() {
            match in_hand.get(&token) {
                Some(entered) => self.resume(token, *entered),
                None if self.unstored.contains_key(&token) => {}
                None => {
                    tracing::warn!(%token, "the aisle does not know what became of this authorisation");
                    concluded.extend(self.conclude(token, PassageOutcome::Unknown, Remarks::default()).await);
                }
            }
        }
        if self.gate.state == GateState::LetThrough && !in_hand.keys().any(|token| token.epoch == 0) {
            self.once_concluded().await;
        }
        self.shown = None;
        self.stand_as_told().await;
        concluded
    }

    fn resume(&mut self, token: PassageToken, entered: bool) {
        if self.under_way.insert(token.sequence, token).is_none() {
            self.on(GateEvent::Resumed(token.sequence));
        }
        if entered {
            self.on(GateEvent::Entered(token.sequence));
        }
    }

    async fn follow(&mut self, found: Vec<Finding>) -> Vec<Concluded> {
        let mut concluded = Vec::new();
        let sensors_spoke = found.iter().any(|f| matches!(f, Finding::BeamFault(..) | Finding::BeamWell(_)));
        for finding in found {
            match finding {
                Finding::Entered(token) if self.under_way.get(&token.sequence) == Some(&token) => {
                    self.on(GateEvent::Entered(token.sequence));
                }
                Finding::Entered(_) => {}
                Finding::Concluded { token, .. } if token.epoch == 0 => self.once_concluded().await,
                Finding::Concluded { token, outcome, remarks } => {
                    concluded.extend(self.conclude(token, outcome, remarks).await);
                }
                // Everybody walks.
                Finding::Tailgated if self.gate.rest == Rest::Standing => {}
                Finding::Tailgated => self.alarm(Alarm::Tailgated).await,
                Finding::ReverseEntry if self.mode.lets_the_other_side_in(self.parts.side) => {}
                Finding::ReverseEntry => self.alarm(Alarm::ReverseEntry).await,
                Finding::BeamFault(beam, fault) => {
                    tracing::error!(beam = beam.name(), fault = fault.name(), "a beam is not believed any more");
                }
                Finding::BeamWell(beam) => tracing::info!(beam = beam.name(), "a beam is believed again"),
            }
        }
        if sensors_spoke {
            self.beams_changed().await;
        }
        concluded
    }

    /// Records the outcome durably; the hardware may forget it when nobody is in the aisle any more.
    async fn conclude(&mut self, token: PassageToken, outcome: PassageOutcome, remarks: Remarks) -> Option<Concluded> {
        let known = self.parts.journal.unconcluded().into_iter().find(|(t, _)| *t == token);
        let Some((_, authorisation)) = known else {
            self.tell_of_stranger(token, outcome);
            return None;
        };
        // One of before a restart that ended meanwhile has no machine any more.
        let ours = self.under_way.remove(&token.sequence) == Some(token);
        self.stepped = self.stepped.filter(|_| !ours);
        if ours && let GateCommand::CloseAndStore(..) = self.on(GateEvent::Concluded(token.sequence, outcome)) {
            self.close().await;
        }
        // After a restart nobody knows what was met before; the mode that is told now was told then, as a rule.
        let met = self.met.get(&token).map_or(self.mode, |met| *met);
        let ended_in = (met != authorisation.mode).then_some(met);
        let stored = self.parts.journal.conclude(token, outcome, remarks, ended_in).await;
        if ours {
            let of = if stored.is_ok() { GateEvent::PassageStored } else { GateEvent::PassageUnstored };
            self.on(of(token.sequence));
        }
        if let Err(error) = stored {
            tracing::error!(%token, %error, "the passage cannot be recorded; the sensors keep it, and it is tried again");
            self.parts.board.fault(Some(error.to_string()));
            self.met.insert(token, met);
            self.unstored.insert(token, (outcome, remarks));
            return None;
        }
        self.met.remove(&token);
        if remarks.has(Remark::Contradicted) {
            tracing::warn!(%token, "the sensors contradict each other; nobody is charged");
        }
        let medium: Medium = authorisation.evidence.medium();
        self.parts.board.passed(&self.parts.journal.record_id(token), medium, outcome, remarks);
        Some(Concluded { rider: authorisation.rider, outcome })
    }

    /// Recorded before, and only the acknowledgement was lost; or of a journal that is lost as well.
    fn tell_of_stranger(&self, token: PassageToken, outcome: PassageOutcome) {
        let (current, next) = self.parts.journal.position();
        if token.epoch == current && token.sequence >= next {
            tracing::error!(%token, outcome = outcome.name(), "the aisle reports a passage that no journal authorises");
        }
    }

    /// Nobody is in the aisle and nobody is to come: the door closes, whoever opened it, the alarm ends, and the hardware
    /// may forget what nobody needs any more.
    async fn settle(&mut self) {
        let empty = self.aisle.is_at_rest() && self.under_way.is_empty();
        if empty && self.opened && self.gate.rest != Rest::Standing {
            self.close().await;
        }
        if empty && std::mem::take(&mut self.alarmed) {
            self.show(self.lamp_at_rest(), Sound::None).await;
        }
        let needed = !empty || !self.unstored.is_empty();
        if let Some(taken) = self.taken.filter(|taken| !needed && self.acknowledged.is_none_or(|last| last < *taken)) {
            // If it is lost, the hardware repeats its reports and we acknowledge them then.
            match self.parts.actuator.order(Order::Acknowledge(taken)).await {
                Ok(()) => self.acknowledged = Some(taken),
                Err(error) => tracing::debug!(taken, %error, "not acknowledged yet"),
            }
        }
    }
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Door({:?}, online={})", self.gate.state, self.online)
    }
}

impl std::fmt::Debug for DoorParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DoorParts")
    }
}
