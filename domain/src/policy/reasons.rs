//! Why a rider was refused, as an attendant may know it: plainer than what the rider's display says.

use super::{Line, Refusal};

impl Refusal {
    /// For an attendant.
    pub const fn reason(self) -> Line {
        let (zh, en) = match self {
            Self::NotRecognised => ("未登记或不够相似", "Nobody enrolled is alike enough"),
            Self::Ambiguous => ("两名乘客过于相似", "Two riders look alike"),
            Self::TooFar => ("距离太远", "Too far from the camera"),
            Self::Blurred => ("画面模糊", "Blurred"),
            Self::TooDark => ("光线太暗", "Too dark"),
            Self::TooBright => ("光线太亮", "Too bright"),
            Self::TurnedAway => ("未正视屏幕", "Turned away"),
            Self::Tilted => ("头部倾斜", "Head tilted"),
            Self::UnevenLight => ("光线不均", "Light from one side"),
            Self::EyesCovered => ("眼睛被遮挡", "Eyes covered"),
            Self::Masked => ("口鼻被遮挡", "Mouth and nose covered"),
            Self::SeveralFaces => ("画面中有多人", "Several faces"),
            Self::LivenessInconclusive => ("活体检测无结论", "Liveness could not be told"),
            Self::LivenessUnavailable => ("活体检测不可用", "Liveness cannot be judged here"),
            Self::PresentationAttack => ("疑似照片或屏幕", "A photograph or screen was shown"),
            Self::TooFewFrames => ("画面不足，乘客已离开", "Gone before enough was seen"),
            Self::DenyListed => ("有未支付的行程", "Open payment"),
            Self::CodeAsked => ("今日刷脸额度已满，需扫码", "Limit by face alone reached: code asked"),
            Self::StationClosed => ("车站已关闭", "Station closed"),
            Self::CodeNotOurs => ("不是乘车码", "Not a ride code"),
            Self::CodeForged => ("乘车码签名无效", "Code's signature is not valid"),
            Self::CodeExpired => ("乘车码过期，或手机时钟不准", "Code too old, or the phone's clock is wrong"),
            Self::CodeReplayed => ("乘车码已被使用", "Code was used before"),
            Self::FaceDiffers => ("面部与乘车码不符", "The face is not the code's rider's"),
            Self::StationUnreachable => ("车站服务器离线", "Station offline"),
            Self::OfflineTooLong => ("离线时间过长", "Offline for longer than allowed"),
            Self::GateFault => ("闸机故障", "Fault of the gate"),
            Self::GateClosed => ("闸机已关闭", "Gate out of service"),
            Self::NotAdmitted => ("准入规则不允许", "The admission rule said no"),
        };
        Line { zh, en }
    }
}
