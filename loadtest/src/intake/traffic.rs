//! What stations deliver: taps as their gates write them down, in the batches that the forwarder makes of a journal.

use std::time::Duration;

use anyhow::{Context, Result};
use facegate_domain::Clock;
use facegate_domain::Timestamp;
use facegate_domain::ids::{GateId, RecordId, RiderId, StationId};
use facegate_domain::score::{Similarity, Tier};
use facegate_domain::tap::{
    Authorisation, Direction, Evidence, GateRecord, GateStamp, Passage, PassageOutcome, RecordBody,
};
use facegate_proto::v1;
use facegate_proto::v1::sync_service_client::SyncServiceClient;
use facegate_runtime::clock::SystemClock;
use facegate_runtime::grpc::{ChannelOptions, channel};
use facegate_runtime::identity::Role;
use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use crate::city::Certificates;

/// Taps in one delivery: the forwarder sends 500 records.
const BATCH_TAPS: usize = 250;

/// Every so many batches come twice, as after an answer that was lost.
const AGAIN_EVERY: u64 = 20;

/// Pause between the live taps of one station.
const LIVE_EVERY: Duration = Duration::from_millis(250);

/// What one station has sent and had acknowledged.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Each gate with its number of records.
    pub gates: Vec<(GateId, u64)>,
    pub taps: u64,
    /// Records that were sent a second time.
    pub again: u64,
    /// Riders who passed, for a closer look at some.
    pub riders: Vec<RiderId>,
}

/// A station with an entry and an exit, and its connection.
pub struct Station {
    name: StationId,
    cloud: SyncServiceClient<Channel>,
    clock: SystemClock,
    sent: Sent,
    batches: u64,
    /// Riders who are inside, to be let out by the next batch.
    inside: Vec<RiderId>,
}

impl Station {
    pub fn new(certificates: &Certificates, uri: &str, name: &str) -> Result<Self> {
        let identity = certificates.identity(Role::Station, name)?;
        let channel = channel(&identity, uri, Role::Cloud, ChannelOptions::default())?;
        let gates = ["in", "out"].map(|way| GateId::new(format!("{name}-{way}")).map(|gate| (gate, 0)));
        Ok(Self {
            name: StationId::new(name)?,
            cloud: SyncServiceClient::new(channel),
            clock: SystemClock::new(),
            sent: Sent { gates: gates.into_iter().collect::<Result<_, _>>()?, taps: 0, again: 0, riders: Vec::new() },
            batches: 0,
            inside: Vec::new(),
        })
    }

    pub fn into_sent(self) -> Sent {
        self.sent
    }

    /// `taps` riders go in, or those who are inside go out.
    fn batch(&mut self, taps: usize, at: Timestamp) -> Vec<v1::GateRecord> {
        let out = !self.inside.is_empty();
        let riders: Vec<RiderId> =
            if out { std::mem::take(&mut self.inside) } else { (0..taps).map(|_| RiderId::random()).collect() };
        let mut records = Vec::with_capacity(2 * riders.len());
        for rider in &riders {
            let direction = if out { Direction::Exit } else { Direction::Entry };
            let evidence =
                Evidence::Face { similarity: Similarity::from_cosine(0.8), tier: Tier::City, risk: 1e-8, frames: 3 };
            let granted =
                self.write(out, at, RecordBody::Authorisation(Authorisation::new(*rider, direction, evidence)));
            let passage = Passage::new(granted.id.sequence, PassageOutcome::Passed);
            records.push(granted);
            records.push(self.write(out, at, RecordBody::Passage(passage)));
        }
        self.sent.taps += riders.len() as u64;
        if !out {
            self.sent.riders.extend(riders.iter().take(1));
            self.inside = riders;
        }
        records.into_iter().map(Into::into).collect()
    }

    fn write(&mut self, out: bool, at: Timestamp, body: RecordBody) -> GateRecord {
        let (gate, next) = &mut self.sent.gates[usize::from(out)];
        let id = RecordId { gate: gate.clone(), epoch: 1, sequence: *next };
        *next += 1;
        let stamp = GateStamp { wall: at, monotonic_ms: id.sequence };
        GateRecord { id, station: self.name.clone(), stamp, body }
    }

    /// Delivers until it is acknowledged; gives how often it was refused before.
    async fn deliver(&mut self, records: Vec<v1::GateRecord>) -> Result<u64> {
        self.batches += 1;
        let times = 1 + u64::from(self.batches.is_multiple_of(AGAIN_EVERY));
        self.sent.again += (times - 1) * records.len() as u64;
        let mut refused = 0;
        for _ in 0..times {
            let request = v1::DeliverRequest { records: records.clone(), ..Default::default() };
            while let Err(status) = self.cloud.deliver(request.clone()).await {
                refused += 1;
                tracing::warn!(%status, "a delivery was refused and is sent again");
                anyhow::ensure!(refused < 100, "the cloud takes nothing any more: {status}");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
        Ok(refused)
    }
}

/// As fast as they are taken; gives how many taps were taken and in what time.
pub async fn flood(stations: &mut [Station], time: Duration) -> Result<(u64, Duration)> {
    let before: u64 = stations.iter().map(|station| station.sent.taps).sum();
    let begun = Instant::now();
    let deliveries = stations.iter_mut().map(|station| async move {
        while begun.elapsed() < time {
            let now = station.clock.now();
            let batch = station.batch(BATCH_TAPS, now);
            station.deliver(batch).await?;
        }
        anyhow::Ok(())
    });
    futures::future::try_join_all(deliveries).await?;
    let after: u64 = stations.iter().map(|station| station.sent.taps).sum();
    Ok((after - before, begun.elapsed()))
}

/// Delivers `taps` taps of the last hours, shared among the stations, one batch of each at a time.
pub async fn drain(stations: &mut [Station], taps: usize) -> Result<()> {
    let share = taps.div_ceil(stations.len());
    let deliveries = stations.iter_mut().map(|station| async move {
        let outage = station.clock.now().minus(Duration::from_secs(4 * 3600));
        let mut left = share;
        while left > 0 {
            let before = station.sent.taps;
            let at = outage.plus(Duration::from_millis(before * 10));
            let batch = station.batch(BATCH_TAPS.min(left), at);
            left = left.saturating_sub(usize::try_from(station.sent.taps - before)?);
            station.deliver(batch).await?;
        }
        anyhow::Ok(())
    });
    futures::future::try_join_all(deliveries).await?;
    Ok(())
}

/// How live deliveries fared.
#[derive(Debug)]
pub struct Told {
    pub deliveries: u64,
    pub refused: u64,
    latencies: Histogram<u64>,
}

impl Told {
    #[expect(clippy::cast_precision_loss, reason = "microseconds of seconds")]
    pub fn at(&self, quantile: f64) -> f64 {
        self.latencies.value_at_quantile(quantile) as f64 / 1000.0
    }
}

/// Stations that go on as on any day: one rider at a time.
pub struct Live {
    stop: CancellationToken,
    tasks: JoinSet<Result<(Station, u64, Vec<Duration>)>>,
}

impl Live {
    pub fn start(stations: Vec<Station>) -> Self {
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        for mut station in stations {
            let stop = stop.clone();
            tasks.spawn(async move {
                let (mut refused, mut latencies) = (0, Vec::new());
                while !stop.is_cancelled() {
                    let now = station.clock.now();
                    let tap = station.batch(1, now);
                    let begun = Instant::now();
                    refused += station.deliver(tap).await?;
                    latencies.push(begun.elapsed());
                    tokio::time::sleep(LIVE_EVERY).await;
                }
                Ok((station, refused, latencies))
            });
        }
        Self { stop, tasks }
    }

    pub async fn stop(mut self) -> Result<(Vec<Station>, Told)> {
        self.stop.cancel();
        let latencies = Histogram::new_with_bounds(1, 600_000_000, 3)?;
        let (mut stations, mut told) = (Vec::new(), Told { deliveries: 0, refused: 0, latencies });
        while let Some(ended) = self.tasks.join_next().await {
            let (station, refused, latencies) = ended?.context("a live station")?;
            told.refused += refused;
            told.deliveries += latencies.len() as u64;
            for latency in latencies {
                told.latencies.saturating_record(u64::try_from(latency.as_micros())?);
            }
            stations.push(station);
        }
        Ok((stations, told))
    }
}
