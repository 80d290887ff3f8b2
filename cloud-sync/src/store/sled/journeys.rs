//! Settled journeys.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::charge::ChargeId;
use facegate_domain::ids::{RecordId, RiderId};
use facegate_domain::journey::JourneyId;
use facegate_domain::tap::Tap;

use super::tx::{Tx, damaged};
use super::{SledStore, intake, key, notices};
use crate::store::{JourneyStore, PricedJourney, Settlement, StoreError, Trip};

pub(super) const JOURNEYS: &str = "journeys";

/// Puts the journey into a charge, in the transaction that opens it.
///
/// Errors: `JourneyCharged` if it is in another, `UnknownJourney`.
pub(super) fn mark_charged(tx: &mut Tx<'_>, id: JourneyId, charge: ChargeId) -> Result<(), StoreError> {
    let mut journey: PricedJourney = tx.get(&key::journey(id))?.ok_or(StoreError::UnknownJourney(id))?;
    match journey.charge {
        Some(other) if other != charge => Err(StoreError::JourneyCharged { journey: id, charge: other }),
        _ => {
            tx.remove(key::uncharged(journey.settled_at, id));
            journey.charge = Some(charge);
            tx.put(key::journey(id), &journey);
            Ok(())
        }
    }
}

/// Whether a journey of the rider waits for its charge.
pub(super) fn has_uncharged(tx: &Tx<'_>, rider: RiderId) -> Result<bool, StoreError> {
    Ok(journeys_of(tx, rider)?.iter().any(|journey| journey.charge.is_none() && journey.costs()))
}

fn journeys_of(tx: &Tx<'_>, rider: RiderId) -> Result<Vec<PricedJourney>, StoreError> {
    journeys_since(tx, rider, Timestamp::from_unix_ms(i64::MIN))
}

fn journeys_since(tx: &Tx<'_>, rider: RiderId, since: Timestamp) -> Result<Vec<PricedJourney>, StoreError> {
    let from = key::trip(rider, since, JourneyId::from_bytes([0; 16]));
    let trips = tx.scan_from(&key::trips(rider), &from, usize::MAX)?;
    let ids = trips.into_iter().map(|(k, _)| JourneyId::from_bytes(key::tail(&k)));
    ids.map(|id| tx.get(&key::journey(id))?.ok_or_else(|| damaged(&key::journey(id), "gone"))).collect()
}

fn use_up(tx: &mut Tx<'_>, tap: &Tap, journey: Option<JourneyId>) -> Result<(), StoreError> {
    if tx.contains(&key::settled(&tap.id))? {
        return Err(StoreError::TapSettled(tap.id.clone()));
    }
    tx.put(key::settled(&tap.id), &journey);
    tx.remove(key::open(tap.rider, tap.at, &tap.id));
    Ok(())
}

#[async_trait]
impl JourneyStore for SledStore {
    async fn settle(&self, settlement: Settlement, now: Timestamp) -> Result<(), StoreError> {
        self.write(|tx| {
            for (journey, pricing) in &settlement.journeys {
                use_up(tx, &journey.entry, Some(journey.id))?;
                use_up(tx, &journey.exit, Some(journey.id))?;
                let priced =
                    PricedJourney { journey: journey.clone(), pricing: pricing.clone(), settled_at: now, charge: None };
                tx.put(key::journey(journey.id), &priced);
                tx.put(key::trip(journey.rider(), journey.exit.at, journey.id), &());
                if priced.costs() {
                    tx.put(key::uncharged(now, journey.id), &());
                }
                if let Some(told) = priced.told() {
                    notices::tell(tx, journey.rider(), now, told)?;
                }
                tx.count(JOURNEYS, 1)?;
            }
            settlement.merged.iter().try_for_each(|tap| use_up(tx, tap, None))?;
            for incomplete in &settlement.given_up {
                let tap = incomplete.tap();
                use_up(tx, tap, None)?;
                tx.put(key::incomplete(&tap.id), incomplete);
                let inside: Option<RecordId> = tx.get(&key::inside(tap.rider))?;
                if inside.as_ref() == Some(&tap.id) {
                    intake::leave(tx, tap.rider, tap.id.clone())?;
                }
            }
            Ok(())
        })
        .await
    }

    async fn journey(&self, id: JourneyId) -> Result<Option<PricedJourney>, StoreError> {
        self.read().get(&key::journey(id))
    }

    async fn uncharged_journeys(
        &self,
        after: Option<&PricedJourney>,
        max: usize,
    ) -> Result<Vec<PricedJourney>, StoreError> {
        let tx = self.read();
        // The least key beyond `after`'s own.
        let beyond = |last: &PricedJourney| [key::uncharged(last.settled_at, last.journey.id), vec![0]].concat();
        let waiting = tx.scan_from(key::UNCHARGED, &after.map_or(key::UNCHARGED.to_vec(), beyond), max)?;
        let ids = waiting.iter().map(|(k, _)| JourneyId::from_bytes(key::tail(k)));
        // One that was charged between the two reads is not waiting any more.
        ids.map(|id| Ok(tx.get::<PricedJourney>(&key::journey(id))?.filter(|journey| journey.charge.is_none())))
            .filter_map(Result::transpose)
            .collect()
    }

    async fn journeys_since(&self, rider: RiderId, since: Timestamp) -> Result<Vec<PricedJourney>, StoreError> {
        journeys_since(&self.read(), rider, since)
    }

    async fn trips(&self, rider: RiderId) -> Result<Vec<Trip>, StoreError> {
        let tx = self.read();
        let trip = |journey: PricedJourney| {
            let charge = journey.charge.map(|charge| tx.get(&key::charge(charge))).transpose()?.flatten();
            Ok(Trip { journey, charge })
        };
        journeys_of(&tx, rider)?.into_iter().rev().map(trip).collect()
    }
}
