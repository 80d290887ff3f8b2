//! Conversion of fetched models into what ONNX Runtime runs on every platform. Deterministic, so its result is pinned.

mod build;
mod dequantise;
mod minifasnet;
mod onnx;
mod rewrite;
mod tfjs;
mod torch;

use prost::Message;

use crate::manifest::{Conversion, Input, Model};

pub use dequantise::NotDequantisable;
pub use minifasnet::NotMiniFasNet;
pub use onnx::UnreadableOnnx;
pub use rewrite::{for_openvino, for_plain_cpu};
pub use tfjs::UnusableTfjs;

/// Why a model file could not be converted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConversionError {
    #[error(transparent)]
    Unreadable(#[from] UnreadableOnnx),
    #[error(transparent)]
    Dequantise(#[from] NotDequantisable),
    #[error(transparent)]
    Tfjs(#[from] UnusableTfjs),
    #[error(transparent)]
    MiniFasNet(#[from] NotMiniFasNet),
    #[error("the graph has no input named {0}")]
    NoInput(String),
    #[error("{conversion:?} does not work on {got} files: the manifest names too few or too many")]
    WrongParts { conversion: Conversion, got: usize },
}

/// Turns the files that a package keeps a model in into the one that is loaded.
pub fn convert(parts: &[&[u8]], model: &Model) -> Result<Vec<u8>, ConversionError> {
    match (model.conversion, parts) {
        (Conversion::Dequantise, [bytes]) => dequantised(bytes, &model.input),
        (Conversion::Tfjs, [json, weights]) => Ok(tfjs::convert(json, weights, model)?.encode_to_vec()),
        (Conversion::MiniFasNet, [checkpoint]) => Ok(minifasnet::build(checkpoint)?.encode_to_vec()),
        (conversion, _) => Err(ConversionError::WrongParts { conversion, got: parts.len() }),
    }
}

fn dequantised(bytes: &[u8], input: &Input) -> Result<Vec<u8>, ConversionError> {
    let mut model = onnx::read(bytes)?;
    let graph = model.graph.get_or_insert_default();
    dequantise::fold(graph)?;
    keep_only_real_input(graph, input)?;
    free_shapes(graph, input)?;
    Ok(model.encode_to_vec())
}

/// Old exporters list weights as inputs too; then ONNX Runtime takes them for changeable and folds nothing.
fn keep_only_real_input(graph: &mut onnx::Graph, input: &Input) -> Result<(), ConversionError> {
    graph.input.retain(|i| i.name.as_deref() == Some(&input.name));
    if graph.input.is_empty() { Err(ConversionError::NoInput(input.name.clone())) } else { Ok(()) }
}

/// Writes the manifest's shape to the input and frees the sizes that followed from the fixed one: of the outputs only
/// the number of dimensions stays, what lies between is inferred anew for the size that is given.
fn free_shapes(graph: &mut onnx::Graph, input: &Input) -> Result<(), UnreadableOnnx> {
    let dim = input.shape.iter().map(|size| match size.parse() {
        Ok(value) => onnx::Dimension { value: Some(value), param: None },
        Err(_) => onnx::Dimension { value: None, param: Some(size.clone()) },
    });
    let shaped = tensor_type(dim.collect());
    graph.input.iter_mut().for_each(|i| i.r#type = Some(shaped.clone()));
    for output in &mut graph.output {
        let name = output.name.clone().unwrap_or_default();
        let rank = onnx::rank(output)?;
        let free = |i| onnx::Dimension { value: None, param: Some(format!("{name}_{i}")) };
        output.r#type = Some(tensor_type((0..rank).map(free).collect()));
    }
    graph.value_info.clear();
    Ok(())
}

fn tensor_type(dim: Vec<onnx::Dimension>) -> Vec<u8> {
    let shape = Some(onnx::Shape { dim });
    onnx::Type { tensor: Some(onnx::TensorType { elem_type: Some(onnx::FLOAT), shape }) }.encode_to_vec()
}
