//! The cloud as a test plays it: a log, a floor below which only a snapshot helps, and what stations handed in.

mod held;

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use facegate_domain::fingerprint::{FactSet, bucket_of};
use facegate_proto::convert::sync::{FeedChange, VersionedChange};
use facegate_proto::snapshot::{Chain, SNAPSHOT_FORMAT};
use facegate_proto::v1;
use facegate_proto::v1::sync_service_server::{SyncService, SyncServiceServer};
use facegate_runtime::grpc;
use facegate_runtime::identity::{DeviceIdentity, Role, require};
use futures::{Stream, StreamExt};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::leases::Leases;

type Answer<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[derive(Default)]
pub struct Seen {
    log: Vec<v1::Change>,
    /// Subscriptions from below are refused.
    floor: u64,
    snapshot: Vec<v1::Change>,
    pub snapshots_asked: usize,
    /// The number of the first chunk of each.
    pub snapshots_from: Vec<u64>,
    /// Format of snapshots.
    pub snapshot_format: u32,
    /// Snapshots to come break after so many chunks.
    pub breaks_after: Vec<usize>,
    /// The next chunk with this number is damaged on its way.
    pub damages: Option<u64>,
    /// What the cloud says it holds; None: it says nothing of that.
    pub holds: Option<Vec<FeedChange>>,
    /// It is of before there were digests.
    pub knows_no_digests: bool,
    /// Sets and buckets that were re-read.
    pub reread: Vec<(String, u32)>,
    pub reports: usize,
    /// Reports are refused with this.
    pub refuses_reports: Option<Status>,
    /// Snapshots always begin anew.
    pub refuses_to_resume: bool,
    pub subscribed_after: Vec<u64>,
    pub delivered: Vec<v1::GateRecord>,
    /// What the station said that nobody holds.
    pub not_held: Vec<v1::JournalRange>,
    /// Gates with the newest epoch that it knows of.
    pub known_epochs: Vec<(String, u32)>,
    /// The next so many deliveries with a backlog behind them are put off.
    pub puts_off: usize,
    pub report: Option<v1::StationStatus>,
    /// Deliveries fail while this is set.
    pub refuses_deliveries: bool,
    pub leases: Leases,
    pub leases_asked: usize,
    /// Templates that the station said had come back.
    pub come_back: Vec<Vec<u8>>,
}

#[derive(Clone)]
pub struct Cloud {
    pub address: SocketAddr,
    pub seen: Arc<Mutex<Seen>>,
    head: watch::Sender<u64>,
    /// While this is set, snapshots stop before their end.
    pub holds_snapshots: watch::Sender<bool>,
    /// While this is set, subscribers are told nothing.
    holds_changes: watch::Sender<bool>,
}

impl Seen {
    fn sequences(&self, gate: &str, epoch: u32) -> BTreeSet<u64> {
        let ids = self.delivered.iter().filter_map(|record| record.id.as_ref());
        ids.filter(|id| id.gate == gate && id.epoch == epoch).map(|id| id.sequence).collect()
    }

    /// What the station says was acknowledged and is not here, one by one.
    fn missing(&self) -> Vec<v1::JournalRange> {
        let mut missing = Vec::new();
        for journal in self.report.iter().flat_map(|report| &report.journals) {
            let here = self.sequences(&journal.gate, journal.epoch);
            let (gate, epoch) = (&journal.gate, journal.epoch);
            let lost = |at: u64| self.not_held.iter().any(|r| r.epoch == epoch && (r.first..=r.last).contains(&at));
            let gone = (0..journal.acknowledged_next_sequence).filter(|at| !here.contains(at) && !lost(*at));
            missing.extend(gone.map(|at| v1::JournalRange { gate: gate.clone(), epoch, first: at, last: at }));
        }
        missing
    }
}

impl Cloud {
    pub async fn start(identity: &DeviceIdentity) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let cloud = Self {
            address,
            seen: Arc::new(Mutex::new(Seen { snapshot_format: SNAPSHOT_FORMAT, ..Seen::default() })),
            head: watch::Sender::new(0),
            holds_snapshots: watch::Sender::new(false),
            holds_changes: watch::Sender::new(false),
        };
        let served = grpc::server()
            .add_service(SyncServiceServer::new(cloud.clone()))
            .serve_with_incoming(grpc::incoming(listener, identity).unwrap());
        tokio::spawn(async move { served.await.unwrap() });
        cloud
    }

    /// Appends to the log and gives the version.
    pub fn publish(&self, change: FeedChange) -> u64 {
        let mut seen = self.seen.lock().unwrap();
        let version = self.head() + 1;
        seen.log.push(VersionedChange { version, change }.into());
        self.head.send_replace(version);
        version
    }

    /// Appends a change of a kind that no station knows yet; gives the version.
    pub fn publish_unknown(&self) -> u64 {
        let mut seen = self.seen.lock().unwrap();
        let version = self.head() + 1;
        seen.log.push(v1::Change { version, change: None });
        self.head.send_replace(version);
        version
    }

    /// What a snapshot holds from now on.
    pub fn set_snapshot(&self, facts: Vec<FeedChange>) {
        let version = self.head();
        let facts = facts.into_iter().map(|change| VersionedChange { version, change }.into());
        self.seen.lock().unwrap().snapshot = facts.collect();
    }

    /// Forgets the log: whoever comes from below `version` needs the snapshot, which is these facts.
    pub fn compact(&self, version: u64, facts: Vec<FeedChange>) {
        let mut seen = self.seen.lock().unwrap();
        seen.log.clear();
        seen.floor = version;
        self.head.send_replace(version);
        drop(seen);
        self.set_snapshot(facts);
    }

    pub fn holds_changes(&self, holds: bool) {
        self.holds_changes.send_replace(holds);
    }

    pub fn lease(&self, leases: Leases) {
        self.seen.lock().unwrap().leases = leases;
    }

    /// Loses everything that was delivered, as a cloud restored from an old backup would have.
    pub fn lose_deliveries(&self) {
        let mut seen = self.seen.lock().unwrap();
        seen.delivered.clear();
    }

    /// Loses some records of `north-in`'s journals.
    pub fn lose(&self, lost: impl Fn(u32, u64) -> bool) {
        let mut seen = self.seen.lock().unwrap();
        seen.delivered.retain(|record| record.id.as_ref().is_none_or(|id| !lost(id.epoch, id.sequence)));
    }

    pub fn head(&self) -> u64 {
        *self.head.borrow()
    }

    /// The version that the station has acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.seen.lock().unwrap().report.as_ref().map_or(0, |report| report.applied_version)
    }

    /// Publishes and waits until the station has acknowledged it.
    pub async fn publish_and_wait(&self, change: FeedChange) {
        let version = self.publish(change);
        crate::world::eventually("the station acknowledges the change", || async { self.acknowledged() >= version })
            .await;
    }
}

impl Seen {
    /// The snapshot, two facts to a chunk.
    fn chunks(&self, version: u64) -> Vec<v1::SnapshotChunk> {
        let mut chain = Chain::default();
        let parts: Vec<_> = self.snapshot.chunks(2).chain([[].as_slice()]).collect();
        let chunk = |(i, facts): (usize, &&[v1::Change])| {
            let complete = i + 1 == parts.len();
            if self.snapshot_format == 0 {
                return v1::SnapshotChunk { version, facts: facts.to_vec(), complete, ..Default::default() };
            }
            let resume = format!("chunk {i} of {version}").into_bytes();
            let format = self.snapshot_format;
            v1::SnapshotChunk { resume, format, ..chain.chunk(version, facts.to_vec(), complete) }
        };
        parts.iter().enumerate().map(chunk).collect()
    }
}

#[tonic::async_trait]
impl SyncService for Cloud {
    type SubscribeStream = Answer<v1::Change>;
    type SnapshotStream = Answer<v1::SnapshotChunk>;
    type RereadStream = Answer<v1::RereadPart>;

    async fn subscribe(
        &self,
        request: Request<v1::SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        require(&request, &[Role::Station])?;
        let mut after = request.into_inner().after_version;
        {
            let mut seen = self.seen.lock().unwrap();
            if let Leases::Unreachable = seen.leases {
                return Err(Status::unavailable("the test's cloud is away"));
            }
            seen.subscribed_after.push(after);
            if after > self.head() {
                return Err(Status::out_of_range("the cursor lies beyond the log"));
            }
            if after < seen.floor {
                return Err(Status::failed_precondition("the log does not reach back so far"));
            }
        }
        let (changes, queue) = mpsc::channel(64);
        let (seen, mut head, mut held) =
            (Arc::clone(&self.seen), self.head.subscribe(), self.holds_changes.subscribe());
        tokio::spawn(async move {
            loop {
                if held.wait_for(|held| !held).await.is_err() {
                    return;
                }
                let news: Vec<_> = seen.lock().unwrap().log.iter().filter(|c| c.version > after).cloned().collect();
                for change in news {
                    after = change.version;
                    if changes.send(Ok(change)).await.is_err() {
                        return;
                    }
                }
                tokio::select! {
                    changed = head.changed() => if changed.is_err() { return },
                    () = changes.closed() => return,
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(queue))))
    }

    async fn snapshot(&self, request: Request<v1::SnapshotRequest>) -> Result<Response<Self::SnapshotStream>, Status> {
        require(&request, &[Role::Station])?;
        let asked = request.into_inner();
        let mut seen = self.seen.lock().unwrap();
        seen.snapshots_asked += 1;
        let chunks = seen.chunks(self.head());
        let resumed = chunks.iter().position(|chunk| !asked.resume.is_empty() && chunk.resume == asked.resume);
        let from = resumed.filter(|_| !seen.refuses_to_resume).map_or(0, |last| last + 1);
        seen.snapshots_from.push(from as u64);
        let mut chunks: Vec<_> = chunks.into_iter().skip(from).map(Ok).collect();
        if let Some(Ok(damaged)) = chunks.iter_mut().find(|c| c.as_ref().is_ok_and(|c| Some(c.number) == seen.damages))
        {
            seen.damages = None;
            damaged.content[7] ^= 0x10;
        }
        if !seen.breaks_after.is_empty() {
            chunks.truncate(seen.breaks_after.remove(0));
            chunks.push(Err(Status::unavailable("the test breaks the connection")));
        }
        let last = chunks.pop();
        let mut held = self.holds_snapshots.subscribe();
        let last = futures::stream::once(async move {
            held.wait_for(|held| !held).await.unwrap();
            last.expect("a snapshot has a last chunk")
        });
        Ok(Response::new(Box::pin(tokio_stream::iter(chunks).chain(last))))
    }

    async fn deliver(&self, request: Request<v1::DeliverRequest>) -> Result<Response<v1::DeliverResponse>, Status> {
        require(&request, &[Role::Station])?;
        let mut seen = self.seen.lock().unwrap();
        if seen.refuses_deliveries {
            return Err(Status::unavailable("the test's cloud takes nothing now"));
        }
        let request = request.into_inner();
        if request.behind > 0 && seen.puts_off > 0 {
            seen.puts_off -= 1;
            let mut later = Status::resource_exhausted("others first");
            later.metadata_mut().insert("retry-after-ms", "20".parse().unwrap());
            return Err(later);
        }
        seen.not_held.extend(request.not_held);
        let mut touched = BTreeSet::new();
        for record in request.records {
            let id = record.id.clone().unwrap();
            if !seen.sequences(&id.gate, id.epoch).contains(&id.sequence) {
                seen.delivered.push(record);
            }
            touched.insert((id.gate, id.epoch));
        }
        let mark = |(gate, epoch): (String, u32)| {
            let here = seen.sequences(&gate, epoch);
            let next_sequence = (0..).find(|at| !here.contains(at)).unwrap();
            v1::JournalMark { gate, epoch, next_sequence }
        };
        Ok(Response::new(v1::DeliverResponse { marks: touched.into_iter().map(mark).collect(), conflicts: vec![] }))
    }

    async fn lease(&self, request: Request<v1::LeaseRequest>) -> Result<Response<v1::LeaseResponse>, Status> {
        require(&request, &[Role::Station])?;
        let mut seen = self.seen.lock().unwrap();
        seen.leases_asked += 1;
        match seen.leases {
            Leases::Given { generation } => Ok(Response::new(v1::LeaseResponse {
                key: vec![u8::try_from(generation).unwrap(); 32],
                generation,
                valid_for_ms: 72 * 3_600_000,
                required_version: self.head(),
            })),
            Leases::Revoked => Err(Status::permission_denied("revoked")),
            Leases::Unreachable => Err(Status::unavailable("the test's cloud is away")),
        }
    }

    async fn report(&self, request: Request<v1::StationStatus>) -> Result<Response<v1::ReportResponse>, Status> {
        let peer = require(&request, &[Role::Station])?;
        assert_eq!(peer.id, "north");
        let mut seen = self.seen.lock().unwrap();
        if let Some(refusal) = &seen.refuses_reports {
            return Err(refusal.clone());
        }
        let report = request.into_inner();
        let (known, head_version) = (report.applied_version == self.head(), self.head());
        let root = |theirs: &v1::SetRoot| {
            let set: FactSet = theirs.set.parse().unwrap();
            v1::SetRoot { root: seen.fingerprint(&set).root(), ..theirs.clone() }
        };
        let roots = if known && seen.holds.is_some() { report.roots.iter().map(root).collect() } else { vec![] };
        seen.come_back.extend(report.templates_come_back.iter().cloned());
        seen.report = Some(report);
        seen.reports += 1;
        let (lease_revoked, lease_generation) = match seen.leases {
            Leases::Given { generation } => (false, generation),
            Leases::Revoked => (true, 2),
            Leases::Unreachable => return Err(Status::unavailable("the test's cloud is away")),
        };
        let mark =
            |(gate, epoch): &(String, u32)| v1::JournalMark { gate: gate.clone(), epoch: *epoch, next_sequence: 0 };
        let newest = seen.known_epochs.iter().map(mark).collect();
        let missing = seen.missing();
        Ok(Response::new(v1::ReportResponse { head_version, missing, newest, roots, lease_revoked, lease_generation }))
    }

    async fn digests(&self, request: Request<v1::DigestsRequest>) -> Result<Response<v1::DigestsResponse>, Status> {
        if self.seen.lock().unwrap().knows_no_digests {
            return Err(Status::unimplemented("what is a digest?"));
        }
        let set: FactSet = request.into_inner().set.parse().unwrap();
        let buckets = self.seen.lock().unwrap().fingerprint(&set).buckets().to_vec();
        Ok(Response::new(v1::DigestsResponse { version: self.head(), buckets }))
    }

    async fn reread(&self, request: Request<v1::RereadRequest>) -> Result<Response<Self::RereadStream>, Status> {
        let asked = request.into_inner();
        let set: FactSet = asked.set.parse().unwrap();
        let mut seen = self.seen.lock().unwrap();
        seen.reread.extend(asked.buckets.iter().map(|bucket| (asked.set.clone(), *bucket)));
        let part = |bucket: u32| {
            let facts = seen.held(&set).filter(|(id, ..)| bucket_of(id, set.buckets()) == bucket as usize);
            let facts = facts.map(|(_, _, change)| VersionedChange { version: 0, change }.into()).collect();
            Ok(v1::RereadPart { bucket, facts, last: true })
        };
        let parts: Vec<_> = asked.buckets.into_iter().map(part).collect();
        Ok(Response::new(Box::pin(tokio_stream::iter(parts))))
    }
}
