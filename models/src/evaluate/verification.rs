//! 1:1: the accuracy over given folds of pairs, each fold judged by a threshold from the others, as LFW's View 2 asks.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, bail};

use super::identities::IdentitySet;

/// Two photographs by index, and whether they show one person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PairOf {
    pub a: usize,
    pub b: usize,
    pub mated: bool,
}

/// The folds of a pairs file, without the pairs whose photographs the set does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folds {
    pub folds: Vec<Vec<PairOf>>,
    /// Pairs left out because a photograph is not in the set.
    pub missing: usize,
}

impl Folds {
    /// Reads LFW's format: `folds n`, then per fold n lines `name i j` and n lines `name i name j`; fields between tabs.
    pub fn read(path: &Path, set: &IdentitySet) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read pairs of {}", path.display()))?;
        Self::parse(&text, set).with_context(|| path.display().to_string())
    }

    fn parse(text: &str, set: &IdentitySet) -> anyhow::Result<Self> {
        let names: HashMap<&str, usize> = set.people.iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect();
        let known: HashMap<(usize, u32), usize> =
            set.photographs.iter().enumerate().filter_map(|(i, p)| Some(((p.person, p.number?), i))).collect();
        let find = |name: &str, number: &str| -> anyhow::Result<Option<usize>> {
            let number: u32 = number.trim().parse().with_context(|| format!("{number:?} is no number"))?;
            Ok(names.get(name).and_then(|person| known.get(&(*person, number)).copied()))
        };
        let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let (_, header) = lines.next().context("the file is empty")?;
        let mut counts = header.split_whitespace().map(str::parse::<usize>);
        let (Some(Ok(folds)), Some(Ok(half))) = (counts.next(), counts.next()) else {
            bail!("the first line must be `folds pairs`: {header:?}");
        };
        let mut read = Self { folds: vec![Vec::new(); folds], missing: 0 };
        for fold in &mut read.folds {
            for at in 0..2 * half {
                let (number, line) = lines.next().with_context(|| format!("there are not {folds} folds of {half}"))?;
                let fields: Vec<&str> = line.split('\t').collect();
                let (a, b, mated) = match (at < half, fields.as_slice()) {
                    (true, [name, i, j]) => (find(name, i)?, find(name, j)?, true),
                    (false, [name, i, other, j]) => (find(name, i)?, find(other, j)?, false),
                    _ => bail!("line {}: {line:?} is no pair", number + 1),
                };
                match (a, b) {
                    (Some(a), Some(b)) => fold.push(PairOf { a, b, mated }),
                    _ => read.missing += 1,
                }
            }
        }
        read.folds.retain(|fold| !fold.is_empty());
        if read.folds.is_empty() {
            bail!("none of its pairs is in the set");
        }
        Ok(read)
    }

    pub fn pairs(&self) -> impl Iterator<Item = PairOf> {
        self.folds.iter().flatten().copied()
    }

    /// Share of right answers, mean over the folds; each threshold is the best of the other folds (of the only fold,
    /// where there is one). A pair without a score (`None`: failure to acquire) is answered "not the same person", so
    /// it is an error if it is mated.
    pub fn accuracy(&self, score: impl Fn(PairOf) -> Option<f32>) -> Accuracy {
        let scored: Vec<Vec<(f32, bool)>> = self
            .folds
            .iter()
            .map(|fold| fold.iter().map(|pair| (score(*pair).unwrap_or(f32::NEG_INFINITY), pair.mated)).collect())
            .collect();
        let mut shares = Vec::new();
        for (held_out, fold) in scored.iter().enumerate() {
            let others = scored.iter().enumerate().filter(|(i, _)| *i != held_out || scored.len() == 1);
            let threshold = best_threshold(others.flat_map(|(_, fold)| fold).copied().collect());
            shares.push(share_right(fold, threshold));
        }
        let mean = shares.iter().sum::<f64>() / shares.len() as f64;
        let variance = shares.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / (shares.len() - 1).max(1) as f64;
        Accuracy { mean, standard_error: (variance / shares.len() as f64).sqrt(), folds: shares }
    }
}

/// Accuracy over folds.
#[derive(Debug, Clone, PartialEq)]
pub struct Accuracy {
    pub mean: f64,
    /// Of the mean, from the spread of the folds, as LFW's results are given.
    pub standard_error: f64,
    pub folds: Vec<f64>,
}

fn share_right(pairs: &[(f32, bool)], threshold: f32) -> f64 {
    let right = pairs.iter().filter(|(score, mated)| (*score >= threshold) == *mated).count();
    right as f64 / pairs.len() as f64
}

/// The threshold with the most right answers, midway between two scores so that it favours neither side.
fn best_threshold(mut pairs: Vec<(f32, bool)>) -> f32 {
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Below every score all are called mated; each step up turns one mated pair wrong or one impostor pair right.
    let mut right = pairs.iter().filter(|(_, mated)| *mated).count();
    let (mut best, mut threshold) = (right, -1.0);
    for (index, (score, mated)) in pairs.iter().enumerate() {
        right = if *mated { right - 1 } else { right + 1 };
        let next = pairs.get(index + 1).map_or(1.0, |(next, _)| *next);
        if right > best && next > *score {
            best = right;
            threshold = if score.is_finite() { score.midpoint(next) } else { next };
        }
    }
    threshold
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> (tempfile::TempDir, IdentitySet) {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a/a_0001.jpg", "a/a_0002.jpg", "b/b_0001.jpg", "b/b_0002.jpg"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let set = IdentitySet::open(folder.path()).unwrap();
        (folder, set)
    }

    #[test]
    fn a_pairs_file_is_read_and_what_is_missing_is_counted() {
        let (_folder, set) = set();
        let text = "2\t1\na\t1\t2\na\t1\tb\t1\nb\t1\t2\nc\t1\tb\t2\n";
        let folds = Folds::parse(text, &set).unwrap();
        assert_eq!(folds.missing, 1);
        assert_eq!(folds.folds[0], [PairOf { a: 0, b: 1, mated: true }, PairOf { a: 0, b: 2, mated: false }]);
        assert_eq!(folds.folds[1], [PairOf { a: 2, b: 3, mated: true }]);
        for wrong in ["", "x y", "1\t1\na\t1\t2\n", "1\t1\na\t1\n"] {
            assert!(Folds::parse(wrong, &set).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn thresholds_come_from_the_other_folds_and_a_failure_is_a_miss() {
        let pair = |a, mated| PairOf { a, b: 0, mated };
        let fold = |first| (first..first + 4).map(|i| pair(i, i % 2 == 0)).collect::<Vec<_>>();
        let folds = Folds { folds: vec![fold(0), fold(4), fold(8)], missing: 0 };
        let apart = |p: PairOf| Some(if p.mated { 0.7 } else { 0.1 });
        assert!((folds.accuracy(apart).mean - 1.0).abs() < 1e-9);
        let failing = folds.accuracy(|p| if p.a < 2 { None } else { apart(p) });
        assert_eq!(failing.folds, [0.75, 1.0, 1.0]);
        // One fold whose scores lie elsewhere is judged by the others' threshold, not by its own.
        let shifted = folds.accuracy(|p| apart(p).map(|s| if p.a < 4 { s - 0.65 } else { s }));
        assert_eq!(shifted.folds[0], 0.5);
    }
}
