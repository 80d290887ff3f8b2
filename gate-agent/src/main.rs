//! `facegate-gate-agent`: reads the configuration, makes the effects, runs.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, Subcommand};
use facegate_domain::Clock;
use facegate_gate_agent::actuator::Actuator;
use facegate_gate_agent::actuator::serial::SerialActuator;
use facegate_gate_agent::actuator::simulated::SimulatedActuator;
use facegate_gate_agent::camera;
use facegate_gate_agent::config::{ActuatorConfig, Config, Duty, EXAMPLE, RawConfig};
use facegate_gate_agent::station::grpc::GrpcStation;
use facegate_gate_agent::{Effects, renewal, run};
use facegate_models::FaceEngine;
use facegate_runtime::clock::SystemClock;
use facegate_runtime::http::{ServerTls, serve};
use facegate_runtime::identity::{DeviceIdentity, Role};
use facegate_runtime::sign_in::password::hash_from;
use facegate_runtime::{config, grpc, shutdown, telemetry};
use tokio_util::sync::CancellationToken;

/// One metro gate, or one entrance camera: recognises riders by face or ride code and lets them through.
///
/// Frames never leave this process. A rider is let through when the station recognises him from several agreeing live
/// frames, or when his ride code verifies; each authorisation is on the disk before the gate opens and each passage
/// after it, and both are handed on to the station until it has acknowledged them.
#[derive(Debug, Parser)]
#[command(version, after_long_help = help())]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// The configuration, TOML; `--help` shows an example.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Only report what is wrong with the configuration, all of it at once.
    #[arg(long)]
    check_config: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Reads a password from standard input and prints what `[[screen.attendants]]` takes.
    HashPassword,
}

fn help() -> String {
    let screen = "The screen's address serves the rider's display at /, the attendant's page at /attendant, and the state as JSON at\n\
        /state.json (in production for a signed-in attendant only): phase, refusal, faults,\n\
        frames by fate, passages, refusals by reason, decision_ms (count, p50, p99) and the last 50 decisions (kind,\n\
        medium, reason, decision_ms, first_usable_ms, record, outcome).";
    format!("An example of a gate's configuration, with the defaults:\n\n{EXAMPLE}\n{screen}")
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let path = match (arguments.command, arguments.config) {
        (Some(Command::HashPassword), _) => return hash_password(),
        (None, Some(path)) => path,
        (None, None) => bail!("--config is missing"),
    };
    let config: Config = config::load::<RawConfig, Config>(&path)?;
    let identity = DeviceIdentity::load(&config.tls)?;
    check_identity(&config, &identity)?;
    if arguments.check_config {
        println!("{} is fine", path.display());
        return Ok(());
    }
    let metrics = telemetry::install(&config.telemetry)?;
    let shutdown = shutdown::on_signals()?;
    serve_metrics(&config, &identity, metrics, shutdown.clone())?;

    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    tokio::spawn(identity.clone().keep_fresh(clock.clone(), shutdown.clone()));
    let (models_dir, options) = (config.models_dir.clone(), config.engine.clone());
    let engine = tokio::task::spawn_blocking(move || FaceEngine::load(&models_dir, options)).await??;
    let camera = camera::open(&config.camera, u64::try_from(config.engine.image.file_bytes_max)?, &clock);
    let channel = grpc::channel(&identity, &config.station_uri, Role::Station, grpc::ChannelOptions::default())?;
    tokio::spawn(renewal::keep_renewed(identity.clone(), channel.clone(), clock.clone(), shutdown.clone()));
    let station = Arc::new(GrpcStation::new(grpc::wire(channel), config.deadlines));
    let actuator: Option<Box<dyn Actuator>> = match &config.duty {
        Duty::Gate(duty) => Some(match &duty.actuator {
            ActuatorConfig::Simulated(address) => Box::new(SimulatedActuator::connect(*address)),
            ActuatorConfig::Serial(line) => Box::new(SerialActuator::connect(line.clone())),
        }),
        Duty::Camera => None,
    };
    tracing::info!(id = %config.id, role = config.role().name(), mode = config.mode.name(), model = %engine.model_id(), "started");
    let effects = Effects { clock, engine: Arc::new(engine) };
    Ok(run(config, effects, camera, station, actuator, shutdown).await?)
}

fn hash_password() -> Result<()> {
    println!("{}", hash_from(std::io::stdin())?);
    Ok(())
}

/// The station knows a gate by its certificate, and its records by the configured id: they must be one.
fn check_identity(config: &Config, identity: &DeviceIdentity) -> Result<()> {
    let name = identity.name();
    ensure!(
        name.role.as_str() == config.role().name() && name.id == config.id.as_str(),
        "the certificate is of {name}, but the configuration is of {}/{}: correct `role` and `id`, or `tls`",
        config.role().name(),
        config.id
    );
    Ok(())
}

fn serve_metrics(
    config: &Config,
    identity: &DeviceIdentity,
    metrics: telemetry::Metrics,
    shutdown: CancellationToken,
) -> Result<()> {
    let Some(address) = config.telemetry.metrics_listen else { return Ok(()) };
    let listener =
        std::net::TcpListener::bind(address).with_context(|| format!("metrics cannot listen on {address}"))?;
    let health = telemetry::Health::new();
    health.set_ready();
    let (router, tls) = (metrics.router(health), ServerTls::mutual(identity));
    tokio::spawn(async move {
        if let Err(error) = serve(listener, router, tls, shutdown).await {
            tracing::error!(%error, "the metrics stopped; the gate goes on without them");
        }
    });
    Ok(())
}
