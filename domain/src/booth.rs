//! What an attendant does at a station's ticket booth: he writes down an entry that no gate saw, lets a rider out, opens a
//! gate once. Each is a record of the booth's own journal, so that journeys and fares follow it like a gate's.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::gate::GateMode;
use crate::ids::{ActId, GateId, InvalidId, StationId};
use crate::journey::PairingPolicy;
use crate::policy::Line;
use crate::tap::{Direction, Evidence, GateRecord, RecordBody};

/// Why he did it. A list and no free text: what is typed freely names people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BoothReason {
    /// He went through without a tap: the gate stood open, or he followed somebody.
    NotTapped,
    CodeFailed,
    FaceFailed,
    PhoneLost,
    WrongPlatform,
    Medical,
    Emergency,
    /// A wheelchair, a pram, heavy luggage, somebody who needs a hand.
    Assistance,
    GateFault,
    Other,
}

impl BoothReason {
    pub const ALL: [Self; 10] = [
        Self::NotTapped,
        Self::CodeFailed,
        Self::FaceFailed,
        Self::PhoneLost,
        Self::WrongPlatform,
        Self::Medical,
        Self::Emergency,
        Self::Assistance,
        Self::GateFault,
        Self::Other,
    ];

    /// The name on the wire, in the page's choices and in the audit log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotTapped => "not_tapped",
            Self::CodeFailed => "code_failed",
            Self::FaceFailed => "face_failed",
            Self::PhoneLost => "phone_lost",
            Self::WrongPlatform => "wrong_platform",
            Self::Medical => "medical",
            Self::Emergency => "emergency",
            Self::Assistance => "assistance",
            Self::GateFault => "gate_fault",
            Self::Other => "other",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }

    /// As the attendant chooses it.
    pub const fn words(self) -> Line {
        let (zh, en) = match self {
            Self::NotTapped => ("进站时未验证", "Went through without a tap"),
            Self::CodeFailed => ("乘车码无法读取", "Code could not be read"),
            Self::FaceFailed => ("刷脸失败", "Face was not recognised"),
            Self::PhoneLost => ("手机丢失或没电", "Phone lost or empty"),
            Self::WrongPlatform => ("走错站台", "Wrong platform"),
            Self::Medical => ("身体不适", "Unwell"),
            Self::Emergency => ("紧急情况", "Emergency"),
            Self::Assistance => ("轮椅、婴儿车或大件行李", "Wheelchair, pram or luggage"),
            Self::GateFault => ("闸机故障", "Fault of the gate"),
            Self::Other => ("其他", "Another reason"),
        };
        Line { zh, en }
    }
}

/// What the rider who is let out pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitFare {
    /// As if he had left through a gate here.
    Charged,
    /// The same, but nothing for having stayed too long.
    NoOverstay,
    Free,
}

impl ExitFare {
    /// The mode by which fares follow.
    pub const fn mode(self) -> GateMode {
        match self {
            Self::Charged => GateMode::Normal,
            Self::NoOverstay => GateMode::TimeExempt,
            Self::Free => GateMode::FareExempt,
        }
    }
}

/// Who did it, and why. The page names the act before it is done, so that asking twice does it once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoothAct {
    pub id: ActId,
    /// As the station's config names him.
    pub attendant: String,
    pub reason: BoothReason,
}

/// A gate was ordered to open for one body, on nobody's account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateOpened {
    pub act: BoothAct,
    pub gate: GateId,
}

/// Under which name a station's booth writes its journal.
///
/// Errors: `InvalidId`: the station's name is too long.
pub fn recorder(station: &StationId) -> Result<GateId, InvalidId> {
    GateId::new(format!("{station}-booth"))
}

/// Where the station believes a rider to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whereabouts {
    Inside,
    Outside,
    /// The station is cut off, or has not been told yet.
    Unknown,
}

/// Why an act is not done; says what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotDone {
    #[error("this time is still to come: correct it")]
    ToCome,
    #[error("this was more than {} hours ago, longer than any ride: leave it to the operations centre", .longest.as_secs() / 3600)]
    TooLongAgo { longest: Duration },
    #[error("he is inside already: there is nothing to repair, let him leave through a gate or give him an exit pass")]
    Inside,
    #[error("no entry of his is known here: repair his entry first, then give him the exit pass")]
    Outside,
}

/// Whether an entry at `at` may be written down for somebody who is believed to be there.
pub fn may_enter(at: Timestamp, now: Timestamp, believed: Whereabouts) -> Result<(), NotDone> {
    let longest = PairingPolicy::default().journey_max;
    if at > now {
        Err(NotDone::ToCome)
    } else if now.since(at) > longest {
        Err(NotDone::TooLongAgo { longest })
    } else if believed == Whereabouts::Inside {
        Err(NotDone::Inside)
    } else {
        Ok(())
    }
}

/// Whether somebody who is believed to be there may be let out. What is not known keeps nobody in.
pub fn may_leave(believed: Whereabouts) -> Result<(), NotDone> {
    if believed == Whereabouts::Outside { Err(NotDone::Outside) } else { Ok(()) }
}

/// A line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    pub actor: String,
    pub action: &'static str,
    /// By ids, never by name.
    pub subject: String,
}

impl Deed {
    /// What the record tells of an attendant; none of a gate's own.
    pub fn of(record: &GateRecord) -> Option<Self> {
        let (act, action, what) = match &record.body {
            RecordBody::GateOpened(opened) => (&opened.act, "booth.open", opened.gate.to_string()),
            RecordBody::Authorisation(granted) => {
                let Evidence::Booth { act, station, at } = &granted.evidence else { return None };
                let action = match granted.direction {
                    Direction::Entry => "booth.entry",
                    Direction::Exit => "booth.exit",
                };
                let mode = granted.mode.name();
                (act, action, format!("{} at {station} {} {mode}", granted.rider, at.unix_ms()))
            }
            RecordBody::Passage(_) => return None,
        };
        let actor = format!("attendant/{}/{}", record.station, act.attendant);
        let subject = format!("{what}, {}, record {}", act.reason.name(), record.id);
        Some(Self { actor, action, subject })
    }
}

#[cfg(test)]
mod tests;
