//! The cloud from its config to its end: open what is on the disk, listen, run the loops, stop in order.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use facegate_domain::Clock;
use facegate_runtime::grpc;
use facegate_runtime::http::{self, ServerTls};
use facegate_runtime::identity::ca::CaError;
use facegate_runtime::identity::{DeviceIdentity, IdentityError, Role};
use facegate_runtime::telemetry::{Health, Metrics};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::charging::acquirer::sandbox::SandboxError;
use crate::charging::acquirer::{Acquirers, build};
use crate::charging::{Remedies, Scheduler};
use crate::cloud::{Cloud, CloudError};
use crate::config::Config;
use crate::enrolment::FaceCapture;
use crate::notify::{Notifier, NotifyError};
use crate::renewal::Renewals;
use crate::rotation::Rotation;
use crate::tariffs::Tariffs;
use crate::ticketing::{self, Ticketing};
use crate::{api, books, figures, habits, journeys, retention, web};

/// How long open calls may take once the server stops.
const DRAIN: Duration = Duration::from_secs(5);

/// Why the cloud does not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("the CA in the config: {0}")]
    Ca(#[from] CaError),
    #[error("the certificate is of {given}; the cloud needs one of the role cloud")]
    NotACloud { given: String },
    #[error("cannot listen at {address}: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error(transparent)]
    Cloud(#[from] CloudError),
    #[error("serving: {0}")]
    Serve(#[from] tonic::transport::Error),
    #[error("serving: {0}")]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Acquirer(#[from] SandboxError),
    #[error("the client of the ticketing system could not be made: {0}")]
    Ticketing(#[from] reqwest::Error),
    #[error("notices: {0}")]
    Notices(#[from] NotifyError),
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    #[error("a part of the cloud panicked: {0}")]
    Panicked(#[from] tokio::task::JoinError),
}

/// A cloud that is ready to serve: its listeners are bound, its store is open.
#[derive(Debug)]
pub struct Server {
    cloud: Arc<Cloud>,
    identity: DeviceIdentity,
    listener: TcpListener,
    metrics: Option<(Metrics, TcpListener)>,
    web: Option<TcpListener>,
    rotation: Rotation,
    renewals: Renewals,
}

impl Server {
    /// Opens everything. `metrics` are served if the config says where.
    pub async fn bind(
        config: Config,
        clock: Arc<dyn Clock>,
        faces: Arc<dyn FaceCapture>,
        metrics: Option<Metrics>,
    ) -> Result<Self, ServerError> {
        let identity = DeviceIdentity::load(&config.tls)?;
        if identity.name().role != Role::Cloud {
            return Err(ServerError::NotACloud { given: identity.name().to_string() });
        }
        let listener = listen(config.listen)?;
        let metrics = match (metrics, config.telemetry.metrics_listen) {
            (Some(metrics), Some(address)) => Some((metrics, listen(address)?)),
            _ => None,
        };
        let web = config.web.as_ref().map(|web| listen(web.listen)).transpose()?;
        let stop = CancellationToken::new();
        let renewals = Renewals::open(config.ca.as_ref())?;
        let keys = config.keys.open().map_err(CloudError::from)?;
        let cloud = Box::pin(Cloud::open(config, clock, faces, stop)).await?;
        let cloud = Arc::new(cloud);
        // Also goes on with what a rotation before this start has left half done.
        let rotation = Rotation::new(Arc::clone(&cloud), keys);
        rotation.publish_issuers().await?;
        Ok(Self { cloud, identity, listener, metrics, web, rotation, renewals })
    }

    /// Where stations and integrators connect; tells the port if the config left it to the system.
    pub fn address(&self) -> Result<SocketAddr, ServerError> {
        Ok(self.listener.local_addr()?)
    }

    /// Where the pages and the REST API are, if they are served.
    pub fn web_address(&self) -> Result<Option<SocketAddr>, ServerError> {
        Ok(self.web.as_ref().map(TcpListener::local_addr).transpose()?)
    }

    /// Where `/metrics` is, if it is served.
    pub fn metrics_address(&self) -> Result<Option<SocketAddr>, ServerError> {
        Ok(self.metrics.as_ref().map(|(_, listener)| listener.local_addr()).transpose()?)
    }

    pub fn cloud(&self) -> &Arc<Cloud> {
        &self.cloud
    }

    /// Serves until `stop`, then lets open calls finish.
    pub async fn serve(self, stop: CancellationToken) -> Result<(), ServerError> {
        let Self { cloud, identity, listener, metrics, web, rotation, renewals } = self;
        tracing::info!(address = %listener.local_addr()?, fare_tables = cloud.config.fares.tables().len(), "serving");
        let health = Health::new();
        let built = build(&cloud, &identity)?;
        let mut loops = loops(&cloud, &built.acquirers);
        for bank in built.banks {
            loops.spawn(bank.run(cloud.stop.clone()));
        }
        if let Some(config) = &cloud.config.ticketing {
            let (store, clock) = (Arc::clone(&cloud.store), Arc::clone(&cloud.clock));
            let client = Ticketing::new(&identity, config)?;
            let priced = (Tariffs::new(Arc::clone(&cloud.config.fares)), cloud.config.settling.billing.clone());
            loops.spawn(ticketing::run(store, client, priced, clock, config.ask_every, cloud.stop.clone()));
        }
        if let Some(config) = cloud.config.after.notices.clone() {
            let notifier = Notifier::new(Arc::clone(&cloud.store), Arc::clone(&cloud.clock), config)?;
            loops.spawn(notifier.run(cloud.stop.clone()));
        }
        if let Some((metrics, listener)) = metrics {
            let tls = ServerTls::mutual(&identity);
            loops.spawn(told(http::serve(listener, metrics.router(health.clone()), tls, cloud.stop.clone())));
        }
        if let (Some(listener), Some(config)) = (web, &cloud.config.web) {
            let router = web::router(&cloud, config);
            let tls = ServerTls::without_client_certificates(&identity);
            loops.spawn(told(http::serve(listener, router, tls, cloud.stop.clone())));
        }
        loops.spawn(rotation.run());
        loops.spawn(identity.clone().keep_fresh(Arc::clone(&cloud.clock), cloud.stop.clone()));
        health.set_ready();
        let served = serve_grpc(&cloud, renewals, &identity, listener, &stop).await;
        // Streams and loops end with the cloud, also should serving have failed by itself.
        cloud.stop.cancel();
        while let Some(ended) = loops.join_next().await {
            ended?;
        }
        served
    }
}

/// What a cloud does by itself, until its `stop`.
pub fn loops(cloud: &Arc<Cloud>, acquirers: &Acquirers) -> JoinSet<()> {
    let (store, clock, stop) = (Arc::clone(&cloud.store), Arc::clone(&cloud.clock), cloud.stop.clone());
    let remedies =
        Remedies::new(Arc::clone(&store), acquirers.clone(), Arc::clone(&clock), cloud.config.charging.clone())
            .paying_credits_after(cloud.config.after.remedies.credits_after);
    let scheduler =
        Scheduler::new(Arc::clone(&store), acquirers.clone(), Arc::clone(&clock), cloud.config.charging.clone());
    let tariffs = Tariffs::new(Arc::clone(&cloud.config.fares)).priced_elsewhere(cloud.config.ticketing.is_some());
    let scheduler = scheduler.prepaying(Tariffs::new(Arc::clone(&cloud.config.fares)));
    let taps_came = Arc::clone(&cloud.taps_came);
    let mut loops = JoinSet::new();
    loops.spawn(scheduler.run(stop.clone()));
    loops.spawn(remedies.run(stop.clone()));
    if let Some(risk) = &cloud.risk {
        loops.spawn(Arc::clone(risk).run(stop.clone()));
    }
    loops.spawn(retention::run(Arc::clone(cloud)));
    loops.spawn(habits::run(Arc::clone(cloud)));
    loops.spawn(figures::keep(Arc::clone(cloud)));
    loops.spawn(cloud.auditor.clone().run(stop.clone()));
    loops.spawn(books::inbox::run(Arc::clone(&cloud.desk), acquirers.clone(), stop.clone()));
    let following = Arc::clone(cloud);
    loops.spawn(async move { following.enrolment.follow_feed(following.stop.clone()).await });
    loops.spawn(journeys::run(store, tariffs, clock, cloud.config.settling.clone(), taps_came, stop));
    loops
}

async fn serve_grpc(
    cloud: &Arc<Cloud>,
    renewals: Renewals,
    identity: &DeviceIdentity,
    listener: TcpListener,
    stop: &CancellationToken,
) -> Result<(), ServerError> {
    let routes = api::grpc::routes(cloud, renewals).await?;
    let stopping = {
        let (stop, streams) = (stop.clone(), cloud.stop.clone());
        async move {
            stop.cancelled().await;
            streams.cancel();
        }
    };
    let serving =
        grpc::server().add_routes(routes).serve_with_incoming_shutdown(grpc::incoming(listener, identity)?, stopping);
    let overdue = async {
        stop.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        biased;
        served = serving => Ok(served?),
        () = overdue => {
            tracing::warn!("calls were still open when the cloud stopped");
            Ok(())
        }
    }
}

/// A listener beside the main one: should it fail, the rest goes on and the log says so.
async fn told(serving: impl Future<Output = std::io::Result<()>>) {
    if let Err(error) = serving.await {
        tracing::error!(%error, "a listener has ended; restart the cloud to have it back");
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener, ServerError> {
    TcpListener::bind(address).map_err(|source| ServerError::Listen { address, source })
}
