//! Who belongs to which tier: sets of riders that carry a prior of their own.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use facegate_domain::Timestamp;
use facegate_domain::fingerprint::{FactSet, Fingerprint, bucket_of, fact};
use facegate_domain::ids::{RecordId, RiderId};
use facegate_domain::score::Tier;
use facegate_domain::tap::Direction;

const INSIDE_BUCKETS: usize = FactSet::Inside.buckets();

/// The digest over who is inside since which entry.
#[derive(Debug)]
struct Inside(Fingerprint);

impl Default for Inside {
    fn default() -> Self {
        Self(Fingerprint::new(INSIDE_BUCKETS))
    }
}

fn fact_of(rider: RiderId, entry: &RecordId) -> u64 {
    fact(&[rider.as_bytes(), entry.to_string().as_bytes()])
}

/// Memberships, as they were told; the index holds the templates of each. Knows riders only: whether they have a template
/// here is the gallery's to know, so that a membership that arrives before its template is not lost. Everyone is in
/// `Tier::City`, which therefore is not kept.
#[derive(Debug, Default)]
pub struct Tiers {
    /// By the entries that have not ended, and when each was heard of; one at most unless an exit was lost.
    in_system: HashMap<RiderId, HashMap<RecordId, Timestamp>>,
    /// Over those.
    inside: Inside,
    /// The station's habit set, of this hour.
    regulars: HashSet<RiderId>,
    /// Until when.
    expected: HashMap<RiderId, Timestamp>,
}

impl Tiers {
    /// The narrow tiers that may hold a rider who stands at a gate of this direction.
    pub const fn narrow(direction: Direction) -> &'static [Tier] {
        match direction {
            Direction::Entry => &[Tier::Regulars, Tier::Expected],
            Direction::Exit => &[Tier::InSystem],
        }
    }

    /// Members of a narrow tier.
    pub fn len(&self, tier: Tier, now: Timestamp) -> usize {
        match tier {
            Tier::InSystem => self.in_system.len(),
            Tier::Regulars => self.regulars.len(),
            Tier::Expected => self.expected.values().filter(|until| **until > now).count(),
            Tier::City => 0,
        }
    }

    pub(crate) fn entered(&mut self, rider: RiderId, entry: RecordId, at: Timestamp) {
        let fact = fact_of(rider, &entry);
        if let Entry::Vacant(new) = self.in_system.entry(rider).or_default().entry(entry) {
            new.insert(at);
            self.inside.0.toggle(rider.as_bytes(), fact);
        }
    }

    /// Forgets the entries heard of before `cutoff`, and tells which; the rider of each, if it was his last, is told too.
    pub(crate) fn end_entries(&mut self, cutoff: Timestamp) -> (Vec<(RiderId, RecordId)>, Vec<RiderId>) {
        let (mut ended, mut gone) = (Vec::new(), Vec::new());
        self.in_system.retain(|rider, entries| {
            ended.extend(entries.extract_if(|_, at| *at < cutoff).map(|(entry, _)| (*rider, entry)));
            gone.extend(entries.is_empty().then_some(*rider));
            !entries.is_empty()
        });
        for (rider, entry) in &ended {
            self.inside.0.toggle(rider.as_bytes(), fact_of(*rider, entry));
        }
        (ended, gone)
    }

    /// True if that was his last entry: he is not inside any more.
    pub(crate) fn left(&mut self, rider: RiderId, entry: &RecordId) -> bool {
        let Some(entries) = self.in_system.get_mut(&rider) else { return false };
        if entries.remove(entry).is_some() {
            self.inside.0.toggle(rider.as_bytes(), fact_of(rider, entry));
        }
        let last = entries.is_empty();
        if last {
            self.in_system.remove(&rider);
        }
        last
    }

    pub(crate) fn is_inside(&self, rider: RiderId) -> bool {
        self.in_system.contains_key(&rider)
    }

    pub(crate) fn inside_fingerprint(&self) -> &Fingerprint {
        &self.inside.0
    }

    /// Who is inside, in one bucket of the digest.
    pub(crate) fn inside_in(&self, bucket: usize) -> Vec<(RiderId, RecordId)> {
        let those = self.in_system.iter().filter(|(rider, _)| bucket_of(rider.as_bytes(), INSIDE_BUCKETS) == bucket);
        those.flat_map(|(rider, entries)| entries.keys().map(|entry| (*rider, entry.clone()))).collect()
    }

    /// Expects a rider until the given moment.
    pub(crate) fn expect(&mut self, rider: RiderId, until: Timestamp) {
        self.expected.insert(rider, until);
    }

    pub(crate) fn is_anyone_late(&self, now: Timestamp) -> bool {
        self.expected.values().any(|until| *until <= now)
    }

    /// Forgets everyone whose moment is past, and tells who.
    pub(crate) fn forget_late(&mut self, now: Timestamp) -> Vec<RiderId> {
        self.expected.extract_if(|_, until| *until <= now).map(|(rider, _)| rider).collect()
    }

    /// Gives the set of before.
    pub(crate) fn set_regulars(&mut self, riders: HashSet<RiderId>) -> HashSet<RiderId> {
        std::mem::replace(&mut self.regulars, riders)
    }

    pub(crate) fn remove(&mut self, rider: RiderId) {
        for entry in self.in_system.remove(&rider).unwrap_or_default().into_keys() {
            self.inside.0.toggle(rider.as_bytes(), fact_of(rider, &entry));
        }
        self.regulars.remove(&rider);
        self.expected.remove(&rider);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use facegate_domain::ids::GateId;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_ms(1_790_000_000_000);

    fn entry(sequence: u64) -> RecordId {
        RecordId { gate: GateId::new("north-in").unwrap(), epoch: 1, sequence }
    }

    #[test]
    fn an_exit_ends_its_own_entry_only() {
        let (mut tiers, rider) = (Tiers::default(), RiderId::random());
        tiers.entered(rider, entry(1), NOW);
        tiers.entered(rider, entry(1), NOW);
        tiers.entered(rider, entry(2), NOW);
        assert!(!tiers.left(rider, &entry(1)));
        assert_eq!(tiers.len(Tier::InSystem, NOW), 1);
        assert!(!tiers.left(rider, &entry(9)));
        assert!(tiers.left(rider, &entry(2)));
        assert_eq!(tiers.len(Tier::InSystem, NOW), 0);
        assert!(!tiers.left(rider, &entry(2)));
    }

    #[test]
    fn an_entry_ends_by_itself_when_it_is_too_old_and_a_later_one_of_the_same_rider_does_not() {
        let (mut tiers, once, twice) = (Tiers::default(), RiderId::random(), RiderId::random());
        let after = |s| NOW.plus(Duration::from_secs(s));
        tiers.entered(once, entry(1), NOW);
        tiers.entered(once, entry(1), after(90));
        tiers.entered(twice, entry(2), NOW);
        tiers.entered(twice, entry(3), after(60));
        assert_eq!(tiers.end_entries(NOW), (vec![], vec![]));
        let (mut ended, gone) = tiers.end_entries(after(1));
        ended.sort_by_key(|(_, entry)| entry.sequence);
        assert_eq!((ended, gone), (vec![(once, entry(1)), (twice, entry(2))], vec![once]));
        assert_eq!(tiers.len(Tier::InSystem, NOW), 1);
        assert!(tiers.left(twice, &entry(3)));
    }

    #[test]
    fn an_expected_rider_is_forgotten_on_time() {
        let (mut tiers, early, late) = (Tiers::default(), RiderId::random(), RiderId::random());
        let after = |s| NOW.plus(Duration::from_secs(s));
        tiers.expect(early, after(60));
        tiers.expect(late, after(200));
        assert!(!tiers.is_anyone_late(after(59)));
        assert_eq!((tiers.len(Tier::Expected, after(59)), tiers.len(Tier::Expected, after(60))), (2, 1));
        assert!(tiers.is_anyone_late(after(60)));
        assert_eq!(tiers.forget_late(after(61)), [early]);
        assert_eq!(tiers.len(Tier::Expected, NOW), 1);
    }

    #[test]
    fn a_removed_rider_is_in_no_tier() {
        let (mut tiers, rider) = (Tiers::default(), RiderId::random());
        tiers.entered(rider, entry(1), NOW);
        tiers.expect(rider, NOW.plus(Duration::from_secs(9)));
        tiers.set_regulars(HashSet::from([rider]));
        tiers.remove(rider);
        assert!(Tier::ALL.iter().all(|tier| tiers.len(*tier, NOW) == 0));
    }
}
