//! Least squares of a plane and of a quadric over the cells of a face.

/// One averaged place of a face, in half face widths from the face's middle; z grows away from the camera.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    pub x: f32,
    pub y: f32,
    pub z: f32,
}

/// The second-order terms of z = … + xx·x² + xy·x·y + yy·y².
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quadric {
    pub xx: f32,
    pub xy: f32,
    pub yy: f32,
}

/// Root mean square of what the best plane leaves; none if the cells lie on a line.
pub fn plane_residual(cells: &[Cell]) -> Option<f32> {
    let terms = |c: &Cell| [1.0, f64::from(c.x), f64::from(c.y)];
    let fitted = least_squares(cells, terms)?;
    let left = |c: &Cell| f64::from(c.z) - terms(c).iter().zip(fitted).map(|(t, f)| t * f).sum::<f64>();
    let squares: f64 = cells.iter().map(|c| left(c).powi(2)).sum();
    Some((squares / cells.len() as f64).sqrt() as f32)
}

/// The best quadric; none if the cells do not determine one.
pub fn fit_quadric(cells: &[Cell]) -> Option<Quadric> {
    let terms = |c: &Cell| {
        let (x, y) = (f64::from(c.x), f64::from(c.y));
        [1.0, x, y, x * x, x * y, y * y]
    };
    let [_, _, _, xx, xy, yy] = least_squares(cells, terms)?;
    Some(Quadric { xx: xx as f32, xy: xy as f32, yy: yy as f32 })
}

/// Coefficients of `terms` that come nearest to z, by the normal equations.
fn least_squares<const N: usize>(cells: &[Cell], terms: impl Fn(&Cell) -> [f64; N]) -> Option<[f64; N]> {
    let mut left = [[0.0; N]; N];
    let mut right = [0.0; N];
    for cell in cells {
        let t = terms(cell);
        for i in 0..N {
            (0..N).for_each(|j| left[i][j] += t[i] * t[j]);
            right[i] += t[i] * f64::from(cell.z);
        }
    }
    solve(left, right)
}

/// Gaussian elimination with pivots; none if the matrix is singular.
fn solve<const N: usize>(mut left: [[f64; N]; N], mut right: [f64; N]) -> Option<[f64; N]> {
    for i in 0..N {
        let pivot = (i..N).max_by(|a, b| left[*a][i].abs().total_cmp(&left[*b][i].abs()))?;
        left.swap(i, pivot);
        right.swap(i, pivot);
        if left[i][i].abs() < 1e-9 {
            return None;
        }
        for below in i + 1..N {
            let factor = left[below][i] / left[i][i];
            (i..N).for_each(|j| left[below][j] -= factor * left[i][j]);
            right[below] -= factor * right[i];
        }
    }
    for i in (0..N).rev() {
        let known: f64 = (i + 1..N).map(|j| left[i][j] * right[j]).sum();
        right[i] = (right[i] - known) / left[i][i];
    }
    Some(right)
}
