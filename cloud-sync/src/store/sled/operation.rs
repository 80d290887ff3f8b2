//! What the operator tells.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::operation::{ACT_REMEMBERED, FARE_TABLES_MAX, GateAct, Instruction, Instructions};

use super::feed::publish;
use super::tx::Tx;
use super::{SledStore, audit, key, terms};
use crate::store::logged::Logged;
use crate::store::operation::FORGOTTEN_AT_A_TIME;
use crate::store::{OperationStore, StoreError, ToldAct};

#[async_trait]
impl OperationStore for SledStore {
    async fn instruct(&self, instruction: Instruction) -> Result<u64, StoreError> {
        self.write(|tx| tell(tx, &instruction)).await
    }

    async fn act_at_gate(&self, act: GateAct) -> Result<ToldAct, StoreError> {
        self.write(|tx| {
            if let Some(before) = tx.get::<ToldAct>(&key::gate_act(&act.id))? {
                before.act.is_what(&act)?;
                return Ok(before);
            }
            forget_acts(tx, act.at.minus(ACT_REMEMBERED))?;
            let (action, subject) = act.line();
            audit::append(tx, &act.by, action, &subject, act.at)?;
            let told = ToldAct { version: tell(tx, &act.instruction())?, act: act.clone() };
            tx.put(key::gate_act(&act.id), &told);
            tx.put(key::gate_act_at(act.at, &act.id), &act.id);
            tx.put(key::gate_act_of(&act.gate), &told);
            Ok(told)
        })
        .await
    }

    async fn latest_acts(&self) -> Result<Vec<ToldAct>, StoreError> {
        self.read().scan_as(key::GATE_ACT_OF)
    }

    async fn instructions(&self) -> Result<Instructions, StoreError> {
        let mut held = Instructions::default();
        self.read().scan_as::<Instruction>(key::TOLD)?.iter().for_each(|told| held.follow(told));
        Ok(held)
    }
}

fn tell(tx: &mut Tx<'_>, instruction: &Instruction) -> Result<u64, StoreError> {
    let key = key::told(&instruction.place());
    if matches!(instruction, Instruction::Fares(_)) && !tx.contains(&key)? {
        let held = tx.scan_as::<Instruction>(key::TOLD)?;
        if held.iter().filter(|held| matches!(held, Instruction::Fares(_))).count() >= FARE_TABLES_MAX {
            return Err(StoreError::TooManyFareTables);
        }
    }
    if instruction.changes_fares() {
        terms::tariff_changes(tx)?;
    }
    if instruction.holds() {
        tx.put(key, instruction);
    } else {
        tx.remove(key);
    }
    publish(tx, &Logged::Told { told: instruction.clone() })
}

/// The latest one of each gate stays with the gate.
fn forget_acts(tx: &mut Tx<'_>, before: Timestamp) -> Result<(), StoreError> {
    let end = key::gate_acts_until(before);
    for (at, _) in tx.scan_from(key::GATE_ACT_AT, key::GATE_ACT_AT, FORGOTTEN_AT_A_TIME)? {
        if *at >= *end {
            break;
        }
        tx.get::<String>(&at)?.into_iter().for_each(|id| tx.remove(key::gate_act(&id)));
        tx.remove(at);
    }
    Ok(())
}
