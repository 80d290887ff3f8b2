//! The controller keeps what the beam saw until it is acknowledged, whoever comes and goes.

use super::protocol::{Beam, Saw};
use super::*;
use crate::city::network::LOOPBACK;

struct Gate {
    lines: tokio::io::Lines<BufReader<tokio::net::tcp::OwnedReadHalf>>,
    writer: tokio::net::tcp::OwnedWriteHalf,
}

impl Gate {
    async fn connect(aisle: &Aisle) -> Self {
        let (reader, writer) = TcpStream::connect(aisle.address()).await.unwrap().into_split();
        Self { lines: BufReader::new(reader).lines(), writer }
    }

    async fn say(&mut self, message: &ToAisle) {
        let line = serde_json::to_string(message).unwrap() + "\n";
        self.writer.write_all(line.as_bytes()).await.unwrap();
    }

    async fn hear(&mut self) -> FromAisle {
        let line = tokio::time::timeout(Duration::from_secs(5), self.lines.next_line()).await.unwrap().unwrap();
        serde_json::from_str(&line.unwrap()).unwrap()
    }
}

fn quick() -> AisleTimes {
    AisleTimes { crossing: Duration::from_millis(20) }
}

fn open(token: &str) -> ToAisle {
    ToAisle::Open { token: token.into() }
}

#[tokio::test]
async fn a_crossing_is_repeated_to_a_new_gate_until_it_is_acknowledged() {
    let aisle = Aisle::start(LOOPBACK, quick()).await.unwrap();
    let mut gate = Gate::connect(&aisle).await;
    gate.say(&open("1-0")).await;
    assert_eq!(aisle.walk(Duration::from_secs(5)).await, Walk::Crossed { token: "1-0".into() });
    let event = gate.hear().await;
    drop(gate);

    let mut restarted = Gate::connect(&aisle).await;
    assert_eq!(restarted.hear().await, event);
    for _ in 0..6 {
        restarted.hear().await;
    }
    restarted.say(&ToAisle::Ack { event: 5 }).await;
    restarted.say(&ToAisle::Status).await;
    let FromAisle::Status { unacknowledged, next, .. } = restarted.hear().await else {
        panic!("expected the status");
    };
    let left: Vec<(u64, Saw, Option<Beam>)> = unacknowledged.iter().map(|e| (e.event, e.saw, e.beam)).collect();
    assert_eq!((left, next), (vec![(6, Saw::Cleared, Some(Beam::Exit))], 7));
    assert_eq!(aisle.crossed(), ["1-0"]);
}

#[tokio::test]
async fn a_silent_gate_has_the_door_closed_behind_it() {
    let aisle = Aisle::start(LOOPBACK, quick()).await.unwrap();
    let mut gate = Gate::connect(&aisle).await;
    gate.say(&open("1-0")).await;
    gate.hear().await;
    let FromAisle::Event(closed) = gate.hear().await else { panic!("expected an event") };
    assert_eq!((closed.event, closed.saw), (1, Saw::Closed));
    assert!(closed.at_ms >= u64::try_from(controller::WATCHDOG.as_millis()).unwrap());
    assert_eq!(aisle.walk(Duration::from_millis(20)).await, Walk::GaveUp);
}

#[tokio::test]
async fn one_opening_lets_one_body_through_and_never_opens_twice() {
    let aisle = Aisle::start(LOOPBACK, quick()).await.unwrap();
    let mut gate = Gate::connect(&aisle).await;
    gate.say(&open("1-0")).await;
    let patience = Duration::from_millis(150);
    let (a, b) = tokio::join!(aisle.walk(patience), aisle.walk(patience));
    let crossings = [&a, &b].into_iter().filter(|w| matches!(w, Walk::Crossed { .. })).count();
    assert_eq!(crossings, 1, "{a:?} {b:?}");
    gate.say(&open("1-0")).await;
    assert_eq!(aisle.walk(patience).await, Walk::GaveUp);
    assert_eq!(aisle.crossed().len(), 1);
}
