//! Who is inside: the latest tap of each rider says so. A rider's row is the lock that orders the taps of one rider who
//! passes gates of two stations at the same moment.

use std::collections::BTreeMap;

use facegate_domain::Timestamp;
use facegate_domain::fingerprint::FactSet;
use facegate_domain::ids::{RecordId, RiderId};
use facegate_domain::tap::{Direction, Tap};
use uuid::Uuid;

use super::digest::inside_fact;
use super::error::Trouble;
use super::overview::INSIDE;
use super::taps::named;
use super::tx::Tx;
use super::values::{IdColumns, record_of, rider_of};
use crate::store::StoreError;
use crate::store::logged::Logged;
use crate::store::taps::says_inside;

type Row = (Uuid, i64, String, i64, i64, String, bool, bool);

/// What is known of one rider's whereabouts.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    /// None for one who was erased before any tap of his came.
    latest: Option<(Timestamp, RecordId, Direction)>,
    /// Stations have him as inside, by the latest tap.
    inside: bool,
    erased: bool,
}

impl Place {
    fn of(row: Row) -> Result<(RiderId, Self), StoreError> {
        let (rider, at, gate, epoch, sequence, direction, inside, erased) = row;
        let latest = if gate.is_empty() {
            None
        } else {
            let id = record_of(gate, epoch, sequence)?;
            let direction = named(&id, &direction)?;
            Some((Timestamp::from_unix_ms(at), id, direction))
        };
        Ok((rider_of(rider), Self { latest, inside, erased }))
    }

    fn entry(&self) -> Option<&RecordId> {
        self.latest.as_ref().filter(|_| self.inside).map(|(_, id, _)| id)
    }

    /// After `tap` has come as well.
    fn after(&self, tap: &Tap, now: Timestamp) -> Self {
        let arrived = (tap.at, tap.id.clone(), tap.direction);
        let order = |place: &(Timestamp, RecordId, Direction)| (place.0, place.1.clone());
        let latest = match &self.latest {
            Some(latest) if order(latest) > order(&arrived) => latest.clone(),
            _ => arrived,
        };
        let inside = !self.erased && says_inside(latest.2, latest.0, now);
        Self { latest: Some(latest), inside, erased: self.erased }
    }
}

/// Moves riders in and out as their new taps say; gives what stations are to be told.
pub(super) async fn move_riders(tx: &mut Tx, taps: &[Tap], now: Timestamp) -> Result<Vec<Logged>, Trouble> {
    let mut latest: BTreeMap<RiderId, &Tap> = BTreeMap::new();
    for tap in taps {
        let last = latest.entry(tap.rider).or_insert(tap);
        if (tap.at, &tap.id) > (last.at, &last.id) {
            *last = tap;
        }
    }
    let riders: Vec<RiderId> = latest.keys().copied().collect();
    let before = locked(tx, &riders).await?;
    let nowhere = Place { latest: None, inside: false, erased: false };
    let (mut added, mut moved, mut changes) = (Columns::default(), Columns::default(), Vec::new());
    for (rider, tap) in latest {
        let known = before.get(&rider);
        let place = known.unwrap_or(&nowhere);
        let after = place.after(tap, now);
        if after == *place {
            continue;
        }
        if known.is_some() { &mut moved } else { &mut added }.push(rider, &after)?;
        if place.entry() != after.entry() {
            let left = place.entry().map(|entry| Logged::LeftSystem { rider, entry: entry.clone() });
            let entered = after.entry().map(|entry| Logged::EnteredSystem { rider, entry: entry.clone() });
            tx.count(INSIDE, i64::from(entered.is_some()) - i64::from(left.is_some()));
            changes.extend(left.into_iter().chain(entered));
        }
    }
    added.insert(tx).await?;
    moved.update(tx).await?;
    Ok(changes)
}

async fn locked(tx: &mut Tx, riders: &[RiderId]) -> Result<BTreeMap<RiderId, Place>, Trouble> {
    let riders: Vec<Uuid> = riders.iter().map(|rider| *rider.as_uuid()).collect();
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT rider, at, gate, epoch, sequence, direction, inside, erased FROM core.place
         WHERE rider = ANY ($1) ORDER BY rider FOR UPDATE",
    )
    .bind(riders)
    .fetch_all(tx.sql())
    .await?;
    Ok(rows.into_iter().map(Place::of).collect::<Result<_, StoreError>>()?)
}

#[derive(Debug, Default)]
struct Columns {
    riders: Vec<Uuid>,
    at: Vec<i64>,
    ids: IdColumns,
    directions: Vec<&'static str>,
    inside: Vec<bool>,
}

impl Columns {
    fn push(&mut self, rider: RiderId, place: &Place) -> Result<(), StoreError> {
        let Some((at, id, direction)) = &place.latest else { return Ok(()) };
        self.riders.push(*rider.as_uuid());
        self.at.push(at.unix_ms());
        self.ids.push(id)?;
        self.directions.push(direction.name());
        self.inside.push(place.inside);
        Ok(())
    }

    async fn insert(&self, tx: &mut Tx) -> Result<(), Trouble> {
        if self.riders.is_empty() {
            return Ok(());
        }
        let inserted = sqlx::query(
            "INSERT INTO core.place (rider, at, gate, epoch, sequence, direction, inside, erased)
             SELECT *, false FROM UNNEST($1::uuid[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::text[],
                $7::boolean[]) AS t (rider, at, gate, epoch, sequence, direction, inside)
             ON CONFLICT (rider) DO NOTHING",
        )
        .bind(&self.riders)
        .bind(&self.at)
        .bind(&self.ids.gates)
        .bind(&self.ids.epochs)
        .bind(&self.ids.sequences)
        .bind(&self.directions)
        .bind(&self.inside)
        .execute(tx.sql())
        .await?;
        // Somebody else saw one of these riders for the first time at the same moment.
        let all = inserted.rows_affected() == self.riders.len() as u64;
        if all { Ok(()) } else { Err(Trouble::Overtaken) }
    }

    async fn update(&self, tx: &mut Tx) -> Result<(), Trouble> {
        if self.riders.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "UPDATE core.place p SET at = t.at, gate = t.gate, epoch = t.epoch, sequence = t.sequence,
                direction = t.direction, inside = t.inside
             FROM UNNEST($1::uuid[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::boolean[])
                AS t (rider, at, gate, epoch, sequence, direction, inside)
             WHERE p.rider = t.rider",
        )
        .bind(&self.riders)
        .bind(&self.at)
        .bind(&self.ids.gates)
        .bind(&self.ids.epochs)
        .bind(&self.ids.sequences)
        .bind(&self.directions)
        .bind(&self.inside)
        .execute(tx.sql())
        .await?;
        Ok(())
    }
}

/// Nobody waits any more for these entries to be left: whoever is inside by one of them is not.
pub(super) async fn leave(tx: &mut Tx, given_up: &[&Tap]) -> Result<(), Trouble> {
    let mut changes = Vec::new();
    for tap in given_up {
        let place = locked(tx, &[tap.rider]).await?.remove(&tap.rider);
        if place.as_ref().and_then(Place::entry) == Some(&tap.id) {
            sqlx::query("UPDATE core.place SET inside = false WHERE rider = $1")
                .bind(tap.rider.as_uuid())
                .execute(tx.sql())
                .await?;
            tx.count(INSIDE, -1);
            changes.push(Logged::LeftSystem { rider: tap.rider, entry: tap.id.clone() });
        }
    }
    if !changes.is_empty() {
        tx.publish(&changes).await?;
    }
    Ok(())
}

/// The riders inside whose entries are older than that are not any more; at most `max` of them. Gives their number.
pub(super) async fn end_before(tx: &mut Tx, entered_before: Timestamp, max: i64) -> Result<usize, Trouble> {
    let ended: Vec<(Uuid, String, i64, i64)> = sqlx::query_as(
        "UPDATE core.place p SET inside = false FROM (
            SELECT rider FROM core.place WHERE inside AND at < $1 ORDER BY rider LIMIT $2 FOR UPDATE
         ) AS old WHERE p.rider = old.rider RETURNING p.rider, p.gate, p.epoch, p.sequence",
    )
    .bind(entered_before.unix_ms())
    .bind(max)
    .fetch_all(tx.sql())
    .await?;
    let left = |(rider, gate, epoch, sequence): (Uuid, String, i64, i64)| {
        Ok(Logged::LeftSystem { rider: rider_of(rider), entry: record_of(gate, epoch, sequence)? })
    };
    let changes: Vec<Logged> = ended.into_iter().map(left).collect::<Result<_, StoreError>>()?;
    if !changes.is_empty() {
        tx.count(INSIDE, -i64::try_from(changes.len()).unwrap_or(i64::MAX));
        tx.publish(&changes).await?;
    }
    Ok(changes.len())
}

/// The rider is not shown inside by the taps that have come.
pub(super) async fn withdraw(tx: &mut Tx, rider: RiderId) -> Result<(), Trouble> {
    let place = locked(tx, &[rider]).await?.remove(&rider);
    // Its going is told with the rider's, not as a change of its own.
    if let Some(entry) = place.as_ref().and_then(Place::entry) {
        tx.toggle(FactSet::Inside, rider.as_bytes(), inside_fact(rider, entry));
        tx.count(INSIDE, -1);
        sqlx::query("UPDATE core.place SET inside = false WHERE rider = $1")
            .bind(rider.as_uuid())
            .execute(tx.sql())
            .await?;
    }
    Ok(())
}

/// The rider is not shown inside any more, nor ever again, whatever taps of his are still to come.
pub(super) async fn erase(tx: &mut Tx, rider: RiderId) -> Result<(), Trouble> {
    withdraw(tx, rider).await?;
    sqlx::query(
        "INSERT INTO core.place (rider, at, gate, epoch, sequence, direction, inside, erased)
         VALUES ($1, 0, '', 0, 0, '', false, true)
         ON CONFLICT (rider) DO UPDATE SET inside = false, erased = true",
    )
    .bind(rider.as_uuid())
    .execute(tx.sql())
    .await?;
    Ok(())
}
