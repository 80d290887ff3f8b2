//! Digests: kept with every command, by what it wrote, so that no command has to think of them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use facegate_domain::fingerprint::{FactSet, bucket_of, content_fact, content_of, fact, owner_fact};
use facegate_domain::ids::{ModelId, RecordId, RiderId, TemplateId};
use facegate_domain::operation::Instruction;

use super::riders::FaceOwner;
use super::tx::{Tx, decode};
use super::{SledStore, feed, key};
use crate::store::{DigestStore, FeedStore, HabitStore, Roots, SnapshotPage, StoreError};

/// The keyspaces whose pairs are facts.
const SPACES: [&[u8]; 4] = [key::FACE, key::DENIED, key::INSIDE, key::TOLD];
/// Pairs read at once when digests are built anew.
const PAGE: usize = 10_000;

/// What the pairs of a command amount to: by set and bucket, the facts that came or went.
type Toggled = BTreeMap<(FactSet, usize), u64>;

/// Follows what the command wrote. Before the feed is trimmed.
pub(super) fn keep(store: &SledStore, tx: &mut Tx<'_>) -> Result<(), StoreError> {
    let mut toggled = Toggled::new();
    for space in SPACES {
        for (k, old, new) in tx.written(space)? {
            for value in old.iter().chain(&new) {
                toggle(store, &mut toggled, space, &k, value)?;
            }
        }
    }
    put(tx, toggled)
}

/// Builds them anew from what holds, if a version that knew nothing of them has written meanwhile.
pub(super) fn build_if_behind(store: &SledStore) -> Result<(), StoreError> {
    let mut tx = store.read();
    let head = feed::head(&tx)?;
    let of_head = |k: &[u8]| Ok::<_, StoreError>(tx.get::<u64>(k)? == Some(head));
    if of_head(key::DIGEST_HEAD)? && of_head(key::DIGEST_CONTENTS_HEAD)? {
        return Ok(());
    }
    for prefix in [key::DIGEST, key::DIGEST_AT, key::DIGEST_ROOTS] {
        tx.scan(prefix)?.into_iter().for_each(|(k, _)| tx.remove(k));
    }
    let mut toggled = Toggled::new();
    for space in SPACES {
        let mut from = space.to_vec();
        loop {
            let found = tx.scan_from(space, &from, PAGE)?;
            let Some((last, _)) = found.last() else { break };
            from = [last.as_slice(), &[0]].concat();
            found.iter().try_for_each(|(k, v)| toggle(store, &mut toggled, space, k, v))?;
        }
    }
    put(&mut tx, toggled)?;
    tx.apply()
}

fn put(tx: &mut Tx<'_>, toggled: Toggled) -> Result<(), StoreError> {
    let (before, head) = (tx.get::<u64>(key::DIGEST_HEAD)?, feed::head(tx)?);
    if toggled.is_empty() && before == Some(head) {
        return Ok(());
    }
    let mut roots: Roots = tx.get(key::DIGEST_ROOTS)?.unwrap_or_default();
    for ((set, bucket), facts) in toggled {
        let key = key::digest(&set, bucket);
        let buckets = tx.get::<u64>(&key)?.unwrap_or(0);
        tx.put(key, &(buckets ^ facts));
        *roots.entry(set.to_string()).or_default() ^= facts;
    }
    tx.put(key::DIGEST_ROOTS.to_vec(), &roots);
    tx.put(key::DIGEST_HEAD.to_vec(), &head);
    tx.put(key::DIGEST_CONTENTS_HEAD.to_vec(), &head);
    tx.put(key::digest_at(head), &roots);
    Ok(())
}

fn toggle(store: &SledStore, toggled: &mut Toggled, space: &[u8], k: &[u8], v: &[u8]) -> Result<(), StoreError> {
    let id = key::id_after(space, k);
    let mut one = |set: FactSet, id: [u8; 16], fact: u64| {
        let bucket = bucket_of(&id, set.buckets());
        *toggled.entry((set, bucket)).or_default() ^= fact;
    };
    match space {
        key::FACE => {
            let (template, owner): (_, FaceOwner) = (TemplateId::from_bytes(id), decode(k, v)?);
            let Some((model, content)) = store.held_of(template, &owner)? else { return Ok(()) };
            one(FactSet::Templates(model.clone()), id, owner_fact(template, owner.rider()));
            one(FactSet::Contents(model), id, content_fact(template, owner.rider(), content));
        }
        key::DENIED => one(FactSet::Denied, id, fact(&[&id])),
        key::INSIDE => one(FactSet::Inside, id, fact(&[&id, decode::<RecordId>(k, v)?.to_string().as_bytes()])),
        _ => one(FactSet::Told, [0; 16], decode::<Instruction>(k, v)?.fact()),
    }
    Ok(())
}

impl SledStore {
    /// Its model and content, read from what is sealed where the pair was written before digests knew of it. None for a
    /// face that was never sealed: a command that was cut short.
    fn held_of(&self, template: TemplateId, owner: &FaceOwner) -> Result<Option<(ModelId, u32)>, StoreError> {
        if let FaceOwner::Known { model, content, .. } = owner
            && *content != 0
        {
            return Ok(Some((model.clone(), *content)));
        }
        let face = self.face_of(template, owner.rider())?;
        Ok(face.map(|face| (face.embedding.model().clone(), content_of(&face))))
    }

    /// None for a face that was never sealed: a command that was cut short.
    fn model_of(&self, template: TemplateId, owner: &FaceOwner) -> Result<Option<ModelId>, StoreError> {
        match owner {
            FaceOwner::Known { model, .. } => Ok(Some(model.clone())),
            FaceOwner::OfBefore(_) => Ok(self.sealed_model(template)?),
        }
    }
}

#[async_trait]
impl DigestStore for SledStore {
    async fn roots_at(&self, version: u64) -> Result<Option<Roots>, StoreError> {
        self.read().get(&key::digest_at(version))
    }

    async fn buckets(&self, set: &FactSet) -> Result<(u64, Vec<u64>), StoreError> {
        let version = *self.head().borrow();
        if let FactSet::Regulars(station) = set {
            return Ok((version, vec![self.regulars_root(station).await?]));
        }
        let mut buckets = vec![0; set.buckets()];
        for (k, v) in self.read().scan(&key::digests(set))? {
            let bucket = usize::from(u16::from_be_bytes(key::tail(&k)));
            if let Some(held) = buckets.get_mut(bucket) {
                *held = decode(&k, &v)?;
            }
        }
        Ok((version, buckets))
    }

    async fn bucket_facts(
        &self,
        set: &FactSet,
        bucket: usize,
        from: Option<Vec<u8>>,
        max: usize,
    ) -> Result<SnapshotPage, StoreError> {
        let space = match set {
            FactSet::Templates(_) | FactSet::Contents(_) => key::FACE,
            FactSet::Denied => key::DENIED,
            FactSet::Inside => key::INSIDE,
            FactSet::Told => key::TOLD,
            FactSet::Regulars(station) => return Ok(SnapshotPage::of_regulars(station, self.regulars(station).await?)),
        };
        // A bucket is a stretch of ids: those that begin with its bits.
        let first = u16::try_from((bucket << 16) / set.buckets()).unwrap_or(u16::MAX).to_be_bytes();
        let first = if *set == FactSet::Told { space.to_vec() } else { [space, &first].concat() };
        let within = |k: &[u8]| *set == FactSet::Told || bucket_of(&key::id_after(space, k), set.buckets()) == bucket;
        let mut found = self.read().scan_from(space, &from.unwrap_or(first), max + 1)?;
        found.retain(|(k, _)| within(k));
        let next = if found.len() > max { found.pop().map(|(k, _)| k) } else { None };
        let mut facts = Vec::with_capacity(found.len());
        for (k, v) in found {
            if let FactSet::Templates(model) | FactSet::Contents(model) = set {
                let template = TemplateId::from_bytes(key::id_after(space, &k));
                if self.model_of(template, &decode(&k, &v)?)?.as_ref() != Some(model) {
                    continue;
                }
            }
            facts.extend(self.fact(space, &k, &v)?);
        }
        Ok(SnapshotPage { facts, next })
    }
}

/// Whose face it is: what the pair of the keyspace `face/` says.
pub(super) fn owner(tx: &Tx<'_>, template: TemplateId) -> Result<Option<RiderId>, StoreError> {
    Ok(tx.get::<FaceOwner>(&key::face(template))?.map(|owner| owner.rider()))
}
