//! TensorFlow.js graph models become ONNX: `model.json` (nodes) and a binary file (weights), our own code throughout.
//!
//! TensorFlow keeps a picture's channels last (NHWC); what is written here keeps them first (NCHW) from the input on,
//! since ONNX Runtime has its fast convolutions only so. Sizes are known from the input's, so every padding is an
//! explicit number. Only what the wanted outputs need is converted: `emit` starts at them and works backwards.

mod emit;
mod operations;
mod topology;
mod weights;

use super::build;
use super::onnx::{Graph, Model};
use crate::manifest;
use emit::Emitter;
use topology::{ModelJson, Port};

/// Why a TensorFlow.js model cannot be converted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusableTfjs {
    #[error("model.json cannot be read: {0}")]
    Json(String),
    #[error("weight {weight} is stored as {dtype}, which the converter does not read")]
    Storage { weight: String, dtype: String },
    #[error("the file of weights ends within {weight}")]
    CutOff { weight: String },
    #[error("the file of weights is {left} bytes longer than the weights that model.json lists")]
    WrongSize { left: usize },
    #[error("the model has no {kind} named {name}")]
    NoPort { kind: &'static str, name: String },
    #[error("the manifest gives no width and height for the input")]
    NoSize,
    #[error("node {node} needs {input}, which neither is a weight nor can be computed first")]
    NoInput { node: String, input: String },
    #[error("node {node}: the converter does not know {what}")]
    Unknown { node: String, what: String },
}

/// Converts the graph between the manifest's input and outputs, which are named as in the model's signature.
pub fn convert(json: &[u8], binary: &[u8], model: &manifest::Model) -> Result<Model, UnusableTfjs> {
    let parsed = ModelJson::parse(json)?;
    let weights = weights::read(&parsed.weights_manifest, binary)?;
    let (width, height) = model.input.size().ok_or(UnusableTfjs::NoSize)?;
    let no_port = |kind, name: &str| UnusableTfjs::NoPort { kind, name: name.to_owned() };
    let node_of = |port: &Port| port.name.split(':').next().unwrap_or_default().to_owned();
    let input = parsed.signature.inputs.get(&model.input.name).ok_or_else(|| no_port("input", &model.input.name))?;
    let outputs = model.output.names.iter().map(|name| {
        let port = parsed.signature.outputs.get(name).ok_or_else(|| no_port("output", name))?;
        Ok((name.clone(), node_of(port)))
    });
    let (outputs, input) = (outputs.collect::<Result<Vec<_>, UnusableTfjs>>()?, node_of(input));

    let mut emitter = Emitter::new(parsed.nodes(), weights);
    emitter.input(&input, &model.input.name, (width as usize, height as usize));
    let mut ports = Vec::new();
    for (name, node) in &outputs {
        let dims = emitter.output(node, name)?;
        ports.push(build::value(name, &dims));
    }
    let (node, initializer) = emitter.into_parts();
    let input = vec![build::value(&model.input.name, &model.input.shape)];
    let name = Some(model.name.to_string());
    Ok(build::model(Graph { node, name, initializer, input, output: ports, ..Graph::default() }))
}

#[cfg(test)]
mod tests;
