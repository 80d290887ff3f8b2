//! What gates write down, for the tests.

use facegate_domain::Timestamp;
use facegate_domain::ids::{GateId, RecordId, RiderId, StationId};
use facegate_domain::score::{Similarity, Tier};
use facegate_domain::tap::{
    Authorisation, Direction, Evidence, GateRecord, GateStamp, Passage, PassageOutcome, RecordBody,
};

/// The journal of one gate.
#[derive(Debug, Clone)]
pub struct Gate {
    pub station: StationId,
    pub gate: GateId,
    pub direction: Direction,
    pub next: u64,
}

impl Gate {
    pub fn new(station: &str, gate: &str, direction: Direction) -> Self {
        Self { station: StationId::new(station).unwrap(), gate: GateId::new(gate).unwrap(), direction, next: 0 }
    }

    pub fn entry(station: &str) -> Self {
        Self::new(station, &format!("{station}-in"), Direction::Entry)
    }

    pub fn exit(station: &str) -> Self {
        Self::new(station, &format!("{station}-out"), Direction::Exit)
    }

    pub fn write(&mut self, at: Timestamp, body: RecordBody) -> GateRecord {
        let sequence = self.next;
        self.next += 1;
        GateRecord {
            id: RecordId { gate: self.gate.clone(), epoch: 1, sequence },
            station: self.station.clone(),
            stamp: GateStamp { wall: at, monotonic_ms: sequence },
            body,
        }
    }

    pub fn authorise(&mut self, rider: RiderId, at: Timestamp, evidence: Evidence) -> GateRecord {
        let direction = self.direction;
        self.write(at, RecordBody::Authorisation(Authorisation::new(rider, direction, evidence)))
    }

    /// An authorisation and what became of it.
    pub fn pass(
        &mut self,
        rider: RiderId,
        at: Timestamp,
        evidence: Evidence,
        outcome: PassageOutcome,
    ) -> [GateRecord; 2] {
        let granted = self.authorise(rider, at, evidence);
        let seen = self.write(at, RecordBody::Passage(Passage::new(granted.id.sequence, outcome)));
        [granted, seen]
    }
}

pub fn face() -> Evidence {
    Evidence::Face { similarity: Similarity::from_cosine(0.8), tier: Tier::City, risk: 1e-8, frames: 3 }
}

pub fn ride_code(nonce: u8) -> Evidence {
    Evidence::Code { nonce: [nonce; 8], checked_online: true, face: None }
}
