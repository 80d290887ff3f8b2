//! What the door is told from outside: its mode, to open once, what the gate makes of whoever comes.

use facegate_domain::aisle::{Aisle, BeamFault, PassageToken};
use facegate_domain::gate::{GateCommand, GateEvent, GateMode, Rest};

use super::{Blocked, Door};
use crate::actuator::{Lamp, Order, Sound};
use crate::board::Alarm;

impl Door {
    /// How people pass from now on. Whoever is on his way is let through first; an emergency is obeyed at once.
    pub async fn set_mode(&mut self, mode: GateMode) {
        if self.mode != mode {
            tracing::warn!(mode = mode.name(), before = self.mode.name(), "the gate's mode");
            self.mode = mode;
            for (token, authorisation) in self.parts.journal.unconcluded() {
                // Whoever is through already and only waits for the disk meets nothing more.
                if !self.unstored.contains_key(&token) {
                    let met = self.met.entry(token).or_insert(authorisation.mode);
                    *met = met.then(mode);
                }
            }
        }
        self.rest_as_told().await;
    }

    /// For one body, on nobody's account.
    pub async fn open_once(&mut self) -> Result<(), Blocked> {
        if !self.online {
            return Err(Blocked::Fault("the aisle cannot be reached".into()));
        }
        if self.on(GateEvent::OpenOnce) != GateCommand::OpenOnce {
            return Err(Blocked::Busy);
        }
        // Never the same one again: the hardware opens for a token once.
        let sequence = u64::try_from(self.parts.clock.now().unix_ms()).unwrap_or_default();
        let token = PassageToken { epoch: 0, sequence };
        if let Err(error) = self.parts.actuator.order(Order::Open(token)).await {
            self.on(GateEvent::OnceConcluded);
            return Err(Blocked::Fault(error.to_string()));
        }
        self.show(Lamp::Go, Sound::Go).await;
        Ok(())
    }

    /// An aisle of which nothing is known but the beams that were silent before: until a gate has found them out again, it
    /// would charge nobody.
    pub(super) async fn begin_anew(&mut self) {
        let silent = self.parts.memory.silent_beams().unwrap_or_else(|error| {
            tracing::error!(%error, "which beams were dead cannot be read; it is found out anew");
            Vec::new()
        });
        for beam in &silent {
            tracing::warn!(beam = beam.name(), "a beam was silent before and is not believed until it sees somebody");
        }
        self.aisle = Aisle::new(self.parts.policy).distrusting(silent);
        self.beams_changed().await;
    }

    pub(super) async fn beams_changed(&mut self) {
        let faults: Vec<_> = self.aisle.faults().collect();
        let silent: Vec<_> =
            faults.iter().filter(|(_, fault)| *fault == BeamFault::Silent).map(|(beam, _)| *beam).collect();
        if let Err(error) = self.parts.memory.set_silent_beams(&silent) {
            tracing::error!(%error, "which beams are dead is not remembered");
        }
        self.parts.board.beams(faults);
        self.rest_as_told().await;
    }

    pub(super) async fn once_concluded(&mut self) {
        if self.on(GateEvent::OnceConcluded) == GateCommand::CloseDoor {
            self.close().await;
        }
    }

    /// Somebody is near.
    pub fn approached(&mut self) {
        self.on(GateEvent::Approached);
    }

    pub fn asked(&mut self) {
        self.on(GateEvent::Asked);
    }

    /// He was told why not.
    pub async fn refused(&mut self) {
        self.on(GateEvent::Refused);
        if !self.is_busy() {
            self.show(Lamp::Stop, Sound::Refused).await;
        }
    }

    /// Nobody is there any more.
    pub async fn left(&mut self) {
        self.on(GateEvent::Left);
        if !self.is_busy() {
            self.show(self.lamp_at_rest(), Sound::None).await;
        }
    }

    /// The mode, and a gate whose beams cannot tell who passes lets nobody through by a tap.
    pub(super) async fn rest_as_told(&mut self) {
        let told = self.mode.rest(self.parts.side);
        let rest = if self.aisle.can_judge() || told == Rest::Standing { told } else { Rest::OutOfService };
        let command = self.on(GateEvent::Told(rest));
        self.parts.board.gate(self.gate.state, self.mode);
        if matches!(command, GateCommand::StandOpen | GateCommand::CloseDoor) {
            self.stand_as_told().await;
        }
    }

    pub(super) async fn stand_as_told(&mut self) {
        self.tell(Order::Stand(self.gate.rest == Rest::Standing)).await;
        self.show(self.lamp_at_rest(), Sound::None).await;
    }

    pub(super) async fn alarm(&mut self, alarm: Alarm) {
        tracing::warn!(alarm = alarm.name(), "alarm");
        self.parts.board.alarm(alarm);
        self.alarmed = true;
        self.show(Lamp::Stop, Sound::Alarm).await;
    }

    /// If the hardware is not there just now, `settle` tells it again.
    pub(super) async fn close(&mut self) {
        match self.parts.actuator.order(Order::Close).await {
            Ok(()) => self.opened = false,
            Err(error) => tracing::debug!(%error, "the door was not told to close"),
        }
        if !self.alarmed {
            self.show(self.lamp_at_rest(), Sound::None).await;
        }
    }

    pub(super) fn lamp_at_rest(&self) -> Lamp {
        match self.gate.rest {
            Rest::InService => Lamp::Ready,
            Rest::Standing => Lamp::Go,
            Rest::OutOfService => Lamp::Stop,
        }
    }

    pub(super) async fn show(&mut self, lamp: Lamp, sound: Sound) {
        if self.shown != Some(lamp) || sound != Sound::None {
            self.shown = Some(lamp);
            self.tell(Order::Show(lamp, sound)).await;
        }
    }

    /// An order that is as well given later: when the hardware is back it is told how things stand.
    pub(super) async fn tell(&mut self, order: Order) {
        if let Err(error) = self.parts.actuator.order(order).await {
            tracing::debug!(?order, %error, "the aisle was not told");
        }
    }
}
