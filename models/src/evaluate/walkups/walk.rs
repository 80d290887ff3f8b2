//! How it moves: a walk towards a camera above eye level, the head swaying as heads do, a card held in a hand that
//! tilts and trembles.

use std::f64::consts::TAU;

use rand::Rng;
use rand::rngs::StdRng;

use super::linear::{Matrix, Vector, multiply, rotation, tilt_between};

/// Where something is and how it is turned, in the camera's axes.
#[derive(Debug, Clone, Copy)]
pub struct Pose {
    pub turned: Matrix,
    pub at: Vector,
}

/// A slow swing of one quantity: amplitude, turns per second, phase.
#[derive(Debug, Clone, Copy)]
struct Swing {
    amplitude: f64,
    per_s: f64,
    phase: f64,
}

impl Swing {
    fn draw(rng: &mut StdRng, amplitude: (f64, f64), per_s: (f64, f64)) -> Self {
        Self {
            amplitude: rng.random_range(amplitude.0..amplitude.1),
            per_s: rng.random_range(per_s.0..per_s.1),
            phase: rng.random_range(0.0..TAU),
        }
    }

    fn at(&self, s: f64) -> f64 {
        self.amplitude * (TAU * self.per_s * s + self.phase).sin()
    }
}

/// What moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// A head on its neck.
    Head,
    /// A card in a hand before one's own face.
    Card,
}

/// One walk-up, as a function of time. Angles in degrees, lengths in millimetres.
#[derive(Debug, Clone)]
pub struct Walk {
    pub frames: usize,
    seconds: f64,
    camera_above: f64,
    camera_tilt: f64,
    start: f64,
    end: f64,
    sideways: f64,
    sway: Swing,
    bob: Swing,
    yaw: (f64, f64, Swing),
    pitch: (f64, f64, Swing),
    roll: (f64, Swing),
    /// Share of the angle to the camera by which it is faced.
    faces_camera: f64,
    tremor: [Swing; 5],
}

impl Walk {
    /// Draws until the tilt towards the camera changes by `tilt_min` degrees at least within the walk.
    pub fn draw(rng: &mut StdRng, held: Held, tilt_min: f64) -> Self {
        loop {
            let walk = Self::any(rng, held);
            if walk.tilt_degrees() >= tilt_min {
                return walk;
            }
        }
    }

    fn any(rng: &mut StdRng, held: Held) -> Self {
        let camera_above: f64 = rng.random_range(200.0..400.0);
        let between = |rng: &mut StdRng, v: f64| rng.random_range(-v..v);
        // A hand tilts a card further and trembles; a head sways with the steps, two of them a second.
        let (turn, swing, tremble) = match held {
            Held::Head => (10.0, (2.0, 8.0), 0.0),
            Held::Card => (12.0, (3.0, 12.0), 1.0),
        };
        let tremor =
            |rng: &mut StdRng, amplitude: f64| Swing::draw(rng, (0.3 * amplitude, amplitude + 1e-9), (6.0, 11.0));
        let faces_camera = match held {
            Held::Head => rng.random_range(0.0..0.6),
            Held::Card => rng.random_range(0.0..1.0),
        };
        Self {
            frames: rng.random_range(8..=15),
            seconds: rng.random_range(1.2..2.2),
            camera_above,
            camera_tilt: camera_above.atan2(1000.0).to_degrees() + between(rng, 3.0),
            start: rng.random_range(1700.0..2000.0),
            end: rng.random_range(600.0..750.0),
            sideways: between(rng, 150.0),
            sway: Swing::draw(rng, (5.0, 25.0), (0.8, 1.1)),
            bob: Swing::draw(rng, (5.0, 20.0), (1.6, 2.2)),
            yaw: (between(rng, turn), between(rng, turn), Swing::draw(rng, swing, (0.4, 1.0))),
            pitch: (
                between(rng, turn / 2.0),
                between(rng, turn / 2.0),
                Swing::draw(rng, (swing.0 / 2.0, swing.1 / 2.0), (0.4, 1.0)),
            ),
            roll: (between(rng, 4.0), Swing::draw(rng, (0.5, 3.0), (0.4, 1.0))),
            faces_camera,
            tremor: [3.0, 3.0, 2.0, 1.0, 1.0].map(|v| tremor(rng, v * tremble)),
        }
    }

    /// Seconds after the start at which frame `index` is taken.
    pub fn time(&self, index: usize) -> f64 {
        self.seconds * index as f64 / (self.frames - 1).max(1) as f64
    }

    /// Where the point between the eyes is at a time, and how the face is turned.
    pub fn pose(&self, s: f64) -> Pose {
        let share = s / self.seconds;
        let z = self.start + (self.end - self.start) * share + self.tremor[2].at(s);
        let x = self.sideways * (1.0 - share) + self.sway.at(s) + self.tremor[0].at(s);
        let y = self.camera_above + self.bob.at(s) + self.tremor[1].at(s);
        let along = |(from, to, swing): &(f64, f64, Swing)| from + (to - from) * share + swing.at(s);
        // A face that looks up at the camera is pitched against the positive sense.
        let up = self.faces_camera * y.atan2(z).to_degrees();
        let turned = rotation(
            (along(&self.yaw) + self.tremor[3].at(s)).to_radians(),
            (along(&self.pitch) - up + self.tremor[4].at(s)).to_radians(),
            (self.roll.0 + self.roll.1.at(s)).to_radians(),
        );
        let camera = rotation(0.0, self.camera_tilt.to_radians(), 0.0);
        Pose { turned: multiply(&camera, &turned), at: super::linear::apply(&camera, [x, y, z]) }
    }

    /// The largest change of tilt against the line of sight between two frames of the walk.
    pub fn tilt_degrees(&self) -> f64 {
        let seen: Vec<Matrix> = (0..self.frames).map(|i| seen_from_camera(&self.pose(self.time(i)))).collect();
        let pairs = seen.iter().enumerate().flat_map(|(i, a)| seen[i + 1..].iter().map(move |b| tilt_between(a, b)));
        pairs.fold(0.0_f64, f64::max).to_degrees()
    }
}

/// The orientation against the line of sight: a face that walks past turns although it does not turn its neck.
fn seen_from_camera(pose: &Pose) -> Matrix {
    let [x, y, z] = pose.at;
    let (yaw, pitch) = (x.atan2(z), -(y.atan2(x.hypot(z))));
    let towards = rotation(yaw, pitch, 0.0);
    multiply(&super::linear::transpose(&towards), &pose.turned)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn a_walk_comes_closer_stays_below_the_camera_and_turns_enough() {
        let mut rng = StdRng::seed_from_u64(3);
        for held in [Held::Head, Held::Card] {
            let walk = Walk::draw(&mut rng, held, 8.0);
            let (first, last) = (walk.pose(0.0), walk.pose(walk.time(walk.frames - 1)));
            assert!(first.at[2] > 1500.0 && last.at[2] < 950.0, "{first:?} {last:?}");
            assert!(walk.tilt_degrees() >= 8.0 && (8..=15).contains(&walk.frames));
        }
    }

    #[test]
    fn straight_ahead_the_line_of_sight_turns_nothing() {
        let turned = rotation(0.1, 0.2, 0.0);
        let seen = seen_from_camera(&Pose { turned, at: [0.0, 0.0, 1000.0] });
        assert!(tilt_between(&seen, &turned) < 1e-9);
        // A face that looks along the line of sight is seen from the front, wherever it is.
        let at = [300.0, 200.0, 900.0_f64];
        let towards = rotation(at[0].atan2(at[2]), -(at[1].atan2(at[0].hypot(at[2]))), 0.0);
        let front = seen_from_camera(&Pose { turned: towards, at });
        assert!((front[2][2] - 1.0).abs() < 1e-9);
    }
}
