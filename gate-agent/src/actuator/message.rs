//! What gate and hardware say to each other: one JSON object a message, the same on every line they are joined by.
//!
//! | gate → hardware | |
//! |---|---|
//! | `{"cmd":"open","token":"3-17"}` | open, or stay open, for one passage |
//! | `{"cmd":"close"}` | as soon as nobody is between the beams |
//! | `{"cmd":"stand","open":true}` | stand open for everybody |
//! | `{"cmd":"without_gate","open":true}` | what the watchdog does when the gate is silent: stand open until it is heard again, or close |
//! | `{"cmd":"ack","event":5}` | forget everything up to this event |
//! | `{"cmd":"show","lamp":"go","sound":"none"}` | `ready`, `go`, `stop`; `none`, `go`, `refused`, `alarm` |
//! | `{"cmd":"status"}` | also the gate's sign of life, for the hardware's watchdog |
//!
//! | hardware → gate | |
//! |---|---|
//! | `{"event":5,"at_ms":8123,"saw":"opened","token":"3-17"}` | or `closed`, or `broken` and `cleared` with `"beam":"entry"`, `mid`, `exit` |
//! | `{"boot":7,"now_ms":9000,"next":6,"unacknowledged":[…]}` | the answer to `status` |

use facegate_domain::aisle::{AisleEvent, Beam, PassageToken, Saw};
use serde::{Deserialize, Serialize};

use super::{AisleStatus, Lamp, Order, Sound};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cmd", rename_all = "snake_case", deny_unknown_fields)]
pub enum ToAisle {
    Open { token: String },
    Close,
    Stand { open: bool },
    WithoutGate { open: bool },
    Ack { event: u64 },
    Show { lamp: Lamp, sound: Sound },
    Status,
}

impl From<Order> for ToAisle {
    fn from(order: Order) -> Self {
        match order {
            Order::Open(token) => Self::Open { token: token.to_string() },
            Order::Close => Self::Close,
            Order::Stand(open) => Self::Stand { open },
            Order::WithoutGate(open) => Self::WithoutGate { open },
            Order::Acknowledge(event) => Self::Ack { event },
            Order::Show(lamp, sound) => Self::Show { lamp, sound },
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FromAisle {
    Event(Event),
    Status(Status),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub event: u64,
    pub at_ms: u64,
    pub saw: SawKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beam: Option<Beam>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SawKind {
    Opened,
    Closed,
    Broken,
    Cleared,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub boot: u32,
    pub now_ms: u64,
    /// The number of the next event: a gap before it was lost on the way.
    pub next: u64,
    pub unacknowledged: Vec<Event>,
}

impl From<AisleEvent> for Event {
    fn from(event: AisleEvent) -> Self {
        let (saw, token, beam) = match event.saw {
            Saw::Opened(token) => (SawKind::Opened, Some(token.to_string()), None),
            Saw::Closed => (SawKind::Closed, None, None),
            Saw::Broken(beam) => (SawKind::Broken, None, Some(beam)),
            Saw::Cleared(beam) => (SawKind::Cleared, None, Some(beam)),
        };
        Self { event: event.number, at_ms: event.at_ms, saw, token, beam }
    }
}

impl TryFrom<&Event> for AisleEvent {
    type Error = String;

    fn try_from(event: &Event) -> Result<Self, String> {
        let token = || -> Result<PassageToken, String> {
            let text = event.token.as_deref().unwrap_or_default();
            text.parse().map_err(|()| format!("{text:?} is not a token of the form epoch-sequence"))
        };
        let beam = || event.beam.ok_or_else(|| String::from("which beam is missing"));
        let saw = match event.saw {
            SawKind::Opened => Saw::Opened(token()?),
            SawKind::Closed => Saw::Closed,
            SawKind::Broken => Saw::Broken(beam()?),
            SawKind::Cleared => Saw::Cleared(beam()?),
        };
        Ok(Self { number: event.event, at_ms: event.at_ms, saw })
    }
}

impl Status {
    /// As the door takes it; an event that makes no sense spoils the whole.
    pub fn check(&self) -> Result<AisleStatus, String> {
        let unacknowledged = self.unacknowledged.iter().map(AisleEvent::try_from).collect::<Result<_, _>>()?;
        Ok(AisleStatus { boot: self.boot, now_ms: self.now_ms, unacknowledged })
    }
}

impl FromAisle {
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|e| format!("not a message of the protocol: {e}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: PassageToken = PassageToken { epoch: 3, sequence: 17 };

    #[test]
    fn orders_are_written_as_the_hardware_reads_them() {
        let table = [
            (Order::Open(TOKEN), r#"{"cmd":"open","token":"3-17"}"#),
            (Order::Close, r#"{"cmd":"close"}"#),
            (Order::Stand(true), r#"{"cmd":"stand","open":true}"#),
            (Order::WithoutGate(true), r#"{"cmd":"without_gate","open":true}"#),
            (Order::Acknowledge(5), r#"{"cmd":"ack","event":5}"#),
            (Order::Show(Lamp::Go, Sound::None), r#"{"cmd":"show","lamp":"go","sound":"none"}"#),
        ];
        for (order, text) in table {
            let message = ToAisle::from(order);
            assert_eq!(serde_json::to_string(&message).unwrap(), text);
            assert_eq!(serde_json::from_str::<ToAisle>(text).unwrap(), message);
        }
    }

    #[test]
    fn reports_and_status_are_read() {
        let table = [
            (r#"{"event":5,"at_ms":9,"saw":"opened","token":"3-17"}"#, Saw::Opened(TOKEN)),
            (r#"{"event":5,"at_ms":9,"saw":"closed"}"#, Saw::Closed),
            (r#"{"event":5,"at_ms":9,"saw":"broken","beam":"mid"}"#, Saw::Broken(Beam::Mid)),
            (r#"{"event":5,"at_ms":9,"saw":"cleared","beam":"exit"}"#, Saw::Cleared(Beam::Exit)),
        ];
        for (text, saw) in table {
            let expected = AisleEvent { number: 5, at_ms: 9, saw };
            let FromAisle::Event(event) = FromAisle::parse(text).unwrap() else { panic!("{text}") };
            assert_eq!(AisleEvent::try_from(&event), Ok(expected));
            assert_eq!(serde_json::to_string(&Event::from(expected)).unwrap(), text);
            let status = format!(r#"{{"boot":7,"now_ms":12,"next":6,"unacknowledged":[{text}]}}"#);
            let FromAisle::Status(status) = FromAisle::parse(&status).unwrap() else { panic!("{text}") };
            let expected = AisleStatus { boot: 7, now_ms: 12, unacknowledged: vec![expected] };
            assert_eq!(status.check(), Ok(expected));
        }
    }

    #[test]
    fn garbage_is_refused_with_a_reason() {
        for text in ["", "{}", r#"{"event":1,"at_ms":1,"saw":"flew"}"#, "\u{0}\u{ff}", r#"{"boot":1}"#] {
            assert!(FromAisle::parse(text).is_err(), "{text}");
        }
        for text in [
            r#"{"event":1,"at_ms":1,"saw":"opened","token":"x"}"#,
            r#"{"event":1,"at_ms":1,"saw":"opened"}"#,
            r#"{"event":1,"at_ms":1,"saw":"broken"}"#,
        ] {
            let FromAisle::Event(event) = FromAisle::parse(text).unwrap() else { panic!("{text}") };
            assert!(AisleEvent::try_from(&event).is_err(), "{text}");
        }
    }
}
