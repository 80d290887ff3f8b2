//! From pixels to what a network is fed, as the manifest describes it.

use image::RgbImage;

use crate::manifest::{Channels, Input, Layout};

/// The pixels as the network's input, flat: channels in its order and layout, each value (v − mean) × scale.
pub fn tensor(pixels: &RgbImage, input: &Input) -> Vec<f32> {
    let order: [usize; 3] = match input.channels {
        Channels::Rgb => [0, 1, 2],
        Channels::Bgr => [2, 1, 0],
    };
    let value = |pixel: &[u8; 3], c: usize| (f32::from(pixel[order[c]]) - input.mean[c]) * input.scale[c];
    let pixels = pixels.as_chunks::<3>().0;
    let mut values = Vec::with_capacity(3 * pixels.len());
    match input.layout {
        Layout::Nchw => (0..3).for_each(|c| values.extend(pixels.iter().map(|p| value(p, c)))),
        Layout::Nhwc => pixels.iter().for_each(|p| values.extend([0, 1, 2].map(|c| value(p, c)))),
    }
    values
}

/// The shape of that tensor, for a batch of one.
pub fn shape(pixels: &RgbImage, input: &Input) -> [usize; 4] {
    let (width, height) = (pixels.width() as usize, pixels.height() as usize);
    match input.layout {
        Layout::Nchw => [1, 3, height, width],
        Layout::Nhwc => [1, height, width, 3],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(layout: Layout, channels: Channels, mean: [f32; 3], scale: [f32; 3]) -> Input {
        Input { name: "x".into(), shape: Vec::new(), layout, channels, mean, scale }
    }

    #[test]
    fn values_come_in_the_networks_order_layout_and_range() {
        let pixels = RgbImage::from_raw(2, 1, vec![1, 2, 3, 4, 5, 6]).unwrap();
        let planes = |channels| tensor(&pixels, &input(Layout::Nchw, channels, [0.0; 3], [1.0; 3]));
        assert_eq!(planes(Channels::Rgb), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        assert_eq!(planes(Channels::Bgr), [3.0, 6.0, 2.0, 5.0, 1.0, 4.0]);
        let pixelwise = input(Layout::Nhwc, Channels::Bgr, [3.0, 2.0, 0.0], [1.0, 2.0, 0.5]);
        assert_eq!(tensor(&pixels, &pixelwise), [0.0, 0.0, 0.5, 3.0, 6.0, 2.0]);
        assert_eq!(shape(&pixels, &pixelwise), [1, 1, 2, 3]);
    }
}
