//! The first pass: the scores of all sign codes of a stretch of rows, by the fastest kernel this processor has.
//!
//! Codes lie in blocks of [`BLOCK_ROWS`] rows, transposed: byte `c` of the block's rows, then byte `c + 1`. A score is a
//! sum of table look-ups with the bits as the index. Every kernel gives the same scores; they differ in how many bits
//! one look-up takes.
//!
//! | kernel | bits a look-up | rows at a time |
//! |---|---|---|
//! | AVX-512 with VBMI | 6 (`vpermb`) | 64 |
//! | AVX2 | 4 (`vpshufb`) | 32 |
//! | portable | 8 (memory) | 1 |

#![allow(clippy::cast_possible_truncation, reason = "patterns of at most eight bits")]

#[cfg(target_arch = "x86_64")]
pub(super) mod x86;

use super::weights::Weights;

/// Rows in a block.
pub const BLOCK_ROWS: usize = 64;
/// Probes in one scan: their tables fit into the processor's first cache beside the codes.
pub const PROBES_MAX: usize = 16;
/// Bytes of the longest code.
pub const CODE_BYTES_MAX: usize = 32;

/// 64 bytes that lie in one line of the cache.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub struct Line(pub [u8; 64]);

/// How this processor scans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    Avx512,
    Avx2,
    Portable,
}

/// One probe's look-up tables, for one kernel.
#[derive(Debug, Clone)]
pub struct Tables {
    kernel: Kernel,
    lines: Vec<Line>,
}

/// The rows of one block that reach the threshold.
#[derive(Debug)]
pub struct BlockHits<'a> {
    /// Which of the probes.
    pub probe: usize,
    /// Which of the blocks.
    pub block: usize,
    /// Bit `i`: row `i` of the block.
    pub rows: u64,
    pub scores: &'a [u8; BLOCK_ROWS],
}

impl Kernel {
    /// The fastest that runs here.
    pub fn detect() -> Self {
        Self::available().first().copied().unwrap_or(Self::Portable)
    }

    /// All that run here, the fastest first.
    pub fn available() -> Vec<Self> {
        #[cfg(target_arch = "x86_64")]
        let vector = [(Self::Avx512, x86::has_avx512()), (Self::Avx2, x86::has_avx2())];
        #[cfg(not(target_arch = "x86_64"))]
        let vector: [(Self, bool); 0] = [];
        vector.iter().filter(|(_, present)| *present).map(|(kernel, _)| *kernel).chain([Self::Portable]).collect()
    }
}

impl Tables {
    /// For codes of `code_bytes`.
    pub fn new(kernel: Kernel, weights: &Weights, code_bytes: usize) -> Self {
        let mut bytes = Vec::new();
        let mut table = |entries: usize, gain: &dyn Fn(usize) -> u8| bytes.extend((0..entries).map(gain));
        match kernel {
            Kernel::Avx512 => {
                for byte in 0..code_bytes {
                    table(64, &|pattern| weights.gain(8 * byte, 6, pattern));
                }
                for three in (0..code_bytes).step_by(3) {
                    let present = 3.min(code_bytes - three);
                    let pair = |pattern, i: usize| weights.gain(8 * (three + i) + 6, 2, pattern >> (2 * i));
                    table(64, &|pattern| (0..present).map(|i| pair(pattern, i)).sum());
                }
            }
            Kernel::Avx2 => {
                for half in 0..2 * code_bytes {
                    table(16, &|pattern| weights.gain(4 * half, 4, pattern));
                }
            }
            Kernel::Portable => {
                for byte in 0..code_bytes {
                    table(256, &|pattern| weights.gain(8 * byte, 8, pattern));
                }
            }
        }
        Self { kernel, lines: bytes.as_chunks().0.iter().map(|line| Line(*line)).collect() }
    }
}

/// Scores every row of `codes` (whole blocks of codes of `code_bytes`, 12 or 32) for every probe, and tells of the rows
/// that reach the probe's threshold. All tables are of one kernel.
/// Panics with more than [`PROBES_MAX`] probes.
pub fn scan(code_bytes: usize, codes: &[u8], probes: &[(&Tables, u8)], mut tell: impl FnMut(&BlockHits<'_>)) {
    assert!(probes.len() <= PROBES_MAX, "the caller scans in turns");
    let Some((first, _)) = probes.first() else { return };
    match (first.kernel, code_bytes) {
        #[cfg(target_arch = "x86_64")]
        (Kernel::Avx512, 12) => x86::scan_avx512::<12, 16>(codes, probes, &mut tell),
        #[cfg(target_arch = "x86_64")]
        (Kernel::Avx512, 32) => x86::scan_avx512::<32, 43>(codes, probes, &mut tell),
        #[cfg(target_arch = "x86_64")]
        (Kernel::Avx2, 12) => x86::scan_avx2::<12>(codes, probes, &mut tell),
        #[cfg(target_arch = "x86_64")]
        (Kernel::Avx2, 32) => x86::scan_avx2::<32>(codes, probes, &mut tell),
        _ => scan_portable(code_bytes, codes, probes, &mut tell),
    }
}

fn scan_portable(code_bytes: usize, codes: &[u8], probes: &[(&Tables, u8)], tell: &mut impl FnMut(&BlockHits<'_>)) {
    for (block, codes) in codes.chunks_exact(code_bytes * BLOCK_ROWS).enumerate() {
        for (probe, (tables, threshold)) in probes.iter().enumerate() {
            let mut scores = [0; BLOCK_ROWS];
            for (column, table) in codes.as_chunks::<BLOCK_ROWS>().0.iter().zip(tables.lines.as_chunks::<4>().0) {
                for (score, byte) in scores.iter_mut().zip(column) {
                    *score += table[usize::from(byte >> 6)].0[usize::from(byte & 63)];
                }
            }
            let reach = |rows: u64, (i, score): (usize, &u8)| rows | u64::from(score >= threshold) << i;
            let rows = scores.iter().enumerate().fold(0, reach);
            if rows != 0 {
                tell(&BlockHits { probe, block, rows, scores: &scores });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    /// By the definition: bit by bit.
    fn score(weights: &Weights, codes: &[u8], code_bytes: usize, row: usize) -> u8 {
        let block = &codes[row / BLOCK_ROWS * BLOCK_ROWS * code_bytes..];
        (0..code_bytes)
            .map(|byte| {
                let code = usize::from(block[byte * BLOCK_ROWS + row % BLOCK_ROWS]);
                weights.gain(8 * byte, 8, code)
            })
            .sum()
    }

    #[test]
    fn every_kernel_gives_the_same_scores_and_keeps_to_the_threshold() {
        let mut rng = StdRng::seed_from_u64(5);
        for code_bytes in [12, 32] {
            let codes: Vec<u8> = (0..7 * BLOCK_ROWS * code_bytes).map(|_| rng.random()).collect();
            let probes: Vec<Weights> = (0..3)
                .map(|_| Weights::new(&(0..8 * code_bytes).map(|_| rng.random_range(-1.0..1.0)).collect::<Vec<_>>()))
                .collect();
            for kernel in Kernel::available() {
                let tables: Vec<_> = probes.iter().map(|w| Tables::new(kernel, w, code_bytes)).collect();
                for threshold in [0, 120, 140, 255] {
                    let with: Vec<_> = tables.iter().map(|tables| (tables, threshold)).collect();
                    let mut seen = 0;
                    scan(code_bytes, &codes, &with, |hits| {
                        for row in (0..BLOCK_ROWS).filter(|row| hits.rows >> row & 1 == 1) {
                            let expected =
                                score(&probes[hits.probe], &codes, code_bytes, hits.block * BLOCK_ROWS + row);
                            assert_eq!(hits.scores[row], expected, "{kernel:?}");
                            seen += 1;
                        }
                    });
                    let all = (0..7 * BLOCK_ROWS).flat_map(|row| probes.iter().map(move |w| (w, row)));
                    let reaching = all.filter(|(w, row)| score(w, &codes, code_bytes, *row) >= threshold).count();
                    assert_eq!(seen, reaching, "{kernel:?} at {threshold}");
                }
            }
        }
    }
}
