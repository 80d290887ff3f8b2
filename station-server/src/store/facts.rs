//! The facts of the change feed with the cursor up to which they are complete, always changed together.
//!
//! | key | value |
//! |---|---|
//! | `c` | version of the last change applied, 8 bytes big-endian |
//! | `g` | version of the last change of a template, 8 bytes big-endian; the templates lie in the gallery's own files |
//! | `i` rider (16) entry's record id (text) | inside since that entry: when it was heard of, unix milliseconds, 8 bytes big-endian (empty before that was noted) |
//! | `d` rider (16) | empty: denied |
//! | `f` rider (16) | until when his face alone opens no entry, unix milliseconds, 8 bytes big-endian |
//! | `k` | the issuers' public keys, 32 bytes each |
//! | `o` place | an instruction of the operator that holds, JSON |
//! | `l` | the level of changes understood up to the cursor, 4 bytes big-endian; without it 1 |
//! | `p` | of facts that are staged: how far their snapshot came, see `progress` |
//! | `r` | this station's regulars: rider (16), hours (4 bytes big-endian), and the next |

use facegate_domain::Timestamp;
use facegate_domain::code::IssuerKey;
use facegate_domain::habits::{Hours, Regular};
use facegate_domain::ids::{RecordId, RiderId, StationId};
use facegate_domain::operation::Instruction;
use facegate_proto::convert::sync::{FEED_LEVEL, FeedChange, VersionedChange, issuer_keys_from_wire};
use facegate_runtime::kv::{Batch, Tree};

use super::{Progress, StoreError, number};

const CURSOR: &[u8] = b"c";
const ISSUER_KEYS: &[u8] = b"k";

const TEMPLATES: &[u8] = b"g";
const LEVEL: &[u8] = b"l";
const PROGRESS: &[u8] = b"p";
const REGULARS: &[u8] = b"r";
const REGULAR_BYTES: usize = 20;

/// See the module.
#[derive(Debug, Clone)]
pub struct FactStore {
    tree: Tree,
    station: StationId,
}

impl FactStore {
    pub(super) fn new(tree: Tree, station: StationId) -> Self {
        Self { tree, station }
    }

    /// Which of the two sets of facts this is.
    pub fn name(&self) -> &'static str {
        if self.tree.name() == "facts-a" { "facts-a" } else { "facts-b" }
    }

    /// The version of the last change of a template; the gallery's files must reach it. 0 if there was none, and out of
    /// reach if templates still lie here, as they did before the gallery had files.
    pub fn templates_version(&self) -> Result<u64, StoreError> {
        match self.tree.get(TEMPLATES)? {
            Some(value) => number(&value, "templates' version"),
            None if self.tree.scan(b"t").next().is_some() => Ok(u64::MAX),
            None => Ok(0),
        }
    }

    /// Forgets everything, the cursor too, so that the feed begins anew.
    pub fn forget(&self) -> Result<(), StoreError> {
        self.clear()
    }

    /// The version of the last change that is stored; 0 if none is.
    pub fn cursor(&self) -> Result<u64, StoreError> {
        self.tree.get(CURSOR)?.map_or(Ok(0), |value| number(&value, "cursor"))
    }

    /// Stores changes in their order, which lead to version `last` and were heard of `now`. A crash leaves a whole prefix of
    /// them, with its cursor.
    pub fn write(&self, changes: &[VersionedChange], last: u64, now: Timestamp) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        let mut version = self.cursor()?;
        if version == 0 {
            batch.insert(LEVEL, FEED_LEVEL.to_be_bytes());
        }
        for change in changes {
            if let FeedChange::RiderRemoved(rider) = &change.change {
                // What an earlier change of this call brought must be in the tree to be found and removed.
                batch.insert(CURSOR, version.to_be_bytes());
                self.tree.apply(std::mem::take(&mut batch))?;
                self.remove_rider(*rider, &mut batch)?;
            } else {
                self.write_one(&change.change, now, &mut batch)?;
            }
            version = change.version;
            if matches!(change.change, FeedChange::TemplatePut(_) | FeedChange::RiderRemoved(_)) {
                batch.insert(TEMPLATES, version.to_be_bytes());
            }
        }
        batch.insert(CURSOR, last.to_be_bytes());
        Ok(self.tree.apply(batch)?)
    }

    /// Says that the facts are complete up to `version`.
    pub fn set_cursor(&self, version: u64) -> Result<(), StoreError> {
        if self.cursor()? == 0 {
            self.tree.insert(LEVEL, FEED_LEVEL.to_be_bytes())?;
        }
        self.tree.insert(CURSOR, version.to_be_bytes())?;
        Ok(())
    }

    /// The newest level of changes that was understood all the way to the cursor: what is newer was withheld, or passed
    /// over. Understanding less than before, this station passes over more from here on.
    pub fn level(&self) -> Result<u32, StoreError> {
        let kept = self.tree.get(LEVEL)?;
        let level = match kept.as_deref() {
            Some(kept) => u32::from_be_bytes(kept.try_into().map_err(|_| StoreError::Damaged { what: "feed level" })?),
            None if self.cursor()? == 0 => return Ok(FEED_LEVEL),
            None => 1,
        };
        if level > FEED_LEVEL {
            self.tree.insert(LEVEL, FEED_LEVEL.to_be_bytes())?;
        }
        Ok(level.min(FEED_LEVEL))
    }

    /// Everything up to the cursor is here that this software understands.
    pub fn set_level(&self) -> Result<(), StoreError> {
        Ok(self.tree.insert(LEVEL, FEED_LEVEL.to_be_bytes())?)
    }

    /// Notes how far the snapshot came whose facts these are. All that it speaks of must be durable by then.
    pub fn set_progress(&self, progress: &Progress) -> Result<(), StoreError> {
        Ok(self.tree.insert(PROGRESS, progress.to_bytes())?)
    }

    /// `None` if there is nothing to go on with.
    pub(super) fn progress(&self) -> Result<Option<Progress>, StoreError> {
        Ok(self.tree.get(PROGRESS)?.and_then(|progress| Progress::from_bytes(&progress)))
    }

    /// Who is inside, by which entry, and when that was heard of: `now` if it was not noted.
    pub fn entries(
        &self,
        now: Timestamp,
    ) -> impl Iterator<Item = Result<(RiderId, RecordId, Timestamp), StoreError>> + '_ {
        self.tree.scan(b"i").map(move |entry| {
            let (key, at) = entry?;
            let at = if at.is_empty() { now } else { timestamp(number(&at, "time of an entry")?) };
            Ok((rider_of(&key)?, entry_of(&key)?, at))
        })
    }

    /// Forgets entries that ended by themselves.
    pub fn end_entries(&self, entries: &[(RiderId, RecordId)]) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        entries.iter().for_each(|(rider, entry)| batch.remove(entry_key(*rider, entry)));
        Ok(self.tree.apply(batch)?)
    }

    /// Every stored fact as the change that brings it about, for filling a gallery at start. Spent codes are not
    /// among them: [`super::CodeStore`] keeps those.
    pub fn read(&self) -> impl Iterator<Item = Result<FeedChange, StoreError>> + '_ {
        self.tree.iter().filter_map(|entry| match entry {
            Ok((key, value)) => self.read_one(&key, &value).transpose(),
            Err(error) => Some(Err(error.into())),
        })
    }

    pub(super) fn clear(&self) -> Result<(), StoreError> {
        Ok(self.tree.clear()?)
    }

    fn write_one(&self, change: &FeedChange, now: Timestamp, batch: &mut Batch) -> Result<(), StoreError> {
        match change {
            FeedChange::EnteredSystem { rider, entry } => {
                batch.insert(entry_key(*rider, entry), unix_ms(now).to_be_bytes());
            }
            FeedChange::LeftSystem { rider, entry } => batch.remove(entry_key(*rider, entry)),
            FeedChange::Denied(rider) => batch.insert(rider_key(b'd', *rider), []),
            FeedChange::Allowed(rider) => batch.remove(rider_key(b'd', *rider)),
            FeedChange::FaceCapped { rider, until } => {
                batch.insert(rider_key(b'f', *rider), unix_ms(*until).to_be_bytes());
            }
            FeedChange::IssuerKeys(keys) => {
                batch.insert(ISSUER_KEYS, keys.iter().flat_map(IssuerKey::to_bytes).collect::<Vec<u8>>());
            }
            FeedChange::RiderRemoved(rider) => self.remove_rider(*rider, batch)?,
            FeedChange::Told(told) if told.holds() => {
                let json = serde_json::to_vec(told).map_err(|_| StoreError::Damaged { what: "instruction" })?;
                batch.insert(told_key(told), json);
            }
            FeedChange::Told(told) => batch.remove(told_key(told)),
            FeedChange::Regulars { station, riders } if *station == self.station => {
                batch.insert(REGULARS, regulars_to_bytes(riders));
            }
            FeedChange::Regulars { .. } => (),
            FeedChange::TemplatePut(_) | FeedChange::CodeNonceSpent { .. } => (),
        }
        Ok(())
    }

    /// The deny list is kept: an open debt outlives the face.
    fn remove_rider(&self, rider: RiderId, batch: &mut Batch) -> Result<(), StoreError> {
        batch.remove(rider_key(b'f', rider));
        for entry in self.tree.scan(rider_key(b'i', rider)) {
            batch.remove(entry?.0);
        }
        if let Some(regulars) = self.tree.get(REGULARS)? {
            let mut regulars = regulars_from_bytes(&regulars)?;
            regulars.retain(|regular| regular.rider != rider);
            batch.insert(REGULARS, regulars_to_bytes(&regulars));
        }
        Ok(())
    }

    fn read_one(&self, key: &[u8], value: &[u8]) -> Result<Option<FeedChange>, StoreError> {
        let damaged = |what| StoreError::Damaged { what };
        Ok(match key.first() {
            Some(b'i') => Some(FeedChange::EnteredSystem { rider: rider_of(key)?, entry: entry_of(key)? }),
            Some(b'r') => {
                let (station, riders) = (self.station.clone(), regulars_from_bytes(value)?);
                Some(FeedChange::Regulars { station, riders })
            }
            Some(b'd') => Some(FeedChange::Denied(rider_of(key)?)),
            Some(b'f') => {
                let until = timestamp(number(value, "time of a cap")?);
                Some(FeedChange::FaceCapped { rider: rider_of(key)?, until })
            }
            Some(b'k') => {
                let keys: Vec<Vec<u8>> = value.chunks(32).map(<[u8]>::to_vec).collect();
                Some(FeedChange::IssuerKeys(issuer_keys_from_wire(&keys).map_err(|_| damaged("issuer key"))?))
            }
            Some(b'o') => Some(FeedChange::Told(serde_json::from_slice(value).map_err(|_| damaged("instruction"))?)),
            _ => None,
        })
    }
}

fn told_key(told: &Instruction) -> Vec<u8> {
    [b"o", told.place().as_bytes()].concat()
}

fn rider_key(kind: u8, rider: RiderId) -> Vec<u8> {
    [&[kind], rider.as_bytes().as_slice()].concat()
}

fn entry_key(rider: RiderId, entry: &RecordId) -> Vec<u8> {
    [rider_key(b'i', rider), entry.to_string().into_bytes()].concat()
}

fn entry_of(key: &[u8]) -> Result<RecordId, StoreError> {
    let entry = key.get(17..).and_then(|text| std::str::from_utf8(text).ok());
    entry.and_then(|text| text.parse().ok()).ok_or(StoreError::Damaged { what: "entry" })
}

fn regulars_to_bytes(riders: &[Regular]) -> Vec<u8> {
    let bytes = |r: &Regular| [r.rider.as_bytes().as_slice(), &r.hours.bits().to_be_bytes()].concat();
    riders.iter().flat_map(bytes).collect()
}

fn regulars_from_bytes(bytes: &[u8]) -> Result<Vec<Regular>, StoreError> {
    let damaged = || StoreError::Damaged { what: "regulars" };
    let regular = |bytes: &[u8]| {
        let (rider, hours) = bytes.split_first_chunk::<16>().ok_or_else(damaged)?;
        let hours = u32::from_be_bytes(hours.try_into().map_err(|_| damaged())?);
        Ok(Regular { rider: RiderId::from_bytes(*rider), hours: Hours::from_bits(hours).ok_or_else(damaged)? })
    };
    bytes.chunks(REGULAR_BYTES).map(regular).collect()
}

fn unix_ms(at: Timestamp) -> u64 {
    u64::try_from(at.unix_ms()).unwrap_or(0)
}

fn timestamp(unix_ms: u64) -> Timestamp {
    Timestamp::from_unix_ms(i64::try_from(unix_ms).unwrap_or(i64::MAX))
}

fn rider_of(key: &[u8]) -> Result<RiderId, StoreError> {
    let bytes = key.get(1..17).and_then(|bytes| bytes.try_into().ok());
    bytes.map(RiderId::from_bytes).ok_or(StoreError::Damaged { what: "rider" })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use facegate_domain::code::CodeIssuer;
    use facegate_domain::face::{Embedding, Template};
    use facegate_domain::ids::{GateId, ModelId, TemplateId};
    use facegate_runtime::disk::{Disk, SimDisk};
    use facegate_runtime::kv::Database;

    use super::*;

    fn store(database: &Database) -> FactStore {
        FactStore::new(database.tree("f").unwrap(), north())
    }

    const NOW: Timestamp = Timestamp::from_unix_ms(1_790_000_000_000);

    fn north() -> StationId {
        StationId::new("north").unwrap()
    }

    fn temporary() -> Database {
        SimDisk::new().database(Path::new("state"), super::super::OPTIONS).unwrap()
    }

    fn template(rider: RiderId) -> Template {
        let embedding = Embedding::from_unit(ModelId::new("sface").unwrap(), vec![0.6, 0.8]).unwrap();
        Template { id: TemplateId::random(), rider, embedding, photographs: 1 }
    }

    fn entry(sequence: u64) -> RecordId {
        RecordId { gate: GateId::new("north-in").unwrap(), epoch: 1, sequence }
    }

    fn versioned(changes: Vec<FeedChange>) -> Vec<VersionedChange> {
        changes.into_iter().zip(1..).map(|(change, version)| VersionedChange { version, change }).collect()
    }

    #[test]
    fn facts_read_back_as_they_were_written() {
        let db = temporary();
        let rider = RiderId::random();
        let facts = vec![
            FeedChange::Denied(rider),
            FeedChange::FaceCapped { rider, until: NOW },
            FeedChange::EnteredSystem { rider, entry: entry(5) },
            FeedChange::IssuerKeys(vec![CodeIssuer::from_secret(&[1; 32]).public()]),
            FeedChange::Regulars { station: north(), riders: vec![Regular { rider, hours: Hours::NONE.with(8) }] },
            FeedChange::TemplatePut(template(rider)),
        ];
        let store = store(&db);
        assert_eq!(store.cursor().unwrap(), 0);
        store.write(&versioned(facts.clone()), 6, NOW).unwrap();
        assert_eq!(store.read().collect::<Result<Vec<_>, _>>().unwrap(), facts[..5], "templates lie elsewhere");
        assert_eq!(store.entries(Timestamp::default()).next().unwrap().unwrap(), (rider, entry(5), NOW));
        assert_eq!((store.cursor().unwrap(), store.templates_version().unwrap()), (6, 6));
        store.forget().unwrap();
        assert_eq!((store.cursor().unwrap(), store.templates_version().unwrap()), (0, 0));
    }

    #[test]
    fn templates_of_before_are_to_be_fetched_anew() {
        let db = temporary();
        let store = store(&db);
        store.tree.insert([b't'; 33], [1]).unwrap();
        assert_eq!(store.templates_version().unwrap(), u64::MAX);
        assert_eq!(store.read().count(), 0);
    }

    #[test]
    fn what_ended_is_gone_even_within_one_call() {
        let db = temporary();
        let (gone, stays) = (RiderId::random(), RiderId::random());
        let changes = vec![
            FeedChange::TemplatePut(template(gone)),
            FeedChange::TemplatePut(template(stays)),
            FeedChange::FaceCapped { rider: gone, until: NOW },
            FeedChange::EnteredSystem { rider: gone, entry: entry(1) },
            FeedChange::EnteredSystem { rider: stays, entry: entry(2) },
            FeedChange::LeftSystem { rider: stays, entry: entry(2) },
            FeedChange::Denied(stays),
            FeedChange::Regulars {
                station: north(),
                riders: vec![Regular { rider: gone, hours: Hours::NONE.with(8) }],
            },
            FeedChange::Regulars { station: StationId::new("south").unwrap(), riders: vec![] },
            FeedChange::RiderRemoved(gone),
            FeedChange::Allowed(stays),
        ];
        let store = store(&db);
        store.write(&versioned(changes), 11, NOW).unwrap();
        let nobody = FeedChange::Regulars { station: north(), riders: vec![] };
        assert_eq!(store.read().collect::<Result<Vec<_>, _>>().unwrap(), [nobody]);
        assert_eq!((store.cursor().unwrap(), store.templates_version().unwrap()), (11, 10));
    }
}
