//! One function per kind of TensorFlow operation. Semantics: TensorFlow's `nn_ops` documentation.

mod convolution;
mod elementwise;

use super::UnusableTfjs;
use super::emit::{Emitter, Shape, Value, unknown};
use super::topology::Node;
use crate::convert::build::{int, ints};

/// Writes what a TensorFlow node does; returns its value.
pub fn emit_node(emitter: &mut Emitter, node: &Node) -> Result<Value, UnusableTfjs> {
    match node.op.as_str() {
        "Conv2D" | "_FusedConv2D" => convolution::full(emitter, node),
        "DepthwiseConv2dNative" | "FusedDepthwiseConv2dNative" => convolution::depthwise(emitter, node),
        "MaxPool" => convolution::max_pool(emitter, node),
        "Add" | "AddV2" | "BiasAdd" => elementwise::binary(emitter, node, "Add"),
        "Mul" => elementwise::binary(emitter, node, "Mul"),
        "Minimum" => elementwise::binary(emitter, node, "Min"),
        "Maximum" => elementwise::binary(emitter, node, "Max"),
        "Prelu" => elementwise::prelu(emitter, node),
        "Relu" | "Relu6" | "Sigmoid" | "Softmax" => elementwise::activation(emitter, node),
        "MatMul" | "_FusedMatMul" => mat_mul(emitter, node),
        "Mean" => mean(emitter, node),
        "Pad" => pad_channels(emitter, node),
        "Reshape" => reshape(emitter, node),
        "Identity" => emitter.operand(node, 0),
        other => Err(unknown(node, &format!("operation {other}"))),
    }
}

/// A row times a constant matrix, with whatever TensorFlow fused behind it.
fn mat_mul(emitter: &mut Emitter, node: &Node) -> Result<Value, UnusableTfjs> {
    let x = emitter.operand(node, 0)?;
    let (dims, values) = emitter.floats(node, 1)?;
    let Shape::Row(_) = x.shape else { return Err(unknown(node, "a product of anything but a row")) };
    if node.flag("transpose_a") || node.flag("transpose_b") || dims.len() != 2 {
        return Err(unknown(node, "a transposed product"));
    }
    let matrix = emitter.keep(node, "matrix", &dims, &values);
    let name = emitter.write("MatMul", &[&x.name, &matrix], node, "product", Vec::new());
    elementwise::fused(emitter, node, Value { name, shape: Shape::Row(dims[1]) })
}

/// The mean over a picture's pixels.
fn mean(emitter: &mut Emitter, node: &Node) -> Result<Value, UnusableTfjs> {
    let x = emitter.operand(node, 0)?;
    match (x.shape, emitter.ints(node, 1)?.as_slice()) {
        (Shape::Picture { channels, .. }, [1, 2]) if !node.flag("keep_dims") => {
            let attributes = vec![ints("axes", &[2, 3]), int("keepdims", 0)];
            let name = emitter.write("ReduceMean", &[&x.name], node, "", attributes);
            Ok(Value { name, shape: Shape::Row(channels) })
        }
        _ => Err(unknown(node, "a mean over anything but all pixels")),
    }
}

/// Channels of zeros behind the given ones.
fn pad_channels(emitter: &mut Emitter, node: &Node) -> Result<Value, UnusableTfjs> {
    let x = emitter.operand(node, 0)?;
    match (x.shape, emitter.ints(node, 1)?.as_slice()) {
        (Shape::Picture { channels, height, width }, [0, 0, 0, 0, 0, 0, 0, more]) => {
            let pads = emitter.keep_ints(node, "pads", &[0, 0, 0, 0, 0, i64::from(*more), 0, 0]);
            let name = emitter.write("Pad", &[&x.name, &pads], node, "", Vec::new());
            let channels = channels + usize::try_from(*more).unwrap_or(0);
            Ok(Value { name, shape: Shape::Picture { channels, height, width } })
        }
        _ => Err(unknown(node, "a padding of anything but the end of the channels")),
    }
}

/// A picture as one row; channels become the last axis again, as TensorFlow would lay them out.
fn reshape(emitter: &mut Emitter, node: &Node) -> Result<Value, UnusableTfjs> {
    let x = emitter.operand(node, 0)?;
    let (Shape::Picture { channels, height, width }, [-1 | 1, _]) = (x.shape, emitter.ints(node, 1)?.as_slice()) else {
        return Err(unknown(node, "a reshape of anything but a picture into a row"));
    };
    let length = channels * height * width;
    // Of a single pixel the order of axes makes no difference.
    let x = match (height, width) {
        (1, 1) => x.name,
        _ => emitter.write("Transpose", &[&x.name], node, "channels_last", vec![ints("perm", &[0, 2, 3, 1])]),
    };
    let shape = emitter.keep_ints(node, "shape", &[-1, length as i64]);
    let name = emitter.write("Reshape", &[&x, &shape], node, "", Vec::new());
    Ok(Value { name, shape: Shape::Row(length) })
}
