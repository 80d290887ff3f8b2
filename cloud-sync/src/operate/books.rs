//! `facegate-cloud-sync books`: what finance does, from the command line. The page `/books` does the same in a browser.

use std::sync::Arc;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use facegate_domain::{Clock, Timestamp};
use facegate_runtime::clock::SystemClock;

use super::Target;
use crate::books::trial;
use crate::cloud::Cloud;
use crate::config::Config;
use crate::store::Store;

pub const HELP: &str = "\
With the embedded store the cloud must not run meanwhile: its page /books does all of this while it runs. With PostgreSQL
both may run at once.";

/// The books: trial balance, settlement files, the match of a day, its close.
#[derive(Debug, Args)]
pub struct Books {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Prints what every account held at a moment.
    TrialBalance {
        /// Like 2026-11-29T20:30:00Z; now if left out.
        #[arg(long)]
        at: Option<jiff::Timestamp>,
        /// CSV instead of a table, amounts in minor units.
        #[arg(long)]
        csv: bool,
    },
}

/// What every command works on.
struct Desk {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

impl Books {
    pub fn run(self) -> Result<()> {
        let config = self.target.load()?;
        tokio::runtime::Runtime::new().context("starting the async runtime")?.block_on(async {
            let desk = Desk::open(&config).await?;
            match self.what {
                What::TrialBalance { at, csv } => desk.trial_balance(at, csv).await,
            }
        })
    }
}

impl Desk {
    async fn open(config: &Config) -> Result<Self> {
        Ok(Self { store: Cloud::open_store(config).await?, clock: Arc::new(SystemClock::new()) })
    }

    async fn trial_balance(&self, at: Option<jiff::Timestamp>, csv: bool) -> Result<()> {
        let at = at.map_or_else(|| self.clock.now(), |at| Timestamp::from_unix_ms(at.as_millisecond()));
        let totals = self.store.totals_at(at).await?;
        print!("{}", if csv { trial::csv(at, &totals) } else { trial::table(at, &totals) });
        Ok(())
    }
}
