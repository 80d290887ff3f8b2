//! What the operations centre tells one gate.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::InvalidInstruction;
use crate::Timestamp;
use crate::gate::GateMode;
use crate::ids::GateId;

/// What a gate is ordered to do once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderKind {
    /// For one body, on nobody's account.
    OpenOnce,
    /// The gate's process ends in order, and whoever watches over it starts it again.
    Restart,
}

impl OrderKind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenOnce => "open_once",
            Self::Restart => "restart",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Self::OpenOnce, Self::Restart].into_iter().find(|kind| kind.name() == name)
    }
}

/// Carried out once, however often it is delivered, and not after `until`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateOrder {
    pub gate: GateId,
    pub id: String,
    pub what: OrderKind,
    pub until: Timestamp,
}

/// Longest that an order may wait for its gate.
pub const ORDER_WAITS_MAX: Duration = Duration::from_secs(600);
/// Longest name of an order.
pub const ORDER_ID_BYTES_MAX: usize = 64;

impl GateOrder {
    /// Errors: its name, or how long it may wait.
    pub fn check(&self, now: Timestamp) -> Result<(), InvalidInstruction> {
        let wrong = |setting, given: String, allowed| Err(InvalidInstruction { setting, given, allowed });
        if self.id.is_empty() || self.id.len() > ORDER_ID_BYTES_MAX {
            return wrong("id", self.id.clone(), "use 1 to 64 bytes that name this order alone");
        }
        if self.until <= now || self.until.since(now) > ORDER_WAITS_MAX {
            return wrong("until", self.until.unix_ms().to_string(), "use a moment within the next ten minutes");
        }
        Ok(())
    }
}

/// What one gate is told.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ToldGate {
    pub mode: GateMode,
    pub order: Option<GateOrder>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::{Instruction, Instructions};

    #[test]
    fn a_gates_mode_and_order_are_its_own_and_end() {
        let gate = GateId::new("north-in").unwrap();
        let now = Timestamp::from_unix_ms(1_000_000);
        let until = now.plus(Duration::from_secs(60));
        let order = GateOrder { gate: gate.clone(), id: "a".into(), what: OrderKind::OpenOnce, until };
        assert_eq!(order.check(now), Ok(()));
        assert!(order.check(until).is_err(), "over");
        assert!(GateOrder { until: now.plus(Duration::from_secs(601)), ..order.clone() }.check(now).is_err());
        assert!(GateOrder { id: String::new(), ..order.clone() }.check(now).is_err());
        let mode = Instruction::GateMode { gate: gate.clone(), mode: Some(GateMode::TimeExempt) };
        let mut told = Instructions::default();
        told.follow(&mode);
        told.follow(&Instruction::GateOrder(order.clone()));
        let expected = ToldGate { mode: GateMode::TimeExempt, order: Some(order.clone()) };
        assert_eq!(told.of_gate(&gate), expected);
        assert_eq!(told.of_gate(&GateId::new("south-in").unwrap()), ToldGate::default());
        told.follow(&mode.end());
        told.follow(&Instruction::GateOrder(order).end());
        assert_eq!(told, Instructions::default());
    }
}
