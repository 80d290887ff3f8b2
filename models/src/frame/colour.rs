//! Between RGB and YCbCr as JPEG has them: full-range ITU-R BT.601 (JFIF 1.02, page 3).

/// Luma, Cb and Cr of RGB bytes: all of one kind, then all of the next.
pub fn planes(rgb: &[u8]) -> Vec<u8> {
    let pixels = rgb.as_chunks::<3>().0;
    let mut planes = vec![0; pixels.len() * 3];
    for (i, pixel) in pixels.iter().enumerate() {
        let converted = from_rgb(*pixel);
        (0..3).for_each(|kind| planes[kind * pixels.len() + i] = converted[kind]);
    }
    planes
}

/// In fixed point with 16 fractional bits, rounded.
fn from_rgb(rgb: [u8; 3]) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    const MIDDLE: i32 = 128 << 16;
    let [r, g, b] = rgb.map(i32::from);
    let y = 19_595 * r + 38_470 * g + 7_471 * b + HALF;
    // One less than a half keeps pure blue and pure red at 255.
    let cb = -11_058 * r - 21_710 * g + 32_768 * b + MIDDLE + HALF - 1;
    let cr = 32_768 * r - 27_439 * g - 5_329 * b + MIDDLE + HALF - 1;
    [y, cb, cr].map(|v| (v >> 16) as u8)
}

/// Red, green and blue of one sample of each plane, each cut to 0 to 255.
pub fn to_rgb(y: f32, cb: f32, cr: f32) -> [f32; 3] {
    let (cb, cr) = (cb - 128.0, cr - 128.0);
    [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb].map(|v| v.clamp(0.0, 255.0))
}

/// The nearest whole value of one that lies between 0 and 255.
pub fn rounded(value: f32) -> u8 {
    (value + 0.5) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_come_back_within_a_step() {
        for r in (0..=255_u8).step_by(15) {
            for g in (0..=255_u8).step_by(15) {
                for b in (0..=255_u8).step_by(15) {
                    let [y, cb, cr] = from_rgb([r, g, b]).map(f32::from);
                    let back = to_rgb(y, cb, cr);
                    for (was, is) in [r, g, b].into_iter().zip(back) {
                        assert!((f32::from(was) - is).abs() < 1.5, "{r} {g} {b}: {back:?}");
                    }
                }
            }
        }
        assert_eq!(from_rgb([255; 3]), [255, 128, 128]);
        assert_eq!(from_rgb([0, 0, 255])[1], 255);
    }
}
