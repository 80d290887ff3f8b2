//! The spectrum of a small square picture: radix-2 transforms of its rows, then of its columns.

use std::f32::consts::PI;

use super::SIDE;

/// Log magnitudes of the spectrum of SIDE × SIDE values, their mean taken off and their edges faded (Hann).
pub fn spectrum(values: Vec<f32>) -> Vec<f32> {
    let mean = values.iter().sum::<f32>() / values.len() as f32;
    let fade: Vec<f32> = (0..SIDE).map(|i| 0.5 - 0.5 * (2.0 * PI * i as f32 / (SIDE - 1) as f32).cos()).collect();
    let faded = |(i, v): (usize, f32)| ((v - mean) * fade[i % SIDE] * fade[i / SIDE], 0.0);
    let mut cells: Vec<(f32, f32)> = values.into_iter().enumerate().map(faded).collect();
    for _ in 0..2 {
        cells.chunks_mut(SIDE).for_each(transform);
        cells = (0..SIDE * SIDE).map(|i| cells[i % SIDE * SIDE + i / SIDE]).collect();
    }
    cells.into_iter().map(|(re, im)| (re.hypot(im) + 1.0).ln()).collect()
}

/// Cooley and Tukey, in place; the length is a power of two.
fn transform(line: &mut [(f32, f32)]) {
    let n = line.len();
    let shift = usize::BITS - n.trailing_zeros();
    for i in 0..n {
        let j = i.reverse_bits() >> shift;
        if i < j {
            line.swap(i, j);
        }
    }
    let mut half = 1;
    while half < n {
        for start in (0..n).step_by(2 * half) {
            for k in 0..half {
                let (sin, cos) = (-PI * k as f32 / half as f32).sin_cos();
                let (a, (re, im)) = (line[start + k], line[start + k + half]);
                let turned = (re * cos - im * sin, re * sin + im * cos);
                line[start + k] = (a.0 + turned.0, a.1 + turned.1);
                line[start + k + half] = (a.0 - turned.0, a.1 - turned.1);
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wave_stands_at_its_frequency() {
        let wave = |i: usize| (2.0 * PI * (20 * (i % SIDE) + 9 * (i / SIDE)) as f32 / SIDE as f32).cos() * 50.0;
        let spectrum = spectrum((0..SIDE * SIDE).map(wave).collect());
        let strongest = (0..spectrum.len()).max_by(|a, b| spectrum[*a].total_cmp(&spectrum[*b])).unwrap();
        let mirrored = (SIDE - 9) * SIDE + SIDE - 20;
        assert!(strongest == 9 * SIDE + 20 || strongest == mirrored, "{strongest}");
    }
}
