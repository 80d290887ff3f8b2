//! One frame against the mean shape: what a moving plane does to it, and how far its relief shifted.

/// Unknowns: A (4), t (2), g (2), e (2).
const UNKNOWNS: usize = 10;

/// What explains a frame best.
#[derive(Debug, Clone, Copy)]
pub struct Warp {
    /// Rows of A.
    linear: [[f64; 2]; 2],
    /// e, in units of the face's size in this frame.
    pub shift: [f64; 2],
}

impl Warp {
    /// How much narrower, at most, one frame is against another along any direction: 1 not at all. A card that turns
    /// by θ from facing the camera is cos θ as wide.
    pub fn shortening_against(&self, other: &Self) -> f64 {
        let [[a, b], [c, d]] = self.linear;
        let [[p, q], [r, s]] = other.linear;
        // A · B⁻¹ up to a factor, which the ratio of its singular values does not see.
        let m = [[a * s - b * r, b * p - a * q], [c * s - d * r, d * p - c * q]];
        let norm = m.iter().flatten().map(|v| v * v).sum::<f64>();
        let determinant = (m[0][0] * m[1][1] - m[0][1] * m[1][0]).abs();
        let apart = (norm * norm - 4.0 * determinant * determinant).max(0.0).sqrt();
        ((norm - apart) / (norm + apart).max(f64::MIN_POSITIVE)).max(0.0).sqrt()
    }
}

/// Least squares over all points; none if they do not determine it.
pub fn fit(mean: &[[f64; 2]], relief: &[f64], places: &[[f64; 2]]) -> Option<Warp> {
    let mut normal = [[0.0; UNKNOWNS + 1]; UNKNOWNS];
    for (([x, y], z), [u, v]) in mean.iter().zip(relief).zip(places) {
        add_equation(&mut normal, &[*x, *y, 0.0, 0.0, 1.0, 0.0, -x * u, -y * u, *z, 0.0], *u);
        add_equation(&mut normal, &[0.0, 0.0, *x, *y, 0.0, 1.0, -x * v, -y * v, 0.0, *z], *v);
    }
    let found = solve(normal)?;
    let linear = [[found[0], found[1]], [found[2], found[3]]];
    let size = (linear[0][0] * linear[1][1] - linear[0][1] * linear[1][0]).abs().sqrt();
    (size > 0.0).then(|| Warp { linear, shift: [found[8] / size, found[9] / size] })
}

fn add_equation(normal: &mut [[f64; UNKNOWNS + 1]; UNKNOWNS], factors: &[f64; UNKNOWNS], value: f64) {
    for (row, factor) in normal.iter_mut().zip(factors) {
        for (sum, other) in row.iter_mut().zip(factors) {
            *sum += factor * other;
        }
        row[UNKNOWNS] += factor * value;
    }
}

/// Gauss–Jordan elimination with partial pivoting; the last column is the right side.
fn solve(mut rows: [[f64; UNKNOWNS + 1]; UNKNOWNS]) -> Option<[f64; UNKNOWNS]> {
    for pivot in 0..UNKNOWNS {
        let best = (pivot..UNKNOWNS).max_by(|a, b| rows[*a][pivot].abs().total_cmp(&rows[*b][pivot].abs()))?;
        rows.swap(pivot, best);
        let lead = rows[pivot];
        // Sums of squares of numbers about one over hundreds of points: far below is nothing.
        if lead[pivot].abs() < 1e-9 {
            return None;
        }
        for (index, row) in rows.iter_mut().enumerate() {
            let factor = row[pivot] / lead[pivot];
            if index != pivot {
                row.iter_mut().zip(lead).for_each(|(value, above)| *value -= factor * above);
            }
        }
    }
    Some(std::array::from_fn(|i| rows[i][UNKNOWNS] / rows[i][i]))
}
