//! Keys by purpose and generation, and sealing under them. [`FileKeys`] serves the demo and small operators,
//! [`Pkcs11Keys`] an operator with an HSM.
//!
//! A purpose has one or more generations of keys. New values are sealed under the newest; older ones stay until nothing
//! is sealed under them any more, and are retired then, which destroys them for good: a backup sealed under a retired
//! key cannot be read by anybody.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use hkdf::Hkdf;
use rand::RngCore;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

mod file;
mod pkcs11;
mod sealer;

pub use file::FileKeys;
pub use pkcs11::{Pkcs11Config, Pkcs11Keys};
pub use sealer::{SealError, Sealer};

pub const KEY_BYTES: usize = 32;

/// A symmetric key and its id. `Debug` shows the id alone; the bytes are wiped when it is dropped.
#[derive(Clone)]
pub struct Key {
    id: KeyId,
    bytes: Zeroizing<[u8; KEY_BYTES]>,
}

/// The first eight bytes of a hash of the key: tells keys apart, tells nothing about them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 8]);

impl Key {
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        let bytes = Zeroizing::new(bytes);
        let hash = Sha256::new().chain_update(b"facegate key id\0").chain_update(bytes.as_slice()).finalize();
        let mut id = [0; 8];
        id.copy_from_slice(&hash[..8]);
        Self { id: KeyId(id), bytes }
    }

    pub fn generate() -> Self {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        rand::rng().fill_bytes(bytes.as_mut_slice());
        Self::from_bytes(*bytes)
    }

    pub fn id(&self) -> KeyId {
        self.id
    }

    /// A key of its own for what `purpose` and `of` name together: HKDF-SHA256 (RFC 5869) without a salt. Who holds it
    /// learns nothing about this key, nor about others derived from it.
    #[must_use]
    pub fn derived(&self, purpose: &str, of: &[&[u8]]) -> Self {
        // Each part with its length in front, so that nothing can move from one into the next.
        let parts = std::iter::once(purpose.as_bytes()).chain(of.iter().copied());
        let info: Vec<u8> = parts.flat_map(|part| [&(part.len() as u64).to_be_bytes(), part].concat()).collect();
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        let expanded = Hkdf::<Sha256>::new(None, self.bytes.as_slice()).expand(&info, bytes.as_mut_slice());
        expanded.expect("32 bytes are within what one hash expands to");
        Self::from_bytes(*bytes)
    }

    /// The key itself, for an algorithm that needs it (a signing seed, a MAC key). Do not keep a copy.
    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.bytes
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?})", self.id)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// All generations of one purpose's key, the newest first. Never empty.
#[derive(Clone, Debug)]
pub struct KeyRing {
    newest: Key,
    older: Vec<Key>,
}

impl KeyRing {
    pub fn new(newest: Key, older: Vec<Key>) -> Self {
        Self { newest, older }
    }

    /// What is sealed from now on is sealed under this.
    pub fn newest(&self) -> &Key {
        &self.newest
    }

    pub fn iter(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.newest).chain(&self.older)
    }
}

impl From<Key> for KeyRing {
    fn from(newest: Key) -> Self {
        Self::new(newest, Vec::new())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("`{0}` cannot name a key: use 1 to 64 of a-z, 0-9 and `-`")]
    BadPurpose(String),
    #[error("the key file {}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error(
        "{} is {bytes} bytes, a key has {KEY_BYTES}; restore it from the backup: what was sealed under it stays unreadable otherwise",
        path.display()
    )]
    WrongLength { path: PathBuf, bytes: usize },
    #[error("{} can be read by others (mode {mode:o}); set it to 600 and consider the key known", path.display())]
    Exposed { path: PathBuf, mode: u32 },
    #[error("there is no key {id:?} for `{purpose}`; list the keys to see which there are")]
    Unknown { purpose: String, id: KeyId },
    #[error("{id:?} is the newest key for `{purpose}`: make a newer one first, and let everything be sealed anew")]
    Newest { purpose: String, id: KeyId },
    #[error(
        "there is no key for `{purpose}` any more: put it back from where it was, nothing else can open what it sealed"
    )]
    Gone { purpose: String },
    #[error("the PKCS#11 module {} cannot be used: {reason}; install the HSM's library and name it as `keys.module`", path.display())]
    Module { path: PathBuf, reason: String },
    #[error("no token is labelled `{token}` ({found}); connect the HSM, or correct `keys.token`")]
    NoToken { token: String, found: String },
    #[error(
        "the token `{token}` refuses the PIN in {}: {reason}; correct the file before the next start, since a token locks itself after a few wrong ones",
        pin_file.display()
    )]
    Pin { token: String, pin_file: PathBuf, reason: String },
    #[error("the token `{token}` failed at {what}: {reason}; see that the HSM is connected and well, then start again")]
    Token { token: String, what: &'static str, reason: String },
    #[error(
        "the token `{token}` holds two keys of generation {generation} for `{purpose}`, made by two processes at once; destroy the one that nothing is sealed under"
    )]
    Ambiguous { token: String, purpose: String, generation: u32 },
}

/// Where keys come from. The same purpose always gives the same keys, until the operator rotates or retires one.
pub trait KeyProvider: Send + Sync + fmt::Debug {
    /// The keys there are for `purpose`, which names what is sealed or signed: `templates`, `ride-code-issuer`. None
    /// before the first use.
    fn existing(&self, purpose: &str) -> Result<Option<KeyRing>, KeyError>;

    /// Makes a new generation, durable before this returns, and gives it; also the first.
    fn rotate(&self, purpose: &str) -> Result<Key, KeyError>;

    /// Destroys an older generation. What is still sealed under it is lost: the caller sees to that.
    ///
    /// Errors: `Newest`, `Unknown`.
    fn retire(&self, purpose: &str, id: KeyId) -> Result<(), KeyError>;

    /// The keys for `purpose`; the first is made if there is none.
    fn ring(&self, purpose: &str) -> Result<KeyRing, KeyError> {
        if let Some(ring) = self.existing(purpose)? {
            return Ok(ring);
        }
        let made = self.rotate(purpose)?;
        Ok(self.existing(purpose)?.unwrap_or_else(|| made.into()))
    }

    /// The newest key for `purpose`, made if there is none.
    fn key(&self, purpose: &str) -> Result<Key, KeyError> {
        Ok(self.ring(purpose)?.newest)
    }
}

/// The checked `[keys]` section; see [`crate::config::RawKeys`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeysConfig {
    File { dir: PathBuf },
    Pkcs11(Pkcs11Config),
}

impl KeysConfig {
    pub fn open(&self) -> Result<Arc<dyn KeyProvider>, KeyError> {
        Ok(match self {
            Self::File { dir } => Arc::new(FileKeys::open(dir)?),
            Self::Pkcs11(config) => Arc::new(Pkcs11Keys::open(config.clone())?),
        })
    }
}

fn check_purpose(purpose: &str) -> Result<(), KeyError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if (1..=64).contains(&purpose.len()) && purpose.chars().all(plain) {
        Ok(())
    } else {
        Err(KeyError::BadPurpose(purpose.to_owned()))
    }
}

/// The ring of these keys by generation, highest first; none for none.
fn ring_of(mut keys: Vec<(u32, Key)>) -> Option<KeyRing> {
    keys.sort_by_key(|(generation, _)| std::cmp::Reverse(*generation));
    let mut keys = keys.into_iter().map(|(_, key)| key);
    Some(KeyRing::new(keys.next()?, keys.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derived_key_is_the_same_every_time_and_belongs_to_all_parts_of_its_name() {
        let master = Key::from_bytes([7; KEY_BYTES]);
        let lease = |station: &str, generation: u32| {
            *master.derived("lease", &[station.as_bytes(), &generation.to_be_bytes()]).expose()
        };
        assert_eq!(lease("north", 1), lease("north", 1));
        let others = [lease("north", 2), lease("nort", 1), *master.derived("leas", &[b"enorth"]).expose(), [7; 32]];
        assert!(others.iter().all(|other| *other != lease("north", 1)));
        // RFC 5869, appendix A.3: without salt and info, so that the construction itself is the standard's.
        let (mut okm, ikm) = ([0; 42], [0x0b; 22]);
        Hkdf::<Sha256>::new(None, &ikm).expand(&[], &mut okm).unwrap();
        assert_eq!(okm[..4], [0x8d, 0xa4, 0xe7, 0x75]);
    }

    #[test]
    fn debug_shows_the_id_alone() {
        let key = Key::from_bytes([0xAB; KEY_BYTES]);
        let shown = format!("{key:?}");
        assert_eq!(shown, format!("Key({:?})", key.id()));
        assert!(!shown.contains("abab") && !shown.contains("171"));
    }
}
