//! Passwords of people: hashed with Argon2id, compared in bounded memory, never stored or printed.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

/// Shortest and longest password that may be chosen, in characters (NIST SP 800-63B, section 3.1.1: length, no
/// composition rules; a limit so that nobody makes us hash a novel).
const CHARACTERS_MIN: usize = 10;
const CHARACTERS_MAX: usize = 128;

/// Hashes at once; each takes 19 MiB for a few dozen milliseconds.
const HASHES_AT_ONCE_MAX: usize = 2;

/// What somebody typed. Does not print.
#[derive(Clone, serde::Deserialize)]
#[serde(transparent)]
pub struct Password(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    #[error("a password has {CHARACTERS_MIN} to {CHARACTERS_MAX} characters, this one has {got}")]
    Length { got: usize },
    #[error("this is not a password hash in PHC form; make one with `facegate-cloud-sync hash-password`: {0}")]
    NotAHash(String),
    #[error("the password could not be hashed: {0}")]
    Hashing(String),
}

impl Password {
    /// Accepts anything; what is too short to be *chosen* may still be *typed*.
    pub fn typed(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Argon2id (RFC 9106) in PHC form with a random salt and the crate's default cost (19 MiB, 2 passes: OWASP's first
    /// recommendation).
    ///
    /// Errors: `Length`, which is the only one that a person can bring about.
    pub fn hash(&self) -> Result<String, PasswordError> {
        let got = self.0.chars().count();
        if !(CHARACTERS_MIN..=CHARACTERS_MAX).contains(&got) {
            return Err(PasswordError::Length { got });
        }
        let hash = Argon2::default().hash_password(self.0.as_bytes());
        hash.map(|hash| hash.to_string()).map_err(|error| PasswordError::Hashing(error.to_string()))
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(hidden)")
    }
}

/// Checks that `text` is a password hash, for the config.
pub fn check_hash(text: &str) -> Result<String, PasswordError> {
    let parsed = PasswordHash::new(text).map_err(|error| PasswordError::NotAHash(error.to_string()))?;
    let known = parsed.algorithm.as_str().starts_with("argon2") && parsed.hash.is_some();
    if known { Ok(text.to_owned()) } else { Err(PasswordError::NotAHash("it is not Argon2".into())) }
}

/// Compares and hashes without blocking the server and without letting a flood of sign-ins fill the memory.
#[derive(Debug, Clone)]
pub struct Passwords {
    turns: Arc<Semaphore>,
    /// Compared with when there is no such account, so that the time taken does not tell.
    nobody: Arc<str>,
}

impl Passwords {
    /// Errors: `Hashing`, if the machine has no randomness to give.
    pub fn new() -> Result<Self, PasswordError> {
        let nobody = Password::typed(uuid::Uuid::new_v4().to_string()).hash()?;
        Ok(Self { turns: Arc::new(Semaphore::new(HASHES_AT_ONCE_MAX)), nobody: nobody.into() })
    }

    /// Whether `password` is the one that `hash` was made of. False, after the same time, if there is no hash.
    pub async fn matches(&self, password: Password, hash: Option<String>) -> bool {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.nobody.to_string());
        let compare = move || {
            let parsed = PasswordHash::new(&hash).ok();
            parsed.is_some_and(|hash| Argon2::default().verify_password(password.0.as_bytes(), &hash).is_ok())
        };
        self.in_turn(compare).await.unwrap_or(false) && known
    }

    /// [`Password::hash`] in turn.
    pub async fn hash(&self, password: Password) -> Result<String, PasswordError> {
        let hashed = self.in_turn(move || password.hash()).await;
        hashed.unwrap_or_else(|| Err(PasswordError::Hashing("the server is stopping".into())))
    }

    /// None if the server is stopping.
    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let _turn = self.turns.acquire().await.ok()?;
        tokio::task::spawn_blocking(work).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_hashed_with_a_salt_and_does_not_print() {
        let password = Password::typed("a long enough one");
        let (first, second) = (password.hash().unwrap(), password.hash().unwrap());
        assert!(first.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{first}");
        assert_ne!(first, second);
        assert_eq!(check_hash(&first), Ok(first));
        assert_eq!(format!("{password:?}"), "Password(hidden)");
    }

    #[test]
    fn what_is_too_short_or_no_hash_is_refused() {
        assert_eq!(Password::typed("nine char").hash(), Err(PasswordError::Length { got: 9 }));
        assert_eq!(Password::typed("x".repeat(129)).hash(), Err(PasswordError::Length { got: 129 }));
        assert!(Password::typed("密码密码密码密码密码").hash().is_ok());
        for bad in ["", "hunter2", "$argon2id$v=19$m=19456,t=2,p=1", "$pbkdf2-sha256$i=1$c2FsdHNhbHQ$aGFzaGhhc2g"] {
            assert!(matches!(check_hash(bad), Err(PasswordError::NotAHash(_))), "{bad}");
        }
    }

    #[tokio::test]
    async fn only_the_right_password_matches_and_nobody_has_one() {
        let passwords = Passwords::new().unwrap();
        let hash = passwords.hash(Password::typed("correct horse")).await.unwrap();
        assert!(passwords.matches(Password::typed("correct horse"), Some(hash.clone())).await);
        assert!(!passwords.matches(Password::typed("correct horsf"), Some(hash)).await);
        assert!(!passwords.matches(Password::typed("correct horse"), None).await);
        assert!(!passwords.matches(Password::typed("correct horse"), Some("damaged".into())).await);
    }
}
