//! Waivers that people ask for: what one is likely to give back, and the second person above an amount.
//!
//! What it gives back is looked up before it is told: what the settled rides in its time cost now, and for the part of its
//! time that is still to come, what rides cost in the same hours of whole weeks before. Whoever confirms it names the
//! sum that he was shown. If that has grown considerably meanwhile, he is shown it anew and nothing has happened.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::fares::Waiver;
use crate::four_eyes::{Approval, ApprovalError};
use crate::money::{Money, MoneyError};
use crate::remedy::RemedyPolicy;

/// A sum that grew by more than one part in so many is shown anew.
const GROWS_BY_PART: i64 = 10;

/// What a waiver may give back, as far as it can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaiverReach {
    /// Settled rides that cost something now and may change.
    pub rides: u64,
    pub riders: u64,
    /// What they cost now, of which at most all goes back.
    pub cost: Money,
    /// What rides like those to come have cost in weeks before.
    pub expected: Money,
    /// There were more rides than are looked at for this.
    pub is_part: bool,
}

impl WaiverReach {
    /// What may be given back, all together.
    pub fn effect(&self) -> Result<Money, MoneyError> {
        self.cost.checked_add(self.expected)
    }

    /// Whether whoever was shown `shown` has to look again.
    pub fn outgrows(&self, shown: Money) -> Result<bool, MoneyError> {
        let most = shown.minor().saturating_add(shown.minor().max(0) / GROWS_BY_PART);
        Ok(self.effect()?.minor() > most)
    }
}

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaiverRequest {
    /// The same again is the same waiver.
    pub id: Uuid,
    pub waiver: Waiver,
    pub reach: WaiverReach,
    /// As the audit log names him.
    pub by: String,
}

/// A waiver that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposedWaiver {
    pub id: Uuid,
    pub waiver: Waiver,
    /// As it was shown last.
    pub reach: WaiverReach,
    #[serde(flatten)]
    pub approval: Approval,
}

/// Why nothing is waived.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WaivingError {
    #[error("another waiver was told under {0}: draw a new name for this one")]
    OtherWords(Uuid),
    #[error("no waiver {0} was asked for")]
    Unknown(Uuid),
    #[error("it would give back {now} by now, which is considerably more than {shown}")]
    Grown { shown: Money, now: Money },
    #[error(transparent)]
    Approval(#[from] ApprovalError),
    #[error("the amounts cannot be computed: {0}")]
    Money(#[from] MoneyError),
}

impl ProposedWaiver {
    /// `lately` are those of the time in which they count together. It holds if the answer is done.
    pub fn ask(
        request: WaiverRequest,
        lately: &[Self],
        policy: &RemedyPolicy,
        now: Timestamp,
    ) -> Result<Self, WaivingError> {
        let alone = Self::is_for_one(&request.reach, lately, policy, now)?;
        let approval = Approval::ask(&request.by, now, alone);
        Ok(Self { id: request.id, waiver: request.waiver, reach: request.reach, approval })
    }

    /// Whether one person may waive it. What nobody could look at wholly takes two.
    pub fn is_for_one(
        reach: &WaiverReach,
        lately: &[Self],
        policy: &RemedyPolicy,
        now: Timestamp,
    ) -> Result<bool, WaivingError> {
        let counts = lately.iter().filter(|one| one.approval.counts_at(now));
        let together =
            counts.map(|one| one.reach.effect()).try_fold(reach.effect()?, |sum, one| sum.checked_add(one?))?;
        let gives_nothing = reach.effect()?.is_zero();
        Ok(!reach.is_part && (gives_nothing || together.minor() <= policy.four_eyes_above_minor))
    }

    /// Whether it is what was asked for under its name before.
    pub fn is_what(&self, request: &WaiverRequest) -> Result<(), WaivingError> {
        if self.waiver == request.waiver { Ok(()) } else { Err(WaivingError::OtherWords(self.id)) }
    }

    /// The second person's word.
    pub fn decide(&self, approves: bool, by: &str) -> Result<Self, WaivingError> {
        Ok(Self { approval: self.approval.decide(approves, by)?, ..self.clone() })
    }
}

#[cfg(test)]
mod tests;
