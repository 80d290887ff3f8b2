//! What the operations centre tells a gate: modes, an emergency, orders that are carried out once.

use std::time::Duration;

use facegate_domain::gate::GateMode;
use facegate_domain::ids::RiderId;
use facegate_domain::tap::PassageOutcome;
use facegate_proto::v1;
use facegate_proto::v1::gate_command::Command;
use facegate_runtime::clock::Stopwatch;

use crate::aisle::Body;
use crate::people::phone_with;
use crate::world::{World, authorisations, now, passages};

fn station_mode(mode: &str) -> Command {
    Command::StationMode(v1::StationModeCommand { mode: mode.into() })
}

fn tell(world: &World, command: Command) {
    world.station.memory().commands.push(command);
}

#[test]
fn an_emergency_opens_the_gate_within_a_second_and_ends_only_by_command() {
    let mut world = World::new();
    let told = Stopwatch::start();
    tell(&world, station_mode("emergency_open"));
    while !world.aisle.is_standing() {
        assert!(told.elapsed() < Duration::from_secs(1), "the door stands open within a second");
        std::thread::sleep(Duration::from_millis(5));
    }
    world.wait("it says so", |state| state["phase"] == "standing" && state["gate_state"] == "standing");
    world.show(&[phone_with(&world.phone(RiderId::random()).show(now(), [1; 8]))]);
    // It holds while the station is away, and over a restart of the gate.
    world.station.stop();
    world.wait("the station is away", |state| state["station_reachable"] == false);
    world.crash_gate();
    world.start_gate();
    let state =
        world.wait("it stands open again", |state| state["phase"] == "standing" && state["aisle_online"] == true);
    assert_eq!((state["gate_mode"].as_str(), state["next_sequence"].as_u64()), (Some("emergency_open"), Some(0)));
    assert!(world.aisle.is_standing());
    world.station.memory().commands.clear();
    world.station.start_again();
    world.wait("the station is back", |state| state["station_reachable"] == true);
    assert!(world.aisle.is_standing(), "only a command ends it");
    tell(&world, station_mode("normal"));
    world.wait("it is over", |state| state["phase"] == "idle" && !world.aisle.is_standing());
}

#[test]
fn a_passage_carries_the_mode_that_the_gate_went_into_while_he_passed() {
    let mut world = World::new();
    let through = |world: &mut World, nonce: u8, told: &[&str]| {
        world.aisle.body(Body::Hesitates);
        world.show(&[phone_with(&world.phone(RiderId::random()).show(now(), [nonce; 8]))]);
        world.wait("he stands before the open door", |state| state["gate_state"] == "open");
        for mode in told {
            tell(world, station_mode(mode));
            world.wait("it is told", |state| state["gate_mode"] == *mode);
        }
        world.aisle.finish("crossed");
        let records = world.wait_delivered(2 * usize::from(nonce));
        world.pause();
        passages(&records)[usize::from(nonce) - 1]
    };
    let seen = through(&mut world, 1, &[]);
    assert_eq!((seen.outcome, seen.ended_in), (PassageOutcome::Passed, None), "as he was let in");
    // What was an emergency while he passed is one, also if it is over before he is through.
    let seen = through(&mut world, 2, &["emergency_open", "normal"]);
    assert_eq!((seen.outcome, seen.ended_in), (PassageOutcome::Passed, Some(GateMode::EmergencyOpen)));
    let seen = through(&mut world, 3, &["closed"]);
    assert_eq!((seen.outcome, seen.ended_in), (PassageOutcome::Passed, Some(GateMode::Closed)));
}

#[test]
fn a_gates_own_mode_is_on_its_records_and_closes_it() {
    let mut world = World::new();
    let told = |mode: &str| Command::ToldGate(v1::ToldGateCommand { mode: mode.into(), ..Default::default() });
    tell(&world, told("time_exempt"));
    world.wait("it is told", |state| state["gate_mode"] == "time_exempt");
    world.show(&[phone_with(&world.phone(RiderId::random()).show(now(), [1; 8]))]);
    assert_eq!(authorisations(&world.wait_delivered(2))[0].mode, GateMode::TimeExempt);
    world.pause();
    tell(&world, told("maintenance"));
    world.wait("it is out of service", |state| state["phase"] == "out_of_service");
    world.show(&[phone_with(&world.phone(RiderId::random()).show(now(), [2; 8]))]);
    world.pause();
    tell(&world, told("normal"));
    let state = world.wait("it is in service", |state| state["phase"] == "idle");
    assert_eq!(state["next_sequence"], 2, "nobody was let through meanwhile");
}

#[test]
fn a_crowd_limit_refuses_before_anything_is_written_and_the_code_is_not_spent() {
    let mut world = World::with("[admission]\nper_minute_max = 1");
    world.show(&[phone_with(&world.phone(RiderId::random()).show(now(), [1; 8]))]);
    world.wait("he is through", |state| state["passages"]["code"] == 1);
    world.pause();
    world.show(&[phone_with(&world.phone(RiderId::random()).show(now(), [2; 8]))]);
    assert_eq!(world.decision(2)["reason"], "not_admitted");
    let state = world.state();
    assert_eq!((state["next_sequence"].as_u64(), state["gate_state"] != "open"), (Some(2), true));
    assert!(state["not_admitted"].as_str().unwrap().contains("crowd limit"));
}

#[test]
fn an_order_is_carried_out_once_and_not_when_it_is_over() {
    let mut world = World::new();
    let order = |id: &str, what: &str, after_s: i64| {
        let order_until_unix_ms = now().unix_ms() + after_s * 1000;
        let (order_id, order_what) = (id.into(), what.into());
        Command::ToldGate(v1::ToldGateCommand { mode: "normal".into(), order_id, order_what, order_until_unix_ms })
    };
    let first = order("o-1", "open_once", 600);
    tell(&world, first.clone());
    tell(&world, first.clone());
    world.wait("it is opened", |state| state["order_outcome"] == "opened");
    world.wait("somebody is through", |state| state["gate_state"] == "idle");
    // Delivered again to a gate that has started anew.
    world.crash_gate();
    world.start_gate();
    world.wait("it is ready", |state| state["phase"] == "idle" && state["order_id"] == "o-1");
    tell(&world, first);
    tell(&world, order("o-2", "open_once", -5));
    world.wait("it is over", |state| state["order_id"] == "o-2" && state["order_outcome"] == "expired");
    assert_eq!(world.aisle.opened().len(), 1);
    assert!(world.aisle.opened()[0].starts_with("0-"), "on nobody's account");
    assert_eq!(world.state()["next_sequence"], 0);
    tell(&world, order("o-3", "restart", 600));
    let told =
        || world.station.memory().statuses.last().map(|status| (status.order_id.clone(), status.order_outcome.clone()));
    let began = Stopwatch::start();
    while std::net::TcpStream::connect(("127.0.0.1", world.screen)).is_ok() {
        assert!(began.elapsed() < Duration::from_secs(30), "it ends: {:?}", told());
        std::thread::sleep(Duration::from_millis(20));
    }
    world.crash_gate();
    world.start_gate();
    world.wait("it is back", |state| state["order_id"] == "o-3" && state["order_outcome"] == "restarted");
}
