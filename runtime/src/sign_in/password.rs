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
    #[error("this is not an Argon2 hash in PHC form; make one with this program's command `hash-password`")]
    NotAHash,
    #[error("the password could not be hashed: {0}")]
    Hashing(String),
    #[error("the password cannot be read: {0}")]
    Unreadable(String),
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

/// The hash of a password, in PHC form, as a config has it. Does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Hashed(String);

impl Hashed {
    /// Errors: `NotAHash`.
    pub fn new(text: &str) -> Result<Self, PasswordError> {
        let parsed = PasswordHash::new(text).map_err(|_| PasswordError::NotAHash)?;
        let known = parsed.algorithm.as_str().starts_with("argon2") && parsed.hash.is_some();
        if known { Ok(Self(text.to_owned())) } else { Err(PasswordError::NotAHash) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Hashed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hashed(hidden)")
    }
}

/// For the command `hash-password`: reads a password and gives its hash, for the config.
///
/// Errors: `Length`; `Unreadable` for what is no text.
pub fn hash_from(mut input: impl std::io::Read) -> Result<String, PasswordError> {
    let mut typed = String::new();
    input.read_to_string(&mut typed).map_err(|error| PasswordError::Unreadable(error.to_string()))?;
    Password::typed(typed.trim_end_matches(['\r', '\n'])).hash()
}

/// Compares and hashes without blocking the server and without letting a flood of sign-ins fill the memory.
#[derive(Debug, Clone)]
pub struct Passwords {
    turns: Arc<Semaphore>,
}

/// Compared with when there is no such account, so that the time taken does not tell; no password is known for it.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgc2FsdCAwMQ$BwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSY";

impl Default for Passwords {
    fn default() -> Self {
        Self { turns: Arc::new(Semaphore::new(HASHES_AT_ONCE_MAX)) }
    }
}

impl Passwords {
    /// Whether `password` is the one that `hash` was made of. False, after the same time, if there is no hash.
    pub async fn matches(&self, password: Password, hash: Option<String>) -> bool {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| NOBODYS.to_owned());
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
        let hashed = Hashed::new(&first).unwrap();
        assert_eq!((hashed.as_str(), format!("{hashed:?}").as_str()), (first.as_str(), "Hashed(hidden)"));
        assert_eq!(format!("{password:?}"), "Password(hidden)");
    }

    #[test]
    fn what_is_too_short_or_no_hash_is_refused() {
        assert_eq!(Password::typed("nine char").hash(), Err(PasswordError::Length { got: 9 }));
        assert_eq!(Password::typed("x".repeat(129)).hash(), Err(PasswordError::Length { got: 129 }));
        assert!(Password::typed("密码密码密码密码密码").hash().is_ok());
        for bad in ["", "hunter2", "$argon2id$v=19$m=19456,t=2,p=1", "$pbkdf2-sha256$i=1$c2FsdHNhbHQ$aGFzaGhhc2g"] {
            assert_eq!(Hashed::new(bad), Err(PasswordError::NotAHash), "{bad}");
        }
    }

    #[tokio::test]
    async fn only_the_right_password_matches_and_nobody_has_one() {
        let passwords = Passwords::default();
        assert!(Hashed::new(NOBODYS).is_ok());
        let hash = passwords.hash(Password::typed("correct horse")).await.unwrap();
        assert!(passwords.matches(Password::typed("correct horse"), Some(hash.clone())).await);
        assert!(!passwords.matches(Password::typed("correct horsf"), Some(hash)).await);
        assert!(!passwords.matches(Password::typed("correct horse"), None).await);
        assert!(!passwords.matches(Password::typed("correct horse"), Some("damaged".into())).await);
    }
}
