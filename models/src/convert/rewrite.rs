//! The same graph in the form that ONNX Runtime's CPU kernels run fastest, made as a model is loaded.
//!
//! Its fast convolutions keep channels in blocks and hand them on from one to the next. PReLU and operators newer than
//! ONNX 1.8 (opset 13) do not take part: each makes the runtime put the values back in order and into blocks again, and
//! from version 1.27 on PReLU itself takes eight times as long. Measured 2026-11 on version 1.24, one thread: SFace
//! −20 %, YuNet −8 %, with its heads merged −10 to −15 %. OpenVINO has a PReLU of its own; for it only weights are put
//! back into eight bits.

mod chain;
mod eight_bits;
mod heads;
mod index;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use prost::Message;

use super::onnx::{self, Graph, Node, OpsetId};
use chain::Chains;
use eight_bits::weights_to_eight_bits;
use heads::merge_heads;

/// The opset whose operators have blocked kernels.
const OPSET: i64 = 13;

/// Operators that mean the same, for inference, from opset 13 to 21.
const UNCHANGED: [&str; 15] = [
    "Add",
    "BatchNormalization",
    "Constant",
    "Conv",
    "Dropout",
    "Flatten",
    "Gemm",
    "MaxPool",
    "Mul",
    "PRelu",
    "Relu",
    "Reshape",
    "Sigmoid",
    "Sub",
    "Transpose",
];

/// Rewrites a model; one that holds nothing to rewrite, or that cannot be read, comes back as it is.
pub fn for_plain_cpu(bytes: &[u8]) -> Cow<'_, [u8]> {
    let Ok(mut model) = onnx::read(bytes) else { return Cow::Borrowed(bytes) };
    let Some(graph) = &mut model.graph else { return Cow::Borrowed(bytes) };
    let split = split_prelu(graph);
    let lowered = lower_opset(graph, &mut model.opset_import);
    // `Split` had another form before.
    let merged = opset(&model.opset_import).is_some_and(|o| o.version >= Some(OPSET)) && merge_heads(graph);
    drop_unused(graph);
    if split || lowered || merged { Cow::Owned(model.encode_to_vec()) } else { Cow::Borrowed(bytes) }
}

/// Rewrites a model for OpenVINO, which has fast PReLU and blocks of its own; one that holds nothing to rewrite, or
/// that cannot be read, comes back as it is.
pub fn for_openvino(bytes: &[u8]) -> Cow<'_, [u8]> {
    let Ok(mut model) = onnx::read(bytes) else { return Cow::Borrowed(bytes) };
    let Some(graph) = &mut model.graph else { return Cow::Borrowed(bytes) };
    if !weights_to_eight_bits(graph) {
        return Cow::Borrowed(bytes);
    }
    drop_unused(graph);
    Cow::Owned(model.encode_to_vec())
}

/// Replaces PReLU behind a convolution by ReLU and convolutions, folding a batch normalisation between them.
///
/// With slope a, PReLU(t) = ReLU((1 − a)·t) + a·t. Where a is above 1 that is no longer convex; such a channel is
/// computed with the opposite sign, ReLU((1 − a)·t) − t = −PReLU(t), and whatever reads it turns its weights over.
fn split_prelu(graph: &mut Graph) -> bool {
    let chains = Chains::find(graph);
    if chains.is_empty() {
        return false;
    }
    let nodes = std::mem::take(&mut graph.node);
    let mut signs: HashMap<String, Vec<f64>> = HashMap::new();
    for (index, node) in nodes.iter().enumerate() {
        if let Some(chain) = chains.ending_at(index) {
            let parts = chain.split(&mut signs);
            graph.node.extend(parts.nodes);
            graph.initializer.extend(parts.tensors);
        } else if !chains.absorb(index) {
            graph.node.push(turned_over(node, &signs, &mut graph.initializer));
        }
    }
    true
}

/// Takes out constants that nobody reads any more; the runtime would warn of each.
fn drop_unused(graph: &mut Graph) {
    let used: HashSet<&String> = graph.node.iter().flat_map(|n| &n.input).collect();
    graph.initializer.retain(|t| t.name.as_ref().is_some_and(|name| used.contains(name)));
}

/// A convolution that reads turned channels, with its weights turned over; any other node as it is.
fn turned_over(node: &Node, signs: &HashMap<String, Vec<f64>>, tensors: &mut Vec<onnx::Tensor>) -> Node {
    let turned = node.input.first().and_then(|name| signs.get(name));
    let weights = node.input.get(1).and_then(|name| tensors.iter().find(|t| t.name.as_ref() == Some(name)));
    let (Some(signs), Some(weights)) = (turned, weights) else { return node.clone() };
    let Some(mut values) = chain::values(weights) else { return node.clone() };
    chain::turn(&mut values, &weights.dims, node.int("group").unwrap_or(1), signs);
    let name = format!("{}_turned", weights.name.clone().unwrap_or_default());
    let turned = chain::tensor(&name, weights.dims.clone(), &values);
    tensors.push(turned);
    let mut node = node.clone();
    node.input[1] = name;
    node
}

/// Declares opset 13 if every operator means the same there.
fn lower_opset(graph: &Graph, imports: &mut [Vec<u8>]) -> bool {
    let Some(mut opset) = opset(imports) else { return false };
    let newer = |attribute: &onnx::Attribute| {
        matches!(attribute.name.as_deref(), Some("antialias" | "axes" | "keep_aspect_ratio_policy"))
    };
    let same = |node: &Node| match node.op_type.as_deref() {
        Some("Resize") => !node.attribute.iter().any(newer),
        Some(op) => UNCHANGED.contains(&op),
        None => false,
    };
    if !(OPSET + 1..=21).contains(&opset.version.unwrap_or_default()) || !graph.node.iter().all(same) {
        return false;
    }
    opset.version = Some(OPSET);
    imports[0] = opset.encode_to_vec();
    true
}

/// The version of the standard operators, if the graph has no others.
fn opset(imports: &[Vec<u8>]) -> Option<OpsetId> {
    let [import] = imports else { return None };
    OpsetId::decode(&import[..]).ok().filter(|opset| opset.domain.as_deref().unwrap_or_default().is_empty())
}

#[cfg(test)]
mod tests;
