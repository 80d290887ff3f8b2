//! Brings the three databases back into step after a crash between two of them. Whatever is removed here belonged to a
//! command that nobody was told had succeeded, or to an erasure that was.

use facegate_domain::ids::{RiderId, TemplateId};

use super::feed::publish;
use super::riders::{ENROLLED, PASSWORD, PROFILE, RIDERS, identity_key};
use super::tx::Tx;
use super::{SledStore, digest, key};
use crate::store::logged::Logged;
use crate::store::{Rider, StoreError};

pub(super) fn reconcile(store: &SledStore) -> Result<(), StoreError> {
    let mut tx = store.read();
    drop_what_core_does_not_know(store, &tx)?;
    for (k, v) in tx.scan(key::RIDER)? {
        let rider: Rider = super::tx::decode(&k, &v)?;
        if rider.erasure.is_none() {
            drop_what_was_never_sealed(store, &mut tx, rider)?;
        }
    }
    digest::keep(store, &mut tx)?;
    tx.apply()
}

fn drop_what_core_does_not_know(store: &SledStore, tx: &Tx<'_>) -> Result<(), StoreError> {
    for face in store.faces.keys()? {
        if !tx.contains(&key::face(TemplateId::from_bytes(key::tail(&face))))? {
            tracing::info!("removing the sealed face of an enrolment that was cut short, or of an erased rider");
            store.faces.remove(&face)?;
        }
    }
    for k in store.identity.keys()? {
        let rider: Option<Rider> = tx.get(&key::rider(RiderId::from_bytes(key::tail(&k))))?;
        let leaving = rider.as_ref().is_some_and(|rider| rider.erasure.is_some());
        let personal = k.starts_with(PROFILE.as_bytes()) || k.starts_with(PASSWORD.as_bytes());
        if rider.is_none() || (leaving && personal) {
            store.identity.remove(&k)?;
        }
    }
    Ok(())
}

fn drop_what_was_never_sealed(store: &SledStore, tx: &mut Tx<'_>, mut rider: Rider) -> Result<(), StoreError> {
    if !store.identity.contains(&identity_key(PROFILE, rider.id))? {
        tracing::warn!(rider = ?rider.id, "removing a rider whose creation was cut short");
        tx.remove(key::rider(rider.id));
        tx.count(RIDERS, -1)?;
        return Ok(());
    }
    let Some(face) = rider.face.take() else { return Ok(()) };
    if !store.faces.contains(face.template.as_bytes())? {
        tracing::warn!(rider = ?rider.id, "removing an enrolment that was cut short");
        tx.remove(key::face(face.template));
        tx.remove(key::feed(face.feed_version));
        tx.put(key::rider(rider.id), &rider);
        tx.count(ENROLLED, -1)?;
        // The log must not end in a hole: stations wait for the version that it ends at.
        publish(tx, &Logged::RiderRemoved { rider: rider.id })?;
    }
    Ok(())
}
