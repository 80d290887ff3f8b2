//! What was decided about risk, and who has to show his ride code for the rest of the day.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::ids::{RecordId, RiderId};
use facegate_domain::risk::RiskDecision;
use facegate_domain::tap::Tap;

use super::feed::publish;
use super::riders::living;
use super::tx::decode;
use super::{SledStore, key};
use crate::store::logged::Logged;
use crate::store::{RiskStore, StoreError};

#[async_trait]
impl RiskStore for SledStore {
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
