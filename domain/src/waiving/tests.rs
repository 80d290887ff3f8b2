use std::time::Duration;

use super::*;
use crate::fares::Waives;
use crate::four_eyes::{ApprovalState, COUNTS_TOGETHER};

const NOW: Timestamp = Timestamp::from_unix_ms(1_795_000_000_000);
const POLICY: RemedyPolicy = RemedyPolicy { four_eyes_above_minor: 1000 };

fn money(minor: i64) -> Money {
    Money::from_minor(minor, "CNY".parse().unwrap())
}

fn reach(cost: i64, expected: i64) -> WaiverReach {
    WaiverReach { rides: 1, riders: 1, cost: money(cost), expected: money(expected), is_part: false }
}

fn asked(n: u8, reach: WaiverReach, lately: &[ProposedWaiver], now: Timestamp) -> ProposedWaiver {
    let (from, until) = (NOW, NOW.plus(Duration::from_secs(3600)));
    let waiver = Waiver { reason: "a storm".into(), waives: Waives::Fare, stations: None, from, until };
    let request = WaiverRequest { id: Uuid::from_bytes([n; 16]), waiver, reach, by: "operator/ada".into() };
    ProposedWaiver::ask(request, lately, &POLICY, now).unwrap()
}

#[test]
fn one_person_waives_little_and_two_waive_much_also_in_small_parts_and_of_what_is_to_come() {
    let small = asked(1, reach(600, 0), &[], NOW);
    assert_eq!(small.approval.state, ApprovalState::Done);
    for much in [reach(1001, 0), reach(0, 1001), reach(600, 401), WaiverReach { is_part: true, ..reach(1, 0) }] {
        assert!(asked(2, much, &[], NOW).approval.waits(), "{much:?}");
    }
    let lately = std::slice::from_ref(&small);
    assert!(asked(2, reach(401, 0), lately, NOW).approval.waits(), "together they are too much for one");
    assert!(asked(2, reach(400, 0), lately, NOW).approval.is_done());
    assert!(asked(2, reach(1000, 0), lately, NOW.plus(COUNTS_TOGETHER)).approval.is_done());
    let much = asked(3, reach(5000, 0), &[], NOW);
    assert!(asked(2, reach(0, 0), std::slice::from_ref(&much), NOW).approval.is_done(), "it gives nothing back");
    let rejected = much.decide(false, "operator/bob").unwrap();
    assert!(asked(2, reach(1000, 0), &[rejected], NOW).approval.is_done());
}

#[test]
fn another_person_decides_once() {
    let waits = asked(1, reach(5000, 0), &[], NOW);
    let same = waits.decide(true, "operator/ada");
    assert!(matches!(same, Err(WaivingError::Approval(ApprovalError::SamePerson { .. }))), "{same:?}");
    let done = waits.decide(true, "operator/bob").unwrap();
    assert_eq!((done.approval.is_done(), done.approval.decided_by.as_deref()), (true, Some("operator/bob")));
    let late = done.decide(false, "operator/eve");
    assert_eq!(late, Err(WaivingError::Approval(ApprovalError::Decided(ApprovalState::Done))));
}

#[test]
fn a_sum_that_grew_by_more_than_a_tenth_is_to_be_looked_at_again() {
    for (now, is_much) in [(999, false), (1000, false), (1100, false), (1101, true)] {
        assert_eq!(reach(now, 0).outgrows(money(1000)).unwrap(), is_much, "{now}");
    }
    assert!(reach(1, 0).outgrows(money(0)).unwrap());
    assert!(reach(1, 0).outgrows(money(-50)).unwrap());
    assert!(!reach(i64::MAX, 0).outgrows(money(i64::MAX)).unwrap());
    assert!(reach(i64::MAX, 1).outgrows(money(5)).is_err());
}
