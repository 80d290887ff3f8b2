//! Decisions as the board keeps them: the newest of them, without who they were about.

use facegate_domain::Timestamp;
use facegate_domain::ids::RecordId;
use facegate_domain::policy::Refusal;
use facegate_domain::tap::Medium;
use facegate_proto::v1;
use serde::Serialize;

use crate::latency::Took;

/// A decision as it was made.
#[derive(Debug, Clone, Copy)]
pub enum Outcome<'a> {
    Granted {
        medium: Medium,
        record: &'a RecordId,
    },
    /// Face and code of one rider within the window: one tap, and nothing new.
    Merged,
    Refused {
        medium: Medium,
        refusal: Refusal,
    },
    /// A card was presented: the card system decides, and nothing is recorded here.
    ByCard,
    /// An entrance camera told the station.
    Sighted,
}

impl Outcome<'_> {
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Granted { .. } => "granted",
            Self::Merged => "merged",
            Self::Refused { .. } => "refused",
            Self::ByCard => "by_card",
            Self::Sighted => "sighted",
        }
    }

    pub(super) const fn medium(&self) -> Option<Medium> {
        match self {
            Self::Granted { medium, .. } | Self::Refused { medium, .. } => Some(*medium),
            Self::Merged | Self::ByCard | Self::Sighted => None,
        }
    }

    pub(super) const fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal.name()),
            _ => None,
        }
    }
}

/// One decision, without who it was about.
#[derive(Debug, Clone, Serialize)]
pub struct Decision {
    /// Counts from 1.
    pub number: u64,
    pub at_unix_ms: i64,
    /// `granted`, `refused`, `merged`, `by_card` or `sighted`.
    pub kind: &'static str,
    pub medium: Option<&'static str>,
    /// With `refused`.
    pub reason: Option<&'static str>,
    /// Last usable frame captured → decision; absent if the rider's leaving brought it about.
    pub decision_ms: Option<f64>,
    /// With a face: first usable frame of it captured → decision.
    pub first_usable_ms: Option<f64>,
    /// With `granted`: gate/epoch/sequence of the authorisation.
    pub record: Option<String>,
    /// With `granted`, once the sensors have concluded and it is on the disk.
    pub outcome: Option<&'static str>,
}

impl Decision {
    pub(super) fn new(number: u64, at: Timestamp, outcome: Outcome<'_>, took: Took) -> Self {
        let record = match outcome {
            Outcome::Granted { record, .. } => Some(record.to_string()),
            _ => None,
        };
        Self {
            number,
            at_unix_ms: at.unix_ms(),
            kind: outcome.kind(),
            medium: outcome.medium().map(Medium::name),
            reason: outcome.reason(),
            decision_ms: took.decision_ms,
            first_usable_ms: took.first_usable_ms,
            record,
            outcome: None,
        }
    }

    /// What the station is told of it: not the record, which names a rider.
    pub(super) fn told(&self) -> v1::GateDecision {
        let word = |word: Option<&str>| word.unwrap_or_default().to_owned();
        v1::GateDecision {
            at_unix_ms: self.at_unix_ms,
            kind: self.kind.to_owned(),
            medium: word(self.medium),
            reason: word(self.reason),
            outcome: word(self.outcome),
        }
    }
}
