//! Who is inside: the latest tap of each rider says so. A rider's row is the lock that orders the taps of one rider who
//! passes gates of two stations at the same moment.

use std::collections::BTreeMap;

use facegate_domain::Timestamp;
use facegate_domain::fingerprint::FactSet;
use facegate_domain::ids::RiderId;
use facegate_domain::intake::{Place, latest_taps, moves};
use facegate_domain::tap::Tap;
use uuid::Uuid;

use super::digest::inside_fact;
use super::error::Trouble;
use super::overview::INSIDE;
use super::taps::named;
use super::tx::Tx;
use super::values::{IdColumns, record_of, rider_of};
use crate::store::StoreError;
use crate::store::logged::Logged;

type Row = (Uuid, i64, String, i64, i64, String, bool, bool);

/// What one row says. One without a gate tells when the rider's face was withdrawn, or of one who was erased before any
/// tap of his came.
fn place_of(row: Row) -> Result<(RiderId, Place), StoreError> {
    let (rider, at, gate, epoch, sequence, direction, inside, erased) = row;
    let at = Timestamp::from_unix_ms(at);
    let (latest, silent_until) = if gate.is_empty() {
        (None, Some(at))
    } else {
        let id = record_of(gate, epoch, sequence)?;
        let direction = named(&id, &direction)?;
        (Some((at, id, direction)), None)
    };
    Ok((rider_of(rider), Place { latest, inside, silent_until, erased }))
}

/// Moves riders in and out as their new taps say; gives what stations are to be told.
pub(super) async fn move_riders(tx: &mut Tx, taps: &[Tap], now: Timestamp) -> Result<Vec<Logged>, Trouble> {
    let riders: Vec<RiderId> = latest_taps(taps).into_keys().collect();
    let before = locked(tx, &riders).await?;
    let (mut added, mut moved, mut changes) = (Columns::default(), Columns::default(), Vec::new());
    for step in moves(taps, before, now) {
        let columns = if step.before.is_some() { &mut moved } else { &mut added };
        columns.push(step.rider, &step.after)?;
        let (told, more_inside) = Logged::of_move(&step);
        tx.count(INSIDE, more_inside);
        changes.extend(told);
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
    Ok(rows.into_iter().map(place_of).collect::<Result<_, StoreError>>()?)
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

/// The rider is not shown inside by a tap from before now, whether it has come or is still to come.
pub(super) async fn withdraw(tx: &mut Tx, rider: RiderId, now: Timestamp) -> Result<(), Trouble> {
    leave_silently(tx, rider).await?;
    sqlx::query(
        "INSERT INTO core.place AS p (rider, at, gate, epoch, sequence, direction, inside, erased)
         VALUES ($1, $2, '', 0, 0, '', false, false)
         ON CONFLICT (rider) DO UPDATE SET at = greatest(p.at, $2), gate = '', epoch = 0, sequence = 0, direction = '',
            inside = false",
    )
    .bind(rider.as_uuid())
    .bind(now.unix_ms())
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// Its going is told with the rider's, not as a change of its own.
async fn leave_silently(tx: &mut Tx, rider: RiderId) -> Result<(), Trouble> {
    let place = locked(tx, &[rider]).await?.remove(&rider);
    if let Some(entry) = place.as_ref().and_then(Place::entry) {
        tx.toggle(FactSet::Inside, rider.as_bytes(), inside_fact(rider, entry));
        tx.count(INSIDE, -1);
    }
    Ok(())
}

/// The rider is not shown inside any more, nor ever again, whatever taps of his are still to come.
pub(super) async fn erase(tx: &mut Tx, rider: RiderId) -> Result<(), Trouble> {
    leave_silently(tx, rider).await?;
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
