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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_judged_by_its_own_people_at_everybodys_threshold() {
        // Two of the north who are as one, two of the south who are nothing alike and of whom a photograph failed.
        let unit = |i: usize| {
            let mut vector = vec![0.0; 4];
            vector[i] = 1.0;
            Some(vector)
        };
        let people =
            [vec![unit(0); 2], vec![unit(0); 2], vec![unit(1), unit(1), None], vec![unit(2); 2], vec![unit(3)]];
        let mut population = Population::made_up(&people);
        population.set.groups = [(0, "north"), (1, "north"), (2, "south"), (3, "south")]
            .map(|(person, group)| (person, group.to_owned()))
            .into();
        let groups = measure(&population, &Comparable::of(&population), 0.5);
        let [north, south] = groups.as_slice() else { panic!("{groups:?}") };
        assert_eq!((north.name.as_str(), north.people, north.impostor_pairs), ("north", 2, 4));
        assert_eq!((north.fmr, north.fnmr.value), (1.0, 0.0));
        assert_eq!((south.name.as_str(), south.people, south.impostor_pairs), ("south", 2, 4));
        // Two of four mated pairs are with the photograph that failed.
        assert_eq!((south.fmr, south.fnmr.value), (0.0, 0.5));
        assert!(south.fnmr.low < 0.5 && south.fnmr.high > 0.5 && south.fnmr.high <= 1.0, "{south:?}");
    }

    #[test]
    fn without_labels_there_are_no_groups() {
        let population = Population::orthogonal(&[2, 2]);
        assert!(measure(&population, &Comparable::of(&population), 0.5).is_empty());
    }
}
