//! What people before the gate see and hear: a sign, two lines, a tone. Everybody may read it, so nobody is in it.

use facegate_domain::aisle::{Beam, BeamFault};
use facegate_domain::gate::{GateMode, GateState};
use facegate_domain::policy::{Line, Refusal, Words};
use facegate_domain::tap::{Direction, PassageOutcome};
use serde::Serialize;

use super::{Alarm, Board, Phase, State, Who};
use crate::lane::Lane;

/// Which symbol and colour the screen shows. Every one has a shape of its own, so that colour alone never tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    Ready,
    /// By code alone, here or just now.
    CodeOnly,
    FaceOnly,
    CodeWithFace,
    Looking,
    Go,
    /// Refused: the ride code helps.
    ShowCode,
    /// Refused: a code does not, a new one would.
    NewCode,
    /// Refused: people help.
    Booth,
    /// Refused: another gate helps.
    NextGate,
    Starting,
    Closed,
    /// The gate serves the other side.
    OtherSide,
    Maintenance,
    Fault,
    /// Emergency: everybody walks.
    Standing,
    /// Somebody went through behind another.
    Tailgated,
    ReverseEntry,
    TurnedBack,
    Card,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    Accepted,
    Refused,
    Attention,
}

/// Something that has just happened, shown for some seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// Counts from 1: another number is another notice.
    pub number: u64,
    pub sign: Sign,
    #[serde(flatten)]
    pub words: Words,
    /// Goes before whatever the gate shows; others only before an idle gate.
    pub urgent: bool,
}

/// The display's part of the board in JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Display {
    /// The software that serves the page: another one has another page.
    pub version: &'static str,
    pub gate: String,
    pub station: Option<String>,
    pub direction: Option<&'static str>,
    pub development: bool,
    pub sign: Sign,
    #[serde(flatten)]
    pub words: Words,
    /// What holds for everybody today.
    pub banner: Option<Line>,
    pub notice: Option<Notice>,
    /// The last tone, and how many there were.
    pub tone: Option<Tone>,
    pub tones: u64,
}

/// What was called out.
#[derive(Debug, Default)]
pub(super) struct Calls {
    tone: Option<Tone>,
    tones: u64,
    notice: Option<Notice>,
}

impl Calls {
    fn sound(&mut self, tone: Tone) {
        self.tone = Some(tone);
        self.tones += 1;
    }

    fn notice(&mut self, sign: Sign, urgent: bool, words: Words) {
        let number = self.notice.map_or(0, |last| last.number) + 1;
        self.notice = Some(Notice { number, sign, words, urgent });
    }

    /// The card system lets him through, or not.
    pub(super) fn by_card(&mut self) {
        let next = ["请按读卡器提示通行。", "Please follow the card reader."];
        self.notice(Sign::Card, false, Words::new(["已刷卡", "Card presented"], next));
    }

    pub(super) fn concluded(&mut self, outcome: PassageOutcome) {
        if matches!(outcome, PassageOutcome::TurnedBack | PassageOutcome::TimedOut) {
            let next = ["不扣费。请重新出示乘车码或刷脸。", "Nothing is charged. Show your ride code or face again."];
            self.notice(Sign::TurnedBack, false, Words::new(["您未通过", "You did not pass"], next));
        }
    }
}

impl Board {
    /// What riders pass by here.
    pub fn lane(&self, lane: Lane) {
        self.change(|state| state.lane = lane);
    }

    pub fn phase(&self, phase: Phase) {
        self.change(|state| {
            match phase {
                Phase::Open => state.calls.sound(Tone::Accepted),
                Phase::Refused(_) => state.calls.sound(Tone::Refused),
                Phase::Standing if state.phase != Phase::Standing => state.calls.sound(Tone::Attention),
                _ => {}
            }
            state.phase = phase;
        });
    }

    /// Where the gate's state machine stands.
    pub fn gate(&self, gate: GateState, mode: GateMode) {
        self.change(|state| {
            if gate == GateState::LetThrough && state.gate_state != gate {
                state.calls.sound(Tone::Accepted);
            }
            (state.gate_state, state.gate_mode) = (gate, mode);
        });
    }

    pub fn alarm(&self, alarm: Alarm) {
        metrics::counter!("facegate_gate_alarms_total", "alarm" => alarm.name()).increment(1);
        let (sign, words) = match alarm {
            Alarm::Tailgated => (
                Sign::Tailgated,
                Words::new(
                    ["请依次通过", "One at a time"],
                    ["后面的乘客请退回并出示乘车码。", "If you came behind: step back, show your ride code."],
                ),
            ),
            Alarm::ReverseEntry => (
                Sign::ReverseEntry,
                Words::new(
                    ["请勿逆行", "Wrong way"],
                    ["请退回，或咨询票务处。", "Please step back, or ask at the ticket booth."],
                ),
            ),
        };
        self.change(|state| {
            *state.alarms.entry(alarm.name()).or_default() += 1;
            state.calls.notice(sign, true, words);
            state.calls.sound(Tone::Attention);
        });
    }

    /// The beams that are not believed now.
    pub fn beams(&self, faults: Vec<(Beam, BeamFault)>) {
        for beam in Beam::ALL {
            let faulty = faults.iter().any(|(faulty, _)| *faulty == beam);
            metrics::gauge!("facegate_gate_beam_faulty", "beam" => beam.name()).set(f64::from(u8::from(faulty)));
        }
        self.change(|state| state.beams = faults);
    }

    /// What the gate's display shows now.
    pub fn display(&self) -> Display {
        Display::of(&self.who, &self.state())
    }
}

const OTHER_GATE: [&str; 2] = ["请使用旁边的闸机。", "Please use the next gate."];

impl Display {
    pub(super) fn of(who: &Who, state: &State) -> Self {
        let (sign, words) = shown(state);
        let free = state.gate_mode == GateMode::FareExempt && sign != Sign::Standing;
        Self {
            version: env!("CARGO_PKG_VERSION"),
            gate: who.id.to_string(),
            station: state.station.as_ref().map(ToString::to_string),
            direction: who.direction.map(Direction::name),
            development: who.mode == crate::config::Mode::Development,
            sign,
            words,
            banner: free.then_some(Line { zh: "免费乘车", en: "Free ride" }),
            notice: state.calls.notice,
            tone: state.calls.tone,
            tones: state.calls.tones,
        }
    }
}

fn shown(state: &State) -> (Sign, Words) {
    match (state.gate_state, state.phase) {
        (GateState::Standing, _) | (_, Phase::Standing) => (
            Sign::Standing,
            Words::new(
                ["请立即通行", "Walk through now"],
                ["紧急开放，无需刷脸或扫码。", "Emergency: the gate is open, no face or code is needed."],
            ),
        ),
        // An attendant opened once, whatever the gate shows otherwise.
        (GateState::LetThrough, _) | (_, Phase::Open) => {
            let next = ["请逐一通过，勿尾随。", "One person at a time."];
            (Sign::Go, Words::new(["请通行", "Please walk through"], next))
        }
        (_, Phase::Refused(refusal)) => refused(refusal, state.lane),
        (_, Phase::OutOfService) => out_of_service(state.gate_mode),
        (_, Phase::Starting) => (Sign::Starting, Words::new(["尚未就绪", "Not ready yet"], OTHER_GATE)),
        (_, Phase::Looking) => {
            let next = ["请正视屏幕。", "Please look at the screen."];
            (Sign::Looking, Words::new(["请稍候", "One moment"], next))
        }
        (_, Phase::Idle) => ready(state),
    }
}

const SHOW_IT_THERE: [&str; 2] = ["请到旁边的闸机出示乘车码。", "Please show your ride code at the next gate."];

/// What would help; no code can be shown to a gate that takes faces alone.
const fn refused(refusal: Refusal, lane: Lane) -> (Sign, Words) {
    let (sign, Words { what, next }) = (sign_of(refusal), refusal.words());
    match (sign, lane) {
        (Sign::ShowCode, Lane::Face) => (Sign::NextGate, Words::new([what.zh, what.en], SHOW_IT_THERE)),
        _ => (sign, Words { what, next }),
    }
}

/// Nobody is there. Nobody is asked for a face that cannot be seen or searched, nor for what this lane does not take.
fn ready(state: &State) -> (Sign, Words) {
    let (lane, reads) = (state.lane, state.camera.sees() || state.reader == Some(true));
    if !state.camera.sees() && (lane == Lane::Face || lane == Lane::CodeWithFace || !reads) {
        return (Sign::Fault, Words::new(["闸机故障", "Out of order"], OTHER_GATE));
    }
    match lane {
        Lane::Face | Lane::CodeWithFace if !state.station_reachable => {
            (Sign::Closed, Words::new(["刷脸暂停", "Face entry paused"], SHOW_IT_THERE))
        }
        Lane::Face => {
            (Sign::FaceOnly, Words::new(["刷脸通行", "Face only"], ["请正视屏幕。", "Please look at the screen."]))
        }
        Lane::CodeWithFace => {
            let next = ["请出示乘车码并正视屏幕。", "Show your ride code and look at the screen."];
            (Sign::CodeWithFace, Words::new(["乘车码加刷脸", "Ride code and face"], next))
        }
        Lane::FaceOrCode if state.camera.sees() && state.station_reachable => {
            let next = ["请出示乘车码，或正视屏幕。", "Show your ride code, or look at the screen."];
            (Sign::Ready, Words::new(["刷脸或扫码", "Face or ride code"], next))
        }
        Lane::FaceOrCode | Lane::Code => {
            let next = if !state.camera.sees() {
                ["请将乘车码对准扫码口。", "Please hold your ride code to the reader."]
            } else if lane == Lane::Code {
                ["请将乘车码对准闸机。", "Please hold your ride code to the gate."]
            } else {
                ["刷脸暂停，乘车码可用。", "Face entry is paused; ride codes work."]
            };
            (Sign::CodeOnly, Words::new(["请出示乘车码", "Ride code only"], next))
        }
    }
}

const fn out_of_service(mode: GateMode) -> (Sign, Words) {
    match mode {
        GateMode::Closed => (Sign::Closed, Words::new(["此闸机已关闭", "Gate closed"], OTHER_GATE)),
        GateMode::Maintenance => (Sign::Maintenance, Words::new(["检修中", "Maintenance"], OTHER_GATE)),
        GateMode::NormalEntry => (Sign::OtherSide, Words::new(["仅供进站", "Entry only"], OTHER_GATE)),
        GateMode::NormalExit => (Sign::OtherSide, Words::new(["仅供出站", "Exit only"], OTHER_GATE)),
        // Nobody told it to: it says so of itself.
        _ => (Sign::Fault, Words::new(["闸机故障", "Out of order"], OTHER_GATE)),
    }
}

const fn sign_of(refusal: Refusal) -> Sign {
    match refusal {
        Refusal::DenyListed | Refusal::NotAdmitted | Refusal::StationClosed | Refusal::OfflineTooLong => Sign::Booth,
        Refusal::CodeNotOurs
        | Refusal::CodeForged
        | Refusal::CodeExpired
        | Refusal::CodeReplayed
        | Refusal::FaceDiffers => Sign::NewCode,
        Refusal::GateFault | Refusal::GateClosed => Sign::NextGate,
        _ => Sign::ShowCode,
    }
}
