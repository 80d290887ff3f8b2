//! Putting right what differs from the cloud: the buckets of a digest that differ are re-read, and nothing else.
//!
//! Done between two batches of changes, so that nothing is applied meanwhile. What the cloud tells may be newer than the
//! version applied here: putting and removing again what the feed brings later is harmless.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use facegate_domain::face::Template;
use facegate_domain::fingerprint::{FactSet, content_of};
use facegate_domain::ids::{ModelId, RecordId, RiderId, TemplateId};
use facegate_gallery::{Gallery, Held};
use facegate_proto::convert::sync::{FEED_LEVEL, FeedChange, VersionedChange};
use facegate_proto::v1;
use facegate_proto::v1::sync_service_client::SyncServiceClient;
use facegate_runtime::grpc::Wire;
use tonic::{Code, Status};

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
            Err(SyncError::Cloud(status)) if is_unknown(&status) => (),
            healed => healed?,
        }
    }
    Ok(())
}

/// A cloud of before knows no digests, or not of this set.
fn is_unknown(status: &Status) -> bool {
    matches!(status.code(), Code::Unimplemented | Code::InvalidArgument)
}

/// What changes of levels above this one are about, so that a station which was upgraded re-reads that, and not everything.
fn added_since(level: u32, station: &Station) -> Vec<FactSet> {
    let of_level_2 = [FactSet::Told, FactSet::Regulars(station.config.station.clone())];
    if level < 2 { of_level_2.into() } else { Vec::new() }
}

/// Reads what was withheld from this station when it understood less; false if the cloud cannot tell that apart.
pub(super) async fn catch_up(
    station: &Arc<Station>,
    cloud: &mut SyncServiceClient<Wire>,
    level: u32,
) -> Result<bool, SyncError> {
    for set in added_since(level, station) {
        match heal_set(station, cloud, &set).await {
            Err(SyncError::Cloud(status)) if is_unknown(&status) => return Ok(false),
            healed => healed?,
        }
    }
    let facts = station.store.facts().map_err(StationError::from)?;
    facts.set_level().map_err(StationError::from)?;
    tracing::info!(from = level, to = FEED_LEVEL, "what was withheld of the feed is read");
    Ok(true)
}

/// Re-reads one bucket of templates whose content is not known, since a version of before stored them, if there are any.
/// The last of them brings all to the disk.
pub(super) async fn refresh(station: &Arc<Station>, cloud: &mut SyncServiceClient<Wire>) -> Result<(), SyncError> {
    let unknown = async |station: &Arc<Station>| {
        let facts = station.facts();
        blocking(move || Ok(facts.gallery().and_then(Gallery::bucket_of_unknown))).await
    };
    let Some((model, bucket)) = unknown(station).await? else { return Ok(()) };
    let bucket = u32::try_from(bucket).unwrap_or(u32::MAX);
    tracing::info!(%model, bucket, "templates that a version of before stored are read again");
    reread(station, cloud, &FactSet::Contents(model), vec![bucket]).await?;
    if unknown(station).await?.is_none() {
        keep_repairs(station).await?;
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
    reread(station, cloud, set, buckets).await?;
    if matches!(set, FactSet::Templates(_) | FactSet::Contents(_)) {
        keep_repairs(station).await?;
    }
    Ok(())
}

async fn reread(
    station: &Arc<Station>,
    cloud: &mut SyncServiceClient<Wire>,
    set: &FactSet,
    buckets: Vec<u32>,
) -> Result<(), SyncError> {
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
    Ok(())
}

async fn keep_repairs(station: &Arc<Station>) -> Result<(), SyncError> {
    let facts = station.facts();
    Ok(blocking(move || Ok(facts.gallery().ok_or(NoFaces::Opening)?.keep_repairs()?)).await?)
}

/// Makes one bucket hold these facts, and no others.
fn put_right(station: &Station, set: &FactSet, bucket: usize, wanted: Vec<FeedChange>) -> Result<(), StationError> {
    let facts = station.facts();
    let changes = match set {
        FactSet::Templates(model) | FactSet::Contents(model) => {
            return put_templates_right(station, model, bucket, wanted);
        }
        FactSet::Regulars(of) => {
            let told = wanted.into_iter().find_map(|fact| match fact {
                FeedChange::Regulars { station, riders } if station == *of => Some(riders),
                _ => None,
            });
            vec![FeedChange::Regulars { station: of.clone(), riders: told.unwrap_or_default() }]
        }
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
    let held = gallery.templates_in(model, bucket).into_iter().map(|held| (held.template, held));
    let held: HashMap<TemplateId, Held> = held.collect();
    let remove: Vec<TemplateId> = held.keys().filter(|id| !wanted.contains_key(id)).copied().collect();
    let as_told = |template: &Template| {
        let (template, rider, content) = (template.id, template.rider, content_of(template));
        Held { template, rider, content }
    };
    let missing = wanted.into_values().filter(|template| held.get(&template.id) != Some(&as_told(template)));
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
