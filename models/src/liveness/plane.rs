//! Does depth show when the face turns? A print or a screen cannot shift its nose against its ears.
//!
//! The mesh points of one track are explained frame by frame as what a moving plane could make of their mean shape (a
//! homography, to first order) plus a shift along the face's relief: p ↦ A·p + t − p·(g·p) + e·z. A head that turns
//! by θ against the line of sight shifts its relief by |e| = sin θ (the parallax that plane-induced homographies
//! leave; Irani, Anandan: "Parallax Geometry of Pairs of Points", 1996); a card that turns has e = 0 whatever its
//! angle. All 468 points vote by least squares, and only their places in the picture: the network imagines depth on
//! pictures too, so depth serves as the pattern of the shift alone, never as its size.
//!
//! What it cannot tell: a film of a turning head on a screen moves as a head does.

mod fit;

use crate::geometry::Point;
use crate::mesh::MeshPoints;
use fit::{Warp, fit};

/// Fewer frames show noise rather than motion.
pub const FRAMES_MIN: usize = 5;
/// Below this presence the mesh is not of a face.
const PRESENCE_MIN: f32 = 0.5;
/// A face that turned less, as a head or as a card, shows nothing; `eval walkups` turns them by at least as much.
pub const TURN_MIN_DEGREES: f32 = 8.0;

/// What the motion of a track shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlaneEvidence {
    /// Turn of a head, in degrees, that shifts the relief as far as it was seen to shift steadily; noise alone is a few.
    /// Larger is more alive.
    pub relief_degrees: f32,
    /// Turn of a card, in degrees, that shortens the face as much as it was seen to shorten.
    pub card_degrees: f32,
}

/// Judges the meshes of one tracked face, oldest first.
///
/// None, inconclusive: fewer than five frames, or a face that turned by less than 8° whether head or card.
pub fn plane(track: &[&MeshPoints]) -> Option<PlaneEvidence> {
    let evidence = motion(track)?;
    (evidence.relief_degrees.max(evidence.card_degrees) >= TURN_MIN_DEGREES).then_some(evidence)
}

/// The same without asking whether it turned enough. None: fewer than five frames, or no face in them.
pub fn motion(track: &[&MeshPoints]) -> Option<PlaneEvidence> {
    let usable = |mesh: &&&MeshPoints| mesh.presence >= PRESENCE_MIN && mesh.places.len() == mesh.depths.len();
    let frames: Vec<&MeshPoints> = track.iter().filter(usable).copied().collect();
    let count = frames.first()?.places.len();
    if frames.len() < FRAMES_MIN || frames.iter().any(|f| f.places.len() != count) {
        return None;
    }
    let shapes: Vec<Shape> = frames.iter().map(|f| Shape::of(f)).collect::<Option<_>>()?;
    let (mean, aligned) = align(&shapes);
    let relief = mean_relief(&shapes);
    let warps: Vec<Warp> = aligned.iter().map(|places| fit(&mean, &relief, places)).collect::<Option<_>>()?;
    let pairs = || warps.iter().enumerate().flat_map(|(i, a)| warps[i + 1..].iter().map(move |b| (a, b)));
    let shifts: Vec<[f64; 2]> = warps.iter().map(|warp| warp.shift).collect();
    let shortening = pairs().map(|(a, b)| a.shortening_against(b)).fold(1.0, f64::min);
    Some(PlaneEvidence {
        relief_degrees: swing(&shifts).min(1.0).asin().to_degrees() as f32,
        card_degrees: shortening.acos().to_degrees() as f32,
    })
}

/// How far the shift went to and fro, from frame to frame noise taken out: a head turns steadily, while the mesh's
/// jitter on a flat picture differs in every frame. Steady motion leaves half the mean squared difference of
/// successive values far below the variance, jitter makes the two alike (von Neumann, 1941). What is left is given as
/// the range of a uniform motion of as many frames.
fn swing(shifts: &[[f64; 2]]) -> f64 {
    let (count, along) = (shifts.len() as f64, |axis: usize| shifts.iter().map(move |shift| shift[axis]));
    let middle = [0, 1].map(|axis| along(axis).sum::<f64>() / count);
    let apart = |a: &[f64; 2], b: &[f64; 2]| (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2);
    let variance = shifts.iter().map(|shift| apart(shift, &middle)).sum::<f64>() / (count - 1.0);
    let jitter = shifts.windows(2).map(|pair| apart(&pair[0], &pair[1])).sum::<f64>() / (count - 1.0) / 2.0;
    // A ramp of range R has the variance R²·n·(n + 1) / 12·(n − 1)² and the jitter R² / 2·(n − 1)².
    let per_range = (count * (count + 1.0) - 6.0) / (12.0 * (count - 1.0).powi(2));
    ((variance - jitter).max(0.0) / per_range).sqrt()
}

/// The points of one frame about their centre, in units of their root mean square distance from it.
struct Shape {
    places: Vec<[f64; 2]>,
    depths: Vec<f64>,
}

impl Shape {
    /// None if all points coincide.
    fn of(mesh: &MeshPoints) -> Option<Self> {
        let count = mesh.places.len() as f64;
        let sum = |of: &dyn Fn(&Point) -> f32| mesh.places.iter().map(|p| f64::from(of(p))).sum::<f64>() / count;
        let (x, y) = (sum(&|p| p.x), sum(&|p| p.y));
        let centred: Vec<[f64; 2]> = mesh.places.iter().map(|p| [f64::from(p.x) - x, f64::from(p.y) - y]).collect();
        let size = (centred.iter().map(|[x, y]| x * x + y * y).sum::<f64>() / count).sqrt();
        (size > 0.0 && size.is_finite()).then(|| Self {
            places: centred.iter().map(|[x, y]| [x / size, y / size]).collect(),
            depths: mesh.depths.iter().map(|z| f64::from(*z) / size).collect(),
        })
    }
}

/// The mean shape and every shape turned in the picture's plane to lie on it.
fn align(shapes: &[Shape]) -> (Vec<[f64; 2]>, Vec<Vec<[f64; 2]>>) {
    let mut mean = shapes[shapes.len() / 2].places.clone();
    let mut aligned = Vec::new();
    // The second round aligns to the mean of all instead of one of them.
    for _ in 0..2 {
        aligned = shapes.iter().map(|shape| turned_onto(&shape.places, &mean)).collect();
        for (i, point) in mean.iter_mut().enumerate() {
            let sum = |axis: usize| aligned.iter().map(|places: &Vec<[f64; 2]>| places[i][axis]).sum::<f64>();
            *point = [sum(0) / shapes.len() as f64, sum(1) / shapes.len() as f64];
        }
    }
    (mean, aligned)
}

/// The turn of least squared distance, as a complex number of length one.
fn turned_onto(places: &[[f64; 2]], target: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let (mut along, mut aside) = (0.0, 0.0);
    for ([x, y], [u, v]) in places.iter().zip(target) {
        along += x * u + y * v;
        aside += x * v - y * u;
    }
    let length = along.hypot(aside).max(f64::MIN_POSITIVE);
    let (cos, sin) = (along / length, aside / length);
    places.iter().map(|[x, y]| [cos * x - sin * y, sin * x + cos * y]).collect()
}

/// The mean depth of every point over the frames, about its own mean.
fn mean_relief(shapes: &[Shape]) -> Vec<f64> {
    let points = shapes[0].depths.len();
    let mut relief: Vec<f64> =
        (0..points).map(|i| shapes.iter().map(|s| s.depths[i]).sum::<f64>() / shapes.len() as f64).collect();
    let middle = relief.iter().sum::<f64>() / points as f64;
    relief.iter_mut().for_each(|z| *z -= middle);
    relief
}

#[cfg(test)]
mod tests;
