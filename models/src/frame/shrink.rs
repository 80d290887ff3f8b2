//! A frame at another size, as the detector looks at it.

use super::pixels::{Pixels, halve};
use super::{Part, Plane, to_rgb};

/// Scales planes to `width` × `height` and writes red, green and blue, values of 0 to 255, into planes of their own
/// whose rows are `stride` values apart.
///
/// At its own size and at exactly half of it, the result is bit by bit what libjpeg-turbo and OpenCV give. Elsewhere,
/// where it shrinks, each result is the mean of the area it covers, samples cut by its edge counting by their part,
/// so that it does not alias; coarse colour grows bilinearly.
pub fn shrink(planes: Part<'_>, width: usize, height: usize, into: [&mut [f32]; 3], stride: usize) {
    let rows = into.map(|plane| plane.chunks_mut(stride).take(height).map(|row| &mut row[..width]));
    let [red, green, blue] = rows;
    let rows = red.zip(green).zip(blue).map(|((r, g), b)| [r, g, b]).enumerate();
    let is = |times: usize| (planes[0].width, planes[0].height) == (times * width, times * height);
    if is(1) {
        let mut pixels = Pixels::of(planes);
        let mut bytes = pixels.blank();
        rows.for_each(|(y, rgb)| {
            pixels.row(y, &mut bytes);
            rgb.into_iter().zip(&bytes).for_each(|(into, row)| widen(into, row));
        });
    } else if is(2) {
        let mut pixels = Pixels::of(planes);
        let (mut north, mut south) = (pixels.blank(), pixels.blank());
        rows.for_each(|(y, rgb)| {
            pixels.row(2 * y, &mut north);
            pixels.row(2 * y + 1, &mut south);
            rgb.into_iter().zip(north.iter().zip(&south)).for_each(|(into, (north, south))| halve(north, south, into));
        });
    } else {
        let mut scalers = planes.map(|plane| Scaler::new(plane, width, height));
        rows.for_each(|(y, [red, green, blue])| {
            let [luma, cb, cr] = scalers.each_mut().map(|scaler| &scaler.row(y)[..width]);
            for x in 0..width {
                [red[x], green[x], blue[x]] = to_rgb(luma[x], cb[x], cr[x]);
            }
        });
    }
}

/// Gives the rows of a plane at another size, one after the other: first down, then across.
struct Scaler<'f> {
    plane: Plane<'f>,
    across: Across,
    down: Vec<Span>,
    /// One row of the result, as wide as the plane still is.
    narrowed: Vec<f32>,
    result: Vec<f32>,
}

/// How the samples of a row become those of the result; by far the most frames are halved.
enum Across {
    Same,
    Halved,
    Other(Vec<Span>),
}

impl<'f> Scaler<'f> {
    fn new(plane: Plane<'f>, width: usize, height: usize) -> Self {
        let across = match plane.width {
            same if same == width => Across::Same,
            double if double == 2 * width => Across::Halved,
            other => Across::Other(spans(other, width)),
        };
        let down = spans(plane.height, height);
        Self { plane, across, down, narrowed: vec![0.0; plane.width], result: vec![0.0; width] }
    }

    fn row(&mut self, y: usize) -> &[f32] {
        let span = &self.down[y];
        match span.weights[..] {
            [_] => widen(&mut self.narrowed, self.plane.row(span.first)),
            [a, b] if a == b => average(&mut self.narrowed, self.plane.row(span.first), self.plane.row(span.first + 1)),
            _ => {
                self.narrowed.fill(0.0);
                for (line, weight) in span.weights.iter().enumerate() {
                    let samples = self.plane.row(span.first + line);
                    self.narrowed.iter_mut().zip(samples).for_each(|(sum, v)| *sum += weight * f32::from(*v));
                }
            }
        }
        match &self.across {
            Across::Same => return &self.narrowed,
            Across::Halved => {
                let pairs = self.narrowed.as_chunks::<2>().0;
                self.result.iter_mut().zip(pairs).for_each(|(mean, [west, east])| *mean = 0.5 * (west + east));
            }
            Across::Other(spans) => {
                for (sum, span) in self.result.iter_mut().zip(spans) {
                    let samples = self.narrowed[span.first..].iter().zip(&span.weights);
                    *sum = samples.map(|(sample, weight)| sample * weight).sum();
                }
            }
        }
        &self.result
    }
}

fn widen(into: &mut [f32], row: &[u8]) {
    into.iter_mut().zip(row).for_each(|(v, sample)| *v = f32::from(*sample));
}

fn average(into: &mut [f32], north: &[u8], south: &[u8]) {
    let pairs = north.iter().zip(south);
    into.iter_mut().zip(pairs).for_each(|(v, (n, s))| *v = f32::from(u16::from(*n) + u16::from(*s)) * 0.5);
}

/// Which samples one cell of the result is made of, and the share of each; the shares add up to one.
struct Span {
    first: usize,
    weights: Vec<f32>,
}

/// The spans of `to` cells over `from` samples.
fn spans(from: usize, to: usize) -> Vec<Span> {
    (0..to).map(|i| if from < to { between(i, from, to) } else { covered(i, from, to) }).collect()
}

/// The samples that cell `i` covers, by the part covered.
fn covered(i: usize, from: usize, to: usize) -> Span {
    // Through integers, so that the last cell ends with the last sample.
    let (start, end) = ((i * from) as f64 / to as f64, ((i + 1) * from) as f64 / to as f64);
    let (first, beyond) = (start as usize, (end.ceil() as usize).min(from));
    let part = |sample: usize| (end.min(sample as f64 + 1.0) - start.max(sample as f64)).max(0.0);
    Span { first, weights: (first..beyond).map(|s| (part(s) / (end - start)) as f32).collect() }
}

/// The two samples on either side of cell `i`'s centre, by nearness; one at the edge.
fn between(i: usize, from: usize, to: usize) -> Span {
    let centre = ((i as f64 + 0.5) * from as f64 / to as f64 - 0.5).clamp(0.0, (from - 1) as f64);
    let (first, beyond) = (centre as usize, centre.fract() as f32);
    let weights = if beyond > 0.0 { vec![1.0 - beyond, beyond] } else { vec![1.0] };
    Span { first, weights }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaled(width: usize, samples: &[u8], to: (usize, usize)) -> Vec<f32> {
        let plane = Plane { width, height: samples.len() / width, stride: width, samples };
        let mut scaler = Scaler::new(plane, to.0, to.1);
        (0..to.1).flat_map(|y| scaler.row(y).to_vec()).collect()
    }

    #[test]
    fn shrinking_averages_and_reaches_every_pixel() {
        let samples: Vec<u8> = (0..24).map(|i| (i % 6 * 10 + i / 6 * 20) as u8).collect();
        assert_eq!(scaled(6, &samples, (3, 2)), [15.0, 35.0, 55.0, 55.0, 75.0, 95.0]);
        let wide = scaled(6, &samples, (2, 4));
        let expected = [10.0, 40.0, 30.0, 60.0, 50.0, 80.0, 70.0, 100.0];
        assert!(wide.iter().zip(expected).all(|(is, should): (&f32, f32)| (is - should).abs() < 1e-4), "{wide:?}");
        assert_eq!(scaled(6, &samples, (6, 4)), samples.iter().map(|s| f32::from(*s)).collect::<Vec<_>>());
        let thirds = scaled(6, &samples, (4, 3));
        assert!((thirds[0] - (10.0 / 3.0 + 5.0)).abs() < 1e-4, "{thirds:?}");
        for (from, to) in [(100, 7), (641, 640), (5, 5), (5, 8)] {
            let spans = spans(from, to);
            for span in &spans {
                assert!((span.weights.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{from} to {to}");
            }
            let last = &spans[spans.len() - 1];
            assert_eq!(last.first + last.weights.len(), from);
        }
    }

    #[test]
    fn coarse_colour_is_spread_evenly() {
        assert_eq!(scaled(2, &[0, 100], (4, 1)), [0.0, 25.0, 75.0, 100.0]);
        assert_eq!(scaled(1, &[0, 100], (1, 4)), [0.0, 25.0, 75.0, 100.0]);
    }

    #[test]
    fn a_grey_frame_stays_grey_at_any_size() {
        let frame = crate::Frame::from_rgb(&image::RgbImage::from_pixel(30, 20, image::Rgb([77; 3])));
        for (width, height) in [(13, 9), (15, 10), (30, 20)] {
            let mut planes = [vec![0.0; 32 * height], vec![0.0; 32 * height], vec![0.0; 32 * height]];
            shrink(frame.planes(), width, height, planes.each_mut().map(|plane| &mut plane[..]), 32);
            for row in planes.iter().flat_map(|plane| plane.chunks(32)) {
                assert!(row[..width].iter().all(|v| (v - 77.0).abs() < 0.01), "{width}");
                assert!(row[width..].iter().all(|v| *v == 0.0), "{width}");
            }
        }
    }
}
