//! Rendered faces: an ellipsoid head with a nose, a flat, a tilted and a bent sheet, with a sensor's noise and holes.

use super::*;

const FRAME: (u32, u32) = (1280, 720);
const VIEW: f32 = 70.0;
const SIZE: (u32, u32) = (640, 360);

/// Noise that is the same at every run: uniform with the standard deviation given.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1_u64 << 24) as f32
    }

    fn of(&mut self, sigma: f32) -> f32 {
        (self.next() - 0.5) * sigma * 12.0_f32.sqrt()
    }
}

/// Renders a surface z(x, y) in millimetres around (0, 0, `far`) by marching each ray, before a wall at 3 m.
fn rendered(far: f32, sigma: f32, holes: f32, surface: impl Fn(f32, f32) -> Option<f32>) -> DepthMap {
    let focal = SIZE.0 as f32 / 2.0 / (VIEW.to_radians() / 2.0).tan();
    let mut noise = Noise(7);
    let mut mm = Vec::new();
    for row in 0..SIZE.1 {
        for column in 0..SIZE.0 {
            let (u, v) = ((column as f32 - 320.0) / focal, (row as f32 - 180.0) / focal);
            let mut z = far;
            let hit = (0..12).try_for_each(|_| {
                z = far + surface(u * z, v * z)?;
                Some(())
            });
            let z = if hit.is_some() { z } else { 3000.0 };
            let lost = noise.next() < holes;
            mm.push(if lost { 0 } else { (z + noise.of(sigma)).max(1.0) as u16 });
        }
    }
    DepthMap::new(SIZE.0, SIZE.1, mm)
}

/// Half axes 75, 110 and 95 mm; a nose of 20 mm; turned about the upright axis by `yaw` (a shear, near enough).
fn head(yaw: f32) -> impl Fn(f32, f32) -> Option<f32> {
    move |x, y| {
        let round = 1.0 - (x / 75.0).powi(2) - (y / 110.0).powi(2);
        let nose = 20.0 * (-(x / 12.0).powi(2) - ((y - 10.0) / 22.0).powi(2)).exp();
        (round > 0.0).then(|| 95.0 * (1.0 - round.sqrt()) - nose + yaw * x)
    }
}

/// A sheet of 200 × 280 mm, tilted and bent about an axis that leans by `lean`.
fn sheet(tilt: f32, radius: f32, lean: f32) -> impl Fn(f32, f32) -> Option<f32> {
    move |x, y| {
        let across = x * lean.cos() + y * lean.sin();
        let bend = if across.abs() < radius { radius - (radius * radius - across * across).sqrt() } else { radius };
        (x.abs() < 100.0 && y.abs() < 140.0).then_some(bend + tilt * x + 0.5 * tilt * y)
    }
}

fn face_at(far: f32) -> BoundingBox {
    let focal = FRAME.0 as f32 / 2.0 / (VIEW.to_radians() / 2.0).tan();
    let (width, height) = (150.0 * focal / far, 200.0 * focal / far);
    BoundingBox { left: 640.0 - width / 2.0, top: 360.0 - height / 2.0, width, height }
}

fn found(far: f32, sigma: f32, holes: f32, surface: impl Fn(f32, f32) -> Option<f32>) -> DepthFinding {
    relief(&rendered(far, sigma, holes, surface), &face_at(far), FRAME, VIEW)
}

#[test]
fn a_head_is_solid_near_and_far_turned_noisy_and_with_holes() {
    for (far, sigma, holes, yaw) in [(450.0, 1.0, 0.0, 0.0), (700.0, 4.0, 0.2, 0.2), (1000.0, 8.0, 0.3, -0.4)] {
        assert_eq!(found(far, sigma, holes, head(yaw)), DepthFinding::Solid, "{far} {sigma} {holes} {yaw}");
    }
}

#[test]
fn sheets_are_flat_however_they_are_tilted_and_bent() {
    for (far, sigma) in [(450.0, 1.0), (700.0, 4.0), (1000.0, 8.0)] {
        for (tilt, radius, lean) in [
            (0.0, 1e6, 0.0),
            (0.5, 1e6, 0.0),
            (0.0, 110.0, 0.0),
            (0.1, 150.0, 1.57),
            (0.0, 120.0, 0.8),
            (0.3, 200.0, 0.4),
        ] {
            let finding = found(far, sigma, 0.1, sheet(tilt, radius, lean));
            assert_eq!(finding, DepthFinding::Flat, "{far} {sigma} {tilt} {radius} {lean}");
        }
    }
}

#[test]
fn a_hollow_mask_is_no_head_and_what_was_not_measured_is_unusable() {
    let hollow = |x: f32, y: f32| head(0.0)(x, y).map(|z| -z);
    assert_eq!(found(600.0, 2.0, 0.0, hollow), DepthFinding::Flat);
    assert_eq!(found(600.0, 2.0, 0.9, head(0.0)), DepthFinding::Unusable);
    let outside = BoundingBox { left: 5000.0, top: 0.0, width: 80.0, height: 90.0 };
    assert_eq!(relief(&rendered(600.0, 1.0, 0.0, head(0.0)), &outside, FRAME, VIEW), DepthFinding::Unusable);
    assert_eq!(relief(&DepthMap::new(0, 0, vec![]), &face_at(600.0), FRAME, VIEW), DepthFinding::Unusable);
}
