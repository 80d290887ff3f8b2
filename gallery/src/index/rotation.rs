//! A fixed rotation that spreads every embedding evenly over all coordinates.
//!
//! Codes keep one bit of each coordinate, so no coordinate may carry more than another. Random signs followed by a
//! Hadamard transform, a few times over, do that in `dims · log dims` steps and change no angle.

use zeroize::Zeroizing;

/// Changes whenever the same embedding would come out differently; snapshots of another version are not read.
pub const VERSION: u8 = 1;

const ROUNDS: usize = 4;
/// Of the signs; part of the format.
const SEED: u64 = 0x6661_6365_6761_7465;

/// See the module. Takes `dims` coordinates to `padded`.
#[derive(Debug, Clone)]
pub struct Rotation {
    padded: usize,
    /// The largest power of two that is not above `padded`: what one transform covers.
    span: usize,
    /// 1 or −1, `ROUNDS · padded`.
    signs: Vec<f32>,
}

impl Rotation {
    /// `padded` is at least 1.
    pub fn new(padded: usize) -> Self {
        let mut state = SEED;
        let signs = (0..ROUNDS * padded).map(|_| if splitmix(&mut state) >> 63 == 0 { 1.0 } else { -1.0 }).collect();
        let span = if padded.is_power_of_two() { padded } else { padded.next_power_of_two() / 2 };
        Self { padded, span, signs }
    }

    /// The rotated values, `[padded]`; shorter input is padded with zeros. Wiped when dropped. Lengths and angles stay.
    pub fn apply(&self, values: &[f32]) -> Zeroizing<Vec<f32>> {
        let mut rotated = Zeroizing::new(vec![0.0; self.padded]);
        rotated[..values.len()].copy_from_slice(values);
        for (round, signs) in self.signs.chunks_exact(self.padded).enumerate() {
            rotated.iter_mut().zip(signs).for_each(|(value, sign)| *value *= sign);
            // Where one transform does not reach all coordinates, the rounds take turns at either end.
            let from = if round % 2 == 0 { 0 } else { self.padded - self.span };
            hadamard(&mut rotated[from..from + self.span]);
        }
        rotated
    }
}

/// The orthonormal Walsh–Hadamard transform, in place; the length is a power of two.
#[expect(clippy::cast_precision_loss, reason = "a number of dimensions")]
fn hadamard(values: &mut [f32]) {
    let mut half = 1;
    while half < values.len() {
        for pair in values.chunks_exact_mut(2 * half) {
            let (left, right) = pair.split_at_mut(half);
            for (l, r) in left.iter_mut().zip(right) {
                (*l, *r) = (*l + *r, *l - *r);
            }
        }
        half *= 2;
    }
    let scale = 1.0 / (values.len() as f32).sqrt();
    values.iter_mut().for_each(|value| *value *= scale);
}

/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn angles_stay_and_no_coordinate_carries_it_all() {
        for (dims, padded) in [(128, 128), (100, 128), (300, 384), (1024, 1024)] {
            let rotation = Rotation::new(padded);
            let mut one = vec![0.0; dims];
            one[3] = 1.0;
            let many: Vec<f32> = (0..dims).map(|i| (i as f32 * 0.7).sin()).collect();
            let (turned, others) = (rotation.apply(&one), rotation.apply(&many));
            assert!((dot(&turned, &turned) - 1.0).abs() < 1e-5);
            assert!((dot(&turned, &others) - dot(&one, &many)).abs() < 1e-4);
            assert!(turned.iter().all(|value| value.abs() < 0.5), "{padded}");
        }
    }
}
