//! The same figures by group of people, where the set carries labels: a mean hides whom it fails.

use std::collections::BTreeSet;

use serde::Serialize;

use super::acquire::Population;
use super::comparable::Comparable;
use super::intervals::Estimate;

/// Errors of one group at the threshold of the whole set.
#[derive(Debug, Clone, Serialize)]
pub struct Group {
    pub name: String,
    pub people: usize,
    /// Share of comparisons between two people of the group that the threshold lets through.
    pub fmr: f64,
    pub impostor_pairs: u64,
    pub fnmr: Estimate,
}

/// Every group of `groups.csv`, in the order of names; none where there is no such file.
pub fn measure(population: &Population, vectors: &Comparable, threshold: f64) -> Vec<Group> {
    let labels = &population.set.groups;
    let names: BTreeSet<&String> = labels.values().collect();
    let group = |name: &String| {
        let belongs = |person: usize| labels.get(&person) == Some(name);
        let (_, impostor) = vectors.all_pairs(belongs);
        let tar = vectors.tar_at(threshold, belongs);
        Group {
            name: name.clone(),
            people: labels.values().filter(|label| *label == name).count(),
            fmr: impostor.share_from(threshold),
            impostor_pairs: impostor.count,
            fnmr: Estimate { value: 1.0 - tar.value, low: 1.0 - tar.high, high: 1.0 - tar.low },
        }
    };
    names.into_iter().map(group).collect()
}
