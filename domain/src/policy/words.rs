//! What a gate's screen says to a rider who is refused: what is so, then what to do next. Both are read by whoever stands
//! behind him, so neither tells what he owes or what he was suspected of.

use serde::Serialize;

use super::Refusal;

/// One line, in the languages of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Line {
    pub zh: &'static str,
    pub en: &'static str,
}

/// A large line and the one below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Words {
    pub what: Line,
    pub next: Line,
}

impl Words {
    pub const fn new(what: [&'static str; 2], next: [&'static str; 2]) -> Self {
        let ([zh, en], [next_zh, next_en]) = (what, next);
        Self { what: Line { zh, en }, next: Line { zh: next_zh, en: next_en } }
    }
}

const SHOW_CODE: [&str; 2] = ["请出示乘车码。", "Please show your ride code."];
const NEW_CODE: [&str; 2] = ["请在应用中刷新乘车码。", "Please open a new ride code in your app."];
const BOOTH: [&str; 2] = ["请前往票务处。", "Please ask at the ticket booth."];
const NOT_SEEN: [&str; 2] = ["没有看清", "Not seen clearly"];

impl Refusal {
    /// In Chinese and English; the ride code comes before what else would help.
    pub const fn words(self) -> Words {
        let (what, next) = match self {
            Self::NotRecognised | Self::Ambiguous | Self::PresentationAttack => {
                (["未能识别", "Not recognised"], SHOW_CODE)
            }
            Self::CodeAsked => (
                ["需要乘车码", "Ride code needed"],
                ["请在应用中打开乘车码。", "Please open the ride code in your app."],
            ),
            Self::TooFar => {
                (["距离太远", "Too far away"], ["请出示乘车码，或靠近一点。", "Show your ride code, or step closer."])
            }
            Self::Blurred => {
                (NOT_SEEN, ["请出示乘车码，或稍停片刻。", "Show your ride code, or stand still for a moment."])
            }
            Self::Tilted => {
                (NOT_SEEN, ["请出示乘车码，或抬头正视屏幕。", "Show your ride code, or hold your head upright."])
            }
            Self::TurnedAway | Self::LivenessInconclusive | Self::TooFewFrames => {
                (NOT_SEEN, ["请出示乘车码，或正视屏幕。", "Show your ride code, or look at the screen."])
            }
            Self::EyesCovered => (
                ["眼睛被遮挡", "Eyes covered"],
                ["请出示乘车码，或摘下墨镜。", "Show your ride code, or take off your dark glasses."],
            ),
            Self::Masked => (
                ["面部被遮挡", "Face covered"],
                ["请出示乘车码，或摘下口罩。", "Show your ride code, or uncover your mouth and nose."],
            ),
            Self::TooDark | Self::TooBright | Self::UnevenLight => (["光线不佳", "Difficult light"], SHOW_CODE),
            Self::SeveralFaces => (
                ["请依次通过", "One at a time"],
                ["请出示乘车码，或一人先行。", "Show your ride code, or come one by one."],
            ),
            Self::LivenessUnavailable => (["此处暂不刷脸", "No face entry here"], SHOW_CODE),
            Self::StationUnreachable => (["刷脸暂停", "Face entry paused"], SHOW_CODE),
            Self::DenyListed => (
                ["暂时无法通行", "You cannot pass now"],
                ["请查看应用，或前往票务处。", "Look at your app, or ask at the ticket booth."],
            ),
            Self::NotAdmitted => (["暂时无法进站", "You cannot enter now"], BOOTH),
            Self::StationClosed => (["本站已关闭", "Station closed"], BOOTH),
            Self::OfflineTooLong => (["闸机离线过久", "Gate cut off"], BOOTH),
            Self::CodeNotOurs => (
                ["这不是乘车码", "Not a ride code"],
                ["请在应用中打开乘车码。", "Please open the ride code in your app."],
            ),
            Self::FaceDiffers => (
                ["面部与乘车码不符", "Face and code differ"],
                ["请出示本人的乘车码并正视屏幕。", "Show your own ride code and look at the screen."],
            ),
            Self::CodeForged => (["乘车码无效", "Code not valid"], NEW_CODE),
            Self::CodeReplayed => (["乘车码已使用", "Code already used"], NEW_CODE),
            Self::CodeExpired => (["乘车码已过期", "Code too old"], NEW_CODE),
            Self::GateFault => {
                (["闸机故障", "Out of order"], ["请携乘车码使用旁边的闸机。", "Use the next gate with your ride code."])
            }
            Self::GateClosed => (
                ["此闸机已关闭", "Gate closed"],
                ["请用乘车码或刷脸通过旁边的闸机。", "Use the next gate with your ride code or face."],
            ),
        };
        Words::new(what, next)
    }
}
