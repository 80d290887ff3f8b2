//! Ride codes at the gate: found in frames, verified offline, each handled once.

pub mod spent;

use facegate_domain::code::CodeError;
use facegate_domain::policy::Refusal;
use facegate_models::Frame;

/// Longest side at which a QR is looked for; larger frames are thinned out first.
const SIDE_PX_MAX: u32 = 1280;

/// The text of the first QR in the frame that can be read. Blocking.
pub fn read_qr(frame: &Frame) -> Option<String> {
    let step = frame.width().max(frame.height()).div_ceil(SIDE_PX_MAX).max(1);
    let (width, height) = (frame.width() / step, frame.height() / step);
    let (luma, step) = (frame.luma(), step as usize);
    let brightness = |x: usize, y: usize| luma.samples[y * step * luma.width as usize + x * step];
    let mut grey = rqrr::PreparedImage::prepare_from_greyscale(width as usize, height as usize, brightness);
    grey.detect_grids().into_iter().find_map(|grid| grid.decode().ok()).map(|(_, text)| text)
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
            let read = read_qr(view).unwrap_or_else(|| panic!("view {n} is not read"));
            assert_eq!(read, text, "view {n}");
            let verified = verify(&read, &[issuer.public()], NOW, CodeTolerance::default()).unwrap();
            assert_eq!(verified.rider, rider);
        }
    }

    #[test]
    fn half_a_code_and_no_code_read_as_nothing() {
        let (text, _) = code(RiderId::random());
        let qr = QrCode::new(&text).unwrap().render::<Luma<u8>>().build();
        let half = image::imageops::crop_imm(&qr, 0, 0, qr.width(), qr.height() / 2).to_image();
        assert_eq!(read_qr(&frame(&half, 500, 1280, 720)), None);
        assert_eq!(read_qr(&frame(&GrayImage::from_pixel(50, 50, Luma([200])), 300, 1280, 720)), None);
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
