//! `facegate-cloud-sync fares`: what a fare office asks before it publishes a table.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};
use facegate_domain::fares::worked::Examples;
use facegate_domain::fares::{FareTable, Tariff, gtfs};

/// What `--help` prints below the options.
pub const HELP: &str = r#"Examples are a file beside the tables:

    source = "https://metro.example/fares"     # where the figures are published
    tables = ["metro-2026.toml"]

    [[case]]
    name = "there and back"
    taps = [                                   # local time, station, in or out; "x5" for that and the four days after
        "2026-03-02T08:00 north in",
        "2026-03-02T08:40 south out",
        "2026-03-02T18:00 south in",
        "2026-03-02T18:40 north out",
    ]
    rider = { category = "student" }           # and passes, coupons, repairs
    pays = [250, 250]                          # in minor units, "held" without a price; or last, or total
    says = ["student pays 50 %"]               # lines of the last ride

docs/FARES.md explains what a table may say. Nothing is published: `facegate-cloud-sync tell fares` does that.
"#;

/// Checks fare tables and worked examples of them.
#[derive(Debug, Args)]
pub struct Fares {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Reads tables, names everything that is wrong with them, and says from when each holds.
    Check {
        /// Fare tables (TOML) that follow each other.
        #[arg(required = true)]
        tables: Vec<PathBuf>,
    },
    /// Runs worked examples; fails if one comes out otherwise.
    Examples {
        /// The file of examples (TOML); its tables are beside it.
        file: PathBuf,
        /// Prints the receipt of every ride.
        #[arg(long)]
        receipts: bool,
    },
    /// Makes a fare table of a GTFS feed with Fares v2, and prints it. What is wrong with the feed is named by file, line
    /// and rule.
    ImportGtfs {
        /// The folder with the feed's files (unzipped).
        folder: PathBuf,
        /// The table's name.
        #[arg(long)]
        name: String,
        /// From when it holds, such as 2026-01-01T04:30:00+08:00.
        #[arg(long)]
        valid_from: String,
        /// Takes the prices for this fare_media_id, and those for any; without it only those for any.
        #[arg(long)]
        medium: Option<String>,
        /// What a ride costs whose one end is missing; the dearest product's price unless given.
        #[arg(long)]
        maximum_fare_minor: Option<i64>,
    },
}

impl Fares {
    pub fn run(self) -> Result<()> {
        match self.what {
            What::Check { tables } => check(&tables),
            What::Examples { file, receipts } => examples(&file, receipts),
            What::ImportGtfs { folder, name, valid_from, medium, maximum_fare_minor } => {
                import_gtfs(&folder, &gtfs::Options { name, valid_from, medium, maximum_fare_minor })
            }
        }
    }
}

fn check(paths: &[PathBuf]) -> Result<()> {
    let tariff = read(paths)?;
    for table in tariff.tables() {
        let from = jiff::Timestamp::from_millisecond(table.valid_from().unix_ms())?;
        println!("{:?}: {} stations, {}, from {from} on", table.name(), table.stations().len(), table.currency());
    }
    Ok(())
}

fn read(paths: &[PathBuf]) -> Result<Tariff> {
    let table = |path: &PathBuf| -> Result<Arc<FareTable>> {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        Ok(Arc::new(FareTable::parse(&text).with_context(|| path.display().to_string())?))
    };
    Ok(Tariff::new(paths.iter().map(table).collect::<Result<_>>()?)?)
}

fn examples(file: &Path, receipts: bool) -> Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let examples: Examples = toml::from_str(&text).with_context(|| file.display().to_string())?;
    let beside = file.parent().unwrap_or(Path::new(""));
    let tariff = read(&examples.tables.iter().map(|table| beside.join(table)).collect::<Vec<_>>())?;
    for case in examples.case.iter().filter(|_| receipts) {
        println!("{}", case.name);
        for billed in case.bill(&tariff)?.rides {
            match &billed.price {
                Ok(fare) => {
                    println!("  {} {}", billed.day, fare.total());
                    let lines = fare.lines().iter();
                    lines.for_each(|line| println!("    {}, {}: {}", line.rule, line.quantity, line.amount));
                }
                Err(held) => println!("  {} held: {held}", billed.day),
            }
        }
    }
    let failures = examples.failures(&tariff);
    failures.iter().for_each(|(case, failure)| println!("{case}: {failure}"));
    println!("{} examples, {} came out otherwise; source: {}", examples.case.len(), failures.len(), examples.source);
    ensure!(failures.is_empty(), "the tables do not say what the examples do");
    Ok(())
}

fn import_gtfs(folder: &Path, options: &gtfs::Options) -> Result<()> {
    let mut files = BTreeMap::new();
    for name in gtfs::FILES {
        let path = folder.join(name);
        if path.is_file() {
            let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            files.insert(name.to_owned(), text);
        }
    }
    match gtfs::import(&files, options) {
        Ok(table) => {
            print!("{table}");
            Ok(())
        }
        Err(problems) => {
            problems.iter().for_each(|problem| eprintln!("{problem}"));
            bail!("{} problems; no table was made of {}", problems.len(), folder.display())
        }
    }
}
