//! Who was let through last: face and code of one rider within the window are one tap.

use facegate_domain::ids::RiderId;

use super::Gate;

/// Riders let through whose other medium may still come.
const LAST_TAPS_MAX: usize = 4;

/// A rider let through last: the other medium of his within the window is the same tap.
#[derive(Debug, Clone, Copy)]
pub(super) struct LastTap {
    pub(super) rider: RiderId,
    at_ms: u64,
}

impl Gate {
    pub(super) fn remember_tap(&mut self, rider: RiderId, at_ms: u64) {
        self.last_taps.truncate(LAST_TAPS_MAX - 1);
        self.last_taps.push_front(LastTap { rider, at_ms });
    }

    pub(super) fn has_just_tapped(&self, rider: RiderId, now_ms: u64) -> bool {
        let window_ms = u64::try_from(self.policy.codes.merge_window.as_millis()).unwrap_or(u64::MAX);
        let recent = |tap: &LastTap| tap.rider == rider && now_ms.saturating_sub(tap.at_ms) <= window_ms;
        self.last_taps.iter().any(recent) || self.parts.door.lets_through(rider)
    }
}
