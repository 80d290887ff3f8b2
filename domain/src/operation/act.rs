//! What a person of the operations centre does at one gate: told once by its name, however often it is asked for.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{GateOrder, Instruction, InvalidInstruction, ORDER_ID_BYTES_MAX, OrderKind};
use crate::Timestamp;
use crate::gate::GateMode;
use crate::ids::GateId;

/// Longest reason that is written down.
pub const REASON_BYTES_MAX: usize = 400;
/// For so long an act is known by its name; whatever asks again for one that is older asks for another.
pub const ACT_REMEMBERED: Duration = Duration::from_secs(30 * 86_400);

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Does {
    /// Over at `until`, whether the gate heard of it or not.
    Order { order: OrderKind, until: Timestamp },
    /// Until another is told; `None` ends what was told before.
    Mode { mode: Option<GateMode> },
}

impl Does {
    /// The name on the page and in the audit log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Order { order, .. } => order.name(),
            Self::Mode { .. } => "mode",
        }
    }

    /// Until when an order waits is no part of what it asks for.
    fn is_the_same(self, other: Self) -> bool {
        match (self, other) {
            (Self::Order { order: one, .. }, Self::Order { order: other, .. }) => one == other,
            (one, other) => one == other,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateAct {
    /// Names this act alone, and the order that it gives.
    pub id: String,
    pub gate: GateId,
    pub does: Does,
    /// Empty if none was asked for.
    pub reason: String,
    /// "operator/ada".
    pub by: String,
    pub at: Timestamp,
}

impl GateAct {
    /// Errors: its name, its reason, a mode that is not told, or how long it may wait.
    pub fn check(&self) -> Result<(), InvalidInstruction> {
        let wrong = |setting, given: String, allowed| Err(InvalidInstruction { setting, given, allowed });
        if self.id.is_empty() || self.id.len() > ORDER_ID_BYTES_MAX || self.id.chars().any(char::is_control) {
            return wrong("id", self.id.escape_debug().to_string(), "use 1 to 64 bytes that name this order alone");
        }
        if self.reason.len() > REASON_BYTES_MAX || self.reason.chars().any(char::is_control) {
            return wrong("reason", self.reason.escape_debug().to_string(), "use one line of at most 400 bytes");
        }
        match (&self.does, self.instruction()) {
            (Does::Mode { mode: Some(GateMode::Fault) }, _) => {
                wrong("mode", "fault".into(), "a gate says so of itself; use closed or maintenance")
            }
            (_, Instruction::GateOrder(order)) => order.check(self.at),
            _ => Ok(()),
        }
    }

    /// Whether `asked` is this act once more.
    ///
    /// Errors: it has this one's name and asks for something else.
    pub fn is_what(&self, asked: &Self) -> Result<(), InvalidInstruction> {
        if self.gate == asked.gate && self.does.is_the_same(asked.does) && self.by == asked.by {
            return Ok(());
        }
        let allowed = "another act has this name; give this one a name of its own";
        Err(InvalidInstruction { setting: "id", given: self.id.clone(), allowed })
    }

    pub fn instruction(&self) -> Instruction {
        let gate = self.gate.clone();
        match self.does {
            Does::Order { order: what, until } => {
                Instruction::GateOrder(GateOrder { gate, id: self.id.clone(), what, until })
            }
            Does::Mode { mode } => Instruction::GateMode { gate, mode },
        }
    }

    /// What the audit log says of it: action and subject.
    pub fn line(&self) -> (&'static str, String) {
        let why = if self.reason.is_empty() { String::new() } else { format!(": {}", self.reason) };
        match self.does {
            Does::Order { order, .. } => ("gates.order", format!("{} {} {}{why}", self.gate, order.name(), self.id)),
            Does::Mode { mode } => {
                ("gates.mode", format!("{} {}{why}", self.gate, mode.map_or("none of its own", GateMode::name)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn act(does: Does) -> GateAct {
        let gate = GateId::new("north-in").unwrap();
        let at = Timestamp::from_unix_ms(1_000_000);
        GateAct { id: "a".into(), gate, does, reason: "a pram".into(), by: "operator/ada".into(), at }
    }

    fn open(until_ms: i64) -> Does {
        Does::Order { order: OrderKind::OpenOnce, until: Timestamp::from_unix_ms(until_ms) }
    }

    #[test]
    fn an_act_is_the_same_whenever_it_is_asked_for_again_and_no_other_has_its_name() {
        let first = act(open(1_060_000));
        assert_eq!(first.check(), Ok(()));
        assert_eq!(first.is_what(&GateAct { at: Timestamp::from_unix_ms(2_000_000), ..act(open(2_060_000)) }), Ok(()));
        let restart = Does::Order { order: OrderKind::Restart, until: Timestamp::from_unix_ms(1_060_000) };
        for other in [
            act(restart),
            act(Does::Mode { mode: None }),
            GateAct { gate: GateId::new("north-out").unwrap(), ..first.clone() },
            GateAct { by: "operator/bob".into(), ..first.clone() },
        ] {
            assert_eq!(first.is_what(&other).unwrap_err().setting, "id", "{other:?}");
        }
        assert_eq!(first.line(), ("gates.order", "north-in open_once a: a pram".into()));
        let closed = act(Does::Mode { mode: Some(GateMode::Closed) });
        assert_eq!(closed.line(), ("gates.mode", "north-in closed: a pram".into()));
        assert!(closed.is_what(&act(Does::Mode { mode: None })).is_err());
    }

    #[test]
    fn what_cannot_be_told_is_named() {
        let first = act(open(1_060_000));
        for (wrong, setting) in [
            (GateAct { id: String::new(), ..first.clone() }, "id"),
            (GateAct { id: "x".repeat(65), ..first.clone() }, "id"),
            (GateAct { id: "a\nb".into(), ..first.clone() }, "id"),
            (GateAct { reason: "a\tb".into(), ..first.clone() }, "reason"),
            (GateAct { reason: "x".repeat(401), ..first }, "reason"),
            (act(open(1_000_000)), "until"),
            (act(open(1_601_000)), "until"),
            (act(Does::Mode { mode: Some(GateMode::Fault) }), "mode"),
        ] {
            assert_eq!(wrong.check().unwrap_err().setting, setting, "{wrong:?}");
        }
    }
}
