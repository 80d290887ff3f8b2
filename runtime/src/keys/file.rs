//! Keys in files: 32 bytes each, mode 600.
//!
//! `PURPOSE.key` is the first generation, `PURPOSE.N.key` the N-th.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rand::RngCore;
use zeroize::Zeroizing;

use super::{KEY_BYTES, Key, KeyError, KeyId, KeyProvider, KeyRing, check_purpose, ring_of};

/// One file of 32 bytes per purpose and generation.
#[derive(Clone, Debug)]
pub struct FileKeys {
    dir: PathBuf,
}

impl FileKeys {
    /// Keys in `dir`, which is made (mode 700) if need be.
    pub fn open(dir: &Path) -> Result<Self, KeyError> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|source| KeyError::File { path: dir.to_owned(), source })?;
        Ok(Self { dir: dir.to_owned() })
    }

    fn path(&self, purpose: &str, generation: u32) -> PathBuf {
        self.dir.join(match generation {
            1 => format!("{purpose}.key"),
            later => format!("{purpose}.{later}.key"),
        })
    }

    /// The generations there are, with their files.
    fn generations(&self, purpose: &str) -> Result<Vec<u32>, KeyError> {
        check_purpose(purpose)?;
        let unreadable = |source| KeyError::File { path: self.dir.clone(), source };
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.dir).map_err(unreadable)? {
            let name = entry.map_err(unreadable)?.file_name();
            found.extend(name.to_str().and_then(|name| generation_of(purpose, name)));
        }
        Ok(found)
    }

    fn read(&self, purpose: &str, generation: u32) -> Result<Key, KeyError> {
        let path = self.path(purpose, generation);
        let file = |source| KeyError::File { path: path.clone(), source };
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

/// 1 for `templates.key`, 2 for `templates.2.key`; a purpose holds no dot.
fn generation_of(purpose: &str, name: &str) -> Option<u32> {
    match name.strip_prefix(purpose)?.strip_suffix(".key")? {
        "" => Some(1),
        later => later.strip_prefix('.')?.parse().ok().filter(|generation| *generation > 1),
    }
}

impl KeyProvider for FileKeys {
    fn existing(&self, purpose: &str) -> Result<Option<KeyRing>, KeyError> {
        let generations = self.generations(purpose)?;
        let keys = generations.into_iter().map(|generation| Ok((generation, self.read(purpose, generation)?)));
        Ok(ring_of(keys.collect::<Result<_, KeyError>>()?))
    }

    /// Of those who race for the first key one makes it, and all have that one.
    fn ring(&self, purpose: &str) -> Result<KeyRing, KeyError> {
        if let Some(ring) = self.existing(purpose)? {
            return Ok(ring);
        }
        let path = self.path(purpose, 1);
        create(&self.dir, &path).map_err(|source| KeyError::File { path, source })?;
        match self.existing(purpose)? {
            Some(ring) => Ok(ring),
            None => Ok(self.read(purpose, 1)?.into()),
        }
    }

    fn rotate(&self, purpose: &str) -> Result<Key, KeyError> {
        let next = self.generations(purpose)?.into_iter().max().map_or(1, |newest| newest.saturating_add(1));
        let path = self.path(purpose, next);
        create(&self.dir, &path).map_err(|source| KeyError::File { path, source })?;
        self.read(purpose, next)
    }

    fn retire(&self, purpose: &str, id: KeyId) -> Result<(), KeyError> {
        let mut generations = self.generations(purpose)?;
        generations.sort_unstable();
        let newest = generations.last().copied();
        for generation in generations {
            if self.read(purpose, generation)?.id() != id {
                continue;
            }
            if Some(generation) == newest {
                return Err(KeyError::Newest { purpose: purpose.to_owned(), id });
            }
            let path = self.path(purpose, generation);
            let removed = std::fs::remove_file(&path).and_then(|()| File::open(&self.dir)?.sync_all());
            return removed.map_err(|source| KeyError::File { path, source });
        }
        Err(KeyError::Unknown { purpose: purpose.to_owned(), id })
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
    fn a_new_generation_seals_and_the_old_one_opens_until_it_is_retired() {
        let dir = tempfile::tempdir().unwrap();
        let keys = FileKeys::open(dir.path()).unwrap();
        assert!(keys.existing("templates").unwrap().is_none());
        let first = keys.key("templates").unwrap();
        let other = keys.key("templates-2").unwrap();
        let second = keys.rotate("templates").unwrap();
        let ring = FileKeys::open(dir.path()).unwrap().ring("templates").unwrap();
        assert_eq!(ring.iter().map(Key::id).collect::<Vec<_>>(), [second.id(), first.id()]);

        assert!(matches!(keys.retire("templates", second.id()), Err(KeyError::Newest { .. })));
        assert!(matches!(keys.retire("templates", other.id()), Err(KeyError::Unknown { .. })));
        keys.retire("templates", first.id()).unwrap();
        assert_eq!(keys.ring("templates").unwrap().iter().count(), 1);
        // The number of the one that is gone is never used again.
        assert_ne!(keys.rotate("templates").unwrap().id(), second.id());
        assert!(dir.path().join("templates.3.key").exists());
    }
}
