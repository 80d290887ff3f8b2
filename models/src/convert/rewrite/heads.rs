//! Heads of a detector that read the same map, made one.
//!
//! YuNet has four heads a level, for the class, the box, the objectness and the landmarks: each a 1×1 convolution to 1,
//! 4, 1 and 10 channels, and a 3×3 one of each channel by itself. ONNX Runtime computes channels in blocks of sixteen,
//! so each head costs as much as sixteen channels; together they have sixteen. Measured 2026-11 on version 1.24, one
//! thread, 640×384, together with the older opset: −10 to −15 % of the whole network.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::super::build::{int, int64s, node};
use super::super::onnx::{Attribute, Graph, Node, Tensor};
use super::index::Index;

/// The places of a head's two convolutions, and how many channels it has.
struct Head {
    narrow: usize,
    own: usize,
    channels: usize,
}

/// Merges all heads of each map; false if there are not two that can be.
pub fn merge_heads(graph: &mut Graph) -> bool {
    let levels = levels(graph);
    let mut merged: HashMap<usize, Vec<Node>> = HashMap::new();
    let mut replaced: HashSet<usize> = HashSet::new();
    let mut constants = Vec::new();
    for heads in &levels {
        let (nodes, tensors) = merge(graph, heads);
        merged.insert(heads[0].narrow, nodes);
        replaced.extend(heads.iter().flat_map(|head| [head.narrow, head.own]));
        constants.extend(tensors);
    }
    let nodes = std::mem::take(&mut graph.node);
    for (place, node) in nodes.into_iter().enumerate() {
        graph.node.extend(merged.remove(&place).unwrap_or_default());
        if !replaced.contains(&place) {
            graph.node.push(node);
        }
    }
    graph.initializer.extend(constants);
    !levels.is_empty()
}

/// The heads that can be merged, by the map that they read, in the order of the graph.
fn levels(graph: &Graph) -> Vec<Vec<Head>> {
    let index = Index::of(graph);
    let head = |narrow: usize| {
        let node = &graph.node[narrow];
        let own = index.only_reader(node.output.first()?)?;
        let channels = pointwise_channels(node, &index)?;
        keeps_apart(&graph.node[own], channels, &index).then_some(Head { narrow, own, channels })
    };
    let mut levels: BTreeMap<&str, Vec<Head>> = BTreeMap::new();
    for head in (0..graph.node.len()).filter_map(head) {
        let level = levels.entry(&graph.node[head.narrow].input[0]).or_default();
        // Those that differ from the first in kernel, padding or stride stay as they are.
        let like = |a: usize, b: usize| without_group(&graph.node[a]) == without_group(&graph.node[b]);
        if level.first().is_none_or(|first| like(first.narrow, head.narrow) && like(first.own, head.own)) {
            level.push(head);
        }
    }
    levels.into_values().filter(|heads| heads.len() > 1).collect()
}

/// How many channels a 1×1 convolution with a bias makes of all that it reads.
fn pointwise_channels(node: &Node, index: &Index) -> Option<usize> {
    let (weights, _) = weights_and_bias(node, index)?;
    let whole = node.is("Conv") && node.int("group").unwrap_or(1) == 1;
    match weights.dims[..] {
        [channels, _, 1, 1] if whole => usize::try_from(channels).ok(),
        _ => None,
    }
}

/// Whether a convolution with a bias makes each of so many channels of itself alone.
fn keeps_apart(node: &Node, channels: usize, index: &Index) -> bool {
    let Some((weights, _)) = weights_and_bias(node, index) else { return false };
    let channels = channels as i64;
    node.is("Conv")
        && node.int("group").unwrap_or(1) == channels
        && matches!(weights.dims[..], [outputs, 1, _, _] if outputs == channels)
}

fn weights_and_bias<'g>(node: &Node, index: &Index<'g>) -> Option<(&'g Tensor, &'g Tensor)> {
    let [_, weights, bias] = &node.input[..] else { return None };
    let constant = |name: &String| index.constants.get(name.as_str()).copied().filter(|t| t.floats().is_some());
    Some((constant(weights)?, constant(bias)?))
}

fn without_group(node: &Node) -> Vec<&Attribute> {
    node.attribute.iter().filter(|a| a.name.as_deref() != Some("group")).collect()
}

/// The two convolutions that do the work of all heads, and the split into what each gave, with their constants.
fn merge(graph: &Graph, heads: &[Head]) -> (Vec<Node>, Vec<Tensor>) {
    let (first, own) = (&graph.node[heads[0].narrow], &graph.node[heads[0].own]);
    let map = first.input[0].as_str();
    let name = |part: &str| format!("{map}_heads_{part}");
    let joined = |part: &str, input: usize, place: fn(&Head) -> usize| {
        let named = |name: &String| graph.initializer.iter().find(|t| t.name.as_ref() == Some(name));
        let parts: Vec<&Tensor> =
            heads.iter().filter_map(|head| named(&graph.node[place(head)].input[input])).collect();
        let values: Vec<f32> = parts.iter().filter_map(|t| t.floats()).flatten().collect();
        let mut dims = parts[0].dims.clone();
        dims[0] = parts.iter().map(|t| t.dims[0]).sum();
        Tensor::of_floats(&name(part), dims, &values)
    };
    let (narrow, keep) = (|head: &Head| head.narrow, |head: &Head| head.own);
    let sizes: Vec<i64> = heads.iter().map(|head| head.channels as i64).collect();
    let tensors = vec![
        joined("narrow_weights", 1, narrow),
        joined("narrow_bias", 2, narrow),
        joined("own_weights", 1, keep),
        joined("own_bias", 2, keep),
        int64s(&name("sizes"), &sizes),
    ];
    let [w1, b1, w2, b2, split] = ["narrow_weights", "narrow_bias", "own_weights", "own_bias", "sizes"].map(name);
    let attributes = |node: &Node| without_group(node).into_iter().cloned().collect::<Vec<_>>();
    let mut apart = attributes(own);
    apart.push(int("group", sizes.iter().sum()));
    let [narrowed, kept] = ["narrow", "own"].map(name);
    let outputs = heads.iter().map(|head| graph.node[head.own].output[0].clone()).collect();
    let parts = Node { output: outputs, ..node("Split", &[&kept, &split], &kept, vec![int("axis", 1)]) };
    let nodes = vec![
        node("Conv", &[map, &w1, &b1], &narrowed, attributes(first)),
        node("Conv", &[&narrowed, &w2, &b2], &kept, apart),
        Node { name: Some(name("split")), ..parts },
    ];
    (nodes, tensors)
}
