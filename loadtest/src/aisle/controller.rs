//! The aisle's controller: a door, three beams, and a memory of what they did that lasts until the gate acknowledges.

use std::collections::VecDeque;
use std::time::Duration;

use facegate_runtime::clock::Stopwatch;
use serde::{Deserialize, Serialize};

use super::protocol::{Beam, Event, FromAisle, Saw, ToAisle};

/// How many opened doors the controller remembers.
const KNOWN_TOKENS_MAX: usize = 1000;
/// Events that a page shows, acknowledged or not.
const RECENT_MAX: usize = 40;
/// Events kept; beyond it the oldest go, and the gate finds that they are missing.
const LATCHED_MAX: usize = 4096;
/// The gate says something every second; silent for so long, it is dead, and the door goes to its safe state.
pub const WATCHDOG: Duration = Duration::from_secs(3);

/// How a beam fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Death {
    /// It says that it is broken, whatever is there.
    Blocked,
    /// It says nothing.
    Silent,
}

#[derive(Debug)]
pub struct Controller {
    boot: u32,
    started: Stopwatch,
    /// Opened for, oldest first; `true`: a body is on its way through.
    openings: VecDeque<(String, bool)>,
    standing: bool,
    open: bool,
    /// What the gate has told for when it is silent.
    opens_without_gate: bool,
    /// The watchdog has opened the door.
    without_gate: bool,
    known: VecDeque<String>,
    latched: VecDeque<Event>,
    recent: VecDeque<Event>,
    next_event: u64,
    broken: [bool; 3],
    dead: [Option<Death>; 3],
    heard: Stopwatch,
    pub lamp: String,
    pub sound: String,
}

impl Controller {
    pub fn new(boot: u32) -> Self {
        Self {
            boot,
            started: Stopwatch::start(),
            openings: VecDeque::new(),
            standing: false,
            open: false,
            opens_without_gate: false,
            without_gate: false,
            known: VecDeque::new(),
            latched: VecDeque::new(),
            recent: VecDeque::new(),
            next_event: 0,
            broken: [false; 3],
            dead: [None; 3],
            heard: Stopwatch::start(),
            lamp: "ready".into(),
            sound: "none".into(),
        }
    }

    /// Executes what the gate says; an answer, if it asked for one.
    pub fn obey(&mut self, message: ToAisle) -> Option<FromAisle> {
        self.heard = Stopwatch::start();
        if std::mem::take(&mut self.without_gate) {
            self.close_if_empty();
        }
        match message {
            ToAisle::Open { token } => self.open(token),
            ToAisle::Close => self.close(),
            ToAisle::Stand { open } => {
                self.standing = open;
                if open { self.open = true } else { self.close_if_empty() }
            }
            ToAisle::WithoutGate { open } => self.opens_without_gate = open,
            ToAisle::Ack { event } => self.latched.retain(|latched| latched.event > event),
            ToAisle::Show { lamp, sound } => (self.lamp, self.sound) = (lamp, sound),
            ToAisle::Status => return Some(self.status()),
        }
        None
    }

    /// The gate has been silent for too long: as it has told, the door stands open, or nobody new may step in and whoever
    /// is inside gets out.
    pub fn watch(&mut self) {
        if self.opens_without_gate && !self.hears() {
            (self.open, self.without_gate) = (true, true);
        } else if self.heard.elapsed() > WATCHDOG && self.openings.iter().any(|(_, taken)| !taken) {
            self.close();
        }
    }

    pub fn events_from(&self, number: u64) -> Vec<Event> {
        self.latched.iter().filter(|event| event.event >= number).cloned().collect()
    }

    /// What the hardware has done last, newest first.
    pub fn recent(&self) -> impl Iterator<Item = &Event> {
        self.recent.iter()
    }

    /// Whether each beam is broken, and how it is dead if it is.
    pub fn beams(&self) -> impl Iterator<Item = (Beam, bool, Option<Death>)> {
        Beam::ALL.into_iter().map(|beam| (beam, self.broken[beam as usize], self.dead[beam as usize]))
    }

    /// For whom the door is open; whether he is on his way through.
    pub fn openings(&self) -> impl Iterator<Item = (&str, bool)> {
        self.openings.iter().map(|(token, taken)| (token.as_str(), *taken))
    }

    /// Whether the gate has said anything of late.
    pub fn hears(&self) -> bool {
        self.heard.elapsed() <= WATCHDOG
    }

    pub fn unacknowledged(&self) -> usize {
        self.latched.len()
    }

    /// Whether a body could step through at this moment, or one is on its way.
    pub fn is_open(&self) -> bool {
        self.standing || !self.openings.is_empty()
    }

    pub fn is_standing(&self) -> bool {
        self.standing
    }

    /// Whether the watchdog holds the door open.
    pub fn is_open_without_gate(&self) -> bool {
        self.without_gate
    }

    /// A body steps through the door on the oldest opening that nobody has taken.
    pub fn step_in(&mut self) -> Option<String> {
        let opening = self.openings.iter_mut().find(|(_, taken)| !taken)?;
        opening.1 = true;
        Some(opening.0.clone())
    }

    /// The body that took this opening is through, or back.
    pub fn step_out(&mut self, token: &str) {
        self.openings.retain(|(of, _)| of != token);
    }

    /// The beam sees something, or nothing any more.
    pub fn beam(&mut self, beam: Beam, broken: bool) {
        if self.dead[beam as usize].is_none() && self.broken[beam as usize] != broken {
            self.broken[beam as usize] = broken;
            self.latch(if broken { Saw::Broken } else { Saw::Cleared }, None, Some(beam));
        }
    }

    pub fn kill(&mut self, beam: Beam, death: Death) {
        if death == Death::Blocked {
            self.beam(beam, true);
        }
        self.dead[beam as usize] = Some(death);
    }

    pub fn mend(&mut self, beam: Beam) {
        self.dead[beam as usize] = None;
        self.beam(beam, false);
    }

    fn latch(&mut self, saw: Saw, token: Option<String>, beam: Option<Beam>) {
        if self.latched.len() == LATCHED_MAX {
            self.latched.pop_front();
        }
        let at_ms = self.now_ms();
        let event = Event { event: self.next_event, at_ms, saw, token, beam };
        self.recent.truncate(RECENT_MAX - 1);
        self.recent.push_front(event.clone());
        self.latched.push_back(event);
        self.next_event += 1;
    }

    /// A token that was ever opened is not opened again.
    fn open(&mut self, token: String) {
        if self.known.contains(&token) {
            return;
        }
        if self.known.len() == KNOWN_TOKENS_MAX {
            self.known.pop_front();
        }
        self.known.push_back(token.clone());
        self.openings.push_back((token.clone(), false));
        self.open = true;
        self.latch(Saw::Opened, Some(token), None);
    }

    fn close(&mut self) {
        self.openings.retain(|(_, taken)| *taken);
        self.close_if_empty();
    }

    fn close_if_empty(&mut self) {
        if self.openings.is_empty() && !self.standing && !self.without_gate && self.open {
            self.open = false;
            self.latch(Saw::Closed, None, None);
        }
    }

    fn status(&self) -> FromAisle {
        let unacknowledged = self.latched.iter().cloned().collect();
        FromAisle::Status { boot: self.boot, now_ms: self.now_ms(), next: self.next_event, unacknowledged }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
