//! Everybody who walks in a run, with his phone and the pictures of his walk.

use std::time::Duration;

use anyhow::{Result, ensure};
use facegate_domain::code::{CodeIssuer, Phone};
use facegate_domain::ids::RiderId;
use facegate_models::FaceEngine;
use facegate_models::liveness::LivenessVerdict;
use facegate_runtime::clock::{Clock, SystemClock};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use super::people::Everybody;
use super::scene::Camera;
use super::walkup::WalkUp;
use crate::phone;

const CERTIFIED_FOR: Duration = Duration::from_secs(24 * 3600);

/// Somebody who walks.
#[derive(Debug)]
pub struct Walker {
    /// His place among [`Everybody`].
    pub person: usize,
    /// Whose account his code is for; of one who is enrolled the same as his face's.
    pub rider: RiderId,
    pub phone: Phone,
    pub walk_up: WalkUp,
}

/// See the module's description.
#[derive(Debug)]
pub struct Walkers {
    pub enrolled: Vec<Walker>,
    pub strangers: Vec<Walker>,
    /// Whose pictures were taken for pictures: they take no part.
    pub not_live: usize,
}

impl Walkers {
    /// At most `most` of each kind.
    pub fn gather(engine: &FaceEngine, all: &Everybody, issuer: &CodeIssuer, most: usize, seed: u64) -> Result<Self> {
        let mut random = StdRng::seed_from_u64(seed ^ 0x7761_6c6b);
        let mut camera = Camera::new()?;
        let (mut enrolled, mut others) = all.by_enrolment();
        enrolled.shuffle(&mut random);
        others.shuffle(&mut random);
        let mut walkers = Self { enrolled: Vec::new(), strangers: Vec::new(), not_live: 0 };
        for (places, is_enrolled) in [(enrolled, true), (others, false)] {
            let mut found = Vec::new();
            for place in places {
                if found.len() == most {
                    break;
                }
                let person = &all.people[place];
                let behind = &all.people[(place + 1 + random.random_range(0..all.people.len() - 1)) % all.people.len()];
                let phase = random.random_range(0.0..6.3);
                let walk_up = WalkUp::of(&mut camera, &person.looks[0], &behind.looks[0], phase)?;
                if walk_up.verdict(engine)? != LivenessVerdict::Live {
                    walkers.not_live += 1;
                    continue;
                }
                let rider = person.template.as_ref().map_or_else(|| RiderId::from_bytes(random.random()), |t| t.rider);
                let phone = certified(issuer, rider)?;
                found.push(Walker { person: place, rider, phone, walk_up });
            }
            eprintln!("{} {} walk", found.len(), if is_enrolled { "enrolled riders" } else { "who are not enrolled" });
            *(if is_enrolled { &mut walkers.enrolled } else { &mut walkers.strangers }) = found;
        }
        ensure!(!walkers.enrolled.is_empty() && !walkers.strangers.is_empty(), "nobody's pictures pass for a person");
        Ok(walkers)
    }

    /// The enrolled first, then the strangers.
    pub fn get(&self, who: usize) -> &Walker {
        self.enrolled.get(who).unwrap_or_else(|| &self.strangers[who - self.enrolled.len()])
    }

    pub fn is_enrolled(&self, who: usize) -> bool {
        who < self.enrolled.len()
    }

    pub fn an_enrolled(&self, random: &mut StdRng) -> usize {
        random.random_range(0..self.enrolled.len())
    }

    pub fn a_stranger(&self, random: &mut StdRng) -> usize {
        self.enrolled.len() + random.random_range(0..self.strangers.len())
    }
}

fn certified(issuer: &CodeIssuer, rider: RiderId) -> Result<Phone> {
    let secret = phone::new_secret();
    let now = SystemClock::new().now();
    let certificate = issuer.issue(rider, &Phone::public_key(&secret), rand::random(), now, CERTIFIED_FOR)?;
    Ok(phone::phone(&secret, certificate.as_bytes().to_vec()))
}
