//! A rider at the booth: who he is by his ride code or the number that he gives, and what the station believes of him.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use facegate_domain::Timestamp;
use facegate_domain::booth::Whereabouts;
use facegate_domain::code::{CodeError, CodeTolerance, PREFIX, verify};
use facegate_domain::ids::RiderId;
use facegate_domain::tap::Direction;
use serde::Serialize;

use crate::station::Station;
use crate::store::{JournalKey, StoreError};

/// The feed tells who is inside as it is now if it is no older than this.
const IN_STEP: Duration = Duration::from_secs(15);
/// Until the feed has told of an act.
const ACT_TRAVELS: Duration = Duration::from_secs(30);
/// Somebody who has shown his code is served for so long.
const SHOWN_FOR: Duration = Duration::from_secs(900);
/// Riders at the booth in that time; the oldest is forgotten.
const SHOWN_MAX: usize = 500;

#[derive(Debug, thiserror::Error)]
pub enum WhoError {
    #[error("this is neither a ride code nor a rider's number: scan the code in his app, or type the number in it")]
    NotARider,
    #[error(transparent)]
    Code(#[from] CodeError),
    #[error("nobody of this number is known at this station: read it again, or have him show his ride code")]
    Unknown,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Riders who have shown a code at the booth lately.
#[derive(Debug, Default)]
pub struct Shown(Mutex<HashMap<RiderId, Timestamp>>);

impl Shown {
    fn add(&self, rider: RiderId, now: Timestamp) {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shown.retain(|_, at| now.since(*at) < SHOWN_FOR);
        if shown.len() >= SHOWN_MAX {
            let oldest = shown.iter().min_by_key(|(_, at)| **at).map(|(rider, _)| *rider);
            oldest.and_then(|rider| shown.remove(&rider));
        }
        shown.insert(rider, now);
    }

    fn has(&self, rider: RiderId, now: Timestamp) -> bool {
        let shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shown.get(&rider).is_some_and(|at| now.since(*at) < SHOWN_FOR)
    }
}

/// What the attendant sees of him.
#[derive(Debug, Serialize)]
pub struct RiderView {
    pub rider: RiderId,
    /// As the page shows him.
    pub masked: String,
    /// He has shown his code, now or minutes ago.
    pub by_code: bool,
    pub whereabouts: Whereabouts,
    /// He owes something.
    pub denied: bool,
    /// His face alone opens no entry today.
    pub code_asked: bool,
}

/// Whose ride code or number `given` is.
pub fn look_up(station: &Station, shown: &Shown, given: &str) -> Result<RiderView, WhoError> {
    let (given, now) = (given.trim(), station.clock.now());
    let rider = if given.starts_with(PREFIX) {
        let code = verify(given, &station.facts().issuer_keys(), now, CodeTolerance::default())?;
        shown.add(code.rider, now);
        code.rider
    } else {
        given.parse::<RiderId>().map_err(|_| WhoError::NotARider)?
    };
    must_be_known(station, shown, rider)?;
    let facts = station.facts();
    Ok(RiderView {
        rider,
        masked: masked(rider),
        by_code: shown.has(rider, now),
        whereabouts: whereabouts(station, rider)?,
        denied: facts.is_denied(rider),
        code_asked: facts.is_capped(rider, now),
    })
}

/// A number that is mistyped must not bill somebody. A station that has no templates cannot tell.
pub fn must_be_known(station: &Station, shown: &Shown, rider: RiderId) -> Result<(), WhoError> {
    let facts = station.facts();
    let Some(gallery) = facts.gallery() else { return Ok(()) };
    let known = shown.has(rider, station.clock.now())
        || gallery.is_inside(rider)
        || facts.is_denied(rider)
        || !gallery.templates_of(rider).is_empty()
        || station.store.booth.last_of(rider)?.is_some();
    if known { Ok(()) } else { Err(WhoError::Unknown) }
}

/// What the booth did last counts until the feed can have told of it; then the feed does, if it is in step.
pub fn whereabouts(station: &Station, rider: RiderId) -> Result<Whereabouts, StoreError> {
    let now = station.clock.now();
    let in_step = station.contact.ages(now).1 <= IN_STEP;
    if let Some(last) = station.store.booth.last_of(rider)? {
        let journal = JournalKey { gate: last.record.gate.clone(), epoch: last.record.epoch };
        let is_told = station.store.journals.acknowledged(&journal)? > last.record.sequence.saturating_add(1);
        if !in_step || !is_told || now.since(last.done_at) < ACT_TRAVELS {
            return Ok(match last.direction {
                Direction::Entry => Whereabouts::Inside,
                Direction::Exit => Whereabouts::Outside,
            });
        }
    }
    Ok(match station.facts().gallery().filter(|_| in_step) {
        Some(gallery) if gallery.is_inside(rider) => Whereabouts::Inside,
        Some(_) => Whereabouts::Outside,
        None => Whereabouts::Unknown,
    })
}

/// The first group of his number: enough to tell two riders at the booth apart.
pub fn masked(rider: RiderId) -> String {
    format!("{}…", &rider.to_string()[..8])
}
