//! What charges make of their rider: one who is behind is on the deny list, one who has paid is known to pay.

use facegate_domain::Timestamp;
use facegate_domain::charge::{Charge, ChargeId, Instrument, Instruments, Purpose, State};
use facegate_domain::deny::DenyReason;
use facegate_domain::ids::RiderId;
use facegate_domain::notice::Told;
use facegate_domain::tap::{Direction, Tap};
use uuid::Uuid;

use super::error::Trouble;
use super::tx::Tx;
use super::values::{charge_uuid, json, record_of, sequence};
use super::{charges, feed, notices};

/// In the transaction of the step itself, after its entry is posted: the feed comes last.
pub(super) async fn follow(tx: &mut Tx, before: &Charge, charge: &Charge, now: Timestamp) -> Result<(), Trouble> {
    if before.state() == charge.state() {
        return Ok(());
    }
    notices::tell_of_charge(tx, before, charge, now).await?;
    let rider = charge.rider();
    match (charge.state(), charge.purpose()) {
        (State::Debt { .. }, _) => {
            sqlx::query("UPDATE core.charge SET owed = true WHERE id = $1")
                .bind(charge_uuid(charge.id()))
                .execute(tx.sql())
                .await?;
            deny(tx, rider, DenyReason::Debt, now).await?;
        }
        (State::Captured, _) => {
            sqlx::query("INSERT INTO core.paid (rider) VALUES ($1) ON CONFLICT DO NOTHING")
                .bind(rider.as_uuid())
                .execute(tx.sql())
                .await?;
            shown_to_pay(tx, charge, now).await?;
            if end_debt(tx, charge, now).await? {
                notices::tell(tx, rider, now, Told::DebtPaid { amount: charge.amount() }).await?;
            }
        }
        (State::Waived, _) => _ = end_debt(tx, charge, now).await?,
        (State::Voided, Purpose::Verification | Purpose::Hold { .. }) => shown_to_pay(tx, charge, now).await?,
        (State::Refused { .. }, _) => deny(tx, rider, DenyReason::Instrument, now).await?,
        _ => {}
    }
    Ok(())
}

/// False if it was none.
async fn end_debt(tx: &mut Tx, charge: &Charge, now: Timestamp) -> Result<bool, Trouble> {
    let was_owed = sqlx::query("UPDATE core.charge SET owed = false WHERE id = $1 AND owed")
        .bind(charge_uuid(charge.id()))
        .execute(tx.sql())
        .await?;
    if was_owed.rows_affected() == 0 {
        return Ok(false);
    }
    // Alone, so that of two debts that end at once the later one sees that it is the last.
    tx.alone_at_the_feed().await?;
    if charges::debts(tx.sql(), charge.rider()).await?.is_empty() {
        admit(tx, charge.rider(), DenyReason::Debt, now).await?;
    }
    Ok(true)
}

async fn deny(tx: &mut Tx, rider: RiderId, reason: DenyReason, now: Timestamp) -> Result<(), Trouble> {
    if feed::deny(tx, rider, reason, true).await? {
        notices::tell(tx, rider, now, Told::Denied).await?;
    }
    Ok(())
}

async fn admit(tx: &mut Tx, rider: RiderId, reason: DenyReason, now: Timestamp) -> Result<(), Trouble> {
    if feed::deny(tx, rider, reason, false).await? && feed::reasons(tx.sql(), rider).await?.is_empty() {
        notices::tell(tx, rider, now, Told::Admitted).await?;
    }
    Ok(())
}

async fn shown_to_pay(tx: &mut Tx, charge: &Charge, now: Timestamp) -> Result<(), Trouble> {
    let refused: bool = sqlx::query_scalar(
        "WITH shown AS (INSERT INTO core.verified (rider, instrument) VALUES ($1, $2) ON CONFLICT DO NOTHING),
            known AS (DELETE FROM core.unverified WHERE rider = $1)
         SELECT EXISTS (SELECT 1 FROM core.denied_for WHERE rider = $1 AND reason = $3)",
    )
    .bind(charge.rider().as_uuid())
    .bind(Uuid::from_bytes(*charge.instrument().id().as_bytes()))
    .bind(DenyReason::Instrument.name())
    .fetch_one(tx.sql())
    .await?;
    if refused {
        admit(tx, charge.rider(), DenyReason::Instrument, now).await?;
    }
    Ok(())
}

/// The rider pays otherwise from now on: what was never shown to pay is verified when he rides, or at once if he may not.
pub(super) async fn pays_otherwise(tx: &mut Tx, rider: RiderId, instruments: &Instruments) -> Result<(), Trouble> {
    let verified = match instruments.iter().find(|bound| bound.instrument != Instrument::Wallet) {
        None => true,
        Some(first) => {
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM core.verified WHERE rider = $1 AND instrument = $2)")
                .bind(rider.as_uuid())
                .bind(Uuid::from_bytes(*first.id().as_bytes()))
                .fetch_one(tx.sql())
                .await?
        }
    };
    let mark = if verified {
        "DELETE FROM core.unverified WHERE rider = $1"
    } else {
        "INSERT INTO core.unverified (rider) VALUES ($1) ON CONFLICT DO NOTHING"
    };
    sqlx::query(mark).bind(rider.as_uuid()).execute(tx.sql()).await?;
    if feed::reasons(tx.sql(), rider).await?.contains(&DenyReason::Instrument) {
        match (verified, last_tap(tx, rider).await?) {
            (false, Some(entry)) => begin_verifications(tx, &[*rider.as_uuid()], &[entry]).await?,
            _ => _ = feed::deny(tx, rider, DenyReason::Instrument, false).await?,
        }
    }
    Ok(())
}

/// The record id of it, as JSON.
async fn last_tap(tx: &mut Tx, rider: RiderId) -> Result<Option<String>, Trouble> {
    let row: Option<(String, i64, i64)> =
        sqlx::query_as("SELECT gate, epoch, sequence FROM core.tap WHERE rider = $1 ORDER BY at DESC LIMIT 1")
            .bind(rider.as_uuid())
            .fetch_optional(tx.sql())
            .await?;
    let id = row.map(|(gate, epoch, sequence)| record_of(gate, epoch, sequence)).transpose()?;
    Ok(id.map(|id| json(&id)))
}

/// Who have come in with these taps: instruments that were never shown to pay are verified, and fares held if rides are
/// prepaid.
pub(super) async fn ride(tx: &mut Tx, taps: &[Tap]) -> Result<(), Trouble> {
    let entries: Vec<&Tap> = taps.iter().filter(|tap| tap.direction == Direction::Entry).collect();
    if entries.is_empty() {
        return Ok(());
    }
    for tap in &entries {
        sequence(&tap.id)?;
    }
    if tx.wants_holds {
        want_holds(tx, &entries).await?;
    }
    let riders: Vec<Uuid> = entries.iter().map(|tap| *tap.rider.as_uuid()).collect();
    let records: Vec<String> = entries.iter().map(|tap| json(&tap.id)).collect();
    begin_verifications(tx, &riders, &records).await
}

async fn want_holds(tx: &mut Tx, entries: &[&Tap]) -> Result<(), Trouble> {
    let holds: Vec<Uuid> = entries.iter().map(|tap| charge_uuid(ChargeId::of_hold(&tap.id))).collect();
    let bodies: Vec<String> = entries.iter().map(json).collect();
    sqlx::query(
        "INSERT INTO core.hold_wanted (hold, body)
         SELECT * FROM UNNEST($1::uuid[], $2::text[]) AS t (hold, body) ORDER BY hold ON CONFLICT DO NOTHING",
    )
    .bind(&holds)
    .bind(&bodies)
    .execute(tx.sql())
    .await?;
    Ok(())
}

async fn begin_verifications(tx: &mut Tx, riders: &[Uuid], entries: &[String]) -> Result<(), Trouble> {
    sqlx::query(
        "UPDATE core.unverified u SET entry = t.entry FROM UNNEST($1::uuid[], $2::text[]) AS t (rider, entry)
         WHERE u.rider = t.rider AND u.entry IS NULL",
    )
    .bind(riders)
    .bind(entries)
    .execute(tx.sql())
    .await?;
    Ok(())
}
