//! Keys about how a rider pays: his charges, debts, credits, and what was shown to pay.

use facegate_domain::Timestamp;
use facegate_domain::charge::{ChargeId, InstrumentId};
use facegate_domain::ids::RiderId;
use facegate_domain::money::Currency;

use super::{Key, join, time};

pub(in crate::store::sled) fn rider_charges(rider: RiderId) -> Key {
    join(b"rider-charge/", &[rider.as_bytes()])
}

pub(in crate::store::sled) fn rider_charge(rider: RiderId, opened_at: Timestamp, id: ChargeId) -> Key {
    join(&rider_charges(rider), &[&time(opened_at), id.as_bytes()])
}

/// What the rider is behind with.
pub(in crate::store::sled) fn debts(rider: RiderId) -> Key {
    join(b"debt/", &[rider.as_bytes()])
}

pub(in crate::store::sled) fn debt(rider: RiderId, id: ChargeId) -> Key {
    join(&debts(rider), &[id.as_bytes()])
}

pub(in crate::store::sled) const CREDIT: &[u8] = b"credit/";

pub(in crate::store::sled) fn credit(rider: RiderId, currency: Currency) -> Key {
    join(CREDIT, &[rider.as_bytes(), currency.as_str().as_bytes()])
}

/// Riders who have paid once.
pub(in crate::store::sled) fn paid(rider: RiderId) -> Key {
    join(b"paid/", &[rider.as_bytes()])
}

/// Instruments that were shown to pay.
pub(in crate::store::sled) fn verified(rider: RiderId, instrument: InstrumentId) -> Key {
    join(b"verified/", &[rider.as_bytes(), instrument.as_bytes()])
}

/// Riders whose instrument is verified when they ride.
pub(in crate::store::sled) fn unverified(rider: RiderId) -> Key {
    join(b"unverified/", &[rider.as_bytes()])
}

/// Of those, the ones who do.
pub(in crate::store::sled) const FIRST_RIDE: &[u8] = b"first-ride/";

pub(in crate::store::sled) fn first_ride(rider: RiderId) -> Key {
    join(FIRST_RIDE, &[rider.as_bytes()])
}

/// Entries whose fare is to be held, by the hold.
pub(in crate::store::sled) const HOLD_WANTED: &[u8] = b"hold-wanted/";

pub(in crate::store::sled) fn hold_wanted(hold: ChargeId) -> Key {
    join(HOLD_WANTED, &[hold.as_bytes()])
}

pub(in crate::store::sled) fn wallet_entries(rider: RiderId) -> Key {
    join(b"wallet-entry/", &[rider.as_bytes()])
}

pub(in crate::store::sled) fn wallet_entry(rider: RiderId, number: u64) -> Key {
    join(&wallet_entries(rider), &[&number.to_be_bytes()])
}
