//! The face mesh: 468 points of a face's surface (MediaPipe Face Mesh; Kartynnik and others, 2019).

use std::fmt;

use crate::cut::LevelSquare;
use crate::error::ModelError;
use crate::frame::Frame;
use crate::geometry::{BoundingBox, Point};
use crate::manifest::{Crop, Input, Model};
use crate::session::Network;
use crate::tensor::{shape, tensor};

/// How many points the mesh has; which is which is fixed by the model.
pub const MESH_POINTS: usize = 468;

/// The points of one face. They are as personal as its picture: `Debug` shows their number only.
#[derive(Clone, PartialEq)]
pub struct MeshPoints {
    /// Across and down, in the frame's pixels.
    pub places: Vec<Point>,
    /// Depth behind the face's middle, in the same unit; a guess of the network, also on a flat picture.
    pub depths: Vec<f32>,
    /// How sure the network is that it looks at a face, 0 to 1.
    pub presence: f32,
}

impl fmt::Debug for MeshPoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MeshPoints({}, presence={})", self.places.len(), self.presence)
    }
}

/// The mesh network.
pub struct Mesh {
    network: Network,
    input: Input,
    side: u32,
    margin: f32,
    outputs: Vec<String>,
}

impl Mesh {
    /// Errors: `Undescribed` unless the manifest names a level square and its size.
    pub fn new(network: Network, model: &Model) -> Result<Self, ModelError> {
        let undescribed = |what| ModelError::Undescribed { name: model.name.to_string(), what };
        let (Some((side, _)), Some(Crop::Square { margin })) = (model.input.size(), model.crop) else {
            return Err(undescribed("a square crop and its size"));
        };
        Ok(Self { network, input: model.input.clone(), side, margin, outputs: model.output.names.clone() })
    }

    /// The mesh of the face in this box with these landmarks.
    pub fn find(&self, frame: &Frame, bounds: BoundingBox, landmarks: &[Point; 5]) -> Result<MeshPoints, ModelError> {
        let square = LevelSquare::around(bounds, landmarks, self.margin);
        let pixels = square.cut(frame, self.side);
        let outputs = self.network.run(&tensor(&pixels, &self.input), shape(&pixels, &self.input), &self.outputs)?;
        let [points, presence] = outputs.as_slice() else { return Err(self.unexpected()) };
        let (points, &[presence]) = (points.as_chunks::<3>().0, presence.as_slice()) else {
            return Err(self.unexpected());
        };
        if points.len() != MESH_POINTS {
            return Err(self.unexpected());
        }
        let scale = square.side() / self.side as f32;
        // The network counts from the picture's corner, frames from the middle of their first pixel.
        let place = |[x, y, _]: &[f32; 3]| square.to_frame(Point { x: x - 0.5, y: y - 0.5 }, self.side, self.side);
        Ok(MeshPoints {
            places: points.iter().map(place).collect(),
            depths: points.iter().map(|[_, _, z]| z * scale).collect(),
            presence,
        })
    }

    fn unexpected(&self) -> ModelError {
        let reason = format!("its outputs are not {MESH_POINTS} points and one presence");
        ModelError::Inference { name: "mesh".to_owned(), reason }
    }
}
