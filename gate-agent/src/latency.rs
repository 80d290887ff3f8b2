//! How long decisions take: the last thousand, from the capture of the last usable frame to the decision.

use std::collections::VecDeque;

use serde::Serialize;

/// Decisions remembered.
const KEPT_MAX: usize = 1000;

/// How long one decision took, milliseconds; nothing if the rider's leaving brought it about.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Took {
    /// Since the capture of the frame that brought it about: of the last usable one, or of the code.
    pub decision_ms: Option<f64>,
    /// Since the first usable frame of this face.
    pub first_usable_ms: Option<f64>,
}

/// A window over the newest latencies, milliseconds.
#[derive(Debug, Default)]
pub struct Latencies(VecDeque<f64>);

/// Percentiles over the window, milliseconds; zero while nothing was measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct LatencySummary {
    pub count: usize,
    pub p50: f64,
    pub p99: f64,
}

impl Latencies {
    pub fn record(&mut self, ms: f64) {
        if self.0.len() == KEPT_MAX {
            self.0.pop_front();
        }
        self.0.push_back(ms);
    }

    pub fn summary(&self) -> LatencySummary {
        let mut sorted: Vec<f64> = self.0.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        LatencySummary { count: sorted.len(), p50: nearest_rank(&sorted, 50), p99: nearest_rank(&sorted, 99) }
    }
}

/// The smallest value that at least `percent` of all do not exceed.
fn nearest_rank(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    rank.checked_sub(1).and_then(|i| sorted.get(i)).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_newest_thousand() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.summary(), LatencySummary::default());
        (0..500).for_each(|_| latencies.record(9_999.0));
        (1..=1000).for_each(|ms| latencies.record(f64::from(ms)));
        assert_eq!(latencies.summary(), LatencySummary { count: 1000, p50: 500.0, p99: 990.0 });
    }
}
