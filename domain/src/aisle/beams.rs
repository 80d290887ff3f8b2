//! The three beams: bounce is filtered out, and a beam that contradicts itself or the others is not believed until it
//! behaves again.

use serde::Serialize;

use super::{AislePolicy, Beam, Finding};

/// What is wrong with a beam.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BeamFault {
    /// Broken all the time: something stands in it, or it is dead.
    Blocked,
    /// It sees nobody whom the others see.
    Silent,
    /// It changes faster than anybody walks.
    Bouncing,
}

impl BeamFault {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Silent => "silent",
            Self::Bouncing => "bouncing",
        }
    }
}

/// A change that has lasted long enough to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    pub beam: Beam,
    pub broken: bool,
    pub at_ms: u64,
}

/// Passages in a row that left a beam out, after which it is dead.
const MISSES_MAX: u32 = 2;
/// Changes within [`RESTLESS_WINDOW_MS`] beyond which a beam bounces: nobody walks ten times a second.
const RESTLESS_CHANGES: u32 = 60;
const RESTLESS_WINDOW_MS: u64 = 10_000;

#[derive(Debug, Clone, Copy, Default)]
struct State {
    broken: bool,
    since_ms: u64,
    /// Reported, not believed yet.
    pending: Option<(bool, u64)>,
    fault: Option<BeamFault>,
    misses: u32,
    /// The body that broke it.
    holder: Option<u64>,
    window_ms: u64,
    changes: u32,
}

#[derive(Debug, Clone)]
pub(super) struct Beams {
    policy: AislePolicy,
    of: [State; 3],
}

impl Beams {
    pub fn new(policy: AislePolicy) -> Self {
        Self { policy, of: Default::default() }
    }

    /// It was silent when it was last looked at.
    pub fn distrust(&mut self, beam: Beam) {
        self.of[beam as usize].fault = Some(BeamFault::Silent);
    }

    pub fn report(&mut self, beam: Beam, broken: bool, at_ms: u64) {
        let state = &mut self.of[beam as usize];
        if at_ms.saturating_sub(state.window_ms) >= RESTLESS_WINDOW_MS {
            (state.window_ms, state.changes) = (at_ms, 0);
        }
        state.changes = state.changes.saturating_add(1);
        match state.pending {
            Some((pending, _)) if pending == broken => {}
            _ if broken == state.broken => state.pending = None,
            _ => state.pending = Some((broken, at_ms)),
        }
    }

    /// The first change that is to be believed by then.
    pub fn next_change(&self, by_ms: u64) -> Option<Change> {
        let of = |beam: Beam| {
            let (broken, at_ms) = self.of[beam as usize].pending?;
            (at_ms + self.policy.bounce_ms <= by_ms).then_some(Change { beam, broken, at_ms })
        };
        Beam::ALL.into_iter().filter_map(of).min_by_key(|change| change.at_ms)
    }

    pub fn take(&mut self, change: Change) {
        let state = &mut self.of[change.beam as usize];
        (state.broken, state.since_ms, state.pending) = (change.broken, change.at_ms, None);
    }

    /// Looks for beams that fail or have recovered.
    pub fn look(&mut self, now_ms: u64, found: &mut Vec<Finding>) {
        for beam in Beam::ALL {
            let state = &mut self.of[beam as usize];
            let stuck = state.broken && now_ms.saturating_sub(state.since_ms) >= self.policy.stuck_ms;
            let in_window = now_ms.saturating_sub(state.window_ms) < RESTLESS_WINDOW_MS;
            let restless = in_window && state.changes > RESTLESS_CHANGES;
            let now = match state.fault {
                _ if restless => Some(BeamFault::Bouncing),
                _ if stuck => Some(BeamFault::Blocked),
                // A beam found silent is believed again as soon as it sees somebody; the others when it is over.
                Some(BeamFault::Silent) if !state.broken => Some(BeamFault::Silent),
                Some(BeamFault::Bouncing) if in_window => Some(BeamFault::Bouncing),
                None if state.misses >= MISSES_MAX => Some(BeamFault::Silent),
                _ => None,
            };
            if now == state.fault {
                continue;
            }
            state.fault = now;
            state.holder = None;
            state.misses = 0;
            found.push(now.map_or(Finding::BeamWell(beam), |fault| Finding::BeamFault(beam, fault)));
        }
    }

    pub fn faults(&self) -> impl Iterator<Item = (Beam, BeamFault)> + '_ {
        Beam::ALL.into_iter().filter_map(|beam| Some((beam, self.of[beam as usize].fault?)))
    }

    pub fn is_trusted(&self, beam: Beam) -> bool {
        self.of[beam as usize].fault.is_none()
    }

    /// Somebody is in it, as far as it can be believed.
    pub fn is_broken(&self, beam: Beam) -> bool {
        self.is_trusted(beam) && self.of[beam as usize].broken
    }

    /// A report waits to be believed.
    pub fn is_unsettled(&self) -> bool {
        self.of.iter().any(|state| state.pending.is_some())
    }

    pub fn hold(&mut self, beam: Beam, body: u64) {
        self.of[beam as usize].holder = Some(body);
    }

    pub fn let_go(&mut self, beam: Beam) -> Option<u64> {
        self.of[beam as usize].holder.take()
    }

    pub fn let_go_all(&mut self, body: u64) {
        self.of.iter_mut().filter(|state| state.holder == Some(body)).for_each(|state| state.holder = None);
    }

    pub fn is_held_by(&self, beam: Beam, body: u64) -> bool {
        self.is_broken(beam) && self.of[beam as usize].holder == Some(body)
    }

    pub fn holds_any(&self, body: u64) -> bool {
        Beam::ALL.into_iter().any(|beam| self.is_held_by(beam, body))
    }

    /// A passage left this beam out, or did not.
    pub fn judge(&mut self, beam: Beam, missed: bool) {
        let state = &mut self.of[beam as usize];
        state.misses = if missed && state.fault.is_none() { state.misses + 1 } else { 0 };
    }
}
