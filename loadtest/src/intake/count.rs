//! What is in the store, against what was sent.

use anyhow::{Result, ensure};
use facegate_cloud_sync::store::Store;

use super::traffic::Sent;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    pub lost: u64,
    pub double: u64,
}

/// Counts taps, looks whether every journal is there to its end, and at the trips and taps of some riders one by one.
///
/// Errors: the books do not balance, or a record is in contradiction.
pub async fn count(store: &dyn Store, sent: &[Sent]) -> Result<Counted> {
    let overview = store.overview().await?;
    ensure!(overview.ledger_balanced, "the ledger does not balance");
    ensure!(overview.conflicts == 0 && overview.passages_unknown == 0, "records contradict each other");
    let taps: u64 = sent.iter().map(|sent| sent.taps).sum();
    let (mut lost, mut double) = (taps.saturating_sub(overview.taps), overview.taps.saturating_sub(taps));
    for sent in sent {
        for (gate, records) in &sent.gates {
            let here: u64 = store.marks(gate).await?.iter().map(|mark| mark.next_sequence).sum();
            lost += records.saturating_sub(here);
            double += here.saturating_sub(*records);
        }
        for rider in &sent.riders {
            let open = store.taps_to_pair(*rider, std::time::Duration::from_secs(86_400)).await?.taps.len();
            let trips = store.trips(*rider).await?.len();
            // In and out: two taps, or the journey that was made of them; one if he is still inside.
            lost += u64::from(open == 0 && trips == 0);
            double += u64::from(open > 2 || trips > 1);
        }
    }
    Ok(Counted { lost, double })
}
