//! Taking in the records that a station hands on.

use std::sync::Arc;

use facegate_domain::Clock;
use facegate_domain::ids::StationId;
use facegate_domain::tap::GateRecord;
use tokio::sync::Notify;

use crate::store::{Intake, Store, StoreError};

/// Records taken in one transaction; a larger batch is taken in several.
const BATCH_MAX: usize = 2000;

#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    #[error("record {record} is of station {of}, and this is {delivered_by}: a station delivers only its own")]
    ForeignStation { record: String, of: StationId, delivered_by: StationId },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where batches come in, and where journeys are told that there is something to pair.
#[derive(Debug)]
pub struct Intakes {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    taps_came: Arc<Notify>,
}

impl Intakes {
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, taps_came: Arc<Notify>) -> Self {
        Self { store, clock, taps_came }
    }

    /// Durable when it returns. A record of another station refuses the whole batch.
    pub async fn deliver(&self, station: &StationId, records: Vec<GateRecord>) -> Result<Intake, IntakeError> {
        if let Some(foreign) = records.iter().find(|record| record.station != *station) {
            let (record, of) = (foreign.id.to_string(), foreign.station.clone());
            return Err(IntakeError::ForeignStation { record, of, delivered_by: station.clone() });
        }
        let mut whole = Intake::default();
        let mut records = records.into_iter().peekable();
        while records.peek().is_some() {
            let part = self.store.record_taps(records.by_ref().take(BATCH_MAX).collect(), self.clock.now()).await?;
            merge(&mut whole, part);
        }
        self.tell(station, &whole);
        Ok(whole)
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
