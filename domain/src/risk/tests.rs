use proptest::prelude::*;

use super::*;
use crate::gate::GateMode;
use crate::ids::{GateId, StationId};
use crate::tap::Direction;

const BEGIN: Timestamp = Timestamp::from_unix_ms(1_795_000_000_000);

fn tap(second: u64, station: &str, gate: &str, medium: Medium) -> Tap {
    Tap {
        id: RecordId { gate: GateId::new(gate).unwrap(), epoch: 1, sequence: second },
        rider: RiderId::from_bytes([7; 16]),
        station: StationId::new(station).unwrap(),
        direction: Direction::Entry,
        medium,
        mode: GateMode::Normal,
        at: BEGIN.plus(Duration::from_secs(second)),
    }
}

fn facts<'a>(tap: &'a Tap, others: &'a [Tap]) -> RiskFacts<'a> {
    RiskFacts {
        tap,
        others,
        has_paid: true,
        rides: 10,
        unbilled_minor: 0,
        unchecked_at_gate: 0,
        attacks_at_gate: 0,
        attacks_at_station: 0,
        blacklisted: None,
    }
}

fn rules() -> RiskRules {
    let seconds = Duration::from_secs;
    RiskRules {
        velocity: Some((seconds(300), Limit { most: 4, then: Measure::Log })),
        two_places: Some((seconds(60), Measure::Hold)),
        face_and_code: Some((seconds(10), Measure::AskCode)),
        first_rides: Some(Limit { most: 2, then: Measure::Hold }),
        unbilled: Some(Limit { most: 5000, then: Measure::Deny }),
        gate_codes: Some((seconds(600), Limit { most: 20, then: Measure::Log })),
        gate_attacks: Some((seconds(600), Limit { most: 5, then: Measure::AskCode })),
        station_attacks: Some((seconds(600), Limit { most: 9, then: Measure::Log })),
        blacklisted: Some(Measure::Deny),
    }
}

fn met(facts: &RiskFacts<'_>) -> Vec<(RuleName, Measure)> {
    let decision = rules().decide(facts);
    let Some(decision) = decision else { return Vec::new() };
    assert!(decision.findings.iter().all(|finding| !finding.saw.is_empty()), "{decision:?}");
    assert_eq!(Some(decision.measure), decision.findings.iter().map(|finding| finding.asks).max());
    decision.findings.iter().map(|finding| (finding.rule, finding.asks)).collect()
}

#[test]
fn an_ordinary_ride_meets_no_rule() {
    let (entry, exit) = (tap(0, "north", "n", Medium::Face), tap(900, "south", "s", Medium::Code));
    assert_eq!(met(&facts(&exit, &[entry])), []);
}

#[test]
fn each_rule_is_met_beyond_its_limit_and_says_what_it_saw() {
    let now = tap(1000, "north", "n", Medium::Face);
    let at = |second| tap(second, "north", "n", Medium::Face);
    let four: Vec<Tap> = [700, 800, 900, 950].map(at).into();
    assert_eq!(met(&facts(&now, &four)), [(RuleName::Velocity, Measure::Log)]);
    assert_eq!(met(&facts(&now, &four[1..])), []);
    assert_eq!(met(&facts(&now, &[699, 800, 900, 950].map(at))), [], "outside of the window");

    let far = |second| [tap(second, "south", "s", Medium::Face)];
    assert_eq!(met(&facts(&now, &far(941))), [(RuleName::TwoPlaces, Measure::Hold)]);
    assert_eq!(met(&facts(&now, &far(1059))), [(RuleName::TwoPlaces, Measure::Hold)], "whichever came first");
    assert_eq!(met(&facts(&now, &far(940))), []);

    let code = |second, gate| [tap(second, "north", gate, Medium::Code)];
    assert_eq!(met(&facts(&now, &code(991, "n2"))), [(RuleName::FaceAndCode, Measure::AskCode)]);
    assert_eq!(met(&facts(&now, &code(991, "n"))), [], "a double presentation at one gate is a double presentation");
    assert_eq!(met(&facts(&now, &code(990, "n2"))), []);

    let with = |facts: RiskFacts<'_>| met(&facts);
    let calm = facts(&now, &[]);
    assert_eq!(with(RiskFacts { has_paid: false, rides: 3, ..calm.clone() }), [(RuleName::FirstRides, Measure::Hold)]);
    assert_eq!(with(RiskFacts { has_paid: false, rides: 2, ..calm.clone() }), []);
    assert_eq!(with(RiskFacts { unbilled_minor: 5001, ..calm.clone() }), [(RuleName::Unbilled, Measure::Deny)]);
    assert_eq!(with(RiskFacts { unbilled_minor: -5001, ..calm.clone() }), []);
    assert_eq!(with(RiskFacts { unchecked_at_gate: 21, ..calm.clone() }), [(RuleName::GateCodes, Measure::Log)]);
    assert_eq!(
        with(RiskFacts { attacks_at_gate: 6, attacks_at_station: 9, ..calm.clone() }),
        [(RuleName::GateAttacks, Measure::AskCode)]
    );
    assert_eq!(
        with(RiskFacts { attacks_at_gate: 5, attacks_at_station: 10, ..calm.clone() }),
        [(RuleName::StationAttacks, Measure::Log)]
    );
    assert_eq!(
        with(RiskFacts { blacklisted: Some("stolen"), ..calm.clone() }),
        [(RuleName::Blacklisted, Measure::Deny)]
    );
    assert_eq!(RiskRules::default().decide(&RiskFacts { blacklisted: Some("stolen"), ..calm }), None);
}

#[test]
fn names_read_back() {
    for measure in Measure::ALL {
        assert_eq!(Measure::from_name(measure.name()), Some(measure));
    }
    let names: std::collections::BTreeSet<_> = RuleName::ALL.iter().map(|rule| rule.name()).collect();
    assert_eq!(names.len(), RuleName::ALL.len());
}

proptest! {
    #[test]
    fn the_order_in_which_taps_came_does_not_matter(
        seconds in prop::collection::vec((0..1200_u64, any::<bool>(), any::<bool>()), 0..12),
        seed in any::<u64>(),
    ) {
        let now = tap(600, "north", "n", Medium::Face);
        let make = |&(second, far, code): &(u64, bool, bool)| {
            let (station, gate) = if far { ("south", "s") } else { ("north", "n2") };
            tap(second, station, gate, if code { Medium::Code } else { Medium::Face })
        };
        let taps: Vec<Tap> = seconds.iter().map(make).collect();
        let mut shuffled = taps.clone();
        shuffled.sort_by_key(|tap| tap.id.sequence.wrapping_mul(seed | 1));
        let measure = |taps: &[Tap]| rules().decide(&facts(&now, taps)).map(|decision| decision.measure);
        prop_assert_eq!(measure(&taps), measure(&shuffled));
    }
}
