//! What an operator sets, and the words in which a gate refuses.

mod reasons;
mod words;

use serde::{Deserialize, Serialize};

pub use self::words::{Line, Words};

/// Why a rider was not let through. Every refusal names the other way in: the ride code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Nobody enrolled is likely enough within the risk budget.
    NotRecognised,
    /// Two riders look alike.
    Ambiguous,
    TooFar,
    Blurred,
    TooDark,
    TooBright,
    TurnedAway,
    /// The head is tilted sideways, or looks far up or down.
    Tilted,
    /// Light from one side only.
    UnevenLight,
    /// Dark glasses.
    EyesCovered,
    /// A mask, or a hand or scarf before the mouth.
    Masked,
    SeveralFaces,
    /// Liveness could not be told.
    LivenessInconclusive,
    /// Liveness cannot be judged here now (a sensor or the texture nets are missing, frames are not to be trusted).
    LivenessUnavailable,
    /// A photograph or a screen.
    PresentationAttack,
    /// Too few agreeing frames before the rider was gone.
    TooFewFrames,
    DenyListed,
    /// As much as the operator allows by face alone was paid that way today.
    CodeAsked,
    /// The operator has closed the station.
    StationClosed,
    CodeNotOurs,
    CodeForged,
    CodeExpired,
    CodeReplayed,
    /// In an aisle that asks for both: the face is not that of the rider whom the code names.
    FaceDiffers,
    /// The station cannot be reached: faces have to wait, codes work.
    StationUnreachable,
    /// Out of touch for longer than the operator allows: the gate with its station, or the station with the cloud.
    OfflineTooLong,
    /// The gate cannot write its journal or move its door, or its beams cannot tell who passes.
    GateFault,
    /// The operator has taken this gate out of service, or it serves the other side now.
    GateClosed,
    /// The operator's rule of admission (a permit, the crowd, body temperature) lets him not in.
    NotAdmitted,
}

impl Refusal {
    /// Whether somebody tried to get in by what is not his: an honest rider is not refused so.
    pub const fn is_attack(self) -> bool {
        matches!(self, Self::PresentationAttack | Self::CodeForged | Self::CodeReplayed)
    }

    pub const ALL: [Self; 29] = [
        Self::NotRecognised,
        Self::Ambiguous,
        Self::TooFar,
        Self::Blurred,
        Self::TooDark,
        Self::TooBright,
        Self::TurnedAway,
        Self::Tilted,
        Self::UnevenLight,
        Self::EyesCovered,
        Self::Masked,
        Self::SeveralFaces,
        Self::LivenessInconclusive,
        Self::LivenessUnavailable,
        Self::PresentationAttack,
        Self::TooFewFrames,
        Self::DenyListed,
        Self::CodeAsked,
        Self::StationClosed,
        Self::CodeNotOurs,
        Self::CodeForged,
        Self::CodeExpired,
        Self::CodeReplayed,
        Self::FaceDiffers,
        Self::StationUnreachable,
        Self::OfflineTooLong,
        Self::GateFault,
        Self::GateClosed,
        Self::NotAdmitted,
    ];

    /// The name in metrics, logs and on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotRecognised => "not_recognised",
            Self::Ambiguous => "ambiguous",
            Self::TooFar => "too_far",
            Self::Blurred => "blurred",
            Self::TooDark => "too_dark",
            Self::TooBright => "too_bright",
            Self::TurnedAway => "turned_away",
            Self::Tilted => "tilted",
            Self::UnevenLight => "uneven_light",
            Self::EyesCovered => "eyes_covered",
            Self::Masked => "masked",
            Self::SeveralFaces => "several_faces",
            Self::LivenessInconclusive => "liveness_inconclusive",
            Self::LivenessUnavailable => "liveness_unavailable",
            Self::PresentationAttack => "presentation_attack",
            Self::TooFewFrames => "too_few_frames",
            Self::DenyListed => "deny_listed",
            Self::CodeAsked => "code_asked",
            Self::StationClosed => "station_closed",
            Self::CodeNotOurs => "code_not_ours",
            Self::CodeForged => "code_forged",
            Self::CodeExpired => "code_expired",
            Self::CodeReplayed => "code_replayed",
            Self::FaceDiffers => "face_differs",
            Self::StationUnreachable => "station_unreachable",
            Self::OfflineTooLong => "offline_too_long",
            Self::GateFault => "gate_fault",
            Self::GateClosed => "gate_closed",
            Self::NotAdmitted => "not_admitted",
        }
    }

    /// How many times refusals were added to those that the first gates understand. A gate tells its station what it was
    /// built with.
    pub const LEVEL: u32 = 2;

    /// The level that it came with.
    pub const fn level(self) -> u32 {
        match self {
            Self::CodeAsked => 1,
            Self::FaceDiffers => 2,
            _ => 0,
        }
    }

    /// What a gate of this level is told in its place: a refusal that it understands and that asks for the same.
    #[must_use]
    pub const fn understood_at(self, level: u32) -> Self {
        if self.level() <= level { self } else { Self::NotRecognised }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_names_another_way_and_reads_back_by_name() {
        for refusal in Refusal::ALL {
            assert_eq!(Refusal::from_name(refusal.name()), Some(refusal));
            let next = refusal.words().next;
            assert!(next.en.contains("ride code") || next.en.contains("ticket booth"), "{}", next.en);
            assert!(next.zh.contains("乘车码") || next.zh.contains("票务处"), "{}", next.zh);
            // The code first: it is the way that does not depend on what went wrong.
            assert!(next.en.find(" or ").is_none_or(|or| !next.en[or..].contains("ride code")), "{}", next.en);
        }
    }
}
