//! What the end-of-day audit reads and writes.

use facegate_cloud_sync::store::{JournalWord, SkewedRecord, Wanted};
use facegate_domain::ids::RiderId;
use facegate_domain::journal_audit::{GateDay, JournalRange, LineEntry, Span};
use facegate_domain::tap::PassageOutcome;

use crate::places::Place;
use crate::world::{Gate, NOW, after, face};

pub async fn a_journal_is_read_line_by_line_with_its_gaps(place: &Place) {
    let store = place.open().await;
    let mut gate = Gate::entry("north");
    let records: Vec<_> = (0..4).flat_map(|n| gate.passed(RiderId::random(), after(n))).collect();
    let kept = [0, 1, 3, 6].map(|n: usize| records[n].clone());
    store.record_taps(kept.to_vec(), NOW).await.unwrap();
    let lines = store.journal_lines(&gate.gate, 1, 1, 10).await.unwrap();
    assert_eq!(lines.iter().map(|line| line.sequence).collect::<Vec<_>>(), [1, 3, 6]);
    let passed = LineEntry::Passage { authorisation: 0, outcome: PassageOutcome::Passed };
    assert_eq!((lines[0].entry, lines[2].entry, lines[2].at), (passed, LineEntry::Authorisation, after(3)));
    let spans = |spans: &[(u64, u64)]| spans.iter().map(|(f, l)| Span::new(*f, *l).unwrap()).collect::<Vec<_>>();
    let missing = async |before, max| store.missing_spans(&gate.gate, 1, before, max).await.unwrap();
    assert_eq!(missing(8, 10).await, spans(&[(2, 2), (4, 5), (7, 7)]));
    assert_eq!(missing(5, 10).await, spans(&[(2, 2), (4, 4)]));
    assert_eq!(missing(8, 1).await, spans(&[(2, 2)]));
    let arrivals = store.arrivals(Some(&gate.gate)).await.unwrap();
    assert_eq!((arrivals.len(), arrivals[0].next_sequence, arrivals[0].end), (1, 2, 7));

    store.lower_mark(&gate.gate, 1, 1).await.unwrap();
    assert_eq!(store.marks(&gate.gate).await.unwrap()[0].next_sequence, 1);
    store.lower_mark(&gate.gate, 1, 5).await.unwrap();
    assert_eq!(store.marks(&gate.gate).await.unwrap()[0].next_sequence, 1, "never raised");
    let marks = store.record_taps(vec![records[2].clone()], NOW).await.unwrap().marks;
    assert_eq!(marks[0].next_sequence, 4, "the next record closes what is closed");
}

pub async fn words_wishes_and_findings_are_kept(place: &Place) {
    let store = place.open().await;
    let (gate, day) = (Gate::entry("north").gate, jiff::civil::date(2026, 11, 28));
    let word = |next_sequence, days: i8| JournalWord {
        gate: gate.clone(),
        epoch: 2,
        day: jiff::civil::date(2026, 11, 28 + days),
        next_sequence,
    };
    store.note_words(vec![word(9, 1), word(5, 0)]).await.unwrap();
    store.note_words(vec![word(7, 0), word(8, 1)]).await.unwrap();
    assert_eq!(store.words(&gate, 2).await.unwrap(), [word(7, 0), word(9, 1)]);
    let arrivals = store.arrivals(None).await.unwrap();
    assert_eq!((arrivals.len(), arrivals[0].epoch, arrivals[0].end), (1, 2, 0));

    let range = JournalRange { gate: gate.clone(), epoch: 2, span: Span::new(3, 4).unwrap() };
    let asked = Wanted { range, asked_at: NOW, lost_at: None };
    let lost = Wanted { lost_at: Some(after(5)), ..asked.clone() };
    store.note_wanted(vec![asked]).await.unwrap();
    store.note_wanted(vec![lost.clone()]).await.unwrap();
    assert_eq!(store.wanted(&gate, 2).await.unwrap(), [lost]);

    let mut found = GateDay {
        gate: gate.clone(),
        epoch: 2,
        day,
        first: Some(0),
        last: Some(6),
        count: 5,
        expected: 7,
        missing: vec![Span::new(3, 4).unwrap()],
        refetched: 0,
        lost: 0,
        taps: 2,
        passages_unknown: 0,
        conflicts: 0,
    };
    assert_eq!(store.put_audit(found.clone(), NOW).await.unwrap(), Some(1));
    assert_eq!(store.put_audit(found.clone(), after(1)).await.unwrap(), None);
    found.lost = 2;
    assert_eq!(store.put_audit(found.clone(), after(2)).await.unwrap(), Some(2));
    let audited = store.audited(&gate, 2, day).await.unwrap();
    assert_eq!(audited.iter().map(|day| (day.revision, day.found.lost)).collect::<Vec<_>>(), [(1, 0), (2, 2)]);
    assert!(store.audited(&gate, 2, jiff::civil::date(2026, 11, 29)).await.unwrap().is_empty());

    let record = Gate::entry("north").authorise(RiderId::random(), after(900), face());
    let skewed = |received| SkewedRecord {
        record: record.id.clone(),
        station: record.station.clone(),
        stamped: after(900),
        received,
    };
    store.note_skewed(vec![skewed(NOW)]).await.unwrap();
    store.note_skewed(vec![skewed(after(1))]).await.unwrap();
    assert_eq!(store.skewed(10).await.unwrap(), [skewed(NOW)]);
}
