//! Riders: consent, face, account.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::charge::{Change, Instruments};
use facegate_domain::face::Template;
use facegate_domain::fingerprint::content_of;
use facegate_domain::ids::{RiderId, TemplateId};
use facegate_domain::ledger::Entry;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::error::Trouble;
use super::overview::{ENROLLED, RIDERS};
use super::tx::Tx;
use super::values::{at_most, damaged, json, read};
use super::{PgStore, charges, digest, erasure, feed, import, ledger, standing, transact};
use crate::store::face_bytes::{face_from_bytes, face_to_bytes};
use crate::store::logged::Logged;
use crate::store::{
    Consent, Enrolled, ErasureId, ErasureReceipt, Imported, Profile, Purpose, Rider, RiderStore, StoreError,
};

pub(super) const PROFILE: &str = "profile";
const ACCOUNT: &str = "account";
const PASSWORD: &str = "password";

#[async_trait]
impl RiderStore for PgStore {
    async fn create_rider(&self, rider: RiderId, profile: Profile, now: Timestamp) -> Result<(), StoreError> {
        let sealed = self.seal_identity(PROFILE, rider, &profile)?;
        transact!(self, tx => create(&mut tx, rider, &sealed, now).await)
    }

    async fn record_consent(&self, rider: RiderId, consent: Consent) -> Result<(), StoreError> {
        transact!(self, tx => add_consent(&mut tx, rider, &consent).await)
    }

    async fn put_template_unless_newer(
        &self,
        template: Template,
        seen: u64,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let plain = face_to_bytes(&template.embedding, template.photographs);
        let sealed = self.faces.seal(&plain, template.id.as_bytes())?;
        transact!(self, tx => enrol(&mut tx, &template, &sealed, seen, now).await)
    }

    async fn import(&self, riders: Vec<Imported>, now: Timestamp) -> Result<u64, StoreError> {
        let sealed: Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> = riders
            .iter()
            .map(|imported| {
                let face = face_to_bytes(&imported.template.embedding, imported.template.photographs);
                let profile = self.seal_identity(PROFILE, imported.rider, &imported.profile)?;
                Ok((profile, self.faces.seal(&face, imported.template.id.as_bytes())?))
            })
            .collect();
        let sealed = sealed?;
        transact!(self, tx => import::all(&mut tx, &riders, &sealed, now).await)
    }

    async fn change_instruments(
        &self,
        rider: RiderId,
        change: Option<Change>,
        entries: Vec<Entry>,
        now: Timestamp,
    ) -> Result<Instruments, StoreError> {
        transact!(self, tx => self.pay_otherwise(&mut tx, rider, change.as_ref(), &entries, now).await)
    }

    async fn set_page_password(&self, rider: RiderId, hash: String) -> Result<(), StoreError> {
        let sealed = self.seal_identity(PASSWORD, rider, &hash)?;
        transact!(self, tx => set_password(&mut tx, rider, &sealed).await)
    }

    async fn erase_rider(&self, id: ErasureId, rider: RiderId, now: Timestamp) -> Result<ErasureReceipt, StoreError> {
        transact!(self, tx => erasure::erase(&mut tx, id, rider, now).await)
    }

    async fn withdraw_face(
        &self,
        id: ErasureId,
        rider: RiderId,
        consents_until: Timestamp,
        now: Timestamp,
    ) -> Result<ErasureReceipt, StoreError> {
        transact!(self, tx => erasure::withdraw(&mut tx, id, rider, consents_until, now).await)
    }

    async fn faces_unused_since(
        &self,
        cutoff: Timestamp,
        after: Option<RiderId>,
        max: usize,
    ) -> Result<(Vec<RiderId>, Option<RiderId>), StoreError> {
        let page = self.riders(after, max).await?;
        let last_taps = self.last_taps(&page).await?;
        let used = |rider: &Rider, face: &Enrolled| {
            let tap = last_taps.get(&rider.id).copied().unwrap_or_default();
            face.at.max(rider.created_at).max(tap)
        };
        let is_unused = |rider: &&Rider| rider.face.as_ref().is_some_and(|face| used(rider, face) < cutoff);
        Ok((page.iter().filter(is_unused).map(|rider| rider.id).collect(), page.last().map(|rider| rider.id)))
    }

    async fn rider_of(&self, template: TemplateId) -> Result<Option<RiderId>, StoreError> {
        let rider: Option<Uuid> = sqlx::query_scalar("SELECT rider FROM core.face WHERE template = $1")
            .bind(template.as_uuid())
            .fetch_optional(&self.pool)
            .await
            .map_err(Trouble::from)?;
        Ok(rider.map(RiderId::from_uuid))
    }

    async fn forget_settled_accounts(&self, erased_before: Timestamp) -> Result<usize, StoreError> {
        transact!(self, tx => erasure::forget_accounts(&mut tx, erased_before).await)
    }

    async fn erasure(&self, id: ErasureId) -> Result<Option<ErasureReceipt>, StoreError> {
        transact!(self, tx => erasure::receipt(&mut tx, id).await)
    }

    async fn erasures(&self, after: Option<ErasureId>, max: usize) -> Result<Vec<ErasureReceipt>, StoreError> {
        Ok(erasure::receipts(&self.pool, after, max).await?)
    }

    async fn rider(&self, rider: RiderId) -> Result<Option<Rider>, StoreError> {
        let body: Option<String> = sqlx::query_scalar("SELECT body FROM core.rider WHERE id = $1")
            .bind(rider.as_uuid())
            .fetch_optional(&self.pool)
            .await
            .map_err(Trouble::from)?;
        body.map(|body| read(rider, &body)).transpose()
    }

    async fn riders(&self, after: Option<RiderId>, max: usize) -> Result<Vec<Rider>, StoreError> {
        let bodies: Vec<String> =
            sqlx::query_scalar("SELECT body FROM core.rider WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2")
                .bind(after.as_ref().map(RiderId::as_uuid))
                .bind(at_most(max))
                .fetch_all(&self.pool)
                .await
                .map_err(Trouble::from)?;
        bodies.iter().map(|body| read("a rider", body)).collect()
    }

    async fn profile(&self, rider: RiderId) -> Result<Option<Profile>, StoreError> {
        self.identity_of(PROFILE, rider).await
    }

    async fn instruments(&self, rider: RiderId) -> Result<Instruments, StoreError> {
        Ok(self.identity_of(ACCOUNT, rider).await?.unwrap_or_default())
    }

    async fn page_password(&self, rider: RiderId) -> Result<Option<String>, StoreError> {
        self.identity_of(PASSWORD, rider).await
    }

    async fn templates(&self, after: Option<TemplateId>, max: usize) -> Result<Vec<Template>, StoreError> {
        let rows: Vec<(Uuid, Uuid, Vec<u8>)> = sqlx::query_as(
            "SELECT f.template, f.rider, s.sealed FROM core.face f JOIN faces.face s ON s.template = f.template
             WHERE $1::uuid IS NULL OR f.template > $1 ORDER BY f.template LIMIT $2",
        )
        .bind(after.as_ref().map(TemplateId::as_uuid))
        .bind(at_most(max))
        .fetch_all(&self.pool)
        .await
        .map_err(Trouble::from)?;
        rows.iter().map(|(template, rider, sealed)| self.open_face(*template, *rider, sealed)).collect()
    }
}

impl PgStore {
    pub(super) fn open_face(&self, template: Uuid, rider: Uuid, sealed: &[u8]) -> Result<Template, StoreError> {
        let (id, rider) = (TemplateId::from_uuid(template), RiderId::from_uuid(rider));
        let plain = self.faces.unseal(sealed, id.as_bytes())?;
        let (embedding, photographs) = face_from_bytes(&plain).ok_or_else(|| damaged(id, "not an embedding"))?;
        Ok(Template { id, rider, embedding, photographs })
    }

    fn seal_identity<T: Serialize>(&self, kind: &str, rider: RiderId, value: &T) -> Result<Vec<u8>, StoreError> {
        let plain = serde_json::to_vec(value).map(Zeroizing::new).map_err(|error| damaged(rider, error))?;
        self.identity.seal(&plain, &identity_key(kind, rider))
    }

    async fn pay_otherwise(
        &self,
        tx: &mut Tx,
        rider: RiderId,
        change: Option<&Change>,
        entries: &[Entry],
        now: Timestamp,
    ) -> Result<Instruments, Trouble> {
        let rider = living(tx, rider).await?.id;
        let sealed: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT sealed FROM identity.sealed WHERE rider = $1 AND kind = $2")
                .bind(rider.as_uuid())
                .bind(ACCOUNT)
                .fetch_optional(tx.sql())
                .await?;
        let before: Instruments =
            sealed.map(|sealed| self.open_identity(ACCOUNT, rider, &sealed)).transpose()?.unwrap_or_default();
        let after =
            change.map_or_else(|| Ok(before.clone()), |change| before.after(change)).map_err(StoreError::from)?;
        if after != before {
            keep_sealed(tx, ACCOUNT, rider, &self.seal_identity(ACCOUNT, rider, &after)?).await?;
        }
        // Charges before the ledger, the feed last, as every command does.
        charges::ask_for_debts(tx, rider, now).await?;
        for entry in entries {
            ledger::post(tx, entry).await?;
        }
        standing::pays_otherwise(tx, rider, &after).await?;
        Ok(after)
    }

    fn open_identity<T: DeserializeOwned>(&self, kind: &str, rider: RiderId, sealed: &[u8]) -> Result<T, StoreError> {
        let plain = self.identity.unseal(sealed, &identity_key(kind, rider))?;
        serde_json::from_slice(&plain).map_err(|error| damaged(rider, error))
    }

    async fn identity_of<T: DeserializeOwned>(&self, kind: &str, rider: RiderId) -> Result<Option<T>, StoreError> {
        let sealed: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT sealed FROM identity.sealed WHERE rider = $1 AND kind = $2")
                .bind(rider.as_uuid())
                .bind(kind)
                .fetch_optional(&self.pool)
                .await
                .map_err(Trouble::from)?;
        sealed.map(|sealed| self.open_identity(kind, rider, &sealed)).transpose()
    }
}

/// What a sealed value is bound to.
pub(super) fn identity_key(kind: &str, rider: RiderId) -> Vec<u8> {
    [kind.as_bytes(), b"/", rider.as_bytes()].concat()
}

/// The rider, locked against other commands about him.
pub(super) async fn locked(tx: &mut Tx, id: RiderId) -> Result<Option<Rider>, Trouble> {
    let body: Option<String> = sqlx::query_scalar("SELECT body FROM core.rider WHERE id = $1 FOR UPDATE")
        .bind(id.as_uuid())
        .fetch_optional(tx.sql())
        .await?;
    Ok(body.map(|body| read(id, &body)).transpose()?)
}

/// The rider, unless he is unknown or erased.
pub(super) async fn living(tx: &mut Tx, id: RiderId) -> Result<Rider, Trouble> {
    match locked(tx, id).await? {
        None => Err(StoreError::UnknownRider(id).into()),
        Some(rider) if rider.erasure.is_some() => Err(StoreError::Erased(id).into()),
        Some(rider) => Ok(rider),
    }
}

pub(super) async fn keep(tx: &mut Tx, rider: &Rider) -> Result<(), Trouble> {
    sqlx::query("UPDATE core.rider SET body = $2 WHERE id = $1")
        .bind(rider.id.as_uuid())
        .bind(json(rider))
        .execute(tx.sql())
        .await?;
    Ok(())
}

pub(super) async fn keep_sealed(tx: &mut Tx, kind: &str, rider: RiderId, sealed: &[u8]) -> Result<(), Trouble> {
    sqlx::query(
        "INSERT INTO identity.sealed (rider, kind, sealed) VALUES ($1, $2, $3)
         ON CONFLICT (rider, kind) DO UPDATE SET sealed = excluded.sealed",
    )
    .bind(rider.as_uuid())
    .bind(kind)
    .bind(sealed)
    .execute(tx.sql())
    .await?;
    Ok(())
}

async fn create(tx: &mut Tx, id: RiderId, profile: &[u8], now: Timestamp) -> Result<(), Trouble> {
    let new = Rider { id, created_at: now, consents: Vec::new(), face: None, erasure: None, withdrawal: None };
    let created = sqlx::query("INSERT INTO core.rider (id, body) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING")
        .bind(id.as_uuid())
        .bind(json(&new))
        .execute(tx.sql())
        .await?;
    if created.rows_affected() == 1 {
        keep_sealed(tx, PROFILE, id, profile).await?;
        tx.count(RIDERS, 1);
    }
    Ok(())
}

async fn add_consent(tx: &mut Tx, rider: RiderId, consent: &Consent) -> Result<(), Trouble> {
    let mut rider = living(tx, rider).await?;
    let words = |c: &Consent| (c.purpose, c.text_version.clone(), c.channel.clone());
    if !rider.consents.iter().any(|given| words(given) == words(consent)) {
        rider.consents.push(consent.clone());
        keep(tx, &rider).await?;
    }
    Ok(())
}

async fn enrol(tx: &mut Tx, template: &Template, sealed: &[u8], seen: u64, now: Timestamp) -> Result<u64, Trouble> {
    let mut rider = living(tx, template.rider).await?;
    let consented = rider.consents.iter().any(|c| c.purpose == Purpose::Recognition && c.given_at <= now);
    if !consented {
        return Err(StoreError::ConsentMissing { rider: rider.id, purpose: Purpose::Recognition }.into());
    }
    if rider.face.is_some() {
        return Err(StoreError::AlreadyEnrolled(rider.id).into());
    }
    tx.alone_at_the_feed().await?;
    if let Some(version) = feed::face_after(tx, seen).await? {
        return Err(StoreError::NewerFace { version }.into());
    }
    add_face(tx, template, sealed).await?;
    let feed_version = tx.publish(&[Logged::TemplatePut { template: template.id, rider: rider.id }]).await?;
    rider.face = Some(Enrolled { template: template.id, feed_version, at: now });
    keep(tx, &rider).await?;
    tx.count(ENROLLED, 1);
    Ok(feed_version)
}

/// Stores the face, which the command then publishes.
pub(super) async fn add_face(tx: &mut Tx, template: &Template, sealed: &[u8]) -> Result<(), Trouble> {
    let model = template.embedding.model();
    sqlx::query("INSERT INTO faces.face (template, sealed) VALUES ($1, $2)")
        .bind(template.id.as_uuid())
        .bind(sealed)
        .execute(tx.sql())
        .await?;
    let content = content_of(template);
    sqlx::query("INSERT INTO core.face (template, rider, model, content) VALUES ($1, $2, $3, $4)")
        .bind(template.id.as_uuid())
        .bind(template.rider.as_uuid())
        .bind(model.as_str())
        .bind(i64::from(content))
        .execute(tx.sql())
        .await?;
    digest::toggle_face(tx, template.id, template.rider, model.clone(), content);
    Ok(())
}

async fn set_password(tx: &mut Tx, rider: RiderId, hash: &[u8]) -> Result<(), Trouble> {
    let rider = living(tx, rider).await?;
    keep_sealed(tx, PASSWORD, rider.id, hash).await
}
