//! What the operator tells stations.

use facegate_domain::gate::GateMode;
use facegate_domain::ids::{GateId, RiderId, StationId};
use facegate_domain::operation::{GateOrder, Instruction, OrderKind, PublishedFares, StationMode, StationSettings};
use facegate_domain::policy::Refusal;
use facegate_proto::convert::station::Answer;
use facegate_proto::convert::sync::FeedChange;
use facegate_proto::v1;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::codes::present;
use crate::faces::{face, look, template};
use crate::identify::ask;
use crate::sightings::{sight, tier};
use crate::world::{NOW, World, eventually};

const ENTRY: v1::Direction = v1::Direction::Entry;
const CLOSED: Answer = Answer::Refused(Refusal::StationClosed);

fn mode(station: Option<&str>, mode: Option<StationMode>) -> FeedChange {
    FeedChange::Told(Instruction::Mode { station: station.map(|s| StationId::new(s).unwrap()), mode })
}

fn settings(settings: StationSettings) -> FeedChange {
    FeedChange::Told(Instruction::Settings { station: Some(StationId::new("north").unwrap()), settings })
}

#[tokio::test]
async fn a_closed_station_lets_nobody_through_and_stays_closed_over_a_restart() {
    let world = World::new().await;
    let station = world.station().await;
    let mate = face();
    world.cloud.publish(FeedChange::TemplatePut(template(RiderId::random(), &mate)));
    world.cloud.publish_and_wait(mode(Some("south"), Some(StationMode::Closed))).await;
    let mut gate = world.gate(&station).await;
    assert!(matches!(ask(&mut gate, &look(&mate), ENTRY).await, Answer::Granted { .. }), "another station's");
    world.cloud.publish_and_wait(mode(None, Some(StationMode::Closed))).await;
    assert_eq!(ask(&mut gate, &look(&mate), ENTRY).await, CLOSED);
    assert_eq!(present(&mut gate, RiderId::random(), [1; 8]).await, CLOSED);
    station.stop().await;
    let station = world.station().await;
    let mut gate = world.gate(&station).await;
    assert_eq!(ask(&mut gate, &look(&mate), ENTRY).await, CLOSED);
    let reported = || world.cloud.seen.lock().unwrap().report.as_ref().map(|report| report.mode.clone());
    eventually("the mode is reported", || async { reported().as_deref() == Some("closed") }).await;
    world.cloud.publish_and_wait(mode(None, None)).await;
    assert!(matches!(present(&mut gate, RiderId::random(), [1; 8]).await, Answer::Granted { .. }));
    station.stop().await;
}

#[tokio::test]
async fn gates_hear_of_the_stations_mode_when_they_come_and_when_it_changes() {
    let world = World::new().await;
    let station = world.station().await;
    let (_statuses, queue) = mpsc::channel::<v1::GateStatus>(4);
    let mut commands = world.gate(&station).await.attend(ReceiverStream::new(queue)).await.unwrap().into_inner();
    let mut next_mode = async || loop {
        let command = commands.message().await.unwrap().expect("the stream goes on").command;
        if let Some(v1::gate_command::Command::StationMode(told)) = command {
            return told.mode;
        }
    };
    assert_eq!(next_mode().await, "normal");
    world.cloud.publish(mode(Some("north"), Some(StationMode::EmergencyOpen)));
    assert_eq!(next_mode().await, "emergency_open");
    station.stop().await;
}

#[tokio::test]
async fn a_gate_hears_what_it_alone_is_told_and_hears_it_again_when_it_comes_back() {
    let world = World::new().await;
    let station = world.station().await;
    let gate = GateId::new("north-in").unwrap();
    let order = GateOrder { gate: gate.clone(), id: "o-1".into(), what: OrderKind::OpenOnce, until: NOW };
    let other = GateId::new("north-out").unwrap();
    for told in [
        Instruction::GateMode { gate: other, mode: Some(GateMode::Maintenance) },
        Instruction::GateMode { gate, mode: Some(GateMode::TimeExempt) },
        Instruction::GateOrder(order),
    ] {
        world.cloud.publish_and_wait(FeedChange::Told(told)).await;
    }
    for _ in 0..2 {
        let (_statuses, queue) = mpsc::channel::<v1::GateStatus>(4);
        let mut commands = world.gate(&station).await.attend(ReceiverStream::new(queue)).await.unwrap().into_inner();
        loop {
            let command = commands.message().await.unwrap().expect("the stream goes on").command;
            if let Some(v1::gate_command::Command::ToldGate(told)) = command {
                assert_eq!((&*told.mode, &*told.order_id, &*told.order_what), ("time_exempt", "o-1", "open_once"));
                break;
            }
        }
    }
    station.stop().await;
}

#[tokio::test]
async fn settings_of_the_operator_go_before_the_config() {
    let world = World::new().await;
    let station = world.station().await;
    let mate = face();
    world.cloud.publish(FeedChange::TemplatePut(template(RiderId::random(), &mate)));
    let off = StationSettings { sightings_enabled: Some(false), ..StationSettings::default() };
    world.cloud.publish_and_wait(settings(off)).await;
    sight(&world, &station, &look(&mate)).await;
    assert_eq!(tier(&world, &station, &look(&mate)).await, facegate_domain::score::Tier::City);
    // The best look that a strict budget refuses, and back.
    let strict = StationSettings { risk_budget: Some(0.01), ..StationSettings::default() };
    world.cloud.publish_and_wait(settings(strict)).await;
    let mut gate = world.gate(&station).await;
    let mut like = mate.clone();
    for percent in (20..=80_u8).rev().step_by(2) {
        like = crate::faces::like(&mate, f32::from(percent) / 100.0);
        if ask(&mut gate, &like, ENTRY).await == Answer::Refused(Refusal::NotRecognised) {
            break;
        }
    }
    assert_eq!(ask(&mut gate, &like, ENTRY).await, Answer::Refused(Refusal::NotRecognised));
    let lax = StationSettings { risk_budget: Some(1000.0), ..StationSettings::default() };
    world.cloud.publish_and_wait(settings(lax)).await;
    assert!(matches!(ask(&mut gate, &like, ENTRY).await, Answer::Granted { .. }));
    station.stop().await;
}

#[tokio::test]
async fn fare_tables_are_held_over_a_restart_and_told_to_the_cloud() {
    let world = World::new().await;
    let station = world.station().await;
    let fares = |name: &str| PublishedFares { name: name.into(), valid_from: NOW, toml: format!("name = '{name}'") };
    for name in ["2026", "2027", "2028"] {
        world.cloud.publish(FeedChange::Told(Instruction::Fares(fares(name))));
    }
    world.cloud.publish_and_wait(FeedChange::Told(Instruction::FaresWithdrawn { name: "2027".into() })).await;
    station.stop().await;
    world.cloud.seen.lock().unwrap().report = None;
    let station = world.station().await;
    let held = || world.cloud.seen.lock().unwrap().report.as_ref().map(|report| report.fare_tables.clone());
    eventually("a report comes", || async { held().is_some() }).await;
    let held = held().unwrap();
    assert_eq!(held.iter().map(|held| held.name.as_str()).collect::<Vec<_>>(), ["2026", "2028"]);
    assert_eq!(held[1].sha256, fares("2028").sha256());
    station.stop().await;
}
