//! Synthetic faces: random unit vectors, which are as far apart as real strangers' are.

use facegate_domain::face::{Embedding, Template};
use facegate_domain::ids::{GateId, ModelId, RecordId, RiderId, StationId, TemplateId};
use facegate_domain::policy::Refusal;
use facegate_domain::tap::{
    Authorisation, Direction, Evidence, GateRecord, GateStamp, Passage, PassageOutcome, RecordBody,
};
use facegate_proto::convert::station::probe_to_wire;
use facegate_proto::v1;
use rand::Rng;

use crate::world::NOW;

pub fn model() -> ModelId {
    ModelId::new("sface-2021dec").unwrap()
}

pub fn face() -> Embedding {
    face_of(&model(), 128)
}

pub fn face_of(model: &ModelId, dims: usize) -> Embedding {
    let mut rng = rand::rng();
    Embedding::normalise(model.clone(), (0..dims).map(|_| rng.random_range(-1.0..1.0)).collect()).unwrap()
}

/// Another look at the same face, at a cosine of about .8.
pub fn look(of: &Embedding) -> Embedding {
    let other = face_of(of.model(), of.values().len());
    let mix = of.values().iter().zip(other.values()).map(|(a, b)| a + 0.7 * b).collect();
    Embedding::normalise(of.model().clone(), mix).unwrap()
}

/// A face at this cosine to another.
pub fn like(of: &Embedding, cosine: f32) -> Embedding {
    let other = face_of(of.model(), of.dims());
    let along: f32 = of.values().iter().zip(other.values()).map(|(a, b)| a * b).sum();
    let side: Vec<f32> = other.values().iter().zip(of.values()).map(|(o, f)| o - along * f).collect();
    let length = side.iter().map(|value| value * value).sum::<f32>().sqrt();
    let sideways = (1.0 - cosine * cosine).sqrt() / length;
    let values = of.values().iter().zip(&side).map(|(f, s)| cosine * f + sideways * s).collect();
    Embedding::normalise(of.model().clone(), values).unwrap()
}

pub fn template(rider: RiderId, embedding: &Embedding) -> Template {
    Template { id: TemplateId::random(), rider, embedding: embedding.clone(), photographs: 1 }
}

pub fn probe(embedding: &Embedding, direction: v1::Direction) -> v1::IdentifyRequest {
    let probe = Some(probe_to_wire(embedding, 3));
    v1::IdentifyRequest { probe, direction: direction.into(), refusal_level: Refusal::LEVEL }
}

pub fn record_id(gate: &str, epoch: u32, sequence: u64) -> RecordId {
    RecordId { gate: GateId::new(gate).unwrap(), epoch, sequence }
}

fn record(gate: &str, epoch: u32, sequence: u64, body: RecordBody) -> v1::GateRecord {
    let stamp = GateStamp { wall: NOW, monotonic_ms: sequence };
    let station = StationId::new("north").unwrap();
    GateRecord { id: record_id(gate, epoch, sequence), station, stamp, body }.into()
}

/// Someone came in with a code.
pub fn authorised(gate: &str, epoch: u32, sequence: u64, nonce: [u8; 8]) -> v1::GateRecord {
    let evidence = Evidence::Code { nonce, checked_online: false, face: None };
    let body = Authorisation::new(RiderId::random(), Direction::Entry, evidence);
    record(gate, epoch, sequence, RecordBody::Authorisation(body))
}

/// He passed; the content depends on nothing but the arguments.
pub fn passed(gate: &str, epoch: u32, sequence: u64) -> v1::GateRecord {
    let body = Passage::new(sequence.saturating_sub(1), PassageOutcome::Passed);
    record(gate, epoch, sequence, RecordBody::Passage(body))
}

pub fn sequences(records: &[v1::GateRecord]) -> Vec<u64> {
    records.iter().map(|record| record.id.as_ref().unwrap().sequence).collect()
}
