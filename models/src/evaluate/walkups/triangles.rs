//! Delaunay triangulation (Bowyer 1981, Watson 1981): a surface through points that have no list of triangles.

/// Triangles as indices into `points`, of any orientation.
pub fn triangulate(points: &[[f64; 2]]) -> Vec<[usize; 3]> {
    let reach = points.iter().flatten().fold(1.0_f64, |far, v| far.max(v.abs())) * 50.0;
    let mut all = points.to_vec();
    all.extend([[-reach, -reach], [reach, -reach], [0.0, reach]]);
    let n = points.len();
    let mut triangles = vec![[n, n + 1, n + 2]];
    for (new, point) in points.iter().enumerate() {
        let (hit, kept): (Vec<_>, Vec<_>) = triangles.into_iter().partition(|t| circle_holds(&all, t, *point));
        triangles = kept;
        let edges: Vec<[usize; 2]> = hit.iter().flat_map(|[a, b, c]| [[*a, *b], [*b, *c], [*c, *a]]).collect();
        // An edge of two hit triangles lies within the hole that they leave.
        let twice = |[a, b]: &[usize; 2]| edges.iter().filter(|e| **e == [*a, *b] || **e == [*b, *a]).count() > 1;
        triangles.extend(edges.iter().filter(|e| !twice(e)).map(|[a, b]| [*a, *b, new]));
    }
    triangles.retain(|t| t.iter().all(|i| *i < n));
    triangles
}

/// Whether the circle through a triangle's corners holds a point.
fn circle_holds(all: &[[f64; 2]], triangle: &[usize; 3], point: [f64; 2]) -> bool {
    let [a, b, c] = triangle.map(|i| [all[i][0] - point[0], all[i][1] - point[1]]);
    let square = |v: [f64; 2]| v[0] * v[0] + v[1] * v[1];
    let minor = |u: [f64; 2], v: [f64; 2]| u[0] * v[1] - u[1] * v[0];
    let determinant = square(a) * minor(b, c) - square(b) * minor(a, c) + square(c) * minor(a, b);
    let orientation = minor([b[0] - a[0], b[1] - a[1]], [c[0] - a[0], c[1] - a[1]]);
    determinant * orientation.signum() > 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_square_with_a_middle_has_four_triangles_that_cover_it() {
        let points = [[0.0, 0.0], [2.0, 0.1], [2.1, 2.0], [0.1, 2.2], [1.0, 0.9]];
        let triangles = triangulate(&points);
        assert_eq!(triangles.len(), 4);
        assert!(triangles.iter().all(|t| t.contains(&4)));
        let area = |t: &[usize; 3]| {
            let [a, b, c] = t.map(|i| points[i]);
            ((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])).abs() / 2.0
        };
        let whole: f64 = triangles.iter().map(area).sum();
        assert!((whole - 4.105).abs() < 0.01, "{whole}");
    }
}
