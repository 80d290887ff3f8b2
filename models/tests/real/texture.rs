//! The texture nets, built by our own code from a PyTorch checkpoint, against an independent reading of the same files.

use facegate_domain::score::DetectionConfidence;
use facegate_models::liveness::Effort;
use facegate_models::{BoundingBox, FaceObservation, Frame, Point, Quality};
use image::{Rgb, RgbImage};

use crate::engine;

/// What a plain reading of the checkpoints gives (NumPy, float64, no ONNX, no code of ours: convolutions, batch
/// normalisation, PReLU, squeeze-and-excitation as PyTorch defines them) for these 80×80 pixels as a frame's planes keep
/// them: the mean over both nets of ln p(real) / (1 − p(real)), and of p(real). The nets are nervous: what JPEG's
/// colour space rounds away, one of 255, moves the former by 0.4.
const MEASURED: f32 = 0.3758;
const PUBLISHED: f32 = 0.5869;

/// Waves of colour, well within what can be shown.
fn waves() -> RgbImage {
    RgbImage::from_fn(80, 80, |x, y| {
        let (i, j) = (y as f32, x as f32);
        let red = 110.0 + 60.0 * (i / 9.0).sin() + 40.0 * (j / 7.0).cos();
        let green = 100.0 + 50.0 * ((i + j) / 11.0).sin();
        let blue = 80.0 + 60.0 * (i / 13.0).cos() - 20.0 * (j / 5.0).sin();
        Rgb([red, green, blue].map(|v| u8::try_from((v + 0.5) as i32).unwrap()))
    })
}

#[test]
fn both_nets_agree_with_a_plain_reading_of_their_checkpoints() {
    // Half the picture wide: what each net wants around it is the whole picture, pixel by pixel.
    let face = FaceObservation {
        bounds: BoundingBox { left: 20.0, top: 20.0, width: 40.0, height: 40.0 },
        landmarks: [Point { x: 40.0, y: 40.0 }; 5],
        confidence: DetectionConfidence::new(0.9).unwrap(),
        quality: Quality::default(),
    };
    let Some(texture) = engine().texture(&Frame::from_rgb(&waves()), &face, Effort::Frame).unwrap() else {
        // They come from a public repository that this machine may not reach; the product says so itself.
        assert!(engine().liveness_is_reduced());
        return;
    };
    assert!((texture.measured - MEASURED).abs() < 0.05, "{texture:?}");
    assert!((texture.published - PUBLISHED).abs() < 0.01, "{texture:?}");
}
