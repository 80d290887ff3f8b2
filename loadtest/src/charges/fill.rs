//! Riders with one ride each, in the store before the cloud starts: by its own commands, as a station's backlog comes.

use std::time::Duration;

use anyhow::Result;
use facegate_cloud_sync::cloud::Cloud;
use facegate_cloud_sync::config::Config;
use facegate_cloud_sync::store::{Profile, Store};
use facegate_domain::charge::{AcquirerName, AcquirerToken, Instrument};
use facegate_domain::ids::{GateId, RecordId, RiderId, StationId};
use facegate_domain::score::{Similarity, Tier};
use facegate_domain::tap::{
    Authorisation, Direction, Evidence, GateRecord, GateStamp, Passage, PassageOutcome, RecordBody,
};
use facegate_domain::{Clock, Timestamp};
use facegate_runtime::clock::SystemClock;
use futures::{StreamExt, TryStreamExt, stream};

/// Stations of the line that everybody rides from end to end, and what that costs.
pub const STATIONS: [&str; 2] = ["north", "south"];
pub const FARE_MINOR: i64 = 400;

/// How long ago everybody rode: on a travel day that is over.
const RODE_BEFORE: Duration = Duration::from_secs(50 * 3600);
const RIDE: Duration = Duration::from_secs(900);
/// Records in a batch.
const BATCH: usize = 500;
const AT_ONCE: usize = 16;

/// A rider, and the token that he pays with.
#[derive(Debug, Clone)]
pub struct Rider {
    pub id: RiderId,
    pub token: String,
}

/// Of a hundred riders so many have a token of each kind; see [`crate::acquirer`].
const KINDS: [(usize, &str); 8] = [
    (74, "tok_ok_"),
    (4, "tok_ok_late_"),
    (6, "tok_slow_"),
    (3, "tok_slow_returned_"),
    (4, "tok_declined_"),
    (3, "tok_declined_hard_"),
    (3, "tok_poor_1_"),
    (3, "tok_lapses_"),
];

fn token(number: usize) -> String {
    let mut place = number % 100;
    for (share, kind) in KINDS {
        if place < share {
            return format!("{kind}{number}");
        }
        place -= share;
    }
    format!("tok_ok_{number}")
}

/// Makes them in the store of `config`, and closes it again.
pub async fn fill(config: &Config, count: usize) -> Result<Vec<Rider>> {
    let store = Cloud::open_store(config).await?;
    let (store, now) = (&*store, SystemClock::new().now());
    let riders: Vec<Rider> = (0..count).map(|number| Rider { id: RiderId::random(), token: token(number) }).collect();
    stream::iter(&riders)
        .map(|rider| create(store, rider, now))
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<()>>()
        .await?;
    let began = now.minus(RODE_BEFORE);
    let records = [(STATIONS[0], Direction::Entry, began), (STATIONS[1], Direction::Exit, began.plus(RIDE))];
    for (station, direction, at) in records {
        let mut records = Vec::new();
        for (number, rider) in (0_u64..).zip(&riders) {
            records.extend(passed(station, direction, 2 * number, rider.id, at)?);
        }
        for batch in records.chunks(BATCH) {
            store.record_taps(batch.to_vec(), now).await?;
        }
    }
    Ok(riders)
}

async fn create(store: &dyn Store, rider: &Rider, now: Timestamp) -> Result<()> {
    store.create_rider(rider.id, Profile { display_name: "A rider".to_owned() }, now).await?;
    let (acquirer, token) = (AcquirerName::new("sandbox")?, AcquirerToken::new(rider.token.as_str())?);
    store.bind_account(rider.id, Instrument::Acquirer { acquirer, token }, Vec::new()).await?;
    Ok(())
}

/// An authorisation and its passage, the `sequence`-th record of the station's one gate and the next.
fn passed(
    station: &str,
    direction: Direction,
    sequence: u64,
    rider: RiderId,
    at: Timestamp,
) -> Result<[GateRecord; 2]> {
    let gate = GateId::new(format!("{station}-{}", direction.name()))?;
    let station = StationId::new(station)?;
    // Everybody in a moment of his own.
    let at = at.plus(Duration::from_millis(sequence));
    let record = |sequence, body| GateRecord {
        id: RecordId { gate: gate.clone(), epoch: 1, sequence },
        station: station.clone(),
        stamp: GateStamp { wall: at, monotonic_ms: sequence },
        body,
    };
    let evidence = Evidence::Face { similarity: Similarity::from_cosine(0.8), tier: Tier::City, risk: 1e-8, frames: 3 };
    let granted = record(sequence, RecordBody::Authorisation(Authorisation::new(rider, direction, evidence)));
    let passage = Passage::new(sequence, PassageOutcome::Passed);
    Ok([granted, record(sequence + 1, RecordBody::Passage(passage))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_hundred_riders_every_kind_is_there() {
        let tokens: Vec<String> = (0..100).map(token).collect();
        for (share, kind) in KINDS {
            let longer = |other: &str| other.len() > kind.len() && other.starts_with(kind);
            let of_kind = tokens.iter().filter(|token| {
                token.starts_with(kind) && !KINDS.iter().any(|(_, other)| longer(other) && token.starts_with(other))
            });
            assert_eq!(of_kind.count(), share, "{kind}");
        }
    }
}
