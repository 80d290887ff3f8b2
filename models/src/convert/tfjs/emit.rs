//! Writes the ONNX nodes in the order in which they can run, keeping track of every value's shape.

use std::collections::{HashMap, HashSet};

use super::UnusableTfjs;
use super::operations::emit_node;
use super::topology::Node;
use super::weights::{Values, Weight};
use crate::convert::build;
use crate::convert::onnx::{self, Attribute, Tensor};

/// A value of the graph under its ONNX name. The batch is left out: it is the first axis of every shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    pub name: String,
    pub shape: Shape,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Picture { channels: usize, height: usize, width: usize },
    Row(usize),
}

/// The graph so far.
pub struct Emitter {
    nodes: HashMap<String, Node>,
    weights: HashMap<String, Weight>,
    done: HashMap<String, Value>,
    /// Nodes whose inputs are being emitted: meeting one again is a loop.
    open: HashSet<String>,
    written: Vec<onnx::Node>,
    constants: Vec<Tensor>,
}

impl Emitter {
    pub fn new(nodes: HashMap<String, Node>, weights: HashMap<String, Weight>) -> Self {
        let (done, open) = (HashMap::new(), HashSet::new());
        Self { nodes, weights, done, open, written: Vec::new(), constants: Vec::new() }
    }

    pub fn into_parts(self) -> (Vec<onnx::Node>, Vec<Tensor>) {
        (self.written, self.constants)
    }

    /// Makes the TensorFlow node `node` stand for the graph's input `name`, a picture of three channels.
    pub fn input(&mut self, node: &str, name: &str, (width, height): (usize, usize)) {
        let shape = Shape::Picture { channels: 3, height, width };
        self.done.insert(node.to_owned(), Value { name: name.to_owned(), shape });
    }

    /// Writes everything up to `node` and its value as the graph's output `name`; returns its shape, batch included.
    pub fn output(&mut self, node: &str, name: &str) -> Result<Vec<String>, UnusableTfjs> {
        let value = self.value(node, node)?;
        // A node may already bear the name that the outside knows its value by.
        if value.name != name {
            self.written.push(build::node("Identity", &[&value.name], name, Vec::new()));
        }
        let sizes = match value.shape {
            Shape::Picture { channels, height, width } => vec![channels, height, width],
            Shape::Row(length) => vec![length],
        };
        Ok(std::iter::once("batch".to_owned()).chain(sizes.iter().map(ToString::to_string)).collect())
    }

    /// The value of input `index` of a node, emitted first if it has not been.
    pub fn operand(&mut self, node: &Node, index: usize) -> Result<Value, UnusableTfjs> {
        let name = node.input.get(index).map_or("", String::as_str);
        self.value(name.split(':').next().unwrap_or_default(), &node.name)
    }

    fn value(&mut self, name: &str, wanted_by: &str) -> Result<Value, UnusableTfjs> {
        if let Some(value) = self.done.get(name) {
            return Ok(value.clone());
        }
        let missing = || UnusableTfjs::NoInput { node: wanted_by.to_owned(), input: name.to_owned() };
        if !self.open.insert(name.to_owned()) {
            return Err(missing());
        }
        let node = self.nodes.remove(name).ok_or_else(missing)?;
        let value = emit_node(self, &node)?;
        self.done.insert(name.to_owned(), value.clone());
        Ok(value)
    }

    /// The constant at input `index` of a node, if it is one.
    pub fn constant(&self, node: &Node, index: usize) -> Option<&Weight> {
        self.weights.get(node.input.get(index)?)
    }

    /// The constant at input `index`, as floats with its dimensions.
    pub fn floats(&self, node: &Node, index: usize) -> Result<(Vec<usize>, Vec<f32>), UnusableTfjs> {
        match self.constant(node, index) {
            Some(Weight { dims, values: Values::Floats(values) }) => Ok((dims.clone(), values.clone())),
            _ => Err(unknown(node, &format!("an input {index} that is no constant of floats"))),
        }
    }

    /// The constant at input `index`, as whole numbers.
    pub fn ints(&self, node: &Node, index: usize) -> Result<Vec<i32>, UnusableTfjs> {
        match self.constant(node, index) {
            Some(Weight { values: Values::Ints(values), .. }) => Ok(values.clone()),
            _ => Err(unknown(node, &format!("an input {index} that is no constant of whole numbers"))),
        }
    }

    /// Keeps a constant under a name derived from its node's; returns the name.
    pub fn keep(&mut self, node: &Node, part: &str, dims: &[usize], values: &[f32]) -> String {
        let name = format!("{}/{part}", node.name);
        self.constants.push(Tensor::of_floats(&name, dims.iter().map(|d| *d as i64).collect(), values));
        name
    }

    pub fn keep_ints(&mut self, node: &Node, part: &str, values: &[i64]) -> String {
        let name = format!("{}/{part}", node.name);
        self.constants.push(build::int64s(&name, values));
        name
    }

    /// Writes an operation whose value is named after the TensorFlow node and, for a step on the way, `part`.
    pub fn write(&mut self, op: &str, inputs: &[&str], node: &Node, part: &str, attributes: Vec<Attribute>) -> String {
        let output = if part.is_empty() { node.name.clone() } else { format!("{}/{part}", node.name) };
        self.written.push(build::node(op, inputs, &output, attributes));
        output
    }
}

pub fn unknown(node: &Node, what: &str) -> UnusableTfjs {
    UnusableTfjs::Unknown { node: node.name.clone(), what: what.to_owned() }
}
