//! The face mesh, converted from TensorFlow.js by our own code, against an independent reading of the same files.

use facegate_models::{Frame, MESH_POINTS};

use crate::{engine, portrait};

/// Outer corners of the eyes, tip of the nose, chin.
const POINTS: [usize; 4] = [33, 263, 1, 152];

/// What a plain interpreter of the TensorFlow.js graph (float64, no ONNX, no code of ours) gives after OpenCV's
/// detection on the same pictures. Given one input, the two networks differ by less than 6e-5 pixels of 192; what is
/// left here is detection, decoding and sampling.
#[test]
fn points_agree_with_an_interpreter_of_the_unconverted_graph() {
    let expected = [
        ("person_b_2", [(258.5, 293.2, 8.9), (449.7, 277.4, 21.1), (368.1, 367.2, -72.5), (375.6, 532.4, 23.3)]),
        ("impostor_1", [(263.6, 302.8, 11.3), (424.4, 287.2, 27.0), (360.8, 353.3, -63.4), (365.7, 502.2, 4.5)]),
    ];
    for (name, points) in expected {
        let frame = Frame::from_rgb(&portrait(name));
        let face = engine().analyse(&frame).unwrap()[0];
        let mesh = engine().mesh(&frame, &face).unwrap();
        assert_eq!((mesh.places.len(), mesh.depths.len()), (MESH_POINTS, MESH_POINTS));
        assert!(mesh.presence > 0.99, "{name}: {}", mesh.presence);
        for (index, (x, y, z)) in POINTS.into_iter().zip(points) {
            let (at, depth) = (mesh.places[index], mesh.depths[index]);
            let off = (at.x - x).abs().max((at.y - y).abs()).max((depth - z).abs());
            // The eyes are 160 to 190 pixels apart.
            assert!(off < 3.0, "{name}, point {index}: {at:?}, {depth} instead of {x}, {y}, {z}");
        }
    }
}

#[test]
fn where_there_is_no_face_the_mesh_says_so() {
    let frame = Frame::from_rgb(&portrait("person_b_2"));
    let mut elsewhere = engine().analyse(&frame).unwrap()[0];
    elsewhere.bounds.left = 560.0;
    elsewhere.bounds.top = 20.0;
    (elsewhere.bounds.width, elsewhere.bounds.height) = (100.0, 100.0);
    assert!(engine().mesh(&frame, &elsewhere).unwrap().presence < 0.5);
}
