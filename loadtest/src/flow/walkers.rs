//! Everybody who walks in a run, with his phone.

use std::cmp::Reverse;
use std::time::Duration;

use anyhow::{Result, ensure};
use facegate_domain::code::{CodeIssuer, Phone};
use facegate_domain::face::Embedding;
use facegate_domain::ids::RiderId;
use facegate_models::FaceEngine;
use facegate_models::liveness::LivenessVerdict;
use facegate_runtime::clock::{Clock, SystemClock};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use super::people::Everybody;
use super::scene::Camera;
use super::walkup;
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
        // Riders as enrolment wants them first: with several photographs.
        let photographs = |place: &usize| all.people[*place].template.as_ref().map_or(0, |of| of.photographs);
        enrolled.sort_by_key(|place| Reverse(photographs(place)));
        // How like the riders are to their templates: on their photographs, and as the camera sees them.
        let (mut photographed, mut filmed) = (Vec::new(), Vec::new());
        let mut walkers = Self { enrolled: Vec::new(), strangers: Vec::new(), not_live: 0 };
        for (places, is_enrolled) in [(enrolled, true), (others, false)] {
            let mut found = Vec::new();
            for place in places {
                if found.len() == most {
                    break;
                }
                let person = &all.people[place];
                let phase = random.random_range(0.0..walkup::PHASES);
                let looked = walkup::look_at(engine, &mut camera, &person.looks[0], phase)?;
                if looked.verdict != LivenessVerdict::Live {
                    walkers.not_live += 1;
                    continue;
                }
                let template = person.template.as_ref().map(|template| &template.embedding);
                let cosine = |seen: &Embedding| Some(template?.similarity(seen).cosine());
                photographed.extend(cosine(&person.looks[0].embedding));
                filmed.extend(looked.probe.as_ref().and_then(cosine));
                let rider = person.template.as_ref().map_or_else(|| RiderId::from_bytes(random.random()), |t| t.rider);
                let phone = certified(issuer, rider)?;
                found.push(Walker { person: place, rider, phone });
            }
            eprintln!("{} {} walk", found.len(), if is_enrolled { "enrolled riders" } else { "who are not enrolled" });
            *(if is_enrolled { &mut walkers.enrolled } else { &mut walkers.strangers }) = found;
        }
        let [photographed, filmed] = [photographed, filmed].map(quartiles);
        eprintln!(
            "cosine with the template, quartiles: photographs {photographed:.2?}, seen by the camera {filmed:.2?}"
        );
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

fn quartiles(mut of: Vec<f32>) -> Vec<f32> {
    of.sort_by(f32::total_cmp);
    [1, 2, 3].iter().filter_map(|quarter| of.get(of.len() * quarter / 4).copied()).collect()
}

fn certified(issuer: &CodeIssuer, rider: RiderId) -> Result<Phone> {
    let secret = phone::new_secret();
    let now = SystemClock::new().now();
    let certificate = issuer.issue(rider, &Phone::public_key(&secret), rand::random(), now, CERTIFIED_FOR)?;
    Ok(phone::phone(&secret, certificate.as_bytes().to_vec()))
}
