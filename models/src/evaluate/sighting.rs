//! The same stranger seen twice, by an entrance camera and at the gate: how alike his two scores against one template are.

use facegate_domain::face::Embedding;
use facegate_domain::score::{
    Calibration, FusionLevel, OutOfRange, Priors, RiskBudget, SightingModel, Similarity, Tier, TierPrior, risk_limit,
    threshold,
};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::acquire::Population;
use super::intervals::{Estimate, bootstrap};
use super::open_set::fused;
use super::ratio::round;
use super::scores::cosine;

/// Frames fused at the entrance and at the gate.
const FRAMES: usize = 3;
/// What the bound is derived for: a city as large as any, nine of ten searched faces strangers, ten false charges per
/// million. Smaller cities accept sightings at lower scores, for which the bound is the stricter.
const RIDERS: usize = 3_000_000;
const STRANGER: f64 = 0.9;
const BUDGET: f64 = 10.0;

/// Moments of two scores of one stranger over all templates of others.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    n: f64,
    x: f64,
    y: f64,
    xx: f64,
    yy: f64,
    xy: f64,
}

impl Moments {
    fn add(&mut self, x: f64, y: f64) {
        *self = Self {
            n: self.n + 1.0,
            x: self.x + x,
            y: self.y + y,
            xx: self.xx + x * x,
            yy: self.yy + y * y,
            xy: self.xy + x * y,
        };
    }

    fn plus(self, o: Self, t: f64) -> Self {
        Self {
            n: self.n + t * o.n,
            x: self.x + t * o.x,
            y: self.y + t * o.y,
            xx: self.xx + t * o.xx,
            yy: self.yy + t * o.yy,
            xy: self.xy + t * o.xy,
        }
    }

    fn correlation(self) -> f64 {
        let covariance = self.xy - self.x * self.y / self.n;
        covariance / ((self.xx - self.x.powi(2) / self.n) * (self.yy - self.y.powi(2) / self.n)).sqrt()
    }

    fn mean(self) -> f64 {
        self.x / self.n
    }
}

/// What was measured.
#[derive(Debug, Clone)]
pub struct Sighting {
    /// Of single photographs, and of three fused ones.
    pub single: Estimate,
    pub fused: Estimate,
    /// Strangers with enough photographs for the fused figure.
    pub strangers: usize,
    pub impostor_mean: f64,
}

impl Sighting {
    /// Scores two disjoint sets of photographs of each stranger against one template of everybody else. `None` if too
    /// few have as many.
    pub fn measure(population: &Population) -> Option<Self> {
        let single = by_stranger(population, 1)?;
        let three = by_stranger(population, FRAMES)?;
        let sum = |all: &[Moments]| all.iter().fold(Moments::default(), |sum, m| sum.plus(*m, 1.0));
        let estimate = |all: &[Moments]| {
            bootstrap(all.len(), 500, 5, |times| {
                let weighed = all.iter().zip(times);
                weighed.fold(Moments::default(), |sum, (m, t)| sum.plus(*m, f64::from(*t))).correlation()
            })
        };
        Some(Self {
            single: estimate(&single),
            fused: estimate(&three),
            strangers: three.len(),
            impostor_mean: sum(&three).mean(),
        })
    }

    /// The most that a sighting may raise one rider's prior to.
    ///
    /// A sighting is accepted from the score t₁ on that the city's prior needs. A stranger who just reached t₁ will score
    /// μ + r (t₁ − μ) at the gate in the median (on LFW this holds up to the highest scores there are). The bound is the
    /// prior with which the gate asks for just that score: at most half of the lookalikes whom the entrance camera took
    /// for a rider are taken for him again, so that sightings add at most half the budget to it. r is the upper end of
    /// its interval for fused frames, which are the most alike.
    ///
    /// Errors: none but a calibration whose shares are no shares.
    pub fn model(&self, calibration: &Calibration) -> Result<SightingModel, OutOfRange> {
        let evidence = calibration.at(FusionLevel { template: 1, probe: FRAMES as u32 });
        let city = TierPrior { tier: Tier::City, mass: 1.0 - STRANGER, riders: RIDERS };
        let budget = RiskBudget::false_charges_per_million(BUDGET)?;
        let limit = risk_limit(&Priors::new(STRANGER, vec![city])?, std::slice::from_ref(&evidence), budget);
        let seen = threshold(STRANGER, (1.0 - STRANGER) / RIDERS as f64, &evidence, limit);
        let seen = seen.map_or(1.0, |s| f64::from(s.cosine()));
        let again = self.impostor_mean + self.fused.high * (seen - self.impostor_mean);
        let ratio = evidence.ln_likelihood_ratio(Similarity::from_cosine(again as f32)).exp();
        let prior = (STRANGER * (1.0 - limit) / (limit * ratio)).min(1.0);
        // Two significant digits: the derivation bears no more.
        let digits = 10f64.powf(1.0 - prior.log10().floor());
        Ok(SightingModel {
            correlation: round(self.fused.value),
            expected_rider_max: (prior * digits).floor() / digits,
        })
    }
}

fn by_stranger(population: &Population, frames: usize) -> Option<Vec<Moments>> {
    let mut rng = StdRng::seed_from_u64(6);
    let mut people = population.set.by_person();
    people.iter_mut().for_each(|photographs| photographs.shuffle(&mut rng));
    let templates: Vec<Option<Embedding>> = people.iter().map(|own| fused(population, &own[..1])).collect();
    let mut all = Vec::new();
    for (stranger, own) in people.iter().enumerate().filter(|(_, own)| own.len() >= 2 * frames) {
        let seen = (fused(population, &own[..frames]), fused(population, &own[frames..2 * frames]));
        let (Some(entrance), Some(gate)) = seen else { continue };
        let mut moments = Moments::default();
        let others = templates.iter().enumerate().filter(|(person, _)| *person != stranger);
        for template in others.filter_map(|(_, template)| template.as_ref()) {
            let score = |probe: &Embedding| f64::from(cosine(probe.values(), template.values()));
            moments.add(score(&entrance), score(&gate));
        }
        all.push(moments);
    }
    (all.len() >= 20).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_correlation_is_pearsons() {
        let mut moments = Moments::default();
        for (x, y) in [(1.0, 2.0), (2.0, 1.0), (3.0, 4.0), (4.0, 3.0)] {
            moments.add(x, y);
        }
        assert!((moments.correlation() - 0.6).abs() < 1e-9 && (moments.mean() - 2.5).abs() < 1e-9);
        let doubled = moments.plus(moments, 1.0);
        assert!((doubled.correlation() - 0.6).abs() < 1e-9);
    }
}
