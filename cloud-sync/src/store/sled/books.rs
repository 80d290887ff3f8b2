//! A day as the match reads it, and its close.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::billing::{Item, ItemId};
use facegate_domain::charge::{Charge, ChargeId};
use facegate_domain::ids::RiderId;
use facegate_domain::journey::JourneyId;
use facegate_domain::reconcile::{BillRow, RiderDay, TapRow, Used};
use facegate_domain::remedy::{Remedy, RemedyId};
use facegate_domain::tap::Tap;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use jiff::civil::Date;
use uuid::Uuid;

use super::journeys::{KeptItem, rides_within};
use super::key::books as keys;
use super::settlements::lines_about;
use super::tx::{Tx, damaged, decode};
use super::{SledStore, audit, key};
use crate::store::books::{ClosingDay, bill_row, refund_row, ride_row};
use crate::store::{BookedRefund, BooksStore, DayClose, LateItem, LatePlace, RefundPlace, Span, StoreError};

/// Riders looked at before the others get a turn.
const RIDERS: usize = 500;
/// Taps of a rider read at a time: more than anybody makes in a day.
const TAPS: usize = 64;

type Items = BTreeMap<[u8; 16], (Item, Option<ChargeId>)>;

/// The first rider with a tap, whenever, behind `after`.
fn next_rider(tx: &Tx<'_>, after: Option<RiderId>) -> Result<Option<RiderId>, StoreError> {
    let from = after.map_or_else(|| key::TAP.to_vec(), |rider| [key::taps(rider), vec![u8::MAX; 9]].concat());
    let found = tx.scan_from(key::TAP, &from, 1)?;
    Ok(found.first().map(|(k, _)| RiderId::from_bytes(key::id_after(key::TAP, k))))
}

fn taps_within(tx: &Tx<'_>, rider: RiderId, span: Span) -> Result<Vec<Tap>, StoreError> {
    let (prefix, mut from) = (key::taps(rider), key::taps_from(rider, span.from));
    let mut taps = Vec::new();
    loop {
        let page = tx.scan_from(&prefix, &from, TAPS)?;
        for (k, v) in &page {
            let tap: Tap = decode(k, v)?;
            if !span.holds(tap.at) {
                return Ok(taps);
            }
            taps.push(tap);
        }
        match page.last() {
            Some((last, _)) if page.len() == TAPS => from = [last.as_slice(), &[0]].concat(),
            _ => return Ok(taps),
        }
    }
}

fn tap_row(tx: &Tx<'_>, tap: Tap, rides: &BTreeSet<JourneyId>) -> Result<TapRow, StoreError> {
    let used = match tx.get::<Option<JourneyId>>(&key::settled(&tap.id))? {
        Some(Some(id)) => Used::Ride { id, exists: rides.contains(&id) || tx.contains(&key::journey(id))? },
        Some(None) => Used::Merged,
        None if tx.contains(&key::open(tap.rider, tap.at, &tap.id))? => Used::Open,
        None => Used::Nothing,
    };
    Ok(TapRow { id: tap.id, at: tap.at, station: tap.station, direction: tap.direction, used })
}

fn item(tx: &Tx<'_>, id: [u8; 16], known: &mut Items) -> Result<(), StoreError> {
    if !known.contains_key(&id) {
        let kept: Option<KeptItem> = tx.get(&key::item(ItemId::from_bytes(id)))?;
        known.extend(kept.map(|kept| (id, (kept.item, kept.charge))));
    }
    Ok(())
}

fn bill(tx: &Tx<'_>, id: ChargeId, known: &mut Items) -> Result<BillRow, StoreError> {
    let charge: Charge = tx.get(&key::charge(id))?.ok_or_else(|| damaged(&key::charge(id), "gone"))?;
    charge.items().iter().try_for_each(|id| item(tx, *id.as_bytes(), known))?;
    let items = charge.items().iter().filter_map(|id| known.get(id.as_bytes()));
    let items: Vec<Item> = items.map(|(item, _)| item.clone()).collect();
    Ok(bill_row(&charge, &items, lines_about(tx, Uuid::from_bytes(*id.as_bytes()))?))
}

fn closing(tx: &Tx<'_>) -> Result<Option<ClosingDay>, StoreError> {
    tx.get(keys::CLOSING)
}

/// Refuses items of a day that is being closed. A close that has not come to its end in time is over.
pub(super) fn wait_for_close(tx: &mut Tx<'_>, items: &[Item], now: Timestamp) -> Result<(), StoreError> {
    match closing(tx)?.filter(|closing| closing.holds_up(items)) {
        Some(closing) if now < closing.until => return Err(StoreError::DayClosing(closing.day)),
        Some(_) => tx.remove(keys::CLOSING.to_vec()),
        None => {}
    }
    Ok(())
}

/// Notes an item of a day that is closed.
pub(super) fn note_late(tx: &mut Tx<'_>, item: &Item, now: Timestamp) -> Result<(), StoreError> {
    if tx.contains(&keys::closed(item.day()))? {
        tx.put(keys::late(now, item.id()), &now);
    }
    Ok(())
}

fn rider_day(tx: &Tx<'_>, rider: RiderId, span: Span) -> Result<Option<RiderDay>, StoreError> {
    let taps = taps_within(tx, rider, span)?;
    if taps.is_empty() {
        return Ok(None);
    }
    let rides = rides_within(tx, rider, span)?;
    let ids: BTreeSet<JourneyId> = rides.iter().map(super::super::journeys::PricedRide::id).collect();
    let mut items = Items::new();
    for posted in rides.iter().flat_map(|ride| &ride.items) {
        item(tx, *posted.item.as_bytes(), &mut items)?;
    }
    let rows = rides.iter().map(|ride| ride_row(ride, &items)).collect();
    let charges: BTreeSet<ChargeId> = items.values().filter_map(|(_, charge)| *charge).collect();
    let bills: Result<Vec<BillRow>, StoreError> = charges.into_iter().map(|id| bill(tx, id, &mut items)).collect();
    let taps: Result<Vec<TapRow>, StoreError> = taps.into_iter().map(|tap| tap_row(tx, tap, &ids)).collect();
    Ok(Some(RiderDay { rider, taps: taps?, rides: rows, bills: bills? }))
}

fn some_riders(
    store: &SledStore,
    span: Span,
    mut after: Option<RiderId>,
) -> Result<(Vec<RiderDay>, Option<RiderId>), StoreError> {
    let tx = store.read();
    let mut days = Vec::new();
    for _ in 0..RIDERS {
        let Some(rider) = next_rider(&tx, after)? else { return Ok((days, None)) };
        after = Some(rider);
        days.extend(rider_day(&tx, rider, span)?);
    }
    Ok((days, after))
}

#[async_trait]
impl BooksStore for SledStore {
    fn rider_days(&self, span: Span) -> BoxStream<'_, Result<Vec<RiderDay>, StoreError>> {
        // None: the end was reached.
        stream::try_unfold(Some(None), move |place: Option<Option<RiderId>>| async move {
            let Some(after) = place else { return Ok(None) };
            // It reads for a while without waiting for anything.
            tokio::task::yield_now().await;
            let (days, last) = some_riders(self, span, after)?;
            Ok(Some((days, last.map(Some))))
        })
        .boxed()
    }

    async fn late_items(&self, span: Span, after: Option<LatePlace>, max: usize) -> Result<Vec<LateItem>, StoreError> {
        let tx = self.read();
        let from =
            after.map_or_else(|| keys::late_from(span.from), |(at, item)| [keys::late(at, item), vec![0]].concat());
        let mut late = Vec::new();
        for (k, v) in tx.scan_from(keys::LATE, &from, max)? {
            let at: Timestamp = decode(&k, &v)?;
            if !span.holds(at) {
                break;
            }
            let id = ItemId::from_bytes(key::tail(&k));
            let kept: KeptItem = tx.get(&key::item(id))?.ok_or_else(|| damaged(&key::item(id), "gone"))?;
            late.push(LateItem { at, item: kept.item });
        }
        Ok(late)
    }

    async fn refunds(
        &self,
        span: Span,
        after: Option<RefundPlace>,
        max: usize,
    ) -> Result<Vec<BookedRefund>, StoreError> {
        let tx = self.read();
        let from =
            after.map_or_else(|| key::refunded_from(span.from), |(at, id)| [key::refunded(at, id), vec![0]].concat());
        let mut refunds = Vec::new();
        for (k, _) in tx.scan_from(key::REFUNDED, &from, max)? {
            let at = key::time_of_refunded(&k);
            if !span.holds(at) {
                break;
            }
            let id = RemedyId::from_bytes(key::tail(&k));
            let remedy: Remedy = tx.get(&key::remedy(id))?.ok_or_else(|| damaged(&key::remedy(id), "gone"))?;
            refunds.push(BookedRefund {
                at,
                row: refund_row(&remedy, lines_about(&tx, Uuid::from_bytes(*id.as_bytes()))?),
            });
        }
        Ok(refunds)
    }

    async fn begin_close(&self, day: Date, holder: &str, until: Timestamp) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.put(keys::CLOSING.to_vec(), &ClosingDay { day, holder: holder.to_owned(), until });
            Ok(())
        })
        .await
    }

    async fn give_close_up(&self, holder: &str) -> Result<(), StoreError> {
        self.write(|tx| {
            if closing(tx)?.is_some_and(|closing| closing.holder == holder) {
                tx.remove(keys::CLOSING.to_vec());
            }
            Ok(())
        })
        .await
    }

    async fn close_day(&self, close: DayClose, holder: &str) -> Result<DayClose, StoreError> {
        self.write(|tx| {
            if let Some(first) = tx.get(&keys::closed(close.day))? {
                return Ok(first);
            }
            if closing(tx)?.is_none_or(|closing| closing.day != close.day || closing.holder != holder) {
                return Err(StoreError::CloseOverdue(close.day));
            }
            tx.remove(keys::CLOSING.to_vec());
            let subject = close.audited();
            audit::append(tx, &close.by, "books.close", &subject, close.closed_at)?;
            tx.put(keys::closed(close.day), &close);
            Ok(close)
        })
        .await
    }

    async fn closed_day(&self, day: Date) -> Result<Option<DayClose>, StoreError> {
        self.read().get(&keys::closed(day))
    }

    async fn closed_days(&self, max: usize) -> Result<Vec<DayClose>, StoreError> {
        let mut days: Vec<DayClose> = self.read().scan_as(keys::CLOSED)?;
        days.reverse();
        days.truncate(max);
        Ok(days)
    }
}
