//! `facegate-station-server`: parse, build, run.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::{Parser, Subcommand};
use facegate_runtime::clock::SystemClock;
use facegate_runtime::sign_in::password::hash_from;
use facegate_runtime::{config, shutdown, telemetry};
use facegate_station_server::config::{Config, EXAMPLE, RawConfig};
use facegate_station_server::server::Server;

/// The station of Facegate: finds the rider of a face among all enrolled, checks ride codes for replay and the deny
/// list, keeps the gates' journals until the cloud has them, and goes on when the cloud is away.
#[derive(Parser)]
#[command(version, after_long_help = EXAMPLE, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// The config file (TOML); see below for every key.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Reads and checks the config, reports everything that is wrong with it, and starts nothing.
    #[arg(long)]
    check_config: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Reads a password from standard input and prints what `[[booth.attendants]]` takes.
    HashPassword,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let path = match (arguments.command, arguments.config) {
        (Some(Command::HashPassword), _) => {
            println!("{}", hash_from(std::io::stdin())?);
            return Ok(());
        }
        (None, Some(path)) => path,
        (None, None) => anyhow::bail!("--config is missing"),
    };
    let config: Config = config::load::<RawConfig, Config>(&path)?;
    if arguments.check_config {
        println!("{} is good", path.display());
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
