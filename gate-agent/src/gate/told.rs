//! What the gate does about what the operations centre tells it: its mode, and orders, each carried out once.

use facegate_domain::operation::{GateOrder, OrderKind};

use super::Gate;
use crate::door::Blocked;
use crate::memory::Done;

impl Gate {
    /// True if the gate is to end, so that it is started again.
    pub(super) async fn follow_told(&mut self) -> bool {
        let told = self.parts.told.borrow_and_update().clone();
        self.parts.door.set_mode(told.mode()).await;
        self.rest_if_idle();
        let done = self.parts.memory.orders().unwrap_or_else(|error| {
            tracing::error!(%error, "what was ordered last cannot be read");
            Vec::new()
        });
        let known = |order: &GateOrder| done.iter().any(|done| done.id == order.id);
        match told.gate.order {
            Some(order) if !known(&order) => self.carry_out(order).await,
            _ => {
                if let Some(last) = done.last() {
                    self.parts.board.order(last.clone());
                }
                false
            }
        }
    }

    async fn carry_out(&mut self, order: GateOrder) -> bool {
        if order.until < self.now() {
            self.settle_order(&order, "expired").await;
            return false;
        }
        // Before it is carried out: whatever happens now, it is not carried out again.
        if !self.settle_order(&order, "begun").await {
            return false;
        }
        let outcome = match order.what {
            OrderKind::Restart => "restarted".to_owned(),
            OrderKind::OpenOnce => match self.parts.door.open_once().await {
                Ok(()) => "opened".to_owned(),
                Err(Blocked::Busy) => "refused: somebody is passing, or the door stands open".to_owned(),
                Err(Blocked::Mode(mode)) => format!("refused: the gate is {mode}"),
                Err(Blocked::Fault(fault)) => format!("refused: {fault}"),
            },
        };
        self.settle_order(&order, &outcome).await;
        order.what == OrderKind::Restart
    }

    /// False if it could not be made durable.
    async fn settle_order(&mut self, order: &GateOrder, outcome: &str) -> bool {
        tracing::warn!(id = order.id, what = order.what.name(), outcome, "an order of the operations centre");
        let done = Done { id: order.id.clone(), outcome: outcome.to_owned() };
        let kept = self.parts.memory.remember_order(&done).await;
        if let Err(error) = &kept {
            tracing::error!(%error, "an order cannot be written down and is not carried out");
        }
        self.parts.board.order(done);
        kept.is_ok()
    }
}
