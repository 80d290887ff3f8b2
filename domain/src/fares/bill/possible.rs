//! One rider at two places: what no train can do is held, and never charged twice.

use crate::clock::Timestamp;
use crate::fares::{FareTable, PricingError, Ride, Tariff};
use crate::tap::Tap;

/// For each of the rides, in the order in which they began, why it is held, if it is. Of two that cannot both be true the
/// later one is, unless the earlier one lacks an end and the later one does not. Empty if no table asks.
pub fn impossible(tariff: &Tariff, rides: &[Ride<'_>]) -> Vec<Option<PricingError>> {
    if tariff.tables().iter().all(|table| table.rules.fastest_kmh.is_none()) {
        return Vec::new();
    }
    let mut held: Vec<Option<PricingError>> = vec![None; rides.len()];
    let mut before: Option<usize> = None;
    for (at, ride) in rides.iter().enumerate() {
        let Ok(table) = tariff.at(ride.began()) else { continue };
        if let Ride::Whole(journey) = ride {
            held[at] = too_fast(table, &journey.entry, &journey.exit);
        }
        if held[at].is_some() {
            continue;
        }
        let gap = before.and_then(|before| too_fast(table, rides[before].last(), ride.first()));
        match (gap, before) {
            (Some(reason), Some(earlier)) => {
                let earlier_lacks = matches!(rides[earlier], Ride::Broken(_)) && matches!(ride, Ride::Whole(_));
                if earlier_lacks {
                    held[earlier] = Some(reason);
                    before = Some(at);
                } else {
                    held[at] = Some(reason);
                }
            }
            _ => before = Some(at),
        }
    }
    held
}

/// Unknown stations are another matter.
fn too_fast(table: &FareTable, a: &Tap, b: &Tap) -> Option<PricingError> {
    let kmh = table.rules.fastest_kmh?;
    let (from, to) = (table.network.number(&a.station)?, table.network.number(&b.station)?);
    let metres = table.network.way(from, to).metres;
    let elapsed = apart(a.at, b.at);
    // metres / (elapsed / 1000) > kmh / 3.6, without a division.
    let too_fast = u64::from(metres) * 3_600 > u64::from(kmh) * elapsed;
    let (from, to) = (a.station.clone(), b.station.clone());
    too_fast.then_some(PricingError::Impossible { from, to, metres, seconds: elapsed / 1_000 })
}

/// Milliseconds.
fn apart(a: Timestamp, b: Timestamp) -> u64 {
    u64::try_from(b.since(a).as_millis()).unwrap_or(u64::MAX / 1_000).min(u64::MAX / 1_000)
}
