//! `SyncService`: the change feed down to stations, journals and reports up.

use std::pin::Pin;
use std::sync::Arc;

use facegate_domain::Timestamp;
use facegate_domain::fingerprint::{FactSet, fact};
use facegate_domain::ids::{GateId, InvalidId, StationId, TemplateId};
use facegate_domain::operation::StationMode;
use facegate_domain::tap::GateRecord;
use facegate_proto::convert::gate::{direction_from_wire, direction_to_wire};
use facegate_proto::convert::ops::mode_from_wire;
use facegate_proto::convert::sync::VersionedChange;
use facegate_proto::convert::{InvalidMessage, fixed};
use facegate_proto::v1;
use facegate_proto::v1::sync_service_server::SyncService;
use facegate_runtime::identity::{Role, certificate_ends, require};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status};

use super::installation;
use crate::cloud::Cloud;
use crate::completeness::StationJournal;
use crate::feed;
use crate::store::{
    Arrival, FareTableHeld, GateReport, Intake, RefusalCount, Roots, Standing, StationReport, StoreError, TierReport,
};

#[derive(Debug)]
pub struct SyncRpc {
    cloud: Arc<Cloud>,
}

impl SyncRpc {
    pub fn new(cloud: Arc<Cloud>) -> Self {
        Self { cloud }
    }
}

/// Which station calls, by its certificate alone, and what.
fn admit<T>(request: Request<T>) -> Result<(StationId, T), Status> {
    let peer = require(&request, &[Role::Station])?;
    let station = StationId::new(peer.id).map_err(|error| Status::permission_denied(error.to_string()))?;
    Ok((station, request.into_inner()))
}

/// Faces that one report may have erased again: a station that has gone mad erases nobody's by the million.
const COME_BACK_MAX: usize = 64;

/// There are four.
const TIERS_MAX: usize = 8;

type Streamed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl SyncService for SyncRpc {
    type SubscribeStream = Streamed<v1::Change>;
    type SnapshotStream = Streamed<v1::SnapshotChunk>;
    type RereadStream = Streamed<v1::RereadPart>;

    async fn subscribe(
        &self,
        request: Request<v1::SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let (station, asked) = admit(request)?;
        let cloud = &self.cloud;
        installation::admit(cloud, &station, &asked.installation).await?;
        cloud.store.station_joined(station.clone(), cloud.clock.now()).await?;
        let level = asked.feed_level.max(1);
        let changes = feed::subscribe(Arc::clone(&cloud.store), asked.after_version, level, cloud.stop.clone()).await?;
        tracing::info!(%station, after = asked.after_version, level, "a station follows the feed");
        let (store, following) = (Arc::clone(&cloud.store), station.clone());
        let changes = ReceiverStream::new(changes).then(move |change| {
            let (store, station) = (Arc::clone(&store), station.clone());
            async move {
                let VersionedChange { version, change } = change?;
                Ok(VersionedChange { version, change: feed::addressed(&*store, change, &station).await? }.into())
            }
        });
        let shut_out = installation::shut_out(Arc::clone(cloud), following, asked.installation);
        Ok(Response::new(Box::pin(futures::StreamExt::take_until(changes, shut_out))))
    }

    async fn snapshot(&self, request: Request<v1::SnapshotRequest>) -> Result<Response<Self::SnapshotStream>, Status> {
        let (station, asked) = admit(request)?;
        let cloud = &self.cloud;
        let now = cloud.clock.now();
        installation::admit(cloud, &station, &asked.installation).await?;
        cloud.store.station_joined(station.clone(), now).await?;
        let (level, codes_since) = (asked.feed_level.max(1), now.minus(cloud.config.code_memory));
        tracing::info!(%station, "a station takes a snapshot");
        let shut_out = installation::shut_out(Arc::clone(cloud), station.clone(), asked.installation);
        let ask = feed::Ask { station, level, format: asked.format, resume: asked.resume, codes_since };
        let chunks = feed::snapshot(Arc::clone(&cloud.store), ask).await?;
        let chunks = ReceiverStream::new(chunks).map(|chunk| Ok(chunk?));
        Ok(Response::new(Box::pin(futures::StreamExt::take_until(chunks, shut_out))))
    }

    async fn deliver(&self, request: Request<v1::DeliverRequest>) -> Result<Response<v1::DeliverResponse>, Status> {
        let (station, asked) = admit(request)?;
        let records: Result<Vec<GateRecord>, _> = asked.records.into_iter().map(GateRecord::try_from).collect();
        let not_held: Result<Vec<_>, _> = asked.not_held.into_iter().map(TryInto::try_into).collect();
        let (records, not_held) = (records?, not_held?);
        let _place = self.cloud.intakes.admit(asked.behind)?;
        let intake = self.cloud.intakes.deliver(&station, records).await?;
        self.cloud.completeness.not_held(&station, not_held).await?;
        Ok(Response::new(intake_to_wire(intake)))
    }

    async fn lease(&self, request: Request<v1::LeaseRequest>) -> Result<Response<v1::LeaseResponse>, Status> {
        let (station, asked) = admit(request)?;
        installation::admit(&self.cloud, &station, &asked.installation).await?;
        let lease = self.cloud.leases.grant(station).await?;
        Ok(Response::new(v1::LeaseResponse {
            key: lease.key.expose().to_vec(),
            generation: lease.generation,
            valid_for_ms: u64::try_from(lease.valid_for.as_millis()).unwrap_or(u64::MAX),
            required_version: lease.required_version,
        }))
    }

    async fn report(&self, request: Request<v1::StationStatus>) -> Result<Response<v1::ReportResponse>, Status> {
        let certificate_ends = certificate_ends(&request);
        let (station, mut status) = admit(request)?;
        let cloud = &self.cloud;
        installation::admit(cloud, &station, &status.installation).await?;
        let come_back = status.templates_come_back.iter().take(COME_BACK_MAX);
        let come_back = come_back.map(|id| fixed("template", id).map(TemplateId::from_bytes));
        let come_back = come_back.collect::<Result<Vec<_>, _>>()?;
        let roots = roots_for(cloud, &station, status.applied_version).await?;
        let differs = roots.as_ref().map(|ours| differing(&status.roots, ours)).unwrap_or_default();
        if !differs.is_empty() {
            tracing::warn!(%station, version = status.applied_version, ?differs, "a station holds other facts than the cloud");
        }
        let journals = std::mem::take(&mut status.journals);
        let journals: Vec<_> = journals.into_iter().map(journal_from_wire).collect::<Result<_, _>>()?;
        let report = StationReport { certificate_ends, ..report_from_wire(status, differs)? };
        cloud.store.record_report(station.clone(), report.clone(), cloud.clock.now()).await?;
        if let Some(risk) = &cloud.risk {
            risk.intake().reported(&station, &report.gates, cloud.clock.now()).await?;
        }
        let heard = cloud.completeness.heard(&report, &journals).await?;
        cloud.enrolment.erase_come_back(station.as_str(), &come_back).await?;
        let lease = cloud.store.station(&station).await?.map(|view| view.lease).unwrap_or_default();
        let roots = roots.unwrap_or_default().into_iter().map(|(set, root)| v1::SetRoot { set, root });
        Ok(Response::new(v1::ReportResponse {
            head_version: *cloud.store.head().borrow(),
            missing: heard.missing.into_iter().map(Into::into).collect(),
            newest: heard.newest.into_iter().map(newest_to_wire).collect(),
            roots: roots.collect(),
            lease_revoked: lease.standing != Standing::Active,
            lease_generation: lease.generation,
        }))
    }

    async fn digests(&self, request: Request<v1::DigestsRequest>) -> Result<Response<v1::DigestsResponse>, Status> {
        let (station, asked) = admit(request)?;
        let (version, buckets) = self.cloud.store.buckets(&set_for(&station, &asked.set)?).await?;
        Ok(Response::new(v1::DigestsResponse { version, buckets }))
    }

    async fn reread(&self, request: Request<v1::RereadRequest>) -> Result<Response<Self::RereadStream>, Status> {
        let (station, asked) = admit(request)?;
        // Whoever gets no faces by the feed gets none this way either.
        installation::admit(&self.cloud, &station, &asked.installation).await?;
        self.cloud.store.station_joined(station.clone(), self.cloud.clock.now()).await?;
        let set = set_for(&station, &asked.set)?;
        let most = set.buckets();
        if asked.buckets.len() > most || asked.buckets.iter().any(|bucket| *bucket as usize >= most) {
            return Err(Status::invalid_argument(format!("{set} has {most} buckets, each to be asked for once")));
        }
        tracing::warn!(%station, %set, buckets = asked.buckets.len(), "a station re-reads what differs");
        let shut_out = installation::shut_out(Arc::clone(&self.cloud), station, asked.installation);
        let parts = feed::reread(Arc::clone(&self.cloud.store), set, asked.buckets);
        let parts = ReceiverStream::new(parts).map(|part| Ok(part?));
        Ok(Response::new(Box::pin(futures::StreamExt::take_until(parts, shut_out))))
    }
}

/// A set that this station may ask for.
fn set_for(station: &StationId, set: &str) -> Result<FactSet, Status> {
    let set = set.parse().map_err(|error: InvalidId| Status::invalid_argument(error.to_string()))?;
    match &set {
        FactSet::Regulars(of) if of != station => {
            Err(Status::permission_denied(format!("{set} are another station's than {station}'s")))
        }
        _ => Ok(set),
    }
}

/// What the station's facts should be at the version that it has applied, if that is known. Whom it sees often is known as
/// it is now: that is compared while the station is in step.
async fn roots_for(cloud: &Cloud, station: &StationId, applied: u64) -> Result<Option<Roots>, StoreError> {
    let Some(mut roots) = cloud.store.roots_at(applied).await? else { return Ok(None) };
    let in_step = *cloud.store.head().borrow() == applied;
    if in_step {
        let root = cloud.store.regulars_root(station).await?;
        roots.insert(FactSet::Regulars(station.clone()).to_string(), root);
    }
    Ok(Some(roots))
}

/// The sets of which the station said another root than ours. One that it does not speak of is not compared.
fn differing(theirs: &[v1::SetRoot], ours: &Roots) -> Vec<String> {
    let root = |set: &str| match ours.get(set) {
        Some(root) => Some(*root),
        // A set without facts may be missing; regulars are compared only in step.
        None => (!matches!(set.parse(), Ok(FactSet::Regulars(_)))).then_some(0),
    };
    let differ = theirs.iter().filter(|theirs| root(&theirs.set).is_some_and(|ours| ours != theirs.root));
    differ.map(|theirs| theirs.set.clone()).collect()
}

fn intake_to_wire(intake: Intake) -> v1::DeliverResponse {
    let mark = |mark: crate::store::Mark| v1::JournalMark {
        gate: mark.gate.into(),
        epoch: mark.epoch,
        next_sequence: mark.next_sequence,
    };
    v1::DeliverResponse {
        marks: intake.marks.into_iter().map(mark).collect(),
        conflicts: intake.conflicts.into_iter().map(Into::into).collect(),
    }
}

fn report_from_wire(status: v1::StationStatus, differs: Vec<String>) -> Result<StationReport, InvalidMessage> {
    Ok(StationReport {
        applied_version: status.applied_version,
        templates: status.templates,
        in_system: status.in_system,
        backlog: status.backlog,
        gates: status.gates.into_iter().map(gate_from_wire).collect::<Result<_, _>>()?,
        software_version: status.software_version,
        feed_level: status.feed_level,
        mode: if status.mode.is_empty() { StationMode::Normal } else { mode_from_wire(&status.mode)? },
        fare_tables: status.fare_tables.into_iter().map(fares_from_wire).collect(),
        digest: if status.roots.is_empty() { String::new() } else { format!("{:016x}", one_of(&status.roots)) },
        differs,
        healed_buckets: status.healed_buckets,
        journal_waiting_percent: status.journal_waiting_percent,
        journal_days_left: status.journal_days_left.filter(|days| days.is_finite()),
        lease_generation: status.lease_generation,
        lease_ends: Timestamp::from_unix_ms(status.lease_ends_unix_ms),
        recognises: status.recognises,
        come_back_refused: status.come_back_refused,
        tiers: status.tiers.into_iter().take(TIERS_MAX).map(tier_from_wire).collect(),
        certificate_ends: None,
    })
}

fn newest_to_wire(arrival: Arrival) -> v1::JournalMark {
    v1::JournalMark { gate: arrival.gate.into(), epoch: arrival.epoch, next_sequence: arrival.next_sequence }
}

fn journal_from_wire(journal: v1::StationJournal) -> Result<StationJournal, InvalidMessage> {
    Ok(StationJournal {
        gate: GateId::new(journal.gate)?,
        epoch: journal.epoch,
        next_sequence: journal.next_sequence,
        acknowledged: journal.acknowledged_next_sequence,
    })
}

/// All roots as one number.
fn one_of(roots: &[v1::SetRoot]) -> u64 {
    roots.iter().fold(0, |all, root| all ^ fact(&[root.set.as_bytes(), &root.root.to_le_bytes()]))
}

fn fares_from_wire(held: v1::FareTableHeld) -> FareTableHeld {
    let valid_from = Timestamp::from_unix_ms(held.valid_from_unix_ms);
    FareTableHeld { name: held.name, valid_from, sha256: hex::encode(held.sha256) }
}

fn tier_from_wire(wire: v1::TierReport) -> TierReport {
    let v1::TierReport { tier, riders, decisions, added, risk, added_risk } = wire;
    TierReport { tier, riders, decisions, added, risk: finite(risk), added_risk: finite(added_risk) }
}

fn tier_to_wire(tier: TierReport) -> v1::TierReport {
    let TierReport { tier, riders, decisions, added, risk, added_risk } = tier;
    v1::TierReport { tier, riders, decisions, added, risk, added_risk }
}

fn gate_from_wire(report: v1::GateReport) -> Result<GateReport, InvalidMessage> {
    // A gate that was never heard of has no status yet.
    let status = report.status.unwrap_or_default();
    let refusals = status.refusals.into_iter().map(|r| RefusalCount { reason: r.reason, count: r.count });
    Ok(GateReport {
        gate: GateId::new(report.gate)?,
        connected: report.connected,
        last_seen: Timestamp::from_unix_ms(report.last_seen_unix_ms),
        kind: status.kind,
        direction: direction_from_wire(status.direction).ok(),
        mode: status.mode,
        face_passages: status.face_passages,
        code_passages: status.code_passages,
        refusals: refusals.collect(),
        backlog: status.backlog,
        decision_ms_p50: finite(status.decision_ms_p50),
        decision_ms_p99: finite(status.decision_ms_p99),
        fault: status.fault,
        software_version: status.software_version,
        journal_epoch: status.journal_epoch,
        journal_next_sequence: status.journal_next_sequence,
        journal_waiting_percent: status.journal_waiting_percent,
        certificate_ends: (report.certificate_ends_unix_ms > 0)
            .then(|| Timestamp::from_unix_ms(report.certificate_ends_unix_ms)),
        gate_mode: status.gate_mode,
        order_id: status.order_id,
        order_outcome: status.order_outcome,
    })
}

/// JSON has no other numbers.
fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { 0.0 }
}

/// A stored report as the operations centre reads it.
pub(super) fn report_to_wire(report: StationReport) -> v1::StationStatus {
    v1::StationStatus {
        applied_version: report.applied_version,
        templates: report.templates,
        in_system: report.in_system,
        backlog: report.backlog,
        gates: report.gates.into_iter().map(gate_to_wire).collect(),
        software_version: report.software_version,
        feed_level: report.feed_level,
        mode: report.mode.name().to_owned(),
        fare_tables: report.fare_tables.into_iter().map(fares_to_wire).collect(),
        healed_buckets: report.healed_buckets,
        journal_waiting_percent: report.journal_waiting_percent,
        journal_days_left: report.journal_days_left,
        lease_generation: report.lease_generation,
        lease_ends_unix_ms: report.lease_ends.unix_ms(),
        recognises: report.recognises,
        come_back_refused: report.come_back_refused,
        tiers: report.tiers.into_iter().map(tier_to_wire).collect(),
        ..v1::StationStatus::default()
    }
}

fn fares_to_wire(held: FareTableHeld) -> v1::FareTableHeld {
    let sha256 = hex::decode(held.sha256).unwrap_or_default();
    v1::FareTableHeld { name: held.name, valid_from_unix_ms: held.valid_from.unix_ms(), sha256 }
}

fn gate_to_wire(report: GateReport) -> v1::GateReport {
    let refusals = report.refusals.into_iter().map(|r| v1::RefusalCount { reason: r.reason, count: r.count });
    let status = v1::GateStatus {
        direction: report.direction.map_or(v1::Direction::Unspecified, direction_to_wire).into(),
        mode: report.mode,
        face_passages: report.face_passages,
        code_passages: report.code_passages,
        refusals: refusals.collect(),
        backlog: report.backlog,
        decision_ms_p50: report.decision_ms_p50,
        decision_ms_p99: report.decision_ms_p99,
        fault: report.fault,
        kind: report.kind,
        software_version: report.software_version,
        journal_epoch: report.journal_epoch,
        journal_next_sequence: report.journal_next_sequence,
        journal_waiting_percent: report.journal_waiting_percent,
        order_id: report.order_id,
        order_outcome: report.order_outcome,
        gate_mode: report.gate_mode,
        // Further words are between the gate and its station; what is wrong is in `fault`.
        ..v1::GateStatus::default()
    };
    v1::GateReport {
        gate: report.gate.into(),
        status: Some(status),
        connected: report.connected,
        last_seen_unix_ms: report.last_seen.unix_ms(),
        certificate_ends_unix_ms: report.certificate_ends.map_or(0, Timestamp::unix_ms),
    }
}
