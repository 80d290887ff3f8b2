//! Bodies against taps: everybody who went through a door has one tap of his own, and nobody else has any.

use std::collections::BTreeMap;

use facegate_domain::ids::RiderId;
use facegate_domain::tap::{Authorisation, GateRecord, PassageOutcome, RecordBody};

use super::stream::Outcome;
use super::walkers::Walkers;

/// What is wrong with the taps of a run, and how many there were.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub taps: usize,
    pub by_face: usize,
    /// Taps of somebody who did not go through the door under them.
    pub false_charges: usize,
    /// Gate, authorisation and medium of each, whose tap it is, and who went through.
    pub false_taps: Vec<String>,
    /// Taps of one body beyond his first.
    pub double_charges: usize,
    /// Bodies without a tap.
    pub missing: usize,
}

/// By gate and token: whose account the tap of who went through under it must be of; nobody's, if he stepped back.
pub type Truth = BTreeMap<(String, String), Option<RiderId>>;

pub fn tally(records: &[GateRecord], truth: &Truth) -> Tally {
    let mut authorised: BTreeMap<(String, String), &Authorisation> = BTreeMap::new();
    let mut passed = std::collections::BTreeSet::new();
    for record in records {
        let gate = record.id.gate.to_string();
        match &record.body {
            RecordBody::Authorisation(authorisation) => {
                authorised.insert((gate, format!("{}-{}", record.id.epoch, record.id.sequence)), authorisation);
            }
            RecordBody::Passage(passage) if passage.outcome == PassageOutcome::Passed => {
                passed.insert((gate, format!("{}-{}", record.id.epoch, passage.authorisation)));
            }
            RecordBody::Passage(_) | RecordBody::GateOpened(_) => {}
        }
    }
    let mut tally = Tally { taps: passed.len(), ..Tally::default() };
    for tap in &passed {
        let Some(authorisation) = authorised.get(tap) else { continue };
        tally.by_face += usize::from(authorisation.evidence.medium() == facegate_domain::tap::Medium::Face);
        match truth.get(tap) {
            Some(Some(rider)) if *rider == authorisation.rider => {}
            Some(went) => {
                tally.false_charges += 1;
                let (medium, charged) = (authorisation.evidence.medium().name(), authorisation.rider);
                let went = went.map_or_else(|| "nobody, who stepped back".into(), |rider| rider.to_string());
                tally.false_taps.push(format!("{} {} by {medium}: {charged} for {went}", tap.0, tap.1));
            }
            // A body crosses once: a tap that none crossed under is a second one of somebody.
            None => tally.double_charges += 1,
        }
    }
    tally.missing = truth.iter().filter(|(tap, went)| went.is_some() && !passed.contains(*tap)).count();
    tally
}

/// The truth of all streams.
pub fn truth<'o>(outcomes: impl Iterator<Item = &'o Outcome>, walkers: &Walkers) -> Truth {
    let of = |outcome: &Outcome| {
        let gate = outcome.stream.name().to_owned();
        let crossed = outcome.crossed.iter().map(|body| (&body.token, Some(walkers.get(body.who).rider)));
        let back = outcome.turned_back.iter().map(|token| (token, None));
        let all = crossed.chain(back);
        all.map(|(token, went)| ((gate.clone(), token.clone()), went)).collect::<Vec<_>>()
    };
    outcomes.flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use facegate_domain::ids::{GateId, RecordId, StationId};
    use facegate_domain::score::{Similarity, Tier};
    use facegate_domain::tap::{Direction, Evidence, GateStamp, Passage};

    use super::*;

    fn rider(n: u8) -> RiderId {
        RiderId::from_bytes([n; 16])
    }

    /// An authorisation of a rider and its passage.
    fn tap(sequence: u64, of: u8) -> [GateRecord; 2] {
        let evidence =
            Evidence::Face { similarity: Similarity::from_cosine(0.8), tier: Tier::City, risk: 1e-8, frames: 3 };
        let authorisation = Authorisation::new(rider(of), Direction::Exit, evidence);
        let passage = Passage::new(sequence, PassageOutcome::Passed);
        [RecordBody::Authorisation(authorisation), RecordBody::Passage(passage)].map(|body| {
            let behind = u64::from(matches!(body, RecordBody::Passage(_)));
            GateRecord {
                id: RecordId { gate: GateId::new("face").unwrap(), epoch: 1, sequence: sequence + behind },
                station: StationId::new("flow").unwrap(),
                stamp: GateStamp { wall: facegate_domain::Timestamp::from_unix_ms(0), monotonic_ms: 0 },
                body,
            }
        })
    }

    #[test]
    fn every_tap_is_held_against_who_went_through_the_door() {
        let at = |token: &str, of: Option<u8>| (("face".to_owned(), token.to_owned()), of.map(rider));
        let truth = [at("1-0", Some(1)), at("1-2", Some(2)), at("1-6", Some(4)), at("1-8", None), at("1-10", None)];
        let truth = truth.into_iter().collect();
        let records: Vec<GateRecord> = [tap(0, 1), tap(2, 9), tap(4, 3), tap(8, 5), tap(0, 1)].concat();
        let false_taps = vec![
            format!("face 1-2 by face: {} for {}", rider(9), rider(2)),
            format!("face 1-8 by face: {} for nobody, who stepped back", rider(5)),
        ];
        let expected = Tally { taps: 4, by_face: 4, false_charges: 2, false_taps, double_charges: 1, missing: 1 };
        assert_eq!(tally(&records, &truth), expected, "delivered twice is one tap");
    }
}
