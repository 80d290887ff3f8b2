//! What charges make of their rider: one who is behind is on the deny list, one who has paid is known to pay.

use facegate_domain::Timestamp;
use facegate_domain::charge::{Charge, ChargeId, Instrument, Instruments, Purpose, State};
use facegate_domain::deny::DenyReason;
use facegate_domain::ids::{RecordId, RiderId};
use facegate_domain::notice::Told;
use facegate_domain::tap::{Direction, Tap};

use super::tx::Tx;
use super::{charges, feed, key, notices};
use crate::store::StoreError;

/// In the transaction of the step itself.
pub(super) fn follow(tx: &mut Tx<'_>, before: &Charge, charge: &Charge, now: Timestamp) -> Result<(), StoreError> {
    if before.state() == charge.state() {
        return Ok(());
    }
    notices::tell_of_charge(tx, before, charge, now)?;
    let (rider, debt) = (charge.rider(), key::debt(charge.rider(), charge.id()));
    match (charge.state(), charge.purpose()) {
        (State::Debt { .. }, _) => {
            tx.put(debt, &());
            deny(tx, rider, DenyReason::Debt, now)?;
        }
        (State::Captured, _) => {
            if !tx.contains(&key::paid(rider))? {
                tx.put(key::paid(rider), &());
            }
            shown_to_pay(tx, charge, now)?;
            if tx.contains(&debt)? {
                notices::tell(tx, rider, now, Told::DebtPaid { amount: charge.amount() })?;
                end_debt(tx, charge, now)?;
            }
        }
        (State::Waived, _) => end_debt(tx, charge, now)?,
        (State::Voided, Purpose::Verification | Purpose::Hold { .. }) => shown_to_pay(tx, charge, now)?,
        (State::Refused { .. }, _) => deny(tx, rider, DenyReason::Instrument, now)?,
        _ => {}
    }
    Ok(())
}

fn end_debt(tx: &mut Tx<'_>, charge: &Charge, now: Timestamp) -> Result<(), StoreError> {
    tx.remove(key::debt(charge.rider(), charge.id()));
    if debts(tx, charge.rider())?.is_empty() {
        admit(tx, charge.rider(), DenyReason::Debt, now)?;
    }
    Ok(())
}

fn deny(tx: &mut Tx<'_>, rider: RiderId, reason: DenyReason, now: Timestamp) -> Result<(), StoreError> {
    if feed::deny(tx, rider, reason, true)? {
        notices::tell(tx, rider, now, Told::Denied)?;
    }
    Ok(())
}

fn admit(tx: &mut Tx<'_>, rider: RiderId, reason: DenyReason, now: Timestamp) -> Result<(), StoreError> {
    if feed::deny(tx, rider, reason, false)? && feed::reasons(tx, rider)?.is_empty() {
        notices::tell(tx, rider, now, Told::Admitted)?;
    }
    Ok(())
}

fn shown_to_pay(tx: &mut Tx<'_>, charge: &Charge, now: Timestamp) -> Result<(), StoreError> {
    let rider = charge.rider();
    if !tx.contains(&key::verified(rider, charge.instrument().id()))? {
        tx.put(key::verified(rider, charge.instrument().id()), &());
    }
    tx.remove(key::unverified(rider));
    admit(tx, rider, DenyReason::Instrument, now)
}

pub(super) fn debts(tx: &Tx<'_>, rider: RiderId) -> Result<Vec<Charge>, StoreError> {
    let found = tx.scan(&key::debts(rider))?;
    found.iter().map(|(k, _)| charges::stored(tx, ChargeId::from_bytes(key::tail(k)))).collect()
}

/// The rider pays otherwise from now on: what was never shown to pay is verified when he rides, or at once if he may not.
pub(super) fn pays_otherwise(tx: &mut Tx<'_>, rider: RiderId, instruments: &Instruments) -> Result<(), StoreError> {
    let first = instruments.iter().find(|bound| bound.instrument != Instrument::Wallet);
    let verified = match first {
        Some(first) => tx.contains(&key::verified(rider, first.id()))?,
        None => true,
    };
    if verified {
        tx.remove(key::unverified(rider));
    } else {
        tx.put(key::unverified(rider), &());
    }
    if feed::reasons(tx, rider)?.contains(&DenyReason::Instrument) {
        match (verified, tx.last(&key::taps(rider))?) {
            (false, Some((k, v))) => begin_verification(tx, rider, &super::tx::decode::<Tap>(&k, &v)?.id),
            _ => _ = feed::deny(tx, rider, DenyReason::Instrument, false)?,
        }
    }
    Ok(())
}

/// A rider has come in: an instrument that was never shown to pay is verified, and the fare held if rides are prepaid.
pub(super) fn rides(tx: &mut Tx<'_>, tap: &Tap) -> Result<(), StoreError> {
    if tap.direction != Direction::Entry {
        return Ok(());
    }
    if tx.contains(&key::unverified(tap.rider))? {
        begin_verification(tx, tap.rider, &tap.id);
    }
    if tx.wants_holds {
        tx.put(key::hold_wanted(ChargeId::of_hold(&tap.id)), tap);
    }
    Ok(())
}

fn begin_verification(tx: &mut Tx<'_>, rider: RiderId, entry: &RecordId) {
    tx.remove(key::unverified(rider));
    tx.put(key::first_ride(rider), entry);
}
