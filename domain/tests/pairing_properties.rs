//! Pairing against random tap histories: order, repetition and the company of other riders make no difference.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::time::Duration;

use facegate_domain::Timestamp;
use facegate_domain::gate::GateMode;
use facegate_domain::ids::{GateId, RecordId, RiderId, StationId};
use facegate_domain::journey::{Incomplete, PairingPolicy, pair};
use facegate_domain::tap::{Direction, Medium, Tap};
use proptest::prelude::*;
use proptest::sample::Index;

fn any_tap() -> impl Strategy<Value = (u8, u8, bool, bool, u32)> {
    // Few riders, few stations and little time, so that ties, merges and missing ends are common.
    (0..3_u8, 0..3_u8, any::<bool>(), any::<bool>(), 0..60_u32)
}

/// Every tap has its own record id; times may tie.
fn history() -> impl Strategy<Value = Vec<Tap>> {
    proptest::collection::vec(any_tap(), 0..24).prop_map(|raw| {
        (0..)
            .zip(raw)
            .map(|(sequence, (rider, station, entry, face, seconds))| {
                let (way, direction) = if entry { ("in", Direction::Entry) } else { ("out", Direction::Exit) };
                Tap {
                    id: RecordId { gate: GateId::new(format!("s{station}-{way}")).unwrap(), epoch: 1, sequence },
                    rider: RiderId::from_bytes([rider; 16]),
                    station: StationId::new(format!("s{station}")).unwrap(),
                    direction,
                    medium: if face { Medium::Face } else { Medium::Code },
                    mode: GateMode::Normal,
                    at: Timestamp::from_unix_ms(i64::from(seconds) * 1000),
                }
            })
            .collect()
    })
}

/// A history, and the same taps in another order with some of them delivered again.
fn history_as_it_arrives() -> impl Strategy<Value = (Vec<Tap>, Vec<Tap>)> {
    (history(), proptest::collection::vec(any::<Index>(), 0..10)).prop_flat_map(|(taps, again)| {
        let mut arrived = taps.clone();
        if !taps.is_empty() {
            arrived.extend(again.iter().map(|index| taps[index.index(taps.len())].clone()));
        }
        (Just(taps), Just(arrived).prop_shuffle())
    })
}

const POLICY: PairingPolicy =
    PairingPolicy { merge_window: Duration::from_secs(5), journey_max: Duration::from_secs(40) };

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn order_and_repetition_make_no_difference((taps, arrived) in history_as_it_arrives()) {
        prop_assert_eq!(pair(&arrived, &POLICY), pair(&taps, &POLICY));
    }

    #[test]
    fn every_tap_is_in_exactly_one_place(taps in history()) {
        let pairing = pair(&taps, &POLICY);
        let mut placed: Vec<&RecordId> = Vec::new();
        placed.extend(pairing.journeys.iter().flat_map(|journey| [&journey.entry.id, &journey.exit.id]));
        placed.extend(pairing.incomplete.iter().map(|incomplete| &incomplete.tap().id));
        placed.extend(pairing.open.iter().chain(&pairing.merged).map(|tap| &tap.id));
        let distinct: BTreeSet<&RecordId> = placed.iter().copied().collect();
        prop_assert_eq!(placed.len(), taps.len());
        prop_assert_eq!(distinct.len(), taps.len());
        let ids: BTreeSet<_> = pairing.journeys.iter().map(|journey| journey.id).collect();
        prop_assert_eq!(ids.len(), pairing.journeys.len());
    }

    #[test]
    fn journeys_run_forward_within_the_limit_and_never_overlap(taps in history()) {
        let pairing = pair(&taps, &POLICY);
        for journey in &pairing.journeys {
            prop_assert_eq!(journey.entry.rider, journey.exit.rider);
            prop_assert_eq!(journey.entry.direction, Direction::Entry);
            prop_assert_eq!(journey.exit.direction, Direction::Exit);
            prop_assert!(journey.entry.at <= journey.exit.at && journey.duration() <= POLICY.journey_max);
            for other in pairing.journeys.iter().filter(|o| o.id != journey.id && o.rider() == journey.rider()) {
                prop_assert!(other.exit.at <= journey.entry.at || journey.exit.at <= other.entry.at);
            }
        }
        for incomplete in &pairing.incomplete {
            let direction = match incomplete {
                Incomplete::MissingExit { .. } => Direction::Entry,
                Incomplete::MissingEntry { .. } => Direction::Exit,
            };
            prop_assert_eq!(incomplete.tap().direction, direction);
        }
        let riders: BTreeSet<RiderId> = pairing.open.iter().map(|tap| tap.rider).collect();
        prop_assert_eq!(riders.len(), pairing.open.len(), "nobody is inside twice");
    }

    #[test]
    fn other_riders_make_no_difference(taps in history()) {
        let together = pair(&taps, &POLICY);
        for rider in taps.iter().map(|tap| tap.rider).collect::<BTreeSet<_>>() {
            let own: Vec<Tap> = taps.iter().filter(|tap| tap.rider == rider).cloned().collect();
            let alone = pair(&own, &POLICY);
            let journeys: Vec<_> = together.journeys.iter().filter(|j| j.rider() == rider).cloned().collect();
            prop_assert_eq!(alone.journeys, journeys);
        }
    }
}
