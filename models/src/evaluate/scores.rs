//! Comparison scores of many faces: every pair's cosine, counted finely, and the highest kept by name.

use std::cmp::Ordering;

/// Bins over −1..=1; one is narrower than any figure that is reported.
const BINS: usize = 20_000;
/// Length of the accumulators a dot product is summed in, so that the compiler can use vector instructions.
const LANES: usize = 16;

/// Vectors of one size, one after the other.
#[derive(Debug, Clone)]
pub struct Vectors {
    dims: usize,
    values: Vec<f32>,
}

impl Vectors {
    /// Of unit vectors with the same number of dimensions.
    pub fn of<'a>(vectors: impl IntoIterator<Item = &'a [f32]>) -> Self {
        let mut all = Self { dims: 0, values: Vec::new() };
        for vector in vectors {
            all.dims = vector.len();
            all.values.extend_from_slice(vector);
        }
        all
    }

    pub fn len(&self) -> usize {
        self.values.len().checked_div(self.dims).unwrap_or(0)
    }

    pub fn get(&self, index: usize) -> &[f32] {
        &self.values[index * self.dims..(index + 1) * self.dims]
    }
}

/// Dot product; the cosine of unit vectors.
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    let (a_chunks, b_chunks) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (x, y) in a_chunks.0.iter().zip(b_chunks.0) {
        (0..LANES).for_each(|lane| sums[lane] += x[lane] * y[lane]);
    }
    let rest: f32 = a_chunks.1.iter().zip(b_chunks.1).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f32>() + rest
}

/// One pair's score; `a` and `b` are indices of the two sides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    pub a: usize,
    pub b: usize,
    pub cosine: f32,
}

impl Pair {
    fn by_score(&self, other: &Self) -> Ordering {
        other.cosine.total_cmp(&self.cosine).then((self.a, self.b).cmp(&(other.a, other.b)))
    }
}

/// How often each score came, and the highest ones singly.
#[derive(Debug, Clone)]
pub struct Distribution {
    bins: Vec<u64>,
    pub count: u64,
    sum: f64,
    squares: f64,
    /// The `highest_max` highest, in descending order.
    pub highest: Vec<Pair>,
    highest_max: usize,
}

impl Distribution {
    pub fn new(highest_max: usize) -> Self {
        Self { bins: vec![0; BINS], count: 0, sum: 0.0, squares: 0.0, highest: Vec::new(), highest_max }
    }

    pub fn add(&mut self, pair: Pair) {
        self.bins[bin(f64::from(pair.cosine))] += 1;
        self.count += 1;
        self.sum += f64::from(pair.cosine);
        self.squares += f64::from(pair.cosine).powi(2);
        if self.highest_max > 0 {
            self.highest.push(pair);
            // Sorting now and then costs less than keeping order always.
            if self.highest.len() >= 4 * self.highest_max {
                self.keep_highest();
            }
        }
    }

    fn keep_highest(&mut self) {
        self.highest.sort_by(Pair::by_score);
        self.highest.truncate(self.highest_max);
    }

    fn merge(&mut self, other: Self) {
        self.bins.iter_mut().zip(other.bins).for_each(|(a, b)| *a += b);
        self.count += other.count;
        self.sum += other.sum;
        self.squares += other.squares;
        self.highest.extend(other.highest);
        self.keep_highest();
    }

    #[expect(clippy::cast_precision_loss, reason = "pairs are far below 2^52")]
    pub fn mean(&self) -> f64 {
        self.sum / self.count as f64
    }

    #[expect(clippy::cast_precision_loss, reason = "pairs are far below 2^52")]
    pub fn sigma(&self) -> f64 {
        (self.squares / self.count as f64 - self.mean().powi(2)).max(0.0).sqrt()
    }

    /// The lowest threshold (a bin's edge) that at most this share of scores reaches.
    #[expect(clippy::cast_precision_loss, reason = "pairs are far below 2^52")]
    pub fn threshold(&self, share: f64) -> f64 {
        let allowed = share * self.count as f64;
        let mut above = 0;
        for (index, count) in self.bins.iter().enumerate().rev() {
            above += count;
            if above as f64 > allowed {
                return edge(index + 1);
            }
        }
        -1.0
    }

    /// Share of scores at or above a threshold, to within one bin.
    #[expect(clippy::cast_precision_loss, reason = "pairs are far below 2^52")]
    pub fn share_from(&self, threshold: f64) -> f64 {
        let first = bin(threshold);
        self.bins[first..].iter().sum::<u64>() as f64 / self.count as f64
    }

    /// Density per unit of cosine in `cells` equal cells from `low` to `high`, as (middle, density).
    #[expect(clippy::cast_precision_loss, reason = "pairs are far below 2^52")]
    pub fn density(&self, low: f64, high: f64, cells: usize) -> Vec<(f64, f64)> {
        let width = (high - low) / cells as f64;
        let cell = |i: usize| {
            let (from, to) = (low + i as f64 * width, low + (i + 1) as f64 * width);
            ((from + to) / 2.0, (self.share_from(from) - self.share_from(to)) / width)
        };
        (0..cells).map(cell).collect()
    }
}

/// An edge belongs to the bin above it, however it was rounded.
fn bin(cosine: f64) -> usize {
    let at = (cosine + 1.0) / 2.0 * BINS as f64 + 1e-6;
    (at.max(0.0) as usize).min(BINS - 1)
}

fn edge(index: usize) -> f64 {
    index as f64 / BINS as f64 * 2.0 - 1.0
}

/// All pairs of `left` and `right` for which `counts` says so, on every core; the `highest_max` highest are kept.
pub fn cross(
    left: &Vectors,
    right: &Vectors,
    highest_max: usize,
    counts: impl Fn(usize, usize) -> bool + Sync,
) -> Distribution {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let part = |first: usize| {
        let mut scores = Distribution::new(highest_max);
        for a in (first..left.len()).step_by(threads) {
            for b in (0..right.len()).filter(|b| counts(a, *b)) {
                scores.add(Pair { a, b, cosine: cosine(left.get(a), right.get(b)) });
            }
        }
        scores
    };
    let mut all = Distribution::new(highest_max);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|first| scope.spawn(move || part(first))).collect();
        for worker in workers {
            all.merge(worker.join().expect("sums do not panic"));
        }
    });
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distribution(scores: &[f32]) -> Distribution {
        let mut all = Distribution::new(2);
        scores.iter().enumerate().for_each(|(a, cosine)| all.add(Pair { a, b: 0, cosine: *cosine }));
        all.keep_highest();
        all
    }

    #[test]
    fn a_threshold_lets_no_more_than_the_share_through() {
        let scores = distribution(&[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95]);
        for share in [0.0, 0.05, 0.1, 0.25, 0.5] {
            let threshold = scores.threshold(share);
            assert!(scores.share_from(threshold) <= share + 1e-9);
            assert!(scores.share_from(threshold - 0.051) > share);
        }
        assert_eq!(scores.highest.iter().map(|p| p.a).collect::<Vec<_>>(), [9, 8]);
        assert!((scores.mean() - 0.545).abs() < 1e-6);
    }

    #[test]
    fn crossing_counts_every_wanted_pair_once() {
        let values: Vec<Vec<f32>> = (0..7).map(|i| vec![0.1 * i as f32; 20]).collect();
        let vectors = Vectors::of(values.iter().map(Vec::as_slice));
        let scores = cross(&vectors, &vectors, 3, |a, b| a < b);
        assert_eq!((scores.count, scores.highest.len()), (21, 3));
        assert_eq!((scores.highest[0].a, scores.highest[0].b), (5, 6));
        assert!((cosine(&values[2], &values[3]) - 20.0 * 0.06).abs() < 1e-5);
    }
}
