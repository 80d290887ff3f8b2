//! One template in one byte a dimension: the sign bits apart, where a scan finds them, and seven bits beside them.
//!
//! A rotated coordinate x becomes the integer u = floor(x / step) + 128 of 0 to 255, standing for (u − 127.5) · step. Its
//! highest bit, the sign, is the *code*; the lower seven bits are the *rest*. Both together are the only copy of a
//! template. The scale is chosen so that a template's similarity to itself is 1.
//!
//! | rest | bytes |
//! |---|---|
//! | eight coordinates, seven bits each, the first lowest | 7 an octet |
//! | the sign bits of octets beyond the code | 1 an octet |

#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "values are clamped to their byte first")]

use zeroize::Zeroizing;

/// Sign bits that the scan looks at, of embeddings of up to 128 dimensions and of larger ones: these many rotated
/// coordinates tell enough for the recall in `ARCHITECTURE.md`, and each byte less is less memory to read.
const CODE_BITS: usize = 96;
const CODE_BITS_OF_LARGER: usize = 256;
/// Dimensions are padded to a multiple of this.
const PADDING: usize = 128;
/// What one step of a stored scale is worth.
const SCALE_UNIT: f32 = 1.0 / (1 << 23) as f32;

/// How large the parts of a template are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// As the model gives them.
    pub dims: usize,
    /// With the padding that the rotation fills.
    pub padded: usize,
}

impl Shape {
    pub const fn new(dims: usize) -> Self {
        Self { dims, padded: dims.next_multiple_of(PADDING) }
    }

    /// Bytes of sign bits that are scanned: 12 or 32.
    pub const fn code_bytes(self) -> usize {
        if self.padded == PADDING { CODE_BITS / 8 } else { CODE_BITS_OF_LARGER / 8 }
    }

    /// Bytes beside the code.
    pub const fn rest_bytes(self) -> usize {
        self.padded / 8 * 7 + self.padded / 8 - self.code_bytes()
    }
}

/// One quantised template; wiped when dropped.
#[derive(Clone)]
pub struct Quantised {
    pub code: Zeroizing<Vec<u8>>,
    pub rest: Zeroizing<Vec<u8>>,
    /// In units of 2⁻²³.
    pub scale: u16,
}

impl Quantised {
    /// `rotated`: `[padded]`, of length 1.
    pub fn new(shape: Shape, rotated: &[f32]) -> Self {
        let largest = rotated.iter().fold(f32::MIN_POSITIVE, |most, value| most.max(value.abs()));
        let step = largest / 127.5;
        let level = |value: &f32| ((value / step).floor() + 128.0).clamp(0.0, 255.0) as u8;
        let levels: Zeroizing<Vec<u8>> = Zeroizing::new(rotated.iter().map(level).collect());
        let own: f32 = rotated.iter().zip(levels.iter()).map(|(x, u)| x * (f32::from(*u) - 127.5)).sum();
        let scale = (1.0 / own / SCALE_UNIT).round().clamp(1.0, f32::from(u16::MAX)) as u16;
        let mut code = Zeroizing::new(Vec::with_capacity(shape.code_bytes()));
        let mut rest = Zeroizing::new(Vec::with_capacity(shape.rest_bytes()));
        let mut tail = Zeroizing::new(Vec::new());
        for (octet, levels) in levels.as_chunks::<8>().0.iter().enumerate() {
            let bits = |bits: u64, (i, level): (usize, &u8)| bits | u64::from(level & 0x7f) << (7 * i);
            rest.extend_from_slice(&levels.iter().enumerate().fold(0, bits).to_le_bytes()[..7]);
            let signs = levels.iter().enumerate().fold(0, |signs, (i, level)| signs | (level >> 7) << i);
            if octet < shape.code_bytes() { code.push(signs) } else { tail.push(signs) }
        }
        rest.extend_from_slice(&tail);
        Self { code, rest, scale }
    }
}

/// Eight levels of an octet of the rest and its sign bits.
#[inline(always)]
fn levels(rest: [u8; 7], signs: u8) -> [u8; 8] {
    let [a, b, c, d, e, f, g] = rest;
    let mut x = u64::from_le_bytes([a, b, c, d, e, f, g, 0]);
    x = (x & 0x0000_0000_0fff_ffff) | (x & 0x00ff_ffff_f000_0000) << 4;
    x = (x & 0x0000_3fff_0000_3fff) | (x & 0x0fff_c000_0fff_c000) << 2;
    x = (x & 0x007f_007f_007f_007f) | (x & 0x3f80_3f80_3f80_3f80) << 1;
    // Bit i of the signs to the highest bit of byte i.
    let spread = u64::from(signs).wrapping_mul(0x0101_0101_0101_0101) & 0x8040_2010_0804_0201;
    let tops = (spread + 0x7f7f_7f7f_7f7f_7f7f) & 0x8080_8080_8080_8080;
    (x | tops).to_le_bytes()
}

/// The cosine of a rotated probe `[padded]` and a stored template. `probe_sum` is the sum of the probe's values.
#[inline(always)]
pub fn cosine(probe: &[f32], probe_sum: f32, code: &[u8], rest: &[u8], scale: u16) -> f32 {
    let octets = probe.len() / 8;
    let (packed, tail) = rest.split_at(7 * octets);
    let signs = code.iter().chain(tail);
    let mut sums = [0.0f32; 8];
    for ((rest, signs), probe) in packed.as_chunks::<7>().0.iter().zip(signs).zip(probe.as_chunks::<8>().0) {
        let levels = levels(*rest, *signs);
        for i in 0..8 {
            sums[i] += probe[i] * f32::from(levels[i]);
        }
    }
    cosine_of(sums.iter().sum(), probe_sum, scale)
}

/// From Σ probe · level.
pub fn cosine_of(sum: f32, probe_sum: f32, scale: u16) -> f32 {
    (sum - 127.5 * probe_sum) * f32::from(scale) * SCALE_UNIT
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    fn unit(length: usize, rng: &mut StdRng) -> Vec<f32> {
        let values: Vec<f32> = (0..length).map(|_| rng.random_range(-1.0..1.0)).collect();
        let norm = values.iter().map(|v| v * v).sum::<f32>().sqrt();
        values.iter().map(|v| v / norm).collect()
    }

    #[test]
    fn a_template_takes_one_byte_a_dimension() {
        for dims in [16, 128, 192, 512, 1024] {
            let shape = Shape::new(dims);
            assert_eq!(shape.code_bytes() + shape.rest_bytes(), shape.padded);
        }
        assert_eq!((Shape::new(128).code_bytes(), Shape::new(128).rest_bytes()), (12, 116));
    }

    #[test]
    fn cosines_come_back_within_a_thousandth_and_ones_own_is_one() {
        let mut rng = StdRng::seed_from_u64(3);
        for dims in [128, 384, 1024] {
            let shape = Shape::new(dims);
            for _ in 0..200 {
                let (a, b) = (unit(shape.padded, &mut rng), unit(shape.padded, &mut rng));
                let stored = Quantised::new(shape, &a);
                let cosine_to =
                    |probe: &[f32]| cosine(probe, probe.iter().sum(), &stored.code, &stored.rest, stored.scale);
                let exact: f32 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
                assert!((cosine_to(&b) - exact).abs() < 4e-3, "{dims}: {} {exact}", cosine_to(&b));
                assert!((cosine_to(&a) - 1.0).abs() < 2e-4);
            }
        }
    }
}
