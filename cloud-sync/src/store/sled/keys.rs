//! Sealing anew under a newer key.

use std::collections::BTreeMap;

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_runtime::keys::{KeyId, KeyRing};

use super::sealed::Sealed;
use super::{SledStore, key};
use crate::store::{KeyStore, KeyUse, ResealPage, SealedValues, StoreError};

#[async_trait]
impl KeyStore for SledStore {
    async fn use_keys(&self, values: SealedValues, ring: KeyRing) -> Result<(), StoreError> {
        self.write_sealed(|_| self.values(values).use_keys(&ring)).await
    }

    async fn reseal(&self, values: SealedValues, from: Option<Vec<u8>>, max: usize) -> Result<ResealPage, StoreError> {
        self.write_sealed(|_| self.values(values).reseal(from, max)).await
    }

    async fn sealed_under(&self, values: SealedValues) -> Result<BTreeMap<KeyId, u64>, StoreError> {
        self.values(values).sealed_under()
    }

    async fn key_used(&self, purpose: &str, id: KeyId, now: Timestamp) -> Result<KeyUse, StoreError> {
        let name = key::key_since(purpose, id);
        if let Some(since) = self.read().get(&name)? {
            return Ok(KeyUse { since, first: false });
        }
        self.write(|tx| {
            let told = tx.get(&name)?;
            tx.put(name.clone(), &told.unwrap_or(now));
            Ok(KeyUse { since: told.unwrap_or(now), first: told.is_none() })
        })
        .await
    }
}

impl SledStore {
    fn values(&self, values: SealedValues) -> &Sealed {
        match values {
            SealedValues::Templates => &self.faces,
            SealedValues::Identities => &self.identity,
        }
    }
}
