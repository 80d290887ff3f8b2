//! Why a rider was refused, as an attendant may know it: plainer than what the rider's display says.

use facegate_domain::policy::{Line, Refusal};

pub(super) const fn reason(refusal: Refusal) -> Line {
    let (zh, en) = match refusal {
        Refusal::NotRecognised => ("未登记或不够相似", "Nobody enrolled is alike enough"),
        Refusal::Ambiguous => ("两名乘客过于相似", "Two riders look alike"),
        Refusal::TooFar => ("距离太远", "Too far from the camera"),
        Refusal::Blurred => ("画面模糊", "Blurred"),
        Refusal::TooDark => ("光线太暗", "Too dark"),
        Refusal::TooBright => ("光线太亮", "Too bright"),
        Refusal::TurnedAway => ("未正视屏幕", "Turned away"),
        Refusal::Tilted => ("头部倾斜", "Head tilted"),
        Refusal::UnevenLight => ("光线不均", "Light from one side"),
        Refusal::EyesCovered => ("眼睛被遮挡", "Eyes covered"),
        Refusal::Masked => ("口鼻被遮挡", "Mouth and nose covered"),
        Refusal::SeveralFaces => ("画面中有多人", "Several faces"),
        Refusal::LivenessInconclusive => ("活体检测无结论", "Liveness could not be told"),
        Refusal::LivenessUnavailable => ("活体检测不可用", "Liveness cannot be judged here"),
        Refusal::PresentationAttack => ("疑似照片或屏幕", "A photograph or screen was shown"),
        Refusal::TooFewFrames => ("画面不足，乘客已离开", "Gone before enough was seen"),
        Refusal::DenyListed => ("有未支付的行程", "Open payment"),
        Refusal::CodeAsked => ("今日刷脸额度已满，需扫码", "Limit by face alone reached: code asked"),
        Refusal::StationClosed => ("车站已关闭", "Station closed"),
        Refusal::CodeNotOurs => ("不是乘车码", "Not a ride code"),
        Refusal::CodeForged => ("乘车码签名无效", "Code's signature is not valid"),
        Refusal::CodeExpired => ("乘车码过期，或手机时钟不准", "Code too old, or the phone's clock is wrong"),
        Refusal::CodeReplayed => ("乘车码已被使用", "Code was used before"),
        Refusal::FaceDiffers => ("面部与乘车码不符", "The face is not the code's rider's"),
        Refusal::StationUnreachable => ("车站服务器离线", "Station offline"),
        Refusal::OfflineTooLong => ("离线时间过长", "Offline for longer than allowed"),
        Refusal::GateFault => ("闸机故障", "Fault of the gate"),
        Refusal::GateClosed => ("闸机已关闭", "Gate out of service"),
        Refusal::NotAdmitted => ("准入规则不允许", "The admission rule said no"),
    };
    Line { zh, en }
}
