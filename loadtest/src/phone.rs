//! The rider's phone: keeps its key, shows ride codes as pictures, works offline.

use anyhow::Result;
use facegate_domain::Timestamp;
use facegate_domain::code::{Phone, RiderCertificate};
use image::{DynamicImage, GrayImage, Luma};
use qrcode::{EcLevel, QrCode};

use crate::people::{FRAME_HEIGHT, FRAME_WIDTH, jpeg};

/// A new random secret for a phone.
pub fn new_secret() -> [u8; 32] {
    rand::random()
}

/// A phone with its certificate.
pub fn phone(secret: &[u8; 32], certificate: Vec<u8>) -> Phone {
    Phone::new(secret, RiderCertificate::from_bytes(certificate))
}

/// One camera frame in which the phone's screen with this code is held before the camera.
pub fn code_frame(text: &str) -> Result<Vec<u8>> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L)?;
    let side = 560;
    let picture = code.render::<Luma<u8>>().quiet_zone(true).max_dimensions(side, side).build();
    let mut frame = GrayImage::from_pixel(FRAME_WIDTH, FRAME_HEIGHT, Luma([70]));
    let left = i64::from((FRAME_WIDTH - picture.width()) / 2);
    let top = i64::from((FRAME_HEIGHT - picture.height()) / 2);
    image::imageops::overlay(&mut frame, &picture, left, top);
    jpeg(&DynamicImage::ImageLuma8(frame))
}

/// A fresh code of this phone.
pub fn fresh_code(phone: &Phone, now: Timestamp) -> String {
    phone.show(now, rand::random())
}
