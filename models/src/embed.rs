//! Embedding: a face becomes a unit vector. Which network does it, and what that is fed, stands in the manifest.

use facegate_domain::face::Embedding;
use facegate_domain::ids::ModelId;
use image::RgbImage;

use crate::cut::Cutter;
use crate::error::ModelError;
use crate::frame::Frame;
use crate::geometry::{BoundingBox, Point};
use crate::manifest::{Input, Model};
use crate::provider::Chosen;
use crate::session::Network;
use crate::tensor::{shape, tensor};

/// The embedder network; its name is the id that templates are bound to.
pub struct Embedder {
    network: Network,
    id: ModelId,
    cutter: Cutter,
    input: Input,
    outputs: Vec<String>,
    dims: usize,
}

impl Embedder {
    /// Errors: `Undescribed` if the manifest lacks what an embedder needs.
    pub fn new(network: Network, model: &Model) -> Result<Self, ModelError> {
        let undescribed = |what| ModelError::Undescribed { name: model.name.to_string(), what };
        Ok(Self {
            network,
            id: model.name.clone(),
            cutter: Cutter::of(model)?,
            input: model.input.clone(),
            outputs: model.output.names.clone(),
            dims: model.output.dims.ok_or_else(|| undescribed("output.dims"))?,
        })
    }

    pub fn id(&self) -> &ModelId {
        &self.id
    }

    pub fn provider(&self) -> Chosen {
        self.network.provider()
    }

    /// The face in this box with these landmarks as the network is fed it.
    pub fn cut(&self, frame: &Frame, bounds: BoundingBox, landmarks: &[Point; 5]) -> RgbImage {
        self.cutter.cut(frame, bounds, landmarks)
    }

    /// The unit vector of a face that was cut out; shape `[dims]` of the manifest.
    pub fn embed(&self, pixels: &RgbImage) -> Result<Embedding, ModelError> {
        let values = self.network.run(&tensor(pixels, &self.input), shape(pixels, &self.input), &self.outputs)?;
        let values = values.into_iter().next().unwrap_or_default();
        if values.len() != self.dims {
            let reason = format!("it gave {} values, the manifest says {}", values.len(), self.dims);
            return Err(ModelError::Inference { name: self.id.to_string(), reason });
        }
        let unusable = |source| ModelError::Embedding { name: self.id.to_string(), source };
        Embedding::normalise(self.id.clone(), values).map_err(unusable)
    }
}
