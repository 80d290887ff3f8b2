//! Acts that one person asks for and, above an amount, another one decides about.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// What was asked for within it counts together, so that nobody does it in small parts alone.
pub const COUNTS_TOGETHER: Duration = Duration::from_secs(86_400);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalState {
    AwaitingApproval,
    Done,
    Rejected,
}

impl ApprovalState {
    pub const fn name(self) -> &'static str {
        match self {
            Self::AwaitingApproval => "awaiting_approval",
            Self::Done => "done",
            Self::Rejected => "rejected",
        }
    }
}

/// Who asked, and who decided if one had to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// As the audit log names him.
    pub asked_by: String,
    pub asked_at: Timestamp,
    pub decided_by: Option<String>,
    pub state: ApprovalState,
}

/// Why somebody's word does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalError {
    #[error("{by} asked for it: another person has to decide about it")]
    SamePerson { by: String },
    #[error("it is {state} already and stays so", state = .0.name())]
    Decided(ApprovalState),
}

impl Approval {
    /// Done at once if one person may do it alone.
    pub fn ask(by: &str, now: Timestamp, alone: bool) -> Self {
        let state = if alone { ApprovalState::Done } else { ApprovalState::AwaitingApproval };
        Self { asked_by: by.to_owned(), asked_at: now, decided_by: None, state }
    }

    /// The second person's word.
    pub fn decide(&self, approves: bool, by: &str) -> Result<Self, ApprovalError> {
        if !self.waits() {
            return Err(ApprovalError::Decided(self.state));
        }
        if self.asked_by == by {
            return Err(ApprovalError::SamePerson { by: by.to_owned() });
        }
        let state = if approves { ApprovalState::Done } else { ApprovalState::Rejected };
        Ok(Self { decided_by: Some(by.to_owned()), state, ..self.clone() })
    }

    pub fn waits(&self) -> bool {
        self.state == ApprovalState::AwaitingApproval
    }

    pub fn is_done(&self) -> bool {
        self.state == ApprovalState::Done
    }

    /// Whether it counts together with what is asked for now.
    pub fn counts_at(&self, now: Timestamp) -> bool {
        self.state != ApprovalState::Rejected && self.asked_at > now.minus(COUNTS_TOGETHER)
    }
}
