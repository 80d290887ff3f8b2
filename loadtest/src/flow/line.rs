//! Who comes through an aisle, one behind the other, with what the camera will see: each picture shows who really is next.

use anyhow::Result;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::people::Everybody;
use super::queue::Means;
use super::scene::Camera;
use super::walkers::Walkers;
use super::walkup::{PHASES, Seen, WalkUp};

/// Who comes through an aisle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Enrolled riders, who look and walk.
    Face,
    /// Enrolled ones by face, some with the phone in their hand; most are not enrolled and show a code.
    Mixed,
    /// Nobody enrolled, everybody with a code.
    Code,
    /// Nobody enrolled; one in three has a code, the others try all the same, some with the picture of a rider.
    Strangers,
}

impl Stream {
    pub const ALL: [Self; 4] = [Self::Face, Self::Mixed, Self::Code, Self::Strangers];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Face => "face",
            Self::Mixed => "mixed",
            Self::Code => "code",
            Self::Strangers => "strangers",
        }
    }

    pub const fn direction(self) -> &'static str {
        match self {
            Self::Face | Self::Mixed => "exit",
            Self::Code | Self::Strangers => "entry",
        }
    }

    /// Whether he is enrolled, how he means to pass, and whether he has a phone.
    fn next(self, random: &mut StdRng) -> (bool, Means, bool) {
        let enrolled = match self {
            Self::Face => true,
            Self::Mixed => random.random_bool(0.12),
            Self::Code | Self::Strangers => false,
        };
        let (means, has_phone) = match self {
            Self::Face => (Means::Face, true),
            Self::Mixed if enrolled && random.random_bool(0.25) => (Means::Both, true),
            Self::Mixed if enrolled => (Means::Face, true),
            Self::Mixed | Self::Code => (Means::Code, true),
            Self::Strangers if random.random_bool(0.33) => (Means::Code, true),
            Self::Strangers if random.random_bool(0.15) => (Means::Print, false),
            Self::Strangers => (Means::Neither, false),
        };
        (enrolled, means, has_phone)
    }
}

/// Somebody's place in a line.
#[derive(Debug)]
pub struct Turn {
    /// A number among those who walk.
    pub who: usize,
    pub means: Means,
    pub has_phone: bool,
    pub walk_up: WalkUp,
}

/// See the module's description. Behind the last comes the first again.
#[derive(Debug)]
pub struct Line {
    pub stream: Stream,
    pub turns: Vec<Turn>,
}

impl Line {
    pub fn draw(stream: Stream, walkers: &Walkers, all: &Everybody, length: usize, seed: u64) -> Result<Self> {
        let mut random = StdRng::seed_from_u64(seed ^ 0x6c69_6e65 ^ stream as u64);
        let mut camera = Camera::new()?;
        let come: Vec<(usize, Means, bool)> = (0..length)
            .map(|_| {
                let (enrolled, means, has_phone) = stream.next(&mut random);
                let who = if enrolled { walkers.an_enrolled(&mut random) } else { walkers.a_stranger(&mut random) };
                (who, means, has_phone)
            })
            .collect();
        let look = |who: usize| &all.people[walkers.get(who).person].looks[0];
        let followed = come.iter().zip(come.iter().cycle().skip(1));
        let turn = |(&(who, means, has_phone), (next, ..)): (&(usize, Means, bool), &(usize, Means, bool))| {
            let holds = (means == Means::Print).then(|| look(walkers.an_enrolled(&mut random)));
            let phase = random.random_range(0.0..PHASES);
            let walk_up = WalkUp::of(&mut camera, &Seen { look: look(who), holds, behind: look(*next), phase })?;
            Ok(Turn { who, means, has_phone, walk_up })
        };
        Ok(Self { stream, turns: followed.map(turn).collect::<Result<_>>()? })
    }
}
