//! Which codes this gate has dealt with: one presentation is handled once, one code opens once.

use std::collections::VecDeque;
use std::time::Duration;

use facegate_domain::Timestamp;

/// Codes remembered; at one a second, more than any code stays valid.
const NONCES_MAX: usize = 4096;

/// The gate's own memory of codes. The station knows about all its gates; this is what is left without it.
#[derive(Debug)]
pub struct SpentCodes {
    spent: VecDeque<([u8; 8], Timestamp)>,
    /// As long as a code can be valid: after that its age refuses it.
    kept_for: Duration,
    in_view: Option<InView>,
    gap_ms: u64,
}

#[derive(Debug)]
struct InView {
    text: String,
    last_seen_ms: u64,
}

impl SpentCodes {
    pub fn new(kept_for: Duration, gap_ms: u64) -> Self {
        Self { spent: VecDeque::new(), kept_for, in_view: None, gap_ms }
    }

    /// Whether this text is the presentation already dealt with, still before the camera. Otherwise it is from now on.
    pub fn is_repeat(&mut self, text: &str, captured_ms: u64) -> bool {
        let repeat = self
            .in_view
            .as_ref()
            .is_some_and(|seen| seen.text == text && captured_ms.saturating_sub(seen.last_seen_ms) <= self.gap_ms);
        if repeat {
            self.still_in_view(captured_ms);
        } else {
            self.in_view = Some(InView { text: text.to_owned(), last_seen_ms: captured_ms });
        }
        repeat
    }

    /// Nobody looked for codes until now (the rider was passing): the last one may still be held up.
    pub fn still_in_view(&mut self, now_ms: u64) {
        if let Some(seen) = &mut self.in_view {
            seen.last_seen_ms = seen.last_seen_ms.max(now_ms);
        }
    }

    /// The code opened this gate.
    pub fn spend(&mut self, nonce: [u8; 8], at: Timestamp) {
        self.forget_old(at);
        if self.spent.len() == NONCES_MAX {
            self.spent.pop_front();
        }
        self.spent.push_back((nonce, at));
    }

    pub fn is_spent(&self, nonce: &[u8; 8]) -> bool {
        self.spent.iter().any(|(spent, _)| spent == nonce)
    }

    fn forget_old(&mut self, now: Timestamp) {
        while self.spent.front().is_some_and(|(_, at)| now.since(*at) > self.kept_for) {
            self.spent.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_ms(1_790_000_000_000);

    fn codes() -> SpentCodes {
        SpentCodes::new(Duration::from_secs(120), 700)
    }

    #[test]
    fn a_code_held_up_over_many_frames_is_one_presentation() {
        let mut codes = codes();
        let repeats: Vec<_> = [0, 300, 900, 1500].iter().map(|ms| codes.is_repeat("FG1:A", *ms)).collect();
        assert_eq!(repeats, [false, true, true, true]);
        assert!(!codes.is_repeat("FG1:A", 2201), "shown again after a gap it is a new presentation");
        assert!(!codes.is_repeat("FG1:B", 2202));
        codes.still_in_view(5000);
        assert!(codes.is_repeat("FG1:B", 5600));
    }

    #[test]
    fn a_spent_code_stays_spent_as_long_as_it_could_be_valid() {
        let mut codes = codes();
        codes.spend([1; 8], NOW);
        assert!(codes.is_spent(&[1; 8]) && !codes.is_spent(&[2; 8]));
        codes.spend([2; 8], NOW.plus(Duration::from_secs(121)));
        assert!(!codes.is_spent(&[1; 8]) && codes.is_spent(&[2; 8]));
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut codes = codes();
        (0..5000_u64).for_each(|n| codes.spend(n.to_le_bytes(), NOW));
        assert_eq!(codes.spent.len(), NONCES_MAX);
        assert!(codes.is_spent(&4999_u64.to_le_bytes()));
    }
}
