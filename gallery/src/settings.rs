//! What the operator sets about decisions: the priors and the risk budget.

use facegate_domain::score::{OutOfRange, Priors, RiskBudget, Tier, TierPrior};
use facegate_domain::tap::Direction;
use serde::{Deserialize, Serialize};

/// How far the shares of one direction may be from adding up to 1.
const SUM_TOLERANCE: f64 = 1e-3;

/// Priors and budget of one station.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DecisionSettings {
    /// Accepted false charges per million passages.
    pub risk_budget: RiskBudget,
    /// Share of searched faces that are not enrolled (five of six people who pass; measure it where you are).
    pub stranger: f64,
    pub entry: EntryShares,
    pub exit: ExitShares,
    /// Most that one expected rider's prior may be; without it, what the calibration measured. A sighting and the gate
    /// see the same face: a stranger who looks like the rider to the entrance camera will do so again, so the sighting
    /// may raise the prior no further than the chance that it was such a likeness allows.
    pub expected_rider_max: Option<f64>,
    /// How many photographs a template is taken to be fused of that does not say it itself, being from a cloud of
    /// before. Scores against fused templates are weighed otherwise. One that says it is of one is taken at its word.
    pub template_photographs: u32,
    /// Where a code names the rider and his face is compared with him alone: the share of others whom it may take for him.
    pub claim_false_match_max: f64,
    /// How many riders the city search returns for the decision, and that of each tier.
    pub candidates_max: usize,
}

/// Where the enrolled among the searched faces at an entry are found. With `stranger` they add up to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EntryShares {
    pub expected: f64,
    pub regulars: f64,
    pub city: f64,
}

/// Where the enrolled among the searched faces at an exit are found. With `stranger` they add up to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExitShares {
    pub in_system: f64,
    pub city: f64,
}

impl Default for DecisionSettings {
    fn default() -> Self {
        Self {
            risk_budget: RiskBudget::false_charges_per_million(10.0).expect("10 is within the budget's range"),
            stranger: 0.85,
            entry: EntryShares::default(),
            exit: ExitShares::default(),
            expected_rider_max: None,
            template_photographs: 1,
            claim_false_match_max: 1e-4,
            candidates_max: 64,
        }
    }
}

impl Default for EntryShares {
    fn default() -> Self {
        Self { expected: 0.06, regulars: 0.05, city: 0.04 }
    }
}

impl Default for ExitShares {
    fn default() -> Self {
        Self { in_system: 0.12, city: 0.03 }
    }
}

/// One setting that cannot be used, by its path within the settings.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidSetting {
    pub path: &'static str,
    pub message: String,
}

impl DecisionSettings {
    /// Everything that is wrong with the settings; empty if they can be used.
    pub fn problems(&self) -> Vec<InvalidSetting> {
        let mut problems = vec![];
        let shares = [
            ("stranger", self.stranger),
            ("entry.expected", self.entry.expected),
            ("entry.regulars", self.entry.regulars),
            ("entry.city", self.entry.city),
            ("exit.in_system", self.exit.in_system),
            ("exit.city", self.exit.city),
            ("expected_rider_max", self.expected_rider_max.unwrap_or(0.0)),
        ];
        for (path, share) in shares {
            if !(0.0..=1.0).contains(&share) {
                problems.push(InvalidSetting { path, message: format!("{share} is not a share from 0 to 1") });
            }
        }
        if self.stranger == 0.0 {
            let message =
                "without strangers anybody would be the likeliest rider: say how many of the searched are not enrolled";
            problems.push(InvalidSetting { path: "stranger", message: message.to_owned() });
        }
        let sums = [
            ("entry", self.stranger + self.entry.expected + self.entry.regulars + self.entry.city),
            ("exit", self.stranger + self.exit.in_system + self.exit.city),
        ];
        for (path, sum) in sums {
            if (sum - 1.0).abs() > SUM_TOLERANCE {
                let message = format!("stranger and the shares of {path} add up to {sum:.4}, not to 1");
                problems.push(InvalidSetting { path, message });
            }
        }
        if self.template_photographs == 0 {
            let message = "a template is of one photograph at least".to_owned();
            problems.push(InvalidSetting { path: "template_photographs", message });
        }
        if !(1e-9..=0.01).contains(&self.claim_false_match_max) {
            let message = format!("{} is not a share from 1e-9 to 0.01", self.claim_false_match_max);
            problems.push(InvalidSetting { path: "claim_false_match_max", message });
        }
        if !(2..=10_000).contains(&self.candidates_max) {
            let message = format!("{} is not between 2 and 10000", self.candidates_max);
            problems.push(InvalidSetting { path: "candidates_max", message });
        }
        problems
    }

    /// The priors at a gate, given how many enrolled riders each tier holds now (`Tier::City`: all) and the
    /// calibration's bound on one expected rider's.
    ///
    /// The shares say where the enrolled are found; what that bound cuts off is not gone but somewhere else in the city.
    pub fn priors(
        &self,
        direction: Direction,
        expected_rider_max: f64,
        riders: impl Fn(Tier) -> usize,
    ) -> Result<Priors, OutOfRange> {
        let prior = |tier, mass| TierPrior { tier, mass, riders: riders(tier) };
        let tiers = match direction {
            Direction::Entry => {
                let bound = self.expected_rider_max.unwrap_or(expected_rider_max);
                let expected = self.entry.expected.min(bound * count(riders(Tier::Expected)));
                let city = self.entry.city + self.entry.expected - expected;
                vec![
                    prior(Tier::Regulars, self.entry.regulars),
                    prior(Tier::Expected, expected),
                    prior(Tier::City, city),
                ]
            }
            Direction::Exit => vec![prior(Tier::InSystem, self.exit.in_system), prior(Tier::City, self.exit.city)],
        };
        Priors::new(self.stranger, tiers)
    }

    /// The priors of an entrance camera: everyone enrolled is as likely as any other.
    pub fn sighting_priors(&self, city_riders: usize) -> Result<Priors, OutOfRange> {
        let city = TierPrior { tier: Tier::City, mass: 1.0 - self.stranger, riders: city_riders };
        Priors::new(self.stranger, vec![city])
    }
}

#[expect(clippy::cast_precision_loss, reason = "tiers are far below 2^52")]
fn count(riders: usize) -> f64 {
    riders as f64
}

#[cfg(test)]
mod tests {
    use facegate_domain::ids::{ModelId, RiderId};
    use facegate_domain::score::{Candidate, FusionLevel, Similarity, Verdict, decide};

    use super::*;
    use crate::calibration::shipped;

    #[test]
    fn the_defaults_are_usable_and_readable() {
        assert_eq!(DecisionSettings::default().problems(), []);
        let read: DecisionSettings =
            toml::from_str("risk_budget = 5.0\n[exit]\ncity = 0.01\nin_system = 0.14").unwrap();
        assert_eq!(read.problems(), []);
        assert!((read.risk_budget.risk_max() - 5e-6).abs() < 1e-12);
        assert!(toml::from_str::<DecisionSettings>("strangers = 0.5").is_err());
        assert!(toml::from_str::<DecisionSettings>("risk_budget = 0.0").is_err());
    }

    #[test]
    fn a_city_without_strangers_is_refused() {
        let entry = EntryShares { expected: 0.0, regulars: 0.0, city: 1.0 };
        let exit = ExitShares { in_system: 0.5, city: 0.5 };
        let nobody = DecisionSettings { stranger: 0.0, entry, exit, ..DecisionSettings::default() };
        let paths: Vec<_> = nobody.problems().iter().map(|p| p.path).collect();
        assert_eq!(paths, ["stranger"]);
    }

    #[test]
    fn every_wrong_share_is_named() {
        let wrong = DecisionSettings {
            stranger: 1.5,
            entry: EntryShares { city: f64::NAN, ..EntryShares::default() },
            claim_false_match_max: 0.5,
            candidates_max: 1,
            ..DecisionSettings::default()
        };
        let paths: Vec<_> = wrong.problems().iter().map(|p| p.path).collect();
        assert_eq!(paths, ["stranger", "entry.city", "exit", "claim_false_match_max", "candidates_max"]);
    }

    #[test]
    fn what_a_tier_cannot_hold_goes_to_the_city() {
        let settings = DecisionSettings::default();
        let calibration = shipped(&ModelId::new("sface-2021dec").unwrap()).unwrap();
        let risk = |priors: &Priors, tiers: &[Tier]| {
            let similarity = Similarity::from_cosine(0.4);
            let ln_likelihood_ratio = calibration.at(FusionLevel::SINGLE).ln_likelihood_ratio(similarity);
            let (rider, tiers) = (RiderId::random(), tiers.to_vec());
            match decide(&[Candidate { rider, similarity, ln_likelihood_ratio, tiers }], priors, 0.01) {
                Verdict::Unknown { risk } => risk,
                other => panic!("a similarity of 0.4 is never enough, but {other:?}"),
            }
        };
        let with = |expected| {
            let riders = |tier| match tier {
                Tier::City => 100,
                Tier::Expected => expected,
                _ => 0,
            };
            settings.priors(Direction::Entry, 1e-3, riders).unwrap()
        };
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
        let plain_city = settings.sighting_priors(100).unwrap();
        assert!(close(risk(&with(0), &[Tier::City]), risk(&plain_city, &[Tier::City])), "empty tiers leave the city");

        let bounded = Priors::new(
            0.85,
            vec![
                TierPrior { tier: Tier::Expected, mass: 0.002, riders: 2 },
                TierPrior { tier: Tier::City, mass: 0.148, riders: 100 },
            ],
        );
        let tiers = [Tier::Expected, Tier::City];
        assert!(close(risk(&with(2), &tiers), risk(&bounded.unwrap(), &tiers)), "two expected: a thousandth each");
    }
}
