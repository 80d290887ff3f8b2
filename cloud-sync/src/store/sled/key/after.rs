//! Keys of what comes after a charge: notices, money given back, disputes.

use facegate_domain::Timestamp;
use facegate_domain::charge::ChargeId;
use facegate_domain::dispute::DisputeId;
use facegate_domain::ids::{GateId, RecordId, RiderId, StationId};
use facegate_domain::remedy::RemedyId;
use facegate_domain::reserve::FundingId;

use super::{Key, join, record_part, time, time_after};

/// How far a rider's notices are.
pub(in crate::store::sled) fn notices(rider: RiderId) -> Key {
    join(b"notices/", &[rider.as_bytes()])
}

/// All notices of a rider that wait.
pub(in crate::store::sled) fn notices_of(rider: RiderId) -> Key {
    join(b"notice/", &[rider.as_bytes()])
}

pub(in crate::store::sled) fn notice(rider: RiderId, number: u64) -> Key {
    join(&notices_of(rider), &[&number.to_be_bytes()])
}

/// Riders with notices that wait, by the time of the next try: `notice-due/` time, rider.
pub(in crate::store::sled) const NOTICE_DUE: &[u8] = b"notice-due/";

pub(in crate::store::sled) fn notice_due(at: Timestamp, rider: RiderId) -> Key {
    join(NOTICE_DUE, &[&time(at), rider.as_bytes()])
}

pub(in crate::store::sled) fn remedy(id: RemedyId) -> Key {
    join(b"remedy/", &[id.as_bytes()])
}

pub(in crate::store::sled) fn remedies_of_charge(charge: ChargeId) -> Key {
    join(b"remedy-charge/", &[charge.as_bytes()])
}

pub(in crate::store::sled) fn remedy_of_charge(charge: ChargeId, id: RemedyId) -> Key {
    join(&remedies_of_charge(charge), &[id.as_bytes()])
}

pub(in crate::store::sled) fn remedies_of_rider(rider: RiderId) -> Key {
    join(b"remedy-rider/", &[rider.as_bytes()])
}

pub(in crate::store::sled) fn remedy_of_rider(rider: RiderId, at: Timestamp, id: RemedyId) -> Key {
    join(&remedies_of_rider(rider), &[&time(at), id.as_bytes()])
}

/// Remedies under way by the time of their next look: `remedy-due/` time, id.
pub(in crate::store::sled) const REMEDY_DUE: &[u8] = b"remedy-due/";

pub(in crate::store::sled) fn remedy_due(at: Timestamp, id: RemedyId) -> Key {
    join(REMEDY_DUE, &[&time(at), id.as_bytes()])
}

/// Money that went back through an acquirer, by the moment at which it was booked: `refunded/` time, id.
pub(in crate::store::sled) const REFUNDED: &[u8] = b"refunded/";

pub(in crate::store::sled) fn refunded_from(at: Timestamp) -> Key {
    join(REFUNDED, &[&time(at)])
}

pub(in crate::store::sled) fn time_of_refunded(key: &[u8]) -> Timestamp {
    time_after(REFUNDED, key)
}

pub(in crate::store::sled) fn refunded(at: Timestamp, id: RemedyId) -> Key {
    join(&refunded_from(at), &[id.as_bytes()])
}

/// A tap that is to be looked at for risk.
pub(in crate::store::sled) fn look(tap: &RecordId) -> Key {
    join(b"look/", &[&record_part(tap)])
}

/// Those by when: `look-due/` time, record.
pub(in crate::store::sled) const LOOK_DUE: &[u8] = b"look-due/";

pub(in crate::store::sled) fn look_due(at: Timestamp, tap: &RecordId) -> Key {
    join(LOOK_DUE, &[&time(at), &record_part(tap)])
}

pub(in crate::store::sled) fn funding(id: FundingId) -> Key {
    join(b"funding/", &[id.as_bytes()])
}

/// Fundings of the reserve by when they were asked for: `funding-at/` time, id.
pub(in crate::store::sled) const FUNDING_AT: &[u8] = b"funding-at/";

pub(in crate::store::sled) fn funding_at(at: Timestamp, id: FundingId) -> Key {
    join(FUNDING_AT, &[&time(at), id.as_bytes()])
}

/// Remedies that wait for a second person: `remedy-asked/` time, id.
pub(in crate::store::sled) const REMEDY_ASKED: &[u8] = b"remedy-asked/";

pub(in crate::store::sled) fn remedy_asked(at: Timestamp, id: RemedyId) -> Key {
    join(REMEDY_ASKED, &[&time(at), id.as_bytes()])
}

pub(in crate::store::sled) fn dispute(id: DisputeId) -> Key {
    join(b"dispute/", &[id.as_bytes()])
}

pub(in crate::store::sled) fn disputes_of_charge(charge: ChargeId) -> Key {
    join(b"dispute-charge/", &[charge.as_bytes()])
}

pub(in crate::store::sled) fn dispute_of_charge(charge: ChargeId, id: DisputeId) -> Key {
    join(&disputes_of_charge(charge), &[id.as_bytes()])
}

pub(in crate::store::sled) fn disputes_of_rider(rider: RiderId) -> Key {
    join(b"dispute-rider/", &[rider.as_bytes()])
}

pub(in crate::store::sled) fn dispute_of_rider(rider: RiderId, at: Timestamp, id: DisputeId) -> Key {
    join(&disputes_of_rider(rider), &[&time(at), id.as_bytes()])
}

/// Disputes that are open: `dispute-open/` time, id.
pub(in crate::store::sled) const DISPUTE_OPEN: &[u8] = b"dispute-open/";

pub(in crate::store::sled) fn dispute_open(at: Timestamp, id: DisputeId) -> Key {
    join(DISPUTE_OPEN, &[&time(at), id.as_bytes()])
}

/// Decisions about risk: `risk/` record.
pub(in crate::store::sled) fn risk(tap: &RecordId) -> Key {
    join(b"risk/", &[&record_part(tap)])
}

/// The same by time: `risk-at/` time, record.
pub(in crate::store::sled) const RISK_AT: &[u8] = b"risk-at/";

pub(in crate::store::sled) fn risk_at(at: Timestamp, tap: &RecordId) -> Key {
    join(RISK_AT, &[&time(at), &record_part(tap)])
}

/// Attacks that gates of a station have refused lately: `attacks/` station 0 gate.
pub(in crate::store::sled) fn attacks_at(station: &StationId) -> Key {
    join(b"attacks/", &[station.as_str().as_bytes(), b"\0"])
}

pub(in crate::store::sled) fn gate_attacks(station: &StationId, gate: &GateId) -> Key {
    join(&attacks_at(station), &[gate.as_str().as_bytes()])
}

/// Until when a rider's face alone opens no entry.
pub(in crate::store::sled) const CAPPED: &[u8] = b"capped/";

pub(in crate::store::sled) fn capped(rider: RiderId) -> Key {
    join(CAPPED, &[rider.as_bytes()])
}
