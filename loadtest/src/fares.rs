//! Fares by themselves: how many journeys a core prices in a second, whether the order and repetition in which taps arrive
//! ever shows in a bill, and whether published fare tables come out as they were published.

mod city;
mod permute;
mod worked;

use anyhow::{Result, ensure};
use serde::Serialize;

#[derive(Debug, Clone, clap::Args)]
pub struct FaresLoad {
    /// Random histories that arrive in random order.
    #[arg(long, default_value_t = 100_000)]
    pub cases: u64,
    /// The first history's seed; the others follow it.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Stations of the network that is priced.
    #[arg(long, default_value_t = 300)]
    pub stations: usize,
    /// How long pricing is measured.
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
    /// A rough answer within a minute: 5,000 histories, three seconds.
    #[arg(long)]
    pub quick: bool,
    /// Exit non-zero if a bill depended on the order, or an example came out otherwise.
    #[arg(long)]
    pub check: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    journeys_per_s: u64,
    stations: usize,
    permutation_cases: u64,
    permutation_failures: u64,
    worked_examples: usize,
    worked_failures: usize,
}

/// Prints what it finds, then one JSON line.
pub fn run(load: &FaresLoad) -> Result<()> {
    let (cases, seconds) = if load.quick { (load.cases.min(5_000), 3) } else { (load.cases, load.seconds) };
    let (worked_examples, worked_failures) = worked::check()?;
    println!("{worked_examples} worked examples of published fares, {worked_failures} came out otherwise");
    let permutation_failures = permute::check(load.seed, cases)?;
    println!("{cases} histories from seed {} in random order, {permutation_failures} bills differed", load.seed);
    let journeys_per_s = city::journeys_per_s(load.stations, std::time::Duration::from_secs(seconds))?;
    println!(
        "{journeys_per_s} journeys a second on one core, from taps to explained fares, {} stations",
        load.stations
    );
    let report = Report {
        journeys_per_s,
        stations: load.stations,
        permutation_cases: cases,
        permutation_failures,
        worked_examples,
        worked_failures,
    };
    println!("{}", serde_json::to_string(&report)?);
    ensure!(
        !load.check || (permutation_failures == 0 && worked_failures == 0),
        "bills are not what they must be; the lines above name seeds and examples"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn worked_examples_come_out_and_order_makes_no_difference() {
        assert_eq!(super::worked::check().unwrap().1, 0);
        assert_eq!(super::permute::check(1, 300).unwrap(), 0);
        assert!(super::city::journeys_per_s(20, std::time::Duration::from_millis(50)).unwrap() > 0);
    }
}
