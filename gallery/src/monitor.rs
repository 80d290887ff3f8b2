//! The recall monitor: some of the live probes are searched once more, exhaustively, off the hot path.
//!
//! The scan of sign bits misses a mate now and then, by design less than one in a thousand. Should faces ever lie
//! otherwise than it was measured on, this tells before riders do.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use facegate_domain::face::Embedding;

use crate::index::{Index, Query};

/// One probe of this many is a candidate for the next check; the latest waits.
const EVERY: u64 = 16;
/// A template that is not that similar is nobody's mate, and missing it is no loss.
const MATE_COSINE: f32 = 0.65;
/// Mates that must have been checked before the share of misses means anything.
const MATES_MIN: u64 = 1000;
/// The share of mates that may be missed.
const MISSED_MAX: f64 = 0.002;

/// What the checks found so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recall {
    /// Probes that were searched exhaustively.
    pub checked: u64,
    /// Those that had a mate.
    pub mates: u64,
    /// Those whose mate the fast search did not put first.
    pub missed: u64,
}

/// Counts, and the probe that is checked next.
#[derive(Debug, Default)]
pub struct Monitor {
    seen: AtomicU64,
    next: Mutex<Option<Embedding>>,
    recall: Mutex<Recall>,
}

impl Recall {
    /// Whether more mates are missed than may be: raise an alarm.
    #[expect(clippy::cast_precision_loss, reason = "counts")]
    pub fn has_drifted(&self) -> bool {
        self.mates >= MATES_MIN && self.missed as f64 > MISSED_MAX * self.mates as f64
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            checked: self.checked + other.checked,
            mates: self.mates + other.mates,
            missed: self.missed + other.missed,
        }
    }
}

impl Monitor {
    /// Notes a probe, if it is one of the sample.
    pub fn sample(&self, probe: &Embedding) {
        if self.seen.fetch_add(1, Ordering::Relaxed).is_multiple_of(EVERY) {
            *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(probe.clone());
        }
    }

    /// Checks the probe that waits, if one does. Gives the counts so far.
    pub fn check(&self, index: &Index) -> Recall {
        let probe = self.next.lock().unwrap_or_else(PoisonError::into_inner).take();
        let found = probe.and_then(|probe| compare(index, &probe));
        let mut recall = self.recall.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = found {
            *recall = recall.plus(found);
        }
        *recall
    }
}

/// The fast search runs after the exhaustive one, so that a template put meanwhile is not a miss. `None` if the probe
/// does not fit the index.
fn compare(index: &Index, probe: &Embedding) -> Option<Recall> {
    let exact = index.search_exhaustively(probe, 1).ok()?.first().copied();
    let fast = index.search_all(&[Query { probe, tiers: &[] }], 1).ok()?.first()?.hits.first().copied();
    let Some(exact) = exact.filter(|hit| hit.similarity.cosine() >= MATE_COSINE) else {
        return Some(Recall { checked: 1, ..Recall::default() });
    };
    // Removed meanwhile: then the fast search may not find it.
    let still_there = index.cosine_to(probe, exact.template).ok()?.is_some();
    let missed = still_there && fast.is_none_or(|fast| fast.similarity < exact.similarity);
    Some(Recall { checked: 1, mates: 1, missed: u64::from(missed) })
}

#[cfg(test)]
mod tests {
    use facegate_domain::face::Template;
    use facegate_domain::ids::{ModelId, RiderId, TemplateId};
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    #[test]
    fn a_sample_is_checked_and_a_mate_found_is_no_miss() {
        let (model, mut rng) = (ModelId::new("sface").unwrap(), StdRng::seed_from_u64(1));
        let index = Index::new(model.clone(), 64);
        let mut face =
            || Embedding::normalise(model.clone(), (0..64).map(|_| rng.random_range(-1.0..1.0)).collect()).unwrap();
        let (mate, stranger) = (face(), face());
        let (id, rider) = (TemplateId::random(), RiderId::random());
        index.put(&Template { id, rider, embedding: mate.clone(), photographs: 1 }).unwrap();
        let monitor = Monitor::default();
        assert_eq!(monitor.check(&index), Recall::default(), "nobody was searched yet");
        for probe in [&mate, &stranger] {
            (0..EVERY).for_each(|_| monitor.sample(probe));
            monitor.check(&index);
        }
        assert_eq!(monitor.check(&index), Recall { checked: 2, mates: 1, missed: 0 });
    }

    #[test]
    fn more_misses_than_by_design_raise_an_alarm() {
        let recall = |mates, missed| Recall { checked: 2 * mates, mates, missed };
        assert!(!recall(10, 10).has_drifted(), "too few to tell");
        assert!(!recall(10_000, 20).has_drifted() && recall(10_000, 21).has_drifted());
    }
}
