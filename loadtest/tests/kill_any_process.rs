//! Kill any one process, at any moment of a ride, and start it again: no ride is lost, none is charged twice.
//!
//! Rides are counted where the bodies are: a ride is a body that crossed an entry beam and later an exit beam. Money is
//! counted in the acquirer's own book and in what the rider's trips say. Neither count comes from the records whose
//! loss or doubling the test is looking for.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use facegate_loadtest::aisle::Walk;
use facegate_loadtest::city::{City, CityOptions, Gate};
use facegate_loadtest::demo::story::{By, Rider, enrol_people};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// The moments of the kills; another seed is another test.
const SEED: u64 = 7;
/// How often a rider tries again at a gate that does not let him through while something is down.
const ATTEMPTS_MAX: usize = 25;

#[tokio::test(flavor = "multi_thread")]
async fn killing_any_process_during_a_ride_loses_no_ride_and_charges_nobody_twice() -> Result<()> {
    let home = std::env::var_os("FACEGATE_HOME")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.facegate")), PathBuf::from);
    let folder = tempfile::tempdir()?;
    let options = CityOptions::new(&home, folder.path());
    let mut city = City::start(&options).await?;
    let riders = enrol_people(&city, &home).await?;

    let mut moments = StdRng::seed_from_u64(SEED);
    let mut rides = vec![0usize; riders.len()];
    for (turn, victim) in city.process_names().into_iter().enumerate() {
        let after = Duration::from_millis(moments.random_range(0..2500));
        let who = turn % riders.len();
        let by = [[By::Face, By::Code], [By::Code, By::Face]][turn / 2 % 2];
        eprintln!("ride {turn} of {}: {victim} is killed {after:?} into it", riders[who].label);
        ride_while_one_is_killed(&mut city, &riders[who], by, &victim, after)
            .await
            .with_context(|| format!("the ride during which {victim} was killed (seed {SEED})"))?;
        rides[who] += 1;
    }

    settled(&city, &riders, &rides).await?;
    let overview = city.overview().await?;
    let bodies: usize = city.gates().iter().map(|gate| gate.aisle.crossed().len()).sum();
    assert_eq!(bodies, 2 * rides.iter().sum::<usize>(), "every ride is two bodies across two beams");
    assert_eq!(overview.taps, bodies as u64, "one tap for each body that crossed a beam");
    assert_eq!(overview.journeys, rides.iter().sum::<usize>() as u64, "one journey for each ride");
    assert!(overview.gaps.is_empty(), "{} gaps", overview.gaps.len());
    assert_eq!(overview.conflicts, 0);
    assert!(overview.ledger_balanced);
    let book = city.acquirer_book().await?;
    let captured: u64 = book.tokens.values().map(|token| token.captures).sum();
    assert_eq!(captured, rides[1] as u64, "the rider with the card is captured once for each ride");
    city.stop().await
}

/// In at one station and out at the other, with `victim` killed and restarted `after` the first step.
async fn ride_while_one_is_killed(
    city: &mut City,
    rider: &Rider,
    by: [By; 2],
    victim: &str,
    after: Duration,
) -> Result<()> {
    let entry = city.gate("north", "in")?.clone();
    let exit = city.gate("south", "out")?.clone();
    let ride = async {
        pass(&entry, rider, by[0]).await.context("at the entry")?;
        pass(&exit, rider, by[1]).await.context("at the exit")
    };
    let kill = async {
        tokio::time::sleep(after).await;
        city.kill_and_restart(victim).await
    };
    let (rode, killed) = tokio::join!(ride, kill);
    killed?;
    rode
}

/// Tries until the body is through; a rider whose gate is dead for a moment does the same.
async fn pass(gate: &Gate, rider: &Rider, by: By) -> Result<()> {
    for _ in 0..ATTEMPTS_MAX {
        // Fresh frames each time: a code is good for one opening only.
        if let Walk::Crossed { .. } = gate.walk(&rider.frames(by)?, Duration::from_secs(3)).await? {
            return Ok(());
        }
    }
    anyhow::bail!("{} did not let {} through in {ATTEMPTS_MAX} attempts", gate.id, rider.label)
}

/// Waits until each rider's trips are all there and charged.
async fn settled(city: &City, riders: &[Rider], rides: &[usize]) -> Result<()> {
    let app = city.metro_app()?;
    for (rider, expected) in riders.iter().zip(rides) {
        let mut captured = 0;
        for _ in 0..300 {
            let trips = app.trips(&rider.id).await.unwrap_or_default();
            captured = trips.iter().filter(|trip| trip.charge_state == "captured").count();
            ensure!(captured <= *expected, "{}: {captured} trips charged for {expected} rides", rider.label);
            if captured == *expected {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        ensure!(captured == *expected, "{}: {captured} trips charged for {expected} rides", rider.label);
    }
    // What would be charged a second time has had its chance by now.
    tokio::time::sleep(Duration::from_secs(3)).await;
    for (rider, expected) in riders.iter().zip(rides) {
        let trips = app.trips(&rider.id).await?;
        ensure!(trips.len() == *expected, "{}: {} trips for {expected} rides", rider.label, trips.len());
    }
    Ok(())
}
