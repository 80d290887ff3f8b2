//! What was decided about risk, and who has to show his ride code for the rest of the day.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::ids::{GateId, RecordId, RiderId, StationId};
use facegate_domain::risk::{AttacksTold, GateAttacks, RiskDecision};
use facegate_domain::tap::Tap;

use super::feed::publish;
use super::riders::living;
use super::tx::{Tx, damaged, decode};
use super::{SledStore, key};
use crate::store::logged::Logged;
use crate::store::{Look, RiskStore, StoreError};

#[async_trait]
impl RiskStore for SledStore {
    fn want_looks(&self, whether: bool) {
        self.wants_looks.store(whether, Ordering::Relaxed);
    }

    async fn take_looks(&self, now: Timestamp, until: Timestamp, max: usize) -> Result<Vec<Look>, StoreError> {
        self.write(|tx| {
            let mut taken = Vec::new();
            for (k, v) in tx.scan_from(key::LOOK_DUE, key::LOOK_DUE, max)? {
                let tap: RecordId = decode(&k, &v)?;
                let look: Look = tx.get(&key::look(&tap))?.ok_or_else(|| damaged(&k, "its look is gone"))?;
                if look.due > now {
                    break;
                }
                put_look(tx, &Look { due: until, ..look.clone() })?;
                taken.push(look);
            }
            Ok(taken)
        })
        .await
    }

    async fn looked(&self, tap: &RecordId, again: Option<Timestamp>) -> Result<(), StoreError> {
        self.write(|tx| {
            let Some(look) = tx.get::<Look>(&key::look(tap))? else { return Ok(()) };
            match again {
                Some(due) => put_look(tx, &Look { due, again: true, ..look }),
                None => {
                    tx.remove(key::look_due(look.due, tap));
                    tx.remove(key::look(tap));
                    Ok(())
                }
            }
        })
        .await
    }

    async fn taps_around(&self, rider: RiderId, from: Timestamp, to: Timestamp) -> Result<Vec<Tap>, StoreError> {
        let found = self.read().scan_from(&key::taps(rider), &key::taps_from(rider, from), usize::MAX)?;
        let mut taps = Vec::new();
        for (k, v) in found {
            let tap: Tap = decode(&k, &v)?;
            if tap.at > to {
                break;
            }
            taps.push(tap);
        }
        Ok(taps)
    }

    async fn note_risk(&self, decision: &RiskDecision) -> Result<bool, StoreError> {
        self.write(|tx| {
            let key = key::risk(&decision.tap);
            if tx.contains(&key)? {
                return Ok(false);
            }
            tx.put(key::risk_at(decision.at, &decision.tap), &decision.tap);
            tx.put(key, decision);
            Ok(true)
        })
        .await
    }

    async fn risk_log(&self, max: usize) -> Result<Vec<RiskDecision>, StoreError> {
        let tx = self.read();
        let mut log = Vec::new();
        for tap in tx.latest(key::RISK_AT, max)?.iter().map(|(k, v)| decode::<RecordId>(k, v)) {
            log.extend(tx.get::<RiskDecision>(&key::risk(&tap?))?);
        }
        Ok(log)
    }

    async fn risk_of(&self, tap: &RecordId) -> Result<Option<RiskDecision>, StoreError> {
        self.read().get(&key::risk(tap))
    }

    async fn count_attacks(
        &self,
        station: &StationId,
        told: &[(GateId, AttacksTold)],
        now: Timestamp,
        kept: Duration,
    ) -> Result<(), StoreError> {
        self.write(|tx| {
            for (gate, told) in told {
                let key = key::gate_attacks(station, gate);
                let before: Option<(GateId, GateAttacks)> = tx.get(&key)?;
                let attacks = match before {
                    Some((_, before)) => before.after(*told, now, kept),
                    None => GateAttacks::begin(*told),
                };
                tx.put(key, &(gate, attacks));
            }
            Ok(())
        })
        .await
    }

    async fn attacks_at(&self, station: &StationId) -> Result<Vec<(GateId, GateAttacks)>, StoreError> {
        self.read().scan_as(&key::attacks_at(station))
    }

    async fn cap_face(&self, rider: RiderId, until: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        self.write(|tx| {
            let before: Option<Timestamp> = tx.get(&key::capped(rider))?;
            let erased = matches!(living(tx, rider), Err(StoreError::Erased(_)));
            if erased || until <= now || before.is_some_and(|before| before >= until) {
                return Ok(());
            }
            tx.put(key::capped(rider), &until);
            publish(tx, &Logged::FaceCapped { rider, until })?;
            Ok(())
        })
        .await
    }
}

/// These taps have come just now.
pub(super) fn want_looks(tx: &mut Tx<'_>, taps: &[Tap], now: Timestamp) -> Result<(), StoreError> {
    if !tx.wants_looks {
        return Ok(());
    }
    taps.iter().try_for_each(|tap| put_look(tx, &Look { tap: tap.clone(), again: false, due: now }))
}

fn put_look(tx: &mut Tx<'_>, look: &Look) -> Result<(), StoreError> {
    let key = key::look(&look.tap.id);
    if let Some(before) = tx.get::<Look>(&key)? {
        tx.remove(key::look_due(before.due, &before.tap.id));
    }
    tx.put(key::look_due(look.due, &look.tap.id), &look.tap.id);
    tx.put(key, look);
    Ok(())
}
