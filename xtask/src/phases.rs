//! Where the time goes: a stopwatch for each phase of a chore and the table it ends with.
//!
//! The table goes to standard error, because standard output belongs to the result.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::Result;

/// The phases of one chore, in order.
pub struct Phases {
    done: Vec<Phase>,
}

struct Phase {
    name: &'static str,
    took: Duration,
    failed: bool,
}

impl Phases {
    pub const fn new() -> Self {
        Self { done: Vec::new() }
    }

    /// Announces and runs one phase, and keeps its time also when it fails.
    pub fn run<T>(&mut self, name: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        eprintln!("── {name}");
        let started = now();
        let result = work();
        self.done.push(Phase { name, took: started.elapsed(), failed: result.is_err() });
        result
    }

    pub fn total(&self) -> Duration {
        self.done.iter().map(|phase| phase.took).sum()
    }

    /// Prints the table to standard error.
    pub fn print(&self) {
        eprint!("{}", self.table());
    }

    fn table(&self) -> String {
        let mut table = String::from("\nwhere the time went\n");
        let width = self.done.iter().map(|phase| phase.name.len()).max().unwrap_or(0).max("total".len());
        for phase in &self.done {
            let mark = if phase.failed { "  FAILED" } else { "" };
            let _ = writeln!(table, "  {:width$}  {:>9}{mark}", phase.name, in_words(phase.took));
        }
        let _ = writeln!(table, "  {:width$}  {:>9}", "total", in_words(self.total()));
        table
    }
}

#[expect(clippy::disallowed_methods, reason = "a chore measures the real machine and decides nothing by it")]
fn now() -> Instant {
    Instant::now()
}

fn in_words(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 60 {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{}m {:02}s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_each_phase_and_marks_what_failed() {
        let mut phases = Phases::new();
        phases.run("build", || Ok(())).unwrap();
        phases.run("tests", || -> Result<()> { anyhow::bail!("one is red") }).unwrap_err();
        let table = phases.table();
        let line = |name: &str| table.lines().find(|line| line.trim_start().starts_with(name)).unwrap().to_owned();
        assert!(!line("build").contains("FAILED"), "{table}");
        assert!(line("tests").ends_with("FAILED"), "{table}");
        assert!(line("total").ends_with(" s"), "{table}");
    }

    #[test]
    fn times_are_written_for_people() {
        assert_eq!(in_words(Duration::from_millis(1_250)), "1.2 s");
        assert_eq!(in_words(Duration::from_secs(305)), "5m 05s");
    }
}
