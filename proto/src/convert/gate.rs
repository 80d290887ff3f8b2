//! gate.proto: the records of a gate's journal.

use facegate_domain::Timestamp;
use facegate_domain::booth::{BoothAct, BoothReason, GateOpened};
use facegate_domain::gate::GateMode;
use facegate_domain::ids::{ActId, GateId, RecordId, RiderId, StationId};
use facegate_domain::journal_audit::{JournalRange, Span};
use facegate_domain::score::{Similarity, Tier};
use facegate_domain::tap::{
    Authorisation, Direction, Evidence, GateRecord, GateStamp, Passage, PassageOutcome, RecordBody, Remark, Remarks,
};

use super::{InvalidMessage, fixed, required};
use crate::v1;

pub fn direction_from_wire(value: i32) -> Result<Direction, InvalidMessage> {
    match v1::Direction::try_from(value) {
        Ok(v1::Direction::Entry) => Ok(Direction::Entry),
        Ok(v1::Direction::Exit) => Ok(Direction::Exit),
        _ => Err(InvalidMessage::UnknownValue { field: "direction", got: value.to_string() }),
    }
}

pub fn direction_to_wire(direction: Direction) -> v1::Direction {
    match direction {
        Direction::Entry => v1::Direction::Entry,
        Direction::Exit => v1::Direction::Exit,
    }
}

pub fn tier_from_wire(value: i32) -> Result<Tier, InvalidMessage> {
    match v1::Tier::try_from(value) {
        Ok(v1::Tier::InSystem) => Ok(Tier::InSystem),
        Ok(v1::Tier::Regulars) => Ok(Tier::Regulars),
        Ok(v1::Tier::Expected) => Ok(Tier::Expected),
        Ok(v1::Tier::City) => Ok(Tier::City),
        _ => Err(InvalidMessage::UnknownValue { field: "tier", got: value.to_string() }),
    }
}

pub fn tier_to_wire(tier: Tier) -> v1::Tier {
    match tier {
        Tier::InSystem => v1::Tier::InSystem,
        Tier::Regulars => v1::Tier::Regulars,
        Tier::Expected => v1::Tier::Expected,
        Tier::City => v1::Tier::City,
    }
}

fn outcome_from_wire(value: i32) -> Result<PassageOutcome, InvalidMessage> {
    match v1::PassageOutcome::try_from(value) {
        Ok(v1::PassageOutcome::Passed) => Ok(PassageOutcome::Passed),
        Ok(v1::PassageOutcome::TurnedBack) => Ok(PassageOutcome::TurnedBack),
        Ok(v1::PassageOutcome::TimedOut) => Ok(PassageOutcome::TimedOut),
        Ok(v1::PassageOutcome::Unknown) => Ok(PassageOutcome::Unknown),
        _ => Err(InvalidMessage::UnknownValue { field: "outcome", got: value.to_string() }),
    }
}

fn outcome_to_wire(outcome: PassageOutcome) -> v1::PassageOutcome {
    match outcome {
        PassageOutcome::Passed => v1::PassageOutcome::Passed,
        PassageOutcome::TurnedBack => v1::PassageOutcome::TurnedBack,
        PassageOutcome::TimedOut => v1::PassageOutcome::TimedOut,
        PassageOutcome::Unknown => v1::PassageOutcome::Unknown,
    }
}

/// What a newer gate remarks is left out: it changes no fare.
fn remarks_from_wire(remarks: &[String]) -> Remarks {
    remarks.iter().filter_map(|name| Remark::from_name(name)).fold(Remarks::default(), Remarks::with)
}

/// The mode of a gate; records of before there were modes say nothing.
pub fn gate_mode_from_wire(mode: &str) -> Result<GateMode, InvalidMessage> {
    let unknown = || InvalidMessage::UnknownValue { field: "mode", got: mode.to_owned() };
    if mode.is_empty() { Ok(GateMode::Normal) } else { GateMode::from_name(mode).ok_or_else(unknown) }
}

/// Empty for the normal mode, so that a record of it is written as it always was.
pub fn gate_mode_to_wire(mode: GateMode) -> String {
    if mode == GateMode::Normal { String::new() } else { mode.name().to_owned() }
}

pub fn rider_from_wire(bytes: &[u8]) -> Result<RiderId, InvalidMessage> {
    Ok(RiderId::from_bytes(fixed("rider", bytes)?))
}

impl TryFrom<v1::RecordId> for RecordId {
    type Error = InvalidMessage;
    fn try_from(wire: v1::RecordId) -> Result<Self, InvalidMessage> {
        Ok(Self { gate: GateId::new(wire.gate)?, epoch: wire.epoch, sequence: wire.sequence })
    }
}

impl From<RecordId> for v1::RecordId {
    fn from(id: RecordId) -> Self {
        Self { gate: id.gate.into(), epoch: id.epoch, sequence: id.sequence }
    }
}

impl TryFrom<v1::GateRecord> for GateRecord {
    type Error = InvalidMessage;
    fn try_from(wire: v1::GateRecord) -> Result<Self, InvalidMessage> {
        let stamp = required("stamp", wire.stamp)?;
        Ok(Self {
            id: required("id", wire.id)?.try_into()?,
            station: StationId::new(wire.station)?,
            stamp: GateStamp { wall: Timestamp::from_unix_ms(stamp.wall_unix_ms), monotonic_ms: stamp.monotonic_ms },
            body: match required("body", wire.body)? {
                v1::gate_record::Body::Authorisation(a) => RecordBody::Authorisation(a.try_into()?),
                v1::gate_record::Body::Passage(p) => RecordBody::Passage(Passage {
                    authorisation: p.authorisation,
                    outcome: outcome_from_wire(p.outcome)?,
                    remarks: remarks_from_wire(&p.remarks),
                    ended_in: if p.ended_in.is_empty() { None } else { Some(gate_mode_from_wire(&p.ended_in)?) },
                }),
                v1::gate_record::Body::GateOpened(opened) => RecordBody::GateOpened(GateOpened {
                    act: required("act", opened.act)?.try_into()?,
                    gate: GateId::new(opened.gate)?,
                }),
            },
        })
    }
}

impl From<GateRecord> for v1::GateRecord {
    fn from(record: GateRecord) -> Self {
        Self {
            id: Some(record.id.into()),
            station: record.station.into(),
            stamp: Some(v1::GateStamp {
                wall_unix_ms: record.stamp.wall.unix_ms(),
                monotonic_ms: record.stamp.monotonic_ms,
            }),
            body: Some(match record.body {
                RecordBody::Authorisation(a) => v1::gate_record::Body::Authorisation(a.into()),
                RecordBody::Passage(p) => v1::gate_record::Body::Passage(v1::Passage {
                    authorisation: p.authorisation,
                    outcome: outcome_to_wire(p.outcome).into(),
                    remarks: p.remarks.iter().map(|remark| remark.name().to_owned()).collect(),
                    ended_in: p.ended_in.map_or(String::new(), |mode| mode.name().to_owned()),
                }),
                RecordBody::GateOpened(opened) => v1::gate_record::Body::GateOpened(v1::GateOpened {
                    act: Some(opened.act.into()),
                    gate: opened.gate.into(),
                }),
            }),
        }
    }
}

impl TryFrom<v1::Authorisation> for Authorisation {
    type Error = InvalidMessage;
    fn try_from(wire: v1::Authorisation) -> Result<Self, InvalidMessage> {
        Ok(Self {
            rider: rider_from_wire(&wire.rider)?,
            direction: direction_from_wire(wire.direction)?,
            evidence: match required("evidence", wire.evidence)? {
                v1::authorisation::Evidence::Face(face) => face_from_wire(&face)?,
                v1::authorisation::Evidence::Code(code) => {
                    let (nonce, face) =
                        (fixed("nonce", &code.nonce)?, code.face_similarity.map(Similarity::from_cosine));
                    Evidence::Code { nonce, checked_online: code.checked_online, face }
                }
                v1::authorisation::Evidence::Booth(booth) => Evidence::Booth {
                    act: required("act", booth.act)?.try_into()?,
                    station: StationId::new(booth.station)?,
                    at: Timestamp::from_unix_ms(booth.at_unix_ms),
                },
            },
            mode: gate_mode_from_wire(&wire.mode)?,
        })
    }
}

impl From<Authorisation> for v1::Authorisation {
    fn from(authorisation: Authorisation) -> Self {
        Self {
            rider: authorisation.rider.as_bytes().to_vec(),
            direction: direction_to_wire(authorisation.direction).into(),
            evidence: Some(match authorisation.evidence {
                Evidence::Face { similarity, tier, risk, frames } => {
                    v1::authorisation::Evidence::Face(v1::FaceEvidence {
                        similarity: similarity.cosine(),
                        tier: tier_to_wire(tier).into(),
                        risk,
                        frames,
                    })
                }
                Evidence::Code { nonce, checked_online, face } => {
                    let face_similarity = face.map(Similarity::cosine);
                    let nonce = nonce.to_vec();
                    v1::authorisation::Evidence::Code(v1::CodeEvidence { nonce, checked_online, face_similarity })
                }
                Evidence::Booth { act, station, at } => v1::authorisation::Evidence::Booth(v1::BoothEvidence {
                    act: Some(act.into()),
                    station: station.into(),
                    at_unix_ms: at.unix_ms(),
                }),
            }),
            mode: gate_mode_to_wire(authorisation.mode),
        }
    }
}

impl TryFrom<v1::BoothAct> for BoothAct {
    type Error = InvalidMessage;
    fn try_from(wire: v1::BoothAct) -> Result<Self, InvalidMessage> {
        let unknown = || InvalidMessage::UnknownValue { field: "reason", got: wire.reason.clone() };
        let reason = BoothReason::from_name(&wire.reason).ok_or_else(unknown)?;
        Ok(Self { id: ActId::from_bytes(fixed("act.id", &wire.id)?), attendant: wire.attendant, reason })
    }
}

impl From<BoothAct> for v1::BoothAct {
    fn from(act: BoothAct) -> Self {
        Self { id: act.id.as_bytes().to_vec(), attendant: act.attendant, reason: act.reason.name().to_owned() }
    }
}

impl TryFrom<v1::JournalRange> for JournalRange {
    type Error = InvalidMessage;

    fn try_from(wire: v1::JournalRange) -> Result<Self, InvalidMessage> {
        let span = Span::new(wire.first, wire.last)
            .ok_or_else(|| InvalidMessage::UnknownValue { field: "last", got: wire.last.to_string() })?;
        Ok(Self { gate: GateId::new(wire.gate)?, epoch: wire.epoch, span })
    }
}

impl From<JournalRange> for v1::JournalRange {
    fn from(range: JournalRange) -> Self {
        Self { gate: range.gate.into(), epoch: range.epoch, first: range.span.first, last: range.span.last }
    }
}

/// Face evidence as an authorisation carries it.
pub fn face_from_wire(face: &v1::FaceEvidence) -> Result<Evidence, InvalidMessage> {
    Ok(Evidence::Face {
        similarity: Similarity::from_cosine(face.similarity),
        tier: tier_from_wire(face.tier)?,
        risk: face.risk,
        frames: face.frames,
    })
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    fn records() -> [GateRecord; 5] {
        let record = |sequence, body| GateRecord {
            id: RecordId { gate: GateId::new("north-in").unwrap(), epoch: 2, sequence },
            station: StationId::new("north").unwrap(),
            stamp: GateStamp { wall: Timestamp::from_unix_ms(1_790_000_000_123), monotonic_ms: 77 },
            body,
        };
        let face =
            Evidence::Face { similarity: Similarity::from_cosine(0.7), tier: Tier::InSystem, risk: 1e-7, frames: 3 };
        let likeness = Some(Similarity::from_cosine(0.6));
        let code = Evidence::Code { nonce: [4; 8], checked_online: false, face: likeness };
        let authorise = |direction, evidence| {
            let mode = if direction == Direction::Exit { GateMode::FareExempt } else { GateMode::Normal };
            RecordBody::Authorisation(Authorisation::new(RiderId::random(), direction, evidence).in_mode(mode))
        };
        let act = BoothAct { id: ActId::random(), attendant: "li".into(), reason: BoothReason::PhoneLost };
        let at = Timestamp::from_unix_ms(1_790_000_000_000);
        let booth = Evidence::Booth { act: act.clone(), station: StationId::new("south").unwrap(), at };
        [
            record(0, authorise(Direction::Exit, face)),
            record(1, authorise(Direction::Entry, code)),
            record(
                2,
                RecordBody::Passage(Passage {
                    remarks: Remarks::default().with(Remark::Luggage).with(Remark::Contradicted),
                    ..Passage::new(1, PassageOutcome::TurnedBack)
                }),
            ),
            record(3, authorise(Direction::Entry, booth)),
            record(4, RecordBody::GateOpened(GateOpened { act, gate: GateId::new("north-out").unwrap() })),
        ]
    }

    #[test]
    fn every_kind_of_record_survives_the_wire() {
        for record in records() {
            let bytes = v1::GateRecord::from(record.clone()).encode_to_vec();
            let back: GateRecord = v1::GateRecord::decode(bytes.as_slice()).unwrap().try_into().unwrap();
            assert_eq!(back, record);
        }
    }

    #[test]
    fn a_passage_names_the_mode_that_it_ended_in_and_one_of_before_names_none() {
        let before = records()[2].clone();
        let RecordBody::Passage(passage) = before.body else { unreachable!() };
        let bytes = v1::GateRecord::from(before.clone()).encode_to_vec();
        for mode in GateMode::ALL {
            let body = RecordBody::Passage(Passage { ended_in: Some(mode), ..passage });
            let record = GateRecord { body, ..before.clone() };
            let wire = v1::GateRecord::from(record.clone());
            assert_ne!(wire.encode_to_vec(), bytes, "{mode}");
            assert_eq!(GateRecord::try_from(wire).unwrap(), record);
        }
        let mut unknown = v1::GateRecord::from(before);
        let Some(v1::gate_record::Body::Passage(passage)) = &mut unknown.body else { unreachable!() };
        passage.ended_in = "ajar".into();
        assert!(GateRecord::try_from(unknown).is_err());
    }

    #[test]
    fn a_record_with_a_hole_is_refused_by_the_field() {
        let good = v1::GateRecord::from(records()[0].clone());
        let no_id = v1::GateRecord { id: None, ..good.clone() };
        assert_eq!(GateRecord::try_from(no_id), Err(InvalidMessage::Missing { field: "id" }));
        let no_body = v1::GateRecord { body: None, ..good };
        assert_eq!(GateRecord::try_from(no_body), Err(InvalidMessage::Missing { field: "body" }));
    }
}
