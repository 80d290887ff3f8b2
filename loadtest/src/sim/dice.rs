//! Everything that a run leaves to chance, from its seed. Each part of the world has dice of its own: tokio wakes those
//! who wait for the same thing in an order that is another each time, and who throws first must not matter.

use std::fmt::Display;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

#[derive(Debug)]
pub struct Dice {
    seed: u64,
    rng: Mutex<SmallRng>,
}

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self { seed, rng: Mutex::new(SmallRng::seed_from_u64(seed)) }
    }

    /// The dice of a part of this name: always the same ones.
    pub fn of(&self, part: impl Display) -> Self {
        let mix = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        Self::new(part.to_string().bytes().fold(self.seed ^ 0xcbf2_9ce4_8422_2325, mix))
    }

    pub fn chance(&self, probability: f64) -> bool {
        self.rng().random_bool(probability)
    }

    pub fn below(&self, end: usize) -> usize {
        self.rng().random_range(0..end)
    }

    pub fn number(&self, range: Range<u64>) -> u64 {
        self.rng().random_range(range)
    }

    /// A time in this range of milliseconds.
    pub fn ms(&self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.number(range))
    }

    pub fn pick<'a, T>(&self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    pub fn seed(&self) -> u64 {
        self.rng().random()
    }

    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng().fill(&mut bytes[..]);
        bytes
    }

    fn rng(&self) -> MutexGuard<'_, SmallRng> {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
