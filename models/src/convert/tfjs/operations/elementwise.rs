//! Operations that leave the shape as it is.

use crate::convert::build::{int, ints};
use crate::convert::tfjs::UnusableTfjs;
use crate::convert::tfjs::emit::{Emitter, Shape, Value, unknown};
use crate::convert::tfjs::topology::Node;

/// A value and another one of its shape, or a constant: one number, or one per channel.
pub fn binary(emitter: &mut Emitter, node: &Node, op: &str) -> Result<Value, UnusableTfjs> {
    let (value, other) = if emitter.constant(node, 0).is_some() { (1, 0) } else { (0, 1) };
    let x = emitter.operand(node, value)?;
    let y = if emitter.constant(node, other).is_some() {
        per_channel(emitter, node, other, x.shape)?
    } else {
        let y = emitter.operand(node, other)?;
        if y.shape != x.shape {
            return Err(unknown(node, "two values of different shapes"));
        }
        y.name
    };
    let name = emitter.write(op, &[&x.name, &y], node, "", Vec::new());
    Ok(Value { name, shape: x.shape })
}

/// Negative values times a slope per channel.
pub fn prelu(emitter: &mut Emitter, node: &Node) -> Result<Value, UnusableTfjs> {
    let x = emitter.operand(node, 0)?;
    sloped(emitter, node, &x, 1, "")
}

/// max(0, x) + a · min(0, x), the slopes a being the constant at an input.
///
/// Of pictures it is written as a · x + (1 − a) · max(0, x), the products as convolutions of one pixel by channel:
/// ONNX Runtime has no PReLU in the blocked layout that it keeps pictures in between convolutions, and changing the
/// layout to and fro costs the mesh a third of its time (3.2 against 2.0 ms of processor time).
fn sloped(emitter: &mut Emitter, node: &Node, x: &Value, index: usize, part: &str) -> Result<Value, UnusableTfjs> {
    let Shape::Picture { channels, .. } = x.shape else {
        let slope = per_channel(emitter, node, index, x.shape)?;
        let name = emitter.write("PRelu", &[&x.name, &slope], node, part, Vec::new());
        return Ok(Value { name, shape: x.shape });
    };
    let (_, mut slopes) = emitter.floats(node, index)?;
    if slopes.len() == 1 {
        slopes = vec![slopes[0]; channels];
    }
    if slopes.len() != channels {
        return Err(unknown(node, "a slope that is neither one number nor one per channel"));
    }
    let times = |emitter: &mut Emitter, x: &str, factors: &[f32], part: &str| {
        let filter = emitter.keep(node, &format!("{part}_factors"), &[channels, 1, 1, 1], factors);
        let attributes = vec![ints("kernel_shape", &[1, 1]), int("group", channels as i64)];
        emitter.write("Conv", &[x, &filter], node, part, attributes)
    };
    let positive = emitter.write("Relu", &[&x.name], node, "positive", Vec::new());
    let rest: Vec<f32> = slopes.iter().map(|a| 1.0 - a).collect();
    let all = times(emitter, &x.name, &slopes, "sloped");
    let more = times(emitter, &positive, &rest, "steeper");
    let name = emitter.write("Add", &[&more, &all], node, part, Vec::new());
    Ok(Value { name, shape: x.shape })
}

/// A function of each value, or of a row as a whole.
pub fn activation(emitter: &mut Emitter, node: &Node) -> Result<Value, UnusableTfjs> {
    let x = emitter.operand(node, 0)?;
    let (name, shape) = (x.name.clone(), x.shape);
    let name = match (node.op.as_str(), shape) {
        ("Relu", _) => emitter.write("Relu", &[&name], node, "", Vec::new()),
        ("Relu6", _) => relu6(emitter, node, &name, ""),
        ("Sigmoid", _) => emitter.write("Sigmoid", &[&name], node, "", Vec::new()),
        ("Softmax", Shape::Row(_)) => emitter.write("Softmax", &[&name], node, "", Vec::new()),
        (other, _) => return Err(unknown(node, &format!("{other} of this shape"))),
    };
    Ok(Value { name, shape })
}

/// What TensorFlow's optimiser moved into a node: a bias, then perhaps an activation.
pub fn fused(emitter: &mut Emitter, node: &Node, mut x: Value) -> Result<Value, UnusableTfjs> {
    let mut constant = 2;
    for op in node.texts("fused_ops") {
        let part = op.to_lowercase();
        x.name = match op.as_str() {
            "BiasAdd" => {
                let bias = per_channel(emitter, node, constant, x.shape)?;
                emitter.write("Add", &[&x.name, &bias], node, &part, Vec::new())
            }
            "Prelu" => sloped(emitter, node, &x, constant, &part)?.name,
            "Relu" => emitter.write("Relu", &[&x.name], node, &part, Vec::new()),
            "Relu6" => relu6(emitter, node, &x.name, &part),
            other => return Err(unknown(node, &format!("the fused operation {other}"))),
        };
        constant += usize::from(matches!(op.as_str(), "BiasAdd" | "Prelu"));
    }
    Ok(x)
}

fn relu6(emitter: &mut Emitter, node: &Node, x: &str, part: &str) -> String {
    let (low, high) = (emitter.keep(node, "low", &[], &[0.0]), emitter.keep(node, "high", &[], &[6.0]));
    emitter.write("Clip", &[x, &low, &high], node, part, Vec::new())
}

/// The constant at an input, shaped so that it meets each channel: [channels, 1, 1] for pictures.
fn per_channel(emitter: &mut Emitter, node: &Node, index: usize, shape: Shape) -> Result<String, UnusableTfjs> {
    let (_, values) = emitter.floats(node, index)?;
    let (channels, dims) = match shape {
        Shape::Picture { channels, .. } => (channels, vec![values.len(), 1, 1]),
        Shape::Row(length) => (length, vec![values.len()]),
    };
    match values.len() {
        1 => Ok(emitter.keep(node, &format!("constant_{index}"), &[], &values)),
        n if n == channels => Ok(emitter.keep(node, &format!("constant_{index}"), &dims, &values)),
        _ => Err(unknown(node, "a constant that is neither one number nor one per channel")),
    }
}
