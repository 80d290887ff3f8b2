//! The best of the first pass: as many as are compared in full, and a threshold that rises with them.

use super::scan::{BLOCK_ROWS, BlockHits, CODE_BYTES_MAX};

/// A row that the first pass found.
#[derive(Debug, Clone, Copy)]
pub struct Candidate {
    pub row: u32,
    score: u8,
    /// Sign bits; zeros behind them.
    code: [u8; CODE_BYTES_MAX],
}

/// Keeps about the `wanted` best of what it is told: never fewer, unless there are no more that reach the threshold it
/// begins with.
#[derive(Debug)]
pub struct Candidates {
    wanted: usize,
    threshold: u8,
    found: Vec<Candidate>,
}

impl Candidates {
    pub fn new(wanted: usize, threshold: u8) -> Self {
        Self { wanted, threshold, found: Vec::with_capacity(2 * wanted) }
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
            let mut code = [0; CODE_BYTES_MAX];
            let columns = codes.as_chunks::<BLOCK_ROWS>().0;
            code.iter_mut().zip(columns).for_each(|(byte, column)| *byte = column[place % BLOCK_ROWS]);
            self.found.push(Candidate { row, score: hits.scores[place], code });
        }
    }

    /// Raises the threshold if there are too many; to be called now and then.
    pub fn settle(&mut self) {
        if self.found.len() > 2 * self.wanted {
            self.keep_best();
        }
    }

    /// Drops what is beyond the wanted, but for equals of the last.
    pub fn keep_best(&mut self) {
        if self.found.len() <= self.wanted {
            return;
        }
        let mut by_score = [0usize; 256];
        self.found.iter().for_each(|candidate| by_score[usize::from(candidate.score)] += 1);
        let mut better = 0;
        let mut last = u8::MAX;
        while better + by_score[usize::from(last)] < self.wanted && last > 0 {
            better += by_score[usize::from(last)];
            last -= 1;
        }
        // Where so many are equal that their order tells nothing, any of them do.
        let mut equals = 2 * self.wanted - better;
        let equals_max = equals;
        self.found.retain(|candidate| {
            let equal = candidate.score == last && equals > 0;
            equals -= usize::from(equal);
            equal || candidate.score > last
        });
        self.threshold = if by_score[usize::from(last)] > equals_max { last.saturating_add(1) } else { last };
    }

    /// Each row with its sign bits, in the order of the scan.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u32, &[u8; CODE_BYTES_MAX])> {
        self.found.iter().map(|candidate| (candidate.row, &candidate.code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(candidates: &mut Candidates, first: u32, scores: [u8; BLOCK_ROWS]) {
        let threshold = candidates.threshold();
        let rows = (0..BLOCK_ROWS).filter(|i| scores[*i] >= threshold).fold(0, |rows, i| rows | 1 << i);
        let hits = BlockHits { probe: 0, block: 0, rows, scores: &scores };
        candidates.take(&hits, &[7; 12 * BLOCK_ROWS], |place| Some(first + u32::try_from(place).unwrap()));
        candidates.settle();
    }

    #[test]
    fn the_best_stay_whatever_comes_with_them() {
        let mut candidates = Candidates::new(10, 3);
        told(&mut candidates, 0, [9; BLOCK_ROWS]);
        assert_eq!((candidates.len(), candidates.threshold()), (20, 10), "equals tell nothing");
        let mut scores = [5; BLOCK_ROWS];
        scores[63] = 200;
        told(&mut candidates, 64, scores);
        (0..20).for_each(|i| told(&mut candidates, 128 + 64 * i, [u8::try_from(10 + i).unwrap(); BLOCK_ROWS]));
        candidates.keep_best();
        let rows: Vec<u32> = candidates.iter().map(|(row, _)| row).collect();
        assert!(rows.contains(&127) && (10..=20).contains(&rows.len()), "{rows:?}");
        assert!(rows.iter().all(|row| *row == 127 || *row >= 128 + 64 * 19), "{rows:?}");
    }
}
