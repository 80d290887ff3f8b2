//! Forgetting a rider: the feed's mention of the face goes in the same batch that tells stations to forget it.

use std::collections::BTreeSet;

use facegate_domain::Timestamp;
use facegate_domain::ids::{RiderId, StationId, TemplateId};

use super::feed::publish;
use super::intake::INSIDE;
use super::riders::{ACCOUNT, ENROLLED, RIDERS, identity_key};
use super::sealed::Sealed;
use super::tx::{Tx, damaged, decode};
use super::{journeys, key};
use crate::store::logged::Logged;
use crate::store::{ErasureId, ErasureReceipt, Rider, StationView, StoreError};

/// The receipt, and the template whose sealed values must go now.
pub(super) fn erase(
    tx: &mut Tx<'_>,
    id: RiderId,
    now: Timestamp,
) -> Result<(ErasureReceipt, Option<TemplateId>), StoreError> {
    let rider: Rider = tx.get(&key::rider(id))?.ok_or(StoreError::UnknownRider(id))?;
    if let Some(erasure) = rider.erasure {
        let receipt = tx.get(&key::erasure(erasure))?;
        return receipt.map(|receipt| (receipt, None)).ok_or_else(|| damaged(&key::erasure(erasure), "gone"));
    }
    if let Some(face) = &rider.face {
        tx.remove(key::feed(face.feed_version));
        tx.remove(key::face(face.template));
        tx.count(ENROLLED, -1)?;
    }
    // The ride may be under way, and the pages and hints of stations must not show it any more.
    if tx.contains(&key::inside(id))? {
        tx.remove(key::inside(id));
        tx.count(INSIDE, -1)?;
    }
    // The deny list is kept, as stations keep it: an open debt outlives the face.
    let feed_version = publish(tx, &Logged::RiderRemoved { rider: id })?;
    let outstanding: BTreeSet<StationId> = stations(tx)?.into_iter().collect();
    let receipt = ErasureReceipt { id: ErasureId::random(), rider: id, requested_at: now, feed_version, outstanding };
    tx.put(key::erasure(receipt.id), &receipt);
    if !receipt.is_final() {
        tx.put(key::erasing(receipt.id), &receipt.id);
    }
    let remains = Rider { consents: Vec::new(), face: None, erasure: Some(receipt.id), ..rider.clone() };
    tx.put(key::rider(id), &remains);
    tx.put(key::leaving(id), &());
    tx.count(RIDERS, -1)?;
    Ok((receipt, rider.face.map(|face| face.template)))
}

/// Removes the account of an erased rider once no tap waits for its journey and no journey for its charge. A charge that
/// is under way carries what it needs itself.
pub(super) fn forget_account_if_settled(tx: &mut Tx<'_>, identity: &Sealed, rider: RiderId) -> Result<(), StoreError> {
    let waits = !tx.scan_from(&key::opens(rider), &key::opens(rider), 1)?.is_empty();
    if waits || journeys::has_uncharged(tx, rider)? {
        return Ok(());
    }
    tx.remove(key::leaving(rider));
    identity.remove(&identity_key(ACCOUNT, rider))
}

/// A station has applied the feed up to `version`: it has forgotten whoever was removed up to there.
pub(super) fn confirm(tx: &mut Tx<'_>, station: &StationId, version: u64) -> Result<(), StoreError> {
    for (k, v) in tx.scan(key::ERASING)? {
        let id: ErasureId = decode(&k, &v)?;
        let mut receipt: ErasureReceipt = tx.get(&key::erasure(id))?.ok_or_else(|| damaged(&k, "gone"))?;
        if receipt.feed_version <= version && receipt.outstanding.remove(station) {
            tx.put(key::erasure(id), &receipt);
            if receipt.is_final() {
                tx.remove(k);
            }
        }
    }
    Ok(())
}

fn stations(tx: &Tx<'_>) -> Result<Vec<StationId>, StoreError> {
    Ok(tx.scan_as::<StationView>(key::STATION)?.into_iter().map(|view| view.station).collect())
}
