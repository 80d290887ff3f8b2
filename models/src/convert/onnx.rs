//! The parts of an ONNX file that conversion reads or writes, as protobuf messages.
//!
//! Field numbers are those of `onnx.proto`; parts that conversion only passes on are `bytes` (a sub-message and a
//! byte string look the same on the wire). `read` refuses a file that would not be written back byte for byte, so a
//! field missing here can never be dropped silently.

use prost::Message;

/// `TensorProto.DataType`.
pub const FLOAT: i32 = 1;
pub const UINT8: i32 = 2;
pub const INT8: i32 = 3;
pub const INT64: i32 = 7;

#[derive(Clone, PartialEq, Message)]
pub struct Model {
    #[prost(int64, optional, tag = "1")]
    pub ir_version: Option<i64>,
    #[prost(string, optional, tag = "2")]
    pub producer_name: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub producer_version: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub domain: Option<String>,
    #[prost(int64, optional, tag = "5")]
    pub model_version: Option<i64>,
    #[prost(string, optional, tag = "6")]
    pub doc_string: Option<String>,
    #[prost(message, optional, tag = "7")]
    pub graph: Option<Graph>,
    #[prost(bytes = "vec", repeated, tag = "8")]
    pub opset_import: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "14")]
    pub metadata_props: Vec<Vec<u8>>,
}

/// `OperatorSetIdProto`, an entry of `opset_import`.
#[derive(Clone, PartialEq, Message)]
pub struct OpsetId {
    #[prost(string, optional, tag = "1")]
    pub domain: Option<String>,
    #[prost(int64, optional, tag = "2")]
    pub version: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Graph {
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<Node>,
    #[prost(string, optional, tag = "2")]
    pub name: Option<String>,
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<Tensor>,
    #[prost(string, optional, tag = "10")]
    pub doc_string: Option<String>,
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfo>,
    #[prost(bytes = "vec", repeated, tag = "13")]
    pub value_info: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Node {
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    #[prost(string, optional, tag = "3")]
    pub name: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub op_type: Option<String>,
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<Attribute>,
    #[prost(string, optional, tag = "6")]
    pub doc_string: Option<String>,
    #[prost(string, optional, tag = "7")]
    pub domain: Option<String>,
}

impl Node {
    pub fn is(&self, op_type: &str) -> bool {
        self.op_type.as_deref() == Some(op_type)
    }

    pub fn int(&self, attribute: &str) -> Option<i64> {
        self.attribute.iter().find(|a| a.name.as_deref() == Some(attribute))?.i
    }
}

#[derive(Clone, PartialEq, Message)]
pub struct Attribute {
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    #[prost(float, optional, tag = "2")]
    pub f: Option<f32>,
    #[prost(int64, optional, tag = "3")]
    pub i: Option<i64>,
    #[prost(bytes = "vec", optional, tag = "4")]
    pub s: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "5")]
    pub t: Option<Vec<u8>>,
    #[prost(float, repeated, packed = "false", tag = "7")]
    pub floats: Vec<f32>,
    #[prost(int64, repeated, packed = "false", tag = "8")]
    pub ints: Vec<i64>,
    #[prost(bytes = "vec", repeated, tag = "9")]
    pub strings: Vec<Vec<u8>>,
    #[prost(int32, optional, tag = "20")]
    pub r#type: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Tensor {
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub dims: Vec<i64>,
    #[prost(int32, optional, tag = "2")]
    pub data_type: Option<i32>,
    #[prost(float, repeated, tag = "4")]
    pub float_data: Vec<f32>,
    #[prost(int32, repeated, tag = "5")]
    pub int32_data: Vec<i32>,
    #[prost(int64, repeated, tag = "7")]
    pub int64_data: Vec<i64>,
    #[prost(string, optional, tag = "8")]
    pub name: Option<String>,
    #[prost(bytes = "vec", optional, tag = "9")]
    pub raw_data: Option<Vec<u8>>,
}

impl Tensor {
    /// A float32 tensor, row-major.
    pub fn of_floats(name: &str, dims: Vec<i64>, values: &[f32]) -> Self {
        Self {
            dims,
            data_type: Some(FLOAT),
            name: Some(name.to_owned()),
            raw_data: Some(values.iter().flat_map(|v| v.to_le_bytes()).collect()),
            ..Self::default()
        }
    }

    pub fn floats(&self) -> Option<Vec<f32>> {
        let typed = || self.float_data.clone();
        self.values(FLOAT, typed, |b: [u8; 4]| f32::from_le_bytes(b))
    }

    pub fn int8s(&self) -> Option<Vec<i8>> {
        let typed = || self.int32_data.iter().filter_map(|v| i8::try_from(*v).ok()).collect();
        self.values(INT8, typed, |b: [u8; 1]| i8::from_le_bytes(b))
    }

    pub fn int64s(&self) -> Option<Vec<i64>> {
        self.values(INT64, || self.int64_data.clone(), |b: [u8; 8]| i64::from_le_bytes(b))
    }

    /// The values, wherever the file keeps them; none if they are of another type or number than the tensor claims.
    fn values<T, const N: usize>(
        &self,
        data_type: i32,
        typed: impl Fn() -> Vec<T>,
        raw: impl Fn([u8; N]) -> T,
    ) -> Option<Vec<T>> {
        if self.data_type != Some(data_type) {
            return None;
        }
        let values = match &self.raw_data {
            Some(bytes) => bytes.as_chunks::<N>().0.iter().map(|chunk| raw(*chunk)).collect(),
            None => typed(),
        };
        let count = self.dims.iter().try_fold(1_usize, |n, d| n.checked_mul(usize::try_from(*d).ok()?))?;
        (values.len() == count).then_some(values)
    }
}

#[derive(Clone, PartialEq, Message)]
pub struct ValueInfo {
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// A `Type` for values that conversion rewrites.
    #[prost(bytes = "vec", optional, tag = "2")]
    pub r#type: Option<Vec<u8>>,
    #[prost(string, optional, tag = "3")]
    pub doc_string: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Type {
    #[prost(message, optional, tag = "1")]
    pub tensor: Option<TensorType>,
}

#[derive(Clone, PartialEq, Message)]
pub struct TensorType {
    #[prost(int32, optional, tag = "1")]
    pub elem_type: Option<i32>,
    #[prost(message, optional, tag = "2")]
    pub shape: Option<Shape>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Shape {
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<Dimension>,
}

/// One of the two: a size, or the name of a size that the caller chooses.
#[derive(Clone, PartialEq, Message)]
pub struct Dimension {
    #[prost(int64, optional, tag = "1")]
    pub value: Option<i64>,
    #[prost(string, optional, tag = "2")]
    pub param: Option<String>,
}

/// Why a file cannot be read as a model.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum UnreadableOnnx {
    #[error("it is not an ONNX file, or it is cut off: {0}")]
    Malformed(String),
    #[error("it holds parts of ONNX that the converter does not know and would lose")]
    UnknownParts,
}

/// The number of dimensions that the graph declares for a value; 0 if it declares none.
pub fn rank(value: &ValueInfo) -> Result<usize, UnreadableOnnx> {
    let bytes = value.r#type.as_deref().unwrap_or_default();
    let declared = Type::decode(bytes).map_err(|e| UnreadableOnnx::Malformed(e.to_string()))?;
    Ok(declared.tensor.and_then(|t| t.shape).map_or(0, |shape| shape.dim.len()))
}

/// Reads a model, refusing what could not be written back unharmed.
pub fn read(bytes: &[u8]) -> Result<Model, UnreadableOnnx> {
    let model = Model::decode(bytes).map_err(|e| UnreadableOnnx::Malformed(e.to_string()))?;
    if model.encode_to_vec() == bytes { Ok(model) } else { Err(UnreadableOnnx::UnknownParts) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_with_a_field_we_do_not_know_is_refused_instead_of_harmed() {
        let mut bytes =
            Model { ir_version: Some(6), graph: Some(Graph::default()), ..Model::default() }.encode_to_vec();
        assert!(read(&bytes).is_ok());
        bytes.extend([0xa2, 0x01, 0x00]); // field 20 (training_info), empty
        assert_eq!(read(&bytes), Err(UnreadableOnnx::UnknownParts));
        assert!(matches!(read(b"\x3a\xff not a model"), Err(UnreadableOnnx::Malformed(_))));
    }

    #[test]
    fn a_tensor_with_fewer_values_than_its_shape_has_no_values() {
        let mut tensor = Tensor::of_floats("w", vec![2, 2], &[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(tensor.floats(), Some(vec![1.0, 2.0, 3.0, 4.0]));
        assert_eq!(tensor.int8s(), None);
        tensor.dims = vec![2, 3];
        assert_eq!(tensor.floats(), None);
    }
}
