//! Many real stations in this process, each with its own certificate, data directory and connection.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use facegate_cloud_sync::store::Imported;
use facegate_domain::Clock;
use facegate_domain::ids::{GateId, RecordId, RiderId, StationId};
use facegate_domain::score::{Similarity, Tier};
use facegate_domain::tap::{
    Authorisation, Direction, Evidence, GateRecord, GateStamp, Passage, PassageOutcome, RecordBody,
};
use facegate_proto::convert::station::Answer;
use facegate_proto::v1;
use facegate_proto::v1::station_service_client::StationServiceClient;
use facegate_runtime::clock::SystemClock;
use facegate_runtime::config;
use facegate_runtime::grpc::{ChannelOptions, channel};
use facegate_runtime::identity::Role;
use facegate_station_server::config::{Config, RawConfig};
use facegate_station_server::identify::identify;
use facegate_station_server::server::Server;
use facegate_station_server::station::Station;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::cloud::BenchCloud;
use super::faces;
use crate::city::{Certificates, configs};

/// How long a station may take before the measurement is given up.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two changes, so that each is timed alone.
const PAUSE: Duration = Duration::from_millis(30);
/// Riders that every gallery holds from the start.
const ENROLLED: u64 = 200;

/// Stations that run until they are stopped.
pub struct Fleet {
    stations: Vec<Arc<Station>>,
    /// Of the first station.
    address: std::net::SocketAddr,
    stop: CancellationToken,
    serving: JoinSet<Result<()>>,
}

impl Fleet {
    /// Starts so many and waits until all have what the cloud holds.
    pub async fn start(folder: &Path, certificates: &Certificates, cloud: &BenchCloud, count: usize) -> Result<Self> {
        let clock = Arc::new(SystemClock::new());
        let first = (0..ENROLLED).map(|number| faces::rider(number, clock.now())).collect::<Result<Vec<_>>>()?;
        cloud.cloud.store.import(first, clock.now()).await?;
        let stop = CancellationToken::new();
        let (mut stations, mut serving, mut address) = (Vec::new(), JoinSet::new(), None);
        for number in 0..count {
            let config = config_of(&folder.join(number.to_string()), certificates, cloud, number)?;
            let server = Server::bind(config, Arc::clone(&clock) as _, None).await?;
            address.get_or_insert(server.address()?);
            stations.push(Arc::clone(server.station()));
            let stopping = stop.clone();
            serving.spawn(async move { Ok(server.serve(stopping).await?) });
        }
        let fleet = Self { stations, address: address.context("no station")?, stop, serving };
        let head = *cloud.cloud.store.head().borrow();
        for station in &fleet.stations {
            applied(station, head).await?;
        }
        Ok(fleet)
    }

    /// From a template's commit until the last station grants its rider in a search, for each of so many; and how often a
    /// station that had acknowledged the change did not.
    pub async fn changes(&self, cloud: &BenchCloud, count: usize) -> Result<(Vec<Duration>, u64)> {
        let (clock, store) = (SystemClock::new(), &cloud.cloud.store);
        let mut times = Vec::with_capacity(count);
        let mut not_honoured = 0;
        for number in (0..count as u64).map(|i| 1_000_000_000 + i) {
            let Imported { rider, profile, consent, template } = faces::rider(number, clock.now())?;
            store.create_rider(rider, profile, clock.now()).await?;
            store.record_consent(rider, consent).await?;
            tokio::time::sleep(PAUSE).await;
            let mut waiting = JoinSet::new();
            let (told, version) = tokio::sync::watch::channel(0);
            for station in self.stations.iter().skip(1) {
                let (station, probe) = (Arc::clone(station), template.embedding.clone());
                let mut version = version.clone();
                waiting.spawn(async move {
                    let version = *version.wait_for(|version| *version > 0).await?;
                    applied(&station, version).await?;
                    let answer = identify(&station, probe, 3, Direction::Entry).await?;
                    Ok::<_, anyhow::Error>(matches!(answer, Answer::Granted { rider: found, .. } if found == rider))
                });
            }
            let version = store.put_template(template, clock.now()).await?;
            let committed = Instant::now();
            told.send_replace(version);
            while let Some(honoured) = waiting.join_next().await {
                not_honoured += u64::from(!honoured??);
            }
            times.push(committed.elapsed());
        }
        Ok((times, not_honoured))
    }

    /// From the moment a gate at the first station hands over an entry until every other station knows the rider inside.
    pub async fn entries(&self, certificates: &Certificates, count: usize) -> Result<Vec<Duration>> {
        let identity = certificates.identity(Role::Gate, &gate_of(0))?;
        let uri = format!("https://{}", self.address);
        let line = channel(&identity, &uri, Role::Station, ChannelOptions::default())?;
        let mut gate = StationServiceClient::new(line);
        let registered =
            gate.register(v1::RegisterRequest { embedding_model: faces::MODEL.into(), ..Default::default() });
        let mut journal = Journal { epoch: registered.await?.into_inner().epoch, next: 0 };
        let clock = SystemClock::new();
        let mut times = Vec::with_capacity(count);
        for number in 0..count {
            let inside = number + 1;
            let others = self.stations.iter().skip(1).map(|station| knows_inside(Arc::clone(station), inside));
            let mut waiting: JoinSet<Result<()>> = others.collect();
            tokio::time::sleep(PAUSE).await;
            let records = journal.entry(faces::rider(number as u64 % ENROLLED, clock.now())?.rider, &clock)?;
            let tapped = Instant::now();
            gate.deliver(v1::DeliverRequest { records, ..Default::default() }).await?;
            while let Some(known) = waiting.join_next().await {
                known??;
            }
            times.push(tapped.elapsed());
        }
        Ok(times)
    }

    /// Stations that in the end do not hold what the cloud holds.
    pub async fn diverged(&self, cloud: &BenchCloud) -> Result<u64> {
        let store = &cloud.cloud.store;
        let head = *store.head().borrow();
        let theirs = store.roots_at(head).await?.context("the cloud knows its own digests")?;
        let mut diverged = 0;
        for station in &self.stations {
            applied(station, head).await?;
            let (version, ours) = station.roots();
            let differ = ours.iter().filter(|(set, root)| theirs.get(&set.to_string()).copied().unwrap_or(0) != *root);
            diverged += u64::from(version == head && differ.count() > 0);
        }
        Ok(diverged)
    }

    pub async fn stop(mut self) -> Result<()> {
        self.stop.cancel();
        while let Some(ended) = self.serving.join_next().await {
            ended??;
        }
        Ok(())
    }
}

/// The journal of the gate where entries happen.
struct Journal {
    epoch: u32,
    next: u64,
}

impl Journal {
    /// An authorisation and its passage.
    fn entry(&mut self, rider: RiderId, clock: &SystemClock) -> Result<Vec<v1::GateRecord>> {
        let evidence =
            Evidence::Face { similarity: Similarity::from_cosine(0.8), tier: Tier::City, risk: 1e-8, frames: 3 };
        let authorised = self.next;
        let granted = Authorisation::new(rider, Direction::Entry, evidence);
        let passage = Passage::new(authorised, PassageOutcome::Passed);
        let bodies = [RecordBody::Authorisation(granted), RecordBody::Passage(passage)];
        bodies.into_iter().map(|body| self.write(body, clock)).collect()
    }

    fn write(&mut self, body: RecordBody, clock: &SystemClock) -> Result<v1::GateRecord> {
        let sequence = self.next;
        self.next += 1;
        let record = GateRecord {
            id: RecordId { gate: GateId::new(gate_of(0))?, epoch: self.epoch, sequence },
            station: StationId::new("s-0")?,
            stamp: GateStamp { wall: clock.now(), monotonic_ms: clock.monotonic_ms() },
            body,
        };
        Ok(record.into())
    }
}

fn gate_of(station: usize) -> String {
    format!("g-{station}")
}

fn config_of(folder: &Path, certificates: &Certificates, cloud: &BenchCloud, number: usize) -> Result<Config> {
    std::fs::create_dir_all(folder)?;
    let name = format!("s-{number}");
    let tls = certificates.issue(Role::Station, &name)?;
    let raw = json!({
        "station": name,
        "listen": "127.0.0.1:0",
        "cloud": format!("https://{}", cloud.address),
        "data_dir": folder.join("data"),
        "gates": [gate_of(number)],
        "tls": { "cert": tls.cert, "key": tls.key, "ca": tls.ca },
    });
    Ok(config::load::<RawConfig, Config>(&configs::write(folder, "station", &raw)?)?)
}

async fn applied(station: &Station, version: u64) -> Result<()> {
    let mut applied = station.applied();
    let waited = tokio::time::timeout(PATIENCE, applied.wait_for(|applied| *applied >= version)).await;
    ensure!(waited.is_ok(), "station {} does not come to version {version}", station.config.station);
    Ok(())
}

async fn knows_inside(station: Arc<Station>, riders: usize) -> Result<()> {
    let mut applied = station.applied();
    let clock = SystemClock::new();
    let knows = async {
        while station.facts().gallery().map_or(0, |gallery| gallery.tier_len(Tier::InSystem, clock.now())) < riders {
            applied.changed().await?;
        }
        Ok(())
    };
    tokio::time::timeout(PATIENCE, knows).await.context("an entry did not reach every station")?
}
