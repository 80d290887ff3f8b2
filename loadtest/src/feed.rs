//! A cloud's feed and nothing else, for load on a station: tells what it is given, then stays quiet. What the station hands
//! on it keeps.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use facegate_domain::tap::GateRecord;
use facegate_proto::convert::sync::{FeedChange, VersionedChange};
use facegate_proto::v1;
use facegate_proto::v1::sync_service_server::{SyncService, SyncServiceServer};
use facegate_runtime::grpc::{incoming, server};
use facegate_runtime::identity::Role;
use futures::{Stream, StreamExt};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use crate::city::Certificates;

/// What the feed tells: so many changes, made when they are asked for.
pub struct Told {
    pub count: usize,
    pub change: Box<dyn Fn(usize) -> FeedChange + Send + Sync>,
}

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Told({} changes)", self.count)
    }
}

/// The feed as it is seen from outside.
#[derive(Debug)]
pub struct Fed {
    pub address: SocketAddr,
    /// The version that the station says its searches honour.
    pub applied: watch::Receiver<u64>,
    /// What was handed on by gates through their station, in the order in which it came.
    pub delivered: Arc<Mutex<Vec<GateRecord>>>,
}

struct Feed {
    told: Arc<Told>,
    applied: watch::Sender<u64>,
    delivered: Arc<Mutex<Vec<GateRecord>>>,
}

/// Serves until the process ends.
pub async fn serve(told: Told, certificates: &Certificates) -> Result<Fed> {
    let (applied, applied_seen) = watch::channel(0);
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let identity = certificates.identity(Role::Cloud, "cloud")?;
    let delivered = Arc::<Mutex<Vec<GateRecord>>>::default();
    let feed = Feed { told: Arc::new(told), applied, delivered: Arc::clone(&delivered) };
    let router = server().add_service(SyncServiceServer::new(feed));
    let incoming = incoming(listener, &identity)?;
    tokio::spawn(async move {
        if let Err(error) = router.serve_with_incoming(incoming).await {
            tracing::error!(%error, "the feed stopped");
        }
    });
    Ok(Fed { address, applied: applied_seen, delivered })
}

type Changes<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl SyncService for Feed {
    type SubscribeStream = Changes<v1::Change>;
    type SnapshotStream = Changes<v1::SnapshotChunk>;
    type RereadStream = Changes<v1::RereadPart>;

    async fn subscribe(&self, request: Request<v1::SubscribeRequest>) -> Result<Response<Changes<v1::Change>>, Status> {
        let after = request.into_inner().after_version;
        let told = Arc::clone(&self.told);
        let first = usize::try_from(after).unwrap_or(usize::MAX);
        let changes = (first..told.count).map(move |index| {
            let change = (told.change)(index);
            Ok(v1::Change::from(VersionedChange { version: index as u64 + 1, change }))
        });
        Ok(Response::new(Box::pin(futures::stream::iter(changes).chain(futures::stream::pending()))))
    }

    async fn snapshot(
        &self,
        _request: Request<v1::SnapshotRequest>,
    ) -> Result<Response<Changes<v1::SnapshotChunk>>, Status> {
        Err(Status::unimplemented("this feed keeps its whole log: subscribe from 0"))
    }

    async fn deliver(&self, request: Request<v1::DeliverRequest>) -> Result<Response<v1::DeliverResponse>, Status> {
        let mut marks: BTreeMap<(String, u32), u64> = BTreeMap::new();
        for record in request.into_inner().records {
            let record = GateRecord::try_from(record).map_err(|error| Status::invalid_argument(error.to_string()))?;
            let journal = (record.id.gate.to_string(), record.id.epoch);
            // A station hands a journal on in its order.
            marks.insert(journal, record.id.sequence + 1);
            self.delivered.lock().unwrap_or_else(PoisonError::into_inner).push(record);
        }
        let mark = |((gate, epoch), next_sequence)| v1::JournalMark { gate, epoch, next_sequence };
        Ok(Response::new(v1::DeliverResponse { marks: marks.into_iter().map(mark).collect(), conflicts: Vec::new() }))
    }

    async fn lease(&self, _request: Request<v1::LeaseRequest>) -> Result<Response<v1::LeaseResponse>, Status> {
        Ok(Response::new(v1::LeaseResponse {
            // Nobody's faces: the templates are made up.
            key: vec![1; 32],
            generation: 1,
            valid_for_ms: 24 * 3_600_000,
            required_version: 0,
        }))
    }

    async fn report(&self, request: Request<v1::StationStatus>) -> Result<Response<v1::ReportResponse>, Status> {
        self.applied.send_replace(request.into_inner().applied_version);
        Ok(Response::new(v1::ReportResponse {
            head_version: self.told.count as u64,
            lease_generation: 1,
            ..v1::ReportResponse::default()
        }))
    }

    async fn digests(&self, _request: Request<v1::DigestsRequest>) -> Result<Response<v1::DigestsResponse>, Status> {
        Err(Status::unimplemented("this feed knows no digests"))
    }

    async fn reread(&self, _request: Request<v1::RereadRequest>) -> Result<Response<Changes<v1::RereadPart>>, Status> {
        Err(Status::unimplemented("this feed knows no digests"))
    }
}
