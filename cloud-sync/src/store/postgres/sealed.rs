//! Values sealed under a key of their own, each bound to its key, in a schema of their own.

use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use facegate_runtime::keys::{KeyRing, Sealer};
use sqlx::postgres::PgPool;
use zeroize::Zeroizing;

use super::error::Trouble;
use super::values::damaged;
use crate::store::{SealedValues, StoreError};

/// Sealed in every schema.
pub(super) const CHECK: &[u8] = b"facegate";

pub(super) struct Sealed(RwLock<Sealer>);

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealed")
    }
}

impl Sealed {
    /// Errors: `WrongKey` if the schema was sealed under another key.
    pub async fn open(pool: &PgPool, values: SealedValues, ring: &KeyRing) -> Result<Self, StoreError> {
        let sealed = Self(RwLock::new(Sealer::of(ring)));
        // Sealed once at the beginning: tells a wrong key before anything is lost by it.
        let (begin, look) = match values {
            SealedValues::Templates => (
                "INSERT INTO faces.key_check VALUES (true, $1) ON CONFLICT DO NOTHING",
                "SELECT sealed FROM faces.key_check",
            ),
            SealedValues::Identities => (
                "INSERT INTO identity.key_check VALUES (true, $1) ON CONFLICT DO NOTHING",
                "SELECT sealed FROM identity.key_check",
            ),
        };
        sqlx::query(begin).bind(sealed.seal(CHECK, CHECK)?).execute(pool).await.map_err(Trouble::from)?;
        let check: Vec<u8> = sqlx::query_scalar(look).fetch_one(pool).await.map_err(Trouble::from)?;
        sealed.sealer().open(&check, CHECK).map_err(|error| StoreError::WrongKey(error.to_string()))?;
        Ok(sealed)
    }

    pub fn sealer(&self) -> RwLockReadGuard<'_, Sealer> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seals under the newest key from now on.
    pub fn use_keys(&self, ring: &KeyRing) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Sealer::of(ring);
    }

    pub fn seal(&self, plain: &[u8], key: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.sealer().seal(plain, key).map_err(|error| damaged("a value to seal", error))
    }

    pub fn unseal(&self, sealed: &[u8], key: &[u8]) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        self.sealer().open(sealed, key).map_err(|error| damaged("a sealed value", error))
    }
}
