//! A frame at another size, as the detector looks at it.

use super::{Part, Plane, to_rgb};

/// Scales planes to `width` × `height` and calls `put(y, row)` for each of its rows, red, green and blue apart, with
/// values of 0 to 255.
///
/// Where it shrinks, each result is the mean of the area it covers, samples cut by its edge counting by their part: at
/// a factor of two what bilinear scaling gives; beyond, it does not alias. Coarse colour grows bilinearly.
pub fn shrink(planes: Part<'_>, width: usize, height: usize, mut put: impl FnMut(usize, [&[f32]; 3])) {
    let mut scalers = planes.map(|plane| Scaler::new(plane, width, height));
    let mut rgb: [Vec<f32>; 3] = std::array::from_fn(|_| vec![0.0; width]);
    for y in 0..height {
        let [luma, cb, cr] = scalers.each_mut().map(|scaler| scaler.row(y));
        let [red, green, blue] = &mut rgb;
        let (red, green, blue) = (&mut red[..width], &mut green[..width], &mut blue[..width]);
        let (luma, cb, cr) = (&luma[..width], &cb[..width], &cr[..width]);
        for x in 0..width {
            [red[x], green[x], blue[x]] = to_rgb(luma[x], cb[x], cr[x]);
        }
        put(y, [red, green, blue]);
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
        let mut rows = 0;
        shrink(frame.planes(), 13, 9, |y, rgb| {
            assert_eq!(y, rows);
            rows += 1;
            assert!(rgb.iter().all(|row| row.len() == 13 && row.iter().all(|v| (v - 77.0).abs() < 0.01)));
        });
        assert_eq!(rows, 9);
    }
}
