//! Pose from the five landmarks: right eye, left eye, nose tip, right and left corner of the mouth, as in the picture.

use crate::geometry::Point;

/// Where along the line of the eyes the nose lies, from −1 over one eye to 1 over the other.
pub fn yaw(&[right_eye, left_eye, nose, ..]: &[Point; 5]) -> f32 {
    let (along, _) = in_eye_distances(right_eye, left_eye, nose);
    (2.0 * along - 1.0).clamp(-2.0, 2.0)
}

/// Where across the line of the eyes the nose lies: 0 on it, 1 on the line of the mouth; past −1 and 2 counts as these.
pub fn pitch(&[right_eye, left_eye, nose, right_mouth, left_mouth]: &[Point; 5]) -> f32 {
    let down = |point| in_eye_distances(right_eye, left_eye, point).1;
    (down(nose) / down(right_mouth.midway(left_mouth)).max(f32::MIN_POSITIVE)).clamp(-1.0, 2.0)
}

/// Degrees by which the line of the eyes is turned against the picture's rows, positive clockwise.
pub fn roll_deg(&[right_eye, left_eye, ..]: &[Point; 5]) -> f32 {
    (left_eye.y - right_eye.y).atan2(left_eye.x - right_eye.x).to_degrees()
}

/// Along the line of the eyes from the right one and across it, in distances of the eyes.
fn in_eye_distances(right_eye: Point, left_eye: Point, point: Point) -> (f32, f32) {
    let (ex, ey) = (left_eye.x - right_eye.x, left_eye.y - right_eye.y);
    let (px, py) = (point.x - right_eye.x, point.y - right_eye.y);
    let squared = (ex * ex + ey * ey).max(f32::MIN_POSITIVE);
    ((px * ex + py * ey) / squared, (py * ex - px * ey) / squared)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turned(degrees: f32, points: [(f32, f32); 5]) -> [Point; 5] {
        let (sin, cos) = degrees.to_radians().sin_cos();
        points.map(|(x, y)| Point { x: 50.0 + x * cos - y * sin, y: 50.0 + x * sin + y * cos })
    }

    #[test]
    fn yaw_and_pitch_are_measured_on_the_head_however_it_is_tilted() {
        for degrees in [-70.0, 0.0, 30.0, 120.0] {
            let front = turned(degrees, [(0.0, 0.0), (10.0, 0.0), (5.0, 6.0), (1.0, 10.0), (9.0, 10.0)]);
            assert!(yaw(&front).abs() < 1e-4 && (pitch(&front) - 0.6).abs() < 1e-4);
            assert!((roll_deg(&front) - degrees).abs() < 1e-3);
            let side = turned(degrees, [(0.0, 0.0), (10.0, 0.0), (10.0, 3.0), (1.0, 10.0), (9.0, 10.0)]);
            assert!((yaw(&side) - 1.0).abs() < 1e-4 && (pitch(&side) - 0.3).abs() < 1e-4);
        }
    }

    #[test]
    fn landmarks_in_one_point_give_numbers() {
        let point = [Point { x: 3.0, y: 3.0 }; 5];
        assert!(yaw(&point).is_finite() && pitch(&point).is_finite() && roll_deg(&point).is_finite());
    }
}
