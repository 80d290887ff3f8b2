//! Convolution, perhaps batch normalisation, and PReLU, where nothing else reads what lies between.

use std::collections::{HashMap, HashSet};

use super::super::onnx::{Attribute, Graph, Node, Tensor};
use super::index::Index;

/// Up to so many products per value it is cheaper to run a convolution twice than to bend its result afterwards.
const PRODUCTS_FEW: usize = 32;
/// `AttributeProto.AttributeType`.
const INT: i32 = 2;
const INTS: i32 = 7;

/// The chains of a graph, by the places of their nodes.
pub struct Chains {
    by_end: HashMap<usize, Chain>,
    absorbed: HashSet<usize>,
}

/// One chain with its constants, batch normalisation folded in.
pub struct Chain {
    conv: Node,
    output: String,
    dims: Vec<i64>,
    weights: Vec<f64>,
    bias: Vec<f64>,
    slopes: Vec<f64>,
}

/// What a chain becomes.
pub struct Parts {
    pub nodes: Vec<Node>,
    pub tensors: Vec<Tensor>,
}

impl Chains {
    pub fn find(graph: &Graph) -> Self {
        let index = Index::of(graph);
        let mut chains = Self { by_end: HashMap::new(), absorbed: HashSet::new() };
        for (end, node) in graph.node.iter().enumerate().filter(|(_, n)| n.is("PRelu")) {
            if let Some((chain, absorbed)) = index.chain(graph, node) {
                chains.by_end.insert(end, chain);
                chains.absorbed.extend(absorbed);
            }
        }
        chains
    }

    pub fn is_empty(&self) -> bool {
        self.by_end.is_empty()
    }

    pub fn ending_at(&self, place: usize) -> Option<&Chain> {
        self.by_end.get(&place)
    }

    /// Whether the node at this place is part of a chain that ends later.
    pub fn absorb(&self, place: usize) -> bool {
        self.absorbed.contains(&place)
    }
}

impl<'g> Index<'g> {
    /// The chain that a PReLU ends, and the places of its other nodes.
    fn chain(&self, graph: &'g Graph, prelu: &'g Node) -> Option<(Chain, Vec<usize>)> {
        let [input, slopes] = &prelu.input[..] else { return None };
        let output = prelu.output.first()?.clone();
        let mut absorbed = vec![self.only_maker(input)?];
        let mut node = &graph.node[absorbed[0]];
        let mut norm = None;
        if node.is("BatchNormalization") {
            norm = Some(self.norm(node)?);
            absorbed.push(self.only_maker(node.input.first()?)?);
            node = &graph.node[absorbed[1]];
        }
        let kernel = self.constants.get(node.input.get(1)?.as_str())?;
        if !node.is("Conv") || kernel.dims.len() != 4 {
            return None;
        }
        let channels = usize::try_from(kernel.dims[0]).ok().filter(|c| *c > 0)?;
        let mut weights = values(kernel)?;
        let mut bias = match node.input.get(2) {
            Some(name) => self.values(name).filter(|b| b.len() == channels)?,
            None => vec![0.0; channels],
        };
        if let Some((scale, shift)) = norm {
            scale_rows(&mut weights, &scale);
            bias.iter_mut().zip(scale.iter().zip(&shift)).for_each(|(b, (scale, shift))| *b = *b * scale + shift);
        }
        // Fewer axes would be slopes along a row instead of per channel.
        let per_channel = |dims: &[i64]| matches!(dims, [.., _, 1, 1]);
        let slopes = self.constants.get(slopes.as_str())?;
        let apart = per_channel(&slopes.dims);
        let slopes = values(slopes).filter(|values| apart || values.len() == 1)?;
        let slopes = if slopes.len() == 1 { vec![slopes[0]; channels] } else { slopes };
        let turned = slopes.iter().any(|slope| *slope > 1.0);
        if slopes.len() != channels || (turned && !self.only_convolved(graph, &output)) {
            return None;
        }
        Some((Chain { conv: node.clone(), output, dims: kernel.dims.clone(), weights, bias, slopes }, absorbed))
    }

    /// Whether every reader is a convolution that can be given other weights.
    fn only_convolved(&self, graph: &Graph, name: &str) -> bool {
        let convolves = |place: &usize| {
            let node = &graph.node[*place];
            let weights = node.input.get(1).and_then(|weights| self.values(weights));
            node.is("Conv") && node.input[0] == name && weights.is_some()
        };
        !self.outputs.contains(name) && self.readers.get(name).is_some_and(|places| places.iter().all(convolves))
    }
}

impl Chain {
    /// The convolutions and the ReLU that stand for it; notes in `signs` which channels come out turned over.
    pub fn split(&self, signs: &mut HashMap<String, Vec<f64>>) -> Parts {
        let mut weights = self.weights.clone();
        let group = self.conv.int("group").unwrap_or(1);
        let input = self.conv.input[0].clone();
        if let Some(signs) = signs.get(&input) {
            turn(&mut weights, &self.dims, group, signs);
        }
        let bent: Vec<f64> = self.slopes.iter().map(|a| 1.0 - a).collect();
        let straight: Vec<f64> = self.slopes.iter().map(|a| if *a > 1.0 { -1.0 } else { *a }).collect();
        if self.slopes.iter().any(|a| *a > 1.0) {
            let sign = |a: &f64| if *a > 1.0 { -1.0 } else { 1.0 };
            signs.insert(self.output.clone(), self.slopes.iter().map(sign).collect());
        }
        let name = |part: &str| format!("{}_{part}", self.output);
        let mut parts = Parts { nodes: Vec::new(), tensors: Vec::new() };
        let few = weights.len() / self.slopes.len() <= PRODUCTS_FEW;
        if few {
            for (part, factors) in [("bent", &bent), ("straight", &straight)] {
                let (mut weights, mut bias) = (weights.clone(), self.bias.clone());
                scale_rows(&mut weights, factors);
                scale_rows(&mut bias, factors);
                parts.convolve(&input, &name(part), self.conv.attribute.clone(), &self.dims, &weights, &bias);
            }
        } else {
            parts.convolve(&input, &name("whole"), self.conv.attribute.clone(), &self.dims, &weights, &self.bias);
            let (dims, none) = (vec![self.dims[0], 1, 1, 1], vec![0.0; bent.len()]);
            for (part, factors) in [("bent", &bent), ("straight", &straight)] {
                parts.convolve(&name("whole"), &name(part), pointwise(self.dims[0]), &dims, factors, &none);
            }
        }
        // ReLU follows its convolution and the sum the other one, so that each is computed in one pass.
        parts.nodes.push(node("Relu", vec![name("bent")], name("relu"), Vec::new()));
        parts.nodes.push(node("Add", vec![name("straight"), name("relu")], self.output.clone(), Vec::new()));
        parts
    }
}

impl Parts {
    fn convolve(
        &mut self,
        input: &str,
        output: &str,
        attributes: Vec<Attribute>,
        dims: &[i64],
        weights: &[f64],
        bias: &[f64],
    ) {
        let (weights_name, bias_name) = (format!("{output}_weights"), format!("{output}_bias"));
        self.tensors.push(tensor(&weights_name, dims.to_vec(), weights));
        self.tensors.push(tensor(&bias_name, vec![bias.len() as i64], bias));
        self.nodes.push(node("Conv", vec![input.into(), weights_name, bias_name], output.into(), attributes));
    }
}

fn node(op: &str, input: Vec<String>, output: String, attribute: Vec<Attribute>) -> Node {
    let name = Some(output.clone());
    Node { op_type: Some(op.into()), input, output: vec![output], name, attribute, ..Node::default() }
}

/// Attributes of a convolution that only scales each channel.
fn pointwise(channels: i64) -> Vec<Attribute> {
    let ints = |name: &str, ints: Vec<i64>| Attribute {
        name: Some(name.into()),
        ints,
        r#type: Some(INTS),
        ..Attribute::default()
    };
    let group = Attribute { name: Some("group".into()), i: Some(channels), r#type: Some(INT), ..Attribute::default() };
    vec![group, ints("kernel_shape", vec![1, 1])]
}

/// The values of a float32 constant.
pub fn values(tensor: &Tensor) -> Option<Vec<f64>> {
    Some(tensor.floats()?.into_iter().map(f64::from).collect())
}

pub fn tensor(name: &str, dims: Vec<i64>, values: &[f64]) -> Tensor {
    Tensor::of_floats(name, dims, &values.iter().map(|v| *v as f32).collect::<Vec<_>>())
}

/// Multiplies the weights of each output channel.
fn scale_rows(weights: &mut [f64], factors: &[f64]) {
    let row = (weights.len() / factors.len()).max(1);
    weights.chunks_mut(row).zip(factors).for_each(|(row, factor)| row.iter_mut().for_each(|w| *w *= factor));
}

/// Turns over the weights that meet turned input channels; `dims` are outputs, inputs per group, height and width.
pub fn turn(weights: &mut [f64], dims: &[i64], group: i64, signs: &[f64]) {
    let [outputs, inputs, ..] = dims.iter().map(|d| *d as usize).collect::<Vec<_>>()[..] else { return };
    let kernel = (weights.len() / (outputs * inputs).max(1)).max(1);
    let outputs_per_group = (outputs / (group.max(1) as usize)).max(1);
    for (i, weights) in weights.chunks_mut(kernel).enumerate() {
        let (output, input) = (i / inputs, i % inputs);
        let sign = signs.get(output / outputs_per_group * inputs + input).copied().unwrap_or(1.0);
        weights.iter_mut().for_each(|w| *w *= sign);
    }
}
