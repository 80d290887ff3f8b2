//! Drives a real station with synthetic riders through the real gRPC, open loop, and reports percentiles.
//!
//! Open loop: probes leave at their scheduled times whether or not earlier ones have been answered, and a probe's
//! time is counted from its schedule, so a stall is seen by everyone who waited behind it.

pub(crate) mod riders;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use facegate_domain::policy::Refusal;
use facegate_proto::convert::station::{Answer, probe_to_wire};
use facegate_proto::convert::sync::FeedChange;
use facegate_proto::v1;
use facegate_proto::v1::station_service_client::StationServiceClient;
use facegate_runtime::grpc::{ChannelOptions, channel};
use facegate_runtime::identity::Role;
use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::transport::Channel;

use crate::city::network::{LOOPBACK, free_port};
use crate::city::{Certificates, Process, configs};
use crate::feed::{self, Told};
use riders::Riders;

/// Load on one station: enrolled synthetic riders and strangers at a fixed rate.
#[derive(Debug, Clone, clap::Args)]
pub struct StationLoad {
    /// Enrolled synthetic templates.
    #[arg(long, default_value_t = 10_000)]
    pub templates: usize,
    /// Probes a second, sent on schedule whether or not earlier ones are answered.
    #[arg(long, default_value_t = 100.0)]
    pub rate: f64,
    /// How long to keep it up.
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
    /// Share of probes that come from nobody enrolled.
    #[arg(long, default_value_t = 0.85)]
    pub strangers: f64,
    /// Seed of riders and probes.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

#[derive(Debug, Serialize)]
struct Report {
    n: usize,
    offered_per_s: f64,
    achieved_per_s: f64,
    probes: u64,
    granted: u64,
    refused: u64,
    wrong_rider: u64,
    strangers_granted: u64,
    errors: u64,
    identify_ms_p50: f64,
    identify_ms_p95: f64,
    identify_ms_p99: f64,
    identify_ms_max: f64,
}

/// One answered probe.
struct Shot {
    mate: Option<facegate_domain::ids::RiderId>,
    answer: Result<Answer>,
    latency: Duration,
}

/// Starts a feed and a station in `folder`, waits until it holds every template, fires, prints one JSON line last.
pub async fn run(load: &StationLoad, folder: &Path) -> Result<()> {
    let certificates = Certificates::make(&folder.join("certificates"), &[])?;
    eprintln!("making {} synthetic riders (seed {})…", load.templates, load.seed);
    let riders = Arc::new(Riders::make(load.templates, load.seed)?);
    let templates = Arc::clone(&riders);
    let change = move |index: usize| FeedChange::TemplatePut(templates.templates()[index].clone());
    let mut fed = feed::serve(Told { count: riders.len(), change: Box::new(change) }, &certificates).await?;
    let listen = SocketAddr::new(LOOPBACK, free_port()?);
    let config = configs::station_for_load(folder, &certificates, fed.address, listen)?;
    let arguments = vec!["--config".to_owned(), config.display().to_string()];
    let mut station = Process::start("station", "facegate-station-server", arguments, folder, None)?;

    let gate = certificates.identity(Role::Gate, configs::LOAD_GATE)?;
    let uri = format!("https://{listen}");
    let channel = channel(&gate, &uri, Role::Station, ChannelOptions::default())?;
    eprintln!("waiting until the station honours all of them…");
    let all = riders.len() as u64;
    let honoured = fed.applied.wait_for(|version| *version >= all);
    if tokio::time::timeout(Duration::from_secs(300), honoured).await.is_err() {
        station.check_running()?;
        bail!("the station did not take the feed within 300 s; see {}", station.log().display());
    }
    eprintln!("firing {} probes a second for {} s…", load.rate, load.seconds);
    let report = fire(load, &channel, &riders).await?;
    station.stop().await?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

async fn identify(channel: Channel, probe: v1::Probe) -> Result<Answer> {
    let direction = v1::Direction::Entry.into();
    let request = v1::IdentifyRequest { probe: Some(probe), direction, refusal_level: Refusal::LEVEL };
    Ok(StationServiceClient::new(channel).identify(request).await?.into_inner().try_into()?)
}

async fn fire(load: &StationLoad, channel: &Channel, riders: &Arc<Riders>) -> Result<Report> {
    let interval = Duration::from_secs_f64(1.0 / load.rate);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "counts")]
    let shots = (load.rate * load.seconds as f64).round().max(1.0) as u32;
    // Probes are made before the clock starts: the generator must not be what is measured.
    let probes = (0..shots)
        .map(|shot| riders.probe(load.strangers, load.seed.wrapping_add(u64::from(shot) + 1)))
        .collect::<Result<Vec<_>>>()?;
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for (scheduled, (mate, probe)) in (0..).map(|i| start + interval * i).zip(probes) {
        tokio::time::sleep_until(scheduled).await;
        let channel = channel.clone();
        tasks.spawn(async move {
            let answer = identify(channel, probe_to_wire(&probe, 3)).await;
            Shot { mate, answer, latency: scheduled.elapsed() }
        });
    }
    let answered = tasks.join_all().await;
    summarise(load, &answered, start.elapsed())
}

fn summarise(load: &StationLoad, shots: &[Shot], took: Duration) -> Result<Report> {
    let mut latencies = Histogram::<u64>::new_with_bounds(1, 120_000_000, 3)?;
    let (mut granted, mut refused, mut wrong_rider, mut strangers_granted, mut errors) = (0, 0, 0, 0, 0);
    for shot in shots {
        latencies.saturating_record(u64::try_from(shot.latency.as_micros())?);
        match (&shot.answer, shot.mate) {
            (Ok(Answer::Granted { rider, .. }), Some(mate)) => {
                granted += 1;
                wrong_rider += u64::from(*rider != mate);
            }
            (Ok(Answer::Granted { .. }), None) => strangers_granted += 1,
            (Ok(Answer::Refused(_)), _) => refused += 1,
            (Err(error), _) => {
                tracing::warn!(%error, "a probe failed");
                errors += 1;
            }
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "microseconds of minutes")]
    let at = |quantile| latencies.value_at_quantile(quantile) as f64 / 1000.0;
    #[expect(clippy::cast_precision_loss, reason = "a count of probes")]
    let achieved = shots.len() as f64 / took.as_secs_f64();
    Ok(Report {
        n: load.templates,
        offered_per_s: load.rate,
        achieved_per_s: achieved,
        probes: shots.len() as u64,
        granted,
        refused,
        wrong_rider,
        strangers_granted,
        errors,
        identify_ms_p50: at(0.5),
        identify_ms_p95: at(0.95),
        identify_ms_p99: at(0.99),
        identify_ms_max: at(1.0),
    })
}
