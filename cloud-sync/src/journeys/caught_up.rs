//! Up to when every tap has arrived, as far as stations and gates say.
//!
//! A rider who leaves by a gate that is cut off and comes back by it has two taps that nobody here knows of yet, and
//! what is known looks like one long ride. So a ride that is too long to be one waits for the lines to be whole.

use std::collections::BTreeMap;

use facegate_domain::Timestamp;
use facegate_domain::ids::{GateId, StationId};

use crate::store::{GateReport, StationView};

/// Until when nothing was held back, by station (no gate) and by gate. Kept in memory: after a restart of the cloud the
/// next reports tell it anew.
#[derive(Debug, Default)]
pub struct CaughtUp(BTreeMap<(StationId, Option<GateId>), Timestamp>);

impl CaughtUp {
    /// Takes in what the stations last said; gives the time up to which all their taps have arrived, or `None` if no
    /// station is known, so that nobody can be behind.
    pub fn until(&mut self, stations: &[StationView]) -> Option<Timestamp> {
        let mut heard: BTreeMap<_, _> = BTreeMap::new();
        for view in stations {
            let report = view.report.as_ref();
            let all_here = report.is_some_and(|report| report.backlog == 0).then_some(view.last_seen);
            heard.insert((view.station.clone(), None), all_here);
            let gates =
                report.map_or(&[][..], |report| report.gates.as_slice()).iter().filter(|gate| has_journal(gate));
            for gate in gates {
                let all_here = (gate.backlog == 0).then_some(gate.last_seen);
                heard.insert((view.station.clone(), Some(gate.gate.clone())), all_here);
            }
        }
        // Who is no longer among them holds nobody up.
        self.0.retain(|who, _| heard.contains_key(who));
        for (who, all_here) in heard {
            let known = self.0.entry(who).or_default();
            *known = (*known).max(all_here.unwrap_or_default());
        }
        self.0.values().min().copied()
    }
}

fn has_journal(gate: &GateReport) -> bool {
    gate.kind != "camera"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StationReport;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ms(ms)
    }

    fn gate(name: &str, last_seen: i64, backlog: u64) -> GateReport {
        GateReport {
            gate: GateId::new(name).unwrap(),
            connected: true,
            last_seen: at(last_seen),
            kind: if name == "camera" { "camera" } else { "gate" }.to_owned(),
            direction: None,
            mode: String::new(),
            face_passages: 0,
            code_passages: 0,
            refusals: Vec::new(),
            backlog,
            decision_ms_p50: 0.0,
            decision_ms_p99: 0.0,
            fault: String::new(),
            software_version: String::new(),
            journal_epoch: 1,
            journal_next_sequence: 0,
            journal_waiting_percent: 0,
            certificate_ends: None,
            gate_mode: String::new(),
            order_id: String::new(),
            order_outcome: String::new(),
        }
    }

    fn station(name: &str, last_seen: i64, backlog: u64, gates: Vec<GateReport>) -> StationView {
        let report = Some(StationReport { backlog, gates, ..StationReport::default() });
        StationView { report, ..StationView::new(StationId::new(name).unwrap(), at(last_seen)) }
    }

    #[test]
    fn the_one_farthest_behind_counts_be_it_a_station_or_a_gate() {
        let mut caught_up = CaughtUp::default();
        assert_eq!(caught_up.until(&[]), None);
        let north = || station("north", 1000, 0, vec![gate("in", 990, 0), gate("camera", 5, 0)]);
        assert_eq!(caught_up.until(&[north(), station("south", 900, 0, Vec::new())]), Some(at(900)));
        assert_eq!(caught_up.until(&[north(), station("south", 1900, 0, Vec::new())]), Some(at(990)));
    }

    #[test]
    fn what_holds_records_back_stands_where_it_last_held_none() {
        let mut caught_up = CaughtUp::default();
        caught_up.until(&[station("north", 1000, 0, vec![gate("in", 990, 0)])]);
        assert_eq!(caught_up.until(&[station("north", 2000, 7, vec![gate("in", 1990, 0)])]), Some(at(1000)));
        assert_eq!(caught_up.until(&[station("north", 3000, 0, vec![gate("in", 2990, 3)])]), Some(at(1990)));
        assert_eq!(
            caught_up.until(&[station("north", 4000, 0, Vec::new())]),
            Some(at(4000)),
            "the gate was taken away"
        );
    }

    #[test]
    fn after_a_restart_nothing_is_believed_before_it_is_said() {
        let unheard = StationView { report: None, ..station("north", 1000, 0, Vec::new()) };
        assert_eq!(CaughtUp::default().until(&[unheard]), Some(Timestamp::default()));
        assert_eq!(CaughtUp::default().until(&[station("north", 1000, 1, Vec::new())]), Some(Timestamp::default()));
    }
}
