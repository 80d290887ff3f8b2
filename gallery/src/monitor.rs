//! The recall monitor: some of the live probes are searched once more, exhaustively, off the hot path.
//!
//! The scan of sign bits misses a mate now and then, by design less than one in a thousand. Should faces ever lie
//! otherwise than it was measured on, this tells before riders do.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use facegate_domain::face::Embedding;

use crate::engine::Hit;
use crate::index::{Index, Query};

/// One probe of this many is a candidate for the next check; the latest waits.
const EVERY: u64 = 16;
/// A template that is not that similar is nobody's mate, and missing it is no loss.
const MATE_COSINE: f32 = 0.65;
/// Mates that must have been checked before the share of misses means anything.
const MATES_MIN: u64 = 1000;
/// The share of mates that may be missed.
const MISSED_MAX: f64 = 0.002;
/// Mates of one half of the window: what was found longer ago than two of them is forgotten, so that years without a miss
/// do not hide a week full of them, nor a bad week that was mended go on raising the alarm.
const HALF_MATES: u64 = 2000;

/// What the latest checks found.
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
    window: Mutex<Window>,
}

/// The latest 2,000 to 4,000 mates.
#[derive(Debug, Default)]
struct Window {
    before: Recall,
    now: Recall,
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

    /// Checks the probe that waits, if one does. Gives the latest counts.
    pub fn check(&self, index: &Index) -> Recall {
        let probe = self.next.lock().unwrap_or_else(PoisonError::into_inner).take();
        let live = |probe: &Embedding| {
            let answers = index.search_all(&[Query { probe, tiers: &[] }], 1).ok()?;
            Some(answers.first()?.hits.first().copied())
        };
        let found = probe.and_then(|probe| compare(index, &probe, live));
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = found {
            window.add(found);
        }
        window.both()
    }
}

impl Window {
    fn add(&mut self, found: Recall) {
        if self.now.mates >= HALF_MATES {
            self.before = std::mem::take(&mut self.now);
        }
        self.now = self.now.plus(found);
    }

    fn both(&self) -> Recall {
        self.before.plus(self.now)
    }
}

/// Whether the `live` search, which gives its best hit if there is one, found the mate. It runs after the exhaustive one,
/// so that a template put meanwhile is not a miss. `None` if a search refused the probe.
fn compare(index: &Index, probe: &Embedding, live: impl Fn(&Embedding) -> Option<Option<Hit>>) -> Option<Recall> {
    let exact = index.search_exhaustively(probe, 1).ok()?.first().copied();
    let fast = live(probe)?;
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
    fn a_mate_that_the_live_search_does_not_put_first_is_a_miss_unless_he_is_gone() {
        let (model, mut rng) = (ModelId::new("sface").unwrap(), StdRng::seed_from_u64(2));
        let index = Index::new(model.clone(), 64);
        let mut put = || {
            let values = (0..64).map(|_| rng.random_range(-1.0..1.0)).collect();
            let embedding = Embedding::normalise(model.clone(), values).unwrap();
            let (id, rider) = (TemplateId::random(), RiderId::random());
            let template = Template { id, rider, embedding, photographs: 1 };
            index.put(&template).unwrap();
            template
        };
        let (mate, other) = (put(), put());
        let found = |template: &Template| {
            let hits = index.search_exhaustively(&mate.embedding, 2).unwrap();
            hits.into_iter().find(|hit| hit.template == template.id)
        };
        let (first, second) = (found(&mate), found(&other));
        let check = |best: Option<Hit>| compare(&index, &mate.embedding, |_| Some(best)).unwrap();
        let recall = |missed| Recall { checked: 1, mates: 1, missed };
        assert_eq!((check(first), check(second), check(None)), (recall(0), recall(1), recall(1)));
        assert_eq!(compare(&index, &mate.embedding, |_| None), None, "a search that fails is no miss");
        let meanwhile = |_: &Embedding| {
            index.remove(mate.id);
            Some(second)
        };
        assert_eq!(compare(&index, &mate.embedding, meanwhile), Some(recall(0)), "removed meanwhile");
    }

    #[test]
    fn a_change_for_the_worse_is_told_within_the_window_and_forgotten_after_it() {
        let mut window = Window::default();
        let mut check = |mates: u64, missed_every: u64| {
            for i in 1..=mates {
                let missed = u64::from(missed_every > 0 && i % missed_every == 0);
                window.add(Recall { checked: 2, mates: 1, missed });
            }
            window.both()
        };
        assert!(!check(1_000_000, 0).has_drifted());
        let worse = check(2000, 100);
        assert!(worse.has_drifted() && worse.mates <= 2 * HALF_MATES, "{worse:?}");
        assert_eq!(check(2 * HALF_MATES, 0).missed, 0);
    }

    #[test]
    fn more_misses_than_by_design_raise_an_alarm() {
        let recall = |mates, missed| Recall { checked: 2 * mates, mates, missed };
        assert!(!recall(10, 10).has_drifted(), "too few to tell");
        assert!(!recall(10_000, 20).has_drifted() && recall(10_000, 21).has_drifted());
    }
}
