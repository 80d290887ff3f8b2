//! Waiting before the next try: doubling, bounded, and jittered so that a hundred stations that lost the
//! same cloud do not come back in the same millisecond.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// An endless iterator of delays. The n-th lies between half of `first · 2ⁿ` and all of it, and never above `max`.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    attempt: u32,
    rng: SmallRng,
}

impl Backoff {
    pub fn new(first: Duration, max: Duration) -> Self {
        Self::seeded(first, max, crate::simulation::seed())
    }

    /// The same seed gives the same delays, for a simulation that must be replayable.
    pub fn seeded(first: Duration, max: Duration, seed: u64) -> Self {
        Self { first, max, attempt: 0, rng: SmallRng::seed_from_u64(seed) }
    }

    /// After a success: the next failure starts again from the first delay.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }

    /// How many delays were handed out since the last reset.
    pub fn attempts(&self) -> u32 {
        self.attempt
    }

    pub fn next_delay(&mut self) -> Duration {
        let ceiling = 2u32.checked_pow(self.attempt).and_then(|factor| self.first.checked_mul(factor));
        let ceiling = ceiling.unwrap_or(self.max).min(self.max);
        self.attempt = self.attempt.saturating_add(1);
        ceiling.mul_f64(self.rng.random_range(0.5..=1.0))
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(self.next_delay())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_stay_within_their_bounds_for_every_seed() {
        let (first, max) = (Duration::from_millis(100), Duration::from_secs(10));
        for seed in 0..200 {
            for (attempt, delay) in Backoff::seeded(first, max, seed).take(80).enumerate() {
                let ceiling = first.as_millis() << attempt.min(20);
                let ceiling = Duration::from_millis(u64::try_from(ceiling).unwrap()).min(max);
                assert!(delay <= ceiling, "seed {seed} attempt {attempt}: {delay:?} above {ceiling:?}");
                assert!(delay >= ceiling / 2, "seed {seed} attempt {attempt}: {delay:?} below half of {ceiling:?}");
            }
        }
    }

    #[test]
    fn seeds_differ_and_a_reset_starts_over() {
        let first = |seed| Backoff::seeded(Duration::from_secs(1), Duration::from_secs(60), seed).next_delay();
        assert_ne!(first(1), first(2));

        let mut backoff = Backoff::seeded(Duration::from_secs(1), Duration::from_secs(60), 3);
        backoff.by_ref().take(10).for_each(drop);
        backoff.reset();
        assert!(backoff.next_delay() <= Duration::from_secs(1));
    }
}
