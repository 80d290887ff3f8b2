//! Veto by infrared: under the gate's own lamp skin is bright and structured, a screen is dark glass.
//!
//! At 850 to 940 nm skin reflects about half of the light, displays and glossy covers next to nothing: a replayed face
//! is not there at all. The lamp's light falls off with distance, so a face is also brighter than what is behind it.
//! A print in pigments that are black in infrared, too, passes this: depth catches it.

use std::fmt;

use super::sensors::registered;
use crate::geometry::BoundingBox;

/// Cells along each side of the face box; their means are what structure is measured by, not the noise of pixels.
const CELLS: usize = 8;
/// Brightness below which nothing reflects the lamp.
const DARK: f32 = 0.10;
/// Surroundings below this and a dark face: the lamp is off.
const LAMP_OFF: f32 = 0.03;
/// Share of saturated pixels beyond which nothing can be told.
const SATURATED_MAX: f32 = 0.3;
/// Spread of the cells over their mean that eyes, brows and mouth leave at least; dark glass has none.
const STRUCTURE_MIN: f32 = 0.06;
/// A face may be this much darker than its surroundings: a bright wall close behind, a dark skin.
const TO_SURROUNDINGS_MIN: f32 = 0.5;

/// What an infrared image says about a face.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InfraredFinding {
    /// Reflects and is structured as a face is.
    Skin,
    /// Dark, or without a face's structure.
    NotSkin,
    /// Nothing can be told: lamp off, saturated, outside.
    Unusable,
}

/// Brightness under the lamp, one byte a pixel; cannot be printed.
#[derive(Clone)]
pub struct InfraredMap {
    width: u32,
    height: u32,
    samples: Vec<u8>,
}

impl InfraredMap {
    /// Row by row; missing rows count as black.
    pub fn new(width: u32, height: u32, mut samples: Vec<u8>) -> Self {
        samples.resize(width as usize * height as usize, 0);
        Self { width, height, samples }
    }

    /// Mean brightness 0 to 1 of a rectangle and its number of pixels.
    fn mean(&self, region: &BoundingBox) -> (f32, u32) {
        let within = |at: f32, size: u32| (at.max(0.0) as u32).min(size);
        let columns = within(region.left, self.width)..within(region.left + region.width, self.width);
        let rows = within(region.top, self.height)..within(region.top + region.height, self.height);
        let mut sum = 0_u64;
        let mut count = 0;
        for row in rows {
            let start = row as usize * self.width as usize;
            let line = &self.samples[start + columns.start as usize..start + columns.end as usize];
            sum += line.iter().map(|v| u64::from(*v)).sum::<u64>();
            count += line.len() as u32;
        }
        (sum as f32 / 255.0 / count.max(1) as f32, count)
    }
}

impl fmt::Debug for InfraredMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InfraredMap({}x{})", self.width, self.height)
    }
}

/// Whether the face in `bounds` of a frame of `frame` pixels reflects infrared as skin does.
pub fn reflectance(map: &InfraredMap, bounds: &BoundingBox, frame: (u32, u32)) -> InfraredFinding {
    let face = registered(bounds, frame, (map.width, map.height));
    let inner = grown(&face, 0.75);
    let (brightness, pixels) = map.mean(&inner);
    if pixels < (CELLS * CELLS) as u32 {
        return InfraredFinding::Unusable;
    }
    let (around, around_pixels) = map.mean(&grown(&face, 2.0));
    let (whole, whole_pixels) = map.mean(&face);
    let ring =
        (around * around_pixels as f32 - whole * whole_pixels as f32) / (around_pixels - whole_pixels).max(1) as f32;
    let cells = cell_means(map, &inner);
    let saturated = cells.iter().filter(|mean| **mean > 0.97).count() as f32 / cells.len() as f32;
    match () {
        () if brightness < DARK && ring < LAMP_OFF => InfraredFinding::Unusable,
        () if saturated > SATURATED_MAX => InfraredFinding::Unusable,
        () if brightness < DARK.max(TO_SURROUNDINGS_MIN * ring) => InfraredFinding::NotSkin,
        () if spread(&cells) < STRUCTURE_MIN * brightness => InfraredFinding::NotSkin,
        () => InfraredFinding::Skin,
    }
}

fn grown(region: &BoundingBox, factor: f32) -> BoundingBox {
    let (centre, width, height) = (region.centre(), region.width * factor, region.height * factor);
    BoundingBox { left: centre.x - width / 2.0, top: centre.y - height / 2.0, width, height }
}

fn cell_means(map: &InfraredMap, region: &BoundingBox) -> Vec<f32> {
    let (width, height) = (region.width / CELLS as f32, region.height / CELLS as f32);
    let cell = |i: usize| BoundingBox {
        left: region.left + (i % CELLS) as f32 * width,
        top: region.top + (i / CELLS) as f32 * height,
        width,
        height,
    };
    (0..CELLS * CELLS).map(|i| map.mean(&cell(i)).0).collect()
}

fn spread(values: &[f32]) -> f32 {
    let mean = values.iter().sum::<f32>() / values.len() as f32;
    (values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / values.len() as f32).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: (u32, u32) = (1280, 720);
    const FACE: BoundingBox = BoundingBox { left: 540.0, top: 220.0, width: 200.0, height: 260.0 };

    /// 640×360 pixels of a ground, with `paint` inside the face's ellipse; a sensor's noise of ±4.
    fn rendered(ground: f32, paint: impl Fn(f32, f32) -> f32) -> InfraredMap {
        let pixel = |i: usize| {
            let (x, y) = ((i % 640) as f32 * 2.0, (i / 640) as f32 * 2.0);
            let (u, v) = ((x - 640.0) / 100.0, (y - 350.0) / 130.0);
            let value = if u * u + v * v < 1.0 { paint(u, v) } else { ground };
            (value + (i * 7919 % 9) as f32 - 4.0).clamp(0.0, 255.0) as u8
        };
        InfraredMap::new(640, 360, (0..640 * 360).map(pixel).collect())
    }

    /// Lambert's shading of a ball, with eyes and a mouth that reflect less.
    fn skin(light: f32) -> impl Fn(f32, f32) -> f32 {
        move |u, v| {
            let spot = |x: f32, y: f32, w: f32| (-((u - x) / w).powi(2) - ((v - y) / 0.1).powi(2)).exp();
            let features = spot(-0.4, -0.2, 0.2) + spot(0.4, -0.2, 0.2) + 0.6 * spot(0.0, 0.5, 0.3);
            light * (1.0 - u * u - v * v).max(0.0).sqrt() * (1.0 - 0.5 * features)
        }
    }

    #[test]
    fn a_lit_face_is_skin_on_dark_and_on_bright_ground() {
        for (ground, light) in [(20.0, 160.0), (90.0, 130.0), (15.0, 80.0)] {
            assert_eq!(
                reflectance(&rendered(ground, skin(light)), &FACE, FRAME),
                InfraredFinding::Skin,
                "{ground} {light}"
            );
        }
    }

    #[test]
    fn a_screen_is_dark_and_a_blank_sheet_has_no_face() {
        assert_eq!(reflectance(&rendered(60.0, |_, _| 9.0), &FACE, FRAME), InfraredFinding::NotSkin);
        assert_eq!(reflectance(&rendered(140.0, |_, _| 45.0), &FACE, FRAME), InfraredFinding::NotSkin);
        assert_eq!(reflectance(&rendered(60.0, |_, _| 150.0), &FACE, FRAME), InfraredFinding::NotSkin);
    }

    #[test]
    fn without_a_lamp_with_too_much_of_it_and_outside_nothing_is_said() {
        assert_eq!(reflectance(&rendered(3.0, |_, _| 4.0), &FACE, FRAME), InfraredFinding::Unusable);
        assert_eq!(reflectance(&rendered(60.0, |_, _| 255.0), &FACE, FRAME), InfraredFinding::Unusable);
        let outside = BoundingBox { left: 9000.0, ..FACE };
        assert_eq!(reflectance(&rendered(60.0, skin(160.0)), &outside, FRAME), InfraredFinding::Unusable);
    }
}
