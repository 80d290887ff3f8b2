//! The camera: perspective, a z-buffer, an exposure that blurs what moves, a lens, a noisy sensor, JPEG.

use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use rand::Rng;
use rand::rngs::StdRng;

use super::linear::{Vector, add, apply};
use super::surface::{Sitter, Surface, between};
use super::walk::{Pose, Walk};

pub const WIDTH: usize = 1280;
pub const HEIGHT: usize = 720;
/// Half of the width over the tangent of half of a field of view of 60°.
const FOCAL_PX: f64 = 1108.5;
/// Nearer than this nothing is drawn, in millimetres.
const DEPTH_MIN: f64 = 50.0;
/// What a picture's edge shows.
const BEZEL: [f32; 3] = [14.0, 14.0, 16.0];
/// Places within a pixel at which each part of an exposure looks: smooths edges.
const WITHIN: [[f64; 2]; 4] = [[-0.25, -0.125], [0.125, -0.25], [0.25, 0.125], [-0.125, 0.25]];

/// Light and sensor of one walk-up.
#[derive(Debug, Clone)]
pub struct Camera {
    /// How long the shutter is open.
    exposure_s: f64,
    gain: [f32; 3],
    /// Standard deviation of a pixel's noise, of 255.
    noise: f32,
    quality: u8,
    table: Vec<f32>,
}

impl Camera {
    pub fn draw(rng: &mut StdRng) -> Self {
        let light = rng.random_range(0.8..1.1);
        let tint: [f32; 3] = std::array::from_fn(|_| rng.random_range(0.96..1.04));
        // The sum of twelve uniform numbers less six is as good as normal here.
        let normal = |rng: &mut StdRng| (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0;
        Self {
            exposure_s: rng.random_range(0.004..0.016),
            gain: tint.map(|t| t * light),
            noise: rng.random_range(1.5..4.5),
            quality: rng.random_range(75..=92),
            table: (0..65_521).map(|_| normal(rng)).collect(),
        }
    }

    /// The JPEG of one frame: the surface at a time of its walk, before a background of the frame's size.
    pub fn take(
        &self,
        surface: &Surface,
        sitter: &Sitter,
        walk: &Walk,
        s: f64,
        background: &RgbImage,
        rng: &mut StdRng,
    ) -> anyhow::Result<Vec<u8>> {
        let behind = background.as_raw().as_chunks::<3>().0;
        let mut light: Vec<[f32; 3]> = behind.iter().map(|p| p.map(f32::from)).collect();
        for (part, within) in WITHIN.iter().enumerate() {
            let open = s + self.exposure_s * (part as f64 / (WITHIN.len() - 1) as f64 - 0.5);
            for (n, colour) in View::of(surface, &walk.pose(open), *within).rasterise(surface, sitter) {
                (0..3).for_each(|c| light[n][c] += (colour[c] - f32::from(behind[n][c])) / WITHIN.len() as f32);
            }
        }
        let pixels = self.sense(&through_lens(&light), rng);
        let mut jpeg = Vec::new();
        JpegEncoder::new_with_quality(&mut jpeg, self.quality).encode_image(&pixels)?;
        Ok(jpeg)
    }

    fn sense(&self, light: &[[f32; 3]], rng: &mut StdRng) -> RgbImage {
        let mut raw = Vec::with_capacity(WIDTH * HEIGHT * 3);
        for row in light.chunks(WIDTH) {
            let mut at = rng.random_range(0..self.table.len());
            for pixel in row {
                for (c, gain) in self.gain.iter().enumerate() {
                    at = (at + 1) % self.table.len();
                    raw.push((pixel[c] * gain + self.noise * self.table[at] + 0.5) as u8);
                }
            }
        }
        RgbImage::from_raw(WIDTH as u32, HEIGHT as u32, raw).expect("three values for each pixel")
    }
}

/// A picture as background: enlarged to fill the frame.
pub fn background(photograph: &RgbImage) -> RgbImage {
    let (width, height) = (f64::from(photograph.width()), f64::from(photograph.height()));
    let step = (width / WIDTH as f64).min(height / HEIGHT as f64);
    let (left, top) = ((width - step * WIDTH as f64) / 2.0, (height - step * HEIGHT as f64) / 2.0);
    RgbImage::from_fn(WIDTH as u32, HEIGHT as u32, |x, y| {
        let at = |v: u32, start: f64, size: f64| (start + f64::from(v) * step).clamp(0.0, size - 1.0);
        image::Rgb(between(photograph, at(x, left, width), at(y, top, height)).map(|v| v.round() as u8))
    })
}

/// A surface's corners as the camera sees them at one moment, and the part of the frame that they lie in.
struct View {
    /// Across and down in pixels, and depth.
    corners: Vec<[f64; 3]>,
    left: usize,
    top: usize,
    width: usize,
    height: usize,
}

impl View {
    fn of(surface: &Surface, pose: &Pose, within: [f64; 2]) -> Self {
        let centre = [WIDTH as f64 / 2.0, HEIGHT as f64 / 2.0];
        let corner = |p: &Vector| {
            let [x, y, z] = add(apply(&pose.turned, *p), pose.at);
            [centre[0] + FOCAL_PX * x / z - within[0], centre[1] + FOCAL_PX * y / z - within[1], z]
        };
        let corners: Vec<[f64; 3]> = surface.points.iter().map(corner).collect();
        let range = |axis: usize, size: usize| {
            let (low, high) = corners.iter().fold((f64::MAX, f64::MIN), |(l, h), p| (l.min(p[axis]), h.max(p[axis])));
            let low = low.ceil().clamp(0.0, size as f64) as usize;
            (low, ((high.floor() + 1.0).clamp(0.0, size as f64) as usize).saturating_sub(low))
        };
        let ((left, width), (top, height)) = (range(0, WIDTH), range(1, HEIGHT));
        Self { corners, left, top, width, height }
    }

    /// The pixels of the frame that the surface covers, with what it shows there.
    fn rasterise(&self, surface: &Surface, sitter: &Sitter) -> Vec<(usize, [f32; 3])> {
        let mut nearest = vec![f64::INFINITY; self.width * self.height];
        let mut places = vec![[0.0; 2]; self.width * self.height];
        for triangle in &surface.triangles {
            let corners = triangle.map(|i| self.corners[i]);
            if corners.iter().all(|c| c[2] > DEPTH_MIN) {
                self.fill(&corners, &triangle.map(|i| surface.places[i]), &mut nearest, &mut places);
            }
        }
        let covered = nearest.iter().zip(&places).enumerate().filter(|(_, (depth, _))| depth.is_finite());
        let shown = covered.map(|(n, (_, [x, y]))| {
            let at = (self.top + n / self.width) * WIDTH + self.left + n % self.width;
            (at, sitter.colour(*x, *y).unwrap_or(BEZEL))
        });
        shown.collect()
    }

    /// One triangle, its texture in perspective: place ÷ depth and 1 ÷ depth are linear over the picture.
    fn fill(&self, corners: &[[f64; 3]; 3], texture: &[[f64; 2]; 3], nearest: &mut [f64], places: &mut [[f64; 2]]) {
        let [a, b, c] = *corners;
        let twice = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
        if twice.abs() < 1e-9 {
            return;
        }
        let range = |axis: usize, from: usize, size: usize| {
            let (low, high) = corners.iter().fold((f64::MAX, f64::MIN), |(l, h), p| (l.min(p[axis]), h.max(p[axis])));
            let end = (from + size) as f64;
            low.ceil().clamp(from as f64, end) as usize..(high.floor() + 1.0).clamp(from as f64, end) as usize
        };
        for y in range(1, self.top, self.height) {
            for x in range(0, self.left, self.width) {
                let p = [x as f64, y as f64];
                let part = |u: [f64; 3], v: [f64; 3]| (u[0] - p[0]) * (v[1] - p[1]) - (u[1] - p[1]) * (v[0] - p[0]);
                let weights = [part(b, c) / twice, part(c, a) / twice, part(a, b) / twice];
                let depth = 1.0 / (0..3).map(|i| weights[i] / corners[i][2]).sum::<f64>();
                let at = (y - self.top) * self.width + x - self.left;
                if weights.iter().all(|w| *w > -1e-9) && depth < nearest[at] {
                    let mix = |axis: usize| (0..3).map(|i| weights[i] * texture[i][axis] / corners[i][2]).sum::<f64>();
                    nearest[at] = depth;
                    places[at] = [mix(0) * depth, mix(1) * depth];
                }
            }
        }
    }
}

/// A lens spreads each point over its neighbours: a quarter, a half, a quarter along each axis.
fn through_lens(light: &[[f32; 3]]) -> Vec<[f32; 3]> {
    let blend = |a: [f32; 3], b: [f32; 3], c: [f32; 3]| [0, 1, 2].map(|i| (a[i] + 2.0 * b[i] + c[i]) / 4.0);
    let mut across = light.to_vec();
    for (row, out) in light.chunks(WIDTH).zip(across.chunks_mut(WIDTH)) {
        for x in 1..WIDTH - 1 {
            out[x] = blend(row[x - 1], row[x], row[x + 1]);
        }
    }
    let mut both = across.clone();
    for n in WIDTH..WIDTH * (HEIGHT - 1) {
        both[n] = blend(across[n - WIDTH], across[n], across[n + WIDTH]);
    }
    both
}
