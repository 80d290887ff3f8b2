//! The prices of journeys as they are settled, in the light of those that were settled before.

use facegate_domain::fares::{RiderTerms, Settled, Tariff};
use facegate_domain::ids::RiderId;
use facegate_domain::journey::Journey;

use crate::store::{Pricing, Store, StoreError};

/// Asks for what was settled before only if the tariff has a rule that looks at it.
pub async fn price(
    store: &dyn Store,
    tariff: &Tariff,
    rider: RiderId,
    journeys: Vec<Journey>,
) -> Result<Vec<(Journey, Pricing)>, StoreError> {
    let began = journeys.iter().map(|journey| journey.entry.at).min();
    let before = match began.and_then(|began| tariff.look_back(began)) {
        Some(looked_back) => store.journeys_since(rider, looked_back.from).await?,
        None => Vec::new(),
    };
    let settled: Vec<Settled<'_>> =
        before.iter().map(|priced| Settled { journey: &priced.journey, fare: priced.fare() }).collect();
    let prices = tariff.settle(&settled, &journeys, &RiderTerms::default()).into_iter().map(|price| match price {
        Ok(fare) => Pricing::Priced { fare },
        Err(error) => Pricing::Held { reason: error.to_string() },
    });
    Ok(journeys.into_iter().zip(prices).collect())
}
