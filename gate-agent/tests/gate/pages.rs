//! The display follows a real gate: let through, refused, an emergency, and a gate that dies and comes back.

use facegate_domain::Timestamp;
use facegate_domain::ids::RiderId;
use facegate_proto::v1;
use facegate_proto::v1::gate_command::Command;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::people::{phone_with, walk_up};
use crate::run::drive;
use crate::world::{World, now};

fn station_mode(mode: &str) -> Command {
    Command::StationMode(v1::StationModeCommand { mode: mode.into() })
}

#[test]
fn the_display_follows_its_gate_and_says_when_it_has_lost_it() {
    let mut world = World::new();
    let given = json!({ "base": format!("http://127.0.0.1:{}", world.screen), "signs":
        ["ready", "go", "ready", "new_code", "ready", "show_code", "standing", "ready", "lost", "ready"] });
    let browser = Runtime::new().unwrap();
    let watching = browser.spawn(async move { drive("gate/follows.mjs", &given).await });
    world.wait("the display is there", |state| state["displays"] == 1);
    let code = world.phone(RiderId::random()).show(now(), [1; 8]);
    world.show(&[phone_with(&code)]);
    world.wait("he is through", |state| state["passages"]["code"] == 1 && state["phase"] == "idle");
    world.pause();
    let long_ago = Timestamp::from_unix_ms(now().unix_ms() - 600_000);
    world.show(&[phone_with(&world.phone(RiderId::random()).show(long_ago, [2; 8]))]);
    assert_eq!(world.decision(2)["reason"], "code_expired");
    world.wait("it is ready again", |state| state["phase"] == "idle");
    world.show(&walk_up("impostor_1.jpg", 9));
    world.wait("a stranger is refused", |state| state["display"]["sign"] == "show_code");
    world.station.memory().commands.push(station_mode("emergency_open"));
    world.wait("everybody walks", |state| state["display"]["sign"] == "standing");
    world.station.memory().commands.push(station_mode("normal"));
    world.wait("it is over", |state| state["display"]["sign"] == "ready");
    world.crash_gate();
    std::thread::sleep(std::time::Duration::from_secs(2));
    world.start_gate();
    let answer = browser.block_on(watching).unwrap();
    assert_eq!(answer["words"]["lost"], "Please use the next gate");
    assert_eq!(answer["words"]["new_code"], "Code too old");
}
