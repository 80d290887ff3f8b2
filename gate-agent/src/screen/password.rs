//! Attendants' passwords: hashed with Argon2id, never stored or printed.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};

/// Shortest and longest password that may be chosen, in characters (NIST SP 800-63B, section 3.1.1).
const CHARACTERS_MIN: usize = 10;
const CHARACTERS_MAX: usize = 128;

/// What is wrong with a password, or with what stands for one in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    #[error("a password has {CHARACTERS_MIN} to {CHARACTERS_MAX} characters, this one has {got}")]
    Length { got: usize },
    #[error("this is not an Argon2 hash in PHC form; make one with `facegate-gate-agent hash-password`")]
    NotAHash,
    #[error("the password could not be hashed: {0}")]
    Hashing(String),
}

/// The hash of a password, in PHC form. Does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Hashed(String);

impl Hashed {
    /// Of the configuration.
    pub fn new(text: &str) -> Result<Self, PasswordError> {
        let parsed = PasswordHash::new(text).map_err(|_| PasswordError::NotAHash)?;
        let known = parsed.algorithm.as_str().starts_with("argon2") && parsed.hash.is_some();
        if known { Ok(Self(text.to_owned())) } else { Err(PasswordError::NotAHash) }
    }

    /// Takes a few dozen milliseconds and 19 MiB: call it where blocking is well.
    pub fn matches(&self, typed: &str) -> bool {
        let parsed = PasswordHash::new(&self.0).ok();
        parsed.is_some_and(|hash| Argon2::default().verify_password(typed.as_bytes(), &hash).is_ok())
    }
}

impl std::fmt::Debug for Hashed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hashed(hidden)")
    }
}

/// Argon2id (RFC 9106) in PHC form with a random salt and the crate's default cost (19 MiB, 2 passes: OWASP's first
/// recommendation).
pub fn hash(typed: &str) -> Result<String, PasswordError> {
    let got = typed.chars().count();
    if !(CHARACTERS_MIN..=CHARACTERS_MAX).contains(&got) {
        return Err(PasswordError::Length { got });
    }
    let hash = Argon2::default().hash_password(typed.as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|error| PasswordError::Hashing(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_password_matches_and_none_prints() {
        let text = hash("a long enough one").unwrap();
        assert!(text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{text}");
        let hashed = Hashed::new(&text).unwrap();
        assert!(hashed.matches("a long enough one") && !hashed.matches("a long enough two"));
        assert_eq!(format!("{hashed:?}"), "Hashed(hidden)");
    }

    #[test]
    fn what_is_too_short_or_no_hash_is_refused() {
        assert_eq!(hash("nine char"), Err(PasswordError::Length { got: 9 }));
        for bad in ["", "hunter2", "$argon2id$v=19$m=19456,t=2,p=1", "$pbkdf2-sha256$i=1$c2FsdHNhbHQ$aGFzaGhhc2g"] {
            assert_eq!(Hashed::new(bad), Err(PasswordError::NotAHash), "{bad}");
        }
    }
}
