//! Passages per minute, from a counter that is looked at now and then.

use std::collections::VecDeque;
use std::sync::Mutex;

/// The rate is that of the last minute, or of as much of it as was watched.
const WINDOW_MS: u64 = 60_000;

/// Several viewers look at once; samples closer together than this add nothing.
const STEP_MS: u64 = 900;

/// Times are the clock's monotonic milliseconds.
#[derive(Debug, Default)]
pub struct PassageRate(Mutex<VecDeque<(u64, u64)>>);

impl PassageRate {
    /// Notes that `taps` have been counted by now; gives the rate. Zero for the first look after a minute of nobody
    /// looking.
    pub fn per_minute(&self, taps: u64, now_ms: u64) -> f64 {
        let mut samples = self.0.lock().expect("nothing panics while it holds the samples");
        while samples.front().is_some_and(|(at, _)| now_ms.saturating_sub(*at) > WINDOW_MS) {
            samples.pop_front();
        }
        if samples.back().is_none_or(|(at, _)| now_ms.saturating_sub(*at) >= STEP_MS) {
            samples.push_back((now_ms, taps));
        }
        match samples.front() {
            Some((at, before)) if now_ms > *at => {
                #[expect(clippy::cast_precision_loss, reason = "a minute's taps and milliseconds are small")]
                let rate = taps.saturating_sub(*before) as f64 * 60_000.0 / (now_ms - at) as f64;
                rate
            }
            _ => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_of_the_minute_that_was_watched() {
        let rate = PassageRate::default();
        assert_eq!(rate.per_minute(1000, 0), 0.0);
        assert_eq!(rate.per_minute(1003, 30_000), 6.0);
        assert_eq!(rate.per_minute(1003, 30_000), 6.0, "a second viewer sees the same");
        assert_eq!(rate.per_minute(1003, 90_000), 0.0, "what is over a minute old is forgotten");
        assert_eq!(rate.per_minute(2000, 500_000), 0.0);
    }
}
