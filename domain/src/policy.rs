//! What an operator sets, and the words in which a gate refuses.

use serde::{Deserialize, Serialize};

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

    /// What the gate's screen says to the rider, English.
    pub const fn message_en(self) -> &'static str {
        match self {
            Self::NotRecognised | Self::Ambiguous | Self::PresentationAttack | Self::CodeAsked => {
                "Please show your ride code."
            }
            Self::TooFar => "Please step closer, or show your ride code.",
            Self::Blurred => "Please stand still for a moment, or show your ride code.",
            Self::Tilted => "Please hold your head upright, or show your ride code.",
            Self::EyesCovered => "Please take off your dark glasses, or show your ride code.",
            Self::Masked => "Please uncover your mouth and nose, or show your ride code.",
            Self::TooDark | Self::TooBright | Self::UnevenLight => {
                "The light is difficult here. Please show your ride code."
            }
            Self::TurnedAway | Self::LivenessInconclusive | Self::TooFewFrames => {
                "Please look at the screen, or show your ride code."
            }
            Self::SeveralFaces => "One at a time, please, or show your ride code.",
            Self::DenyListed => "There is an open payment. Please settle it in the app, or ask at the ticket booth.",
            Self::StationClosed => "This station is closed. Please ask at the ticket booth.",
            Self::CodeNotOurs => "This is not a ride code. Please open the ride code in your app.",
            Self::CodeForged | Self::CodeReplayed => {
                "This ride code is not valid. Please open a new ride code in your app."
            }
            Self::FaceDiffers => {
                "This ride code is another rider's. Please show your own ride code and look at the screen."
            }
            Self::CodeExpired => "This ride code is too old. Please open a new ride code in your app.",
            Self::StationUnreachable => "Face entry is paused. Please show your ride code.",
            Self::OfflineTooLong => "This gate has been cut off for too long. Please ask at the ticket booth.",
            Self::LivenessUnavailable => "Face entry is closed at this gate. Please show your ride code.",
            Self::GateFault => "This gate is out of order. Please use the next gate with your ride code.",
            Self::GateClosed => "This gate is closed. Please use the next gate with your face or ride code.",
            Self::NotAdmitted => "You cannot enter now. Please ask at the ticket booth.",
        }
    }

    /// What the gate's screen says to the rider, Chinese.
    pub const fn message_zh(self) -> &'static str {
        match self {
            Self::NotRecognised | Self::Ambiguous | Self::PresentationAttack | Self::CodeAsked => "请出示乘车码。",
            Self::TooFar => "请靠近一点，或出示乘车码。",
            Self::Blurred => "请稍停片刻，或出示乘车码。",
            Self::Tilted => "请抬头正视屏幕，或出示乘车码。",
            Self::EyesCovered => "请摘下墨镜，或出示乘车码。",
            Self::Masked => "请摘下口罩，或出示乘车码。",
            Self::TooDark | Self::TooBright | Self::UnevenLight => "此处光线不佳，请出示乘车码。",
            Self::TurnedAway | Self::LivenessInconclusive | Self::TooFewFrames => "请正视屏幕，或出示乘车码。",
            Self::SeveralFaces => "请依次通过，或出示乘车码。",
            Self::DenyListed => "您有未支付的行程，请在应用中支付或前往票务处。",
            Self::StationClosed => "本站已关闭，请咨询票务处。",
            Self::CodeNotOurs => "这不是乘车码，请在应用中打开乘车码。",
            Self::CodeForged | Self::CodeReplayed => "乘车码无效，请在应用中刷新乘车码。",
            Self::FaceDiffers => "面部与乘车码不符，请出示本人的乘车码并正视屏幕。",
            Self::CodeExpired => "乘车码已过期，请在应用中刷新乘车码。",
            Self::StationUnreachable => "刷脸暂停，请出示乘车码。",
            Self::OfflineTooLong => "此闸机离线过久，请前往票务处。",
            Self::LivenessUnavailable => "此闸机暂不支持刷脸，请出示乘车码。",
            Self::GateFault => "此闸机故障，请使用旁边闸机的乘车码通道。",
            Self::GateClosed => "此闸机已关闭，请使用旁边闸机刷脸或出示乘车码。",
            Self::NotAdmitted => "暂时无法进站，请咨询票务处。",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_names_another_way_and_reads_back_by_name() {
        for refusal in Refusal::ALL {
            assert_eq!(Refusal::from_name(refusal.name()), Some(refusal));
            let message = refusal.message_en();
            assert!(message.contains("ride code") || message.contains("ticket booth"), "{message}");
            let message = refusal.message_zh();
            assert!(message.contains("乘车码") || message.contains("票务处"), "{message}");
        }
    }
}
