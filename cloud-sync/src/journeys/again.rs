//! Rides that are priced anew: whoever has changed what they depend on has put their riders into a queue.

use facegate_domain::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{By, Moment, RIDERS_PAGE, SettlingPolicy, settle_rider};
use crate::store::{Store, StoreError};
use crate::tariffs::Tariffs;

/// Prices the rides of everybody in the queue.
pub async fn round(
    store: &dyn Store,
    tariffs: &mut Tariffs,
    now: Timestamp,
    policy: &SettlingPolicy,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let riders = store.riders_to_reprice(after, RIDERS_PAGE).await?;
        let Some((last, _)) = riders.last() else { return Ok(()) };
        after = Some(*last);
        // Read once it is known who is in the queue: what has put them there is in it.
        let tariff = tariffs.now(store).await?;
        for (rider, again) in riders {
            if stop.is_cancelled() {
                return Ok(());
            }
            // Taps are settled by the round of those that have come.
            let moment = Moment { now, known_until: Some(Timestamp::from_unix_ms(i64::MIN)) };
            let by = By { pricer: &*tariffs.pricer(&tariff), revision: tariffs.revision() };
            match settle_rider(store, by, (rider, Some(again)), moment, policy).await {
                // He stays in the queue, and the next round knows what was changed.
                Err(StoreError::TariffChanged(_)) => return Ok(()),
                settled => settled?,
            }
        }
    }
}

/// Puts everybody into the queue who has a ride without a price: the tables may know it now.
pub async fn held(store: &dyn Store) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let rides = store.held_rides(after, RIDERS_PAGE).await?;
        let Some(last) = rides.last() else { return Ok(()) };
        after = Some(last.id());
        for priced in &rides {
            store.reprice(&[priced.ride.rider()], priced.ride.first().at).await?;
        }
    }
}
