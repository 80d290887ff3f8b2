//! The tier of regulars: what it is computed from, and what came of it.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::fingerprint::regular_fact;
use facegate_domain::habits::Regular;
use facegate_domain::ids::{RiderId, StationId};

use super::StoreError;

/// Where and when somebody entered.
pub type Entry = (StationId, Timestamp);

/// See `FactSet::Regulars`.
pub fn root_of(riders: &[Regular]) -> u64 {
    riders.iter().fold(0, |root, regular| root ^ regular_fact(regular))
}

#[async_trait]
pub trait HabitStore {
    /// Of at most `max` riders, in the order of their ids after `after`: those with a face, consent to recognition and
    /// entries since then, with these entries; and the last rider looked at, `None` behind the last of all.
    async fn entries_of_enrolled(
        &self,
        since: Timestamp,
        after: Option<RiderId>,
        max: usize,
    ) -> Result<(Vec<(RiderId, Vec<Entry>)>, Option<RiderId>), StoreError>;

    /// Puts a station's regulars in place of those of before and on the feed, if they differ. Whoever has lost his face
    /// meanwhile is left out. True if they did.
    async fn set_regulars(&self, station: StationId, riders: Vec<Regular>) -> Result<bool, StoreError>;

    async fn regulars(&self, station: &StationId) -> Result<Vec<Regular>, StoreError>;

    /// The root of the digest over them, as the station makes it.
    async fn regulars_root(&self, station: &StationId) -> Result<u64, StoreError>;

    /// The stations that have regulars.
    async fn stations_with_regulars(&self) -> Result<Vec<StationId>, StoreError>;

    /// When all stations' were last computed.
    async fn regulars_computed_at(&self) -> Result<Option<Timestamp>, StoreError>;

    async fn set_regulars_computed_at(&self, at: Timestamp) -> Result<(), StoreError>;

    /// Ends entries that are older than `limit`, at most `max` of them, on the feed too; gives their number.
    async fn end_long_entries(
        &self,
        limit: std::time::Duration,
        max: usize,
        now: Timestamp,
    ) -> Result<usize, StoreError>;
}
