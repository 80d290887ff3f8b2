//! How the sandbox acquirer misbehaves. What was asked for is always done once and never forgotten; what goes wrong is
//! whether, when and how it is answered.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::Deserialize;

use super::book::Chances;

/// Probabilities from 0 to 1, and how long things take.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawFaults {
    pub seed: u64,
    pub answer_after_ms: u64,
    pub late_answer_ms: u64,
    pub settle_after_ms: u64,
    pub decline: f64,
    pub decline_hard: f64,
    pub refuse_before: f64,
    pub fail_after: f64,
    pub silent_after: f64,
    pub cut_after: f64,
    pub late_after: f64,
    pub late_ms_max: u64,
    pub down_every_ms: u64,
    pub down_for_ms: u64,
}

impl Default for RawFaults {
    fn default() -> Self {
        Self {
            seed: 0,
            answer_after_ms: 0,
            late_answer_ms: 60_000,
            settle_after_ms: 2_000,
            decline: 0.0,
            decline_hard: 0.0,
            refuse_before: 0.0,
            fail_after: 0.0,
            silent_after: 0.0,
            cut_after: 0.0,
            late_after: 0.0,
            late_ms_max: 3_000,
            down_every_ms: 0,
            down_for_ms: 0,
        }
    }
}

/// Checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Faults {
    pub seed: u64,
    /// Every authorisation, capture, void and refund is answered this long after the work.
    pub answer_after: Duration,
    /// The first answer to each step with a `tok_ok_late_` token is.
    pub late_answer: Duration,
    /// From a `tok_slow_` capture taken on to its end.
    pub settle_after: Duration,
    /// An authorisation that would be approved is declined, softly or for ever.
    pub decline: f64,
    pub decline_hard: f64,
    /// 503 before anything is done; of queries too.
    pub refuse_before: f64,
    /// 500 after the work.
    pub fail_after: f64,
    /// No answer after the work until the caller has given up.
    pub silent_after: f64,
    /// The answer after the work breaks off in the middle.
    pub cut_after: f64,
    /// The answer comes up to `late_max` after the work.
    pub late_after: f64,
    pub late_max: Duration,
    /// In every period of the first length it is down for the second, at its end: 503 to everything.
    pub down_every: Duration,
    pub down_for: Duration,
}

impl Default for Faults {
    fn default() -> Self {
        Self::from(RawFaults::default())
    }
}

impl From<RawFaults> for Faults {
    fn from(raw: RawFaults) -> Self {
        let ms = Duration::from_millis;
        Self {
            seed: raw.seed,
            answer_after: ms(raw.answer_after_ms),
            late_answer: ms(raw.late_answer_ms),
            settle_after: ms(raw.settle_after_ms),
            decline: raw.decline,
            decline_hard: raw.decline_hard,
            refuse_before: raw.refuse_before,
            fail_after: raw.fail_after,
            silent_after: raw.silent_after,
            cut_after: raw.cut_after,
            late_after: raw.late_after,
            late_max: ms(raw.late_ms_max),
            down_every: ms(raw.down_every_ms),
            down_for: ms(raw.down_for_ms),
        }
    }
}

/// What happens to an answer whose work is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Answered,
    Late(Duration),
    Failed,
    Silent,
    Cut,
}

/// Draws from a seed; the order of requests decides who gets what.
#[derive(Debug)]
pub struct Dice {
    faults: Faults,
    random: Mutex<StdRng>,
    started: tokio::time::Instant,
}

impl Dice {
    pub fn new(faults: Faults) -> Self {
        let random = Mutex::new(StdRng::seed_from_u64(faults.seed));
        Self { faults, random, started: tokio::time::Instant::now() }
    }

    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    fn happens(&self, probability: f64) -> bool {
        // No draw for what is turned off: a token's behaviour in tests does not depend on who asked before.
        probability > 0.0 && self.lock().random_bool(probability.min(1.0))
    }

    pub fn chances(&self) -> Chances {
        Chances {
            declined_softly: self.happens(self.faults.decline),
            declined_hard: self.happens(self.faults.decline_hard),
        }
    }

    /// Whether the request is turned away with nothing done.
    pub fn refuses(&self) -> bool {
        self.is_down() || self.happens(self.faults.refuse_before)
    }

    fn is_down(&self) -> bool {
        let (every, down_for) = (self.faults.down_every.as_millis(), self.faults.down_for.as_millis());
        every > 0 && self.started.elapsed().as_millis() % every >= every.saturating_sub(down_for)
    }

    pub fn fate(&self) -> Fate {
        let faults = &self.faults;
        if self.happens(faults.fail_after) {
            Fate::Failed
        } else if self.happens(faults.silent_after) {
            Fate::Silent
        } else if self.happens(faults.cut_after) {
            Fate::Cut
        } else if self.happens(faults.late_after) {
            Fate::Late(self.up_to(faults.late_max))
        } else {
            Fate::Answered
        }
    }

    /// Anything up to `max`.
    pub fn up_to(&self, max: Duration) -> Duration {
        max.mul_f64(self.lock().random_range(0.0..=1.0))
    }

    /// For who sends twice.
    pub fn chance(&self, probability: f64) -> bool {
        self.happens(probability)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, StdRng> {
        self.random.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_faults_everything_is_answered_and_with_them_a_seed_decides() {
        let calm = Dice::new(Faults::default());
        assert!(
            (0..100).all(|_| calm.fate() == Fate::Answered && !calm.refuses() && calm.chances() == Chances::default())
        );
        let draws = |seed| {
            let faults = Faults { seed, fail_after: 0.2, silent_after: 0.2, cut_after: 0.2, ..Faults::default() };
            let dice = Dice::new(faults);
            (0..50).map(|_| dice.fate()).collect::<Vec<_>>()
        };
        assert_eq!(draws(7), draws(7));
        assert_ne!(draws(7), draws(8));
        for fate in [Fate::Answered, Fate::Failed, Fate::Silent, Fate::Cut] {
            assert!(draws(7).contains(&fate), "{fate:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_down_at_the_end_of_every_period() {
        let (down_every, down_for) = (Duration::from_secs(10), Duration::from_secs(2));
        let dice = Dice::new(Faults { down_every, down_for, ..Faults::default() });
        let mut down = Vec::new();
        for _ in 0..20 {
            down.push(dice.refuses());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        let expected = |second: usize| second % 10 >= 8;
        assert!(down.iter().enumerate().all(|(second, down)| *down == expected(second)), "{down:?}");
    }
}
