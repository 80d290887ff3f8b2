//! Notices to riders, and how far each rider's are delivered.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::charge::Charge;
use facegate_domain::ids::RiderId;
use facegate_domain::notice::{Notice, NoticeQueue, NoticeRest, Told};

use super::tx::{Tx, damaged};
use super::{SledStore, key};
use crate::store::{NoticeStore, StoreError};

/// Writes the rider's next notice, in the transaction of what it tells. Nothing is written for a rider who was erased,
/// nor while nobody delivers notices.
pub(super) fn tell(tx: &mut Tx<'_>, rider: RiderId, at: Timestamp, told: Told) -> Result<(), StoreError> {
    if !tx.keeps_notices {
        return Ok(());
    }
    let before = queue(tx, rider)?;
    let Some(after) = before.with_another(at) else { return Ok(()) };
    tx.put(key::notice(rider, after.written), &Notice { rider, number: after.written, at, told });
    keep(tx, rider, before, after);
    Ok(())
}

/// Tells the rider what the charge has just come to, if he is to know.
pub(super) fn tell_of_charge(
    tx: &mut Tx<'_>,
    before: &Charge,
    after: &Charge,
    now: Timestamp,
) -> Result<(), StoreError> {
    match Told::of_charge(after.id(), after.amount(), after.state()) {
        Some(told) if before.state() != after.state() => tell(tx, after.rider(), now, told),
        _ => Ok(()),
    }
}

/// The rider was erased: what waits goes with him, and nothing more is told.
pub(super) fn close(tx: &mut Tx<'_>, rider: RiderId) -> Result<(), StoreError> {
    let before = queue(tx, rider)?;
    for (k, _) in tx.scan(&key::notices_of(rider))? {
        tx.remove(k);
    }
    keep(tx, rider, before, before.closed());
    Ok(())
}

fn queue(tx: &Tx<'_>, rider: RiderId) -> Result<NoticeQueue, StoreError> {
    Ok(tx.get(&key::notices(rider))?.unwrap_or_default())
}

fn keep(tx: &mut Tx<'_>, rider: RiderId, before: NoticeQueue, after: NoticeQueue) {
    if before.waiting().is_some() {
        tx.remove(key::notice_due(before.due, rider));
    }
    if after.waiting().is_some() {
        tx.put(key::notice_due(after.due, rider), &());
    }
    tx.put(key::notices(rider), &after);
}

/// The notice that is to be delivered next.
fn waiting(tx: &Tx<'_>, rider: RiderId, queue: &NoticeQueue) -> Result<Option<Notice>, StoreError> {
    let Some(number) = queue.waiting() else { return Ok(None) };
    let key = key::notice(rider, number);
    tx.get(&key)?.map(Some).ok_or_else(|| damaged(&key, "gone"))
}

#[async_trait]
impl NoticeStore for SledStore {
    fn keep_notices(&self, whether: bool) {
        self.keeps_notices.store(whether, Ordering::Relaxed);
    }

    async fn tell_rider(&self, rider: RiderId, at: Timestamp, told: Told) -> Result<(), StoreError> {
        self.write(|tx| tell(tx, rider, at, told)).await
    }

    async fn due_notices(&self, now: Timestamp, max: usize) -> Result<Vec<Notice>, StoreError> {
        // A command between two reads could take a notice away that its queue still names.
        let _alone = self.writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let tx = self.read();
        let mut due = Vec::new();
        for (k, _) in tx.scan_from(key::NOTICE_DUE, key::NOTICE_DUE, max)? {
            let rider = RiderId::from_bytes(key::tail(&k));
            let queue = queue(&tx, rider)?;
            if queue.due > now {
                break;
            }
            due.extend(waiting(&tx, rider, &queue)?);
        }
        Ok(due)
    }

    async fn notice_delivered(
        &self,
        rider: RiderId,
        number: u64,
        now: Timestamp,
    ) -> Result<Option<Notice>, StoreError> {
        self.write(|tx| {
            let before = queue(tx, rider)?;
            let Some(after) = before.after_delivery(number, now) else { return Ok(None) };
            tx.remove(key::notice(rider, number));
            keep(tx, rider, before, after);
            waiting(tx, rider, &after)
        })
        .await
    }

    async fn notice_failed(
        &self,
        rider: RiderId,
        number: u64,
        now: Timestamp,
        rest: &NoticeRest,
    ) -> Result<(), StoreError> {
        self.write(|tx| {
            let before = queue(tx, rider)?;
            if let Some(after) = before.after_trouble(number, now, rest) {
                keep(tx, rider, before, after);
            }
            Ok(())
        })
        .await
    }

    async fn notices_of(&self, rider: RiderId) -> Result<NoticeQueue, StoreError> {
        queue(&self.read(), rider)
    }
}
