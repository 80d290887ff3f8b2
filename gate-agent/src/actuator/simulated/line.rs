//! The lines of the simulated aisle's protocol.

use facegate_domain::tap::PassageOutcome;
use serde::{Deserialize, Serialize};

use crate::actuator::{AisleStatus, Sensed};

#[derive(Debug, Serialize)]
#[serde(tag = "cmd", rename_all = "snake_case")]
pub(super) enum ToAisle {
    Open { token: String },
    Status,
    Ack { event: u64 },
}

#[derive(Debug, PartialEq)]
pub(super) enum FromAisle {
    Sensed(Sensed),
    Status(AisleStatus),
}

impl FromAisle {
    pub(super) fn parse(line: &str) -> Result<Self, String> {
        let raw: RawLine = serde_json::from_str(line).map_err(|e| format!("not a line of the protocol: {e}"))?;
        match raw {
            RawLine::Sensed(raw) => Ok(Self::Sensed(raw.check()?)),
            RawLine::Status(raw) => Ok(Self::Status(AisleStatus {
                open: if raw.status == RawDoor::Open { raw.token.as_deref().map(token).transpose()? } else { None },
                unacknowledged: raw.unacknowledged.iter().map(RawSensed::check).collect::<Result<_, _>>()?,
            })),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum RawLine {
    Sensed(RawSensed),
    Status(RawStatus),
}

#[derive(Debug, Deserialize)]
struct RawSensed {
    event: u64,
    token: String,
    kind: RawKind,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawKind {
    Crossed,
    TurnedBack,
    TimedOut,
}

#[derive(Debug, Deserialize)]
struct RawStatus {
    status: RawDoor,
    token: Option<String>,
    unacknowledged: Vec<RawSensed>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawDoor {
    Open,
    Closed,
}

impl RawSensed {
    fn check(&self) -> Result<Sensed, String> {
        let outcome = match self.kind {
            RawKind::Crossed => PassageOutcome::Passed,
            RawKind::TurnedBack => PassageOutcome::TurnedBack,
            RawKind::TimedOut => PassageOutcome::TimedOut,
        };
        Ok(Sensed { event: self.event, token: token(&self.token)?, outcome })
    }
}

fn token(text: &str) -> Result<crate::actuator::PassageToken, String> {
    text.parse().map_err(|()| format!("{text:?} is not a token of the form epoch-sequence"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actuator::PassageToken;

    const TOKEN: PassageToken = PassageToken { epoch: 3, sequence: 17 };

    #[test]
    fn commands_are_written_as_the_aisle_reads_them() {
        let json = |line: &ToAisle| serde_json::to_string(line).unwrap();
        assert_eq!(json(&ToAisle::Open { token: TOKEN.to_string() }), r#"{"cmd":"open","token":"3-17"}"#);
        assert_eq!(json(&ToAisle::Status), r#"{"cmd":"status"}"#);
        assert_eq!(json(&ToAisle::Ack { event: 5 }), r#"{"cmd":"ack","event":5}"#);
    }

    #[test]
    fn events_and_status_are_read() {
        let sensed = Sensed { event: 5, token: TOKEN, outcome: PassageOutcome::Passed };
        let line = r#"{"event":5,"token":"3-17","kind":"crossed"}"#;
        assert_eq!(FromAisle::parse(line), Ok(FromAisle::Sensed(sensed)));
        let open = format!(r#"{{"status":"open","token":"3-17","unacknowledged":[{line}],"known":["3-17"]}}"#);
        let expected = AisleStatus { open: Some(TOKEN), unacknowledged: vec![sensed] };
        assert_eq!(FromAisle::parse(&open), Ok(FromAisle::Status(expected)));
        let closed = r#"{"status":"closed","token":null,"unacknowledged":[],"known":[]}"#;
        assert_eq!(FromAisle::parse(closed), Ok(FromAisle::Status(AisleStatus::default())));
    }

    #[test]
    fn garbage_is_refused_with_a_reason() {
        for line in
            ["", "{}", r#"{"event":1,"token":"x","kind":"crossed"}"#, r#"{"event":1,"token":"1-1","kind":"flew"}"#]
        {
            assert!(FromAisle::parse(line).is_err(), "{line}");
        }
    }
}
