//! The sandbox acquirer: a small real HTTP server that authorises, captures, refunds and settles, as an acquirer's test
//! environment does, and that misbehaves as its config says.
//!
//! | call (mutual TLS, role `cloud`) | answers |
//! |---|---|
//! | `POST /v1/authorisations` `{token, amount_minor, currency}` | 200 authorised, 402 declined |
//! | `POST /v1/authorisations/{id}/capture` `{amount_minor, currency}` | 200 captured, 202 pending, 402 declined; less than was authorised releases the rest |
//! | `POST /v1/authorisations/{id}/void` | 200 voided |
//! | `POST /v1/authorisations/{id}/refunds` `{amount_minor, currency}` | 200 refunded, 402 declined; of all or part of what was captured, under a key of its own |
//! | `GET /v1/charges?key=…` | 200 with the charge or refund of that key, 404 if there is none |
//! | `GET /v1/settlement?date=…[&currency=…]` | the day's file, see [`settlement`] |
//! | `GET /v1/statistics` (`monitor` may ask too) | what happened under each key and to each token |
//!
//! The POST calls need an `Idempotency-Key`. The same key with the same request gets the first answer again; with
//! another request 422, as <https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/> proposes.
//! What was answered is in a journal first, so that a kill and a restart forget none of it. Events are sent to the
//! cloud as signed webhooks, see [`webhooks`].
//!
//! | token begins with | behaves so |
//! |---|---|
//! | `tok_ok_` | is approved |
//! | `tok_ok_late_` | is approved, but the first answer of each step comes `late_answer_ms` after the work |
//! | `tok_ok_disputes_` | is captured, and its holder disputes it at once: a chargeback |
//! | `tok_ok_loses_` | disputes too, and the chargeback is reversed |
//! | `tok_ok_norefund_` | takes no refund |
//! | `tok_slow_` | its capture is taken on, and done `settle_after_ms` later |
//! | `tok_slow_returned_` | its capture is taken on, and declined then |
//! | `tok_lapses_` | is authorised, and the capture is declined |
//! | `tok_poor_N_` | is declined N times for too little money, then approved |
//! | `tok_declined_` | is declined, and may be tried on another day |
//! | `tok_declined_hard_` | is declined for ever, as is every token that is not in this table |

mod book;
mod config;
mod durable;
mod faults;
mod routes;
pub mod settlement;
pub mod webhooks;

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use facegate_runtime::clock::{Clock, SystemClock};
use facegate_runtime::disk::RealDisk;
use facegate_runtime::http::{ServerTls, serve};
use facegate_runtime::identity::DeviceIdentity;
use facegate_runtime::{config as files, shutdown, telemetry};

use webhooks::Webhooks;

pub use book::{ByKey, ByToken, Statistics, Status};
pub use config::{Config, RawConfig};
pub use durable::DurableBook;
pub use faults::{Dice, Faults};
pub use routes::{Acquirer, keep_settling, router};

/// Runs the sandbox acquirer: a small real HTTP server that authorises and captures.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The config file (TOML).
    #[arg(long)]
    pub config: PathBuf,
    /// Checks the config, reports everything wrong with it, and ends.
    #[arg(long)]
    pub check_config: bool,
}

/// Serves until SIGINT or SIGTERM.
pub async fn run(arguments: Arguments) -> Result<()> {
    let config: Config = files::load::<RawConfig, Config>(&arguments.config)?;
    if arguments.check_config {
        println!("{} is fine", arguments.config.display());
        return Ok(());
    }
    telemetry::install(&config.telemetry)?;
    let stop = shutdown::on_signals()?;
    let identity = DeviceIdentity::load(&config.tls)?;
    let dir = config.data_dir.join("book");
    let clock = Arc::new(SystemClock::new());
    let book = DurableBook::open(Arc::new(RealDisk), &dir, Arc::clone(&clock) as Arc<dyn Clock>).await?;
    let dice = Arc::new(Dice::new(config.faults));
    let webhooks = config.webhooks.map(|webhooks| Webhooks::new(webhooks, clock, Arc::clone(&dice)));
    let webhooks = webhooks.transpose()?.map(Arc::new);
    let acquirer = Acquirer { book, dice, terms: config.terms, webhooks };
    let settling = tokio::spawn(keep_settling(acquirer.clone(), stop.clone()));
    let listener = TcpListener::bind(config.listen).with_context(|| format!("cannot listen on {}", config.listen))?;
    tracing::info!(listen = %config.listen, "the sandbox acquirer is open");
    serve(listener, router(acquirer), ServerTls::mutual(&identity), stop).await?;
    settling.await?;
    Ok(())
}
