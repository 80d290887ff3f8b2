//! The crowd's rides against everybody's books: taps, trips, charges, the acquirer.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use facegate_proto::v1::Gap;
use serde::Serialize;

use super::{Crowd, Passenger, Ride};
use crate::app::Trip;
use crate::city::City;
use crate::demo::say;

/// How often the books are looked into while they are waited for.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const TELL_EVERY: Duration = Duration::from_secs(5);

/// What the bodies did and what the books say.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Account {
    /// Taps, journeys and captured charges that bodies made and no book has.
    pub lost: u64,
    /// Taps, journeys and captures (by the acquirer's own book too) beyond what bodies made.
    pub double: u64,
    /// Trips between other stations, or by another medium, than the body went.
    pub mispaired: u64,
    pub rides: u64,
    /// Bodies that crossed a beam, by the aisles' own count.
    pub bodies: u64,
    pub taps: u64,
    pub journeys: u64,
    pub captured: u64,
    pub gaps: usize,
    pub conflicts: u64,
    pub ledger_balanced: bool,
    /// Authorisations whose passage nobody knows: gates that died between the decision and the door.
    pub passages_unknown: u64,
    /// Where bodies and books differ, in words.
    #[serde(skip)]
    pub notes: Vec<String>,
}

impl Account {
    async fn take(crowd: &Crowd, city: &City) -> Result<Self> {
        let (overview, book, app) = (city.overview().await?, city.acquirer_book().await?, city.metro_app()?);
        let mut account = Self {
            rides: crowd.rides() as u64,
            bodies: crowd.bodies() as u64,
            taps: overview.taps,
            journeys: overview.journeys,
            gaps: overview.gaps.len(),
            conflicts: overview.conflicts,
            ledger_balanced: overview.ledger_balanced,
            passages_unknown: overview.passages_unknown,
            ..Self::default()
        };
        account.compare("taps", account.bodies, account.taps);
        for passenger in crowd.passengers() {
            let trips = app.trips(&passenger.id).await?;
            let captures = passenger.card.as_ref().map(|card| book.tokens.get(card).map_or(0, |of| of.captures));
            account.compare_passenger(passenger, &trips, captures);
        }
        let gap =
            |gap: &Gap| format!("{} {}: {} to {} missing", gap.gate, gap.epoch, gap.first_missing, gap.last_missing);
        account.notes.extend(overview.gaps.iter().map(gap));
        Ok(account)
    }

    fn compare_passenger(&mut self, passenger: &Passenger, trips: &[Trip], captures: Option<u64>) {
        let rides = passenger.rides().len() as u64;
        let captured = trips.iter().filter(|trip| trip.charge_state == "captured").count() as u64;
        self.captured += captured;
        self.compare(&format!("trips of {}", passenger.label), rides, trips.len() as u64);
        self.compare(&format!("captured trips of {}", passenger.label), rides, captured);
        if let Some(captures) = captures {
            self.compare(&format!("the acquirer's captures of {}", passenger.label), rides, captures);
        }
        let differences = differences(&passenger.rides(), trips);
        self.mispaired += differences.len() as u64;
        let uncaptured = trips.iter().filter(|trip| trip.charge_state != "captured");
        let uncaptured = uncaptured.map(|trip| format!("trip {} is {}", trip.journey_id, trip.charge_state));
        let notes = differences.into_iter().chain(uncaptured);
        self.notes.extend(notes.map(|note| format!("{} ({}): {note}", passenger.label, passenger.id)));
    }

    fn compare(&mut self, what: &str, made: u64, booked: u64) {
        self.lost += made.saturating_sub(booked);
        self.double += booked.saturating_sub(made);
        if made != booked {
            self.notes.push(format!("{what}: {made} made, {booked} booked"));
        }
    }

    /// What does not hold, in words; empty when all does.
    pub fn faults(&self) -> Vec<String> {
        let checks = [
            (self.lost == 0, format!("{} lost", self.lost)),
            (self.double == 0, format!("{} doubled", self.double)),
            (self.mispaired == 0, format!("{} trips are not as the bodies went", self.mispaired)),
            (self.rides > 0, "nobody rode".to_owned()),
            (self.bodies == 2 * self.rides, format!("{} bodies for {} rides", self.bodies, self.rides)),
            (self.journeys == self.rides, format!("{} journeys for {} rides", self.journeys, self.rides)),
            (self.gaps == 0, format!("{} gaps in the gates' sequences", self.gaps)),
            (self.conflicts == 0, format!("{} conflicting records", self.conflicts)),
            (self.ledger_balanced, "the ledger does not balance".to_owned()),
        ];
        checks.into_iter().filter(|(holds, _)| !holds).map(|(_, fault)| fault).collect()
    }
}

/// Rides without their trip and trips without their ride, in words.
fn differences(rides: &[Ride], trips: &[Trip]) -> Vec<String> {
    let mut balance: BTreeMap<[&str; 4], i64> = BTreeMap::new();
    for ride in rides {
        *balance.entry([&ride.from, &ride.to, ride.by_in, ride.by_out]).or_default() += 1;
    }
    for trip in trips {
        let key = [&trip.entry_station, &trip.exit_station, &trip.entry_medium, &trip.exit_medium];
        *balance.entry(key.map(|end| end.as_deref().unwrap_or("not seen"))).or_default() -= 1;
    }
    let of = |([from, to, by_in, by_out], count): ([&str; 4], i64)| {
        let what = if count > 0 { "rides without a trip" } else { "trips without a ride" };
        format!("{from} by {by_in} → {to} by {by_out}: {} {what}", count.abs())
    };
    balance.into_iter().filter(|(_, count)| *count != 0).map(of).collect()
}

/// Waits until the books agree with the bodies, then whether they still do after `rest`, in which a second charge would
/// have come. After `within` it gives what there is, and says what differs.
pub async fn settled(crowd: &Crowd, city: &City, within: Duration, rest: Duration) -> Result<Account> {
    let deadline = tokio::time::Instant::now() + within;
    let mut tell_at = tokio::time::Instant::now();
    loop {
        let last = Account::take(crowd, city).await;
        let over = tokio::time::Instant::now() > deadline;
        match last {
            Ok(account) if account.faults().is_empty() || over => break,
            Err(error) if over => return Err(error),
            Ok(account) if tokio::time::Instant::now() > tell_at => {
                say(&format!("  settling: {} of {} rides captured", account.captured, account.rides));
                tell_at = tokio::time::Instant::now() + TELL_EVERY;
            }
            // What was killed last may still be starting.
            Ok(_) | Err(_) => {}
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    tokio::time::sleep(rest).await;
    let account = Account::take(crowd, city).await?;
    account.notes.iter().for_each(|note| say(&format!("  {note}")));
    Ok(account)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ride(from: &str, to: &str) -> Ride {
        Ride { from: from.to_owned(), to: to.to_owned(), by_in: "face", by_out: "code" }
    }

    fn trip(from: &str, to: &str) -> Trip {
        Trip {
            journey_id: "j".to_owned(),
            entry_station: Some(from.to_owned()),
            exit_station: Some(to.to_owned()),
            entry_medium: Some("face".to_owned()),
            exit_medium: Some("code".to_owned()),
            fare: None,
            charge_state: "captured".to_owned(),
        }
    }

    #[test]
    fn trips_in_another_order_are_the_same_and_others_are_named() {
        let rides = [ride("north", "south"), ride("south", "north")];
        assert!(differences(&rides, &[trip("south", "north"), trip("north", "south")]).is_empty());
        let named = differences(&rides, &[trip("north", "south"), trip("north", "south")]);
        assert_eq!(named.len(), 2, "{named:?}");
    }

    #[test]
    fn a_lost_one_and_a_doubled_one_do_not_cancel_out() {
        let mut account = Account { rides: 2, bodies: 4, journeys: 2, ledger_balanced: true, ..Account::default() };
        assert!(account.faults().is_empty());
        account.compare("trips of one", 1, 0);
        account.compare("trips of another", 1, 2);
        assert_eq!((account.lost, account.double, account.faults().len()), (1, 1, 2));
    }
}
