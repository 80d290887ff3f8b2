//! Regulars, and what they are computed from.

use std::time::Duration;

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::habits::Regular;
use facegate_domain::ids::{RecordId, RiderId, StationId};
use facegate_domain::tap::{Direction, Tap};

use super::feed::publish;
use super::intake::{leave, load};
use super::tx::{Tx, decode};
use super::{SledStore, key};
use crate::store::habits::{Entry, root_of};
use crate::store::logged::Logged;
use crate::store::{HabitStore, Purpose, Rider, RiderStore, StoreError};

#[async_trait]
impl HabitStore for SledStore {
    async fn entries_of_enrolled(
        &self,
        since: Timestamp,
        after: Option<RiderId>,
        max: usize,
    ) -> Result<(Vec<(RiderId, Vec<Entry>)>, Option<RiderId>), StoreError> {
        let (page, tx) = (self.riders(after, max).await?, self.read());
        let mut found = Vec::new();
        for rider in page.iter().filter(|rider| counts(rider)) {
            let taps = tx.scan_from(&key::taps(rider.id), &key::taps_from(rider.id, since), usize::MAX)?;
            let mut entries = Vec::new();
            for (k, v) in taps {
                let tap: Tap = decode(&k, &v)?;
                entries.extend((tap.direction == Direction::Entry).then_some((tap.station, tap.at)));
            }
            if !entries.is_empty() {
                found.push((rider.id, entries));
            }
        }
        Ok((found, page.last().map(|rider| rider.id)))
    }

    async fn set_regulars(&self, station: StationId, riders: Vec<Regular>) -> Result<bool, StoreError> {
        self.write(|tx| {
            let mut present = Vec::with_capacity(riders.len());
            for regular in &riders {
                let rider: Option<Rider> = tx.get(&key::rider(regular.rider))?;
                present.extend(rider.as_ref().is_some_and(counts).then_some(*regular));
            }
            let before = of(tx, &station)?;
            if before == present {
                return Ok(false);
            }
            before.iter().for_each(|regular| tx.remove(key::regular_of(regular.rider, &station)));
            present.iter().for_each(|regular| tx.put(key::regular_of(regular.rider, &station), &()));
            if present.is_empty() {
                tx.remove(key::regulars(&station));
            } else {
                tx.put(key::regulars(&station), &present);
            }
            tx.put(key::regulars_root(&station), &root_of(&present));
            publish(tx, &Logged::Regulars { station: station.clone() })?;
            Ok(true)
        })
        .await
    }

    async fn regulars(&self, station: &StationId) -> Result<Vec<Regular>, StoreError> {
        of(&self.read(), station)
    }

    async fn regulars_root(&self, station: &StationId) -> Result<u64, StoreError> {
        let tx = self.read();
        match tx.get(&key::regulars_root(station))? {
            Some(root) => Ok(root),
            // Stored before there were digests over them.
            None => Ok(root_of(&of(&tx, station)?)),
        }
    }

    async fn stations_with_regulars(&self) -> Result<Vec<StationId>, StoreError> {
        let found = self.read().scan(key::REGULARS)?;
        let name = |k: &[u8]| StationId::new(String::from_utf8_lossy(&k[key::REGULARS.len()..])).ok();
        Ok(found.iter().filter_map(|(k, _)| name(k)).collect())
    }

    async fn regulars_computed_at(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read().get(key::REGULARS_AT)
    }

    async fn set_regulars_computed_at(&self, at: Timestamp) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.put(key::REGULARS_AT.to_vec(), &at);
            Ok(())
        })
        .await
    }

    async fn end_long_entries(&self, limit: Duration, max: usize, now: Timestamp) -> Result<usize, StoreError> {
        self.write(|tx| {
            let mut ended = 0;
            for (k, v) in tx.scan(key::INSIDE)? {
                let entry: RecordId = decode(&k, &v)?;
                let entered = load(tx, &entry)?.map(|record| record.stamp.wall);
                if ended < max && entered.is_none_or(|at| now.since(at) > limit) {
                    leave(tx, RiderId::from_bytes(key::id_after(key::INSIDE, &k)), entry)?;
                    ended += 1;
                }
            }
            Ok(ended)
        })
        .await
    }
}

/// Whether a rider's habits may be looked at.
fn counts(rider: &Rider) -> bool {
    rider.face.is_some() && rider.consented_to(Purpose::Recognition)
}

pub(super) fn of(tx: &Tx<'_>, station: &StationId) -> Result<Vec<Regular>, StoreError> {
    Ok(tx.get(&key::regulars(station))?.unwrap_or_default())
}

/// Takes a rider out of every station's; stations do the same by themselves when they hear that he is removed.
pub(super) fn forget(tx: &mut Tx<'_>, rider: RiderId) -> Result<(), StoreError> {
    for (k, _) in tx.scan(&key::regular_ofs(rider))? {
        let regulars = [key::REGULARS, &k[key::regular_ofs(rider).len()..]].concat();
        let mut riders: Vec<Regular> = tx.get(&regulars)?.unwrap_or_default();
        riders.retain(|regular| regular.rider != rider);
        let root = [key::REGULARS_ROOT, &k[key::regular_ofs(rider).len()..]].concat();
        tx.put(root, &root_of(&riders));
        tx.put(regulars, &riders);
        tx.remove(k);
    }
    Ok(())
}
