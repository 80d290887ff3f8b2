//! The change log as it is kept, whichever database keeps it.

use facegate_domain::Timestamp;
use facegate_domain::code::IssuerKey;
use facegate_domain::face::Template;
use facegate_domain::ids::{RecordId, RiderId, StationId, TemplateId};
use facegate_domain::intake::Move;
use facegate_domain::operation::Instruction;
use facegate_proto::convert::sync::FeedChange;
use serde::{Deserialize, Serialize};

use super::StoreError;

/// A change as the log keeps it: a face by its template's id alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Logged {
    TemplatePut {
        template: TemplateId,
        rider: RiderId,
    },
    RiderRemoved {
        rider: RiderId,
    },
    EnteredSystem {
        rider: RiderId,
        entry: RecordId,
    },
    LeftSystem {
        rider: RiderId,
        entry: RecordId,
    },
    Denied {
        rider: RiderId,
    },
    Allowed {
        rider: RiderId,
    },
    FaceCapped {
        rider: RiderId,
        until: Timestamp,
    },
    IssuerKeys {
        keys: Vec<[u8; 32]>,
    },
    CodeNonceSpent {
        nonce: [u8; 8],
        issued_at: Timestamp,
    },
    Told {
        told: Instruction,
    },
    /// Without the riders, who are read from where they are kept: the log keeps nobody's habits.
    Regulars {
        station: StationId,
    },
}

impl Logged {
    /// What stations are told of a rider who moved, and how many more are inside by that.
    pub(super) fn of_move(step: &Move) -> (Vec<Self>, i64) {
        let rider = step.rider;
        let [left, entered] = step.entries().map(Option::<&RecordId>::cloned);
        let more_inside = i64::from(entered.is_some()) - i64::from(left.is_some());
        let left = left.map(|entry| Self::LeftSystem { rider, entry });
        let entered = entered.map(|entry| Self::EnteredSystem { rider, entry });
        (left.into_iter().chain(entered).collect(), more_inside)
    }

    /// What a station is told; `face` opens a template, and gives None for one that is gone by now: its removal comes
    /// later in the log.
    pub(super) fn resolve(
        self,
        face: impl FnOnce(TemplateId) -> Result<Option<Template>, StoreError>,
    ) -> Result<Option<FeedChange>, StoreError> {
        Ok(Some(match self {
            Self::TemplatePut { template, .. } => return Ok(face(template)?.map(FeedChange::TemplatePut)),
            Self::RiderRemoved { rider } => FeedChange::RiderRemoved(rider),
            Self::EnteredSystem { rider, entry } => FeedChange::EnteredSystem { rider, entry },
            Self::LeftSystem { rider, entry } => FeedChange::LeftSystem { rider, entry },
            Self::Denied { rider } => FeedChange::Denied(rider),
            Self::Allowed { rider } => FeedChange::Allowed(rider),
            Self::FaceCapped { rider, until } => FeedChange::FaceCapped { rider, until },
            Self::IssuerKeys { keys } => issuer_keys(&keys)?,
            Self::CodeNonceSpent { nonce, issued_at } => FeedChange::CodeNonceSpent { nonce, issued_at },
            Self::Told { told } => FeedChange::Told(told),
            Self::Regulars { station } => FeedChange::Regulars { station, riders: Vec::new() },
        }))
    }
}

pub(super) fn issuer_keys(keys: &[[u8; 32]]) -> Result<FeedChange, StoreError> {
    let keys: Result<_, _> = keys.iter().map(IssuerKey::from_bytes).collect();
    let damaged = |error| StoreError::Damaged { key: "issuer-keys".into(), reason: format!("{error}") };
    keys.map(FeedChange::IssuerKeys).map_err(damaged)
}
