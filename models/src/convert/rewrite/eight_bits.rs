//! Weights of fully connected layers, back in the eight bits that they were published in.
//!
//! The last layer of SFace takes 50,176 values to 128. Its weights, 12.8 MB in bfloat16, are read from memory for every
//! face, a quarter of the network's time. They came as whole numbers of 8 bits with a step per block of 64, and in
//! float32 they still lie on those grids, so they are put back without loss; OpenVINO multiplies by them as they are.
//! Measured 2026-11 on version 2025.4: that layer 1.0 instead of 1.8 ms.

use super::super::build::{int, int64s, ints, node};
use super::super::onnx::{FLOAT, Graph, Node, Tensor, UINT8};
use super::index::Index;

/// Weights that share a step and a zero.
const BLOCK: usize = 64;
/// How far a weight may lie off its block's grid, in steps: rounding to float32 takes it less far.
const OFF_GRID_MAX: f64 = 0.02;

/// A layer's weights in whole numbers: (number − zero) · step.
struct Grids {
    numbers: Vec<u8>,
    /// One of each a block.
    zeros: Vec<f32>,
    steps: Vec<f32>,
}

/// Rewrites every fully connected layer whose weights lie on grids; false if there is none.
pub fn weights_to_eight_bits(graph: &mut Graph) -> bool {
    let mut found = false;
    let mut place = 0;
    while place < graph.node.len() {
        if let Some(layer) = Layer::at(graph, place) {
            found = true;
            let (nodes, tensors) = layer.written();
            graph.initializer.extend(tensors);
            // The normalisation stands behind the layer, so its place is still right.
            layer.norm.into_iter().for_each(|norm| drop(graph.node.remove(norm)));
            let count = nodes.len();
            graph.node.splice(place..=place, nodes);
            place += count;
        } else {
            place += 1;
        }
    }
    found
}

/// A fully connected layer, with the normalisation behind it folded in.
struct Layer {
    input: String,
    output: String,
    /// Rows and columns of the weights.
    dims: [usize; 2],
    grids: Grids,
    bias: Vec<f32>,
    norm: Option<usize>,
}

impl Layer {
    fn at(graph: &Graph, place: usize) -> Option<Self> {
        let gemm = Some(&graph.node[place]).filter(|node| node.is("Gemm"))?;
        let index = Index::of(graph);
        let one = |name: &str| {
            gemm.attribute.iter().filter(|a| a.name.as_deref() == Some(name)).all(|a| a.f.is_none_or(|f| f == 1.0))
        };
        let plain =
            gemm.int("transB") == Some(1) && gemm.int("transA").unwrap_or(0) == 0 && one("alpha") && one("beta");
        let ([input, weights, rest @ ..], true) = (&gemm.input[..], plain) else { return None };
        let tensor = index.constants.get(weights.as_str())?;
        let [rows, columns] = tensor.dims[..] else { return None };
        let dims = [usize::try_from(rows).ok()?, usize::try_from(columns).ok()?];
        if index.readers.get(weights.as_str())?.len() != 1 || dims[1] == 0 || !dims[1].is_multiple_of(BLOCK) {
            return None;
        }
        let mut grids = Grids::of(&tensor.floats()?)?;
        let mut bias = match rest {
            [] => vec![0.0; dims[0]],
            [bias] => index.values(bias).filter(|bias| bias.len() == dims[0])?,
            _ => return None,
        };
        let mut output = gemm.output.first()?.clone();
        let behind = |place: &usize| graph.node[*place].is("BatchNormalization");
        let norm = index.only_reader(&output).filter(behind);
        if let Some(norm) = norm {
            let (scale, shift) = index.norm(&graph.node[norm])?;
            if scale.len() != dims[0] || shift.len() != dims[0] {
                return None;
            }
            let steps = grids.steps.chunks_mut(dims[1] / BLOCK).zip(&scale);
            steps.for_each(|(row, scale)| row.iter_mut().for_each(|step| *step = (f64::from(*step) * scale) as f32));
            bias.iter_mut().zip(scale.iter().zip(&shift)).for_each(|(b, (scale, shift))| *b = *b * scale + shift);
            output.clone_from(graph.node[norm].output.first()?);
        }
        let bias = bias.into_iter().map(|b| b as f32).collect();
        Some(Self { input: input.clone(), output, dims, grids, bias, norm })
    }

    /// The pattern in which OpenVINO knows compressed weights: to float, less zero, times step, in rows, turned.
    fn written(&self) -> (Vec<Node>, Vec<Tensor>) {
        let name = |part: &str| format!("{}_{part}", self.output);
        let [rows, columns] = self.dims.map(|d| d as i64);
        let blocks = columns / BLOCK as i64;
        let numbers = Tensor {
            dims: vec![rows, blocks, BLOCK as i64],
            data_type: Some(UINT8),
            name: Some(name("numbers")),
            raw_data: Some(self.grids.numbers.clone()),
            ..Tensor::default()
        };
        let per_block = |part, values: &[f32]| Tensor::of_floats(&name(part), vec![rows, blocks, 1], values);
        let tensors = vec![
            numbers,
            per_block("zeros", &self.grids.zeros),
            per_block("steps", &self.grids.steps),
            int64s(&name("rows"), &[rows, columns]),
            Tensor::of_floats(&name("bias"), vec![rows], &self.bias),
        ];
        let step = |op: &str, inputs: [&str; 2], output: &str| {
            node(op, &inputs.map(name).each_ref().map(String::as_str), &name(output), Vec::new())
        };
        let nodes = vec![
            node("Cast", &[&name("numbers")], &name("whole"), vec![int("to", i64::from(FLOAT))]),
            step("Sub", ["whole", "zeros"], "centred"),
            step("Mul", ["centred", "steps"], "scaled"),
            step("Reshape", ["scaled", "rows"], "weights"),
            node("Transpose", &[&name("weights")], &name("turned"), vec![ints("perm", &[1, 0])]),
            node("MatMul", &[&self.input, &name("turned")], &name("product"), Vec::new()),
            node("Add", &[&name("product"), &name("bias")], &self.output, Vec::new()),
        ];
        (nodes, tensors)
    }
}

impl Grids {
    /// None if any block's weights do not lie on a grid of at most 256 places that has a zero.
    fn of(weights: &[f32]) -> Option<Self> {
        let mut grids = Self { numbers: Vec::with_capacity(weights.len()), zeros: Vec::new(), steps: Vec::new() };
        for block in weights.chunks(BLOCK) {
            grids.add(block)?;
        }
        Some(grids)
    }

    fn add(&mut self, block: &[f32]) -> Option<()> {
        let mut sorted: Vec<f64> = block.iter().map(|w| f64::from(*w)).collect();
        sorted.sort_by(f64::total_cmp);
        // Zero has a place of its own.
        let (least, most) = (sorted.first()?.min(0.0), sorted.last()?.max(0.0));
        let gaps = sorted.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| *gap > 0.0);
        let gap = gaps.min_by(f64::total_cmp).unwrap_or(most - least);
        // The range is many steps long, so it tells the step more exactly than the gap does.
        let places = if gap > 0.0 { ((most - least) / gap).round() } else { 0.0 };
        let step = if places > 0.0 { (most - least) / places } else { 1.0 };
        let zero = (-least / step).round();
        if !(step.is_finite() && (0.0..=255.0).contains(&places)) {
            return None;
        }
        for weight in block {
            let number = f64::from(*weight) / step + zero;
            let whole = number.round();
            if !((number - whole).abs() <= OFF_GRID_MAX && (0.0..=255.0).contains(&whole)) {
                return None;
            }
            self.numbers.push(whole as u8);
        }
        self.zeros.push(zero as f32);
        self.steps.push(step as f32);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn weights_of_eight_bits_come_back_as_they_were(
            numbers in prop::collection::vec(any::<u8>(), 2 * BLOCK),
            (zero, step) in (any::<u8>(), 1e-5_f32..1e-2),
        ) {
            let weight = |n: &u8| (f32::from(*n) - f32::from(zero)) * step;
            let weights: Vec<f32> = numbers.iter().map(weight).collect();
            // Sixty-four numbers need not have two neighbours among them, and then there may be no grid to be seen.
            if let Some(grids) = Grids::of(&weights) {
                for (i, weight) in weights.iter().enumerate() {
                    let (zero, step) = (grids.zeros[i / BLOCK], grids.steps[i / BLOCK]);
                    let back = (f32::from(grids.numbers[i]) - zero) * step;
                    prop_assert!((back - weight).abs() <= 1e-4 * step.abs() * 256.0, "{back} {weight}");
                }
            }
        }
    }

    #[test]
    fn a_block_with_all_numbers_is_found_and_ordinary_weights_are_left_alone() {
        let ramp: Vec<f32> = (0..BLOCK).map(|i| (i as f32 - 20.0) * 0.003).collect();
        let grids = Grids::of(&ramp).unwrap();
        assert_eq!((grids.zeros[0], grids.numbers[0], grids.numbers[63]), (20.0, 0, 63));
        assert!((grids.steps[0] - 0.003).abs() < 1e-7);
        let ordinary: Vec<f32> = (0..BLOCK).map(|i| (i as f32 * 0.7).sin()).collect();
        assert!(Grids::of(&ordinary).is_none());
        assert!(Grids::of(&[f32::NAN; BLOCK]).is_none());
        assert_eq!(Grids::of(&[0.0; BLOCK]).unwrap().numbers, [0; BLOCK]);
    }
}
