//! Bodies in one aisle: they come up the approach zone one behind the other, stand before the door, pass or leave.
//! Pure; the clock and the door are told.
//!
//! Metres count from the door towards those who come; a body that has passed is at a negative place.

use std::collections::VecDeque;

use rand::Rng;
use rand::rngs::StdRng;

/// Where somebody enters the camera's view.
pub const ZONE_M: f64 = 2.5;
/// Where he stands while the door is closed.
pub const LINE_M: f64 = 0.35;
/// Where the exit beam is.
pub const BEYOND_M: f64 = -0.35;
/// From the command until the door lets somebody through.
pub const DOOR_S: f64 = 0.4;
/// Between two who follow each other.
pub const HEADWAY_S: f64 = 0.8;
const SPEED_MPS: (f64, f64) = (1.2, 0.2);
/// From standing there to a code that can be read.
const PRESENTATION_S: (f64, f64) = (1.8, 0.6);
/// Of who has his phone in his hand already.
const AT_HAND_S: (f64, f64) = (0.3, 0.1);
/// Where and how long somebody stops who is not sure.
const HESITATES_AT_M: f64 = 1.2;
const HESITATES_S: std::ops::Range<f64> = 0.5..2.0;
/// Who is so near behind another who steps in can follow him through.
const AT_HIS_HEELS_M: f64 = 1.3;
/// How long a face waits before its owner takes out the phone, or leaves.
const FACE_PATIENCE_S: f64 = 2.5;
/// How long a code is held up.
const CODE_PATIENCE_S: f64 = 6.0;

/// How somebody means to pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    Face,
    Code,
    /// The phone is in his hand, and his face is enrolled.
    Both,
    /// Neither is his: he tries all the same.
    Neither,
    /// Another's face, printed, before his own.
    Print,
}

/// How somebody walks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Straight,
    /// Stops on his way, and goes on.
    Hesitates,
    /// Steps into the open door, and back.
    TurnsBack,
    /// Draws a case behind him.
    HasLuggage,
    /// Goes through the door of the one before him.
    Tailgates,
}

impl Manner {
    /// As people do who are not watched: most go straight.
    pub fn of_a_crowd(random: &mut StdRng) -> Self {
        match random.random_range(0..100) {
            0..8 => Self::Hesitates,
            8..11 => Self::TurnsBack,
            11..21 => Self::HasLuggage,
            21..24 => Self::Tailgates,
            _ => Self::Straight,
        }
    }
}

/// Somebody in the aisle.
#[derive(Debug, Clone)]
pub struct Body {
    /// His place in the line.
    pub turn: usize,
    pub means: Means,
    pub has_phone: bool,
    pub manner: Manner,
    pub metres: f64,
    speed: f64,
    presentation_s: f64,
    /// How much longer he stands there in thought.
    hesitates_s: f64,
    /// When he came to the line.
    arrived_s: Option<f64>,
    /// From when on his code can be read.
    shows_code_s: Option<f64>,
}

impl Body {
    pub fn new(turn: usize, means: Means, has_phone: bool, manner: Manner, random: &mut StdRng) -> Self {
        let hesitates_s = if manner == Manner::Hesitates { random.random_range(HESITATES_S) } else { 0.0 };
        let presentation = if means == Means::Both { AT_HAND_S } else { PRESENTATION_S };
        Self {
            turn,
            means,
            has_phone,
            manner,
            metres: ZONE_M,
            speed: near(SPEED_MPS, random),
            presentation_s: near(presentation, random),
            hesitates_s,
            arrived_s: None,
            shows_code_s: None,
        }
    }

    /// Whether the camera sees his code now.
    pub fn shows_code(&self, now_s: f64) -> bool {
        self.shows_code_s.is_some_and(|from| now_s >= from)
    }

    /// The screen has told him that his face will not do.
    pub fn is_refused(&mut self, now_s: f64) {
        if self.has_phone && self.shows_code_s.is_none() {
            self.shows_code_s = Some(now_s + self.presentation_s);
        } else if !self.has_phone {
            self.arrived_s = Some(f64::NEG_INFINITY);
        }
    }

    /// How far he comes in `dt_s` if nobody is in his way.
    fn strides(&mut self, dt_s: f64) -> f64 {
        if self.metres > HESITATES_AT_M || self.hesitates_s <= 0.0 {
            return self.speed * dt_s;
        }
        self.hesitates_s -= dt_s;
        0.0
    }

    /// At the line: takes out his phone in time; true if he leaves.
    fn loses_patience(&mut self, now_s: f64) -> bool {
        let arrived = *self.arrived_s.get_or_insert(now_s);
        let by_face = matches!(self.means, Means::Face | Means::Neither | Means::Print);
        let waits = if by_face { FACE_PATIENCE_S } else { 0.0 };
        match self.shows_code_s {
            Some(from) => now_s > from + CODE_PATIENCE_S,
            None if now_s < arrived + waits => false,
            None if self.has_phone => {
                self.shows_code_s = Some(now_s + self.presentation_s);
                false
            }
            None => true,
        }
    }
}

/// Normal deviates within two standard deviations: nobody stands still, nobody runs.
fn near((mean, deviation): (f64, f64), random: &mut StdRng) -> f64 {
    let uniform: f64 = random.random_range(f64::EPSILON..1.0);
    let angle: f64 = random.random_range(0.0..std::f64::consts::TAU);
    let normal = (-2.0 * uniform.ln()).sqrt() * angle.cos();
    mean + deviation * normal.clamp(-2.0, 2.0)
}

/// What became of who was first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Nothing,
    /// He has gone through the exit beam.
    Passed,
    /// He has turned back.
    Left,
}

/// Those in the aisle, the first one first.
#[derive(Debug, Default)]
pub struct Queue {
    bodies: VecDeque<Body>,
}

impl Queue {
    /// Whether there is room for who comes next, at the pace of `next`.
    pub fn has_room(&self) -> bool {
        self.bodies.back().is_none_or(|last| ZONE_M - last.metres >= HEADWAY_S * SPEED_MPS.0)
    }

    pub fn comes(&mut self, body: Body) {
        self.bodies.push_back(body);
    }

    pub fn first(&mut self) -> Option<&mut Body> {
        self.bodies.front_mut()
    }

    /// Who is nearest to the door and before it.
    pub fn in_view(&self) -> Option<&Body> {
        self.bodies.iter().find(|body| body.metres > 0.1)
    }

    /// The one that passed or left is taken out.
    pub fn leave(&mut self) -> Option<Body> {
        self.bodies.pop_front()
    }

    /// Whether somebody is at the heels of the first one who will not wait for his own turn.
    pub fn has_tailgater(&self) -> bool {
        let (first, next) = (self.bodies.front(), self.bodies.get(1));
        let near = first.zip(next).filter(|(first, next)| next.metres - first.metres <= AT_HIS_HEELS_M);
        near.is_some_and(|(_, next)| next.manner == Manner::Tailgates)
    }

    /// Whether the first one stands before the door, or would have to stop there now.
    pub fn is_at_the_line(&self) -> bool {
        self.bodies.front().is_some_and(|body| body.metres <= LINE_M + 0.05)
    }

    /// Moves all on by `dt_s`; the first one goes through if he may.
    pub fn step(&mut self, now_s: f64, dt_s: f64, may_pass: bool) -> Step {
        let mut ahead: Option<f64> = None;
        let mut step = Step::Nothing;
        for body in &mut self.bodies {
            let wants = body.metres - body.strides(dt_s);
            let limit = match ahead {
                None if may_pass || body.metres < LINE_M => f64::NEG_INFINITY,
                None => LINE_M,
                // Nobody but the first goes through the door, and all keep their distance.
                Some(ahead) => (ahead + HEADWAY_S * body.speed).max(LINE_M),
            };
            body.metres = wants.max(limit).min(body.metres);
            if ahead.is_none() && body.metres <= BEYOND_M {
                step = Step::Passed;
            } else if ahead.is_none() && body.metres <= LINE_M && !may_pass && body.loses_patience(now_s) {
                step = Step::Left;
            }
            ahead = Some(body.metres);
        }
        step
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    const DT: f64 = 0.05;

    /// How many pass in a minute of a stream of one kind, before a door that is told to open so many seconds after what
    /// it waits for.
    fn a_minute(means: Means, opens_after_s: f64) -> usize {
        let mut random = StdRng::seed_from_u64(1);
        let (mut queue, mut passed) = (Queue::default(), 0);
        let mut seen_since = None;
        for tick in 0..1200 {
            let now = f64::from(tick) * DT;
            if queue.has_room() {
                queue.comes(Body::new(0, means, true, Manner::Straight, &mut random));
            }
            let seen = queue.first().is_some_and(|body| match means {
                Means::Code => body.shows_code(now),
                _ => body.metres < 1.5,
            });
            seen_since = if seen { seen_since.or(Some(now)) } else { None };
            let is_open = seen_since.is_some_and(|since: f64| now >= since + opens_after_s + DOOR_S);
            match queue.step(now, DT, is_open) {
                Step::Passed => {
                    queue.leave();
                    seen_since = None;
                    passed += 1;
                }
                Step::Left => drop(queue.leave()),
                Step::Nothing => {}
            }
        }
        passed
    }

    #[test]
    fn a_gate_that_sees_them_coming_lets_more_pass_than_one_that_waits_for_their_codes() {
        let (face, code) = (a_minute(Means::Face, 0.3), a_minute(Means::Code, 0.1));
        assert!((35..=75).contains(&face), "{face}: nobody is faster than the headway allows");
        assert!((14..=26).contains(&code), "{code}");
    }

    #[test]
    fn a_closed_door_is_passed_by_nobody_and_left_by_who_has_nothing_to_show() {
        let mut random = StdRng::seed_from_u64(2);
        let mut queue = Queue::default();
        queue.comes(Body::new(0, Means::Neither, false, Manner::Straight, &mut random));
        queue.comes(Body::new(1, Means::Face, true, Manner::Straight, &mut random));
        let mut steps = Vec::new();
        for tick in 0..400 {
            let now = f64::from(tick) * DT;
            let step = queue.step(now, DT, false);
            if step == Step::Left {
                steps.push((queue.leave().unwrap().turn, now));
            }
            assert!(queue.first().is_none_or(|first| first.metres >= LINE_M - 1e-9));
            assert_ne!(step, Step::Passed);
        }
        assert_eq!(steps.iter().map(|(turn, _)| *turn).collect::<Vec<_>>(), [0, 1]);
        assert!(steps[0].1 < 6.0, "{steps:?}");
    }

    #[test]
    fn they_keep_their_distance() {
        let mut random = StdRng::seed_from_u64(3);
        let mut queue = Queue::default();
        for tick in 0..200 {
            if queue.has_room() {
                queue.comes(Body::new(tick, Means::Face, true, Manner::of_a_crowd(&mut random), &mut random));
            }
            #[expect(clippy::cast_precision_loss, reason = "a small number")]
            queue.step(tick as f64 * DT, DT, false);
            for (first, next) in queue.bodies.iter().zip(queue.bodies.iter().skip(1)) {
                assert!(next.metres - first.metres > 0.5, "{} {}", first.metres, next.metres);
            }
        }
        assert!(queue.bodies.len() >= 2);
    }
}
