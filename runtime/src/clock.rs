//! The machine's clock. This is the only file that may read it; everything else is given a [`Clock`].

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub use facegate_domain::clock::{Clock, Timestamp};

/// Wall time from the operating system, monotonic time since this value was made.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    started: Stopwatch,
}

impl SystemClock {
    pub fn new() -> Self {
        Self { started: Stopwatch::start() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the seam that everybody else uses")]
    fn now(&self) -> Timestamp {
        let now = SystemTime::now();
        match now.duration_since(UNIX_EPOCH) {
            Ok(since) => Timestamp::from_unix_ms(0).plus(since),
            Err(before) => Timestamp::from_unix_ms(0).minus(before.duration()),
        }
    }

    fn monotonic_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Measures how long something took; for metrics and reports, never for a decision.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "latencies are measured here so that nobody else needs Instant")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    pub fn elapsed_ms(&self) -> f64 {
        self.elapsed().as_secs_f64() * 1e3
    }
}

/// A clock that moves only when told to: for tests and the simulation.
#[derive(Debug, Default)]
pub struct ManualClock {
    wall_ms: AtomicI64,
    monotonic_ms: AtomicU64,
}

impl ManualClock {
    pub fn at(now: Timestamp) -> Self {
        Self { wall_ms: AtomicI64::new(now.unix_ms()), monotonic_ms: AtomicU64::new(0) }
    }

    /// Lets time pass: both clocks move.
    pub fn advance(&self, by: Duration) {
        let ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.monotonic_ms.fetch_add(ms, Ordering::SeqCst);
        self.wall_ms.store(self.now().plus(by).unix_ms(), Ordering::SeqCst);
    }

    /// Sets the wall clock alone, as an operator or NTP does; monotonic time stays.
    pub fn set_wall(&self, now: Timestamp) {
        self.wall_ms.store(now.unix_ms(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.wall_ms.load(Ordering::SeqCst))
    }

    fn monotonic_ms(&self) -> u64 {
        self.monotonic_ms.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_is_after_2025_and_its_monotonic_half_never_falls() {
        let clock = SystemClock::new();
        assert!(clock.now() > Timestamp::from_unix_ms(1_735_689_600_000));
        let before = clock.monotonic_ms();
        std::thread::sleep(Duration::from_millis(5));
        assert!(clock.monotonic_ms() >= before + 4);
    }

    #[test]
    fn setting_the_wall_clock_back_leaves_monotonic_time() {
        let clock = ManualClock::at(Timestamp::from_unix_ms(10_000));
        clock.advance(Duration::from_millis(250));
        clock.set_wall(Timestamp::from_unix_ms(5_000));
        assert_eq!((clock.now().unix_ms(), clock.monotonic_ms()), (5_000, 250));
    }
}
