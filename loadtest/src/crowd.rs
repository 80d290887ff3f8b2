//! A crowd that rides all the time, through every gate, by face and by code: load under which processes die and wires
//! break, and the truth about it. Rides are counted where the bodies are, never by the records that are tested.

mod account;
mod passenger;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use facegate_models::{EngineOptions, FaceEngine};
use futures::future::try_join_all;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio_util::sync::CancellationToken;

pub use account::{Account, settled};
pub use passenger::{Passenger, Ride};

use crate::aisle::Walk;
use crate::city::{City, Gate, STATIONS};
use crate::demo::story::By;
use crate::people::People;

/// How long a body stands before a door that stays closed.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often somebody tries again at a gate that does not let him through while something is down.
const ATTEMPTS_MAX: usize = 25;
/// How long a gate may take to let go of who has left: longer than any restart.
const LETS_GO_WITHIN: Duration = Duration::from_secs(90);
/// Two looks at a gate that has to be free: longer apart than it waits for its station's answer.
const LOOK_EVERY: Duration = Duration::from_millis(1500);
/// One entry in so many by face begins before the entrance camera.
const ONE_IN_IS_SIGHTED: u32 = 4;

/// Everybody who rides, and the gates that they ride through.
#[derive(Debug)]
pub struct Crowd {
    passengers: Vec<Passenger>,
    turnstiles: Vec<Turnstile>,
    camera: Gate,
    /// Who passed which gate by what, counted.
    passes: Mutex<BTreeMap<(String, &'static str), usize>>,
    gave_up: AtomicUsize,
}

/// A gate, one body at a time.
#[derive(Debug)]
struct Turnstile {
    gate: Gate,
    queue: tokio::sync::Mutex<()>,
}

impl Crowd {
    /// Enrols those who have two photographs, and `by_code_only` more; waits until both stations know the faces.
    pub async fn enrol(city: &City, home: &Path, by_code_only: usize) -> Result<Self> {
        let engine = FaceEngine::load(&home.join("models"), EngineOptions::default())?;
        let people = People::load(&home.join("people"))?;
        let app = city.metro_app()?;
        let mut passengers = Vec::new();
        let faces = people.riders.iter().map(Some).chain(std::iter::repeat_n(None, by_code_only));
        for (number, face) in faces.enumerate() {
            passengers.push(Passenger::enrol(&app, &engine, number, face).await?);
        }
        city.wait_for_feed().await?;
        let turnstile = |gate: &Gate| Turnstile { gate: gate.clone(), queue: tokio::sync::Mutex::default() };
        let turnstiles = city.gates().iter().map(turnstile).collect();
        let (camera, passes, gave_up) = (city.camera().clone(), Mutex::default(), AtomicUsize::new(0));
        Ok(Self { passengers, turnstiles, camera, passes, gave_up })
    }

    pub fn passengers(&self) -> &[Passenger] {
        &self.passengers
    }

    /// Complete rides so far.
    pub fn rides(&self) -> usize {
        self.passengers.iter().map(|passenger| passenger.rides().len()).sum()
    }

    /// Bodies that crossed a beam so far.
    pub fn bodies(&self) -> usize {
        self.turnstiles.iter().map(|turnstile| turnstile.gate.aisle.crossed().len()).sum()
    }

    /// The same for each gate.
    pub fn bodies_by_gate(&self) -> impl Iterator<Item = (String, usize)> {
        let of = |turnstile: &Turnstile| (turnstile.gate.id.clone(), turnstile.gate.aisle.crossed().len());
        self.turnstiles.iter().map(of)
    }

    /// Bodies that passed the gates of `station` by this medium so far.
    pub fn passed(&self, station: &str, by: By) -> usize {
        let passes = self.lock_passes();
        let of_station = passes.iter().filter(|((gate, medium), _)| gate.starts_with(station) && *medium == by.name());
        of_station.map(|(_, count)| count).sum()
    }

    fn lock_passes(&self) -> MutexGuard<'_, BTreeMap<(String, &'static str), usize>> {
        self.passes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often somebody stood before a door that stayed closed.
    pub fn gave_up(&self) -> usize {
        self.gave_up.load(Ordering::Relaxed)
    }

    /// Everybody rides until `stop`; who is inside then comes out first.
    pub async fn ride_until(&self, seed: u64, stop: &CancellationToken) -> Result<()> {
        let everybody = self.passengers.iter().zip(0..).map(|(passenger, number)| async move {
            let mut choices = StdRng::seed_from_u64(seed.wrapping_add(number));
            while !stop.is_cancelled() {
                self.ride(passenger, &mut choices).await?;
                tokio::time::sleep(Duration::from_millis(choices.random_range(0..2000))).await;
            }
            Ok::<_, anyhow::Error>(())
        });
        try_join_all(everybody).await.map(drop)
    }

    /// In at one station and out at the other.
    async fn ride(&self, passenger: &Passenger, choices: &mut StdRng) -> Result<()> {
        let from = choices.random_range(0..STATIONS.len());
        let to = (from + 1) % STATIONS.len();
        let mut by = || if passenger.has_face() && choices.random_bool(0.6) { By::Face } else { By::Code };
        let (by_in, by_out) = (by(), by());
        if by_in == By::Face && from == 0 && choices.random_ratio(1, ONE_IN_IS_SIGHTED) {
            self.camera.walk_by(&passenger.frames(By::Face)?).await?;
        }
        let by_in = self.pass(passenger, &format!("{}-in", STATIONS[from]), by_in).await?;
        tokio::time::sleep(Duration::from_millis(choices.random_range(0..1500))).await;
        let by_out = self.pass(passenger, &format!("{}-out", STATIONS[to]), by_out).await?;
        let (from, to) = (STATIONS[from].to_owned(), STATIONS[to].to_owned());
        passenger.rode(Ride { from, to, by_in: by_in.name(), by_out: by_out.name() });
        Ok(())
    }

    /// Tries until the body is through; gives by what it was. Whose face does not open the gate shows his code.
    async fn pass(&self, passenger: &Passenger, gate: &str, by: By) -> Result<By> {
        let turnstile = self.turnstiles.iter().find(|turnstile| turnstile.gate.id == gate);
        let turnstile = turnstile.with_context(|| format!("there is no gate {gate}"))?;
        let _turn = turnstile.queue.lock().await;
        let mut by = by;
        for _ in 0..ATTEMPTS_MAX {
            // Fresh frames each time: a code is good for one opening only.
            if let Walk::Crossed { .. } = turnstile.gate.visit(&passenger.frames(by)?, PATIENCE).await? {
                *self.lock_passes().entry((gate.to_owned(), by.name())).or_default() += 1;
                return Ok(by);
            }
            self.gave_up.fetch_add(1, Ordering::Relaxed);
            turnstile.lets_go().await.with_context(|| format!("after {}", passenger.label))?;
            by = By::Code;
        }
        bail!(
            "{gate} did not let {} through in {ATTEMPTS_MAX} attempts; see {}",
            passenger.label,
            turnstile.gate.log.display()
        )
    }
}

impl Turnstile {
    /// Waits until the gate has done with who stood there, so that no opening of his is left for the next body.
    async fn lets_go(&self) -> Result<()> {
        let deadline = tokio::time::Instant::now() + LETS_GO_WITHIN;
        while tokio::time::Instant::now() < deadline {
            tokio::time::sleep(LOOK_EVERY).await;
            let Ok(screen) = self.gate.screen().await else { continue };
            if matches!(screen.phase.as_str(), "idle" | "refused") && !self.gate.aisle.is_open() {
                return Ok(());
            }
        }
        bail!("{} is not free again; see {}", self.gate.id, self.gate.log.display())
    }
}
