//! Riders: consent, face, account, and being forgotten.

use std::collections::BTreeSet;

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::charge::{Change, Instrument, Instruments};
use facegate_domain::face::Template;
use facegate_domain::ids::{RiderId, StationId, TemplateId};
use facegate_domain::ledger::Entry;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::StoreError;

/// What a rider's face may be used for; each is consented to by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    Recognition,
}

impl Purpose {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Recognition => "recognition",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        (name == Self::Recognition.name()).then_some(Self::Recognition)
    }
}

/// A recorded consent: to what, in which words, how it was given, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    pub purpose: Purpose,
    pub text_version: String,
    pub channel: String,
    pub given_at: Timestamp,
}

/// The face that stations know a rider by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolled {
    pub template: TemplateId,
    /// Version of the feed from which stations know it.
    pub feed_version: u64,
    /// Of faces from before this was noted: the beginning of time; the rider's own beginning counts then.
    #[serde(default)]
    pub at: Timestamp,
}

/// What is known of a rider without opening the identity store or the face store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rider {
    pub id: RiderId,
    pub created_at: Timestamp,
    pub consents: Vec<Consent>,
    pub face: Option<Enrolled>,
    /// Of an erased rider only this and the id remain.
    pub erasure: Option<ErasureId>,
    /// The latest withdrawal of his consent.
    #[serde(default)]
    pub withdrawal: Option<ErasureId>,
}

impl Rider {
    pub fn consented_to(&self, purpose: Purpose) -> bool {
        self.consents.iter().any(|consent| consent.purpose == purpose)
    }
}

/// The part of a rider that the identity store keeps under its own key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    pub display_name: String,
}

impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Profile({} characters)", self.display_name.chars().count())
    }
}

/// Names an erasure, for the rider to ask about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ErasureId(Uuid);

impl ErasureId {
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl std::fmt::Display for ErasureId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl std::str::FromStr for ErasureId {
    type Err = uuid::Error;
    fn from_str(s: &str) -> Result<Self, uuid::Error> {
        Uuid::parse_str(s).map(Self)
    }
}

/// What an erasure takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErasureScope {
    /// All of the rider.
    #[default]
    Rider,
    /// His face and the consent to it; he and his account stay.
    Face,
}

impl ErasureScope {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rider => "rider",
            Self::Face => "face",
        }
    }
}

/// Proof of an erasure: final once no station is outstanding, and final for ever then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureReceipt {
    pub id: ErasureId,
    pub rider: RiderId,
    #[serde(default)]
    pub scope: ErasureScope,
    /// Removed with it: random ids, by which a register of erasures knows them again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub templates: Vec<TemplateId>,
    pub requested_at: Timestamp,
    /// Version of the feed that tells stations; a station has forgotten the rider once it has applied this.
    pub feed_version: u64,
    /// Stations that may have known the rider and have not confirmed yet.
    pub outstanding: BTreeSet<StationId>,
}

impl ErasureReceipt {
    pub fn is_final(&self) -> bool {
        self.outstanding.is_empty()
    }
}

/// A rider of another system, whole.
#[derive(Debug, Clone)]
pub struct Imported {
    pub rider: RiderId,
    pub profile: Profile,
    /// To recognition.
    pub consent: Consent,
    pub template: Template,
}

#[async_trait]
pub trait RiderStore: Sync {
    async fn create_rider(&self, rider: RiderId, profile: Profile, now: Timestamp) -> Result<(), StoreError>;

    /// The newest consent to a purpose in the same words and by the same channel counts once.
    async fn record_consent(&self, rider: RiderId, consent: Consent) -> Result<(), StoreError>;

    /// Stores the face and puts it on the feed; gives the feed's version.
    ///
    /// Errors: `ConsentMissing` without consent to recognition, `AlreadyEnrolled`, `Erased`, `UnknownRider`.
    async fn put_template(&self, template: Template, now: Timestamp) -> Result<u64, StoreError> {
        self.put_template_unless_newer(template, u64::MAX, now).await
    }

    /// As [`put_template`](Self::put_template) for one that was compared with all faces up to version `seen` of the feed.
    ///
    /// Errors: `NewerFace` if another one was put on the feed since; nothing is stored then.
    async fn put_template_unless_newer(&self, template: Template, seen: u64, now: Timestamp)
    -> Result<u64, StoreError>;

    /// Creates these riders with consent and face, all or none, and puts the faces on the feed. One whose id is known is
    /// passed over. Gives how many were new.
    async fn import(&self, riders: Vec<Imported>, now: Timestamp) -> Result<u64, StoreError>;

    /// Changes what the rider pays with, if `change` says so. `entries` (a wallet's top-up) are posted with it; one that
    /// is posted already counts once. His debts are tried at once, since there may be more to pay them with.
    ///
    /// Errors: `Instruments` for a change that cannot be made; nothing is posted then.
    async fn change_instruments(
        &self,
        rider: RiderId,
        change: Option<Change>,
        entries: Vec<Entry>,
        now: Timestamp,
    ) -> Result<Instruments, StoreError>;

    /// Binds the one instrument that the rider pays with, in place of all that were bound before, as of when the entries
    /// were made.
    async fn bind_account(&self, rider: RiderId, account: Instrument, entries: Vec<Entry>) -> Result<(), StoreError> {
        let now = entries.iter().map(Entry::at).max().unwrap_or_default();
        self.change_instruments(rider, Some(Change::Only(account.into())), entries, now).await.map(drop)
    }

    /// `hash` is a password hash in PHC form, for the rider page.
    async fn set_page_password(&self, rider: RiderId, hash: String) -> Result<(), StoreError>;

    /// Forgets the rider: face, name, password and consent at once. How he pays stays until
    /// [`forget_settled_accounts`](Self::forget_settled_accounts): gates that are cut off may still hold rides of his.
    /// Erasing twice gives the first receipt; `id` names the new one.
    async fn erase_rider(&self, id: ErasureId, rider: RiderId, now: Timestamp) -> Result<ErasureReceipt, StoreError>;

    /// Forgets the rider's face and the consents to recognition that were given up to `consents_until`: template, the
    /// feed's mention of it, memberships of tiers. He himself, his account and his trips stay. The same `id` again gives
    /// the same receipt.
    async fn withdraw_face(
        &self,
        id: ErasureId,
        rider: RiderId,
        consents_until: Timestamp,
        now: Timestamp,
    ) -> Result<ErasureReceipt, StoreError>;

    /// At most `max` riders looked at in the order of their ids, after `after`: those of them whose face was enrolled, and
    /// their last tap of any kind, before `cutoff`; and the last rider looked at, `None` behind the last of all.
    async fn faces_unused_since(
        &self,
        cutoff: Timestamp,
        after: Option<RiderId>,
        max: usize,
    ) -> Result<(Vec<RiderId>, Option<RiderId>), StoreError>;

    /// Whose face this is, if it is enrolled.
    async fn rider_of(&self, template: TemplateId) -> Result<Option<RiderId>, StoreError>;

    /// Removes the accounts of riders who were erased before `erased_before`, unless a tap of theirs waits for its journey
    /// or a journey for its charge; gives how many riders have none any more.
    async fn forget_settled_accounts(&self, erased_before: Timestamp) -> Result<usize, StoreError>;

    async fn erasure(&self, id: ErasureId) -> Result<Option<ErasureReceipt>, StoreError>;

    /// At most `max` receipts in the order of their ids, after `after`.
    async fn erasures(&self, after: Option<ErasureId>, max: usize) -> Result<Vec<ErasureReceipt>, StoreError>;

    async fn rider(&self, rider: RiderId) -> Result<Option<Rider>, StoreError>;

    /// At most `max` riders in the order of their ids, after `after`; erased ones included.
    async fn riders(&self, after: Option<RiderId>, max: usize) -> Result<Vec<Rider>, StoreError>;

    /// None for an unknown or erased rider.
    async fn profile(&self, rider: RiderId) -> Result<Option<Profile>, StoreError>;

    /// What the rider pays with, in the order in which it is asked.
    async fn instruments(&self, rider: RiderId) -> Result<Instruments, StoreError>;

    /// The first of them.
    async fn account(&self, rider: RiderId) -> Result<Option<Instrument>, StoreError> {
        Ok(self.instruments(rider).await?.first().map(|bound| bound.instrument.clone()))
    }

    async fn page_password(&self, rider: RiderId) -> Result<Option<String>, StoreError>;

    /// At most `max` templates in the order of their ids, after `after`: what the duplicate search is built from.
    async fn templates(&self, after: Option<TemplateId>, max: usize) -> Result<Vec<Template>, StoreError>;
}
