//! What passes between the cloud and its acquirers.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::charge::IdempotencyKey;

use super::SledStore;
use super::key::acquirers as key;
use crate::store::{AcquirerStore, AskedOf, StoreError};

#[async_trait]
impl AcquirerStore for SledStore {
    async fn ask_acquirer(
        &self,
        acquirer: &str,
        key: &IdempotencyKey,
        of: Option<&str>,
        now: Timestamp,
    ) -> Result<AskedOf, StoreError> {
        let at = key::asked(acquirer, key.as_str());
        self.write(|tx| {
            if let Some(before) = tx.get::<AskedOf>(&at)? {
                return Ok(before);
            }
            let asked = AskedOf { asked_at: now, of: of.map(str::to_owned), reference: None, is_new: true };
            tx.put(at, &asked);
            Ok(asked)
        })
        .await
    }

    async fn asked_of_acquirer(&self, acquirer: &str, key: &IdempotencyKey) -> Result<Option<AskedOf>, StoreError> {
        self.read().get(&key::asked(acquirer, key.as_str()))
    }

    async fn keep_reference(&self, acquirer: &str, key: &IdempotencyKey, reference: &str) -> Result<(), StoreError> {
        let at = key::asked(acquirer, key.as_str());
        self.write(|tx| {
            let asked = tx.get::<AskedOf>(&at)?;
            if let Some(asked) = asked.filter(|asked| asked.reference.is_none()) {
                tx.put(at, &AskedOf { reference: Some(reference.to_owned()), ..asked });
                tx.put(key::asked_as(acquirer, reference), key);
            }
            Ok(())
        })
        .await
    }

    async fn key_of_reference(&self, acquirer: &str, reference: &str) -> Result<Option<IdempotencyKey>, StoreError> {
        self.read().get(&key::asked_as(acquirer, reference))
    }

    async fn take_event(&self, acquirer: &str, event: &str, now: Timestamp) -> Result<bool, StoreError> {
        let told = key::told_event(acquirer, event);
        self.write(|tx| {
            if tx.contains(&told)? {
                return Ok(false);
            }
            tx.put(told, &());
            tx.put(key::told_event_at(now, acquirer, event), &(acquirer, event));
            Ok(true)
        })
        .await
    }

    async fn forget_events(&self, before: Timestamp, max: usize) -> Result<usize, StoreError> {
        let end = key::told_events_until(before);
        self.write(|tx| {
            let mut forgotten = 0;
            for (at, _) in tx.scan_from(key::TOLD_EVENT_AT, key::TOLD_EVENT_AT, max)? {
                if *at >= *end {
                    break;
                }
                let (acquirer, event): (String, String) = tx.get(&at)?.unwrap_or_default();
                tx.remove(key::told_event(&acquirer, &event));
                tx.remove(at);
                forgotten += 1;
            }
            Ok(forgotten)
        })
        .await
    }
}
