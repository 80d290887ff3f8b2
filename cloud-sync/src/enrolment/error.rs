//! Why an enrolment step is refused: a stable code for programs, a sentence for people, and what to do next.

use facegate_domain::charge::{InstrumentProblem, InvalidToken};
use facegate_domain::four_eyes::ApprovalError;
use facegate_domain::ledger::LedgerError;
use facegate_domain::money::Money;
use facegate_domain::waiving::WaivingError;
use facegate_models::enrolment::{CaptureProblem, EnrolmentProblem};
use facegate_models::{ImageError, QualityProblem};

use crate::store::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum EnrolmentError {
    #[error("there is no such rider")]
    UnknownRider,
    #[error("this rider was erased")]
    ErasedRider,
    #[error("there is no such erasure")]
    UnknownErasure,
    #[error("the rider has not consented to recognition")]
    ConsentMissing,
    #[error("this person is enrolled already")]
    AlreadyEnrolled,
    #[error("{field}: {problem}")]
    BadField { field: &'static str, problem: String },
    #[error(transparent)]
    BadToken(#[from] InvalidToken),
    #[error("this top-up was booked already with another amount")]
    TopUpConflict,
    #[error(transparent)]
    Instruments(#[from] InstrumentProblem),
    #[error("the wallet holds {funds}")]
    WalletShort { funds: Money },
    #[error(transparent)]
    Waiving(#[from] WaivingError),
    #[error("{0}")]
    Capture(EnrolmentProblem),
    #[error("too many photographs are being examined")]
    Busy,
    #[error("{0}")]
    Internal(String),
}

/// What kind of answer an error is, for either protocol to put in its own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request itself is wrong.
    Invalid,
    NotFound,
    /// The rider's state does not allow it.
    Conflict,
    /// Something has to be done first.
    Precondition,
    /// Another person has to do it.
    Forbidden,
    Busy,
    Internal,
}

impl EnrolmentError {
    /// What is wrong with a photograph, if that is it.
    fn capture_problem(&self) -> Option<&CaptureProblem> {
        match self {
            Self::Capture(EnrolmentProblem::Photograph { problem, .. }) => Some(problem),
            _ => None,
        }
    }

    /// Stable: programs may depend on it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownRider => "unknown_rider",
            Self::ErasedRider => "erased_rider",
            Self::UnknownErasure => "unknown_erasure",
            Self::ConsentMissing => "consent_missing",
            Self::AlreadyEnrolled => "already_enrolled",
            Self::BadField { .. } => "bad_field",
            Self::BadToken(InvalidToken::CardNumber) => "card_number",
            Self::BadToken(InvalidToken::Characters) => "bad_token",
            Self::TopUpConflict => "top_up_conflict",
            Self::Instruments(InstrumentProblem::TooMany) => "too_many_instruments",
            Self::Instruments(InstrumentProblem::Unknown) => "unknown_instrument",
            Self::Instruments(InstrumentProblem::NotTheSame) => "other_instruments",
            Self::Instruments(InstrumentProblem::Limits) => "bad_limits",
            Self::WalletShort { .. } => "wallet_short",
            Self::Waiving(problem) => waiving_code(problem),
            Self::Capture(EnrolmentProblem::Photograph { problem, .. }) => capture_code(problem),
            Self::Capture(EnrolmentProblem::Count { .. }) => "photograph_count",
            Self::Capture(EnrolmentProblem::OtherPerson { .. }) => "photographs_differ",
            Self::Busy => "busy",
            Self::Internal(_) => "internal",
        }
    }

    pub fn kind(&self) -> ErrorKind {
        match self {
            _ if matches!(self.capture_problem(), Some(CaptureProblem::Engine(_))) => ErrorKind::Internal,
            Self::UnknownRider | Self::UnknownErasure | Self::Waiving(WaivingError::Unknown(_)) => ErrorKind::NotFound,
            Self::Waiving(WaivingError::Approval(ApprovalError::SamePerson { .. })) => ErrorKind::Forbidden,
            Self::Waiving(WaivingError::Grown { .. }) => ErrorKind::Precondition,
            Self::Waiving(WaivingError::Money(_)) => ErrorKind::Internal,
            Self::ErasedRider | Self::ConsentMissing => ErrorKind::Precondition,
            Self::Instruments(InstrumentProblem::Unknown) => ErrorKind::NotFound,
            Self::Instruments(InstrumentProblem::Limits | InstrumentProblem::NotTheSame) => ErrorKind::Invalid,
            Self::AlreadyEnrolled
            | Self::Waiving(WaivingError::Approval(ApprovalError::Decided(_)) | WaivingError::OtherWords(_))
            | Self::TopUpConflict
            | Self::WalletShort { .. }
            | Self::Instruments(InstrumentProblem::TooMany) => ErrorKind::Conflict,
            Self::Internal(_) => ErrorKind::Internal,
            Self::BadField { .. } | Self::BadToken(_) | Self::Capture(_) => ErrorKind::Invalid,
            Self::Busy => ErrorKind::Busy,
        }
    }

    /// What whoever called can do next.
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::UnknownRider => "Check the rider id; it is the one that creating the rider gave.",
            Self::ErasedRider => "Create a new rider and ask for consent anew.",
            Self::UnknownErasure => "Check the erasure id; it is the one on the receipt.",
            Self::ConsentMissing => "Record the rider's consent to \"recognition\" first, or offer the ride code.",
            Self::AlreadyEnrolled => "Use the rider that exists, or erase that one first.",
            Self::BadField { .. } => "Correct the field and send it again.",
            Self::BadToken(InvalidToken::CardNumber) => {
                "Never send a card number: have the acquirer's page make a token of it, and send the token."
            }
            Self::BadToken(InvalidToken::Characters) => "Send the token exactly as the acquirer gave it.",
            Self::Instruments(InstrumentProblem::TooMany) => "Remove an instrument that is not used any more first.",
            Self::Instruments(InstrumentProblem::Limits) => "Correct the limits and send them again.",
            Self::Instruments(_) => "List the rider's instruments and use their ids.",
            Self::WalletShort { .. } => "Withdraw at most what is in the wallet and not set aside for a charge.",
            Self::Waiving(problem) => waiving_next_step(problem),
            Self::TopUpConflict => "Send another top_up_reference for another top-up.",
            Self::Busy | Self::Internal(_) => "Try again in a moment.",
            Self::Capture(EnrolmentProblem::Count { .. } | EnrolmentProblem::OtherPerson { .. }) => {
                "Send one to five photographs, all of the rider alone."
            }
            Self::Capture(EnrolmentProblem::Photograph { problem, .. }) => match **problem {
                CaptureProblem::Image(_) => "Send JPEG or PNG photographs within the limits.",
                CaptureProblem::Engine(_) => "Try again in a moment.",
                _ => "Take the photograph again as the message says, or offer the ride code.",
            },
        }
    }

    /// The sentence for whoever called. What went wrong inside the server stays in its log.
    pub fn client_text(&self) -> String {
        match self {
            Self::Internal(_) => "something went wrong in the server; nothing was changed".into(),
            shown => shown.to_string(),
        }
    }
}

fn waiving_code(problem: &WaivingError) -> &'static str {
    match problem {
        WaivingError::OtherWords(_) => "other_words",
        WaivingError::Unknown(_) => "unknown_waiver",
        WaivingError::Grown { .. } => "preview_has_grown",
        WaivingError::Approval(ApprovalError::SamePerson { .. }) => "same_person",
        WaivingError::Approval(ApprovalError::Decided(_)) => "decided_already",
        WaivingError::Money(_) => "internal",
    }
}

fn waiving_next_step(problem: &WaivingError) -> &'static str {
    match problem {
        WaivingError::OtherWords(_) => "Draw a new name for this waiver.",
        WaivingError::Unknown(_) => "List the waivers that wait, and use the id of one of them.",
        WaivingError::Grown { .. } => "Look at what it would give back now, and confirm or reject it again.",
        WaivingError::Approval(ApprovalError::SamePerson { .. }) => "Ask a colleague to open this page and decide.",
        WaivingError::Approval(ApprovalError::Decided(_)) => {
            "There is nothing left to decide; the list shows what came of it."
        }
        WaivingError::Money(_) => "Waive less at a time.",
    }
}

fn capture_code(problem: &CaptureProblem) -> &'static str {
    match problem {
        CaptureProblem::Image(ImageError::NotAnImage) => "not_an_image",
        CaptureProblem::Image(ImageError::UnsupportedType { .. }) => "unsupported_image_type",
        CaptureProblem::Image(ImageError::FileTooLarge { .. }) => "file_too_large",
        CaptureProblem::Image(ImageError::TooLarge { .. }) => "image_too_large",
        CaptureProblem::Image(ImageError::TooSmall { .. }) => "image_too_small",
        CaptureProblem::Image(ImageError::Corrupt) => "image_corrupt",
        CaptureProblem::NoFace => "no_face",
        CaptureProblem::SeveralFaces { .. } => "several_faces",
        CaptureProblem::Quality(QualityProblem::TooSmall) => "face_too_small",
        CaptureProblem::Quality(QualityProblem::TurnedAway) => "face_turned_away",
        CaptureProblem::Quality(QualityProblem::Tilted) => "face_tilted",
        CaptureProblem::Quality(QualityProblem::UnevenLight) => "face_unevenly_lit",
        CaptureProblem::Quality(QualityProblem::EyesCovered) => "face_eyes_covered",
        CaptureProblem::Quality(QualityProblem::Masked) => "face_masked",
        CaptureProblem::Quality(QualityProblem::TooDark) => "face_too_dark",
        CaptureProblem::Quality(QualityProblem::TooBright) => "face_too_bright",
        CaptureProblem::Quality(QualityProblem::Blurred) => "face_blurred",
        CaptureProblem::Attack => "presentation_attack",
        CaptureProblem::LivenessInconclusive => "liveness_inconclusive",
        CaptureProblem::Engine(_) => "internal",
    }
}

impl From<StoreError> for EnrolmentError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::UnknownRider(_) => Self::UnknownRider,
            StoreError::Erased(_) => Self::ErasedRider,
            StoreError::ConsentMissing { .. } => Self::ConsentMissing,
            StoreError::AlreadyEnrolled(_) => Self::AlreadyEnrolled,
            StoreError::Ledger(LedgerError::Conflict { .. }) => Self::TopUpConflict,
            StoreError::Instruments(problem) => Self::Instruments(problem),
            StoreError::Waiving(problem) => Self::Waiving(problem),
            StoreError::WalletShort { funds } => Self::WalletShort { funds },
            other => Self::Internal(other.to_string()),
        }
    }
}
