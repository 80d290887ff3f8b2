//! Taps: taking batches in, and what is asked about them.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::ids::{GateId, RiderId};
use facegate_domain::tap::{Direction, GateRecord, Tap};

use super::intake::{Arrived, take_in};
use super::tx::{Tx, decode};
use super::{SledStore, key};
use crate::store::{Conflict, Gap, Intake, Mark, RiderTaps, StoreError, TapStore, UnknownPassage};

/// So many gaps are listed; a journal with more is in trouble that a longer list does not explain.
const GAPS_LISTED_MAX: usize = 1000;

/// Open taps looked at at a time for those that may be settled.
const OPEN_PAGE: usize = 4096;

#[async_trait]
impl TapStore for SledStore {
    async fn record_taps(&self, records: Vec<GateRecord>, now: Timestamp) -> Result<Intake, StoreError> {
        let journals: BTreeSet<(GateId, u32)> = records.iter().map(|r| (r.id.gate.clone(), r.id.epoch)).collect();
        self.write(|tx| {
            let mut intake = take_in(tx, &records, now)?;
            for (gate, epoch) in &journals {
                let arrived: Option<Arrived> = tx.get(&key::journal(gate, *epoch))?;
                intake.marks.extend(arrived.map(|arrived| arrived.mark()));
            }
            Ok(intake)
        })
        .await
    }

    async fn marks(&self, gate: &GateId) -> Result<Vec<Mark>, StoreError> {
        Ok(self.read().scan_as::<Arrived>(&key::journals(gate))?.iter().map(Arrived::mark).collect())
    }

    async fn riders_with_open_taps(&self, after: Option<RiderId>, max: usize) -> Result<Vec<RiderId>, StoreError> {
        let tx = self.read();
        let mut riders = Vec::new();
        let mut from = after.map_or(key::OPEN.to_vec(), key::after_opens);
        while riders.len() < max {
            let Some((k, _)) = tx.scan_from(key::OPEN, &from, 1)?.pop() else { break };
            let rider = RiderId::from_bytes(key::id_after(key::OPEN, &k));
            riders.push(rider);
            from = key::after_opens(rider);
        }
        Ok(riders)
    }

    async fn riders_to_settle(
        &self,
        after: Option<RiderId>,
        max: usize,
        left_by: Timestamp,
        given_up_by: Timestamp,
    ) -> Result<Vec<RiderId>, StoreError> {
        let tx = self.read();
        let mut riders: Vec<RiderId> = Vec::new();
        let mut from = after.map_or(key::OPEN.to_vec(), key::after_opens);
        loop {
            let page = tx.scan_from(key::OPEN, &from, OPEN_PAGE)?;
            let Some((last, _)) = page.last() else { return Ok(riders) };
            from = [last.as_slice(), &[0]].concat();
            for (k, v) in page {
                let rider = RiderId::from_bytes(key::id_after(key::OPEN, &k));
                // None of a late entry, and of taps of before directions were kept here, which may be exits.
                let exit = decode::<Option<Direction>>(&k, &v)? != Some(Direction::Entry);
                let at = key::time_of_open(&k);
                if riders.last() != Some(&rider) && (at <= given_up_by || (exit && at <= left_by)) {
                    riders.push(rider);
                    if riders.len() == max {
                        return Ok(riders);
                    }
                }
            }
        }
    }

    async fn taps_to_pair(&self, rider: RiderId, reach: Duration) -> Result<RiderTaps, StoreError> {
        let tx = self.read();
        let Some((first, _)) = tx.scan_from(&key::opens(rider), &key::opens(rider), 1)?.pop() else {
            return Ok(RiderTaps { taps: Vec::new(), settled: BTreeSet::new() });
        };
        let from = key::taps_from(rider, key::time_of_open(&first).minus(reach));
        let found = tx.scan_from(&key::taps(rider), &from, usize::MAX)?;
        let taps: Vec<Tap> = found.iter().map(|(k, v)| decode(k, v)).collect::<Result<_, _>>()?;
        let mut settled = BTreeSet::new();
        for tap in &taps {
            if tx.contains(&key::settled(&tap.id))? {
                settled.insert(tap.id.clone());
            }
        }
        Ok(RiderTaps { taps, settled })
    }

    async fn gaps(&self) -> Result<Vec<Gap>, StoreError> {
        let tx = self.read();
        let mut gaps = Vec::new();
        for arrived in tx.scan_as::<Arrived>(key::JOURNAL)? {
            if arrived.next <= arrived.highest {
                gaps_of(&tx, &arrived, &mut gaps)?;
            }
        }
        gaps.truncate(GAPS_LISTED_MAX);
        Ok(gaps)
    }

    async fn unknown_passages(&self) -> Result<Vec<UnknownPassage>, StoreError> {
        self.read().scan_as(key::UNKNOWN)
    }

    async fn conflicts(&self) -> Result<Vec<Conflict>, StoreError> {
        self.read().scan_as(key::CONFLICT)
    }
}

fn gaps_of(tx: &Tx<'_>, arrived: &Arrived, gaps: &mut Vec<Gap>) -> Result<(), StoreError> {
    let prefix = key::records(&arrived.gate, arrived.epoch);
    let mut expected = arrived.next;
    let mut from = [prefix.as_slice(), &expected.to_be_bytes()].concat();
    while gaps.len() < GAPS_LISTED_MAX {
        let page = tx.scan_from(&prefix, &from, 1000)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        from = [last.as_slice(), &[0]].concat();
        for (k, _) in &page {
            let sequence = u64::from_be_bytes(key::tail(k));
            if sequence > expected {
                let (gate, epoch) = (arrived.gate.clone(), arrived.epoch);
                gaps.push(Gap { gate, epoch, first_missing: expected, last_missing: sequence - 1 });
            }
            expected = sequence.saturating_add(1);
        }
    }
    Ok(())
}
