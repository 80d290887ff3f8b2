//! The graph's shape, on weights made up here; the real weights are checked against a reference in tests/real.

use super::*;

fn weights(parts: &[(&str, &[usize])]) -> HashMap<String, Weights> {
    let filled = |dims: &[usize]| Weights { dims: dims.to_vec(), values: vec![0.5; dims.iter().product()] };
    parts.iter().map(|(name, dims)| ((*name).to_owned(), filled(dims))).collect()
}

#[test]
fn normalisation_is_folded_into_the_weights_before_it() {
    let mut given = weights(&[("c.conv.weight", &[1, 2, 1, 1])]);
    for (part, value) in [("weight", 3.0), ("bias", 0.25), ("running_mean", 2.0), ("running_var", 9.0)] {
        given.insert(format!("c.bn.{part}"), Weights { dims: vec![1], values: vec![value] });
    }
    let mut net = Builder::new(given);
    net.normalised("x", "c", Layer { stride: 2, pad: 1 }).unwrap();
    let (nodes, initialisers) = net.into_parts();
    // 3·(0.5·x − 2)/√9.00001 + 0.25.
    let close = |got: &[f32], want: f32| got.iter().all(|v| (v - want).abs() < 1e-5);
    assert!(close(&initialisers[0].floats().unwrap(), 0.5) && close(&initialisers[1].floats().unwrap(), -1.75));
    assert_eq!((nodes.len(), nodes[0].int("group")), (1, Some(1)));
}

#[test]
fn the_middle_of_a_bottleneck_is_filled_up_with_channels_that_stay_zero() {
    let mut given = HashMap::new();
    for (layer, dims) in [("conv", [3, 2, 1, 1]), ("conv_dw", [3, 1, 3, 3]), ("project", [2, 3, 1, 1])] {
        let (weight, prelu) = (format!("b.{layer}.conv.weight"), format!("b.{layer}.prelu.weight"));
        given.extend(weights(&[(&weight, &dims), (&prelu, &[3])]));
        let norms = ["weight", "bias", "running_mean", "running_var"].map(|part| format!("b.{layer}.bn.{part}"));
        given.extend(weights(&norms.each_ref().map(|name| (name.as_str(), &dims[..1]))));
    }
    let mut net = Builder::new(given);
    net.bottleneck("x", "b", 1).unwrap();
    let (nodes, initialisers) = net.into_parts();
    let of = |name: &str| initialisers.iter().find(|t| t.name.as_deref() == Some(name)).unwrap();
    assert_eq!(of("b.conv.conv.w").dims, [16, 2, 1, 1]);
    assert_eq!(of("b.project.conv.w").dims, [2, 16, 1, 1]);
    assert_eq!(nodes.iter().find(|n| n.input[1] == "b.conv_dw.conv.w").unwrap().int("group"), Some(16));
    let project = of("b.project.conv.w").floats().unwrap();
    for output in project.chunks(16) {
        assert!(output[..3].iter().all(|w| *w != 0.0) && output[3..].iter().all(|w| *w == 0.0));
    }
    for name in ["b.conv.conv.w", "b.conv.conv.b", "b.conv_dw.conv.w", "b.conv_dw.conv.b", "b.conv.slope"] {
        let values = of(name).floats().unwrap();
        let real = values.len() / 16 * 3;
        assert!(values[..real].iter().any(|v| *v != 0.0) && values[real..].iter().all(|v| *v == 0.0), "{name}");
    }
}

#[test]
fn what_is_missing_or_of_another_shape_is_named() {
    let missing = Builder::new(weights(&[])).activated("x", "conv1", Layer { stride: 2, pad: 1 });
    assert_eq!(missing, Err(NotMiniFasNet::Missing("conv1.conv.weight".into())));
    let flat =
        Builder::new(weights(&[("conv1.conv.weight", &[8, 3])])).normalised("x", "conv1", Layer { stride: 1, pad: 1 });
    assert_eq!(flat, Err(NotMiniFasNet::Shape("conv1.conv.weight".into())));
    assert_eq!(build(b"").unwrap_err(), NotMiniFasNet::Unreadable(UnreadableCheckpoint::CutOff));
}
