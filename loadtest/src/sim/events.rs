//! What happened in a run, in order, with the simulated time: hashed, so that two runs can be compared, and kept if
//! somebody wants to read it. Nothing in it may come from the system's randomness.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

/// See the module.
#[derive(Debug)]
pub struct Events(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    begun: Instant,
    /// With their milliseconds.
    lines: Vec<(u128, String)>,
    faults: BTreeMap<&'static str, u64>,
    findings: Vec<(Broken, String)>,
}

/// Which promise something that was found breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Broken {
    TapLost,
    DoubleCharge,
    Ledger,
    Resurrected,
    Diverged,
}

impl Events {
    pub fn new() -> Self {
        let (lines, faults, findings) = Default::default();
        Self(Mutex::new(Inner { begun: Instant::now(), lines, faults, findings }))
    }

    pub fn say(&self, what: impl Display) {
        let mut inner = self.inner();
        let passed = inner.begun.elapsed();
        inner.lines.push((passed.as_millis(), format!("{:>9.3} {what}", passed.as_secs_f64())));
    }

    /// Something was made to go wrong.
    pub fn fault(&self, kind: &'static str, what: impl Display) {
        *self.inner().faults.entry(kind).or_default() += 1;
        self.say(format_args!("fault {kind}: {what}"));
    }

    /// A promise was broken.
    pub fn broken(&self, promise: Broken, what: impl Display) {
        let what = what.to_string();
        self.say(format_args!("BROKEN {promise:?}: {what}"));
        self.inner().findings.push((promise, what));
    }

    /// Of all lines.
    pub fn hash(&self) -> u64 {
        let mix = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        self.lines().iter().flat_map(|line| line.bytes()).fold(0xcbf2_9ce4_8422_2325, mix)
    }

    pub fn faults(&self) -> BTreeMap<&'static str, u64> {
        self.inner().faults.clone()
    }

    pub fn findings(&self) -> Vec<(Broken, String)> {
        self.inner().findings.clone()
    }

    /// Nobody will read what has happened so far; what was found stays.
    pub fn forget(&self) {
        self.inner().lines.clear();
    }

    /// In order; what happened in the same millisecond, in that of the alphabet, since it has no other.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = self.inner().lines.clone();
        lines.sort();
        lines.into_iter().map(|(_, line)| line).collect()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
