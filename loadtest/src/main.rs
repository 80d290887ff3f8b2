//! `facegate-loadtest`: the simulated world around the servers.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use facegate_loadtest::{
    acquirer, aisle, bank, charges, closing, demo, fares, flow, intake, kill, partition, soak, station, sync, wire,
};

/// The simulated world around Facegate's servers: the demo's city, load on a station, the sandbox acquirer.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Plays the hardware of one aisle, with a page to break beams and send bodies through.
    Hardware(aisle::page::HardwareOptions),
    /// Starts a small city on loopback and tells the story of four rides in it.
    Demo {
        #[command(flatten)]
        demo: demo::DemoOptions,
        #[command(flatten)]
        places: Places,
    },
    /// Lets streams of people walk through four gates among millions of riders; prints one JSON line last.
    Aisle {
        #[command(flatten)]
        flow: flow::FlowOptions,
        #[command(flatten)]
        places: Places,
    },
    /// Drives one station with synthetic riders, open loop; prints one JSON line last.
    Station {
        #[command(flatten)]
        load: station::StationLoad,
        #[command(flatten)]
        places: Places,
    },
    /// Kills the city's processes one after the other while a crowd rides; prints one JSON line last.
    Kill {
        #[command(flatten)]
        kill: kill::KillOptions,
        #[command(flatten)]
        places: Places,
    },
    /// Lets a crowd ride for a long time and watches the memory of every process; prints one JSON line last.
    Soak {
        #[command(flatten)]
        soak: soak::SoakOptions,
        #[command(flatten)]
        places: Places,
    },
    /// Cuts, slows and thins the wires between the city's sites while a crowd rides; prints one JSON line last.
    Partition {
        #[command(flatten)]
        partition: partition::PartitionOptions,
        #[command(flatten)]
        places: Places,
    },
    /// Passes connections on from one address to another, for who is in another network namespace.
    Relay(wire::RelayOptions),
    /// Measures how fast stations follow the cloud: changes, entries, a whole snapshot; prints one JSON line last.
    Sync {
        #[command(flatten)]
        load: sync::SyncLoad,
        #[command(flatten)]
        places: Places,
    },
    /// Delivers taps to a cloud as fast as it takes them, then a backlog beside live traffic; prints one JSON line last.
    Intake {
        #[command(flatten)]
        load: intake::IntakeLoad,
        #[command(flatten)]
        places: Places,
    },
    /// Fills a city's day and closes it in a process of its own; prints one JSON line last.
    CloseOfDay {
        #[command(flatten)]
        load: closing::ClosingLoad,
        #[command(flatten)]
        places: Places,
    },
    /// Prices journeys, random histories in random order, and published examples; prints one JSON line last.
    Fares(fares::FaresLoad),
    /// Charges riders through the sandbox acquirer under every fault while the cloud is killed; prints one JSON line last.
    Charges {
        #[command(flatten)]
        charges: charges::ChargesOptions,
        #[command(flatten)]
        places: Places,
    },
    /// Plays the bank that takes debit orders by daily files.
    Bank(bank::BankOptions),
    /// Runs the sandbox acquirer: a small real HTTP server that authorises and captures.
    Acquirer(acquirer::Arguments),
}

#[derive(Debug, clap::Args)]
struct Places {
    /// Where models and portraits are (`cargo xtask models` puts them there).
    #[arg(long, env = "FACEGATE_HOME", default_value = ".facegate")]
    home: PathBuf,
    /// Where the run keeps its certificates, data and logs; a throw-away folder unless given.
    #[arg(long)]
    folder: Option<PathBuf>,
}

impl Places {
    /// Runs `scenario` in its folder; a throw-away folder goes with it, unless there is a failure to look into.
    async fn run<F: Future<Output = Result<()>>>(&self, scenario: impl FnOnce(PathBuf) -> F) -> Result<()> {
        if let Some(folder) = &self.folder {
            std::fs::create_dir_all(folder)?;
            return scenario(std::path::absolute(folder)?).await;
        }
        let throw_away = tempfile::Builder::new().prefix("facegate-").tempdir()?;
        let outcome = scenario(throw_away.path().to_owned()).await;
        if outcome.is_err() {
            eprintln!("logs and data of this run are kept in {}", throw_away.keep().display());
        }
        outcome
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // In words only, whatever RUST_BACKTRACE says: two screens of frames would bury them.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<()> {
    match command {
        Command::Demo { demo, places } => {
            let home = std::path::absolute(&places.home)?;
            places.run(|folder| async move { demo::run(&demo, &home, &folder).await }).await
        }
        Command::Aisle { flow, places } => {
            let home = std::path::absolute(&places.home)?;
            places.run(|folder| async move { flow::run(&flow, &home, &folder).await }).await
        }
        Command::Station { load, places } => {
            places.run(|folder| async move { station::run(&load, &folder).await }).await
        }
        Command::Kill { kill, places } => {
            let home = std::path::absolute(&places.home)?;
            places.run(|folder| async move { kill::run(&kill, &home, &folder).await }).await
        }
        Command::Soak { soak, places } => {
            let home = std::path::absolute(&places.home)?;
            places.run(|folder| async move { soak::run(&soak, &home, &folder).await }).await
        }
        Command::Partition { partition, places } => {
            let home = std::path::absolute(&places.home)?;
            places.run(|folder| async move { partition::run(&partition, &home, &folder).await }).await
        }
        Command::Charges { charges, places } => {
            let home = std::path::absolute(&places.home)?;
            places.run(|folder| async move { charges::run(&charges, &home, &folder).await }).await
        }
        Command::Hardware(options) => aisle::page::run(&options).await,
        Command::Bank(options) => bank::run(options).await,
        Command::Relay(relay) => wire::relay(&relay).await,
        Command::Sync { load, places } => places.run(|folder| async move { sync::run(&load, &folder).await }).await,
        Command::Intake { load, places } => places.run(|folder| async move { intake::run(&load, &folder).await }).await,
        Command::CloseOfDay { load, places } => {
            places.run(|folder| async move { closing::run(&load, &folder).await }).await
        }
        Command::Fares(load) => fares::run(&load),
        Command::Acquirer(arguments) => acquirer::run(arguments).await,
    }
}
