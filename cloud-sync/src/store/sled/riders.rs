//! Riders: consent, face, account.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::charge::{Change, Instruments};
use facegate_domain::face::Template;
use facegate_domain::fingerprint::content_of;
use facegate_domain::ids::{ModelId, RiderId, TemplateId};
use facegate_domain::ledger::Entry;
use facegate_domain::tap::Tap;
use serde::{Deserialize, Serialize};

use super::feed::publish;
use super::tx::{Tx, damaged, decode};
use super::{SledStore, charges, digest, erasure, feed, key, ledger, standing};
use crate::store::face_bytes::{face_from_bytes, face_to_bytes};
use crate::store::logged::Logged;
use crate::store::{
    Consent, Enrolled, ErasureId, ErasureReceipt, Imported, Profile, Purpose, Rider, RiderStore, StoreError,
};

pub(super) const RIDERS: &str = "riders";
pub(super) const ENROLLED: &str = "enrolled";

/// The rider, unless he is unknown or erased.
pub(super) fn living(tx: &Tx<'_>, id: RiderId) -> Result<Rider, StoreError> {
    match tx.get::<Rider>(&key::rider(id))? {
        None => Err(StoreError::UnknownRider(id)),
        Some(rider) if rider.erasure.is_some() => Err(StoreError::Erased(id)),
        Some(rider) => Ok(rider),
    }
}

pub(super) fn identity_key(kind: &str, rider: RiderId) -> Vec<u8> {
    [kind.as_bytes(), b"/", rider.as_bytes()].concat()
}

pub(super) const PROFILE: &str = "profile";
pub(super) const ACCOUNT: &str = "account";
pub(super) const PASSWORD: &str = "password";

#[async_trait]
impl RiderStore for SledStore {
    async fn create_rider(&self, rider: RiderId, profile: Profile, now: Timestamp) -> Result<(), StoreError> {
        self.write_sealed(|tx| {
            if tx.contains(&key::rider(rider))? {
                return Ok(());
            }
            self.identity.put_json(&identity_key(PROFILE, rider), &profile)?;
            let new =
                Rider { id: rider, created_at: now, consents: Vec::new(), face: None, erasure: None, withdrawal: None };
            tx.put(key::rider(rider), &new);
            tx.count(RIDERS, 1)?;
            Ok(())
        })
        .await
    }

    async fn record_consent(&self, rider: RiderId, consent: Consent) -> Result<(), StoreError> {
        self.write(|tx| {
            let mut rider = living(tx, rider)?;
            let words = |c: &Consent| (c.purpose, c.text_version.clone(), c.channel.clone());
            if !rider.consents.iter().any(|given| words(given) == words(&consent)) {
                rider.consents.push(consent);
                tx.put(key::rider(rider.id), &rider);
            }
            Ok(())
        })
        .await
    }

    async fn put_template_unless_newer(
        &self,
        template: Template,
        seen: u64,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        self.write_sealed(|tx| {
            let mut rider = living(tx, template.rider)?;
            let recent_consent = rider.consents.iter().any(|c| c.purpose == Purpose::Recognition && c.given_at <= now);
            if !recent_consent {
                return Err(StoreError::ConsentMissing { rider: rider.id, purpose: Purpose::Recognition });
            }
            if rider.face.is_some() {
                return Err(StoreError::AlreadyEnrolled(rider.id));
            }
            if let Some(version) = feed::face_after(tx, seen)? {
                return Err(StoreError::NewerFace { version });
            }
            self.faces.put(template.id.as_bytes(), &face_to_bytes(&template.embedding, template.photographs))?;
            tx.put(key::face(template.id), &FaceOwner::of(&template));
            let feed_version = publish(tx, &Logged::TemplatePut { template: template.id, rider: rider.id })?;
            rider.face = Some(Enrolled { template: template.id, feed_version, at: now });
            tx.put(key::rider(rider.id), &rider);
            tx.count(ENROLLED, 1)?;
            Ok(feed_version)
        })
        .await
    }

    async fn import(&self, riders: Vec<Imported>, now: Timestamp) -> Result<u64, StoreError> {
        self.write_sealed(|tx| {
            let mut new = 0;
            for Imported { rider: id, profile, consent, template } in &riders {
                if tx.contains(&key::rider(*id))? {
                    continue;
                }
                self.identity.put_json(&identity_key(PROFILE, *id), profile)?;
                self.faces.put(template.id.as_bytes(), &face_to_bytes(&template.embedding, template.photographs))?;
                tx.put(key::face(template.id), &FaceOwner::of(template));
                let feed_version = publish(tx, &Logged::TemplatePut { template: template.id, rider: *id })?;
                let face = Some(Enrolled { template: template.id, feed_version, at: now });
                let consents = vec![consent.clone()];
                let (erasure, withdrawal) = (None, None);
                let rider = Rider { id: *id, created_at: now, consents, face, erasure, withdrawal };
                tx.put(key::rider(*id), &rider);
                tx.count(RIDERS, 1)?;
                tx.count(ENROLLED, 1)?;
                new += 1;
            }
            Ok(new)
        })
        .await
    }

    async fn change_instruments(
        &self,
        rider: RiderId,
        change: Option<Change>,
        entries: Vec<Entry>,
        now: Timestamp,
    ) -> Result<Instruments, StoreError> {
        self.write_sealed(|tx| {
            let rider = living(tx, rider)?.id;
            let before: Instruments = self.identity.get_json(&identity_key(ACCOUNT, rider))?.unwrap_or_default();
            let after = change.map_or_else(|| Ok(before.clone()), |change| before.after(&change))?;
            charges::ask_for_debts(tx, rider, now)?;
            entries.iter().try_for_each(|entry| ledger::post(tx, entry))?;
            standing::pays_otherwise(tx, rider, &after)?;
            if after != before {
                self.identity.put_json(&identity_key(ACCOUNT, rider), &after)?;
            }
            Ok(after)
        })
        .await
    }

    async fn set_page_password(&self, rider: RiderId, hash: String) -> Result<(), StoreError> {
        self.write_sealed(|tx| {
            let rider = living(tx, rider)?;
            self.identity.put_json(&identity_key(PASSWORD, rider.id), &hash)
        })
        .await
    }

    async fn erase_rider(&self, id: ErasureId, rider: RiderId, now: Timestamp) -> Result<ErasureReceipt, StoreError> {
        // Sealed values go after the batch is in: were it the other way round, a crash could leave a rider half erased.
        let (receipt, face) = self.write(|tx| erasure::erase(tx, id, rider, now)).await?;
        self.write_sealed(|_| {
            face.map_or(Ok(()), |face| self.faces.remove(face.as_bytes()))?;
            self.identity.remove(&identity_key(PROFILE, rider))?;
            self.identity.remove(&identity_key(PASSWORD, rider))
        })
        .await?;
        Ok(receipt)
    }

    async fn withdraw_face(
        &self,
        id: ErasureId,
        rider: RiderId,
        consents_until: Timestamp,
        now: Timestamp,
    ) -> Result<ErasureReceipt, StoreError> {
        let (receipt, face) = self.write(|tx| erasure::withdraw(tx, id, rider, consents_until, now)).await?;
        if let Some(face) = face {
            self.write_sealed(|_| self.faces.remove(face.as_bytes())).await?;
        }
        Ok(receipt)
    }

    async fn faces_unused_since(
        &self,
        cutoff: Timestamp,
        after: Option<RiderId>,
        max: usize,
    ) -> Result<(Vec<RiderId>, Option<RiderId>), StoreError> {
        let (page, tx) = (self.riders(after, max).await?, self.read());
        let mut unused = Vec::new();
        for rider in &page {
            let Some(face) = &rider.face else { continue };
            let tap: Option<Tap> = tx.last(&key::taps(rider.id))?.map(|(k, v)| decode(&k, &v)).transpose()?;
            let used = face.at.max(rider.created_at).max(tap.map_or(Timestamp::default(), |tap| tap.at));
            if used < cutoff {
                unused.push(rider.id);
            }
        }
        Ok((unused, page.last().map(|rider| rider.id)))
    }

    async fn rider_of(&self, template: TemplateId) -> Result<Option<RiderId>, StoreError> {
        Ok(self.read().get::<FaceOwner>(&key::face(template))?.map(|owner| owner.rider()))
    }

    async fn forget_settled_accounts(&self, erased_before: Timestamp) -> Result<usize, StoreError> {
        if self.read().scan_from(key::LEAVING, key::LEAVING, 1)?.is_empty() {
            return Ok(0);
        }
        self.write_sealed(|tx| {
            let leaving = tx.scan(key::LEAVING)?;
            let riders = leaving.iter().map(|(k, _)| RiderId::from_bytes(key::id_after(key::LEAVING, k)));
            riders
                .map(|rider| erasure::forget_account(tx, &self.identity, rider, erased_before))
                .try_fold(0, |forgotten, gone| Ok(forgotten + usize::from(gone?)))
        })
        .await
    }

    async fn erasure(&self, id: ErasureId) -> Result<Option<ErasureReceipt>, StoreError> {
        self.read().get(&key::erasure(id))
    }

    async fn erasures(&self, after: Option<ErasureId>, max: usize) -> Result<Vec<ErasureReceipt>, StoreError> {
        let from = after.map_or(key::ERASURE.to_vec(), |after| [key::erasure(after), vec![0]].concat());
        self.read().scan_from(key::ERASURE, &from, max)?.iter().map(|(k, v)| decode(k, v)).collect()
    }

    async fn rider(&self, rider: RiderId) -> Result<Option<Rider>, StoreError> {
        self.read().get(&key::rider(rider))
    }

    async fn riders(&self, after: Option<RiderId>, max: usize) -> Result<Vec<Rider>, StoreError> {
        // The next possible key after a rider's is his with a zero byte.
        let from = after.map_or(key::RIDER.to_vec(), |after| [key::rider(after), vec![0]].concat());
        self.read().scan_from(key::RIDER, &from, max)?.iter().map(|(k, v)| decode(k, v)).collect()
    }

    async fn profile(&self, rider: RiderId) -> Result<Option<Profile>, StoreError> {
        self.identity.get_json(&identity_key(PROFILE, rider))
    }

    async fn instruments(&self, rider: RiderId) -> Result<Instruments, StoreError> {
        Ok(self.identity.get_json(&identity_key(ACCOUNT, rider))?.unwrap_or_default())
    }

    async fn page_password(&self, rider: RiderId) -> Result<Option<String>, StoreError> {
        self.identity.get_json(&identity_key(PASSWORD, rider))
    }

    async fn templates(&self, after: Option<TemplateId>, max: usize) -> Result<Vec<Template>, StoreError> {
        let after = after.as_ref().map(|id| id.as_bytes().as_slice());
        let ids = self.faces.keys_after(after, max)?;
        let templates = ids.iter().map(|id| self.template(TemplateId::from_bytes(key::tail(id))));
        templates.filter_map(Result::transpose).collect()
    }
}

impl SledStore {
    /// The model that made a sealed face.
    pub(super) fn sealed_model(&self, id: TemplateId) -> Result<Option<ModelId>, StoreError> {
        let Some(bytes) = self.faces.get(id.as_bytes())? else { return Ok(None) };
        let face = face_from_bytes(&bytes).ok_or_else(|| damaged(id.as_bytes(), "not an embedding"))?;
        Ok(Some(face.0.model().clone()))
    }

    /// None once the rider is erased.
    pub(super) fn template(&self, id: TemplateId) -> Result<Option<Template>, StoreError> {
        let Some(rider) = digest::owner(&self.read(), id)? else { return Ok(None) };
        self.face_of(id, rider)
    }

    /// A template whose rider is known.
    pub(super) fn face_of(&self, id: TemplateId, rider: RiderId) -> Result<Option<Template>, StoreError> {
        let Some(bytes) = self.faces.get(id.as_bytes())? else { return Ok(None) };
        let (embedding, photographs) =
            face_from_bytes(&bytes).ok_or_else(|| damaged(id.as_bytes(), "not an embedding"))?;
        Ok(Some(Template { id, rider, embedding, photographs }))
    }
}

/// Whose face a template is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum FaceOwner {
    Known {
        rider: RiderId,
        model: ModelId,
        /// See `fingerprint::content_of`; 0 as it was written before digests knew of it.
        #[serde(default)]
        content: u32,
    },
    /// As it was written before digests told models apart.
    OfBefore(RiderId),
}

impl FaceOwner {
    fn of(template: &Template) -> Self {
        let model = template.embedding.model().clone();
        Self::Known { rider: template.rider, model, content: content_of(template) }
    }

    pub const fn rider(&self) -> RiderId {
        match self {
            Self::Known { rider, .. } | Self::OfBefore(rider) => *rider,
        }
    }
}
