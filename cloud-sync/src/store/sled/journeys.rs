//! Settled rides and their items.

use std::collections::BTreeMap;

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::billing::{Item, ItemId};
use facegate_domain::charge::ChargeId;
use facegate_domain::ids::{RecordId, RiderId};
use facegate_domain::journey::{JourneyId, Ridden};
use facegate_domain::tap::Tap;
use serde::{Deserialize, Serialize};

use super::tx::{Tx, damaged};
use super::{SledStore, books, intake, key, notices, terms};
use crate::store::{BilledItem, JourneyStore, PricedRide, Settlement, Span, StoreError, Trip};

pub(super) const JOURNEYS: &str = "journeys";
/// More rides than anybody makes within a span that the books look at.
const RIDES_MAX: usize = 10_000;

/// An item and the charge that it is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptItem {
    pub item: Item,
    pub charge: Option<ChargeId>,
}

/// Puts the item into a charge, in the transaction that opens it.
///
/// Errors: `ItemCharged` if it is in another, `UnknownItem`.
pub(super) fn mark_charged(tx: &mut Tx<'_>, id: ItemId, charge: ChargeId) -> Result<(), StoreError> {
    let mut kept: KeptItem = tx.get(&key::item(id))?.ok_or(StoreError::UnknownItem(id))?;
    match kept.charge {
        Some(other) if other != charge => Err(StoreError::ItemCharged { item: id, charge: other }),
        _ => {
            tx.remove(key::uncharged(kept.item.bill_at(), id));
            tx.remove(key::uncharged_of(kept.item.rider(), kept.item.bill_at(), id));
            kept.charge = Some(charge);
            tx.put(key::item(id), &kept);
            Ok(())
        }
    }
}

/// Whether an item of the rider waits for its charge.
pub(super) fn has_uncharged(tx: &Tx<'_>, rider: RiderId) -> Result<bool, StoreError> {
    let waiting = key::uncharged_ofs(rider);
    Ok(!tx.scan_from(&waiting, &waiting, 1)?.is_empty())
}

/// Keeps an item that is in no charge.
///
/// Errors: `SettledMeanwhile` if it is there already, since what made it did not know.
pub(super) fn keep_item(tx: &mut Tx<'_>, item: &Item) -> Result<(), StoreError> {
    if tx.contains(&key::item(item.id()))? {
        return Err(StoreError::SettledMeanwhile(item.rider()));
    }
    tx.put(key::item(item.id()), &KeptItem { item: item.clone(), charge: None });
    tx.put(key::uncharged(item.bill_at(), item.id()), &());
    tx.put(key::uncharged_of(item.rider(), item.bill_at(), item.id()), &());
    Ok(())
}

/// The rides that ended within `span`.
pub(super) fn rides_within(tx: &Tx<'_>, rider: RiderId, span: Span) -> Result<Vec<PricedRide>, StoreError> {
    let nobody = JourneyId::from_bytes([0; 16]);
    let (from, to) = (key::trip(rider, span.from, nobody), key::trip(rider, span.to, nobody));
    let trips = tx.scan_from(&key::trips(rider), &from, RIDES_MAX)?;
    let within = trips.into_iter().map(|(k, _)| k).take_while(|k| *k < to);
    let ids = within.map(|k| JourneyId::from_bytes(key::tail(&k)));
    ids.map(|id| tx.get(&key::journey(id))?.ok_or_else(|| damaged(&key::journey(id), "gone"))).collect()
}

fn rides_since(tx: &Tx<'_>, rider: RiderId, since: Timestamp) -> Result<Vec<PricedRide>, StoreError> {
    let from = key::trip(rider, since, JourneyId::from_bytes([0; 16]));
    let trips = tx.scan_from(&key::trips(rider), &from, usize::MAX)?;
    let ids = trips.into_iter().map(|(k, _)| JourneyId::from_bytes(key::tail(&k)));
    ids.map(|id| tx.get(&key::journey(id))?.ok_or_else(|| damaged(&key::journey(id), "gone"))).collect()
}

/// The items that these keys end with, those alone that are in no charge: one that was charged between two reads does
/// not wait any more.
fn uncharged(tx: &Tx<'_>, keys: &[(Vec<u8>, Vec<u8>)]) -> Result<Vec<Item>, StoreError> {
    let kept = keys.iter().map(|(k, _)| tx.get::<KeptItem>(&key::item(ItemId::from_bytes(key::tail(k)))));
    kept.filter_map(|kept| kept.map(|kept| kept.filter(|kept| kept.charge.is_none())).transpose())
        .map(|kept| kept.map(|kept| kept.item))
        .collect()
}

fn use_up(tx: &mut Tx<'_>, tap: &Tap, ride: Option<JourneyId>) -> Result<(), StoreError> {
    if tx.contains(&key::settled(&tap.id))? {
        return Err(StoreError::TapSettled(tap.id.clone()));
    }
    tx.put(key::settled(&tap.id), &ride);
    tx.remove(key::open(tap.rider, tap.at, &tap.id));
    Ok(())
}

fn reopen(tx: &mut Tx<'_>, tap: &Tap) {
    tx.remove(key::settled(&tap.id));
    tx.put(key::open(tap.rider, tap.at, &tap.id), &tap.direction);
}

fn settle(tx: &mut Tx<'_>, settlement: &Settlement, now: Timestamp) -> Result<(), StoreError> {
    let settlements = key::settlements(settlement.rider);
    if tx.get::<u64>(&settlements)?.unwrap_or(0) != settlement.seen {
        return Err(StoreError::SettledMeanwhile(settlement.rider));
    }
    if let Some(priced_by) = settlement.tariff
        && priced_by != terms::tariff_revision(tx)?
    {
        return Err(StoreError::TariffChanged(settlement.rider));
    }
    tx.put(settlements, &(settlement.seen + 1));
    let mut rides = BTreeMap::new();
    for id in settlement.touched() {
        rides.extend(tx.get::<PricedRide>(&key::journey(id))?.map(|ride| (id, ride)));
    }
    let applied = settlement.apply(rides, now)?;
    applied.reopened.iter().for_each(|tap| reopen(tx, tap));
    for (ride, _) in &settlement.rides {
        ride.taps().try_for_each(|tap| use_up(tx, tap, Some(ride.id())))?;
        if let Ridden::Broken(incomplete) = ride {
            let tap = incomplete.tap();
            let inside: Option<RecordId> = tx.get(&key::inside(tap.rider))?;
            if inside.as_ref() == Some(&tap.id) {
                intake::leave(tx, tap.rider, tap.id.clone())?;
            }
        }
    }
    settlement.merged.iter().try_for_each(|tap| use_up(tx, tap, None))?;
    for ride in &applied.rides {
        tx.put(key::journey(ride.id()), ride);
        let left_at = ride.ride.last().at;
        tx.put(key::trip(ride.ride.rider(), left_at, ride.id()), &());
        tx.put(key::ended(left_at, ride.id()), &());
        for (is, key) in [(ride.is_held(), key::held(ride.id())), (ride.waits_elsewhere(), key::elsewhere(ride.id()))] {
            if is {
                tx.put(key, &());
            } else {
                tx.remove(key);
            }
        }
    }
    settlement.told().into_iter().try_for_each(|told| notices::tell(tx, settlement.rider, now, told))?;
    tx.count(JOURNEYS, applied.journeys)?;
    settlement.again.iter().try_for_each(|version| terms::repriced(tx, settlement.rider, *version))?;
    books::wait_for_close(tx, &settlement.items, now)?;
    settlement.items.iter().try_for_each(|item| {
        keep_item(tx, item)?;
        books::note_late(tx, item, now)
    })
}

#[async_trait]
impl JourneyStore for SledStore {
    async fn settlements(&self, rider: RiderId) -> Result<u64, StoreError> {
        Ok(self.read().get(&key::settlements(rider))?.unwrap_or(0))
    }

    async fn settle(&self, settlement: Settlement, now: Timestamp) -> Result<(), StoreError> {
        self.write(|tx| settle(tx, &settlement, now)).await
    }

    async fn ride(&self, id: JourneyId) -> Result<Option<PricedRide>, StoreError> {
        self.read().get(&key::journey(id))
    }

    async fn uncharged_items(
        &self,
        until: Timestamp,
        after: Option<&Item>,
        max: usize,
    ) -> Result<Vec<Item>, StoreError> {
        let tx = self.read();
        // The least key beyond `after`'s own.
        let beyond = |last: &Item| [key::uncharged(last.bill_at(), last.id()), vec![0]].concat();
        let mut waiting = tx.scan_from(key::UNCHARGED, &after.map_or(key::UNCHARGED.to_vec(), beyond), max)?;
        waiting.retain(|(k, _)| key::time_of_uncharged(k) <= until);
        uncharged(&tx, &waiting)
    }

    async fn uncharged_items_of(&self, rider: RiderId) -> Result<Vec<Item>, StoreError> {
        let tx = self.read();
        uncharged(&tx, &tx.scan(&key::uncharged_ofs(rider))?)
    }

    async fn item(&self, id: ItemId) -> Result<Option<(Item, Option<ChargeId>)>, StoreError> {
        let kept: Option<KeptItem> = self.read().get(&key::item(id))?;
        Ok(kept.map(|kept| (kept.item, kept.charge)))
    }

    async fn rides_since(&self, rider: RiderId, since: Timestamp) -> Result<Vec<PricedRide>, StoreError> {
        rides_since(&self.read(), rider, since)
    }

    async fn trips(&self, rider: RiderId) -> Result<Vec<Trip>, StoreError> {
        let tx = self.read();
        let billed = |id: ItemId| {
            let kept: KeptItem = tx.get(&key::item(id))?.ok_or_else(|| damaged(&key::item(id), "gone"))?;
            let charge = kept.charge.map(|charge| tx.get(&key::charge(charge))).transpose()?.flatten();
            Ok(BilledItem { item: kept.item, charge })
        };
        let trip = |priced: PricedRide| {
            let items = priced.items.iter().map(|posted| billed(posted.item)).collect::<Result<_, StoreError>>()?;
            Ok(Trip { priced, items })
        };
        let rides = rides_since(&tx, rider, Timestamp::from_unix_ms(i64::MIN))?;
        rides.into_iter().rev().filter(PricedRide::is_shown).map(trip).collect()
    }
}
