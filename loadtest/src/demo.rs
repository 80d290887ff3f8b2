//! The demo: a small city of real processes, real photographs, and the story of four rides.

mod report;
pub mod story;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use facegate_runtime::clock::Stopwatch;
use tokio_util::sync::CancellationToken;

use crate::aisle::page;
use crate::city::network::LOOPBACK;
use crate::city::{City, CityOptions};
use report::Report;

/// Enrol, ride, be refused, be charged: everything real, on loopback.
#[derive(Debug, Clone, clap::Args)]
pub struct DemoOptions {
    /// Verify everything, stop by itself, print one JSON line last; exit 0 only if all holds.
    #[arg(long)]
    pub check: bool,
}

/// Runs the story in `folder` with the models and portraits of `home`.
pub async fn run(demo: &DemoOptions, home: &Path, folder: &Path) -> Result<()> {
    let watch = Stopwatch::start();
    let options = CityOptions { settle_after: Duration::from_secs(2), ..CityOptions::new(home, folder) };
    let mut city = City::start(&options).await?;
    say(&format!("the city is up after {:.1} s: {}", watch.elapsed().as_secs_f64(), city.describe()));

    let told = story::tell(&city, home).await?;
    city.check_running()?;
    let report = Report::gather(&city, &told).await?;
    say(&format!("the story took {:.1} s in all", watch.elapsed().as_secs_f64()));
    if !demo.check {
        let shutdown = facegate_runtime::shutdown::on_signals()?;
        print_addresses(&city, &told, &shutdown)?;
        shutdown.cancelled().await;
        say("stopping…");
    }
    city.stop().await?;
    let faults = report.faults();
    for fault in &faults {
        say(&format!("DOES NOT HOLD: {fault}"));
    }
    if demo.check {
        println!("{}", serde_json::to_string(&report)?);
    }
    if faults.is_empty() { Ok(()) } else { bail!("{} of the demo's promises do not hold", faults.len()) }
}

/// Narration goes to standard error, so that standard output ends with the JSON line.
pub fn say(line: &str) {
    eprintln!("{line}");
}

fn print_addresses(city: &City, told: &story::Told, shutdown: &CancellationToken) -> Result<()> {
    say("");
    say(&format!(
        "operations page   {}/ops   user `{}`, password `{}`",
        city.pages(),
        city.ops_user(),
        city.ops_password()
    ));
    for rider in &told.riders {
        say(&format!("rider page        {}/me   rider `{}`, password `{}`", city.pages(), rider.id, rider.password));
    }
    for gate in city.gates() {
        let hardware = page::open(&gate.aisle, SocketAddr::new(LOOPBACK, 0), shutdown.clone())?;
        say(&format!("gate screen       {}   ({}), its hardware http://{hardware}", gate.screen_url(), gate.id));
    }
    say(&format!("API description   {}/openapi.json", city.pages()));
    say("The pages' certificate comes from a throw-away CA, so a browser will warn once. Ctrl-C stops everything.");
    Ok(())
}
