//! A reader at a whole gate, over a pseudo-terminal: codes and cards by it, beside the camera, and what it gets wrong.

use std::fs::File;
use std::io::Write;
use std::time::Duration;

use facegate_domain::ids::RiderId;
use facegate_domain::tap::Medium;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::people::{template, walk_up};
use crate::world::{World, authorisations, now, passages};

/// The end that the reader types into, and a running gate at the other.
fn world(more: &str) -> (World, File) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let device = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
    let world = World::with(&format!("[reader]\nkind = \"serial\"\ndevice = {device:?}\n{more}"));
    world.wait("the reader is there", |state| state["reader_online"] == true);
    (world, File::from(ours))
}

fn says(reader: &mut File, line: &str) {
    reader.write_all(line.as_bytes()).unwrap();
    reader.write_all(b"\r\n").unwrap();
}

#[test]
fn a_code_at_the_reader_opens_the_gate_and_what_is_none_is_refused_and_leaves_it_usable() {
    let (mut world, mut reader) = world("");
    let rider = RiderId::random();
    let phone = world.phone(rider);
    says(&mut reader, &phone.show(now(), [1; 8]));
    let decision = world.decision(1);
    assert_eq!((&decision["kind"], &decision["medium"]), (&"granted".into(), &"code".into()), "{decision}");
    world.wait("he has passed", |state| state["passages"]["code"] == 1 && state["phase"] == "idle");
    world.pause();

    let refused = |world: &World, number: u64, reason: &str| {
        let decision = world.decision(number);
        assert_eq!((&decision["kind"], &decision["reason"]), (&"refused".into(), &reason.into()), "{decision}");
        world.pause();
    };
    says(&mut reader, "https://example.org/menu");
    refused(&world, 2, "code_not_ours");
    reader.write_all(b"\x80\x81\xfe\r\n").unwrap();
    refused(&world, 3, "code_not_ours");
    for _ in 0..40 {
        reader.write_all(&[b'x'; 100]).unwrap();
        // What the line discipline holds at a time is bounded.
        std::thread::sleep(Duration::from_millis(5));
    }
    reader.write_all(b"\r\n").unwrap();
    refused(&world, 4, "code_not_ours");
    says(&mut reader, &phone.show(now(), [1; 8]));
    refused(&world, 5, "code_replayed");
    // Half a code, and nothing after it.
    let text = phone.show(now(), [2; 8]);
    reader.write_all(&text.as_bytes()[..text.len() / 2]).unwrap();
    std::thread::sleep(Duration::from_millis(1200));
    assert_eq!(world.state()["decided"], 5, "half a line is nothing");

    let another = world.phone(RiderId::random());
    says(&mut reader, &another.show(now(), [4; 8]));
    assert_eq!(world.decision(6)["kind"], "granted");
    world.wait("he has passed", |state| state["passages"]["code"] == 2 && state["phase"] == "idle");
    let records = world.station.records();
    assert_eq!(authorisations(&records)[0].rider, rider);
    assert_eq!(world.aisle.crossings().len(), authorisations(&records).len());
    // A face is known all the same.
    let enrolled = RiderId::random();
    world.station.memory().riders.push((enrolled, template("person_a_1.jpg")));
    world.pause();
    world.show(&walk_up("person_a_2.jpg", 4));
    assert_eq!(world.decision(7)["medium"], "face");
}

#[test]
fn face_and_code_alone_and_together_in_either_order_are_one_tap_each() {
    let (mut world, mut reader) = world("[codes]\ncode_merge_window_ms = 30000");
    let [by_face, by_code, face_first, code_first] = [(); 4].map(|()| RiderId::random());
    let faces = [(by_face, "person_a_1.jpg"), (face_first, "person_b_1.jpg")];
    world.station.memory().riders.extend(faces.map(|(rider, face)| (rider, template(face))));
    let passed = |world: &World, face: u64, code: u64| {
        world.wait("he has passed", |state| {
            state["passages"]["face"] == face && state["passages"]["code"] == code && state["phase"] == "idle"
        });
        world.pause();
    };
    world.show(&walk_up("person_a_2.jpg", 4));
    assert_eq!(world.decision(1)["medium"], "face");
    passed(&world, 1, 0);

    says(&mut reader, &world.phone(by_code).show(now(), [1; 8]));
    assert_eq!(world.decision(2)["medium"], "code");
    passed(&world, 1, 1);

    world.show(&walk_up("person_b_2.jpg", 4));
    assert_eq!(world.decision(3)["medium"], "face");
    passed(&world, 2, 1);
    says(&mut reader, &world.phone(face_first).show(now(), [2; 8]));
    assert_eq!(world.decision(4)["kind"], "merged", "his code after his face");
    world.pause();

    // Whoever had the first face is not enrolled any more; another one has it.
    world.station.memory().riders[0].0 = code_first;
    says(&mut reader, &world.phone(code_first).show(now(), [3; 8]));
    assert_eq!(world.decision(5)["medium"], "code");
    passed(&world, 2, 2);
    world.show(&walk_up("person_a_2.jpg", 4));
    assert_eq!(world.decision(6)["kind"], "merged", "his face after his code");

    let records = world.wait_delivered(8);
    let granted: Vec<_> = authorisations(&records).iter().map(|a| (a.rider, a.evidence.medium())).collect();
    let (face, code) = (Medium::Face, Medium::Code);
    assert_eq!(granted, [(by_face, face), (by_code, code), (face_first, face), (code_first, code)]);
    assert_eq!((passages(&records).len(), world.aisle.crossings().len()), (4, 4));
}

#[test]
fn a_card_at_the_reader_is_the_card_systems_and_no_face_is_searched() {
    let (mut world, mut reader) = world("");
    world.station.memory().riders.push((RiderId::random(), template("person_a_1.jpg")));
    let face = walk_up("person_a_2.jpg", 6);
    world.show(&face[..1]);
    says(&mut reader, "CARD");
    let decision = world.decision(1);
    assert_eq!(decision["kind"], "by_card", "{decision}");
    world.show(&face[1..]);
    world.pause();
    let state = world.state();
    assert_eq!((state["decided"].as_u64(), state["next_sequence"].as_u64()), (Some(1), Some(0)), "{state}");
    assert_eq!(world.station.memory().searches, 0, "his face is handled by the card");
    // Unplugged, the gate says so and goes on by face.
    drop(reader);
    world.wait("the reader is gone", |state| state["reader_online"] == false);
    world.show(&walk_up("person_a_2.jpg", 4));
    assert_eq!(world.decision(2)["medium"], "face");
}
