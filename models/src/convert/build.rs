//! The few constructors that a converter needs to write an ONNX graph of its own.

use prost::Message;

use super::onnx::{Attribute, Dimension, FLOAT, Graph, INT64, Model, Node, Shape, Tensor, TensorType, Type, ValueInfo};

/// `AttributeProto.AttributeType`.
const INT: i32 = 2;
const INTS: i32 = 7;
/// `OperatorSetIdProto`: the default domain at version 17.
const OPSET_17: [u8; 2] = [0x10, 17];
/// The file format's version that goes with that operator set.
const IR_VERSION: i64 = 8;

/// An operation with one output.
pub fn node(op: &str, input: &[&str], output: &str, attribute: Vec<Attribute>) -> Node {
    Node {
        input: input.iter().map(ToString::to_string).collect(),
        output: vec![output.to_owned()],
        name: Some(output.to_owned()),
        op_type: Some(op.to_owned()),
        attribute,
        ..Node::default()
    }
}

pub fn int(name: &str, value: i64) -> Attribute {
    Attribute { name: Some(name.into()), i: Some(value), r#type: Some(INT), ..Attribute::default() }
}

pub fn ints(name: &str, values: &[i64]) -> Attribute {
    Attribute { name: Some(name.into()), ints: values.to_vec(), r#type: Some(INTS), ..Attribute::default() }
}

/// A constant list of whole numbers, as shapes and paddings are given.
pub fn int64s(name: &str, values: &[i64]) -> Tensor {
    Tensor {
        dims: vec![values.len() as i64],
        data_type: Some(INT64),
        name: Some(name.to_owned()),
        raw_data: Some(values.iter().flat_map(|v| v.to_le_bytes()).collect()),
        ..Tensor::default()
    }
}

/// A float32 input or output; a word in its shape is a size that the caller chooses.
pub fn value(name: &str, shape: &[String]) -> ValueInfo {
    let size = |text: &String| match text.parse() {
        Ok(value) => Dimension { value: Some(value), param: None },
        Err(_) => Dimension { value: None, param: Some(text.clone()) },
    };
    let shape = Some(Shape { dim: shape.iter().map(size).collect() });
    let r#type = Type { tensor: Some(TensorType { elem_type: Some(FLOAT), shape }) };
    ValueInfo { name: Some(name.to_owned()), r#type: Some(r#type.encode_to_vec()), doc_string: None }
}

/// A graph as a file.
pub fn model(graph: Graph) -> Model {
    Model {
        ir_version: Some(IR_VERSION),
        producer_name: Some("facegate".to_owned()),
        graph: Some(graph),
        opset_import: vec![OPSET_17.to_vec()],
        ..Model::default()
    }
}
