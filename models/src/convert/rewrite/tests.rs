//! Small graphs computed by hand before and after.

use super::super::onnx::{Attribute, Tensor, ValueInfo};
use super::*;

/// Runs a graph of 1×1 convolutions, batch normalisations, PReLU, ReLU, Add and Split on one pixel; all its outputs.
fn run(graph: &Graph, input: &[f64]) -> Vec<f64> {
    let mut values: HashMap<String, Vec<f64>> = HashMap::from([("x".to_owned(), input.to_vec())]);
    for t in &graph.initializer {
        let whole = || t.int64s().map(|v| v.into_iter().map(|v| v as f64).collect());
        values.insert(t.name.clone().unwrap(), chain::values(t).or_else(whole).unwrap());
    }
    for node in &graph.node {
        let get = |i: usize| &values[&node.input[i]];
        let result: Vec<f64> = match node.op_type.as_deref().unwrap() {
            "Conv" => {
                let (x, w) = (get(0), get(1));
                let outputs =
                    graph.initializer.iter().find(|t| t.name.as_ref() == Some(&node.input[1])).unwrap().dims[0];
                let inputs = w.len() / outputs as usize;
                let grouped = node.int("group").unwrap_or(1) > 1;
                let bias = node.input.get(2).map(|name| values[name].clone());
                let one = |o: usize| {
                    let x = if grouped { &x[o..=o] } else { &x[..] };
                    let sum: f64 = x.iter().zip(&w[o * inputs..(o + 1) * inputs]).map(|(x, w)| x * w).sum();
                    sum + bias.as_ref().map_or(0.0, |b| b[o])
                };
                (0..outputs as usize).map(one).collect()
            }
            "BatchNormalization" => {
                let (x, g, b, m, v) = (get(0), get(1), get(2), get(3), get(4));
                (0..x.len()).map(|i| (x[i] - m[i]) / (v[i] + 1e-5).sqrt() * g[i] + b[i]).collect()
            }
            "PRelu" => get(0).iter().zip(get(1)).map(|(x, a)| if *x < 0.0 { a * x } else { *x }).collect(),
            "Relu" => get(0).iter().map(|x| x.max(0.0)).collect(),
            "Add" => get(0).iter().zip(get(1)).map(|(a, b)| a + b).collect(),
            "Split" => get(0).clone(),
            other => panic!("{other}"),
        };
        let sizes = if node.is("Split") { get(1).clone() } else { vec![result.len() as f64] };
        let mut rest = &result[..];
        for (name, size) in node.output.iter().zip(sizes) {
            let part;
            (part, rest) = rest.split_at(size as usize);
            values.insert(name.clone(), part.to_vec());
        }
    }
    graph.output.iter().flat_map(|output| values[output.name.as_ref().unwrap()].clone()).collect()
}

fn node(op: &str, input: &[&str], output: &str, group: i64) -> Node {
    let group = Attribute { name: Some("group".into()), i: Some(group), r#type: Some(2), ..Attribute::default() };
    Node {
        op_type: Some(op.into()),
        input: input.iter().map(ToString::to_string).collect(),
        output: vec![output.into()],
        attribute: if op == "Conv" { vec![group] } else { Vec::new() },
        ..Node::default()
    }
}

fn graph(nodes: Vec<Node>, constants: Vec<Tensor>, output: &str) -> Graph {
    let output = ValueInfo { name: Some(output.into()), ..ValueInfo::default() };
    Graph { node: nodes, initializer: constants, output: vec![output], ..Graph::default() }
}

fn floats(name: &str, dims: &[i64], values: &[f32]) -> Tensor {
    Tensor::of_floats(name, dims.to_vec(), values)
}

/// Two chains one behind the other, the first with slopes below 0, between, and above 1.
fn two_chains(second: &str, group: i64) -> Graph {
    let inputs = if group == 1 { 3 } else { 1 };
    let weights: Vec<f32> = (0..3 * inputs).map(|i| 0.3 * i as f32 - 0.7).collect();
    graph(
        vec![
            node("Conv", &["x", "w1"], "c1", 1),
            node("BatchNormalization", &["c1", "g", "b", "m", "v"], "n1", 1),
            node("PRelu", &["n1", "a1"], "y1", 1),
            node("Conv", &["y1", "w2", "b2"], "c2", group),
            node(second, &["c2", "a2"], "y2", 1),
        ],
        vec![
            floats("w1", &[3, 2, 1, 1], &[1.0, -0.5, 0.25, 2.0, -1.0, 0.75]),
            floats("g", &[3], &[1.0, 2.0, 0.5]),
            floats("b", &[3], &[0.1, -0.2, 0.3]),
            floats("m", &[3], &[0.0, 0.5, -0.5]),
            floats("v", &[3], &[1.0, 4.0, 0.25]),
            floats("a1", &[3, 1, 1], &[-0.3, 0.4, 1.2]),
            floats("w2", &[3, inputs, 1, 1], &weights),
            floats("b2", &[3], &[0.05, 0.0, -0.05]),
            floats("a2", &[3, 1, 1], &[0.2, 0.9, 0.0]),
        ],
        "y2",
    )
}

fn same_results(before: &Graph, after: &Graph) {
    for x in [[1.0, 2.0], [-3.0, 0.5], [0.2, -4.0], [-1.0, -1.0]] {
        for (a, b) in run(before, &x).into_iter().zip(run(after, &x)) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }
}

#[test]
fn chains_are_split_and_give_the_same_whatever_the_slopes() {
    for group in [1, 3] {
        let before = two_chains("PRelu", group);
        let mut after = before.clone();
        assert!(split_prelu(&mut after));
        assert!(after.node.iter().all(|n| ["Conv", "Relu", "Add"].contains(&n.op_type.as_deref().unwrap())));
        same_results(&before, &after);
    }
}

#[test]
fn a_wide_convolution_is_run_once_and_bent_afterwards() {
    let weights: Vec<f32> = (0..2 * 40).map(|i| (i as f32 * 0.7).sin()).collect();
    let inputs: Vec<f64> = (0..40).map(|i| f64::from(i).cos()).collect();
    let constants = vec![floats("w", &[2, 40, 1, 1], &weights), floats("a", &[2, 1, 1], &[0.25, -0.5])];
    let before = graph(vec![node("Conv", &["x", "w"], "c", 1), node("PRelu", &["c", "a"], "y", 1)], constants, "y");
    let mut after = before.clone();
    assert!(split_prelu(&mut after));
    assert_eq!(after.node.iter().filter(|n| n.is("Conv")).count(), 3);
    for (a, b) in run(&before, &inputs).into_iter().zip(run(&after, &inputs)) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
}

#[test]
fn a_convolution_without_prelu_turns_its_weights_over_for_turned_channels() {
    let mut before = two_chains("PRelu", 1);
    before.node.pop();
    before.output[0].name = Some("c2".into());
    let mut after = before.clone();
    assert!(split_prelu(&mut after));
    same_results(&before, &after);
}

#[test]
fn what_cannot_be_split_exactly_stays() {
    // The turned channel would leave the graph.
    let mut steep = two_chains("PRelu", 1);
    steep.output[0].name = Some("y1".into());
    steep.node.truncate(3);
    let before = steep.clone();
    assert!(!split_prelu(&mut steep));
    assert_eq!(steep, before);
    // Somebody else reads what lies before the PReLU.
    let mut shared = two_chains("PRelu", 1);
    shared.node.push(node("Add", &["c2", "y2"], "z", 1));
    shared.output[0].name = Some("z".into());
    split_prelu(&mut shared);
    assert_eq!(shared.node.iter().filter(|n| n.is("PRelu")).count(), 1);
}

/// Three heads on one map, of 1, 2 and 1 channels; the third has another stride.
fn three_heads() -> Graph {
    let mut nodes = vec![node("Relu", &["x"], "map", 1)];
    let mut constants = Vec::new();
    let mut names = Vec::new();
    for (i, channels) in [1_i64, 2, 1].into_iter().enumerate() {
        let name = |part: &str| format!("{part}{i}");
        let values = |count: i64, seed: f32| (0..count).map(|v| (v as f32 + seed).sin()).collect::<Vec<_>>();
        let seed = i as f32;
        constants.push(floats(&name("w"), &[channels, 2, 1, 1], &values(2 * channels, seed)));
        constants.push(floats(&name("b"), &[channels], &values(channels, seed + 0.3)));
        constants.push(floats(&name("v"), &[channels, 1, 1, 1], &values(channels, seed + 0.6)));
        constants.push(floats(&name("c"), &[channels], &values(channels, seed + 0.9)));
        nodes.push(node("Conv", &["map", &name("w"), &name("b")], &name("n"), 1));
        let mut own = node("Conv", &[&name("n"), &name("v"), &name("c")], &name("y"), channels);
        if i == 2 {
            own.attribute.push(super::super::build::ints("strides", &[2, 2]));
        }
        nodes.push(own);
        names.push(name("y"));
    }
    let mut graph = graph(nodes, constants, "none");
    graph.output = names.into_iter().map(|y| ValueInfo { name: Some(y), ..ValueInfo::default() }).collect();
    graph
}

#[test]
fn heads_that_read_one_map_are_merged_and_give_the_same_but_not_one_of_another_stride() {
    let before = three_heads();
    let mut after = before.clone();
    assert!(merge_heads(&mut after));
    let count = |graph: &Graph, op| graph.node.iter().filter(|n| n.is(op)).count();
    assert_eq!((count(&before, "Conv"), count(&after, "Conv"), count(&after, "Split")), (6, 4, 1));
    same_results(&before, &after);
    assert!(!merge_heads(&mut after));
}

#[test]
fn a_head_that_somebody_else_looks_into_stays() {
    let mut graph = three_heads();
    graph.output.push(ValueInfo { name: Some("n1".into()), ..ValueInfo::default() });
    let before = graph.clone();
    assert!(!merge_heads(&mut graph));
    assert_eq!(graph, before);
}

#[test]
fn the_opset_is_lowered_only_if_every_operator_means_the_same() {
    let import = |version| OpsetId { domain: None, version: Some(version) }.encode_to_vec();
    let plain = two_chains("PRelu", 1);
    let mut imports = vec![import(21)];
    assert!(lower_opset(&plain, &mut imports));
    assert_eq!(imports, [import(OPSET)]);
    assert!(!lower_opset(&plain, &mut [import(11)]));
    assert!(!lower_opset(&two_chains("Gelu", 1), &mut [import(21)]));
}

#[test]
fn bytes_that_are_no_model_come_back_as_they_are() {
    assert_eq!(for_plain_cpu(b"\x3a\xff not a model"), &b"\x3a\xff not a model"[..]);
}
