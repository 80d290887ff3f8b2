//! `facegate-cloud-sync`: parse, build, run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::{Parser, Subcommand};
use facegate_cloud_sync::api::rest;
use facegate_cloud_sync::audit_report::{self, Sums};
use facegate_cloud_sync::auditor::Auditor;
use facegate_cloud_sync::cloud::Cloud;
use facegate_cloud_sync::config::{Config, EXAMPLE, RawConfig};
use facegate_cloud_sync::enrolment::EngineCapture;
use facegate_cloud_sync::operate::{backup, books, ca, fares, import, keys, restore, tell};
use facegate_cloud_sync::server::Server;
use facegate_models::FaceEngine;
use facegate_runtime::clock::SystemClock;
use facegate_runtime::sign_in::password::hash_from;
use facegate_runtime::{config, shutdown, telemetry};

/// The cloud of Facegate: enrols riders, feeds stations, takes taps in, makes journeys of them, and charges for those.
#[derive(Parser)]
#[command(version, after_long_help = EXAMPLE, subcommand_negates_reqs = true, args_conflicts_with_subcommands = true)]
struct Arguments {
    /// The config file (TOML); see below for every key.
    #[arg(long, required = true)]
    config: Option<PathBuf>,
    /// Reads and checks the config and the fare table, reports everything that is wrong, and starts nothing.
    #[arg(long)]
    check_config: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Reads a password from standard input and prints what `[[web.operators]]` takes.
    HashPassword,
    /// Prints a day's audit from the store: is every record here that the gates wrote? With the embedded store the cloud
    /// must not run meanwhile; its page /ops/audit shows the same.
    Audit {
        /// The config file of the cloud.
        #[arg(long)]
        config: PathBuf,
        /// The travel day, like 2026-11-29; the latest that is over if left out.
        #[arg(long)]
        day: Option<jiff::civil::Date>,
    },
    /// Prints a new API key, which only the app should keep, and what `[[web.api_keys]]` takes.
    NewApiKey,
    /// Copies the embedded store, verified, while the cloud is stopped.
    #[command(after_long_help = backup::HELP)]
    Backup(backup::Backup),
    /// Puts a backup back, while the cloud is stopped.
    #[command(after_long_help = restore::HELP)]
    Restore(restore::Restore),
    /// The books: trial balance, settlement files, the match of a day, its close.
    #[command(after_long_help = books::HELP)]
    Books(books::Books),
    /// Lists, rotates and retires the keys that values are sealed under and ride codes are signed with.
    #[command(after_long_help = keys::HELP)]
    Keys(keys::Keys),
    /// The operator's certificate authority: makes one, issues, renews and revokes devices' certificates.
    #[command(after_long_help = ca::HELP)]
    Ca(ca::Ca),
    /// Checks fare tables and worked examples of them.
    #[command(after_long_help = fares::HELP)]
    Fares(fares::Fares),
    /// Tells stations what to do: settings, modes, fare tables; and whether they may have faces.
    Tell(tell::Tell),
    /// Takes over riders of another system, each with consent and template.
    #[command(after_long_help = import::HELP)]
    Import(import::Import),
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    match (arguments.command, arguments.config) {
        (Some(Command::HashPassword), _) => hash_password(),
        (Some(Command::NewApiKey), _) => {
            let (key, sha256) = rest::new_api_key();
            println!("key    = \"{key}\"\nsha256 = \"{sha256}\"");
            Ok(())
        }
        (Some(Command::Backup(backup)), _) => backup.run(),
        (Some(Command::Restore(restore)), _) => restore.run(),
        (Some(Command::Books(books)), _) => books.run(),
        (Some(Command::Keys(keys)), _) => keys.run(),
        (Some(Command::Ca(ca)), _) => ca.run(),
        (Some(Command::Fares(fares)), _) => fares.run(),
        (Some(Command::Tell(tell)), _) => tell.run(),
        (Some(Command::Import(import)), _) => import.run(),
        (Some(Command::Audit { config, day }), _) => print_audit(&config, day),
        (None, Some(config)) => serve(&config, arguments.check_config),
        (None, None) => anyhow::bail!("--config is missing"),
    }
}

fn hash_password() -> anyhow::Result<()> {
    println!("{}", hash_from(std::io::stdin())?);
    Ok(())
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Runtime::new().context("starting the async runtime")
}

/// CSV on standard output, what it comes to on standard error.
fn print_audit(path: &Path, day: Option<jiff::civil::Date>) -> anyhow::Result<()> {
    let config: Config = config::load::<RawConfig, Config>(path)?;
    runtime()?.block_on(async {
        let store = Cloud::open_store(&config).await?;
        let auditor = Auditor::new(store, Arc::new(SystemClock::new()), config.audit);
        let report = auditor.report(day.unwrap_or_else(|| auditor.yesterday())).await?;
        print!("{}", audit_report::csv(&report));
        let sums = Sums::of(&report);
        let state = if report.preliminary { " (not closed yet)" } else { "" };
        eprintln!(
            "{}{state}: {} of {} records of {} journals, {} missing, {} lost, {} taps",
            report.day,
            sums.count,
            sums.expected,
            report.lines.len(),
            sums.missing(),
            sums.lost,
            sums.taps
        );
        Ok(())
    })
}

fn serve(path: &Path, check_config: bool) -> anyhow::Result<()> {
    let config: Config = config::load::<RawConfig, Config>(path)?;
    if check_config {
        println!("{} is good", path.display());
        return Ok(());
    }
    let metrics = telemetry::install(&config.telemetry)?;
    runtime()?.block_on(async {
        let stop = shutdown::on_signals().context("listening for signals")?;
        let engine = FaceEngine::load(&config.models_dir, config.engine.clone())?;
        let faces = Arc::new(EngineCapture { engine, quality: config.quality });
        let server = Server::bind(config, Arc::new(SystemClock::new()), faces, Some(metrics)).await?;
        server.serve(stop).await?;
        Ok(())
    })
}
