//! One presentation: somebody, or a picture of somebody, walks up; the product's own detector, mesh and cue see it (each frame as a whole: the gate follows).

use facegate_models::{FaceEngine, MeshPoints};
use image::RgbImage;
use image::imageops::fast_blur;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::Serialize;

use super::camera::{self, Camera};
use super::surface::{Sitter, Surface};
use super::walk::{Held, Walk};

/// What is presented. Bent prints are reported apart: nothing plane explains them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Genuine,
    Print,
    ScreenWithBezel,
    BorderlessScreen,
    BentPrint,
}

impl Kind {
    pub const ATTACKS: [Self; 4] = [Self::Print, Self::ScreenWithBezel, Self::BorderlessScreen, Self::BentPrint];

    pub fn name(self) -> &'static str {
        match self {
            Self::Genuine => "genuine",
            Self::Print => "print",
            Self::ScreenWithBezel => "screen_with_bezel",
            Self::BorderlessScreen => "borderless_screen",
            Self::BentPrint => "bent_print",
        }
    }

    fn surface(self, sitter: &Sitter, rng: &mut StdRng) -> Surface {
        match self {
            Self::Genuine => sitter.head(rng.random_range(0.9..1.1)),
            Self::Print => sitter.card(rng.random_range(0.7..1.1), 0.0, None),
            Self::ScreenWithBezel => sitter.card(rng.random_range(0.45..0.9), rng.random_range(5.0..15.0), None),
            Self::BorderlessScreen => sitter.card(rng.random_range(0.45..0.9), 0.0, None),
            Self::BentPrint => sitter.card(rng.random_range(0.7..1.1), 0.0, Some(rng.random_range(150.0..400.0))),
        }
    }

    fn held(self) -> Held {
        if self == Self::Genuine { Held::Head } else { Held::Card }
    }
}

/// What the pipeline saw of one walk-up.
#[derive(Debug, Clone)]
pub struct Track {
    pub kind: Kind,
    pub person: usize,
    pub frames: usize,
    /// Largest change of tilt against the line of sight, as rendered.
    pub tilt_degrees: f64,
    /// Of the frames in which a face was found.
    pub meshes: Vec<MeshPoints>,
    /// The JPEGs of the first and the last frame.
    pub ends: [Vec<u8>; 2],
}

/// Renders a presentation and runs detection and mesh on every frame's JPEG. The same seed gives the same frames.
pub fn present(
    engine: &FaceEngine,
    sitter: &Sitter,
    behind: &RgbImage,
    (kind, person): (Kind, usize),
    tilt_min: f64,
    seed: u64,
) -> anyhow::Result<Track> {
    let mut rng = StdRng::seed_from_u64(seed);
    let surface = kind.surface(sitter, &mut rng);
    let walk = Walk::draw(&mut rng, kind.held(), tilt_min);
    let camera = Camera::draw(&mut rng);
    // So far out of focus that no face is left in it.
    let background = camera::background(&fast_blur(behind, behind.width() as f32 / 12.0));
    let (mut meshes, mut ends) = (Vec::new(), [Vec::new(), Vec::new()]);
    for index in 0..walk.frames {
        let jpeg = camera.take(&surface, sitter, &walk, walk.time(index), &background, &mut rng)?;
        let frame = engine.decode(&jpeg)?;
        if index == 0 {
            ends[0].clone_from(&jpeg);
        } else if index == walk.frames - 1 {
            ends[1].clone_from(&jpeg);
        }
        if let Some(face) = engine.analyse(&frame)?.first() {
            meshes.push(engine.mesh(&frame, face)?);
        }
    }
    Ok(Track { kind, person, frames: walk.frames, tilt_degrees: walk.tilt_degrees(), meshes, ends })
}
