//! The sandbox acquirer: a small real HTTP server that authorises and captures, as an acquirer's test environment does.
//!
//! | call (mutual TLS, role `cloud`) | answers |
//! |---|---|
//! | `POST /v1/authorisations` `{token, amount_minor, currency}` | 200 authorised, 402 declined |
//! | `POST /v1/authorisations/{id}/capture` `{amount_minor, currency}` | 200 captured, 402 declined |
//! | `POST /v1/authorisations/{id}/void` | 200 voided |
//! | `GET /v1/charges?key=…` | 200 with the charge of that key, 404 if there is none |
//! | `GET /v1/settlement` | every capture, one JSON object a line |
//! | `GET /v1/statistics` (`monitor` may ask too) | what happened under each key and to each token |
//!
//! The POST calls need an `Idempotency-Key`. The same key with the same request gets the first answer again; with
//! another request 422, as <https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/> proposes.
//! What was answered is in a journal first, so that a kill and a restart forget none of it.
//!
//! | token begins with | behaves so |
//! |---|---|
//! | `tok_ok_` | is approved |
//! | `tok_ok_late_` | is approved, but the first answer of each step comes `late_answer_ms` after the work |
//! | `tok_lapses_` | is authorised, and the capture is declined |
//! | `tok_declined_` | is declined, as is every other |

mod book;
mod config;
mod durable;
mod routes;

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use facegate_runtime::clock::SystemClock;
use facegate_runtime::disk::RealDisk;
use facegate_runtime::http::{ServerTls, serve};
use facegate_runtime::identity::DeviceIdentity;
use facegate_runtime::{config as files, shutdown, telemetry};

pub use book::{ByKey, ByToken, Statistics, Status};
pub use config::{Config, Faults, RawConfig};
pub use durable::DurableBook;
pub use routes::router;

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
    let book = DurableBook::open(Arc::new(RealDisk), &dir, Arc::new(SystemClock::new())).await?;
    let listener = TcpListener::bind(config.listen).with_context(|| format!("cannot listen on {}", config.listen))?;
    tracing::info!(listen = %config.listen, "the sandbox acquirer is open");
    serve(listener, router(book, config.faults), ServerTls::mutual(&identity), stop).await?;
    Ok(())
}
