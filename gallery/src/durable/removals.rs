//! When the oldest removal was whose templates still lie, sealed, in the snapshot or in a log.

use std::time::Duration;

use facegate_domain::Timestamp;

/// After this long a snapshot is due, though the log is short: an erased face is to leave the disk.
const KEPT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// See the module. Whoever removes need not know the time: it counts from the next look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OldestRemoval {
    Since(Timestamp),
    Untimed,
    Nothing,
}

impl OldestRemoval {
    /// Found in a log at a start, which does not say how old it is.
    pub const BEFORE_THE_START: Self = Self::Since(Timestamp::from_unix_ms(i64::MIN));

    /// Another removal.
    pub fn note(&mut self) {
        *self = (*self).min(Self::Untimed);
    }

    /// Whether a snapshot is due.
    pub fn is_due(&mut self, now: Timestamp) -> bool {
        match *self {
            Self::Nothing => false,
            Self::Untimed => {
                *self = Self::Since(now);
                false
            }
            Self::Since(then) => now.since(then) >= KEPT_MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_counts_from_the_first_look_and_later_removals_do_not_prolong_it() {
        let now = Timestamp::from_unix_ms(1_790_000_000_000);
        let (almost, day) = (now.plus(KEPT_MAX - Duration::from_secs(1)), now.plus(KEPT_MAX));
        let mut oldest = OldestRemoval::Nothing;
        assert!(!oldest.is_due(now) && !oldest.is_due(day));
        oldest.note();
        assert!(!oldest.is_due(now));
        oldest.note();
        assert!(!oldest.is_due(almost) && oldest.is_due(day));
        assert!(OldestRemoval::BEFORE_THE_START.clone().is_due(now));
    }
}
