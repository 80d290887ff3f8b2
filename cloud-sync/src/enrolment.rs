//! Enrolment: the one application service behind both gRPC and REST, from a new rider to one who is forgotten.
//!
//! Every act is written into the audit log before it is done. Photographs are examined in memory on a blocking thread
//! and dropped with the call.

mod account;
mod capture;
mod consent;
mod duplicates;
mod erasure;
mod error;
mod payment;
mod phone;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use facegate_domain::Clock;
use facegate_domain::charge::AcquirerName;
use facegate_domain::code::{CodeIssuer, IssuerKey};
use facegate_domain::ids::RiderId;
use facegate_domain::money::Currency;
use facegate_domain::score::Similarity;
use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;

pub use account::AccountToBind;
pub use capture::{EngineCapture, FaceCapture};
pub use duplicates::Duplicates;
pub use error::{EnrolmentError, ErrorKind};
pub use payment::{NewLimits, Owing, WalletStatement};
pub use phone::PhoneCertificate;

use crate::register::{self, Register};
use crate::store::{Profile, Rider, Store, Trip};

/// Enrolments whose photographs are examined at the same time; more wait for [`CAPTURE_WAIT`].
const CAPTURES_MAX: usize = 2;
const CAPTURE_WAIT: Duration = Duration::from_secs(10);

/// What an operator sets about enrolment.
#[derive(Debug, Clone, PartialEq)]
pub struct EnrolmentPolicy {
    /// From this similarity on, two templates are taken for the same person.
    pub same_person: Similarity,
    pub certificate_valid_for: Duration,
    /// From a rider's erasure to the end of his account.
    pub account_kept: Duration,
    /// What wallets are kept in: the fare table's.
    pub currency: Currency,
    /// Those whose tokens are bound.
    pub acquirers: Vec<AcquirerName>,
}

/// Who asks: the name of an integrator or of a member of staff, as the audit log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor(String);

impl Actor {
    /// `kind` is "integrator", "operator" or, for what nobody asked for, "system".
    pub fn new(kind: &str, name: &str) -> Self {
        Self(format!("{kind}/{name}"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[derive(Debug)]
pub struct Enrolment {
    register: Register,
    store: Arc<dyn Store>,
    faces: Arc<dyn FaceCapture>,
    duplicates: Duplicates,
    issuer: RwLock<CodeIssuer>,
    clock: Arc<dyn Clock>,
    policy: EnrolmentPolicy,
    captures: Semaphore,
    /// Held from the duplicate search to the stored template, so that two enrolments of one face at once are seen.
    one_face_at_a_time: Mutex<()>,
}

impl Enrolment {
    /// Reads every template into the duplicate search.
    pub async fn new(
        store: Arc<dyn Store>,
        register: Register,
        faces: Arc<dyn FaceCapture>,
        issuer: CodeIssuer,
        clock: Arc<dyn Clock>,
        policy: EnrolmentPolicy,
    ) -> Result<Self, EnrolmentError> {
        let duplicates = Duplicates::load(&*store, faces.model()).await?;
        Ok(Self {
            register,
            store,
            faces,
            duplicates,
            issuer: RwLock::new(issuer),
            clock,
            policy,
            captures: Semaphore::new(CAPTURES_MAX),
            one_face_at_a_time: Mutex::new(()),
        })
    }

    /// Keeps the duplicate search and the register of erasures in step with the feed until `stop`: an erased face does not
    /// stay in memory until the next enrolment, and what another replica has erased is in the register of this one too.
    pub async fn follow_feed(&self, stop: CancellationToken) {
        let mut head = self.store.head();
        loop {
            head.mark_unchanged();
            if let Err(error) = self.catch_up().await {
                tracing::error!(%error, "the feed could not be followed; the duplicate search does before it is asked");
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                changed = head.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn catch_up(&self) -> Result<(), EnrolmentError> {
        self.duplicates.catch_up(&*self.store).await?;
        for rider in self.duplicates.removed() {
            register::learn_of(&self.register, &*self.store, rider).await?;
            self.duplicates.noted(rider);
        }
        Ok(())
    }

    /// What gates need to verify the phones that this cloud vouched for.
    pub fn issuer_key(&self) -> IssuerKey {
        self.issuer.read().unwrap_or_else(PoisonError::into_inner).public()
    }

    /// Certificates are signed by this from now on.
    pub fn sign_with(&self, issuer: CodeIssuer) {
        *self.issuer.write().unwrap_or_else(PoisonError::into_inner) = issuer;
    }

    /// The rider, if he is known and not erased.
    pub async fn rider(&self, rider: RiderId) -> Result<Rider, EnrolmentError> {
        match self.store.rider(rider).await? {
            None => Err(EnrolmentError::UnknownRider),
            Some(rider) if rider.erasure.is_some() => Err(EnrolmentError::ErasedRider),
            Some(rider) => Ok(rider),
        }
    }

    pub async fn profile(&self, rider: RiderId) -> Result<Profile, EnrolmentError> {
        self.rider(rider).await?;
        self.store.profile(rider).await?.ok_or(EnrolmentError::UnknownRider)
    }

    /// The rider's trips, the latest first.
    pub async fn trips(&self, rider: RiderId) -> Result<Vec<Trip>, EnrolmentError> {
        self.rider(rider).await?;
        Ok(self.store.trips(rider).await?)
    }

    /// Sets the password of the rider's own page; `hash` is in PHC form.
    pub async fn set_page_password(&self, actor: &Actor, rider: RiderId, hash: String) -> Result<(), EnrolmentError> {
        self.rider(rider).await?;
        self.audit(actor, "rider.set-password", rider).await?;
        Ok(self.store.set_page_password(rider, hash).await?)
    }

    async fn audit(&self, actor: &Actor, action: &str, subject: impl ToString) -> Result<(), EnrolmentError> {
        Ok(self.store.audit(actor.as_str(), action, &subject.to_string(), self.clock.now()).await?)
    }
}
