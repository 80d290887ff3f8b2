//! What a gate knows after a restart without its station: the keys that verify codes, the station's name, and how far
//! its journals were delivered. In a small database; the journals themselves are not here.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use facegate_domain::Timestamp;
use facegate_domain::aisle::Beam;
use facegate_domain::code::IssuerKey;
use facegate_domain::gate::GateMode;
use facegate_domain::ids::StationId;
use facegate_domain::operation::{StationMode, ToldGate};
use facegate_runtime::disk::Disk;
use facegate_runtime::kv::{Database, KvError, KvOptions, Tree};
use serde::{Deserialize, Serialize};

const ISSUER_KEYS: &str = "code_issuer_keys";
const STATION: &str = "station";
const DELIVERED: &str = "delivered/";
const TOLD: &str = "told";
const ORDERS: &str = "orders";
/// Orders last a minute: no gate is given so many in one.
const ORDERS_MAX: usize = 64;
const SILENT_BEAMS: &str = "silent_beams";
const CONTACT: &str = "station_contact";
/// A restart may forget so much of the latest contact.
const CONTACT_KEPT_EVERY: Duration = Duration::from_secs(60);

/// Why the memory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    #[error("the gate's memory in {} cannot be opened: {source}; if it is damaged, delete it: the gate learns it anew", path.display())]
    Open { path: PathBuf, source: KvError },
    #[error("the gate's memory cannot be read or written: {0}")]
    Database(#[from] KvError),
}

/// How the station and this gate are to let people pass, as the operations centre told last.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Told {
    pub station: StationMode,
    pub gate: ToldGate,
}

impl Told {
    /// The mode that follows from both.
    pub fn mode(&self) -> GateMode {
        self.gate.mode.under(self.station)
    }
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    pub id: String,
    pub outcome: String,
}

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Memory {
    database: Database,
    tree: Tree,
    contact: Arc<Mutex<Contact>>,
}

/// When the station was last heard of, by this gate's wall clock.
#[derive(Debug, Clone, Copy)]
struct Contact {
    at: Timestamp,
    kept: Timestamp,
}

impl Memory {
    pub fn open(disk: &dyn Disk, path: &Path) -> Result<Self, MemoryError> {
        let options = KvOptions { cache_bytes: 4 << 20, flush_every_ms: None, syncs: true };
        let opened = disk.database(path, options);
        let database = opened.map_err(|source| MemoryError::Open { path: path.to_owned(), source })?;
        let tree = database.root();
        let stored = tree.get(CONTACT)?.and_then(|v| v.try_into().ok()).map_or(0, i64::from_le_bytes);
        let at = Timestamp::from_unix_ms(stored);
        Ok(Self { tree, database, contact: Arc::new(Mutex::new(Contact { at, kept: at })) })
    }

    /// The station was heard of just now. Kept durably, to the minute.
    pub async fn contacted(&self, now: Timestamp) -> Result<(), MemoryError> {
        let keep = {
            let mut contact = self.contact.lock().unwrap_or_else(PoisonError::into_inner);
            contact.at = now;
            // A clock that was set back counts too: the older moment must not stay.
            let keep = now < contact.kept || now.since(contact.kept) >= CONTACT_KEPT_EVERY;
            if keep {
                contact.kept = now;
            }
            keep
        };
        if keep {
            self.tree.insert(CONTACT, now.unix_ms().to_le_bytes())?;
            self.database.commit().await?;
        }
        Ok(())
    }

    /// When the station was last heard of; 1970 if never.
    pub fn last_contact(&self) -> Timestamp {
        self.contact.lock().unwrap_or_else(PoisonError::into_inner).at
    }

    /// The keys last heard of; a damaged one is left out.
    pub fn issuer_keys(&self) -> Result<Vec<IssuerKey>, MemoryError> {
        let stored = self.tree.get(ISSUER_KEYS)?.unwrap_or_default();
        Ok(stored.as_chunks::<32>().0.iter().filter_map(|key| IssuerKey::from_bytes(key).ok()).collect())
    }

    pub fn station(&self) -> Result<Option<StationId>, MemoryError> {
        let stored = self.tree.get(STATION)?;
        Ok(stored.and_then(|name| StationId::new(String::from_utf8_lossy(&name)).ok()))
    }

    /// Keeps what the station said, durably.
    pub async fn remember(&self, station: &StationId, keys: &[IssuerKey]) -> Result<(), MemoryError> {
        self.tree.insert(STATION, station.as_str())?;
        self.remember_keys(keys).await
    }

    /// Keeps newer keys, durably.
    pub async fn remember_keys(&self, keys: &[IssuerKey]) -> Result<(), MemoryError> {
        let bytes: Vec<u8> = keys.iter().flat_map(IssuerKey::to_bytes).collect();
        self.tree.insert(ISSUER_KEYS, bytes)?;
        Ok(self.database.commit().await?)
    }

    /// What was told last; nothing if it cannot be read any more.
    pub fn told(&self) -> Result<Told, MemoryError> {
        let stored = self.tree.get(TOLD)?.unwrap_or_default();
        Ok(serde_json::from_slice(&stored).unwrap_or_default())
    }

    /// Keeps what was told, durably, unless it was known.
    pub async fn remember_told(&self, told: &Told) -> Result<(), MemoryError> {
        if self.told()? != *told {
            self.tree.insert(TOLD, serde_json::to_vec(told).unwrap_or_default())?;
            self.database.commit().await?;
        }
        Ok(())
    }

    /// The orders that were begun last, the latest at the end, and what became of them.
    pub fn orders(&self) -> Result<Vec<Done>, MemoryError> {
        Ok(self.tree.get(ORDERS)?.and_then(|stored| serde_json::from_slice(&stored).ok()).unwrap_or_default())
    }

    /// Durable before the order is carried out: one that a crash interrupts is not carried out again, nor is one that
    /// is delivered once more after others.
    pub async fn remember_order(&self, done: &Done) -> Result<(), MemoryError> {
        let mut orders = self.orders()?;
        orders.retain(|order| order.id != done.id);
        orders.push(done.clone());
        orders.drain(..orders.len().saturating_sub(ORDERS_MAX));
        self.tree.insert(ORDERS, serde_json::to_vec(&orders).unwrap_or_default())?;
        Ok(self.database.commit().await?)
    }

    /// Beams that saw nobody whom the others saw, when the gate was last up; none if it cannot be read any more.
    pub fn silent_beams(&self) -> Result<Vec<Beam>, MemoryError> {
        let stored = self.tree.get(SILENT_BEAMS)?.unwrap_or_default();
        let names: Vec<String> = serde_json::from_slice(&stored).unwrap_or_default();
        Ok(names.iter().filter_map(|name| Beam::from_name(name)).collect())
    }

    /// Not synced: a gate that forgets it finds out anew, and charges nobody until it has.
    pub fn set_silent_beams(&self, silent: &[Beam]) -> Result<(), MemoryError> {
        let names: Vec<&str> = silent.iter().map(|beam| beam.name()).collect();
        self.tree.insert(SILENT_BEAMS, serde_json::to_vec(&names).unwrap_or_default())?;
        Ok(())
    }

    /// The next sequence of this epoch that the station waits for, as far as we remember.
    pub fn delivered(&self, epoch: u32) -> Result<u64, MemoryError> {
        let stored = self.tree.get(format!("{DELIVERED}{epoch}"))?;
        Ok(stored.and_then(|v| v.try_into().ok()).map_or(0, u64::from_le_bytes))
    }

    /// Not synced: forgetting it means delivering some records twice, which is harmless.
    pub fn set_delivered(&self, epoch: u32, next_sequence: u64) -> Result<(), MemoryError> {
        self.tree.insert(format!("{DELIVERED}{epoch}"), next_sequence.to_le_bytes())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use facegate_domain::code::CodeIssuer;
    use facegate_runtime::disk::RealDisk;

    use super::*;

    #[tokio::test]
    async fn keys_station_and_cursor_survive_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("memory");
        let keys = [[7; 32], [8; 32]].map(|secret| CodeIssuer::from_secret(&secret).public());
        let station = StationId::new("north").unwrap();
        let memory = Memory::open(&RealDisk, &path).unwrap();
        assert_eq!((memory.issuer_keys().unwrap(), memory.station().unwrap()), (vec![], None));
        memory.remember(&station, &keys).await.unwrap();
        memory.set_delivered(3, 42).unwrap();
        memory.set_silent_beams(&[Beam::Mid, Beam::Exit]).unwrap();
        assert_eq!(memory.last_contact(), Timestamp::default());
        for ms in [1000, 60_999, 61_000, 61_500] {
            memory.contacted(Timestamp::from_unix_ms(ms)).await.unwrap();
            assert_eq!(memory.last_contact().unix_ms(), ms);
        }
        drop(memory);
        let memory = Memory::open(&RealDisk, &path).unwrap();
        assert_eq!(memory.issuer_keys().unwrap(), keys);
        assert_eq!(memory.silent_beams().unwrap(), [Beam::Mid, Beam::Exit]);
        assert_eq!(memory.station().unwrap(), Some(station));
        assert_eq!((memory.delivered(3).unwrap(), memory.delivered(4).unwrap()), (42, 0));
        assert_eq!(memory.last_contact().unix_ms(), 60_999, "to the minute");
    }
}
