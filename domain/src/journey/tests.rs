use super::*;
use crate::clock::Timestamp;
use crate::gate::GateMode;
use crate::ids::{GateId, StationId};
use crate::tap::Medium;

const POLICY: PairingPolicy =
    PairingPolicy { merge_window: Duration::from_secs(10), journey_max: Duration::from_secs(3 * 3600) };

/// `"9:00:05 north in face"`: time, station (each has gate `<station>-in` and `<station>-out`), direction, medium.
fn tap(sequence: u64, text: &str) -> Tap {
    let words: Vec<&str> = text.split(' ').collect();
    let [time, station, way, medium] = words[..] else { panic!("{text}") };
    let seconds = time.split(':').fold(0, |sum, part| sum * 60 + part.parse::<i64>().unwrap());
    let direction = if way == "in" { Direction::Entry } else { Direction::Exit };
    Tap {
        id: RecordId { gate: GateId::new(format!("{station}-{way}")).unwrap(), epoch: 1, sequence },
        rider: RiderId::from_bytes([1; 16]),
        station: StationId::new(station).unwrap(),
        direction,
        medium: Medium::from_name(medium).unwrap(),
        mode: GateMode::Normal,
        at: Timestamp::from_unix_ms(seconds * 1000),
    }
}

fn taps(texts: &[&str]) -> Vec<Tap> {
    (0..).zip(texts).map(|(sequence, text)| tap(sequence, text)).collect()
}

/// `north>south` a journey, `north>` open, `north>?` and `?>south` incomplete, `(north)` merged.
fn summary(pairing: &Pairing) -> String {
    let mut parts = Vec::new();
    parts.extend(pairing.journeys.iter().map(|j| format!("{}>{}", j.entry.station, j.exit.station)));
    parts.extend(pairing.incomplete.iter().map(|incomplete| match incomplete {
        Incomplete::MissingExit { entry } => format!("{}>?", entry.station),
        Incomplete::MissingEntry { exit } => format!("?>{}", exit.station),
    }));
    parts.extend(pairing.merged.iter().map(|tap| format!("({})", tap.station)));
    parts.extend(pairing.open.iter().map(|tap| format!("{}>", tap.station)));
    parts.join(" ")
}

#[test]
fn worked_examples() {
    for (texts, expected) in [
        (&[][..], ""),
        (&["9:00:00 north in face", "9:20:00 south out face"], "north>south"),
        (&["9:00:00 north in face", "9:20:00 south out code"], "north>south"),
        (&["9:00:00 north in code", "9:20:00 south out face"], "north>south"),
        (&["9:00:00 north in code", "9:20:00 south out code"], "north>south"),
        (&["9:00:00 north in face", "9:01:00 north out face"], "north>north"),
        (&["9:00:00 north in face"], "north>"),
        (&["9:00:00 north out face"], "?>north"),
        (&["9:00:00 north in face", "9:30:00 south in face"], "north>? south>"),
        (
            &["9:00:00 north in face", "9:20:00 south out code", "17:00:00 south in code", "17:20:00 north out face"],
            "north>south south>north",
        ),
        // An attendant wrote one end down, perhaps after the other had come.
        (&["9:20:00 south out face", "9:00:00 north in booth"], "north>south"),
        (&["9:00:00 north in code", "9:20:00 south out booth"], "north>south"),
        (&["9:00:00 north in booth", "9:05:00 north in face"], "north>? north>"),
        // Seen by face and then by code (or twice by face) at one gate.
        (&["9:00:00 north in face", "9:00:03 north in code", "9:20:00 south out face"], "north>south (north)"),
        (&["9:00:00 north in face", "9:00:10 north in face", "9:20:00 south out face"], "north>south (north)"),
        (
            &["9:00:00 north in face", "9:20:00 south out code", "9:20:09 south out face", "9:20:10 south out code"],
            "north>south (south) (south)",
        ),
        // The window is over: the first tap has lost its exit.
        (&["9:00:00 north in face", "9:00:11 north in code", "9:20:00 south out face"], "north>south north>?"),
        // Chained within ten seconds of each other, but not of the first.
        (&["9:00:00 north in face", "9:00:08 north in code", "9:00:16 north in face"], "north>? (north) north>"),
        // Out and in again at once is a new ride and no second presentation.
        (
            &["9:00:00 north in face", "9:00:03 north out face", "9:00:06 north in face", "9:20:00 south out face"],
            "north>north north>south",
        ),
        // Longer inside than the limit.
        (&["9:00:00 north in face", "12:00:00 south out face"], "north>south"),
        (&["9:00:00 north in face", "12:00:01 south out face"], "north>? ?>south"),
    ] {
        let forwards = taps(texts);
        let backwards: Vec<Tap> = forwards.iter().rev().cloned().collect();
        for order in [&forwards, &backwards] {
            assert_eq!(summary(&pair(order, &POLICY)), expected, "{texts:?}");
        }
    }
}

#[test]
fn all_four_combinations_of_media_pair_and_keep_what_was_shown() {
    for (first, second) in [
        (Medium::Face, Medium::Face),
        (Medium::Face, Medium::Code),
        (Medium::Code, Medium::Face),
        (Medium::Code, Medium::Code),
    ] {
        let entry = Tap { medium: first, ..tap(0, "9:00:00 north in face") };
        let exit = Tap { medium: second, ..tap(1, "9:20:00 south out face") };
        let pairing = pair(&[exit.clone(), entry.clone()], &POLICY);
        assert_eq!(pairing.journeys, [Journey::new(entry, exit)]);
    }
}

#[test]
fn riders_never_pair_with_each_other() {
    let entry = tap(0, "9:00:00 north in face");
    let exit = Tap { rider: RiderId::from_bytes([2; 16]), ..tap(1, "9:20:00 south out face") };
    assert_eq!(summary(&pair(&[entry, exit], &POLICY)), "?>south north>");
}

#[test]
fn a_journey_is_named_by_its_two_records_alone() {
    let journey = Journey::new(tap(0, "9:00:00 north in face"), tap(1, "9:20:00 south out face"));
    let later = Journey::new(tap(0, "9:00:05 north in code"), tap(1, "9:20:05 south out code"));
    assert_eq!(journey.id, later.id);
    // Fixed for ever: a stored charge is found again by it after an update.
    assert_eq!(journey.id.to_string(), "d912f504-9bb1-80f3-8ba7-0be959f6fc02");
    let other = Journey::new(tap(0, "9:00:00 north in face"), tap(2, "9:20:00 south out face"));
    assert_ne!(journey.id, other.id);
    assert_eq!(journey.duration(), Duration::from_secs(1200));
}
