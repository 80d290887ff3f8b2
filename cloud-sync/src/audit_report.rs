//! A day's audit for finance: as CSV, and as the figures that the page and the command line print.

use std::fmt::Write as _;

use facegate_domain::Timestamp;
use facegate_domain::journal_audit::GateDay;

use crate::auditor::DayReport;
use crate::store::AuditedDay;

const COLUMNS: &str = "day,gate,epoch,revision,found_at,first,last,count,expected,missing,gaps,refetched,lost,taps,\
passages_unknown,conflicts,complete";

/// One line a gate and epoch. Sequences that are missing are written `first-last`, several with semicolons between.
pub fn csv(report: &DayReport) -> String {
    let mut text = format!("{COLUMNS}\n");
    for AuditedDay { revision, found_at, found } in &report.lines {
        let number = |sequence: Option<u64>| sequence.map_or_else(String::new, |sequence| sequence.to_string());
        let GateDay { day, gate, epoch, count, expected, refetched, lost, taps, passages_unknown, conflicts, .. } =
            found;
        let (first, last, gaps) = (number(found.first), number(found.last), gaps(found, ";"));
        let (missing, complete, found_at) = (expected - count, found.is_complete(), moment(*found_at));
        // Writing to a string cannot fail; ids hold no comma and no quote.
        let _ = writeln!(
            text,
            "{day},{gate},{epoch},{revision},{found_at},{first},{last},{count},{expected},{missing},{gaps},{refetched},\
             {lost},{taps},{passages_unknown},{conflicts},{complete}"
        );
    }
    text
}

/// The missing sequences in words.
pub fn gaps(found: &GateDay, between: &str) -> String {
    let spans = found.missing.iter().map(|span| format!("{}-{}", span.first, span.last));
    spans.collect::<Vec<_>>().join(between)
}

/// RFC 3339 in UTC, to the second.
pub fn moment(at: Timestamp) -> String {
    let moment = jiff::Timestamp::from_second(at.unix_s());
    moment.map_or_else(|_| at.unix_ms().to_string(), |moment| moment.to_string())
}

/// All lines together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    pub count: u64,
    pub expected: u64,
    pub gaps: u64,
    pub refetched: u64,
    pub lost: u64,
    pub taps: u64,
    pub passages_unknown: u64,
    pub conflicts: u64,
}

impl Sums {
    pub fn of(report: &DayReport) -> Self {
        report.lines.iter().map(|line| &line.found).fold(Self::default(), |sums, day| Self {
            count: sums.count + day.count,
            expected: sums.expected + day.expected,
            gaps: sums.gaps + day.missing.len() as u64,
            refetched: sums.refetched + day.refetched,
            lost: sums.lost + day.lost,
            taps: sums.taps + day.taps,
            passages_unknown: sums.passages_unknown + day.passages_unknown,
            conflicts: sums.conflicts + day.conflicts,
        })
    }

    pub fn missing(&self) -> u64 {
        self.expected.saturating_sub(self.count)
    }
}

#[cfg(test)]
mod tests {
    use facegate_domain::ids::GateId;
    use facegate_domain::journal_audit::Span;
    use jiff::civil::date;

    use super::*;

    fn line(gate: &str, missing: Vec<Span>) -> AuditedDay {
        let found = GateDay {
            gate: GateId::new(gate).unwrap(),
            epoch: 2,
            day: date(2026, 11, 29),
            first: Some(10),
            last: Some(29),
            count: 20 - missing.iter().map(|span| span.count()).sum::<u64>(),
            expected: 20,
            missing,
            refetched: 3,
            lost: 1,
            taps: 8,
            passages_unknown: 1,
            conflicts: 0,
        };
        AuditedDay { revision: 1, found_at: Timestamp::from_unix_ms(1_795_000_000_000), found }
    }

    #[test]
    fn finance_reads_one_line_a_gate() {
        let spans = vec![Span { first: 12, last: 12 }, Span { first: 20, last: 22 }];
        let report = DayReport {
            day: date(2026, 11, 29),
            preliminary: false,
            lines: vec![line("north-in", spans), line("south-in", Vec::new())],
        };
        let text = csv(&report);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0].split(',').count(), lines[1].split(',').count());
        assert_eq!(lines[1], "2026-11-29,north-in,2,1,2026-11-18T11:06:40Z,10,29,16,20,4,12-12;20-22,3,1,8,1,0,false");
        assert!(lines[2].ends_with(",20,20,0,,3,1,8,1,0,true"), "{}", lines[2]);
        let sums = Sums::of(&report);
        assert_eq!((sums.missing(), sums.gaps, sums.taps), (4, 2, 16));
    }
}
