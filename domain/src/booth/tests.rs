use super::*;
use crate::ids::{RecordId, RiderId};
use crate::tap::{Authorisation, GateStamp, Medium, Passage, PassageOutcome, Tap};

const NOW: Timestamp = Timestamp::from_unix_ms(1_795_000_000_000);

fn act() -> BoothAct {
    BoothAct { id: ActId::from_bytes([7; 16]), attendant: "li".into(), reason: BoothReason::NotTapped }
}

fn record(sequence: u64, body: RecordBody) -> GateRecord {
    let station = StationId::new("south").unwrap();
    let id = RecordId { gate: recorder(&station).unwrap(), epoch: 1, sequence };
    GateRecord { id, station, stamp: GateStamp { wall: NOW, monotonic_ms: 5 }, body }
}

fn entered(at: Timestamp) -> Authorisation {
    let evidence = Evidence::Booth { act: act(), station: StationId::new("north").unwrap(), at };
    Authorisation::new(RiderId::from_bytes([1; 16]), Direction::Entry, evidence)
}

#[test]
fn what_is_done_follows_where_he_is_believed_to_be_and_when_it_was() {
    use Whereabouts::{Inside, Outside, Unknown};
    let (ago, longest) = (|s| NOW.minus(Duration::from_secs(s)), Duration::from_secs(18 * 3600));
    for (at, believed, expected) in [
        (ago(1200), Outside, Ok(())),
        (ago(1200), Unknown, Ok(())),
        (NOW, Outside, Ok(())),
        (ago(18 * 3600), Outside, Ok(())),
        (ago(18 * 3600 + 1), Outside, Err(NotDone::TooLongAgo { longest })),
        (NOW.plus(Duration::from_millis(1)), Outside, Err(NotDone::ToCome)),
        (ago(1200), Inside, Err(NotDone::Inside)),
    ] {
        assert_eq!(may_enter(at, NOW, believed), expected, "{at:?} {believed:?}");
    }
    assert_eq!(may_leave(Outside), Err(NotDone::Outside));
    assert_eq!((may_leave(Inside), may_leave(Unknown)), (Ok(()), Ok(())));
    let too_long = NotDone::TooLongAgo { longest }.to_string();
    assert!(too_long.contains("18 hours"), "{too_long}");
}

#[test]
fn a_repaired_entry_is_a_tap_where_and_when_he_came_in() {
    let at = NOW.minus(Duration::from_secs(1500));
    let (authorised, passed) = (
        record(0, RecordBody::Authorisation(entered(at))),
        record(1, RecordBody::Passage(Passage::new(0, PassageOutcome::Passed))),
    );
    let tap = Tap::join(&authorised, &passed).unwrap();
    assert_eq!((tap.station.as_str(), tap.at, tap.medium), ("north", at, Medium::Booth));
    assert_eq!(tap.id.to_string(), "south-booth/1/0");
}

#[test]
fn the_audit_log_has_who_what_and_why() {
    let deed = Deed::of(&record(4, RecordBody::Authorisation(entered(NOW)))).unwrap();
    assert_eq!((deed.actor.as_str(), deed.action), ("attendant/south/li", "booth.entry"));
    let rider = RiderId::from_bytes([1; 16]).to_string();
    for part in [rider.as_str(), "at north", "normal", "not_tapped", "south-booth/1/4"] {
        assert!(deed.subject.contains(part), "{}", deed.subject);
    }
    let out = Authorisation { direction: Direction::Exit, ..entered(NOW) }.in_mode(ExitFare::Free.mode());
    let deed = Deed::of(&record(5, RecordBody::Authorisation(out))).unwrap();
    assert!(deed.action == "booth.exit" && deed.subject.contains("fare_exempt"), "{deed:?}");
    let opened = GateOpened { act: act(), gate: GateId::new("south-out").unwrap() };
    let deed = Deed::of(&record(6, RecordBody::GateOpened(opened))).unwrap();
    assert_eq!((deed.action, deed.subject.as_str()), ("booth.open", "south-out, not_tapped, record south-booth/1/6"));
    let passed = record(7, RecordBody::Passage(Passage::new(5, PassageOutcome::Passed)));
    assert_eq!(Deed::of(&passed), None);
}

#[test]
fn every_reason_reads_back_by_name_and_has_words_of_its_own() {
    let words: std::collections::BTreeSet<_> = BoothReason::ALL.iter().map(|reason| reason.words().zh).collect();
    assert_eq!(words.len(), BoothReason::ALL.len());
    for reason in BoothReason::ALL {
        assert_eq!(BoothReason::from_name(reason.name()), Some(reason));
    }
    assert!(recorder(&StationId::new("x".repeat(48)).unwrap()).is_err());
}
