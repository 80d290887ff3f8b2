//! Where the cloud keeps what it knows: in its own folder, or in a database that replicas share.

use std::path::{Path, PathBuf};

use facegate_runtime::config::Problems;
use facegate_runtime::identity::TlsPaths;
use serde::Deserialize;

use crate::store::postgres::PostgresUrl;
use crate::store::sled::CACHE_BYTES;

/// The longest text that a URL may be read from.
const URL_BYTES_MAX: u64 = 4096;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    #[default]
    Sled,
    Postgres,
}

/// As it is written. The URL may hold a password: `Debug` does not show it.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawStore {
    pub kind: Kind,
    pub url: Option<String>,
    pub url_file: Option<PathBuf>,
    pub cache_mib: Option<u64>,
}

impl std::fmt::Debug for RawStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RawStore({:?})", self.kind)
    }
}

#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there is one, and it is never moved")]
pub enum StoreConfig {
    /// Embedded: one process at a time, with so much memory for each of its databases.
    Sled { dir: PathBuf, cache_bytes: u64 },
    /// Any number of replicas.
    Postgres { url: PostgresUrl },
}

impl RawStore {
    pub(super) fn check(
        self,
        data_dir: Option<&PathBuf>,
        tls: Option<&TlsPaths>,
        problems: &mut Problems,
    ) -> Option<StoreConfig> {
        match (&self.kind, &self.url, &self.url_file) {
            (Kind::Sled, None, None) => match data_dir {
                Some(dir) => Some(StoreConfig::Sled { dir: dir.clone(), cache_bytes: self.cache_bytes(problems) }),
                None => {
                    problems.add("data_dir", "is missing: the folder of the store (only PostgreSQL needs none)");
                    None
                }
            },
            (Kind::Sled, ..) => {
                problems.add("store.kind", "is \"sled\", which has no URL: say \"postgres\", or leave the URL out");
                None
            }
            (Kind::Postgres, ..) if self.cache_mib.is_some() => {
                problems.add("store.cache_mib", "is for sled: PostgreSQL has its own `shared_buffers`");
                None
            }
            (Kind::Postgres, Some(url), None) => checked("store.url", url, tls, problems),
            (Kind::Postgres, None, Some(file)) => {
                let text = problems.check("store.url_file", read(file))?;
                checked("store.url_file", text.trim(), tls, problems)
            }
            (Kind::Postgres, ..) => {
                problems.add("store", "name either `url` or `url_file`, a file that only the cloud can read");
                None
            }
        }
    }
}

impl RawStore {
    fn cache_bytes(&self, problems: &mut Problems) -> u64 {
        match self.cache_mib.map(|mib| (mib, mib.checked_mul(1 << 20))) {
            None => CACHE_BYTES,
            Some((mib, Some(bytes))) if mib > 0 => bytes,
            Some((mib, _)) => {
                let why = format!("is {mib}: say the MiB for each of three databases, 64 or more");
                problems.add("store.cache_mib", why);
                CACHE_BYTES
            }
        }
    }
}

fn checked(key: &str, url: &str, tls: Option<&TlsPaths>, problems: &mut Problems) -> Option<StoreConfig> {
    problems.check(key, PostgresUrl::checked(url, tls)).map(|url| StoreConfig::Postgres { url })
}

fn read(file: &Path) -> Result<String, String> {
    let cannot = |error: std::io::Error| format!("cannot read {}: {error}", file.display());
    if std::fs::metadata(file).map_err(cannot)?.len() > URL_BYTES_MAX {
        return Err(format!("{} is too long for a URL", file.display()));
    }
    std::fs::read_to_string(file).map_err(cannot)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, data_dir: Option<&str>) -> Result<StoreConfig, String> {
        let raw: RawStore = toml::from_str(text).map_err(|error| error.to_string())?;
        assert!(!format!("{raw:?}").contains("secret"));
        let mut problems = Problems::new();
        let checked = raw.check(data_dir.map(PathBuf::from).as_ref(), None, &mut problems);
        problems.into_result(checked).map_err(|problems| problems.to_string())
    }

    #[test]
    fn a_folder_or_a_database_and_nothing_between() {
        assert!(matches!(check("", Some("/d")), Ok(StoreConfig::Sled { .. })));
        assert!(check("", None).unwrap_err().contains("data_dir"));
        let url = "url = \"postgres://u:secret@localhost/cloud\"";
        let postgres = check(&format!("kind = \"postgres\"\n{url}"), None).unwrap();
        assert!(format!("{postgres:?}").contains("localhost") && !format!("{postgres:?}").contains("secret"));
        assert!(check(url, Some("/d")).unwrap_err().contains("postgres"));
        assert!(check("kind = \"postgres\"", None).unwrap_err().contains("url_file"));
        let away = check("kind = \"postgres\"\nurl = \"postgres://u:secret@db.example/cloud\"", None).unwrap_err();
        assert!(away.contains("verify-full") && !away.contains("secret"), "{away}");
        let Ok(StoreConfig::Sled { cache_bytes, .. }) = check("cache_mib = 1024", Some("/d")) else { panic!() };
        assert_eq!(cache_bytes, 1 << 30);
        assert!(check("cache_mib = 0", Some("/d")).unwrap_err().contains("64 or more"));
        assert!(check(&format!("kind = \"postgres\"\ncache_mib = 1024\n{url}"), None).unwrap_err().contains("sled"));
        assert!(check("kind = \"mysql\"", None).unwrap_err().contains("mysql"));
    }

    #[test]
    fn the_url_may_be_in_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("url");
        let text = format!("kind = \"postgres\"\nurl_file = {:?}", file.display().to_string());
        assert!(check(&text, None).unwrap_err().contains("cannot read"));
        std::fs::write(&file, "postgres://u:secret@localhost/cloud\n").unwrap();
        assert!(matches!(check(&text, None), Ok(StoreConfig::Postgres { .. })));
    }
}
