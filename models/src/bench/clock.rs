//! Time as a measurement takes it: on the wall, and on the processor by this process.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Both times of one piece of work, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Took {
    pub wall_ms: f64,
    pub cpu_ms: f64,
}

/// Does the work and says how long it took. Processor time is that of all threads of the process.
pub fn timed<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<(T, Took)> {
    let (cpu, wall) = (process_time(), now());
    let result = work()?;
    let (wall, cpu) = (wall.elapsed(), process_time().saturating_sub(cpu));
    Ok((result, Took { wall_ms: wall.as_secs_f64() * 1e3, cpu_ms: cpu.as_secs_f64() * 1e3 }))
}

#[allow(clippy::disallowed_methods, reason = "a measurement needs the finest clock there is; no rule depends on it")]
fn now() -> Instant {
    Instant::now()
}

fn process_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    // The kernel's own counter: never negative, nanoseconds always below a second.
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// The middle value; of an even number the mean of the two. NaN if there is none.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    quantile(values, 0.5)
}

/// The value below which this share of the values lies, between neighbours in proportion. NaN if there is none.
pub fn quantile(values: impl IntoIterator<Item = f64>, share: f64) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let Some(last) = values.len().checked_sub(1) else { return f64::NAN };
    let at = share.clamp(0.0, 1.0) * last as f64;
    let (below, above) = (at.floor() as usize, at.ceil() as usize);
    values[below] + (values[above] - values[below]) * at.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_the_values() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(quantile([1.0, 2.0, 3.0], 0.0), 1.0);
        assert!(median([]).is_nan());
    }

    #[test]
    fn both_clocks_go_on_while_work_is_done() {
        let work = || {
            std::thread::sleep(Duration::from_millis(20));
            Ok((0..5_000_000_u64).fold(0, |a, b| a ^ b.wrapping_mul(31)))
        };
        let (sum, took) = timed(work).unwrap();
        assert!(took.wall_ms >= 20.0 && took.cpu_ms > 0.0, "{sum} {took:?}");
    }
}
