//! Builds the ONNX graph of a MiniFASNet from its PyTorch weights.
//!
//! The architecture is MiniVision's (Silent-Face-Anti-Spoofing, Apache-2.0): a MobileFaceNet cut down to 80×80 pixels,
//! with squeeze-and-excitation in the last block of each stage of the SE variant. Every width stands in the weights'
//! shapes, so one builder serves both networks of the pair. Batch normalisation is folded into the weights before it.
//!
//! Input [batch, 3, 80, 80], BGR 0–255. Output [batch, 3]: logits of print, real face, replay (the order in which the
//! original's test program reads them: class 1 is real).

mod layers;

use std::collections::HashMap;

use super::onnx::{Dimension, FLOAT, Graph, Model, Shape, TensorType, Type, ValueInfo};
use super::torch::{UnreadableCheckpoint, Weights, read};
use layers::{Builder, Layer};
use prost::Message;

/// The convolutions' names in the checkpoint carry this when the network was trained on several processors.
const PARALLEL: &str = "module.";
/// `OperatorSetIdProto`: the default domain at version 13, the first that any supported runtime has whole.
const OPSET_13: [u8; 2] = [0x10, 13];

/// Why a checkpoint is no MiniFASNet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotMiniFasNet {
    #[error(transparent)]
    Unreadable(#[from] UnreadableCheckpoint),
    #[error("it has no weights {0}: another architecture")]
    Missing(String),
    #[error("weights {0} have another shape than this architecture's")]
    Shape(String),
}

/// The network of a checkpoint as an ONNX model.
pub fn build(checkpoint: &[u8]) -> Result<Model, NotMiniFasNet> {
    let weights: HashMap<String, Weights> =
        read(checkpoint)?.into_iter().map(|(name, w)| (name.trim_start_matches(PARALLEL).to_owned(), w)).collect();
    let mut net = Builder::new(weights);
    let mut x = net.activated("image", "conv1", Layer { stride: 2, pad: 1 })?;
    x = net.activated(&x, "conv2_dw", Layer { stride: 1, pad: 1 })?;
    for (down, stage) in [("conv_23", "conv_3"), ("conv_34", "conv_4"), ("conv_45", "conv_5")] {
        x = net.bottleneck(&x, down, 2)?;
        let mut block = 0;
        while net.has(&format!("{stage}.model.{block}.conv.conv.weight")) {
            x = net.residual(&x, &format!("{stage}.model.{block}"))?;
            block += 1;
        }
    }
    x = net.activated(&x, "conv_6_sep", Layer { stride: 1, pad: 0 })?;
    x = net.normalised(&x, "conv_6_dw", Layer { stride: 1, pad: 0 })?;
    net.classify(&x, "logits")?;
    let (node, initializer) = net.into_parts();
    Ok(Model {
        ir_version: Some(7),
        producer_name: Some("facegate".into()),
        graph: Some(Graph {
            node,
            name: Some("MiniFASNet".into()),
            initializer,
            input: vec![value("image", &["batch", "3", "80", "80"])],
            output: vec![value("logits", &["batch", "3"])],
            ..Graph::default()
        }),
        opset_import: vec![OPSET_13.to_vec()],
        ..Model::default()
    })
}

fn value(name: &str, shape: &[&str]) -> ValueInfo {
    let size = |text: &&str| match text.parse() {
        Ok(value) => Dimension { value: Some(value), param: None },
        Err(_) => Dimension { value: None, param: Some((*text).to_owned()) },
    };
    let shape = Shape { dim: shape.iter().map(size).collect() };
    let tensor = TensorType { elem_type: Some(FLOAT), shape: Some(shape) };
    let r#type = Some(Type { tensor: Some(tensor) }.encode_to_vec());
    ValueInfo { name: Some(name.to_owned()), r#type, doc_string: None }
}

#[cfg(test)]
mod tests;
