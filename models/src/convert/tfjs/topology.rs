//! `model.json` of TensorFlow.js's graph-model format: nodes by name, and where each weight lies in the binary file.

use std::collections::{BTreeMap, HashMap};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::UnusableTfjs;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelJson {
    model_topology: Topology,
    pub weights_manifest: Vec<WeightGroup>,
    pub signature: Signature,
}

#[derive(Debug, Deserialize)]
struct Topology {
    node: Vec<Node>,
}

/// What goes in and out, by the names that programs know it by. Sorted, so that conversion is deterministic.
#[derive(Debug, Deserialize)]
pub struct Signature {
    pub inputs: BTreeMap<String, Port>,
    pub outputs: BTreeMap<String, Port>,
}

#[derive(Debug, Deserialize)]
pub struct Port {
    /// Of the node, with `:0` for its first output.
    pub name: String,
}

#[derive(Debug, Deserialize)]
pub struct WeightGroup {
    pub weights: Vec<WeightEntry>,
}

/// One tensor; the file holds them one after the other.
#[derive(Debug, Deserialize)]
pub struct WeightEntry {
    pub name: String,
    pub shape: Vec<usize>,
    pub dtype: String,
    pub quantization: Option<Quantisation>,
}

/// How it is stored: `float16`, or whole numbers q that stand for q × scale + min.
#[derive(Debug, Deserialize)]
pub struct Quantisation {
    pub dtype: String,
    pub scale: Option<f64>,
    pub min: Option<f64>,
}

/// One operation.
#[derive(Debug, Deserialize)]
pub struct Node {
    pub name: String,
    pub op: String,
    #[serde(default)]
    pub input: Vec<String>,
    #[serde(default)]
    attr: HashMap<String, Attribute>,
}

/// The kinds of attribute that conversion reads; numbers come as text, text in base 64.
#[derive(Debug, Default, Deserialize)]
struct Attribute {
    s: Option<String>,
    b: Option<bool>,
    list: Option<List>,
}

#[derive(Debug, Default, Deserialize)]
struct List {
    #[serde(default)]
    i: Vec<String>,
    #[serde(default)]
    s: Vec<String>,
}

impl ModelJson {
    pub fn parse(json: &[u8]) -> Result<Self, UnusableTfjs> {
        serde_json::from_slice(json).map_err(|e| UnusableTfjs::Json(e.to_string()))
    }

    /// The operations by name, without the constants: those stand among the weights.
    pub fn nodes(self) -> HashMap<String, Node> {
        let operations = self.model_topology.node.into_iter().filter(|n| n.op != "Const");
        operations.map(|node| (node.name.clone(), node)).collect()
    }
}

impl Node {
    /// The numbers of a list attribute; empty if it has none.
    pub fn ints(&self, name: &str) -> Vec<usize> {
        let list = self.attr.get(name).and_then(|a| a.list.as_ref());
        list.map_or(Vec::new(), |l| l.i.iter().filter_map(|text| text.parse().ok()).collect())
    }

    pub fn flag(&self, name: &str) -> bool {
        self.attr.get(name).and_then(|a| a.b).unwrap_or(false)
    }

    pub fn text(&self, name: &str) -> Option<String> {
        decoded(self.attr.get(name)?.s.as_ref()?)
    }

    /// The texts of a list attribute; empty if it has none.
    pub fn texts(&self, name: &str) -> Vec<String> {
        let list = self.attr.get(name).and_then(|a| a.list.as_ref());
        list.map_or(Vec::new(), |l| l.s.iter().filter_map(decoded).collect())
    }
}

fn decoded(text: &String) -> Option<String> {
    String::from_utf8(STANDARD.decode(text).ok()?).ok()
}
