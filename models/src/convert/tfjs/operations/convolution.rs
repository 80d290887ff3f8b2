//! Windows that slide over a picture: convolutions and pooling.

use super::elementwise;
use crate::convert::build::{int, ints};
use crate::convert::tfjs::UnusableTfjs;
use crate::convert::tfjs::emit::{Emitter, Shape, Value, unknown};
use crate::convert::tfjs::topology::Node;

/// How a window moves along one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slide {
    pub steps: usize,
    pub before: usize,
    pub after: usize,
}

/// TensorFlow's two paddings: VALID stays inside; SAME takes ⌈size ÷ stride⌉ steps and, where that needs an odd number
/// of pixels more, puts the odd one behind.
pub fn slide(size: usize, window: usize, stride: usize, padding: &str) -> Option<Slide> {
    match padding {
        "VALID" => Some(Slide { steps: size.checked_sub(window)? / stride + 1, before: 0, after: 0 }),
        "SAME" => {
            let steps = size.div_ceil(stride);
            let more = ((steps - 1) * stride + window).saturating_sub(size);
            Some(Slide { steps, before: more / 2, after: more - more / 2 })
        }
        _ => None,
    }
}

/// Every output channel sees every input channel. TensorFlow's filters: height, width, in, out.
pub fn full(emitter: &mut Emitter, node: &Node) -> Result<Value, UnusableTfjs> {
    let x = emitter.operand(node, 0)?;
    let (dims, values) = emitter.floats(node, 1)?;
    let [height, width, inner, outer] = dims[..] else { return Err(unknown(node, "a filter that has not four axes")) };
    let window = Window::of(node, x.shape, (height, width))?;
    if window.channels != inner {
        return Err(unknown(node, "a filter for another number of channels"));
    }
    let at = |o: usize, i: usize, s: usize| values[(s * inner + i) * outer + o];
    let swapped: Vec<f32> = (0..outer * inner * height * width)
        .map(|n| at(n / (inner * height * width), n / (height * width) % inner, n % (height * width)))
        .collect();
    let filter = emitter.keep(node, "filter", &[outer, inner, height, width], &swapped);
    let value = convolve(emitter, node, &x, &filter, &window, (1, outer));
    elementwise::fused(emitter, node, value)
}

/// Every channel by itself. TensorFlow's filters: height, width, in, outputs per input.
pub fn depthwise(emitter: &mut Emitter, node: &Node) -> Result<Value, UnusableTfjs> {
    let x = emitter.operand(node, 0)?;
    let (dims, values) = emitter.floats(node, 1)?;
    let [height, width, inner, each] = dims[..] else { return Err(unknown(node, "a filter that has not four axes")) };
    let window = Window::of(node, x.shape, (height, width))?;
    if window.channels != inner {
        return Err(unknown(node, "a filter for another number of channels"));
    }
    let (outer, area) = (inner * each, height * width);
    let swapped: Vec<f32> = (0..outer * area).map(|n| values[n % area * outer + n / area]).collect();
    let filter = emitter.keep(node, "filter", &[outer, 1, height, width], &swapped);
    let value = convolve(emitter, node, &x, &filter, &window, (inner, outer));
    elementwise::fused(emitter, node, value)
}

/// The largest value in each window.
pub fn max_pool(emitter: &mut Emitter, node: &Node) -> Result<Value, UnusableTfjs> {
    let x = emitter.operand(node, 0)?;
    let [1, height, width, 1] = node.ints("ksize")[..] else {
        return Err(unknown(node, "a pool over more than pixels"));
    };
    let window = Window::of(node, x.shape, (height, width))?;
    let name = emitter.write("MaxPool", &[&x.name], node, "", window.attributes());
    Ok(Value { name, shape: window.shape(window.channels) })
}

fn convolve(
    emitter: &mut Emitter,
    node: &Node,
    x: &Value,
    filter: &str,
    window: &Window,
    (groups, outer): (usize, usize),
) -> Value {
    let mut attributes = window.attributes();
    attributes.push(int("group", groups as i64));
    let name = emitter.write("Conv", &[&x.name, filter], node, "convolved", attributes);
    Value { name, shape: window.shape(outer) }
}

/// A window over a picture of known size.
struct Window {
    channels: usize,
    size: (usize, usize),
    strides: (usize, usize),
    down: Slide,
    across: Slide,
}

impl Window {
    fn of(node: &Node, shape: Shape, size: (usize, usize)) -> Result<Self, UnusableTfjs> {
        let Shape::Picture { channels, height, width } = shape else {
            return Err(unknown(node, "a window over something that is no picture"));
        };
        let strides = match node.ints("strides")[..] {
            [1, down, across, 1] if down > 0 && across > 0 => (down, across),
            _ => return Err(unknown(node, "a stride over more than pixels")),
        };
        if node.ints("dilations").iter().any(|d| *d != 1) || node.text("data_format").as_deref() == Some("NCHW") {
            return Err(unknown(node, "dilations or channels first"));
        }
        let padding = node.text("padding").unwrap_or_default();
        let slides = (slide(height, size.0, strides.0, &padding), slide(width, size.1, strides.1, &padding));
        let (Some(down), Some(across)) = slides else { return Err(unknown(node, "this padding")) };
        Ok(Self { channels, size, strides, down, across })
    }

    fn shape(&self, channels: usize) -> Shape {
        Shape::Picture { channels, height: self.down.steps, width: self.across.steps }
    }

    fn attributes(&self) -> Vec<crate::convert::onnx::Attribute> {
        let pads = [self.down.before, self.across.before, self.down.after, self.across.after].map(|p| p as i64);
        vec![
            ints("kernel_shape", &[self.size.0 as i64, self.size.1 as i64]),
            ints("strides", &[self.strides.0 as i64, self.strides.1 as i64]),
            ints("pads", &pads),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_puts_the_odd_pixel_behind_and_valid_adds_none() {
        assert_eq!(slide(192, 3, 2, "SAME"), Some(Slide { steps: 96, before: 0, after: 1 }));
        assert_eq!(slide(7, 3, 1, "SAME"), Some(Slide { steps: 7, before: 1, after: 1 }));
        assert_eq!(slide(8, 2, 2, "SAME"), Some(Slide { steps: 4, before: 0, after: 0 }));
        assert_eq!(slide(3, 3, 3, "VALID"), Some(Slide { steps: 1, before: 0, after: 0 }));
        assert_eq!(slide(2, 3, 1, "VALID"), None);
        assert_eq!(slide(8, 2, 2, "EXPLICIT"), None);
    }
}
