//! Who makes and who reads each value of a graph.

use std::collections::{HashMap, HashSet};

use super::super::onnx::{Graph, Node, Tensor};
use super::chain::values;

/// By the names of values; nodes by their places.
pub struct Index<'g> {
    pub made_by: HashMap<&'g str, usize>,
    pub readers: HashMap<&'g str, Vec<usize>>,
    pub constants: HashMap<&'g str, &'g Tensor>,
    pub outputs: HashSet<&'g str>,
}

impl<'g> Index<'g> {
    pub fn of(graph: &'g Graph) -> Self {
        let mut index = Self {
            made_by: HashMap::new(),
            readers: HashMap::new(),
            constants: graph.initializer.iter().filter_map(|t| Some((t.name.as_deref()?, t))).collect(),
            outputs: graph.output.iter().filter_map(|o| o.name.as_deref()).collect(),
        };
        for (place, node) in graph.node.iter().enumerate() {
            index.made_by.extend(node.output.iter().map(|name| (name.as_str(), place)));
            node.input.iter().for_each(|name| index.readers.entry(name).or_default().push(place));
        }
        index
    }

    /// The place of the node that makes a value which one node alone reads.
    pub fn only_maker(&self, name: &str) -> Option<usize> {
        let alone = self.readers.get(name)?.len() == 1 && !self.outputs.contains(name);
        alone.then(|| self.made_by.get(name).copied())?
    }

    /// The place of the node that alone reads a value, which does not leave the graph.
    pub fn only_reader(&self, name: &str) -> Option<usize> {
        match self.readers.get(name)?[..] {
            [reader] if !self.outputs.contains(name) => Some(reader),
            _ => None,
        }
    }

    pub fn values(&self, name: &str) -> Option<Vec<f64>> {
        values(self.constants.get(name)?)
    }

    /// What a batch normalisation multiplies by and adds, per channel.
    pub fn norm(&self, node: &Node) -> Option<(Vec<f64>, Vec<f64>)> {
        let constant = |i: usize| self.values(node.input.get(i)?);
        let (gamma, beta, mean, variance) = (constant(1)?, constant(2)?, constant(3)?, constant(4)?);
        let epsilon = node.attribute.iter().find(|a| a.name.as_deref() == Some("epsilon")).and_then(|a| a.f);
        let epsilon = f64::from(epsilon.unwrap_or(1e-5));
        let scale: Vec<f64> = gamma.iter().zip(&variance).map(|(g, v)| g / (v + epsilon).sqrt()).collect();
        let shift = beta.iter().zip(mean.iter().zip(&scale)).map(|(b, (m, s))| b - m * s).collect();
        Some((scale, shift))
    }
}
