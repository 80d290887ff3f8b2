//! Folds block-quantised weights back into float32 initialisers.
//!
//! OpenCV Zoo's `int8bq` files hold each weight as int8 with one scale and zero point per block along one axis,
//! followed by `DequantizeLinear` and mostly a constant `Reshape`. ONNX Runtime refuses some of these nodes. Since
//! their inputs are constants, so are their outputs: w = (x − zero point) · scale.

use std::collections::{HashMap, HashSet};

use super::onnx::{Graph, Node, Tensor};

/// Which weight could not be folded, and why.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("weight {weight} cannot be dequantised: {reason}")]
pub struct NotDequantisable {
    pub weight: String,
    pub reason: &'static str,
}

/// Replaces every `DequantizeLinear` of constants, and every `Reshape` of its result, by a float32 initialiser.
///
/// Errors: a `DequantizeLinear` whose inputs are not constants of the expected types and shapes.
pub fn fold(graph: &mut Graph) -> Result<(), NotDequantisable> {
    let constants: HashMap<String, Tensor> =
        graph.initializer.iter().map(|t| (t.name.clone().unwrap_or_default(), t.clone())).collect();
    let mut folded: HashMap<String, Tensor> = HashMap::new();
    let mut kept = Vec::with_capacity(graph.node.len());
    for node in std::mem::take(&mut graph.node) {
        match fold_node(&node, &constants, &folded)? {
            Some(tensor) => {
                folded.insert(tensor.name.clone().unwrap_or_default(), tensor);
            }
            None => kept.push(node),
        }
    }
    graph.node = kept;

    let used: HashSet<&String> = graph.node.iter().flat_map(|n| &n.input).collect();
    graph.initializer.retain(|t| t.name.as_ref().is_some_and(|name| used.contains(name)));
    let mut new: Vec<Tensor> =
        folded.into_values().filter(|t| t.name.as_ref().is_some_and(|n| used.contains(n))).collect();
    // A hash map has no order of its own; the pinned SHA-256 needs one.
    new.sort_by(|a, b| a.name.cmp(&b.name));
    graph.initializer.extend(new);
    Ok(())
}

fn fold_node(
    node: &Node,
    constants: &HashMap<String, Tensor>,
    folded: &HashMap<String, Tensor>,
) -> Result<Option<Tensor>, NotDequantisable> {
    let (Some(first), Some(output)) = (node.input.first(), node.output.first()) else { return Ok(None) };
    let because = |reason| NotDequantisable { weight: first.clone(), reason };
    if node.is("DequantizeLinear") {
        let constant = |i: usize| node.input.get(i).and_then(|name| constants.get(name));
        let (Some(x), Some(scale)) = (constant(0), constant(1)) else {
            return Err(because("its values or scales are not constants"));
        };
        let values = dequantise(x, scale, constant(2), node.int("axis")).map_err(because)?;
        return Ok(Some(Tensor::of_floats(output, x.dims.clone(), &values)));
    }
    if node.is("Reshape")
        && let Some(tensor) = folded.get(first)
    {
        let target = node.input.get(1).and_then(|name| constants.get(name)?.int64s());
        let dims = target.ok_or_else(|| because("its new shape is not a constant"))?;
        let count = |dims: &[i64]| dims.iter().product::<i64>();
        if dims.iter().any(|d| *d < 1) || count(&dims) != count(&tensor.dims) {
            return Err(because("its new shape does not fit"));
        }
        return Ok(Some(Tensor { dims, name: Some(output.clone()), ..tensor.clone() }));
    }
    Ok(None)
}

/// (x − zero point) · scale, with scale and zero point repeated over the blocks along `axis`.
///
/// The scale has x's shape but for `axis`, where it has one entry per block (ONNX `DequantizeLinear`, opset 21); a
/// single scale serves the whole tensor.
fn dequantise(
    x: &Tensor,
    scale: &Tensor,
    zero_point: Option<&Tensor>,
    axis: Option<i64>,
) -> Result<Vec<f32>, &'static str> {
    let values = x.int8s().ok_or("its values are not int8 of its shape")?;
    let scales = scale.floats().ok_or("its scales are not float32 of their shape")?;
    let zeros = match zero_point {
        Some(tensor) => tensor.int8s().ok_or("its zero points are not int8 of their shape")?,
        None => vec![0; scales.len()],
    };
    if zeros.len() != scales.len() {
        return Err("it has not as many zero points as scales");
    }
    let weigh = |value: i8, s: usize| (f32::from(value) - f32::from(zeros[s])) * scales[s];
    if scales.len() == 1 {
        return Ok(values.into_iter().map(|v| weigh(v, 0)).collect());
    }

    let dims: Vec<usize> = x.dims.iter().filter_map(|d| usize::try_from(*d).ok()).collect();
    let axis = usize::try_from(axis.unwrap_or(1)).map_err(|_| "its axis is negative")?;
    let length = *dims.get(axis).ok_or("its axis does not exist")?;
    let inner: usize = dims[axis + 1..].iter().product();
    let outer: usize = dims[..axis].iter().product();
    let blocks = scales.len() / (outer * inner).max(1);
    if blocks == 0 || scales.len() != outer * blocks * inner {
        return Err("its scales do not fit its shape");
    }
    let block = length.div_ceil(blocks);
    let scale_of = |i: usize| (i / (length * inner) * blocks + i / inner % length / block) * inner + i % inner;
    Ok(values.into_iter().enumerate().map(|(i, v)| weigh(v, scale_of(i))).collect())
}

#[cfg(test)]
mod tests {
    use super::super::onnx::{Attribute, INT8, INT64};
    use super::*;

    fn int8s(name: &str, dims: Vec<i64>, values: &[i8]) -> Tensor {
        let raw = values.iter().map(|v| v.to_le_bytes()[0]).collect();
        Tensor { dims, data_type: Some(INT8), name: Some(name.into()), raw_data: Some(raw), ..Tensor::default() }
    }

    fn node(op: &str, input: &[&str], output: &str, axis: Option<i64>) -> Node {
        let attribute = axis.map(|i| Attribute { name: Some("axis".into()), i: Some(i), ..Attribute::default() });
        Node {
            op_type: Some(op.into()),
            input: input.iter().map(ToString::to_string).collect(),
            output: vec![output.into()],
            attribute: attribute.into_iter().collect(),
            ..Node::default()
        }
    }

    #[test]
    fn each_block_along_the_axis_has_its_own_scale_and_zero_point() {
        let x = int8s("x", vec![2, 3], &[1, 2, 3, 4, 5, 6]);
        let scale = Tensor::of_floats("s", vec![2, 2], &[1.0, 10.0, 100.0, 1000.0]);
        let zero = int8s("z", vec![2, 2], &[0, 1, 0, 2]);
        let by_row = dequantise(&x, &scale, Some(&zero), Some(1));
        assert_eq!(by_row, Ok(vec![1.0, 2.0, 20.0, 400.0, 500.0, 4000.0]));
        let columns = Tensor::of_floats("s", vec![1, 3], &[1.0, 10.0, 100.0]);
        assert_eq!(dequantise(&x, &columns, None, Some(0)), Ok(vec![1.0, 20.0, 300.0, 4.0, 50.0, 600.0]));
        let one = Tensor::of_floats("s", vec![], &[0.5]);
        assert_eq!(dequantise(&x, &one, None, None), Ok(vec![0.5, 1.0, 1.5, 2.0, 2.5, 3.0]));
        assert!(dequantise(&x, &Tensor::of_floats("s", vec![5], &[1.0; 5]), None, Some(1)).is_err());
    }

    #[test]
    fn a_dequantised_and_reshaped_weight_becomes_one_initialiser_and_nothing_else_is_touched() {
        let shape: Vec<u8> = [3_i64, 2].iter().flat_map(|v| v.to_le_bytes()).collect();
        let shape = Tensor {
            dims: vec![2],
            data_type: Some(INT64),
            name: Some("shape".into()),
            raw_data: Some(shape),
            ..Tensor::default()
        };
        let other = Tensor::of_floats("bias", vec![1], &[7.0]);
        let conv = node("Conv", &["image", "w", "bias"], "out", None);
        let mut graph = Graph {
            node: vec![
                node("DequantizeLinear", &["x", "s"], "dq", Some(1)),
                node("Reshape", &["dq", "shape"], "w", None),
                conv.clone(),
            ],
            initializer: vec![
                int8s("x", vec![1, 6], &[1, 2, 3, 4, 5, 6]),
                Tensor::of_floats("s", vec![1, 2], &[1.0, 2.0]),
                shape,
                other.clone(),
            ],
            ..Graph::default()
        };
        fold(&mut graph).unwrap();
        assert_eq!(graph.node, [conv]);
        assert_eq!(graph.initializer, [other, Tensor::of_floats("w", vec![3, 2], &[1.0, 2.0, 3.0, 8.0, 10.0, 12.0])]);
    }

    #[test]
    fn a_weight_that_is_no_constant_is_refused_by_name() {
        let mut graph = Graph { node: vec![node("DequantizeLinear", &["x", "s"], "y", None)], ..Graph::default() };
        assert_eq!(fold(&mut graph).unwrap_err().weight, "x");
    }
}
