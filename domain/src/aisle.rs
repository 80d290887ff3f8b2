//! What happened in an aisle: from what its door and beams report to what became of each authorisation.
//!
//! Three beams cross the aisle, in the order in which this gate's riders meet them: entry, mid, exit. The hardware
//! numbers and keeps its reports until they are acknowledged, so the same reports give the same verdicts after a crash.
//!
//! | seen | verdict |
//! |---|---|
//! | entry, mid, exit, and clear again | passed |
//! | entry clear again, nothing further for [`AislePolicy::turn_ms`]; or back from mid over entry | turned back |
//! | nobody for [`AislePolicy::open_ms`] | timed out |
//! | a beam left out that is not known to be dead | unknown: never a charge; twice in a row, and the beam is dead |
//! | a second body behind the first, with an authorisation waiting | it is his |
//! | ... with none, as it reaches mid | tailgated; if it is short and close, a child |
//! | entry broken again within [`AislePolicy::luggage_gap_ms`] | luggage of the same rider |
//! | all three at once | a wheelchair (or a pram): the door waits |
//! | exit, then mid, with nobody from the entry | reverse entry |
//!
//! Beams measure length and time, not height: a child at an adult's heels is taken for luggage, a long trolley for a
//! wheelchair. Neither changes what is charged.

mod beams;
mod bodies;

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use self::beams::BeamFault;
use self::beams::Beams;
use self::bodies::{Body, From};
use crate::tap::{PassageOutcome, Remark, Remarks};

/// Names one authorisation to the hardware, so that it can say later what became of it: `<epoch>-<sequence>`. Epoch 0
/// is nobody's authorisation: the door was opened once by an attendant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PassageToken {
    pub epoch: u32,
    pub sequence: u64,
}

impl fmt::Display for PassageToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.sequence)
    }
}

impl FromStr for PassageToken {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (epoch, sequence) = text.split_once('-').ok_or(())?;
        Ok(Self { epoch: epoch.parse().map_err(drop)?, sequence: sequence.parse().map_err(drop)? })
    }
}

/// A beam across the aisle, as this gate's riders meet them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Beam {
    Entry,
    Mid,
    Exit,
}

impl Beam {
    pub const ALL: [Self; 3] = [Self::Entry, Self::Mid, Self::Exit];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Entry => "entry",
            Self::Mid => "mid",
            Self::Exit => "exit",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|beam| beam.name() == name)
    }
}

/// What the hardware saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saw {
    /// The door opened, or stays open, for this authorisation.
    Opened(PassageToken),
    /// It closed: told to, or by its own watchdog.
    Closed,
    Broken(Beam),
    Cleared(Beam),
}

/// One report of the hardware.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AisleEvent {
    /// Gap-free while the hardware has power.
    pub number: u64,
    /// By the hardware's own clock.
    pub at_ms: u64,
    pub saw: Saw,
}

/// How long things take in an aisle of about a metre.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AislePolicy {
    /// A beam that changes for less than this has bounced.
    pub bounce_ms: u64,
    /// How long the door waits for somebody.
    pub open_ms: u64,
    /// Out of the entry beam and in no other for so long: he has turned back.
    pub turn_ms: u64,
    /// In no beam for so long: he is not in the aisle any more.
    pub linger_ms: u64,
    /// What follows in the same beam within this belongs to the same rider.
    pub luggage_gap_ms: u64,
    /// A body behind another within this, and in no beam for longer than `child_break_ms`, is a child.
    pub child_gap_ms: u64,
    pub child_break_ms: u64,
    /// A beam broken for so long without a change is blocked or dead.
    pub stuck_ms: u64,
    /// After so long a passage is concluded with what is known.
    pub passage_max_ms: u64,
}

impl Default for AislePolicy {
    fn default() -> Self {
        Self {
            bounce_ms: 25,
            open_ms: 5_000,
            turn_ms: 1_500,
            linger_ms: 3_000,
            luggage_gap_ms: 250,
            child_gap_ms: 700,
            child_break_ms: 150,
            stuck_ms: 60_000,
            passage_max_ms: 180_000,
        }
    }
}

/// What follows from the reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// The rider of this authorisation is in the aisle.
    Entered(PassageToken),
    Concluded {
        token: PassageToken,
        outcome: PassageOutcome,
        remarks: Remarks,
    },
    /// Somebody goes through whom nothing authorises.
    Tailgated,
    /// Somebody comes from the other side.
    ReverseEntry,
    BeamFault(Beam, BeamFault),
    /// It does again what a beam does.
    BeamWell(Beam),
}

/// Authorisations the hardware may hold a door open for at a time: one passing, one behind him.
const WAITING_MAX: usize = 2;
/// Bodies followed at a time; an aisle has no room for more.
const BODIES_MAX: usize = 6;

/// One aisle. Feed it every report in order, and [`Aisle::tick`] in between.
#[derive(Debug, Clone)]
pub struct Aisle {
    policy: AislePolicy,
    now_ms: u64,
    beams: Beams,
    /// Opened for, nobody has entered yet; with the time of the opening.
    waiting: VecDeque<(PassageToken, u64)>,
    /// From the entry side, the furthest first; one from the exit side is among them as it came.
    bodies: VecDeque<Body>,
    next_body: u64,
    /// Since when nobody is in the aisle.
    empty_since_ms: u64,
    /// When the last body went out at the exit.
    left_ms: Option<u64>,
    found: Vec<Finding>,
}

impl Aisle {
    pub fn new(policy: AislePolicy) -> Self {
        Self {
            policy,
            now_ms: 0,
            beams: Beams::new(policy),
            waiting: VecDeque::new(),
            bodies: VecDeque::new(),
            next_body: 0,
            empty_since_ms: 0,
            left_ms: None,
            found: Vec::new(),
        }
    }

    /// With beams that were found silent before: each is believed again as soon as it sees somebody.
    #[must_use]
    pub fn distrusting(mut self, silent: impl IntoIterator<Item = Beam>) -> Self {
        silent.into_iter().for_each(|beam| self.beams.distrust(beam));
        self
    }

    /// Takes a report. A time before that of the last one counts as the last one's.
    pub fn on(&mut self, event: AisleEvent) -> Vec<Finding> {
        self.advance(event.at_ms);
        match event.saw {
            Saw::Opened(token) => self.opened(token),
            Saw::Closed => self.closed(),
            Saw::Broken(beam) => self.beams.report(beam, true, self.now_ms),
            Saw::Cleared(beam) => self.beams.report(beam, false, self.now_ms),
        }
        std::mem::take(&mut self.found)
    }

    /// Time passes without a report.
    pub fn tick(&mut self, now_ms: u64) -> Vec<Finding> {
        self.advance(now_ms);
        std::mem::take(&mut self.found)
    }

    /// Authorisations that are not concluded, and whether their rider has entered.
    pub fn in_hand(&self) -> impl Iterator<Item = (PassageToken, bool)> + '_ {
        let inside = self.bodies.iter().filter_map(|body| Some((body.token?, true)));
        inside.chain(self.waiting.iter().map(|(token, _)| (*token, false)))
    }

    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Whether anybody is in the aisle or authorised to come in, so that reports are still needed.
    pub fn is_at_rest(&self) -> bool {
        self.waiting.is_empty() && self.bodies.is_empty() && !self.beams.is_unsettled()
    }

    /// With fewer than two beams nobody's passage can be told from a turning back.
    pub fn can_judge(&self) -> bool {
        Beam::ALL.into_iter().filter(|beam| self.beams.is_trusted(*beam)).count() >= 2
    }

    /// What is wrong with each beam now.
    pub fn faults(&self) -> impl Iterator<Item = (Beam, BeamFault)> + '_ {
        self.beams.faults()
    }

    fn advance(&mut self, to_ms: u64) {
        let to_ms = to_ms.max(self.now_ms);
        while let Some(change) = self.beams.next_change(to_ms) {
            self.now_ms = self.now_ms.max(change.at_ms);
            self.expire();
            self.beams.take(change);
            self.changed(change.beam, change.broken);
        }
        self.now_ms = to_ms;
        let known = self.found.len();
        self.beams.look(to_ms, &mut self.found);
        if self.found.len() > known {
            self.forget_distrusted();
        }
        self.expire();
    }

    fn opened(&mut self, token: PassageToken) {
        let known = self.waiting.iter().any(|(t, _)| *t == token) || self.bodies.iter().any(|b| b.token == Some(token));
        if known || self.waiting.len() == WAITING_MAX {
            return;
        }
        // Riders stand in the entry beam while they are looked at.
        if self.waiting.is_empty()
            && let Some(body) = self.bodies.iter_mut().find(|b| b.awaits_a_token())
        {
            body.token = Some(token);
            body.granted_ms = self.now_ms;
            self.found.push(Finding::Entered(token));
        } else {
            self.waiting.push_back((token, self.now_ms));
        }
    }

    /// Nobody can come in any more on what the door was open for.
    fn closed(&mut self) {
        for (token, _) in std::mem::take(&mut self.waiting) {
            self.conclude(token, PassageOutcome::TimedOut, Remarks::default());
        }
    }

    fn conclude(&mut self, token: PassageToken, outcome: PassageOutcome, remarks: Remarks) {
        self.found.push(Finding::Concluded { token, outcome, remarks });
    }

    fn enter(&mut self, from: From, at: Beam) {
        if self.bodies.len() == BODIES_MAX {
            self.bodies.pop_back().into_iter().for_each(|body| self.give_up(&body));
        }
        let token = if from == From::Entry { self.waiting.pop_front().map(|(token, _)| token) } else { None };
        let gap_ms =
            self.bodies.back().and_then(|ahead| ahead.entry_cleared_ms).map(|at| self.now_ms.saturating_sub(at));
        let mut body = Body::new(self.next_body, from, at, token, self.now_ms);
        body.is_close = gap_ms.is_some_and(|gap| gap <= self.policy.child_gap_ms);
        self.next_body += 1;
        self.beams.hold(at, body.id);
        self.bodies.push_back(body);
        token.into_iter().for_each(|token| self.found.push(Finding::Entered(token)));
    }

    fn give_up(&mut self, body: &Body) {
        if let Some(token) = body.token {
            self.conclude(token, PassageOutcome::Unknown, body.remarks.with(Remark::Contradicted));
        }
    }
}

#[cfg(test)]
mod tests;
