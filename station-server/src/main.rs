//! `facegate-station-server`: parse, build, run.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use facegate_runtime::clock::SystemClock;
use facegate_runtime::{config, shutdown, telemetry};
use facegate_station_server::config::{Config, EXAMPLE, RawConfig};
use facegate_station_server::server::Server;

/// The station of Facegate: finds the rider of a face among all enrolled, checks ride codes for replay and the deny
/// list, keeps the gates' journals until the cloud has them, and goes on when the cloud is away.
#[derive(Parser)]
#[command(version, after_long_help = EXAMPLE)]
struct Arguments {
    /// The config file (TOML); see below for every key.
    #[arg(long)]
    config: PathBuf,
    /// Reads and checks the config, reports everything that is wrong with it, and starts nothing.
    #[arg(long)]
    check_config: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let config: Config = config::load::<RawConfig, Config>(&arguments.config)?;
    if arguments.check_config {
        println!("{} is good", arguments.config.display());
        return Ok(());
    }
    let metrics = telemetry::install(&config.telemetry)?;
    let runtime = tokio::runtime::Runtime::new().context("starting the async runtime")?;
    runtime.block_on(async {
        let stop = shutdown::on_signals().context("listening for signals")?;
        let server = Server::bind(config, Arc::new(SystemClock::new()), Some(metrics)).await?;
        server.serve(stop).await?;
        Ok(())
    })
}
