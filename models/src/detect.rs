//! Face detection: YuNet at a reduced size, its grid outputs decoded, overlapping answers merged.
//!
//! Decoding follows OpenCV's `FaceDetectorYN` (Wu, Peng, Yu: "YuNet: A Tiny Millisecond-level Face Detector", 2023):
//! for each cell of strides 8, 16 and 32 a face class, an objectness, a box and five landmarks relative to the cell.

use std::sync::{Mutex, PoisonError};

use facegate_domain::score::DetectionConfidence;

use crate::error::ModelError;
use crate::frame::{Frame, Part, shrink};
use crate::geometry::{BoundingBox, Point};
use crate::manifest::Model;
use crate::options::EngineOptions;
use crate::session::Network;

const STRIDES: [usize; 3] = [8, 16, 32];
/// Two boxes that share more than this are one face (OpenCV's default).
const OVERLAP_MAX: f32 = 0.3;

/// One detected face, in the frame's pixels.
///
/// Landmarks, as they lie in the picture of an upright face from left to right: right eye, left eye, nose tip, right
/// and left corner of the mouth (the person's own right and left).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detection {
    pub bounds: BoundingBox,
    pub landmarks: [Point; 5],
    pub confidence: DetectionConfidence,
}

/// The detector network with its settings.
pub struct Detector {
    network: Network,
    outputs: Vec<String>,
    /// What the network is fed: megabytes, kept from frame to frame.
    input: Mutex<Vec<f32>>,
    side_px_max: u32,
    confidence_min: f32,
}

impl Detector {
    pub fn new(network: Network, model: &Model, options: &EngineOptions) -> Self {
        Self {
            network,
            outputs: model.output.names.clone(),
            input: Mutex::default(),
            side_px_max: options.detect_side_px.max(STRIDES[2] as u32),
            confidence_min: options.confidence_min,
        }
    }

    /// Every face in the frame, largest first.
    pub fn detect(&self, frame: &Frame) -> Result<Vec<Detection>, ModelError> {
        let scale = (self.side_px_max as f32 / frame.width().max(frame.height()) as f32).min(1.0);
        self.detect_in(frame.planes(), scale, Point { x: 0.0, y: 0.0 })
    }

    /// The faces in a part of the frame, largest first; `face_px` is the width that a face of the size looked for is
    /// to have for the network.
    pub fn detect_near(
        &self,
        frame: &Frame,
        region: BoundingBox,
        face: BoundingBox,
        face_px: f32,
    ) -> Result<Vec<Detection>, ModelError> {
        let Some((part, left, top)) = frame.part(region) else { return Ok(Vec::new()) };
        let fits = self.side_px_max as f32 / part[0].width.max(part[0].height) as f32;
        let scale = (face_px / face.width.max(1.0)).min(fits).min(1.0);
        self.detect_in(part, scale, Point { x: left as f32, y: top as f32 })
    }

    fn detect_in(&self, part: Part<'_>, scale: f32, origin: Point) -> Result<Vec<Detection>, ModelError> {
        let side = |px: usize| ((px as f32 * scale).round() as usize).max(1);
        let (inner_width, inner_height) = (side(part[0].width), side(part[0].height));
        // Whatever a panic left in it is written over.
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        let (width, height) = network_input(part, inner_width, inner_height, &mut input);
        let every = |outputs: &[&[f32]]| -> Vec<Detection> {
            (0..STRIDES.len()).flat_map(|i| decode_stride(outputs, i, width, self.confidence_min)).collect()
        };
        let found = self.network.run_and(&input, [1, 3, height, width], &self.outputs, every)?;
        let mut found = merge_overlapping(found);
        // The two sides are rounded apart, so each has its own exact factor.
        let x = part[0].width as f32 / inner_width as f32;
        let y = part[0].height as f32 / inner_height as f32;
        found.iter_mut().for_each(|d| d.place(x, y, origin));
        found.sort_by(|a, b| b.bounds.area().total_cmp(&a.bounds.area()));
        Ok(found)
    }
}

impl Detection {
    /// From the network input's pixels to the frame's.
    fn place(&mut self, x: f32, y: f32, origin: Point) {
        let b = self.bounds;
        self.bounds = BoundingBox {
            left: b.left * x + origin.x,
            top: b.top * y + origin.y,
            width: b.width * x,
            height: b.height * y,
        };
        self.landmarks = self.landmarks.map(|p| Point { x: p.x * x + origin.x, y: p.y * y + origin.y });
    }
}

/// The planes scaled to this size as planes B, G, R of 0..=255, padded right and below with black to whole cells of the
/// largest stride; the padded width and height.
fn network_input(part: Part<'_>, inner_width: usize, inner_height: usize, planes: &mut Vec<f32>) -> (usize, usize) {
    let padded = |px: usize| px.next_multiple_of(STRIDES[2]);
    let (width, height) = (padded(inner_width), padded(inner_height));
    planes.resize(3 * width * height, 0.0);
    for plane in planes.chunks_mut(width * height) {
        let (inner, below) = plane.split_at_mut(width * inner_height);
        inner.chunks_mut(width).for_each(|row| row[inner_width..].fill(0.0));
        below.fill(0.0);
    }
    let (blue, rest) = planes.split_at_mut(width * height);
    let (green, red) = rest.split_at_mut(width * height);
    shrink(part, inner_width, inner_height, [red, green, blue], width);
    (width, height)
}

/// Faces of one stride, in the network input's pixels. Outputs are class ×3, objectness ×3, box ×3, landmarks ×3.
fn decode_stride(outputs: &[&[f32]], i: usize, width: usize, confidence_min: f32) -> Vec<Detection> {
    let [class, object, boxes, points] = [0, 3, 6, 9].map(|kind| outputs[kind + i]);
    let stride = STRIDES[i] as f32;
    let columns = width / STRIDES[i];
    // A hair less than the square, which is rounded.
    let least = 0.999 * confidence_min * confidence_min;
    let decode = |cell: usize| {
        // Of the two, neither exceeds one: what is too little for their mean needs no root.
        if class[cell] < least || object[cell] < least {
            return None;
        }
        let confidence = (class[cell].clamp(0.0, 1.0) * object[cell].clamp(0.0, 1.0)).sqrt();
        let confidence = (confidence >= confidence_min).then(|| DetectionConfidence::new(confidence).ok())??;
        let (column, row) = ((cell % columns) as f32, (cell / columns) as f32);
        let b = &boxes[cell * 4..cell * 4 + 4];
        let (box_width, box_height) = (b[2].exp() * stride, b[3].exp() * stride);
        let p = &points[cell * 10..cell * 10 + 10];
        Some(Detection {
            bounds: BoundingBox {
                left: (column + b[0]) * stride - box_width / 2.0,
                top: (row + b[1]) * stride - box_height / 2.0,
                width: box_width,
                height: box_height,
            },
            landmarks: std::array::from_fn(|n| Point {
                x: (p[2 * n] + column) * stride,
                y: (p[2 * n + 1] + row) * stride,
            }),
            confidence,
        })
    };
    (0..class.len()).filter_map(decode).collect()
}

/// Greedy non-maximum suppression: of faces that overlap, the surest stays.
fn merge_overlapping(mut found: Vec<Detection>) -> Vec<Detection> {
    found.sort_by(|a, b| b.confidence.get().total_cmp(&a.confidence.get()));
    let mut kept: Vec<Detection> = Vec::new();
    for detection in found {
        if kept.iter().all(|k| k.bounds.overlap(&detection.bounds) <= OVERLAP_MAX) {
            kept.push(detection);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::RgbImage;

    #[test]
    fn a_frame_is_shrunk_to_the_side_and_padded_to_whole_cells() {
        let frame = Frame::from_rgb(&RgbImage::from_pixel(1280, 720, image::Rgb([30, 20, 10])));
        // What the last frame left there must not be seen.
        let mut planes = vec![7.0; 3 * 640 * 640];
        let (width, height) = network_input(frame.planes(), 640, 360, &mut planes);
        assert_eq!((width, height, planes.len()), (640, 384, 3 * 640 * 384));
        for (plane, value) in [10.0, 20.0, 30.0].into_iter().enumerate() {
            let at = |y: usize| planes[plane * 640 * 384 + 640 * y];
            assert!((at(0) - value).abs() < 1.5 && (at(359) - value).abs() < 1.5, "{plane}");
            assert_eq!(at(360), 0.0);
        }
    }

    #[test]
    fn a_cell_decodes_to_its_place_and_weak_ones_are_left_out() {
        // A 64×32 input has 8×4 cells of stride 8; cell 9 is column 1, row 1.
        let mut outputs = vec![vec![0.0; 32], vec![0.0; 8], vec![0.0; 2]];
        outputs[0][9] = 0.81;
        outputs[0][20] = 0.3;
        outputs.extend([vec![1.0; 32], vec![1.0; 8], vec![1.0; 2]]);
        outputs.extend([32, 8, 2].map(|n| vec![0.0; n * 4]));
        outputs.extend([32, 8, 2].map(|n| vec![0.5; n * 10]));
        outputs[6][36..40].copy_from_slice(&[0.5, 0.5, 2.0_f32.ln(), 4.0_f32.ln()]);
        let outputs: Vec<&[f32]> = outputs.iter().map(|values| &values[..]).collect();
        let found = decode_stride(&outputs, 0, 64, 0.7);
        assert_eq!(found.len(), 1);
        assert!((found[0].confidence.get() - 0.9).abs() < 1e-6);
        let b = found[0].bounds;
        assert!((b.left - 4.0).abs() < 1e-4 && (b.top + 4.0).abs() < 1e-4, "{b:?}");
        assert!((b.width - 16.0).abs() < 1e-4 && (b.height - 32.0).abs() < 1e-4, "{b:?}");
        assert_eq!(found[0].landmarks[0], Point { x: 12.0, y: 12.0 });
    }

    #[test]
    fn of_overlapping_faces_the_surest_stays() {
        let face = |left, confidence| Detection {
            bounds: BoundingBox { left, top: 0.0, width: 10.0, height: 10.0 },
            landmarks: [Point { x: 0.0, y: 0.0 }; 5],
            confidence: DetectionConfidence::new(confidence).unwrap(),
        };
        let kept = merge_overlapping(vec![face(1.0, 0.8), face(0.0, 0.9), face(30.0, 0.75)]);
        assert_eq!(kept, [face(0.0, 0.9), face(30.0, 0.75)]);
    }
}
