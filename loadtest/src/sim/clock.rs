//! A machine's clock: the simulated time, and how wrong the machine has it.

use std::sync::atomic::{AtomicI64, Ordering};

use facegate_domain::{Clock, Timestamp};
use tokio::time::Instant;

/// When every run begins.
const BEGIN_MS: i64 = 1_795_000_000_000;

#[derive(Debug)]
pub struct SimClock {
    begun: Instant,
    wrong_ms: AtomicI64,
}

impl SimClock {
    /// A right clock.
    pub fn new() -> Self {
        Self { begun: Instant::now(), wrong_ms: AtomicI64::new(0) }
    }

    /// From now on it is wrong by so much.
    pub fn set_wrong(&self, ms: i64) {
        self.wrong_ms.store(ms, Ordering::SeqCst);
    }
}

impl Default for SimClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let passed = i64::try_from(self.monotonic_ms()).unwrap_or(i64::MAX);
        Timestamp::from_unix_ms(BEGIN_MS + passed + self.wrong_ms.load(Ordering::SeqCst))
    }

    fn monotonic_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
