//! A station from its config to its end: open what is on the disk, listen, run the loops, stop in order.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use facegate_domain::Clock;
use facegate_proto::v1::renewal_service_client::RenewalServiceClient;
use facegate_proto::v1::renewal_service_server::RenewalServiceServer;
use facegate_proto::v1::station_service_server::StationServiceServer;
use facegate_proto::v1::sync_service_client::SyncServiceClient;
use facegate_proto::{FILE_DESCRIPTOR_SET, v1};
use facegate_runtime::disk::{Disk, RealDisk};
use facegate_runtime::grpc::{self, ChannelError, ChannelOptions, Wire};
use facegate_runtime::http::{self, ServerTls};
use facegate_runtime::identity::{DeviceIdentity, IdentityError, Role};
use facegate_runtime::journal::{Journal, JournalError};
use facegate_runtime::telemetry::{Health, Metrics};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::booth::BoothConfig;
use crate::config::Config;
use crate::renewal::{RenewalRpc, renew};
use crate::rpc::StationRpc;
use crate::station::{Station, StationError};
use crate::store::{Store, StoreError};
use crate::{booth, forward, lease, metrics, refetch, report, sync, upkeep};

/// The key that sealed the stored templates before keys were leased.
const FORMER_KEY_FILE: &str = "station-templates.key";
/// How long open calls may take once the station stops.
const DRAIN: Duration = Duration::from_secs(5);
/// Largest message read, feed and deliveries included.
const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// Why a station does not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("the certificate is of {given}, but the config is of station/{expected}; use this station's certificate")]
    NotThisStation { given: String, expected: String },
    #[error("cannot listen at {address}: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("{}: {source}", path.display())]
    Directory { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Station(#[from] StationError),
    #[error("the cloud's address: {0}")]
    Cloud(#[from] ChannelError),
    #[error("serving: {0}")]
    Serve(#[from] tonic::transport::Error),
    #[error("serving: {0}")]
    Io(#[from] std::io::Error),
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    #[error("a part of the station panicked: {0}")]
    Panicked(#[from] tokio::task::JoinError),
}

/// A station that is ready to serve: its listeners are bound, its state is loaded.
#[derive(Debug)]
pub struct Server {
    station: Arc<Station>,
    identity: DeviceIdentity,
    listener: TcpListener,
    metrics: Option<(Metrics, TcpListener)>,
    booth: Option<(BoothConfig, TcpListener)>,
    cloud: SyncServiceClient<Wire>,
    renewals: RenewalServiceClient<Wire>,
}

impl Server {
    /// Opens everything but the templates, which wait for the first lease of their key. `metrics` are served if the config says
    /// where.
    pub async fn bind(config: Config, clock: Arc<dyn Clock>, metrics: Option<Metrics>) -> Result<Self, ServerError> {
        let identity = DeviceIdentity::load(&config.tls)?;
        let name = identity.name();
        if name.role != Role::Station || name.id != config.station.as_str() {
            let (given, expected) = (name.to_string(), config.station.to_string());
            return Err(ServerError::NotThisStation { given, expected });
        }
        let listener = listen(config.listen)?;
        let metrics = match (metrics, config.telemetry.metrics_listen) {
            (Some(metrics), Some(address)) => Some((metrics, listen(address)?)),
            _ => None,
        };
        let booth = config.booth.clone().map(|booth| {
            let listener = listen(booth.listen)?;
            let listen = listener.local_addr()?;
            Ok::<_, ServerError>((BoothConfig { listen, ..booth }, listener))
        });
        let booth = booth.transpose()?;
        let cloud = grpc::channel_to_any(&identity, &config.cloud, Role::Cloud, ChannelOptions::default())?;
        let renewals = RenewalServiceClient::new(grpc::wire(cloud.clone()));
        let cloud = cloud_client(grpc::wire(cloud));
        let opened = tokio::task::spawn_blocking(move || open(Arc::new(RealDisk), config, clock)).await?;
        Ok(Self { station: Arc::new(opened?), identity, listener, metrics, booth, cloud, renewals })
    }

    /// Where gates and cameras connect; tells the port if the config left it to the system.
    pub fn address(&self) -> Result<SocketAddr, ServerError> {
        Ok(self.listener.local_addr()?)
    }

    pub fn station(&self) -> &Arc<Station> {
        &self.station
    }

    /// Where `/metrics` is, if it is served.
    pub fn metrics_address(&self) -> Result<Option<SocketAddr>, ServerError> {
        Ok(self.metrics.as_ref().map(|(_, listener)| listener.local_addr()).transpose()?)
    }

    /// Where the ticket booth's page is, if there is one.
    pub fn booth_address(&self) -> Option<SocketAddr> {
        self.booth.as_ref().map(|(booth, _)| booth.listen)
    }

    /// Serves until `stop`, then lets open calls finish and makes the state durable.
    pub async fn serve(self, stop: CancellationToken) -> Result<(), ServerError> {
        metrics::describe();
        let Self { station, identity, listener, metrics, booth, cloud, renewals } = self;
        tracing::info!(station = %station.config.station, address = %listener.local_addr()?, "serving");
        let mut loops = loops(&station, &cloud, &stop);
        let ask = renewals.clone();
        loops.spawn(identity.clone().keep_renewed(
            Arc::clone(&station.clock),
            stop.clone(),
            async move |signing_request| {
                let asked = v1::RenewRequest { signing_request, ..Default::default() };
                Ok(renew(&ask, asked).await.map_err(|status| status.message().to_owned())?.certificate)
            },
        ));
        loops.spawn(identity.clone().keep_fresh(Arc::clone(&station.clock), stop.clone()));
        if let Some((metrics, listener)) = metrics {
            let health = Health::new();
            health.set_ready();
            let served = http::serve(listener, metrics.router(health), ServerTls::mutual(&identity), stop.clone());
            loops.spawn(async move {
                if let Err(error) = served.await {
                    tracing::error!(%error, "metrics are not served any more");
                }
            });
        }
        if let Some((config, listener)) = booth {
            loops.spawn(booth::serve(Arc::clone(&station), config, listener, identity.clone(), stop.clone()));
        }
        let served = serve_rpc(&station, renewals, &identity, listener, &stop).await;
        // Should serving have failed by itself, the loops must end all the same.
        stop.cancel();
        while let Some(ended) = loops.join_next().await {
            ended?;
        }
        station.store.commit().await?;
        served
    }
}

async fn serve_rpc(
    station: &Arc<Station>,
    renewals: RenewalServiceClient<Wire>,
    identity: &DeviceIdentity,
    listener: TcpListener,
    stop: &CancellationToken,
) -> Result<(), ServerError> {
    let service = service(station, stop);
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<StationServiceServer<StationRpc>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let serving = grpc::server()
        .add_service(service)
        .add_service(RenewalServiceServer::new(RenewalRpc::new(Arc::clone(station), renewals)))
        .add_service(health_service)
        .add_service(reflection)
        .serve_with_incoming_shutdown(grpc::incoming(listener, identity)?, stop.clone().cancelled_owned());
    let overdue = async {
        stop.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        biased;
        served = serving => Ok(served?),
        () = overdue => {
            tracing::warn!("calls were still open when the station stopped");
            Ok(())
        }
    }
}

/// What a station does by itself, until `stop`.
pub fn loops(station: &Arc<Station>, cloud: &SyncServiceClient<Wire>, stop: &CancellationToken) -> JoinSet<()> {
    let mut loops = JoinSet::new();
    loops.spawn(lease::keep(Arc::clone(station), cloud.clone(), stop.clone()));
    loops.spawn(sync::follow(Arc::clone(station), cloud.clone(), stop.clone()));
    loops.spawn(forward::forward(Arc::clone(station), cloud.clone(), stop.clone()));
    loops.spawn(refetch::refetch(Arc::clone(station), cloud.clone(), stop.clone()));
    loops.spawn(upkeep::upkeep(Arc::clone(station), stop.clone()));
    loops.spawn(upkeep::turn(Arc::clone(station), stop.clone()));
    loops.spawn(report::report(Arc::clone(station), cloud.clone(), stop.clone()));
    loops
}

/// What answers gates and cameras.
pub fn service(station: &Arc<Station>, stop: &CancellationToken) -> StationServiceServer<StationRpc> {
    StationServiceServer::new(StationRpc::new(Arc::clone(station), stop.clone()))
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
}

/// The cloud over a wire.
pub fn cloud_client(wire: Wire) -> SyncServiceClient<Wire> {
    SyncServiceClient::new(wire)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX)
}

/// Opens what is on the disk, but for the templates, which wait for the first lease of their key. Blocks.
#[expect(clippy::needless_pass_by_value, reason = "who opens a station gives it its disk")]
pub fn open(disk: Arc<dyn Disk>, config: Config, clock: Arc<dyn Clock>) -> Result<Station, ServerError> {
    let keys = config.data_dir.join("keys");
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&keys);
    made.map_err(|source| ServerError::Directory { path: keys.clone(), source })?;
    forget_former_key(&keys.join(FORMER_KEY_FILE))?;
    // The journal's lock comes first: it tells a second process apart from a broken disk.
    let journal_dir = config.data_dir.join("journal");
    let (journal, recovery) = Journal::open(Arc::clone(&disk), &journal_dir, config.journal)?;
    if let Some(torn) = &recovery.torn {
        tracing::warn!(?torn, "the last write was cut short and is gone; nobody was told of it");
    }
    let store = Store::open(disk.as_ref(), &config.data_dir.join("state"), config.station.clone())?;
    Ok(Station::open(config, clock, store, journal)?)
}

/// What was sealed under it cannot be opened any more, here or from a copy of this disk that has no key.
fn forget_former_key(path: &Path) -> Result<(), ServerError> {
    match std::fs::remove_file(path) {
        Ok(()) => {
            tracing::warn!(path = %path.display(), "a key kept on the disk is removed: the cloud leases one instead");
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => (),
        Err(source) => return Err(ServerError::Directory { path: path.to_owned(), source }),
    }
    Ok(())
}

fn listen(address: SocketAddr) -> Result<TcpListener, ServerError> {
    TcpListener::bind(address).map_err(|source| ServerError::Listen { address, source })
}
