//! The best of the first pass: as many as are compared in full, and a threshold that rises with them.

use super::scan::{BLOCK_ROWS, BlockHits};

/// A row that the first pass found, with its place among `Candidates::codes`.
#[derive(Debug, Clone, Copy)]
pub struct Candidate {
    pub row: u32,
    score: u8,
}

/// Keeps at least the `wanted` best of what it is told, and never more than twice as many for long.
#[derive(Debug)]
pub struct Candidates {
    code_bytes: usize,
    wanted: usize,
    threshold: u8,
    found: Vec<Candidate>,
    codes: Vec<u8>,
}

impl Candidates {
    pub fn new(code_bytes: usize, wanted: usize, threshold: u8) -> Self {
        let (found, codes) = (Vec::with_capacity(2 * wanted), Vec::with_capacity(2 * wanted * code_bytes));
        Self { code_bytes, wanted, threshold, found, codes }
    }

    /// What a row must reach to be among them.
    pub fn threshold(&self) -> u8 {
        self.threshold
    }

    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Takes the rows of one block, whose codes these are. `row_of` names the row at a place of the block, if there is
    /// one.
    #[inline]
    pub fn take(&mut self, hits: &BlockHits<'_>, codes: &[u8], row_of: impl Fn(usize) -> Option<u32>) {
        let mut left = hits.rows;
        while left != 0 {
            let place = left.trailing_zeros() as usize;
            left &= left - 1;
            let Some(row) = row_of(place) else { continue };
            self.found.push(Candidate { row, score: hits.scores[place] });
            self.codes.extend(codes.chunks_exact(BLOCK_ROWS).map(|column| column[place]));
        }
    }

    /// Raises the threshold if there are too many; to be called now and then.
    pub fn settle(&mut self) {
        if self.found.len() <= 2 * self.wanted {
            return;
        }
        let mut by_score = [0usize; 256];
        self.found.iter().for_each(|candidate| by_score[usize::from(candidate.score)] += 1);
        let mut above = 0;
        let enough = |count: &usize| {
            above += count;
            above >= self.wanted
        };
        let below_top = by_score.iter().rev().position(enough).unwrap_or(255);
        self.threshold = u8::try_from(255 - below_top).unwrap_or(0);
        let mut kept = 0;
        for i in 0..self.found.len() {
            if self.found[i].score >= self.threshold {
                self.found[kept] = self.found[i];
                self.codes.copy_within(i * self.code_bytes..(i + 1) * self.code_bytes, kept * self.code_bytes);
                kept += 1;
            }
        }
        if kept > 2 * self.wanted {
            // So many are equal that their order tells nothing.
            kept = 2 * self.wanted;
            self.threshold = self.threshold.saturating_add(1);
        }
        self.found.truncate(kept);
        self.codes.truncate(kept * self.code_bytes);
    }

    /// Each row with its sign bits, in the order of the scan.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u32, &[u8])> {
        self.found.iter().map(|candidate| candidate.row).zip(self.codes.chunks_exact(self.code_bytes))
    }
}
