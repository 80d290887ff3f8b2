//! Keys by purpose, and sealing under them. `FileKeys` serves the demo and small operators; an HSM implements
//! [`KeyProvider`] too.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rand::RngCore;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

mod sealer;

pub use sealer::{SealError, Sealer};

pub const KEY_BYTES: usize = 32;

/// A symmetric key and its id. `Debug` shows the id alone; the bytes are wiped when it is dropped.
#[derive(Clone)]
pub struct Key {
    id: KeyId,
    bytes: Zeroizing<[u8; KEY_BYTES]>,
}

/// The first eight bytes of a hash of the key: tells keys apart, tells nothing about them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
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
}

/// Where keys come from. The same purpose always gives the same key.
pub trait KeyProvider: Send + Sync + fmt::Debug {
    /// `purpose` names what is sealed or signed, for example `templates` or `ride-code-issuer`.
    fn key(&self, purpose: &str) -> Result<Key, KeyError>;
}

/// One file of 32 bytes per purpose, made with mode 600 at the first use.
#[derive(Clone, Debug)]
pub struct FileKeys {
    dir: PathBuf,
}

impl FileKeys {
    /// Keys in `dir`, which is made (mode 700) if need be.
    pub fn open(dir: &Path) -> Result<Self, KeyError> {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|source| KeyError::File { path: dir.to_owned(), source })?;
        Ok(Self { dir: dir.to_owned() })
    }
}

impl KeyProvider for FileKeys {
    fn key(&self, purpose: &str) -> Result<Key, KeyError> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !(1..=64).contains(&purpose.len()) || !purpose.chars().all(plain) {
            return Err(KeyError::BadPurpose(purpose.to_owned()));
        }
        let path = self.dir.join(format!("{purpose}.key"));
        let file = |source| KeyError::File { path: path.clone(), source };
        if !path.try_exists().map_err(file)? {
            create(&self.dir, &path).map_err(file)?;
        }
        let mode = std::fs::metadata(&path).map_err(file)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Exposed { path, mode });
        }
        let bytes = Zeroizing::new(std::fs::read(&path).map_err(file)?);
        match <[u8; KEY_BYTES]>::try_from(bytes.as_slice()) {
            Ok(key) => Ok(Key::from_bytes(key)),
            Err(_) => Err(KeyError::WrongLength { path, bytes: bytes.len() }),
        }
    }
}

/// Makes a new key, durable before anything is sealed under it. If another process was faster, its key stands.
fn create(dir: &Path, path: &Path) -> io::Result<()> {
    let fresh = path.with_extension(format!("new-{}-{}", std::process::id(), rand::rng().next_u32()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.write_all(Key::generate().expose())?;
    file.sync_all()?;
    // A link, unlike a rename, never replaces a key that is there already.
    let linked = std::fs::hard_link(&fresh, path);
    std::fs::remove_file(&fresh)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => File::open(dir)?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purpose_keeps_its_key_and_has_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let keys = FileKeys::open(&dir.path().join("keys")).unwrap();
        let first = keys.key("templates").unwrap();
        let again = FileKeys::open(&dir.path().join("keys")).unwrap().key("templates").unwrap();
        assert_eq!(first.expose(), again.expose());
        assert_ne!(first.id(), keys.key("accounts").unwrap().id());
        let mode = std::fs::metadata(dir.path().join("keys/templates.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path().join("keys")).unwrap().count(), 2, "no leftovers");
    }

    #[test]
    fn threads_that_race_for_a_new_key_get_the_same_one() {
        let dir = tempfile::tempdir().unwrap();
        let keys = FileKeys::open(dir.path()).unwrap();
        let ids: Vec<_> = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..8).map(|_| scope.spawn(|| keys.key("race").unwrap().id())).collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]));
    }

    #[test]
    fn a_short_an_exposed_and_an_escaping_key_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let keys = FileKeys::open(dir.path()).unwrap();
        keys.key("short").unwrap();
        std::fs::write(dir.path().join("short.key"), [1; 31]).unwrap();
        assert!(matches!(keys.key("short"), Err(KeyError::WrongLength { bytes: 31, .. })));

        keys.key("open").unwrap();
        let open = std::fs::Permissions::from_mode(0o640);
        std::fs::set_permissions(dir.path().join("open.key"), open).unwrap();
        assert!(matches!(keys.key("open"), Err(KeyError::Exposed { mode: 0o640, .. })));

        assert!(matches!(keys.key("../escape"), Err(KeyError::BadPurpose(_))));
    }

    #[test]
    fn debug_shows_the_id_alone() {
        let key = Key::from_bytes([0xAB; KEY_BYTES]);
        let shown = format!("{key:?}");
        assert_eq!(shown, format!("Key({:?})", key.id()));
        assert!(!shown.contains("abab") && !shown.contains("171"));
    }
}
