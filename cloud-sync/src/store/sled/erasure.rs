//! Forgetting a rider: the feed's mention of the face goes in the same batch that tells stations to forget it.

use std::collections::BTreeSet;

use facegate_domain::Timestamp;
use facegate_domain::ids::{RiderId, StationId, TemplateId};

use super::feed::publish;
use super::intake::INSIDE;
use super::riders::{ACCOUNT, ENROLLED, RIDERS, identity_key, living};
use super::sealed::Sealed;
use super::tx::{Tx, damaged, decode};
use super::{habits, journeys, key, notices};
use crate::store::logged::Logged;
use crate::store::{Consent, ErasureId, ErasureReceipt, ErasureScope, Purpose, Rider, StationView, StoreError};

/// The receipt, and the template whose sealed values must go now.
pub(super) fn erase(
    tx: &mut Tx<'_>,
    erasure: ErasureId,
    id: RiderId,
    now: Timestamp,
) -> Result<(ErasureReceipt, Option<TemplateId>), StoreError> {
    let rider: Rider = tx.get(&key::rider(id))?.ok_or(StoreError::UnknownRider(id))?;
    if let Some(erasure) = rider.erasure {
        let receipt = tx.get(&key::erasure(erasure))?;
        return receipt.map(|receipt| (receipt, None)).ok_or_else(|| damaged(&key::erasure(erasure), "gone"));
    }
    notices::close(tx, id)?;
    tx.remove(key::capped(id));
    let receipt = forget_face(tx, &rider, erasure, ErasureScope::Rider, now)?;
    let remains =
        Rider { consents: Vec::new(), face: None, erasure: Some(receipt.id), withdrawal: None, ..rider.clone() };
    tx.put(key::rider(id), &remains);
    tx.put(key::leaving(id), &());
    tx.count(RIDERS, -1)?;
    Ok((receipt, rider.face.map(|face| face.template)))
}

/// The same of the face alone.
pub(super) fn withdraw(
    tx: &mut Tx<'_>,
    erasure: ErasureId,
    id: RiderId,
    consents_until: Timestamp,
    now: Timestamp,
) -> Result<(ErasureReceipt, Option<TemplateId>), StoreError> {
    if let Some(receipt) = tx.get(&key::erasure(erasure))? {
        return Ok((receipt, None));
    }
    let rider = living(tx, id)?;
    let receipt = forget_face(tx, &rider, erasure, ErasureScope::Face, now)?;
    let face = rider.face.as_ref().map(|face| face.template);
    let withdrawn = |c: &Consent| c.purpose == Purpose::Recognition && c.given_at <= consents_until;
    let consents = rider.consents.iter().filter(|consent| !withdrawn(consent)).cloned().collect();
    tx.put(key::rider(id), &Rider { consents, face: None, withdrawal: Some(receipt.id), ..rider });
    Ok((receipt, face))
}

/// Takes the face, what the feed says of it, and every membership of a tier; tells stations in the same batch.
fn forget_face(
    tx: &mut Tx<'_>,
    rider: &Rider,
    erasure: ErasureId,
    scope: ErasureScope,
    now: Timestamp,
) -> Result<ErasureReceipt, StoreError> {
    if let Some(face) = &rider.face {
        tx.remove(key::feed(face.feed_version));
        tx.remove(key::face(face.template));
        tx.count(ENROLLED, -1)?;
    }
    // The ride may be under way, and the pages and hints of stations must not show it any more.
    if tx.contains(&key::inside(rider.id))? {
        tx.remove(key::inside(rider.id));
        tx.count(INSIDE, -1)?;
    }
    habits::forget(tx, rider.id)?;
    // The deny list is kept, as stations keep it: an open debt outlives the face.
    let feed_version = publish(tx, &Logged::RiderRemoved { rider: rider.id })?;
    let outstanding = stations(tx, now)?;
    let receipt = ErasureReceipt {
        id: erasure,
        rider: rider.id,
        scope,
        templates: rider.face.iter().map(|face| face.template).collect(),
        requested_at: now,
        feed_version,
        outstanding,
    };
    tx.put(key::erasure(receipt.id), &receipt);
    if !receipt.is_final() {
        tx.put(key::erasing(receipt.id), &receipt.id);
    }
    Ok(receipt)
}

/// Removes the account of a rider who was erased before that moment, once no tap waits for its ride and no item for its
/// charge. A charge that is under way carries what it needs itself. Gives whether it is gone.
pub(super) fn forget_account(
    tx: &mut Tx<'_>,
    identity: &Sealed,
    rider: RiderId,
    erased_before: Timestamp,
) -> Result<bool, StoreError> {
    let erasure = tx.get::<Rider>(&key::rider(rider))?.and_then(|rider| rider.erasure);
    let receipt = erasure.map(|erasure| tx.get::<ErasureReceipt>(&key::erasure(erasure))).transpose()?.flatten();
    let recent = receipt.is_some_and(|receipt| receipt.requested_at >= erased_before);
    let waits = !tx.scan_from(&key::opens(rider), &key::opens(rider), 1)?.is_empty();
    if recent || waits || journeys::has_uncharged(tx, rider)? {
        return Ok(false);
    }
    tx.remove(key::leaving(rider));
    tx.remove(key::terms(rider));
    identity.remove(&identity_key(ACCOUNT, rider))?;
    Ok(true)
}

/// A station has applied the feed up to `version`: it has forgotten whoever was removed up to there.
pub(super) fn confirm(tx: &mut Tx<'_>, station: &StationId, version: u64) -> Result<(), StoreError> {
    take_out(tx, |receipt| receipt.feed_version <= version && receipt.outstanding.remove(station)).map(drop)
}

/// Stations that know no face any more, nor ever will, keep no receipt open. Gives how many are final by that.
pub(super) fn release(tx: &mut Tx<'_>, now: Timestamp) -> Result<usize, StoreError> {
    let views = tx.scan_as::<StationView>(key::STATION)?;
    let over: BTreeSet<_> = views.into_iter().filter(|v| v.lease.is_over(now)).map(|view| view.station).collect();
    if over.is_empty() {
        return Ok(0);
    }
    take_out(tx, |receipt| {
        let before = receipt.outstanding.len();
        receipt.outstanding.retain(|station| !over.contains(station));
        receipt.outstanding.len() < before
    })
}

/// Stores the open receipts that `change` says it changed; gives how many are final by that.
fn take_out(tx: &mut Tx<'_>, mut change: impl FnMut(&mut ErasureReceipt) -> bool) -> Result<usize, StoreError> {
    let mut finished = 0;
    for (k, v) in tx.scan(key::ERASING)? {
        let id: ErasureId = decode(&k, &v)?;
        let mut receipt: ErasureReceipt = tx.get(&key::erasure(id))?.ok_or_else(|| damaged(&k, "gone"))?;
        if change(&mut receipt) {
            tx.put(key::erasure(id), &receipt);
            if receipt.is_final() {
                tx.remove(k);
                finished += 1;
            }
        }
    }
    Ok(finished)
}

/// Those that may know faces.
fn stations(tx: &Tx<'_>, now: Timestamp) -> Result<BTreeSet<StationId>, StoreError> {
    let views = tx.scan_as::<StationView>(key::STATION)?;
    Ok(views.into_iter().filter(|view| !view.lease.is_over(now)).map(|view| view.station).collect())
}
