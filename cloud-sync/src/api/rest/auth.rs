//! Which app calls: `Authorization: Bearer <api key>`, compared with the digests in the config.

use std::collections::HashMap;
use std::fmt;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use sha2::{Digest, Sha256};

use super::Rest;
use crate::enrolment::Actor;
use crate::web::problem::Problem;

/// The apps that may call, by the SHA-256 of their keys. A key is 256 random bits, not something a person thought of,
/// so a plain digest keeps it, and looking one up by digest tells a guesser nothing.
#[derive(Clone, Default)]
pub struct ApiKeys(HashMap<[u8; 32], String>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidApiKey {
    #[error("{0:?} is not a name for an app: use 1 to 48 characters of a-z, 0-9 and '-'")]
    Name(String),
    #[error("the sha256 of app {0}'s key is not 64 hexadecimal digits")]
    Digest(String),
    #[error("apps {0} and {1} have the same key: give each its own")]
    Shared(String, String),
}

impl ApiKeys {
    /// Errors: a name, digest or key that cannot be used; the keys are as before then.
    pub fn add(&mut self, name: &str, sha256_hex: &str) -> Result<(), InvalidApiKey> {
        let valid = (1..=48).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !valid {
            return Err(InvalidApiKey::Name(name.to_owned()));
        }
        let mut digest = [0; 32];
        hex::decode_to_slice(sha256_hex, &mut digest).map_err(|_| InvalidApiKey::Digest(name.to_owned()))?;
        match self.0.get(&digest) {
            Some(other) => Err(InvalidApiKey::Shared(other.clone(), name.to_owned())),
            None => {
                self.0.insert(digest, name.to_owned());
                Ok(())
            }
        }
    }

    /// The app whose key this is.
    pub fn name_of(&self, key: &str) -> Option<&str> {
        self.0.get(<[u8; 32]>::from(Sha256::digest(key)).as_slice()).map(String::as_str)
    }
}

/// A new key and the digest for the config, both as text.
pub fn new_api_key() -> (String, String) {
    let key = format!("fgk_{}", hex::encode(rand::random::<[u8; 32]>()));
    let digest = hex::encode(Sha256::digest(&key));
    (key, digest)
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKeys({})", self.0.len())
    }
}

/// The app that calls; named in the audit log as `integrator/<name>`.
#[derive(Debug, Clone)]
pub struct Integrator(pub String);

impl Integrator {
    pub fn actor(&self) -> Actor {
        Actor::new("integrator", &self.0)
    }
}

impl FromRequestParts<Rest> for Integrator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, rest: &Rest) -> Result<Self, Problem> {
        let header = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some((scheme, key)) = header.and_then(|header| header.split_once(' ')) else {
            return Err(unauthorised("no_api_key", "This request carries no API key."));
        };
        let name = scheme.eq_ignore_ascii_case("bearer").then(|| rest.api_keys.name_of(key.trim())).flatten();
        let name = name.ok_or_else(|| unauthorised("unknown_api_key", "This API key is not one of ours."))?;
        Ok(Self(name.to_owned()))
    }
}

fn unauthorised(code: &'static str, detail: &str) -> Problem {
    let next = "Send `Authorization: Bearer <api key>` with the key that the operator gave you.";
    Problem::new(StatusCode::UNAUTHORIZED, code, detail, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_opens_and_no_other_does() {
        let (key, digest) = new_api_key();
        let mut keys = ApiKeys::default();
        keys.add("metro-app", &digest).unwrap();
        assert_eq!(keys.name_of(&key), Some("metro-app"));
        assert_eq!(keys.name_of(&digest), None);
        assert_eq!(keys.name_of(""), None);
        assert_eq!(format!("{keys:?}"), "ApiKeys(1)");
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_name() {
        let (_, digest) = new_api_key();
        let mut keys = ApiKeys::default();
        assert!(matches!(keys.add("Metro App", &digest), Err(InvalidApiKey::Name(_))));
        for bad in ["", "00", &"é".repeat(32), &"g".repeat(64)] {
            assert!(matches!(keys.add("metro-app", bad), Err(InvalidApiKey::Digest(_))), "{bad}");
        }
        keys.add("metro-app", &digest).unwrap();
        assert!(matches!(keys.add("bank", &digest.to_uppercase()), Err(InvalidApiKey::Shared(..))));
    }
}
