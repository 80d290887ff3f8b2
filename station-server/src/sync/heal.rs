//! Putting right what differs from the cloud: the buckets of a digest that differ are re-read, and nothing else.
//!
//! Done between two batches of changes, so that nothing is applied meanwhile. What the cloud tells may be newer than the
//! version applied here: putting and removing again what the feed brings later is harmless.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use facegate_domain::face::Template;
use facegate_domain::fingerprint::FactSet;
use facegate_domain::ids::{ModelId, RecordId, RiderId, TemplateId};
use facegate_proto::convert::sync::{FeedChange, VersionedChange};
use facegate_proto::v1;
use facegate_proto::v1::sync_service_client::SyncServiceClient;
use facegate_runtime::grpc::Wire;
use tonic::Code;

use super::SyncError;
use super::apply::{self, blocking};
use crate::lease::NoFaces;
use crate::metrics;
use crate::station::{Station, StationError};

/// Re-reads the buckets in which these sets differ.
pub(super) async fn heal(
    station: &Arc<Station>,
    cloud: &mut SyncServiceClient<Wire>,
    sets: Vec<FactSet>,
) -> Result<(), SyncError> {
    for set in sets {
        match heal_set(station, cloud, &set).await {
            // A cloud of before knows no digests.
            Err(SyncError::Cloud(status)) if status.code() == Code::Unimplemented => (),
            healed => healed?,
        }
    }
    Ok(())
}

async fn heal_set(station: &Arc<Station>, cloud: &mut SyncServiceClient<Wire>, set: &FactSet) -> Result<(), SyncError> {
    let asked = v1::DigestsRequest { set: set.to_string() };
    let theirs = cloud.digests(asked).await?.into_inner().buckets;
    let ours = station.facts().fingerprint(set).map(|held| held.buckets().to_vec()).unwrap_or_default();
    if ours.len() != theirs.len() {
        tracing::error!(%set, "the cloud compares in other parts than this station; nothing is re-read");
        return Ok(());
    }
    let differ = ours.iter().zip(&theirs).zip(0..).filter(|((ours, theirs), _)| ours != theirs);
    let buckets: Vec<u32> = differ.map(|(_, bucket)| bucket).collect();
    if buckets.is_empty() {
        return Ok(());
    }
    tracing::error!(%set, buckets = buckets.len(), of = ours.len(), "facts differ from the cloud's and are re-read");
    let asked = v1::RereadRequest { set: set.to_string(), buckets, installation: station.installation.to_vec() };
    let mut parts = cloud.reread(asked).await?.into_inner();
    let mut facts = Vec::new();
    while let Some(part) = parts.message().await? {
        // Of a kind that this software does not know: nothing that it could hold.
        let known = part.facts.into_iter().filter(|fact| fact.change.is_some()).map(VersionedChange::try_from);
        for fact in known {
            let after = station.applied_version();
            facts.push(fact.map_err(|source| SyncError::NotUnderstood { after, source })?.change);
        }
        if part.last {
            let (shared, of, facts) = (Arc::clone(station), set.clone(), std::mem::take(&mut facts));
            blocking(move || put_right(&shared, &of, part.bucket as usize, facts)).await?;
            station.healed();
            metrics::bucket_healed(set);
        }
    }
    if matches!(set, FactSet::Templates(_)) {
        let facts = station.facts();
        blocking(move || Ok(facts.gallery().ok_or(NoFaces::Opening)?.keep_repairs()?)).await?;
    }
    Ok(())
}

/// Makes one bucket hold these facts, and no others.
fn put_right(station: &Station, set: &FactSet, bucket: usize, wanted: Vec<FeedChange>) -> Result<(), StationError> {
    let facts = station.facts();
    let changes = match set {
        FactSet::Templates(model) => return put_templates_right(station, model, bucket, wanted),
        FactSet::Denied => {
            let wanted: HashSet<RiderId> = wanted.iter().filter_map(denied).collect();
            let held: HashSet<RiderId> = facts.denied_in(bucket).into_iter().collect();
            let allowed = held.difference(&wanted).copied().map(FeedChange::Allowed);
            allowed.chain(wanted.difference(&held).copied().map(FeedChange::Denied)).collect()
        }
        FactSet::Inside => {
            let wanted: HashSet<(RiderId, RecordId)> = wanted.into_iter().filter_map(entered).collect();
            let held: HashSet<_> = facts.gallery().ok_or(NoFaces::Opening)?.inside_in(bucket).into_iter().collect();
            let left = held.difference(&wanted).cloned();
            let left = left.map(|(rider, entry)| FeedChange::LeftSystem { rider, entry });
            let came = wanted.difference(&held).cloned();
            left.chain(came.map(|(rider, entry)| FeedChange::EnteredSystem { rider, entry })).collect::<Vec<_>>()
        }
        FactSet::Told => {
            let wanted = wanted.into_iter().filter_map(|fact| match fact {
                FeedChange::Told(told) => Some((told.place(), told)),
                _ => None,
            });
            let wanted: BTreeMap<_, _> = wanted.collect();
            let held = facts.instructions();
            let ended = held
                .told()
                .filter(|told| !wanted.contains_key(&told.place()))
                .map(facegate_domain::operation::Instruction::end);
            let ended: Vec<_> = ended.collect();
            ended.into_iter().chain(wanted.into_values()).map(FeedChange::Told).collect()
        }
    };
    apply::repair(station, changes)
}

fn put_templates_right(
    station: &Station,
    model: &ModelId,
    bucket: usize,
    wanted: Vec<FeedChange>,
) -> Result<(), StationError> {
    let _alone = station.applying();
    let facts = station.facts();
    let wanted = wanted.into_iter().filter_map(|fact| match fact {
        FeedChange::TemplatePut(template) => Some((template.id, template)),
        _ => None,
    });
    let wanted: HashMap<TemplateId, Template> = wanted.collect();
    let gallery = facts.gallery().ok_or(NoFaces::Opening)?;
    let held: HashMap<TemplateId, RiderId> = gallery.templates_in(model, bucket).into_iter().collect();
    let remove: Vec<TemplateId> = held.keys().filter(|id| !wanted.contains_key(id)).copied().collect();
    let missing = wanted.into_values().filter(|template| held.get(&template.id) != Some(&template.rider));
    let mut put: Vec<Template> = Vec::new();
    for template in missing {
        // What was removed here for ever is no difference to be healed.
        if !apply::is_buried(station, template.id, station.applied_version())? {
            put.push(template);
        }
    }
    tracing::warn!(%model, bucket, put = put.len(), removed = remove.len(), "templates put right");
    Ok(gallery.repair(model, &put, &remove)?)
}

fn denied(fact: &FeedChange) -> Option<RiderId> {
    match fact {
        FeedChange::Denied(rider) => Some(*rider),
        _ => None,
    }
}

fn entered(fact: FeedChange) -> Option<(RiderId, RecordId)> {
    match fact {
        FeedChange::EnteredSystem { rider, entry } => Some((rider, entry)),
        _ => None,
    }
}
