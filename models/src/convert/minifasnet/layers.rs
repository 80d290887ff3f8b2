//! The layers of a MiniFASNet as ONNX nodes, each named after its weights in the checkpoint.

use std::collections::HashMap;

use super::super::onnx::{Attribute, Node, Tensor};
use super::super::torch::Weights;
use super::NotMiniFasNet;

/// PyTorch's default, which the original keeps: added to a batch's variance.
const EPSILON: f64 = 1e-5;
/// Channels that ONNX Runtime computes at once with the widest registers there are (AVX-512).
const BLOCK: usize = 16;
/// `AttributeProto.AttributeType`.
const INT: i32 = 2;
const INTS: i32 = 7;

/// What a convolution's weights do not say themselves.
#[derive(Debug, Clone, Copy)]
pub struct Layer {
    pub stride: i64,
    pub pad: i64,
}

const POINTWISE: Layer = Layer { stride: 1, pad: 0 };

/// Collects nodes and initialisers; every method takes and returns names of values.
pub struct Builder {
    weights: HashMap<String, Weights>,
    nodes: Vec<Node>,
    initialisers: Vec<Tensor>,
}

impl Builder {
    pub fn new(weights: HashMap<String, Weights>) -> Self {
        Self { weights, nodes: Vec::new(), initialisers: Vec::new() }
    }

    pub fn into_parts(self) -> (Vec<Node>, Vec<Tensor>) {
        (self.nodes, self.initialisers)
    }

    pub fn has(&self, name: &str) -> bool {
        self.weights.contains_key(name)
    }

    /// Convolution, normalisation, PReLU.
    pub fn activated(&mut self, x: &str, name: &str, layer: Layer) -> Result<String, NotMiniFasNet> {
        let y = self.normalised(x, name, layer)?;
        let slope = self.get(&format!("{name}.prelu.weight"), 1)?.clone();
        let slope_name = format!("{name}.slope");
        self.keep(&slope_name, &[slope.values.len(), 1, 1], &slope.values);
        Ok(self.node("PRelu", &[&y, &slope_name], &format!("{name}.prelu"), Vec::new()))
    }

    /// Convolution and normalisation.
    pub fn normalised(&mut self, x: &str, name: &str, layer: Layer) -> Result<String, NotMiniFasNet> {
        self.convolution(x, &format!("{name}.conv"), &format!("{name}.bn"), layer)
    }

    /// Widen, look around in each channel, narrow.
    pub fn bottleneck(&mut self, x: &str, name: &str, stride: i64) -> Result<String, NotMiniFasNet> {
        self.fill_blocks(name);
        let wide = self.activated(x, &format!("{name}.conv"), POINTWISE)?;
        let around = self.activated(&wide, &format!("{name}.conv_dw"), Layer { stride, pad: 1 })?;
        self.normalised(&around, &format!("{name}.project"), POINTWISE)
    }

    /// A bottleneck added to its input, weighed by channel where the block has squeeze-and-excitation.
    pub fn residual(&mut self, x: &str, name: &str) -> Result<String, NotMiniFasNet> {
        let mut y = self.bottleneck(x, name, 1)?;
        let se = format!("{name}.se_module");
        if self.has(&format!("{se}.fc1.weight")) {
            let mean = self.node("GlobalAveragePool", &[&y], &format!("{se}.pool"), Vec::new());
            let few = self.convolution(&mean, &format!("{se}.fc1"), &format!("{se}.bn1"), POINTWISE)?;
            let few = self.node("Relu", &[&few], &format!("{se}.relu"), Vec::new());
            let share = self.convolution(&few, &format!("{se}.fc2"), &format!("{se}.bn2"), POINTWISE)?;
            let share = self.node("Sigmoid", &[&share], &format!("{se}.sigmoid"), Vec::new());
            y = self.node("Mul", &[&y, &share], &format!("{se}.mul"), Vec::new());
        }
        Ok(self.node("Add", &[x, &y], &format!("{name}.add"), Vec::new()))
    }

    /// The two linear layers at the end, the first normalised.
    pub fn classify(&mut self, x: &str, output: &str) -> Result<(), NotMiniFasNet> {
        let flat = self.node("Flatten", &[x], "flat", Vec::new());
        let (weights, bias) = self.folded("linear.weight", "bn", 2)?;
        self.keep("linear.w", &weights.dims, &weights.values);
        self.keep("linear.b", &[bias.len()], &bias);
        let transposed = vec![int("transB", 1)];
        let embedded = self.node("Gemm", &[&flat, "linear.w", "linear.b"], "embedded", transposed.clone());
        let last = self.get("prob.weight", 2)?.clone();
        self.keep("prob.w", &last.dims, &last.values);
        self.node("Gemm", &[&embedded, "prob.w"], output, transposed);
        Ok(())
    }

    /// Adds channels of zeros in the middle of a bottleneck until they fill whole blocks: pruning left odd numbers of
    /// them (103, 231), for which ONNX Runtime has only slow kernels. They stay 0 all the way and are read with weight 0.
    fn fill_blocks(&mut self, name: &str) {
        let inner = [format!("{name}.conv."), format!("{name}.conv_dw.")];
        let narrowing = format!("{name}.project.conv.weight");
        for (key, weights) in &mut self.weights {
            if inner.iter().any(|part| key.starts_with(part)) {
                fill_up(weights, 0);
            } else if *key == narrowing {
                fill_up(weights, 1);
            }
        }
    }

    fn convolution(&mut self, x: &str, conv: &str, bn: &str, layer: Layer) -> Result<String, NotMiniFasNet> {
        let (weights, bias) = self.folded(&format!("{conv}.weight"), bn, 4)?;
        // The depthwise layers are those whose filters see one channel of several; the first layer sees all three.
        let group = if weights.dims[1] == 1 { weights.dims[0] } else { 1 };
        let (w, b) = (format!("{conv}.w"), format!("{conv}.b"));
        self.keep(&w, &weights.dims, &weights.values);
        self.keep(&b, &[bias.len()], &bias);
        let kernel = [weights.dims[2] as i64, weights.dims[3] as i64];
        let attributes = vec![
            int("group", group as i64),
            ints("kernel_shape", &kernel),
            ints("pads", &[layer.pad; 4]),
            ints("strides", &[layer.stride; 2]),
        ];
        Ok(self.node("Conv", &[x, &w, &b], &format!("{conv}.out"), attributes))
    }

    /// Weights with the normalisation after them multiplied in, and the bias that it adds:
    /// γ·(w·x − μ)/√(σ² + ε) + β.
    fn folded(&self, weight: &str, bn: &str, rank: usize) -> Result<(Weights, Vec<f32>), NotMiniFasNet> {
        let weights = self.get(weight, rank)?;
        let channels = weights.dims[0];
        let of = |part: &str| -> Result<&Weights, NotMiniFasNet> {
            let name = format!("{bn}.{part}");
            let found = self.get(&name, 1)?;
            if found.values.len() == channels { Ok(found) } else { Err(NotMiniFasNet::Shape(name)) }
        };
        let (gamma, beta, mean, variance) = (of("weight")?, of("bias")?, of("running_mean")?, of("running_var")?);
        let each = weights.values.len() / channels.max(1);
        let mut folded = Vec::with_capacity(weights.values.len());
        let mut bias = Vec::with_capacity(channels);
        for (channel, values) in weights.values.chunks(each.max(1)).enumerate() {
            let scale = f64::from(gamma.values[channel]) / (f64::from(variance.values[channel]) + EPSILON).sqrt();
            folded.extend(values.iter().map(|w| (f64::from(*w) * scale) as f32));
            bias.push((f64::from(beta.values[channel]) - f64::from(mean.values[channel]) * scale) as f32);
        }
        Ok((Weights { dims: weights.dims.clone(), values: folded }, bias))
    }

    fn get(&self, name: &str, rank: usize) -> Result<&Weights, NotMiniFasNet> {
        let weights = self.weights.get(name).ok_or_else(|| NotMiniFasNet::Missing(name.to_owned()))?;
        if weights.dims.len() == rank { Ok(weights) } else { Err(NotMiniFasNet::Shape(name.to_owned())) }
    }

    fn keep(&mut self, name: &str, dims: &[usize], values: &[f32]) {
        let dims = dims.iter().map(|d| *d as i64).collect();
        self.initialisers.push(Tensor::of_floats(name, dims, values));
    }

    fn node(&mut self, op: &str, input: &[&str], output: &str, attribute: Vec<Attribute>) -> String {
        self.nodes.push(Node {
            input: input.iter().map(ToString::to_string).collect(),
            output: vec![output.to_owned()],
            op_type: Some(op.to_owned()),
            attribute,
            ..Node::default()
        });
        output.to_owned()
    }
}

/// Zeros along an axis up to a whole number of blocks.
fn fill_up(weights: &mut Weights, axis: usize) {
    let Some(length) = weights.dims.get(axis).copied().filter(|length| *length > 0) else { return };
    let inner: usize = weights.dims[axis + 1..].iter().product();
    let filled = length.next_multiple_of(BLOCK);
    let mut values = Vec::with_capacity(weights.values.len() / length * filled);
    for outer in weights.values.chunks(length * inner) {
        values.extend_from_slice(outer);
        values.extend(std::iter::repeat_n(0.0, (filled - length) * inner));
    }
    weights.values = values;
    weights.dims[axis] = filled;
}

fn int(name: &str, value: i64) -> Attribute {
    Attribute { name: Some(name.into()), i: Some(value), r#type: Some(INT), ..Attribute::default() }
}

fn ints(name: &str, values: &[i64]) -> Attribute {
    Attribute { name: Some(name.into()), ints: values.to_vec(), r#type: Some(INTS), ..Attribute::default() }
}
