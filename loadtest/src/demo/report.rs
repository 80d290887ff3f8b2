//! What the demo claims, counted from several sides: bodies, the cloud's records, the acquirer's own book.

use anyhow::Result;
use serde::Serialize;

use super::story::Told;
use crate::city::City;

/// The JSON line of `demo --check`.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub enrolled: usize,
    /// Complete rides by bodies that crossed two beams.
    pub rides: usize,
    pub journeys: u64,
    /// Captured charges.
    pub charges: u64,
    pub strangers_refused: usize,
    pub strangers_let_in: usize,
    pub replays_refused: usize,
    pub sighted: bool,
    /// Captures beyond one per journey by our records, and beyond one per ride by the acquirer's own book.
    pub double_charges: u64,
    /// Bodies that crossed a beam without a tap in the cloud.
    pub lost_taps: i64,
    pub ledger_balanced: bool,
    pub gaps: usize,
    pub decision_ms_p50: f64,
    pub decision_ms_p99: f64,
}

impl Report {
    pub async fn gather(city: &City, told: &Told) -> Result<Self> {
        let overview = city.overview().await?;
        let mut decisions = Vec::new();
        let mut bodies = 0;
        for gate in city.gates() {
            bodies += gate.aisle.crossed().len();
            let screen = gate.screen().await?;
            decisions.extend(screen.decisions.iter().filter(|d| d.kind == "granted").filter_map(|d| d.decision_ms));
        }
        let captured = overview.charges.iter().filter(|c| c.state == "captured").map(|c| c.count).sum();
        let book = city.acquirer_book().await?;
        let by_card = told.rides.iter().filter(|ride| told.riders[ride.rider].pays_by_card).count() as u64;
        let card_captures: u64 = book.tokens.values().map(|token| token.captures).sum();
        let beyond = |count: u64| count.saturating_sub(overview.journeys);
        Ok(Self {
            enrolled: told.riders.len(),
            rides: told.rides.len(),
            journeys: overview.journeys,
            charges: captured,
            strangers_refused: told.strangers_refused,
            strangers_let_in: told.strangers_let_in,
            replays_refused: told.replays_refused,
            sighted: told.sighted,
            double_charges: beyond(captured) + card_captures.saturating_sub(by_card),
            lost_taps: i64::try_from(bodies)? - i64::try_from(overview.taps)?,
            ledger_balanced: overview.ledger_balanced,
            gaps: overview.gaps.len(),
            decision_ms_p50: quantile(&mut decisions, 0.5),
            decision_ms_p99: quantile(&mut decisions, 0.99),
        })
    }

    /// What does not hold, in words; empty when all does.
    pub fn faults(&self) -> Vec<String> {
        let rides = self.rides as u64;
        let checks = [
            (self.enrolled == 2, format!("{} people were enrolled, not 2", self.enrolled)),
            (self.rides == 4, format!("{} rides were made, not 4", self.rides)),
            (self.journeys == rides, format!("{} journeys for {rides} rides", self.journeys)),
            (self.charges == rides, format!("{} captured charges for {rides} rides", self.charges)),
            (self.strangers_refused == 2, format!("{} strangers were refused, not 2", self.strangers_refused)),
            (self.strangers_let_in == 0, format!("{} strangers were let in", self.strangers_let_in)),
            (self.replays_refused == 1, "a code was accepted twice".to_owned()),
            (self.sighted, "the entrance camera's sighting did not reach the expected tier".to_owned()),
            (self.double_charges == 0, format!("{} double charges", self.double_charges)),
            (self.lost_taps == 0, format!("{} bodies crossed a beam without a tap", self.lost_taps)),
            (self.ledger_balanced, "the ledger does not balance".to_owned()),
            (self.gaps == 0, format!("{} gaps in the gates' sequences", self.gaps)),
        ];
        checks.into_iter().filter(|(holds, _)| !holds).map(|(_, fault)| fault).collect()
    }
}

/// Nearest-rank quantile; 0 of nothing.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a rank")]
fn quantile(values: &mut [f64], quantile: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() as f64 * quantile).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_values() {
        assert_eq!(quantile(&mut [3.0, 1.0, 2.0], 0.5), 2.0);
        assert_eq!(quantile(&mut [3.0, 1.0, 2.0], 0.99), 3.0);
        assert_eq!(quantile(&mut [], 0.5), 0.0);
    }
}
