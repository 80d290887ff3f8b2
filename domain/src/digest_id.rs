//! Identifiers that are computed and not drawn: whoever names the same things by them gets the same name, which is what
//! makes doing a thing twice harmless.

use std::fmt::Display;

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// SHA-256 over the purpose and each part on its own line, as a version 8 UUID (RFC 9562, section 5.8). No part may
/// hold a line break; ids never do.
pub fn digest_uuid(purpose: &str, parts: impl IntoIterator<Item = impl Display>) -> Uuid {
    let mut hash = Sha256::new_with_prefix(format!("facegate {purpose} v1\n"));
    for part in parts {
        hash.update(format!("{part}\n"));
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

macro_rules! digest_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(uuid::Uuid);

        impl $name {
            fn digest(parts: impl IntoIterator<Item = impl std::fmt::Display>) -> Self {
                Self($crate::digest_id::digest_uuid($kind, parts))
            }

            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(uuid::Uuid::from_bytes(bytes))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}", self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}…", &self.0.simple().to_string()[..8])
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::ids::InvalidId;
            fn from_str(s: &str) -> Result<Self, $crate::ids::InvalidId> {
                let invalid = |_| $crate::ids::InvalidId::Uuid { kind: $kind, given: s.to_owned() };
                uuid::Uuid::parse_str(s).map(Self).map_err(invalid)
            }
        }
    };
}
