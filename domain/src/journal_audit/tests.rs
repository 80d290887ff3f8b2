//! Days as tables: what is there, what the gate said, and what the audit makes of it.

use jiff::civil::date;

use super::*;

const DAY_MS: i64 = 86_400_000;

fn day_of(at: Timestamp) -> Date {
    date(2026, 11, 1).checked_add(jiff::Span::new().days(at.unix_ms().div_euclid(DAY_MS))).unwrap()
}

fn day(n: i8) -> Date {
    date(2026, 11, 1 + n)
}

/// Passages one after the other: authorisation 2i, passage 2i + 1, `per_day` records a day.
fn lines(count: u64, per_day: u64) -> Vec<Line> {
    let entry = |sequence: u64| match sequence % 2 {
        0 => LineEntry::Authorisation,
        _ => LineEntry::Passage { authorisation: sequence - 1, outcome: PassageOutcome::Passed },
    };
    let at = |sequence: u64| Timestamp::from_unix_ms(i64::try_from(sequence / per_day).unwrap() * DAY_MS);
    (0..count).map(|sequence| Line { sequence, at: at(sequence), entry: entry(sequence) }).collect()
}

fn without(mut lines: Vec<Line>, missing: &[u64]) -> Vec<Line> {
    lines.retain(|line| !missing.contains(&line.sequence));
    lines
}

fn run(lines: &[Line], beside: &Beside) -> Vec<GateDay> {
    audit(&GateId::new("north-in").unwrap(), 1, 0, lines, beside, day_of)
}

fn spans(day: &GateDay) -> Vec<(u64, u64)> {
    day.missing.iter().map(|span| (span.first, span.last)).collect()
}

#[test]
fn whole_days_are_counted_from_first_to_last() {
    let days = run(&lines(20, 10), &Beside::default());
    let told: Vec<_> = days.iter().map(|d| (d.day, d.first, d.last, d.count, d.expected, d.taps)).collect();
    assert_eq!(told, [(day(0), Some(0), Some(9), 10, 10, 5), (day(1), Some(10), Some(19), 10, 10, 5)]);
    assert!(days.iter().all(|day| day.is_complete() && day.passages_unknown == 0));
}

#[test]
fn a_gap_inside_a_day_is_its_own_and_one_at_the_boundary_goes_by_the_gates_word() {
    let lines = without(lines(20, 10), &[3, 4, 8, 9, 10, 11]);
    let days = run(&lines, &Beside::default());
    assert_eq!((spans(&days[0]), spans(&days[1])), (vec![(3, 4)], vec![(8, 11)]), "nobody said where the day ended");
    let said = Beside { words: BTreeMap::from([(day(0), 10), (day(1), 20)]), ..Beside::default() };
    let days = run(&lines, &said);
    assert_eq!((spans(&days[0]), spans(&days[1])), (vec![(3, 4), (8, 9)], vec![(10, 11)]));
    assert_eq!((days[0].count, days[0].expected, days[0].last), (6, 10, Some(9)));
    assert_eq!((days[1].count, days[1].expected, days[1].first), (8, 10, Some(10)));
}

#[test]
fn a_missing_tail_is_found_by_the_gates_word_even_if_nothing_came_at_all() {
    let said = Beside { words: BTreeMap::from([(day(0), 10), (day(2), 14)]), ..Beside::default() };
    let days = run(&lines(8, 10), &said);
    assert_eq!(
        days.iter().map(|d| (d.day, spans(d))).collect::<Vec<_>>(),
        [(day(0), vec![(8, 9)]), (day(2), vec![(10, 13)])]
    );
    let days = run(&[], &said);
    assert_eq!(days.iter().map(|d| (d.count, d.expected)).collect::<Vec<_>>(), [(0, 10), (0, 4)]);
    let old_word = Beside { words: BTreeMap::from([(day(0), 3)]), ..Beside::default() };
    assert!(run(&lines(8, 10), &old_word).iter().all(GateDay::is_complete), "a word is soon outdated");
}

#[test]
fn what_was_lost_or_came_when_asked_for_is_counted_once() {
    let beside = Beside {
        asked: vec![Span { first: 2, last: 7 }, Span { first: 4, last: 5 }],
        lost: vec![Span { first: 0, last: 5 }],
        conflicts: BTreeMap::from([(day(0), 2)]),
        ..Beside::default()
    };
    let [day] = &run(&without(lines(10, 10), &[4, 5]), &beside)[..] else { panic!("one day") };
    assert_eq!((day.refetched, day.lost, day.count, day.expected, day.conflicts), (4, 2, 8, 10, 2));
}

#[test]
fn a_passage_counts_with_its_authorisation_and_an_unknown_one_is_told() {
    let mut lines = lines(10, 5);
    // 4 authorises on the first day, 5 passes on the second.
    lines[7].entry = LineEntry::Passage { authorisation: 6, outcome: PassageOutcome::Unknown };
    lines.pop();
    let days = run(&lines, &Beside::default());
    assert_eq!(days.iter().map(|d| (d.taps, d.passages_unknown)).collect::<Vec<_>>(), [(3, 0), (0, 2)]);
}

#[test]
fn a_window_begins_where_it_is_told() {
    let days = audit(&GateId::new("g").unwrap(), 1, 10, &lines(20, 10)[12..], &Beside::default(), day_of);
    assert_eq!((days.len(), spans(&days[0])), (1, vec![(10, 11)]));
}

#[test]
fn a_span_without_others_is_what_they_leave() {
    let span = |first, last| Span { first, last };
    let whole = span(3, 9);
    assert_eq!(whole.without(&[]), [whole]);
    assert_eq!(whole.without(&[span(0, 2), span(10, 12)]), [whole]);
    assert_eq!(whole.without(&[span(5, 6), span(8, 20)]), [span(3, 4), span(7, 7)]);
    assert_eq!(whole.without(&[span(0, 5), span(4, u64::MAX)]), []);
    assert_eq!(span(0, u64::MAX).without(&[span(0, 0), span(u64::MAX, u64::MAX)]), [span(1, u64::MAX - 1)]);
}
