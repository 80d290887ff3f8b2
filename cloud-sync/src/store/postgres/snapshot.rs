//! The facts that hold, page by page.

use facegate_domain::Timestamp;
use facegate_domain::ids::{RiderId, StationId};
use facegate_domain::operation::Instruction;
use facegate_proto::convert::sync::FeedChange;
use uuid::Uuid;

use super::PgStore;
use super::error::Trouble;
use super::values::{at_most, damaged, read, record_of};
use crate::store::logged::issuer_keys;
use crate::store::{SnapshotPage, StoreError};

/// The tables that facts are in. A snapshot goes through them in this order; a page's place is the number of its table and
/// the last key that was told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Space {
    IssuerKeys,
    Told,
    Denied,
    Faces,
    Inside,
    Regulars,
    Capped,
    Nonces,
}

const SPACES: [Space; 8] = [
    Space::IssuerKeys,
    Space::Told,
    Space::Denied,
    Space::Faces,
    Space::Inside,
    Space::Regulars,
    Space::Capped,
    Space::Nonces,
];

/// Facts with their keys.
type Found = Vec<(Vec<u8>, FeedChange)>;

/// Which part of a table with ids.
#[derive(Debug, Clone, Copy)]
pub(super) struct Within<'w> {
    /// The last key that was told.
    pub after: Option<&'w [u8]>,
    pub first: Uuid,
    pub last: Uuid,
    /// Faces of this model alone.
    pub model: Option<&'w str>,
}

impl Within<'_> {
    fn after_id(&self) -> Result<Option<Uuid>, StoreError> {
        let id = |key| Uuid::from_slice(key).map_err(|error| damaged("a snapshot's place", error));
        self.after.filter(|key| !key.is_empty()).map(id).transpose()
    }
}

impl PgStore {
    pub(super) async fn page(
        &self,
        from: Option<Vec<u8>>,
        max: usize,
        codes_since: Timestamp,
    ) -> Result<SnapshotPage, StoreError> {
        let (mut space, mut after) = match from.as_deref().and_then(<[u8]>::split_first) {
            Some((space, after)) => (usize::from(*space), after.to_vec()),
            None => (0, Vec::new()),
        };
        let mut facts = Vec::new();
        while let Some(table) = SPACES.get(space) {
            let room = max.saturating_sub(facts.len()).max(1);
            let within = Within { after: Some(&after), first: Uuid::nil(), last: Uuid::max(), model: None };
            let found = match table {
                Space::Nonces => self.nonce_facts(&after, room, codes_since).await?,
                Space::Capped => self.capped_facts(&within, room, codes_since).await?,
                table => self.facts_within(*table, &within, room).await?,
            };
            let full = found.len() >= room;
            let last = found.last().map(|(key, _)| key.clone());
            facts.extend(found.into_iter().map(|(_, fact)| fact));
            match last {
                Some(last) if full => {
                    let number = u8::try_from(space).unwrap_or(u8::MAX);
                    return Ok(SnapshotPage { facts, next: Some([&[number], last.as_slice()].concat()) });
                }
                _ => (space, after) = (space + 1, Vec::new()),
            }
        }
        Ok(SnapshotPage { facts, next: None })
    }

    /// At most `max` facts, in the order of their keys.
    pub(super) async fn facts_within(
        &self,
        space: Space,
        within: &Within<'_>,
        max: usize,
    ) -> Result<Found, StoreError> {
        match space {
            Space::IssuerKeys if within.after.is_none_or(<[u8]>::is_empty) => self.keys_fact().await,
            Space::IssuerKeys | Space::Nonces | Space::Capped => Ok(Vec::new()),
            Space::Told => self.told_facts(within.after.unwrap_or_default(), max).await,
            Space::Denied => self.denied_facts(within, max).await,
            Space::Faces => self.face_facts(within, max).await,
            Space::Inside => self.inside_facts(within, max).await,
            Space::Regulars => self.regulars_facts(within.after.unwrap_or_default(), max).await,
        }
    }

    async fn told_facts(&self, after: &[u8], max: usize) -> Result<Found, StoreError> {
        let rows: Vec<(String, String)> =
            sqlx::query_as("SELECT place, body FROM core.told WHERE place > $1 ORDER BY place LIMIT $2")
                .bind(String::from_utf8_lossy(after).into_owned())
                .bind(at_most(max))
                .fetch_all(&self.pool)
                .await
                .map_err(Trouble::from)?;
        let fact = |(place, body): (String, String)| {
            let told: Instruction = read(&place, &body)?;
            Ok((place.into_bytes(), FeedChange::Told(told)))
        };
        rows.into_iter().map(fact).collect()
    }

    async fn regulars_facts(&self, after: &[u8], max: usize) -> Result<Found, StoreError> {
        let stations: Vec<String> =
            sqlx::query_scalar("SELECT station FROM core.regulars WHERE station > $1 ORDER BY station LIMIT $2")
                .bind(String::from_utf8_lossy(after).into_owned())
                .bind(at_most(max))
                .fetch_all(&self.pool)
                .await
                .map_err(Trouble::from)?;
        let fact = |name: String| {
            let key = name.clone().into_bytes();
            let station = StationId::new(name).map_err(|error| damaged("a station's name", error))?;
            Ok((key, FeedChange::Regulars { station, riders: Vec::new() }))
        };
        stations.into_iter().map(fact).collect()
    }

    async fn keys_fact(&self) -> Result<Found, StoreError> {
        let body: Option<String> = sqlx::query_scalar("SELECT body FROM core.issuer_keys")
            .fetch_optional(&self.pool)
            .await
            .map_err(Trouble::from)?;
        let fact = |body: String| Ok((vec![1], issuer_keys(&read::<Vec<[u8; 32]>>("issuer-keys", &body)?)?));
        body.into_iter().map(fact).collect()
    }

    async fn denied_facts(&self, within: &Within<'_>, max: usize) -> Result<Found, StoreError> {
        let riders: Vec<Uuid> = sqlx::query_scalar(
            "SELECT rider FROM core.denied WHERE rider BETWEEN $1 AND $2 AND ($3::uuid IS NULL OR rider > $3)
             ORDER BY rider LIMIT $4",
        )
        .bind(within.first)
        .bind(within.last)
        .bind(within.after_id()?)
        .bind(at_most(max))
        .fetch_all(&self.pool)
        .await
        .map_err(Trouble::from)?;
        let fact = |rider: Uuid| (rider.as_bytes().to_vec(), FeedChange::Denied(RiderId::from_uuid(rider)));
        Ok(riders.into_iter().map(fact).collect())
    }

    async fn face_facts(&self, within: &Within<'_>, max: usize) -> Result<Found, StoreError> {
        let rows: Vec<(Uuid, Uuid, Vec<u8>)> = sqlx::query_as(
            "SELECT f.template, f.rider, s.sealed FROM core.face f JOIN faces.face s ON s.template = f.template
             WHERE f.template BETWEEN $1 AND $2 AND ($3::uuid IS NULL OR f.template > $3)
                AND ($4::text IS NULL OR f.model = $4)
             ORDER BY f.template LIMIT $5",
        )
        .bind(within.first)
        .bind(within.last)
        .bind(within.after_id()?)
        .bind(within.model)
        .bind(at_most(max))
        .fetch_all(&self.pool)
        .await
        .map_err(Trouble::from)?;
        let fact = |(template, rider, sealed): &(Uuid, Uuid, Vec<u8>)| {
            let face = self.open_face(*template, *rider, sealed)?;
            Ok((template.as_bytes().to_vec(), FeedChange::TemplatePut(face)))
        };
        rows.iter().map(fact).collect()
    }

    async fn inside_facts(&self, within: &Within<'_>, max: usize) -> Result<Found, StoreError> {
        let rows: Vec<(Uuid, String, i64, i64)> = sqlx::query_as(
            "SELECT rider, gate, epoch, sequence FROM core.place
             WHERE inside AND rider BETWEEN $1 AND $2 AND ($3::uuid IS NULL OR rider > $3) ORDER BY rider LIMIT $4",
        )
        .bind(within.first)
        .bind(within.last)
        .bind(within.after_id()?)
        .bind(at_most(max))
        .fetch_all(&self.pool)
        .await
        .map_err(Trouble::from)?;
        let fact = |(rider, gate, epoch, sequence): (Uuid, String, i64, i64)| {
            let entry = record_of(gate, epoch, sequence)?;
            let rider_id = RiderId::from_uuid(rider);
            Ok((rider.as_bytes().to_vec(), FeedChange::EnteredSystem { rider: rider_id, entry }))
        };
        rows.into_iter().map(fact).collect()
    }

    async fn capped_facts(&self, within: &Within<'_>, max: usize, since: Timestamp) -> Result<Found, StoreError> {
        let rows: Vec<(Uuid, i64)> = sqlx::query_as(
            "SELECT rider, until FROM core.face_capped WHERE until >= $1 AND ($2::uuid IS NULL OR rider > $2)
             ORDER BY rider LIMIT $3",
        )
        .bind(since.unix_ms())
        .bind(within.after_id()?)
        .bind(at_most(max))
        .fetch_all(&self.pool)
        .await
        .map_err(Trouble::from)?;
        let fact = |(rider, until): (Uuid, i64)| {
            let until = Timestamp::from_unix_ms(until);
            (rider.as_bytes().to_vec(), FeedChange::FaceCapped { rider: RiderId::from_uuid(rider), until })
        };
        Ok(rows.into_iter().map(fact).collect())
    }

    /// By their time, so that the old ones are not gone through again and again.
    async fn nonce_facts(&self, after: &[u8], max: usize, since: Timestamp) -> Result<Found, StoreError> {
        let (at, nonce) = match after.split_first_chunk::<8>() {
            Some((at, nonce)) => (i64::from_be_bytes(*at), nonce),
            None => (since.unix_ms(), after),
        };
        let rows: Vec<(Vec<u8>, i64)> =
            sqlx::query_as("SELECT nonce, at FROM core.nonce WHERE (at, nonce) > ($1, $2) ORDER BY at, nonce LIMIT $3")
                .bind(at)
                .bind(nonce)
                .bind(at_most(max))
                .fetch_all(&self.pool)
                .await
                .map_err(Trouble::from)?;
        let fact = |(nonce, at): (Vec<u8>, i64)| {
            let bytes: [u8; 8] = nonce.as_slice().try_into().map_err(|error| damaged("a nonce", error))?;
            let issued_at = Timestamp::from_unix_ms(at);
            Ok(([&at.to_be_bytes(), nonce.as_slice()].concat(), FeedChange::CodeNonceSpent { nonce: bytes, issued_at }))
        };
        rows.into_iter().map(fact).collect()
    }
}
