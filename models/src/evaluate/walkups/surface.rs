//! What stands before the camera: a head, or a picture of it, both out of one real photograph.
//!
//! The head's shape is the face mesh that the network sees in the photograph, turned to the front, its depth scaled to
//! the canonical face's; behind the face's outline the surface falls back to where hair, ears and neck are. A picture is the
//! whole photograph on a card, flat or bent.

use anyhow::ensure;
use facegate_models::{MESH_POINTS, MeshPoints};
use image::RgbImage;

use super::linear::{Matrix, Vector, add, apply, cross, dot, scale, subtract, unit};
use super::triangles::triangulate;

/// Mesh points: outer corners of the eyes, top of the forehead, chin, tip of the nose.
const RIGHT_EYE: usize = 33;
const LEFT_EYE: usize = 263;
const FOREHEAD: usize = 10;
const CHIN: usize = 152;
const NOSE: usize = 1;
/// Between the outer corners of the eyes: 8.89 in MediaPipe's `canonical_face_model.obj` (points 33 and 263), taken for
/// centimetres. An assumption about people, whose published means differ by group and method. It sets how large a head
/// looks at a distance, not how deep it is for its width.
const BIOCULAR_MM: f64 = 89.0;
/// How far the nose's tip lies before those corners, in biocular widths: 4.30 of 8.89 in the same file (point 1). One
/// made face, no survey of people; heads are drawn with a tenth more or less.
const NOSE_BEFORE_EYES: f64 = 0.48;
/// Rings around the face's outline: how much wider than it, and how far behind it in millimetres. Chosen, not
/// measured.
const RINGS: [(f64, f64); 3] = [(1.12, 22.0), (1.3, 55.0), (1.5, 95.0)];
/// A photograph is shrunk until the eyes are this far apart: finer than any camera here resolves.
const BIOCULAR_PX_MAX: f32 = 150.0;

/// Triangles in millimetres, the origin between the eyes, facing the camera, and where in the texture each corner is.
#[derive(Debug, Clone)]
pub struct Surface {
    pub points: Vec<Vector>,
    pub places: Vec<[f64; 2]>,
    pub triangles: Vec<[usize; 3]>,
}

/// One person's photograph with its mesh.
#[derive(Debug, Clone)]
pub struct Sitter {
    pub photograph: RgbImage,
    points: Vec<Vector>,
    axes: Matrix,
}

impl Sitter {
    /// Errors: a mesh of another size, or a face turned too far for its far side to be seen.
    pub fn new(photograph: &RgbImage, mesh: &MeshPoints) -> anyhow::Result<Self> {
        ensure!(mesh.places.len() == MESH_POINTS && mesh.presence > 0.5, "no whole face");
        let apart = mesh.places[RIGHT_EYE].distance(mesh.places[LEFT_EYE]);
        let shrink = (BIOCULAR_PX_MAX / apart).min(1.0);
        let side = |px: u32| ((px as f32 * shrink).round() as u32).max(1);
        let (width, height) = (side(photograph.width()), side(photograph.height()));
        let photograph = image::imageops::resize(photograph, width, height, image::imageops::FilterType::Triangle);
        let point = |(p, z): (&facegate_models::Point, &f32)| [p.x, p.y, *z].map(|v| f64::from(v * shrink));
        let points: Vec<Vector> = mesh.places.iter().zip(&mesh.depths).map(point).collect();
        let across = unit(subtract(points[LEFT_EYE], points[RIGHT_EYE]));
        let down = subtract(points[CHIN], points[FOREHEAD]);
        let down = unit(subtract(down, scale(across, dot(down, across))));
        let axes = [across, down, cross(across, down)];
        ensure!(axes[2][2] > 15_f64.to_radians().cos(), "the face is turned too far to the side, up or down");
        Ok(Self { photograph, points, axes })
    }

    fn middle(&self) -> Vector {
        scale(add(self.points[RIGHT_EYE], self.points[LEFT_EYE]), 0.5)
    }

    fn px_per_mm(&self) -> f64 {
        let across = subtract(self.points[LEFT_EYE], self.points[RIGHT_EYE]);
        dot(across, across).sqrt() / BIOCULAR_MM
    }

    /// The head, its depth `relief` times the canonical face's.
    pub fn head(&self, relief: f64) -> Surface {
        let (middle, scaled) = (self.middle(), 1.0 / self.px_per_mm());
        let mut points: Vec<Vector> =
            self.points.iter().map(|p| scale(apply(&self.axes, subtract(*p, middle)), scaled)).collect();
        let seen = -points[NOSE][2];
        let deepen = relief * NOSE_BEFORE_EYES * BIOCULAR_MM / seen.max(10.0);
        points.iter_mut().for_each(|p| p[2] *= deepen);
        let mut places: Vec<[f64; 2]> = self.points.iter().map(|p| [p[0], p[1]]).collect();
        let centre = |of: &[Vector]| scale(of.iter().fold([0.0; 3], |sum, p| add(sum, *p)), 1.0 / of.len() as f64);
        let (middle, seen_middle) = (centre(&points), centre(&self.points));
        for index in outline(&points) {
            for (wider, behind) in RINGS {
                let p = points[index];
                points.push([
                    middle[0] + (p[0] - middle[0]) * wider,
                    middle[1] + (p[1] - middle[1]) * wider,
                    p[2] + behind,
                ]);
                let at = |axis: usize| seen_middle[axis] + (self.points[index][axis] - seen_middle[axis]) * wider;
                places.push([at(0), at(1)]);
            }
        }
        let flat: Vec<[f64; 2]> = points.iter().map(|p| [p[0], p[1]]).collect();
        Surface { triangles: triangulate(&flat), points, places }
    }

    /// The whole photograph as a card, `size` times life size, with a dark edge of `bezel_mm`, bent about the upright
    /// axis with this radius (none: flat).
    pub fn card(&self, size: f64, bezel_mm: f64, bent_mm: Option<f64>) -> Surface {
        const CELLS: usize = 16;
        let scaled = size / self.px_per_mm();
        let (width, height) = (f64::from(self.photograph.width()), f64::from(self.photograph.height()));
        let (bezel, middle) = (bezel_mm / scaled, self.middle());
        let mut surface = Surface { points: Vec::new(), places: Vec::new(), triangles: Vec::new() };
        for n in 0..(CELLS + 1) * (CELLS + 1) {
            let share = |i: usize, length: f64| (length + 2.0 * bezel) * i as f64 / CELLS as f64 - bezel;
            let place = [share(n % (CELLS + 1), width), share(n / (CELLS + 1), height)];
            let (x, y) = ((place[0] - middle[0]) * scaled, (place[1] - middle[1]) * scaled);
            let bent = |radius: f64| [radius * (x / radius).sin(), y, radius * (1.0 - (x / radius).cos())];
            surface.points.push(bent_mm.map_or([x, y, 0.0], bent));
            surface.places.push(place);
        }
        for row in 0..CELLS {
            for column in 0..CELLS {
                let at = row * (CELLS + 1) + column;
                let (next, below) = (at + 1, at + CELLS + 1);
                surface.triangles.extend([[at, next, below], [next, below, below + 1]]);
            }
        }
        surface
    }

    /// The texture's colour at a place; beyond the photograph `None`: a bezel.
    pub fn colour(&self, x: f64, y: f64) -> Option<[f32; 3]> {
        let (width, height) = (f64::from(self.photograph.width()), f64::from(self.photograph.height()));
        if x < -0.5 || y < -0.5 || x > width - 0.5 || y > height - 0.5 {
            return None;
        }
        Some(between(&self.photograph, x.clamp(0.0, width - 1.0), y.clamp(0.0, height - 1.0)))
    }
}

/// Bilinear between pixel centres at whole numbers; `x` and `y` inside.
pub fn between(pixels: &RgbImage, x: f64, y: f64) -> [f32; 3] {
    let (left, top) = (x.floor() as u32, y.floor() as u32);
    let (right, below) = ((left + 1).min(pixels.width() - 1), (top + 1).min(pixels.height() - 1));
    let (dx, dy) = (x.fract() as f32, y.fract() as f32);
    let at = |x: u32, y: u32| pixels.get_pixel(x, y).0.map(f32::from);
    let corners = [at(left, top), at(right, top), at(left, below), at(right, below)];
    [0, 1, 2].map(|c| {
        let north = corners[0][c] + (corners[1][c] - corners[0][c]) * dx;
        let south = corners[2][c] + (corners[3][c] - corners[2][c]) * dx;
        north + (south - north) * dy
    })
}

/// The points on the convex hull as seen from the front (Andrew's monotone chain, 1979).
fn outline(points: &[Vector]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by(|a, b| points[*a][0].total_cmp(&points[*b][0]).then(points[*a][1].total_cmp(&points[*b][1])));
    let turn = |a: usize, b: usize, c: usize| {
        let [a, b, c] = [a, b, c].map(|i| points[i]);
        (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    };
    let chain = |order: &mut dyn Iterator<Item = usize>| {
        let mut chain: Vec<usize> = Vec::new();
        for next in order {
            while chain.len() > 1 && turn(chain[chain.len() - 2], chain[chain.len() - 1], next) <= 0.0 {
                chain.pop();
            }
            chain.push(next);
        }
        chain.pop();
        chain
    };
    let mut hull = chain(&mut order.iter().copied());
    hull.extend(chain(&mut order.iter().rev().copied()));
    hull
}

#[cfg(test)]
mod tests {
    use facegate_models::Point;
    use image::Rgb;

    use super::*;

    /// A face of four known points and the rest on a bowl about them.
    fn sitter() -> Sitter {
        let mut places = Vec::new();
        let mut depths = Vec::new();
        for i in 0..MESH_POINTS {
            let (radius, angle) = (40.0 * (i as f32 / MESH_POINTS as f32).sqrt(), i as f32 * 2.4);
            places.push(Point { x: 100.0 + radius * angle.cos(), y: 100.0 + radius * angle.sin() });
            depths.push(radius * radius / 80.0 - 20.0);
        }
        for (index, x, y, z) in [
            (RIGHT_EYE, 80.0, 90.0, 0.0),
            (LEFT_EYE, 120.0, 90.0, 0.0),
            (FOREHEAD, 100.0, 60.0, -8.0),
            (CHIN, 100.0, 140.0, -8.0),
        ] {
            places[index] = Point { x, y };
            depths[index] = z;
        }
        (places[NOSE], depths[NOSE]) = (Point { x: 100.0, y: 105.0 }, -20.0);
        let photograph = RgbImage::from_fn(200, 200, |x, y| Rgb([x as u8, y as u8, 0]));
        Sitter::new(&photograph, &MeshPoints { places, depths, presence: 1.0 }).unwrap()
    }

    #[test]
    fn a_head_has_the_canonical_measures_and_rings_behind_its_outline() {
        let head = sitter().head(1.0);
        let apart = subtract(head.points[LEFT_EYE], head.points[RIGHT_EYE]);
        assert!((apart[0] - BIOCULAR_MM).abs() < 1e-6 && apart[2].abs() < 1e-6, "{apart:?}");
        assert!((head.points[NOSE][2] + NOSE_BEFORE_EYES * BIOCULAR_MM).abs() < 1e-6);
        assert!(head.points.len() > MESH_POINTS + 10 && head.places.len() == head.points.len());
        assert!(head.triangles.len() > MESH_POINTS);
    }

    #[test]
    fn a_card_is_flat_or_bent_and_ends_in_a_bezel() {
        let flat = sitter().card(0.5, 10.0, None);
        assert!(flat.points.iter().all(|p| p[2] == 0.0));
        let width = flat.points[16][0] - flat.points[0][0];
        assert!((width - (200.0 * 89.0 / 40.0 * 0.5 + 20.0)).abs() < 1e-6, "{width}");
        assert_eq!(sitter().colour(flat.places[0][0], flat.places[0][1]), None);
        assert_eq!(sitter().colour(10.0, 20.0), Some([10.0, 20.0, 0.0]));
        let bent = sitter().card(0.5, 0.0, Some(200.0));
        assert!(bent.points[0][2] > 10.0 && bent.points[16][2] > 10.0);
    }
}
