//! A ticketing system that prices rides for a cloud: a small real HTTPS server, which answers late and in another order than
//! it was told, as systems of that kind do.
//!
//! Five yuan for a ride, nine for one whose end nobody saw. An answer is ready once it was asked for as often as the
//! ride's id says, so that no two rides wait equally long.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use facegate_cloud_sync::ticketing::{Asked, Price, PriceLine, Prices, Told, Upload};
use facegate_runtime::identity::{PeerIdentity, Role};

/// Most times that an answer is asked for before it is ready.
const ASKED_MAX: u32 = 5;

/// What it knows.
#[derive(Debug, Clone, Default)]
pub struct Desk(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
pub struct Book {
    rides: BTreeMap<String, (Told, u32)>,
    /// How often a ride was told that was known.
    pub told_again: u32,
    /// In the order in which they were answered.
    pub answered: Vec<String>,
    /// Answers that are no prices are given for this rider.
    pub nonsense_for: Option<String>,
    /// What it says of its own accord, each time that it is asked.
    pub changed: Vec<Price>,
}

impl Desk {
    pub fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn knows(&self, ride: &str) -> bool {
        self.book().rides.contains_key(ride)
    }
}

pub fn router(desk: Desk) -> Router {
    Router::new().route("/v1/rides", post(tell)).route("/v1/prices", post(ask)).with_state(desk)
}

async fn tell(peer: PeerIdentity, State(desk): State<Desk>, Json(upload): Json<Upload>) -> StatusCode {
    if peer.role != Role::Cloud {
        return StatusCode::FORBIDDEN;
    }
    let mut book = desk.book();
    for told in upload.rides {
        for replaced in &told.replaces {
            book.rides.remove(replaced);
        }
        let again = book.rides.contains_key(&told.ride_id);
        book.told_again += u32::from(again);
        if !again {
            book.rides.insert(told.ride_id.clone(), (told, 0));
        }
    }
    StatusCode::ACCEPTED
}

async fn ask(
    peer: PeerIdentity,
    State(desk): State<Desk>,
    Json(asked): Json<Asked>,
) -> Result<Json<Prices>, StatusCode> {
    if peer.role != Role::Cloud {
        return Err(StatusCode::FORBIDDEN);
    }
    let mut book = desk.book();
    let mut prices = Vec::new();
    let nonsense = book.nonsense_for.clone();
    for ride in asked.ride_ids {
        let Some((told, times)) = book.rides.get_mut(&ride) else { continue };
        *times += 1;
        let wanted = ride.bytes().map(u32::from).sum::<u32>() % ASKED_MAX;
        if *times > wanted {
            prices.push(price(told, nonsense.as_deref() == Some(told.rider_id.as_str())));
            book.answered.push(ride);
        }
    }
    prices.extend(book.changed.iter().cloned());
    prices.reverse();
    Ok(Json(Prices { prices }))
}

fn price(told: &Told, nonsense: bool) -> Price {
    let line = |said: &str, amount_minor| PriceLine { said: said.to_owned(), amount_minor };
    let lines = match (&told.entry, &told.exit) {
        _ if nonsense => vec![line("back to the rider", -1)],
        (Some(entry), Some(exit)) => {
            vec![line(&format!("{} to {}", entry.station, exit.station), 600), line("introductory offer", -100)]
        }
        _ => vec![line("one end was not seen", 900)],
    };
    Price { ride_id: told.ride_id.clone(), version: 1, currency: "CNY".to_owned(), lines }
}
