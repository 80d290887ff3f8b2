use super::*;
use crate::manifest::{Manifest, Role};

/// A model of one convolution with bias and PReLU over a 4×4 picture, its 2×2 mean pooled to a row.
const JSON: &str = r#"{
  "format": "graph-model",
  "signature": {
    "inputs": { "picture": { "name": "x:0" } },
    "outputs": { "row": { "name": "flat:0" }, "other": { "name": "unused" } }
  },
  "modelTopology": { "node": [
    { "name": "flat", "op": "Reshape", "input": ["conv", "shape"] },
    { "name": "x", "op": "Placeholder" },
    { "name": "kernel", "op": "Const" },
    { "name": "conv", "op": "_FusedConv2D", "input": ["x", "kernel", "bias", "slope"], "attr": {
      "strides": { "list": { "i": ["1", "2", "2", "1"] } }, "padding": { "s": "U0FNRQ==" },
      "fused_ops": { "list": { "s": ["Qmlhc0FkZA==", "UHJlbHU="] } } } },
    { "name": "unused", "op": "Conjure", "input": ["x"] },
    { "name": "loop", "op": "Relu", "input": ["loop"] }
  ] },
  "weightsManifest": [ { "paths": ["w.bin"], "weights": [
    { "name": "kernel", "shape": [1, 1, 3, 2], "dtype": "float32" },
    { "name": "bias", "shape": [2], "dtype": "float32" },
    { "name": "slope", "shape": [2], "dtype": "float32" },
    { "name": "shape", "shape": [2], "dtype": "int32" }
  ] } ]
}"#;

fn binary() -> Vec<u8> {
    let floats = [1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0, 0.5, -0.5, 0.25, 0.75];
    let mut bytes: Vec<u8> = floats.iter().flat_map(|v| v.to_le_bytes()).collect();
    bytes.extend([-1_i32, 8].iter().flat_map(|v| v.to_le_bytes()));
    bytes
}

fn described(output: &str) -> manifest::Model {
    let mut model = Manifest::built_in().model(Role::Mesh).unwrap().clone();
    model.input.name = "picture".into();
    model.input.shape = ["1", "3", "4", "4"].map(String::from).to_vec();
    model.output.names = vec![output.to_owned()];
    model
}

#[test]
fn filters_are_turned_channels_first_and_only_what_the_output_needs_is_written() {
    let model = convert(JSON.as_bytes(), &binary(), &described("row")).unwrap();
    let graph = model.graph.unwrap();
    let ops: Vec<&str> = graph.node.iter().filter_map(|n| n.op_type.as_deref()).collect();
    assert_eq!(ops, ["Conv", "Add", "Relu", "Conv", "Conv", "Add", "Transpose", "Reshape", "Identity"]);
    let filter = graph.initializer.iter().find(|t| t.name.as_deref() == Some("conv/filter")).unwrap();
    assert_eq!(
        (filter.dims.as_slice(), filter.floats()),
        (&[2, 3, 1, 1][..], Some(vec![1.0, 3.0, 5.0, 2.0, 4.0, 6.0]))
    );
    assert_eq!(graph.input[0].name.as_deref(), Some("picture"));
    assert_eq!(graph.output[0].name.as_deref(), Some("row"));
}

#[test]
fn conversion_is_deterministic() {
    let once = || convert(JSON.as_bytes(), &binary(), &described("row")).unwrap();
    assert_eq!(once(), once());
}

#[test]
fn what_the_converter_does_not_know_is_refused_by_name() {
    let refused = |json: &str, output: &str| convert(json.as_bytes(), &binary(), &described(output)).unwrap_err();
    assert_eq!(
        refused(JSON, "other"),
        UnusableTfjs::Unknown { node: "unused".into(), what: "operation Conjure".into() }
    );
    assert_eq!(refused(JSON, "column"), UnusableTfjs::NoPort { kind: "output", name: "column".into() });
    let looped = JSON.replace("\"flat:0\"", "\"loop\"");
    assert!(matches!(refused(&looped, "row"), UnusableTfjs::NoInput { .. }));
    let dilated = JSON
        .replace("\"padding\"", "\"dilations\": { \"list\": { \"i\": [\"1\", \"2\", \"2\", \"1\"] } }, \"padding\"");
    assert!(matches!(refused(&dilated, "row"), UnusableTfjs::Unknown { node, .. } if node == "conv"));
    assert!(matches!(refused("{}", "row"), UnusableTfjs::Json(_)));
}
