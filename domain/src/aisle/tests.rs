//! What is seen in the aisle, as a table of stories: `E M X` break a beam, `e m x` clear it, each with the milliseconds
//! since the step before; `O1` the door opens for authorisation 1, `C` it closes, `.` nothing but time.

use proptest::prelude::*;

use super::*;

fn token(sequence: u64) -> PassageToken {
    PassageToken { epoch: 1, sequence }
}

struct Told {
    findings: Vec<Finding>,
    aisle: Aisle,
}

fn tell(story: &str) -> Told {
    tell_on(Aisle::new(AislePolicy::default()), story)
}

fn tell_on(mut aisle: Aisle, story: &str) -> Told {
    let (mut findings, mut at_ms) = (vec![], aisle.now_ms());
    for (number, step) in story.split_whitespace().enumerate() {
        let (what, after) = step.split_once('+').unwrap();
        at_ms += after.parse::<u64>().unwrap();
        let saw = match what {
            "E" => Saw::Broken(Beam::Entry),
            "M" => Saw::Broken(Beam::Mid),
            "X" => Saw::Broken(Beam::Exit),
            "e" => Saw::Cleared(Beam::Entry),
            "m" => Saw::Cleared(Beam::Mid),
            "x" => Saw::Cleared(Beam::Exit),
            "C" => Saw::Closed,
            "." => {
                findings.extend(aisle.tick(at_ms));
                continue;
            }
            open => Saw::Opened(token(open.trim_start_matches('O').parse().unwrap())),
        };
        findings.extend(aisle.on(AisleEvent { number: number as u64, at_ms, saw }));
    }
    Told { findings, aisle }
}

/// What became of each authorisation, as `1:passed+luggage`, with the alarms in between.
fn said(findings: &[Finding]) -> String {
    let words = findings.iter().filter_map(|finding| match finding {
        Finding::Entered(_) => None,
        Finding::Concluded { token, outcome, remarks } => {
            let remarks: String = remarks.iter().map(|remark| format!("+{}", remark.name())).collect();
            Some(format!("{}:{}{remarks}", token.sequence, outcome.name()))
        }
        Finding::Tailgated => Some("tailgated".into()),
        Finding::ReverseEntry => Some("reverse".into()),
        Finding::BeamFault(beam, fault) => Some(format!("{}-{}", beam.name(), fault.name())),
        Finding::BeamWell(beam) => Some(format!("{}-well", beam.name())),
    });
    words.collect::<Vec<_>>().join(" ")
}

const WALK: &str = "E+300 M+350 e+30 X+350 m+30 x+380 .+30";

#[test]
fn stories_of_one_rider() {
    let table = [
        ("walks through", "O1+0 E+300 M+350 e+30 X+350 m+30 x+380 .+30", "1:passed"),
        (
            "stands in the entry beam while he is looked at",
            "E+0 .+1900 O1+0 M+350 e+30 X+350 m+30 x+380 .+30",
            "1:passed",
        ),
        ("stands there before and goes away", "E+0 .+1900 e+900 .+9000", ""),
        ("nobody comes", "O1+0 .+4990 .+20", "1:timed_out"),
        ("turns back from the entry beam", "O1+0 E+300 e+400 .+1400 .+200", "1:turned_back"),
        ("turns back from mid", "O1+0 E+300 M+350 e+30 E+400 m+30 e+300 .+3100", "1:turned_back"),
        ("hesitates in between and goes on", "O1+0 E+300 e+360 .+1200 M+40 X+350 m+30 x+380 .+30", "1:passed"),
        (
            "a trolley behind him",
            "O1+0 E+300 e+400 E+150 M+10 m+300 M+150 e+10 X+10 m+200 x+40 X+150 x+300 .+3100",
            "1:passed+luggage",
        ),
        ("a wheelchair", "O1+0 E+300 M+500 X+500 e+400 m+500 x+500 .+30", "1:passed+wheelchair"),
        ("a child", "O1+0 E+300 e+120 M+300 m+120 X+300 x+120 .+30", "1:passed+child"),
        ("beams bounce", "O1+0 E+300 e+5 E+5 M+350 m+4 M+6 e+30 X+350 m+30 x+380 X+6 x+6 .+30", "1:passed"),
        ("the door's watchdog closes", "O1+0 C+900 .+30", "1:timed_out"),
        ("the door closes behind him", "O1+0 E+300 M+350 e+30 C+10 X+350 m+30 x+380 .+30", "1:passed"),
        ("he stands in the entry beam and does not come", "E+0 O1+50 .+10010", "1:timed_out"),
        (
            "the hardware repeats itself",
            "O1+0 O1+0 E+300 E+1 M+350 e+30 X+350 X+2 m+30 x+380 x+1 .+30 .+9000",
            "1:passed",
        ),
    ];
    for (name, story, expected) in table {
        let told = tell(story);
        assert_eq!(said(&told.findings), expected, "{name}: {:?}", told.findings);
    }
}

#[test]
fn stories_of_several() {
    let second = "E+300 M+350 e+30 X+350 m+30 x+380 .+30";
    let table = [
        (
            "two, authorised one behind the other",
            format!("O1+0 E+300 M+350 e+30 O2+100 X+250 m+30 x+380 {second}"),
            "1:passed 2:passed",
        ),
        (
            "the second in close succession",
            "O1+0 E+300 M+350 e+30 O2+10 X+340 m+30 E+200 x+180 M+170 e+30 X+350 m+30 x+380 .+30".into(),
            "1:passed 2:passed",
        ),
        (
            "the second waits in the entry beam",
            "O1+0 E+300 M+350 e+30 X+350 E+10 m+30 O2+20 x+350 M+900 e+30 X+350 m+30 x+380 .+30".into(),
            "1:passed 2:passed",
        ),
        (
            "the second does not come",
            "O1+0 E+300 M+350 e+30 O2+10 X+340 m+30 x+380 .+4990 .+60".into(),
            "1:passed 2:timed_out",
        ),
        (
            "the second turns back",
            "O1+0 E+300 M+350 e+30 O2+10 X+340 m+30 E+200 x+180 e+300 .+1600".into(),
            "1:passed 2:turned_back",
        ),
        (
            "a tailgater",
            "O1+0 E+300 M+350 e+30 X+350 m+30 E+20 x+360 M+10 e+30 X+350 m+30 x+380 .+30".into(),
            "1:passed tailgated",
        ),
        (
            "a tailgater at his heels",
            "O1+0 E+300 M+350 e+30 E+300 X+50 m+30 M+200 e+30 x+150 X+200 m+30 x+380 .+30".into(),
            "tailgated 1:passed+tailgated",
        ),
        (
            "a child behind",
            "O1+0 E+300 M+350 e+30 E+300 e+100 X+50 m+30 M+200 m+100 x+150 X+200 x+100 .+30".into(),
            "1:passed+child",
        ),
        ("somebody from the other side", "X+0 M+350 x+30 E+350 m+30 e+380 .+3100".into(), "reverse"),
        ("somebody looks in from the other side", "X+0 x+900 .+3100".into(), ""),
        ("somebody climbs in", "E+0 M+350 e+30 X+350 m+30 x+380 .+30".into(), "tailgated"),
    ];
    for (name, story, expected) in table {
        let told = tell(&story);
        assert_eq!(said(&told.findings), expected, "{name}: {:?}", told.findings);
        assert!(told.aisle.is_at_rest(), "{name}: {:?}", told.aisle);
    }
}

#[test]
fn a_beam_that_sees_nobody_is_found_out_and_the_gate_goes_on_without_it() {
    // Until it is known to be dead, a contradiction is never a charge.
    let without_mid = |n: u64| format!("O{n}+900 E+300 e+380 X+320 x+380 .+30");
    let told = tell(&[1, 2, 3].map(without_mid).join(" "));
    assert_eq!(said(&told.findings), "1:unknown+contradicted 2:unknown+contradicted mid-silent 3:passed");
    assert!(told.aisle.can_judge());
    let told = tell_on(told.aisle, &format!("O4+900 {WALK}"));
    assert_eq!(said(&told.findings), "mid-well 4:passed");

    // One that was found out before a restart is not believed from the first rider on, until it sees somebody.
    let again = || Aisle::new(AislePolicy::default()).distrusting([Beam::Mid]);
    assert_eq!(said(&tell_on(again(), &without_mid(1)).findings), "1:passed");
    assert_eq!(said(&tell_on(again(), &format!("O1+900 {WALK}")).findings), "mid-well 1:passed");
    assert!(!again().distrusting([Beam::Exit]).can_judge());

    let without_exit = |n: u64| format!("O{n}+900 E+300 M+350 e+30 m+380 .+3100");
    let told = tell(&[1, 2, 3].map(without_exit).join(" "));
    assert_eq!(said(&told.findings), "1:unknown+contradicted 2:unknown+contradicted exit-silent 3:passed");
    let told = tell_on(told.aisle, "O4+900 E+300 M+350 e+30 E+400 m+30 e+300 .+3100");
    assert_eq!(said(&told.findings), "4:turned_back", "back over the entry beam");

    let without_entry = |n: u64| format!("O{n}+900 M+350 X+350 m+30 x+380 .+30");
    let told = tell(&[1, 2, 3].map(without_entry).join(" "));
    assert_eq!(said(&told.findings), "1:unknown+contradicted 2:unknown+contradicted entry-silent 3:passed");
}

#[test]
fn a_beam_that_is_always_broken_is_left_out_until_it_clears() {
    let told = tell("M+0 .+60030 .+3100");
    assert_eq!(said(&told.findings), "tailgated mid-blocked");
    let told = tell_on(told.aisle, "O1+900 E+300 e+380 X+320 x+380 .+30");
    assert_eq!(said(&told.findings), "1:passed");
    let told = tell_on(told.aisle, &format!("m+900 .+30 O2+900 {WALK}"));
    assert_eq!(said(&told.findings), "mid-well 2:passed");
}

#[test]
fn with_two_beams_dead_nothing_is_ever_charged() {
    let told = tell("M+0 X+0 .+60030 .+4000 O1+900 E+300 e+380 .+2000");
    assert!(!told.aisle.can_judge());
    assert!(said(&told.findings).ends_with("1:unknown+contradicted"), "{}", said(&told.findings));
}

#[test]
fn a_beam_that_flutters_is_left_out_until_it_is_quiet() {
    let flutter = "M+40 m+40 ".repeat(40);
    let told = tell(&flutter);
    assert!(said(&told.findings).contains("mid-bouncing"), "{}", said(&told.findings));
    let told = tell_on(told.aisle, "O1+900 E+300 e+380 X+320 x+380 .+30");
    assert_eq!(said(&told.findings), "1:passed");
    let told = tell_on(told.aisle, &format!(".+10000 O2+900 {WALK}"));
    assert_eq!(said(&told.findings), "mid-well 2:passed");
}

#[test]
fn the_same_reports_after_a_crash_give_the_same_verdicts() {
    let story = format!("O1+0 E+300 M+350 e+30 O2+100 X+250 m+30 x+380 {WALK}");
    assert_eq!(tell(&story).findings, tell(&story).findings);
}

fn step() -> impl Strategy<Value = (u64, Saw)> {
    let beam = prop_oneof![Just(Beam::Entry), Just(Beam::Mid), Just(Beam::Exit)];
    let saw = prop_oneof![
        8 => beam.clone().prop_map(Saw::Broken),
        8 => beam.prop_map(Saw::Cleared),
        1 => Just(Saw::Closed),
    ];
    (prop_oneof![4 => 0u64..600, 1 => 0u64..20_000], saw)
}

proptest! {
    /// Whatever the sensors say, every authorisation is concluded once, and passed only if the exit beam or mid saw him.
    #[test]
    fn every_authorisation_is_concluded_exactly_once(steps in prop::collection::vec(step(), 0..200), opens in 1u64..12) {
        let mut aisle = Aisle::new(AislePolicy::default());
        let (mut at_ms, mut found, mut opened) = (0, vec![], 0);
        for (number, (after, saw)) in steps.into_iter().enumerate() {
            at_ms += after;
            let in_hand = found.iter().filter(|f| matches!(f, Finding::Concluded { .. })).count() as u64;
            if opened < opens && opened - in_hand < 2 && number % 3 == 0 {
                opened += 1;
                found.extend(aisle.on(AisleEvent { number: 0, at_ms, saw: Saw::Opened(token(opened)) }));
            }
            found.extend(aisle.on(AisleEvent { number: number as u64, at_ms, saw }));
            prop_assert!(aisle.bodies.len() <= BODIES_MAX && aisle.waiting.len() <= WAITING_MAX);
        }
        for _ in 0..400 {
            at_ms += 1_000;
            found.extend(aisle.tick(at_ms));
        }
        let mut concluded: Vec<u64> = found.iter().filter_map(|finding| match finding {
            Finding::Concluded { token, .. } => Some(token.sequence),
            _ => None,
        }).collect();
        concluded.sort_unstable();
        prop_assert_eq!(concluded, (1..=opened).collect::<Vec<_>>());
        prop_assert!(aisle.is_at_rest(), "{:?}", aisle);
    }
}
