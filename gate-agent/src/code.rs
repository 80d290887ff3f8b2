//! Ride codes at the gate: found in frames, verified offline, each handled once.

pub mod spent;

use std::sync::atomic::{AtomicUsize, Ordering};

use facegate_domain::code::CodeError;
use facegate_domain::policy::Refusal;
use facegate_models::Frame;

/// Longest side at which a QR is looked for; larger frames are thinned out first.
const SIDE_PX_MAX: u32 = 1280;

/// The decoder fails on codes at some sizes, wherever they are: of 300 made at twenty sizes of 200 to 523 pixels on 33, on 67
/// at the second of these scales, on 71 and 149 at the others, and on none at all of them.
const SCALES: [f32; 4] = [1.0, 0.85, 0.75, 0.6];

/// Reads the ride codes of one camera: each frame at another scale than the one before, and at the others too if there is a
/// QR in it that cannot be read.
#[derive(Debug, Default)]
pub struct CodeReader {
    frames: AtomicUsize,
}

impl CodeReader {
    /// The text of the first QR in the frame that can be read. Blocking.
    pub fn read(&self, frame: &Frame) -> Option<String> {
        let turn = self.frames.fetch_add(1, Ordering::Relaxed);
        for scale in (0..SCALES.len()).map(|place| SCALES[(turn + place) % SCALES.len()]) {
            match look(frame, scale) {
                Ok(text) => return Some(text),
                Err(0) => return None,
                Err(_) => {}
            }
        }
        None
    }
}

/// At this scale. Errors: how many QRs there are that cannot be read.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "pixels")]
fn look(frame: &Frame, scale: f32) -> Result<String, usize> {
    let step = frame.width().max(frame.height()).div_ceil(SIDE_PX_MAX).max(1) as usize;
    let (width, height) = (frame.width() as usize / step, frame.height() as usize / step);
    let luma = frame.luma();
    let at = |x: usize, y: usize| {
        let (x, y) = (x.min(width - 1) * step, y.min(height - 1) * step);
        luma.samples[y * luma.width as usize + x]
    };
    let between = |x: usize, y: usize| {
        let (x, y) = (x as f32 / scale, y as f32 / scale);
        let (left, top) = (x as usize, y as usize);
        let (right_of, below) = (x - left as f32, y - top as f32);
        let row = |y: usize| f32::from(at(left, y)) * (1.0 - right_of) + f32::from(at(left + 1, y)) * right_of;
        (row(top) * (1.0 - below) + row(top + 1) * below) as u8
    };
    let side = |length: usize| (length as f32 * scale) as usize;
    let mut grey = if scale < 1.0 {
        rqrr::PreparedImage::prepare_from_greyscale(side(width), side(height), between)
    } else {
        rqrr::PreparedImage::prepare_from_greyscale(width, height, at)
    };
    let grids = grey.detect_grids();
    let count = grids.len();
    grids.into_iter().find_map(|grid| grid.decode().ok()).map(|(_, text)| text).ok_or(count)
}

/// What the rider is told about a code that does not verify.
pub fn refusal_of(error: &CodeError) -> Refusal {
    match error {
        CodeError::NotOurs => Refusal::CodeNotOurs,
        CodeError::Malformed(_) | CodeError::UnknownIssuer | CodeError::Forged => Refusal::CodeForged,
        CodeError::CertificateExpired { .. } | CodeError::Stale { .. } | CodeError::FromTheFuture { .. } => {
            Refusal::CodeExpired
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::time::Duration;

    use facegate_domain::Timestamp;
    use facegate_domain::code::{CodeIssuer, CodeTolerance, Phone, verify};
    use facegate_domain::ids::RiderId;
    use facegate_models::ImageLimits;
    use image::imageops::{FilterType, overlay, resize, rotate90};
    use image::{GrayImage, Luma};
    use qrcode::{EcLevel, QrCode};

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_ms(1_790_000_000_000);

    fn code(rider: RiderId) -> (String, CodeIssuer) {
        let issuer = CodeIssuer::from_secret(&[7; 32]);
        let certificate =
            issuer.issue(rider, &Phone::public_key(&[9; 32]), [1; 8], NOW, Duration::from_secs(600)).unwrap();
        (Phone::new(&[9; 32], certificate).show(NOW, [5; 8]), issuer)
    }

    /// The code's QR of `side_px` in the middle of a grey frame, as the gate would get it from its camera.
    fn frame(qr: &GrayImage, side_px: u32, width: u32, height: u32) -> Frame {
        let mut canvas = GrayImage::from_pixel(width, height, Luma([90]));
        let shown = resize(qr, side_px, side_px, FilterType::Triangle);
        overlay(&mut canvas, &shown, i64::from((width - side_px) / 2), i64::from((height - side_px) / 2));
        let mut bytes = Cursor::new(Vec::new());
        canvas.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        facegate_models::decode::decode(&bytes.into_inner(), &ImageLimits::default()).unwrap()
    }

    #[test]
    fn a_real_code_is_read_back_scaled_and_turned_and_verifies() {
        let rider = RiderId::random();
        let (text, issuer) = code(rider);
        let qr = QrCode::with_error_correction_level(&text, EcLevel::L).unwrap().render::<Luma<u8>>().build();
        let views = [
            frame(&qr, 600, 1280, 720),
            frame(&qr, 420, 1280, 720),
            frame(&rotate90(&qr), 480, 1280, 720),
            frame(&qr, 1000, 2560, 1440),
        ];
        for (n, view) in views.iter().enumerate() {
            let reader = CodeReader::default();
            let read =
                reader.read(view).or_else(|| reader.read(view)).unwrap_or_else(|| panic!("view {n} is not read"));
            assert_eq!(read, text, "view {n}");
            let verified = verify(&read, &[issuer.public()], NOW, CodeTolerance::default()).unwrap();
            assert_eq!(verified.rider, rider);
        }
    }

    #[test]
    fn at_hardly_any_size_is_a_code_that_is_held_still_not_read_within_four_frames() {
        let mut unread = Vec::new();
        for n in 0..6 {
            let (text, _) = code(RiderId::from_bytes([n * 17 + 3; 16]));
            let qr = QrCode::with_error_correction_level(&text, EcLevel::L).unwrap().render::<Luma<u8>>().build();
            for side in (0..20).map(|n| 200 + 17 * n) {
                let (view, reader) = (frame(&qr, side, 960, 540), CodeReader::default());
                match (0..4).find_map(|_| reader.read(&view)) {
                    Some(read) => assert_eq!(read, text, "code {n} of {side} pixels"),
                    None => unread.push((n, side)),
                }
            }
        }
        assert!(unread.len() <= 2, "of 120: {unread:?}");
    }

    #[test]
    fn half_a_code_and_no_code_read_as_nothing() {
        let (text, _) = code(RiderId::random());
        let qr = QrCode::new(&text).unwrap().render::<Luma<u8>>().build();
        let half = image::imageops::crop_imm(&qr, 0, 0, qr.width(), qr.height() / 2).to_image();
        let reader = CodeReader::default();
        assert_eq!(reader.read(&frame(&half, 500, 1280, 720)), None);
        assert_eq!(reader.read(&frame(&GrayImage::from_pixel(50, 50, Luma([200])), 300, 1280, 720)), None);
    }

    #[test]
    fn every_fault_of_a_code_has_its_refusal() {
        assert_eq!(refusal_of(&CodeError::NotOurs), Refusal::CodeNotOurs);
        assert_eq!(refusal_of(&CodeError::Forged), Refusal::CodeForged);
        assert_eq!(refusal_of(&CodeError::UnknownIssuer), Refusal::CodeForged);
        assert_eq!(refusal_of(&CodeError::Stale { age_s: 99, limit_s: 60 }), Refusal::CodeExpired);
        assert_eq!(refusal_of(&CodeError::CertificateExpired { late_s: 1 }), Refusal::CodeExpired);
    }
}
