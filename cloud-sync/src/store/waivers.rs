//! What costs nothing somewhere for some time, and what people asked to be waived.

use std::ops::Range;

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::fares::Waiver;
use facegate_domain::ids::StationId;
use facegate_domain::remedy::RemedyPolicy;
use facegate_domain::waiving::{ProposedWaiver, WaiverReach, WaiverRequest};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::StoreError;

/// Those asked for within a day are among so many of the latest.
pub const WAIVERS_LATELY_MAX: usize = 1000;

/// Something that costs nothing somewhere for some time, and who said so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptWaiver {
    pub id: Uuid,
    pub waiver: Waiver,
    /// Whoever told it; none if the station's mode says so.
    pub told_by: Option<String>,
    /// The second person, if one had to decide.
    #[serde(default)]
    pub confirmed_by: Option<String>,
    /// The station whose mode it follows, as long as that lasts.
    pub follows: Option<StationId>,
    /// Settled rides that ended in this time are to be priced anew because of it; none once that is under way.
    pub spreads: Option<Range<Timestamp>>,
}

impl KeptWaiver {
    /// It holds from now on, and settled rides are priced anew.
    pub(super) fn of(done: &ProposedWaiver) -> Self {
        Self {
            id: done.id,
            waiver: done.waiver.clone(),
            told_by: Some(done.approval.asked_by.clone()),
            confirmed_by: done.approval.decided_by.clone(),
            follows: None,
            spreads: Some(done.waiver.from..done.waiver.until),
        }
    }
}

/// What a line of the audit log says of it.
pub(super) fn audited(proposed: &ProposedWaiver) -> String {
    let (id, waiver) = (proposed.id, serde_json::to_string(&proposed.waiver).unwrap_or_default());
    let WaiverReach { cost, expected, .. } = proposed.reach;
    format!("{id} {waiver} costing {cost} and {expected} to come: {}", proposed.approval.state.name())
}

#[async_trait]
pub trait WaiverStore {
    /// All that ever was waived.
    async fn waivers(&self) -> Result<Vec<KeptWaiver>, StoreError>;

    /// Keeps a new one; false, and nothing is changed, if its id is known.
    async fn add_waiver(&self, waiver: KeptWaiver) -> Result<bool, StoreError>;

    /// Keeps `after` in place of `before`; false, and nothing is changed, if that is not what is kept any more.
    async fn change_waiver(&self, before: &KeptWaiver, after: KeptWaiver) -> Result<bool, StoreError>;

    /// Somebody asks for a waiver; it holds at once if it needs no second person. Asking again under the same id gives
    /// what is stored. With its line of the audit log in its transaction.
    ///
    /// Errors: what `ProposedWaiver::ask` refuses, `OtherWords`.
    async fn propose_waiver(
        &self,
        request: WaiverRequest,
        policy: &RemedyPolicy,
        now: Timestamp,
    ) -> Result<ProposedWaiver, StoreError>;

    /// The second person's word; it holds from then on if he approves. With its line of the audit log.
    ///
    /// Errors: `SamePerson`, `Decided`, `Unknown`.
    async fn decide_waiver(
        &self,
        id: Uuid,
        approves: bool,
        by: &str,
        now: Timestamp,
    ) -> Result<ProposedWaiver, StoreError>;

    /// What a waiver that waits is looked at with from now on. Nothing is changed of one that does not wait.
    async fn show_waiver(&self, id: Uuid, reach: WaiverReach) -> Result<(), StoreError>;

    async fn proposed_waiver(&self, id: Uuid) -> Result<Option<ProposedWaiver>, StoreError>;

    /// At most `max` that wait for a second person, the longest waiting first.
    async fn awaiting_waivers(&self, max: usize) -> Result<Vec<ProposedWaiver>, StoreError>;

    /// At most `max`, whatever became of them, the latest first.
    async fn latest_waivers(&self, max: usize) -> Result<Vec<ProposedWaiver>, StoreError>;
}
