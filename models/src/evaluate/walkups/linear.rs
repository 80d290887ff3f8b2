//! Three-dimensional vectors and rotations, in millimetres and radians.
//!
//! Axes as a camera has them: x to the right, y down, z away from it.

pub type Vector = [f64; 3];
pub type Matrix = [Vector; 3];

pub fn add(a: Vector, b: Vector) -> Vector {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

pub fn subtract(a: Vector, b: Vector) -> Vector {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

pub fn scale(a: Vector, by: f64) -> Vector {
    a.map(|v| v * by)
}

pub fn dot(a: Vector, b: Vector) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub fn cross(a: Vector, b: Vector) -> Vector {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

pub fn unit(a: Vector) -> Vector {
    scale(a, 1.0 / dot(a, a).sqrt().max(f64::MIN_POSITIVE))
}

pub fn apply(m: &Matrix, v: Vector) -> Vector {
    m.map(|row| dot(row, v))
}

pub fn multiply(a: &Matrix, b: &Matrix) -> Matrix {
    let column = |j: usize| [b[0][j], b[1][j], b[2][j]];
    a.map(|row| [dot(row, column(0)), dot(row, column(1)), dot(row, column(2))])
}

pub fn transpose(m: &Matrix) -> Matrix {
    [0, 1, 2].map(|j| [m[0][j], m[1][j], m[2][j]])
}

/// Roll about z first, then pitch about x, then yaw about y.
pub fn rotation(yaw: f64, pitch: f64, roll: f64) -> Matrix {
    let ((sy, cy), (sp, cp), (sr, cr)) = (yaw.sin_cos(), pitch.sin_cos(), roll.sin_cos());
    let about_y = [[cy, 0.0, sy], [0.0, 1.0, 0.0], [-sy, 0.0, cy]];
    let about_x = [[1.0, 0.0, 0.0], [0.0, cp, -sp], [0.0, sp, cp]];
    let about_z = [[cr, -sr, 0.0], [sr, cr, 0.0], [0.0, 0.0, 1.0]];
    multiply(&about_y, &multiply(&about_x, &about_z))
}

/// By how much two orientations differ, not counting turns about the line of sight, which show nothing of depth.
pub fn tilt_between(a: &Matrix, b: &Matrix) -> f64 {
    let between = multiply(&transpose(a), b);
    between[2][2].clamp(-1.0, 1.0).acos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotations_turn_the_right_way_and_undo() {
        let turned = apply(&rotation(0.0, 90_f64.to_radians(), 0.0), [0.0, 0.0, -1.0]);
        // Pitching by a right angle, a nose that pointed at the camera points down.
        assert!((turned[1] - 1.0).abs() < 1e-12, "{turned:?}");
        let r = rotation(0.3, -0.2, 0.5);
        let back = multiply(&transpose(&r), &r);
        assert!((back[0][0] - 1.0).abs() < 1e-12 && back[0][1].abs() < 1e-12);
        let rolled = multiply(&r, &rotation(0.0, 0.0, 1.0));
        assert!(tilt_between(&r, &rolled) < 1e-6);
        let tilted = multiply(&r, &rotation(0.1, 0.0, 0.0));
        assert!((tilt_between(&r, &tilted) - 0.1).abs() < 1e-9);
    }
}
