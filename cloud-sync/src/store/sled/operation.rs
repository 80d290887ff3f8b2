//! What the operator tells.

use async_trait::async_trait;
use facegate_domain::operation::{FARE_TABLES_MAX, Instruction, Instructions};

use super::feed::publish;
use super::{SledStore, key, terms};
use crate::store::logged::Logged;
use crate::store::{OperationStore, StoreError};

#[async_trait]
impl OperationStore for SledStore {
    async fn instruct(&self, instruction: Instruction) -> Result<u64, StoreError> {
        self.write(|tx| {
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
                tx.put(key, &instruction);
            } else {
                tx.remove(key);
            }
            publish(tx, &Logged::Told { told: instruction.clone() })
        })
        .await
    }

    async fn instructions(&self) -> Result<Instructions, StoreError> {
        let mut held = Instructions::default();
        self.read().scan_as::<Instruction>(key::TOLD)?.iter().for_each(|told| held.follow(told));
        Ok(held)
    }
}
