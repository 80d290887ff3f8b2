//! Taking in the records that a station hands on.

use std::sync::Arc;
use std::time::Duration;

use facegate_domain::Clock;
use facegate_domain::ids::StationId;
use facegate_domain::tap::GateRecord;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use crate::risk::RiskIntake;
use crate::store::{Intake, SkewedRecord, Store, StoreError};

/// Records of one call; a station sends a few hundred.
const RECORDS_MAX: usize = 20_000;
/// A station with so many records behind a batch has a backlog; a busy one that keeps up has some dozens.
const BACKLOG_FROM: u64 = 1000;
/// What one who is put off is told; stations spread it.
const RETRY_AFTER: Duration = Duration::from_millis(300);
/// Records taken in one transaction; a larger batch is taken in several.
const BATCH_MAX: usize = 2000;

#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    #[error("record {record} is of station {of}, and this is {delivered_by}: a station delivers only its own")]
    ForeignStation { record: String, of: StationId, delivered_by: StationId },
    #[error("a batch of {records} records; at most {max} are taken at once: split it, nothing of it was stored")]
    TooLarge { records: usize, max: usize },
    #[error("{waiting} records wait behind this batch, and others with a backlog are being served: come again later")]
    PutOff { waiting: u64, retry_after: Duration },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What keeps stations that return with a backlog from standing in the way of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntakePolicy {
    /// Batches with a backlog behind them that are taken in at a time.
    pub backlog_batches_max: usize,
    /// How far a record's clock may be ahead before it is listed.
    pub clock_ahead_max: Duration,
}

/// Where batches come in, and where journeys are told that there is something to pair.
#[derive(Debug)]
pub struct Intakes {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    taps_came: Arc<Notify>,
    policy: IntakePolicy,
    backlogs: Semaphore,
    risk: Option<RiskIntake>,
}

impl Intakes {
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        taps_came: Arc<Notify>,
        policy: IntakePolicy,
        risk: Option<RiskIntake>,
    ) -> Self {
        let backlogs = Semaphore::new(policy.backlog_batches_max);
        Self { store, clock, taps_came, policy, backlogs, risk }
    }

    /// Leave to deliver a batch behind which `waiting` records wait; to be held meanwhile. Live traffic always has it, a
    /// station with a backlog when few others are being served.
    pub fn admit(&self, waiting: u64) -> Result<Option<SemaphorePermit<'_>>, IntakeError> {
        if waiting < BACKLOG_FROM {
            return Ok(None);
        }
        match self.backlogs.try_acquire() {
            Ok(place) => Ok(Some(place)),
            Err(_) => {
                metrics::counter!("facegate_backlog_batches_put_off_total").increment(1);
                Err(IntakeError::PutOff { waiting, retry_after: RETRY_AFTER })
            }
        }
    }

    /// Durable when it returns. A record of another station refuses the whole batch. Records from the future are taken
    /// and listed.
    pub async fn deliver(&self, station: &StationId, records: Vec<GateRecord>) -> Result<Intake, IntakeError> {
        if let Some(foreign) = records.iter().find(|record| record.station != *station) {
            let (record, of) = (foreign.id.to_string(), foreign.station.clone());
            return Err(IntakeError::ForeignStation { record, of, delivered_by: station.clone() });
        }
        if records.len() > RECORDS_MAX {
            return Err(IntakeError::TooLarge { records: records.len(), max: RECORDS_MAX });
        }
        let ahead = self.ahead(&records);
        if let Some(risk) = &self.risk {
            risk.saw(&records);
        }
        let mut whole = Intake::default();
        let mut records = records.into_iter().peekable();
        while records.peek().is_some() {
            let part = self.store.record_taps(records.by_ref().take(BATCH_MAX).collect(), self.clock.now()).await?;
            merge(&mut whole, part);
        }
        if !ahead.is_empty() {
            let records = ahead.len();
            tracing::error!(%station, records, first = %ahead[0].record, "records are stamped later than now: set the gate's clock");
            metrics::counter!("facegate_records_from_the_future_total").increment(records as u64);
            self.store.note_skewed(ahead).await?;
        }
        self.tell(station, &whole);
        Ok(whole)
    }

    fn ahead(&self, records: &[GateRecord]) -> Vec<SkewedRecord> {
        let received = self.clock.now();
        let latest = received.plus(self.policy.clock_ahead_max);
        let skewed = |record: &GateRecord| SkewedRecord {
            record: record.id.clone(),
            station: record.station.clone(),
            stamped: record.stamp.wall,
            received,
        };
        records.iter().filter(|record| record.stamp.wall > latest).map(skewed).collect()
    }

    fn tell(&self, station: &StationId, intake: &Intake) {
        for tap in &intake.taps {
            let (direction, medium) = (tap.direction.name(), tap.medium.name());
            metrics::counter!("facegate_taps_total", "direction" => direction, "medium" => medium).increment(1);
        }
        metrics::counter!("facegate_records_total").increment(intake.new_records as u64);
        metrics::counter!("facegate_records_duplicate_total").increment(intake.duplicates as u64);
        for record in &intake.conflicts {
            metrics::counter!("facegate_record_conflicts_total").increment(1);
            tracing::error!(%station, %record, "ALARM: a record came again with another content; the first one stands");
        }
        if let Some(risk) = &self.risk {
            risk.taps_came();
        }
        if !intake.taps.is_empty() {
            self.taps_came.notify_one();
        }
    }
}

fn merge(whole: &mut Intake, part: Intake) {
    // The later mark of a journal is the further one.
    whole.marks.retain(|mark| !part.marks.iter().any(|later| (&later.gate, later.epoch) == (&mark.gate, mark.epoch)));
    whole.marks.extend(part.marks);
    whole.conflicts.extend(part.conflicts);
    whole.taps.extend(part.taps);
    whole.new_records += part.new_records;
    whole.duplicates += part.duplicates;
}
