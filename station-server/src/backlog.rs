//! How much waits for the cloud, and for how long there is still room: what an operator must know days before the gates
//! have to be shut.

use std::collections::VecDeque;

/// The rate is that of the last hour, looked at once a minute.
const SAMPLE_EVERY_MS: u64 = 60_000;
const SAMPLES_MAX: usize = 60;
const DAY_MS: f64 = 86_400_000.0;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BacklogView {
    /// Bytes that wait, in hundredths of what the journal may hold.
    pub percent: u32,
    /// Until it is full at the present rate; `None` if it does not grow.
    pub days_left: Option<f64>,
}

/// Watches the backlog grow.
#[derive(Debug, Default)]
pub struct Backlog {
    /// Time and waiting bytes, oldest first.
    samples: VecDeque<(u64, u64)>,
    warned: bool,
}

impl Backlog {
    pub fn look(&mut self, now_ms: u64, waiting: u64, max: u64) -> BacklogView {
        let percent = u32::try_from(waiting.saturating_mul(100) / max.max(1)).unwrap_or(u32::MAX);
        let days_left = self.samples.front().and_then(|oldest| days_left(*oldest, (now_ms, waiting), max));
        if self.samples.back().is_none_or(|(at, _)| now_ms.saturating_sub(*at) >= SAMPLE_EVERY_MS) {
            if self.samples.len() == SAMPLES_MAX {
                self.samples.pop_front();
            }
            self.samples.push_back((now_ms, waiting));
        }
        BacklogView { percent, days_left }
    }

    /// Whether this is the moment to warn: once each time the share passes `percent`.
    pub fn begins_to_be_much(&mut self, view: BacklogView, percent: u32) -> bool {
        let much = view.percent >= percent;
        let begins = much && !self.warned;
        self.warned = much;
        begins
    }
}

#[expect(clippy::cast_precision_loss, reason = "an estimate; bytes and milliseconds stay far below 2^52")]
fn days_left(before: (u64, u64), now: (u64, u64), max: u64) -> Option<f64> {
    let grown = now.1.checked_sub(before.1).filter(|grown| *grown > 0)? as f64;
    let took = now.0.checked_sub(before.0).filter(|took| *took > 0)? as f64;
    Some(max.saturating_sub(now.1) as f64 / grown * took / DAY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_days_left_follow_the_last_hour() {
        let mut backlog = Backlog::default();
        let minute = |n: u64| n * 60_000;
        assert_eq!(backlog.look(0, 0, 1000), BacklogView { percent: 0, days_left: None });
        for n in 1..=30 {
            backlog.look(minute(n), n * 10, 1000);
        }
        let view = backlog.look(minute(31), 310, 1000);
        let left = view.days_left.unwrap();
        assert!(view.percent == 31 && (left - 69.0 / 1440.0).abs() < 1e-9, "{view:?}");
        for n in 32..200 {
            backlog.look(minute(n), 310, 1000);
        }
        assert_eq!(backlog.look(minute(200), 310, 1000).days_left, None, "it has stopped to grow");
        assert_eq!(backlog.look(minute(201), 5, 1000).days_left, None);
    }

    #[test]
    fn a_warning_comes_once_each_time() {
        let mut backlog = Backlog::default();
        let mut warned = |percent| backlog.begins_to_be_much(BacklogView { percent, days_left: None }, 70);
        let told = [69, 70, 71, 90, 69, 75].map(&mut warned);
        assert_eq!(told, [false, true, false, false, false, true]);
    }
}
