//! Who comes to which station when, from past entries: what the tier of regulars is made of.
//!
//! A rider is a regular of a station in the hours in which he entered it on several days, counting the hours before and
//! after, since a train missed is not a habit broken. Hours are of UTC: the clock change of a summer costs a day or two.
//! Only entries that the rider made with his consent are looked at, and only station, hour and day of them are used.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::{RiderId, StationId};

const HOUR_MS: i64 = 3_600_000;
const HOURS: u32 = 24;

/// A set of hours of the day, UTC; bit h is the hour that begins at h:00.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Hours(u32);

impl Hours {
    pub const NONE: Self = Self(0);

    /// `None` if a bit beyond the day's last hour is set.
    pub fn from_bits(bits: u32) -> Option<Self> {
        (bits >> HOURS == 0).then_some(Self(bits))
    }

    pub const fn bits(self) -> u32 {
        self.0
    }

    #[must_use]
    pub const fn with(self, hour: u32) -> Self {
        Self(self.0 | 1 << (hour % HOURS))
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the moment lies in one of these hours.
    pub fn contains(self, at: Timestamp) -> bool {
        self.0 >> hour_of(at) & 1 == 1
    }
}

/// A rider expected at a station in some hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Regular {
    pub rider: RiderId,
    pub hours: Hours,
}

/// What makes a habit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HabitPolicy {
    /// Entries older than this say nothing any more.
    pub window: Duration,
    /// On how many different days he must have come in an hour, or the one before or after it.
    pub days_min: u32,
    /// Regulars of one station; of more, those with the most days.
    pub riders_max: usize,
}

impl Default for HabitPolicy {
    /// Four weeks; three days; twenty thousand, which a search of the tier takes a fraction of a millisecond for.
    fn default() -> Self {
        Self { window: Duration::from_secs(28 * 86_400), days_min: 3, riders_max: 20_000 }
    }
}

/// One rider's habit at one station.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Habit {
    pub hours: Hours,
    /// Different days on which he entered there.
    pub days: u32,
    pub latest: Timestamp,
}

/// The habits that one rider's entries show, by station. Their order and repetition do not matter.
pub fn habits(entries: &[(StationId, Timestamp)], policy: &HabitPolicy, now: Timestamp) -> BTreeMap<StationId, Habit> {
    let mut stations: BTreeMap<&StationId, Vec<Timestamp>> = BTreeMap::new();
    let since = now.minus(policy.window);
    for (station, at) in entries.iter().filter(|(_, at)| *at >= since && *at <= now) {
        stations.entry(station).or_default().push(*at);
    }
    let habit = |(station, at): (&StationId, Vec<Timestamp>)| Some((station.clone(), habit(&at, policy)?));
    stations.into_iter().filter_map(habit).collect()
}

/// `None` if there is no hour that he came in on enough days.
fn habit(entries: &[Timestamp], policy: &HabitPolicy) -> Option<Habit> {
    let latest = *entries.iter().max()?;
    let days: BTreeSet<i64> = entries.iter().map(|at| day_of(*at)).collect();
    let days_near = |hour: u32| {
        let near = entries.iter().filter(|at| distance(hour_of(**at), hour) <= 1);
        near.map(|at| day_of(*at)).collect::<BTreeSet<_>>().len()
    };
    let enough = policy.days_min as usize;
    let hours = (0..HOURS).filter(|hour| days_near(*hour) >= enough).fold(Hours::NONE, Hours::with);
    let days = u32::try_from(days.len()).unwrap_or(u32::MAX);
    (!hours.is_empty()).then_some(Habit { hours, days, latest })
}

/// Hours from one to the other, around the clock.
fn distance(a: u32, b: u32) -> u32 {
    let apart = a.abs_diff(b);
    apart.min(HOURS - apart)
}

fn hour_of(at: Timestamp) -> u32 {
    u32::try_from(at.unix_ms().div_euclid(HOUR_MS).rem_euclid(i64::from(HOURS))).unwrap_or(0)
}

fn day_of(at: Timestamp) -> i64 {
    at.unix_ms().div_euclid(HOUR_MS * i64::from(HOURS))
}

/// The best regulars of every station, told rider by rider, in memory that the bound bounds.
#[derive(Debug)]
pub struct Ranking {
    riders_max: usize,
    stations: BTreeMap<StationId, BinaryHeap<std::cmp::Reverse<Ranked>>>,
}

/// In the order of merit; the rider's id only makes the order one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Ranked {
    days: u32,
    latest: Timestamp,
    rider: RiderId,
    hours: Hours,
}

impl Ranking {
    pub fn new(policy: &HabitPolicy) -> Self {
        Self { riders_max: policy.riders_max, stations: BTreeMap::new() }
    }

    /// Takes one rider's habits.
    pub fn add(&mut self, rider: RiderId, habits: BTreeMap<StationId, Habit>) {
        for (station, Habit { hours, days, latest }) in habits {
            let best = self.stations.entry(station).or_default();
            best.push(std::cmp::Reverse(Ranked { days, latest, rider, hours }));
            if best.len() > self.riders_max {
                best.pop();
            }
        }
    }

    /// The regulars of each station, in the order of their ids, so that the same set always looks the same.
    pub fn into_regulars(self) -> BTreeMap<StationId, Vec<Regular>> {
        let regulars = |best: BinaryHeap<std::cmp::Reverse<Ranked>>| {
            let regular = |std::cmp::Reverse(Ranked { rider, hours, .. })| Regular { rider, hours };
            let mut riders: Vec<_> = best.into_iter().map(regular).collect();
            riders.sort_unstable_by_key(|regular| regular.rider);
            riders
        };
        self.stations.into_iter().map(|(station, best)| (station, regulars(best))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Midnight, UTC.
    const NOW: Timestamp = Timestamp::from_unix_ms(20_000 * 86_400_000);

    fn station(name: &str) -> StationId {
        StationId::new(name).unwrap()
    }

    fn entry(days_ago: i64, hour: i64, minute: i64) -> Timestamp {
        Timestamp::from_unix_ms(NOW.unix_ms() - days_ago * 86_400_000 + hour * HOUR_MS + minute * 60_000)
    }

    fn hours_of(entries: &[Timestamp]) -> Vec<u32> {
        let entries: Vec<_> = entries.iter().map(|at| (station("north"), *at)).collect();
        let found = habits(&entries, &HabitPolicy::default(), NOW);
        let hours = found.get(&station("north")).map_or(Hours::NONE, |habit| habit.hours);
        (0..HOURS).filter(|hour| hours.bits() >> hour & 1 == 1).collect()
    }

    #[test]
    fn a_habit_is_the_same_hour_on_several_days() {
        let table: [(&str, Vec<Timestamp>, Vec<u32>); 7] = [
            ("never", vec![], vec![]),
            ("twice is chance", vec![entry(1, 8, 0), entry(2, 8, 0)], vec![]),
            ("three times on one day is one day", vec![entry(1, 8, 0), entry(1, 8, 20), entry(1, 8, 40)], vec![]),
            ("three days, and who is early or late", (1..4).map(|d| entry(d, 8, 5)).collect(), vec![7, 8, 9]),
            ("around the full hour", vec![entry(1, 7, 58), entry(2, 8, 2), entry(3, 7, 59)], vec![7, 8]),
            ("around midnight", vec![entry(1, 23, 50), entry(3, 0, 10), entry(5, 23, 55)], vec![0, 23]),
            ("long ago", (40..50).map(|d| entry(d, 8, 0)).collect(), vec![]),
        ];
        for (what, entries, hours) in table {
            assert_eq!(hours_of(&entries), hours, "{what}");
            let twice: Vec<_> = entries.iter().rev().chain(&entries).copied().collect();
            assert_eq!(hours_of(&twice), hours, "{what}, in another order and again");
        }
    }

    #[test]
    fn what_the_future_holds_is_no_habit() {
        assert_eq!(hours_of(&[entry(-1, 8, 0), entry(-2, 8, 0), entry(-3, 8, 0)]), Vec::<u32>::new());
    }

    #[test]
    fn a_full_station_keeps_those_who_come_most_and_each_station_its_own() {
        let policy = HabitPolicy { riders_max: 2, ..HabitPolicy::default() };
        let mut ranking = Ranking::new(&policy);
        let riders: Vec<_> = (0..4).map(|_| RiderId::random()).collect();
        for (i, rider) in riders.iter().enumerate() {
            let days = 3 + i64::try_from(i).unwrap();
            let mut entries: Vec<_> = (1..=days).map(|d| (station("north"), entry(d, 8, 0))).collect();
            if i == 0 {
                entries.extend((1..4).map(|d| (station("south"), entry(d, 18, 0))));
            }
            ranking.add(*rider, habits(&entries, &policy, NOW));
        }
        let regulars = ranking.into_regulars();
        let of = |name| regulars[&station(name)].iter().map(|regular| regular.rider).collect::<BTreeSet<_>>();
        assert_eq!(of("north"), BTreeSet::from([riders[2], riders[3]]));
        assert_eq!(of("south"), BTreeSet::from([riders[0]]));
    }

    #[test]
    fn hours_name_the_moment_and_nothing_beyond_the_day() {
        let hours = Hours::NONE.with(8);
        assert!(hours.contains(entry(1, 8, 59)) && !hours.contains(entry(1, 9, 0)));
        assert_eq!(Hours::from_bits(1 << 24), None);
        assert_eq!(Hours::from_bits(hours.bits()), Some(hours));
    }
}
