//! The people: who they are, how they pay, and their rides.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use facegate_domain::Clock;
use facegate_domain::charge::{AcquirerName, AcquirerToken, Instrument};
use facegate_domain::code::{CodeIssuer, Phone};
use facegate_domain::face::{Embedding, Template};
use facegate_domain::ids::RiderId;
use facegate_domain::tap::Direction;
use tokio::time::sleep;

use super::acquirer::{DECLINED, SHORT};
use super::aisle::{Shown, Visit};
use super::dice::Dice;
use super::events::Broken;
use super::node::{STATIONS, station_id};
use super::world::World;
use crate::station::riders::Riders as Faces;

/// How long somebody stands before a gate.
const PATIENCE: Duration = Duration::from_secs(6);
const CERTIFICATE: Duration = Duration::from_secs(30 * 86_400);

fn card(kind: &str, number: usize) -> Result<Instrument> {
    let token = AcquirerToken::new(format!("{kind}{number}"))?;
    Ok(Instrument::Acquirer { acquirer: AcquirerName::default(), token })
}

/// Everybody.
#[derive(Debug)]
pub struct Riders {
    faces: Faces,
    people: Vec<Person>,
    /// Those who are on a leg now.
    walking: AtomicUsize,
}

#[derive(Debug)]
struct Person {
    phone: Phone,
    account: Instrument,
    /// Whether the cloud knows his face.
    enrolled: AtomicBool,
    /// Set before the cloud is asked to forget him.
    leaves: AtomicBool,
}

impl Riders {
    pub fn make(count: usize, dice: &Dice, issuer: &CodeIssuer, clock: &dyn Clock, quiet: bool) -> Result<Self> {
        let faces = Faces::make(count, dice.seed())?;
        let mut people = Vec::with_capacity(count);
        for (number, template) in faces.templates().iter().enumerate() {
            let secret = dice.bytes();
            let now = clock.now().minus(Duration::from_secs(3600));
            let certificate =
                issuer.issue(template.rider, &Phone::public_key(&secret), dice.bytes(), now, CERTIFICATE)?;
            let account = match dice.below(7) {
                // Whoever pays rides on.
                _ if quiet => card("tok_ok_", number)?,
                0 | 1 => Instrument::Wallet,
                2 => card(DECLINED, number)?,
                3 => card(SHORT, number)?,
                _ => card("tok_ok_", number)?,
            };
            let (enrolled, leaves) = Default::default();
            people.push(Person { phone: Phone::new(&secret, certificate), account, enrolled, leaves });
        }
        Ok(Self { faces, people, walking: AtomicUsize::new(0) })
    }

    pub fn count(&self) -> usize {
        self.people.len()
    }

    pub fn template(&self, rider: usize) -> &Template {
        &self.faces.templates()[rider]
    }

    pub fn id(&self, rider: usize) -> RiderId {
        self.template(rider).rider
    }

    pub fn account(&self, rider: usize) -> &Instrument {
        &self.people[rider].account
    }

    pub fn probe(&self, rider: usize, seed: u64) -> Embedding {
        self.faces.mated_probe(rider, seed).expect("a seeded probe has a length")
    }

    pub fn enrolled(&self, rider: usize) -> bool {
        self.people[rider].enrolled.load(Ordering::SeqCst)
    }

    pub fn set_enrolled(&self, rider: usize) {
        self.people[rider].enrolled.store(true, Ordering::SeqCst);
    }

    pub fn leaves(&self, rider: usize) -> bool {
        self.people[rider].leaves.load(Ordering::SeqCst)
    }

    pub fn set_leaves(&self, rider: usize) {
        self.people[rider].leaves.store(true, Ordering::SeqCst);
    }

    /// Nobody is on his way through a gate.
    pub fn at_rest(&self) -> bool {
        self.walking.load(Ordering::SeqCst) == 0
    }

    /// A station has recognised `found`, and `stands` stood there. Whom it has acknowledged to have forgotten it must
    /// not know, and nobody must be taken for another.
    pub async fn recognised(&self, world: &World, station: u8, found: RiderId, stands: usize) {
        if found != self.id(stands) {
            world.events.broken(Broken::DoubleCharge, format_args!("rider {stands} was taken for another"));
        }
        let Some(erased) = world.office.erased(stands) else { return };
        if world.has_acknowledged(station, &erased).await {
            let station = station_id(station);
            world.events.broken(Broken::Resurrected, format_args!("{station} knows rider {stands} again"));
        }
    }

    /// One person's day: rides until `world.closed()`.
    pub async fn live(world: Arc<World>, rider: usize) {
        let dice = world.dice.of(format_args!("rider {rider}"));
        let mut at = u8::try_from(rider).unwrap_or(0) % STATIONS;
        sleep(dice.ms(1_000..20_000)).await;
        while !world.closed() {
            world.riders.walking.fetch_add(1, Ordering::SeqCst);
            if world.riders.leaves(rider) {
                world.riders.haunt(&world, &dice, rider).await;
            } else if world.riders.walk(&world, &dice, rider, at, Direction::Entry).await {
                sleep(dice.ms(4_000..20_000)).await;
                at = (at + 1 + u8::try_from(dice.below(usize::from(STATIONS) - 1)).unwrap_or(0)) % STATIONS;
                world.riders.walk(&world, &dice, rider, at, Direction::Exit).await;
            }
            world.riders.walking.fetch_sub(1, Ordering::SeqCst);
            sleep(dice.ms(3_000..25_000)).await;
        }
    }

    /// Who has left comes back, and shows his face to a gate that must not know it.
    async fn haunt(&self, world: &Arc<World>, dice: &Dice, rider: usize) {
        let station = u8::try_from(dice.below(usize::from(STATIONS))).unwrap_or(0);
        let aisle = world.aisle(station, Direction::Entry);
        let _turn = aisle.queue.lock().await;
        aisle.stand(Visit { rider, shown: Shown::Face(dice.seed()) }, PATIENCE).await;
    }

    /// Through one gate, with as many tries as it takes; he gives up when the network closes, or after too many.
    async fn walk(&self, world: &Arc<World>, dice: &Dice, rider: usize, station: u8, way: Direction) -> bool {
        for _ in 0..12 {
            let aisle = world.aisle(station, way);
            let turn = aisle.queue.lock().await;
            let shown = if dice.chance(0.55) {
                Shown::Face(dice.seed())
            } else {
                Shown::Code(self.people[rider].phone.show(world.now(), dice.bytes()))
            };
            if aisle.stand(Visit { rider, shown }, PATIENCE).await {
                return true;
            }
            drop(turn);
            sleep(dice.ms(1_000..6_000)).await;
            if world.closed() {
                return false;
            }
        }
        false
    }
}
