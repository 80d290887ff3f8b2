//! Whole pixels of a frame, to the last bit as libjpeg-turbo gives them, and their means as OpenCV does.
//!
//! The detector's neighbouring cells are often nearly as sure as each other; which of them wins hangs on a hundred
//! thousandth, and the landmarks of the two lie pixels apart. With the same input as OpenCV's we give the same answer.

use super::{Part, Plane};

/// Makes one row of pixels after the other.
pub struct Pixels<'f> {
    planes: Part<'f>,
    /// A row of Cb and of Cr at the width of luma.
    colour: [Vec<u8>; 2],
    /// A row of coarse colour, its neighbour row weighed in.
    sums: Vec<u16>,
}

/// Bytes of red, green and blue.
pub type Row = [Vec<u8>; 3];

impl<'f> Pixels<'f> {
    pub fn of(planes: Part<'f>) -> Self {
        let width = planes[0].width;
        Self { planes, colour: std::array::from_fn(|_| vec![0; width]), sums: vec![0; planes[1].width] }
    }

    /// An empty row of the right length.
    pub fn blank(&self) -> Row {
        std::array::from_fn(|_| vec![0; self.planes[0].width])
    }

    pub fn row(&mut self, y: usize, into: &mut Row) {
        let [luma, cb, cr] = self.planes;
        let [blue, red] = &mut self.colour;
        let blue = spread(cb, &luma, y, &mut self.sums, blue);
        let red = spread(cr, &luma, y, &mut self.sums, red);
        to_rgb(luma.row(y), blue, red, into);
    }
}

/// A row of a coarse plane at luma's width and height: libjpeg's "fancy" upsampling, by which a sample counts three
/// quarters and its nearer neighbour one, with halves rounded up and down by turns. Fourfold samples are repeated.
fn spread<'r>(plane: Plane<'r>, luma: &Plane<'_>, y: usize, sums: &mut [u16], into: &'r mut [u8]) -> &'r [u8] {
    let (across, down) = (luma.width / plane.width, luma.height / plane.height);
    let near = plane.row(y / down);
    let far =
        || plane.row(if y.is_multiple_of(2) { (y / 2).saturating_sub(1) } else { (y / 2 + 1).min(plane.height - 1) });
    match (across, down) {
        (1, 1) => return near,
        (2, 1) => {
            sums.iter_mut().zip(near).for_each(|(sum, n)| *sum = u16::from(*n));
            widen::<2>(sums, [1, 2], into);
        }
        (2, 2) => {
            weigh(near, far(), sums);
            widen::<4>(sums, [8, 7], into);
        }
        (1, 2) => {
            weigh(near, far(), sums);
            let half = if y.is_multiple_of(2) { 1 } else { 2 };
            into.iter_mut().zip(&*sums).for_each(|(v, sum)| *v = ((sum + half) >> 2) as u8);
        }
        _ => into.chunks_exact_mut(across).zip(near).for_each(|(v, n)| v.fill(*n)),
    }
    into
}

fn weigh(near: &[u8], far: &[u8], sums: &mut [u16]) {
    let pairs = near.iter().zip(far);
    sums.iter_mut().zip(pairs).for_each(|(sum, (n, f))| *sum = 3 * u16::from(*n) + u16::from(*f));
}

/// Twice as many samples, each divided by 2 to the power of `SHIFT` after `halves` of the left and the right were added.
fn widen<const SHIFT: u16>(sums: &[u16], halves: [u16; 2], into: &mut [u8]) {
    let pairs = into.as_chunks_mut::<2>().0;
    let (Some(first), Some(last)) = (sums.first(), sums.last()) else { return };
    let pair = |west: u16, this: u16, east: u16| {
        [((3 * this + west + halves[0]) >> SHIFT) as u8, ((3 * this + east + halves[1]) >> SHIFT) as u8]
    };
    let count = sums.len().min(pairs.len());
    let (sums, pairs) = (&sums[..count], &mut pairs[..count]);
    // Beyond the edge lies what lies at the edge.
    let next = |i: usize| *sums.get(i).unwrap_or(last);
    pairs[0] = pair(*first, *first, next(1));
    pairs[count - 1] = pair(if count > 1 { sums[count - 2] } else { *first }, *last, *last);
    for (pair_of, around) in pairs[1..].iter_mut().zip(sums.windows(3)) {
        *pair_of = pair(around[0], around[1], around[2]);
    }
}

/// JFIF's YCbCr to RGB with 16 fractional bits. Whole parts are split off, so that every factor fits 16 bits, which a
/// processor multiplies eight at a time.
fn to_rgb(luma: &[u8], cb: &[u8], cr: &[u8], [red, green, blue]: &mut Row) {
    const HALF: i32 = 1 << 15;
    let width = luma.len();
    let (cb, cr) = (&cb[..width], &cr[..width]);
    let (red, green, blue) = (&mut red[..width], &mut green[..width], &mut blue[..width]);
    let byte = |v: i16| v.clamp(0, 255) as u8;
    let scaled = |v: i32| ((v + HALF) >> 16) as i16;
    for x in 0..width {
        let (y, b, r) = (i16::from(luma[x]), i16::from(cb[x]) - 128, i16::from(cr[x]) - 128);
        let (wide_b, wide_r) = (i32::from(b), i32::from(r));
        // 1.402 = 1 + 26345/65536; 1.772 = 2 − 14942/65536; 0.34414 = 22554/65536; 0.71414 = 1 − 18734/65536.
        red[x] = byte(y + r + scaled(26_345 * wide_r));
        green[x] = byte(y - r + scaled(18_734 * wide_r - 22_554 * wide_b));
        blue[x] = byte(y + 2 * b + scaled(-14_942 * wide_b));
    }
}

/// The mean of each square of four pixels, halves rounded up: OpenCV's `INTER_LINEAR` at exactly a half. Pairs are
/// taken as numbers of two bytes, which a processor adds eight or more at a time.
pub fn halve(north: &[u8], south: &[u8], into: &mut [f32]) {
    let pairs = north.as_chunks::<2>().0.iter().zip(south.as_chunks::<2>().0);
    let both = |pair: [u8; 2]| (u16::from_le_bytes(pair) & 0xff) + (u16::from_le_bytes(pair) >> 8);
    for (mean, (north, south)) in into.iter_mut().zip(pairs) {
        let sum = both(*north) + both(*south);
        // Through i32, for which there is one instruction.
        *mean = i32::from((sum + 2) >> 2) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Extent;
    use crate::{Frame, ImageLimits};
    use turbojpeg::{Compressor, Decompressor, Image, PixelFormat, Subsamp};

    /// A picture in which neighbouring colours differ much.
    fn jpeg(width: usize, height: usize, subsamp: Subsamp) -> Vec<u8> {
        let pixels: Vec<u8> = (0..width * height * 3).map(|i| ((i * i / 7 + i * 31) % 251) as u8).collect();
        let mut compressor = Compressor::new().unwrap();
        compressor.set_subsamp(subsamp).unwrap();
        compressor.set_quality(90).unwrap();
        compressor
            .compress_to_vec(Image { pixels: &pixels[..], width, pitch: width * 3, height, format: PixelFormat::RGB })
            .unwrap()
    }

    #[test]
    fn pixels_are_those_of_libjpeg_turbo_to_the_last_bit() {
        for subsamp in [Subsamp::None, Subsamp::Sub2x1, Subsamp::Sub2x2, Subsamp::Sub1x2, Subsamp::Sub4x1] {
            let (width, height) = (96, 80);
            let bytes = jpeg(width, height, subsamp);
            let mut expected = vec![0; width * height * 3];
            let image = Image { pixels: &mut expected[..], width, pitch: width * 3, height, format: PixelFormat::RGB };
            Decompressor::new().unwrap().decompress(&bytes, image).unwrap();
            let frame = crate::decode::decode(&bytes, &ImageLimits::default()).unwrap();
            let mut pixels = Pixels::of(frame.planes());
            let mut row = pixels.blank();
            for y in 0..height {
                pixels.row(y, &mut row);
                let line = expected[y * width * 3..][..width * 3].chunks(3);
                for (x, wanted) in line.enumerate() {
                    assert_eq!([row[0][x], row[1][x], row[2][x]], wanted, "{subsamp:?} {x},{y}");
                }
            }
        }
    }

    #[test]
    fn coarse_colour_and_means_follow_their_definitions() {
        let samples = [vec![100; 16], vec![128; 4], vec![128, 160, 128, 128]].concat();
        let extents = [(0, 4), (16, 2), (20, 2)].map(|(start, side)| Extent { start, width: side, height: side });
        let frame = Frame::from_samples(samples, extents).unwrap();
        let mut pixels = Pixels::of(frame.planes());
        let mut row = pixels.blank();
        pixels.row(1, &mut row);
        // Three quarters of the upper row and one of the lower: 128 and 152; then (3a + b + 8 or 7) / 16 of four times
        // those: 128, 134, 146, 152, of which 128 are none, and 1.402 of the rest is red.
        assert_eq!(row[0], [100, 100 + 8, 100 + 25, 100 + 34]);
        let mut means = [0.0; 2];
        halve(&[0, 1, 9, 9], &[0, 1, 9, 8], &mut means);
        assert_eq!(means, [1.0, 9.0]);
    }

    #[test]
    fn colours_are_those_of_the_formula_rounded() {
        for (y, cb, cr) in (0..=255).step_by(5).flat_map(|y| (0..=255).map(move |c| (y, c, 255 - c / 2))) {
            let mut row: Row = std::array::from_fn(|_| vec![0]);
            to_rgb(&[y], &[cb], &[cr], &mut row);
            let exact = crate::frame::to_rgb(f32::from(y), f32::from(cb), f32::from(cr));
            for (is, exact) in row.iter().zip(exact) {
                assert!((f32::from(is[0]) - exact).abs() <= 0.51, "{y} {cb} {cr}");
            }
        }
    }
}
