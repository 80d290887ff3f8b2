//! A cloud's feed and nothing else: puts every synthetic template, then stays quiet.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use anyhow::Result;
use facegate_proto::convert::sync::{FeedChange, VersionedChange};
use facegate_proto::v1;
use facegate_proto::v1::sync_service_server::{SyncService, SyncServiceServer};
use facegate_runtime::grpc::{incoming, server};
use facegate_runtime::identity::Role;
use futures::{Stream, StreamExt};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use super::riders::Riders;
use crate::city::Certificates;

struct Feed {
    riders: Arc<Riders>,
    applied: watch::Sender<u64>,
}

/// Serves until the process ends. Gives the address, and the version that the station says its searches honour.
pub async fn serve(riders: Arc<Riders>, certificates: &Certificates) -> Result<(SocketAddr, watch::Receiver<u64>)> {
    let (applied, applied_seen) = watch::channel(0);
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let identity = certificates.identity(Role::Cloud, "cloud")?;
    let router = server().add_service(SyncServiceServer::new(Feed { riders, applied }));
    let incoming = incoming(listener, &identity)?;
    tokio::spawn(async move {
        if let Err(error) = router.serve_with_incoming(incoming).await {
            tracing::error!(%error, "the feed stopped");
        }
    });
    Ok((address, applied_seen))
}

type Changes<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl SyncService for Feed {
    type SubscribeStream = Changes<v1::Change>;
    type SnapshotStream = Changes<v1::SnapshotChunk>;
    type RereadStream = Changes<v1::RereadPart>;

    async fn subscribe(&self, request: Request<v1::SubscribeRequest>) -> Result<Response<Changes<v1::Change>>, Status> {
        let after = request.into_inner().after_version;
        let riders = self.riders.clone();
        let first = usize::try_from(after).unwrap_or(usize::MAX);
        let changes = (first..riders.len()).map(move |index| {
            let change = FeedChange::TemplatePut(riders.templates()[index].clone());
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

    async fn deliver(&self, _request: Request<v1::DeliverRequest>) -> Result<Response<v1::DeliverResponse>, Status> {
        Err(Status::unavailable("this feed takes no records; the load makes none"))
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
            head_version: self.riders.len() as u64,
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
