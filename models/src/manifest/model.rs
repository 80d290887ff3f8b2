//! One network in the manifest: where it comes from, how it is converted, and what it is fed.

use facegate_domain::ids::ModelId;
use serde::Deserialize;

use super::{Sha256Hex, yes};

/// A network, converted before use.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    pub name: ModelId,
    pub role: Role,
    /// False: fetched only when asked for by name.
    #[serde(default = "yes")]
    pub required: bool,
    pub package: String,
    /// Path inside the package.
    pub path: String,
    /// Of the file inside the package.
    pub sha256: Sha256Hex,
    /// A second file of the package, for formats that keep weights apart from the graph.
    pub weights: Option<Part>,
    pub licence: String,
    pub credit: String,
    /// Path below FACEGATE_HOME.
    pub to: String,
    pub conversion: Conversion,
    /// Of the file in FACEGATE_HOME: conversion is deterministic.
    pub converted_sha256: Sha256Hex,
    pub input: Input,
    /// How a face is cut out of a frame for this network; a detector takes whole frames.
    pub crop: Option<Crop>,
    pub output: Output,
    /// Name of the file in `gallery/calibration` that turns this embedder's similarities into likelihood ratios.
    pub calibration: Option<String>,
}

/// One of the files that a model is converted from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    pub path: String,
    pub sha256: Sha256Hex,
}

/// What a network is for. Of several with one role the first listed is the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Finds faces in a frame.
    Detector,
    /// Turns a face into numbers that are alike for photographs of one person.
    Embedder,
    /// Tells skin from paper and screens by their texture.
    Texture,
    /// Finds the points of a face's surface.
    Mesh,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Conversion {
    /// Block-quantised weights become float32 (`convert::dequantise`).
    Dequantise,
    /// A TensorFlow.js graph with its file of weights becomes ONNX (`convert::tfjs`).
    Tfjs,
    /// A PyTorch checkpoint of the texture nets becomes a graph (`convert::minifasnet`).
    MiniFasNet,
}

/// The network's one input, float32: for each pixel and channel (value − mean) × scale, values being 0 to 255.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    pub name: String,
    /// Sizes; a word instead of a number is a size that the caller chooses.
    pub shape: Vec<String>,
    #[serde(default)]
    pub layout: Layout,
    pub channels: Channels,
    /// Per channel, in the order of `channels`.
    #[serde(default)]
    pub mean: [f32; 3],
    #[serde(default = "unscaled")]
    pub scale: [f32; 3],
}

impl Input {
    /// Width and height in pixels, if the network fixes them.
    pub fn size(&self) -> Option<(u32, u32)> {
        let at = |i: usize| self.shape.get(i)?.parse().ok();
        match self.layout {
            Layout::Nchw => Some((at(3)?, at(2)?)),
            Layout::Nhwc => Some((at(2)?, at(1)?)),
        }
    }
}

fn unscaled() -> [f32; 3] {
    [1.0; 3]
}

/// The order of a tensor's axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Layout {
    /// One plane per channel.
    #[default]
    Nchw,
    /// A pixel's channels side by side.
    Nhwc,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Channels {
    #[serde(rename = "RGB")]
    Rgb,
    #[serde(rename = "BGR")]
    Bgr,
}

/// How a face is cut out of a frame. `margin` enlarges what is cut out, about its centre.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(tag = "by", rename_all = "lowercase", deny_unknown_fields)]
pub enum Crop {
    /// Turned, scaled and moved so that five landmarks lie where ArcFace and SFace learnt them; margin 1 is their
    /// 112×112 template scaled to the input.
    Landmarks { margin: f32 },
    /// The detector's box, upright, stretched to the input's shape.
    Box { margin: f32 },
    /// A square of the detector's longer side, turned until the eyes are level.
    Square { margin: f32 },
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    pub names: Vec<String>,
    /// Length of the first, if the network fixes it.
    pub dims: Option<usize>,
    pub meaning: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(text: &str) -> Input {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn the_size_follows_the_layout_and_a_word_leaves_it_open() {
        let planes = input("name = \"x\"\nchannels = \"RGB\"\nshape = [\"1\", \"3\", \"48\", \"64\"]");
        assert_eq!((planes.size(), planes.mean, planes.scale), (Some((64, 48)), [0.0; 3], [1.0; 3]));
        let pixels =
            input("name = \"x\"\nlayout = \"NHWC\"\nchannels = \"BGR\"\nshape = [\"1\", \"48\", \"64\", \"3\"]");
        assert_eq!((pixels.size(), pixels.layout), (Some((64, 48)), Layout::Nhwc));
        let open = input("name = \"x\"\nchannels = \"RGB\"\nshape = [\"1\", \"3\", \"height\", \"width\"]");
        assert_eq!(open.size(), None);
    }
}
