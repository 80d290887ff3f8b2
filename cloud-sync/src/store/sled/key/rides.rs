//! Keys of settled rides and what they are billed by.

use facegate_domain::Timestamp;
use facegate_domain::billing::ItemId;
use facegate_domain::ids::{RecordId, RiderId};
use facegate_domain::journey::JourneyId;

use super::{Key, join, record_part, time, time_after};

pub(in crate::store::sled) const UNCHARGED: &[u8] = b"uncharged/";
pub(in crate::store::sled) const ENDED: &[u8] = b"ended/";
pub(in crate::store::sled) const HELD: &[u8] = b"held/";
pub(in crate::store::sled) const ELSEWHERE: &[u8] = b"elsewhere/";
/// How often what rides are priced by was changed.
pub(in crate::store::sled) const TARIFF_REVISION: &[u8] = b"tariff-revision";

pub(in crate::store::sled) const AGAIN: &[u8] = b"again/";
pub(in crate::store::sled) const WAIVER: &[u8] = b"waiver/";

pub(in crate::store::sled) fn settled(id: &RecordId) -> Key {
    join(b"settled/", &[&record_part(id)])
}

pub(in crate::store::sled) fn journey(id: JourneyId) -> Key {
    join(b"journey/", &[id.as_bytes()])
}

pub(in crate::store::sled) fn trips(rider: RiderId) -> Key {
    join(b"trip/", &[rider.as_bytes()])
}

pub(in crate::store::sled) fn trip(rider: RiderId, left_at: Timestamp, id: JourneyId) -> Key {
    join(&trips(rider), &[&time(left_at), id.as_bytes()])
}

pub(in crate::store::sled) fn settlements(rider: RiderId) -> Key {
    join(b"settlements/", &[rider.as_bytes()])
}

pub(in crate::store::sled) fn item(id: ItemId) -> Key {
    join(b"item/", &[id.as_bytes()])
}

pub(in crate::store::sled) fn uncharged(bill_at: Timestamp, id: ItemId) -> Key {
    join(UNCHARGED, &[&time(bill_at), id.as_bytes()])
}

pub(in crate::store::sled) fn uncharged_ofs(rider: RiderId) -> Key {
    join(b"uncharged-of/", &[rider.as_bytes()])
}

pub(in crate::store::sled) fn uncharged_of(rider: RiderId, bill_at: Timestamp, id: ItemId) -> Key {
    join(&uncharged_ofs(rider), &[&time(bill_at), id.as_bytes()])
}

/// The time in the key of an item that waits for its charge.
pub(in crate::store::sled) fn time_of_uncharged(key: &[u8]) -> Timestamp {
    time_after(UNCHARGED, key)
}

/// Settled rides by their last taps.
pub(in crate::store::sled) fn ended(at: Timestamp, id: JourneyId) -> Key {
    join(ENDED, &[&time(at), id.as_bytes()])
}

pub(in crate::store::sled) fn time_of_ended(key: &[u8]) -> Timestamp {
    time_after(ENDED, key)
}

pub(in crate::store::sled) fn held(id: JourneyId) -> Key {
    join(HELD, &[id.as_bytes()])
}

pub(in crate::store::sled) fn elsewhere(id: JourneyId) -> Key {
    join(ELSEWHERE, &[id.as_bytes()])
}

pub(in crate::store::sled) fn terms(rider: RiderId) -> Key {
    join(b"terms/", &[rider.as_bytes()])
}

pub(in crate::store::sled) fn again(rider: RiderId) -> Key {
    join(AGAIN, &[rider.as_bytes()])
}

pub(in crate::store::sled) fn waiver(id: uuid::Uuid) -> Key {
    join(WAIVER, &[id.as_bytes()])
}

pub(in crate::store::sled) fn proposed_waiver(id: uuid::Uuid) -> Key {
    join(b"proposed-waiver/", &[id.as_bytes()])
}

/// Waivers that were asked for by when they were: `proposed-waiver-at/` time, id.
pub(in crate::store::sled) const PROPOSED_WAIVER_AT: &[u8] = b"proposed-waiver-at/";

pub(in crate::store::sled) fn proposed_waiver_at(at: Timestamp, id: uuid::Uuid) -> Key {
    join(PROPOSED_WAIVER_AT, &[&time(at), id.as_bytes()])
}

/// Those that wait for a second person: `waiver-awaiting/` time, id.
pub(in crate::store::sled) const WAIVER_AWAITING: &[u8] = b"waiver-awaiting/";

pub(in crate::store::sled) fn waiver_awaiting(at: Timestamp, id: uuid::Uuid) -> Key {
    join(WAIVER_AWAITING, &[&time(at), id.as_bytes()])
}
