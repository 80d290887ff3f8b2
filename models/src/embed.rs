//! Embedding: SFace (Zhong and others, 2021) on an aligned face.

use facegate_domain::face::Embedding;
use facegate_domain::ids::ModelId;
use image::RgbImage;

use crate::error::ModelError;
use crate::manifest::{Channels, Model};
use crate::session::Network;

/// The embedder network; its name is the id that templates are bound to.
pub struct Embedder {
    network: Network,
    id: ModelId,
    channels: Channels,
    outputs: Vec<String>,
}

impl Embedder {
    pub fn new(network: Network, model: &Model) -> Self {
        Self { network, id: model.name.clone(), channels: model.input.channels, outputs: model.output.names.clone() }
    }

    pub fn id(&self) -> &ModelId {
        &self.id
    }

    /// The unit vector of an aligned 112×112 face.
    pub fn embed(&self, aligned: &RgbImage) -> Result<Embedding, ModelError> {
        let (width, height) = (aligned.width() as usize, aligned.height() as usize);
        let planes = planes(aligned, self.channels);
        let values = self.network.run(&planes, [1, 3, height, width], &self.outputs)?.swap_remove(0);
        let unusable = |source| ModelError::Embedding { name: self.id.to_string(), source };
        Embedding::normalise(self.id.clone(), values).map_err(unusable)
    }
}

/// Pixel values 0..=255 as three planes in the order that the network wants.
fn planes(pixels: &RgbImage, channels: Channels) -> Vec<f32> {
    let order = match channels {
        Channels::Rgb => [0, 1, 2],
        Channels::Bgr => [2, 1, 0],
    };
    order.iter().flat_map(|c| pixels.pixels().map(move |p| f32::from(p.0[*c]))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_come_in_the_networks_order() {
        let pixels = RgbImage::from_raw(2, 1, vec![1, 2, 3, 4, 5, 6]).unwrap();
        assert_eq!(planes(&pixels, Channels::Rgb), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        assert_eq!(planes(&pixels, Channels::Bgr), [3.0, 6.0, 2.0, 5.0, 1.0, 4.0]);
    }
}
