//! The calibration files that ship with Facegate, one per embedding model, and reading others from disk.

use std::path::{Path, PathBuf};

use facegate_domain::ids::ModelId;
use facegate_domain::score::{Calibration, InvalidCalibration};

/// By model.
const SHIPPED: [(&str, &str); 2] = [
    ("sface-2021dec", include_str!("../calibration/sface-2021dec.toml")),
    ("hse-faceres-2021", include_str!("../calibration/hse-faceres-2021.toml")),
];

/// Why there is no calibration to decide with; the caller must not start without one.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    #[error("cannot read the calibration file {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{}: {source}", path.display())]
    Invalid { path: PathBuf, source: InvalidCalibration },
    #[error("{} was measured for model {got}, but the gallery holds {expected}", path.display())]
    OtherModel { path: PathBuf, expected: ModelId, got: ModelId },
    #[error("no calibration ships for model {model}; measure one and name its file")]
    NoneShipped { model: ModelId },
}

/// The calibration at `path`, checked to be of `model`.
pub fn load(path: &Path, model: &ModelId) -> Result<Calibration, CalibrationError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| CalibrationError::Unreadable { path: path.to_owned(), source })?;
    let read =
        Calibration::parse(&text).map_err(|source| CalibrationError::Invalid { path: path.to_owned(), source })?;
    if read.model != *model {
        return Err(CalibrationError::OtherModel { path: path.to_owned(), expected: model.clone(), got: read.model });
    }
    Ok(read)
}

/// The calibration that ships for `model`. Provisional ones say so in themselves.
pub fn shipped(model: &ModelId) -> Result<Calibration, CalibrationError> {
    let (_, text) = SHIPPED
        .iter()
        .find(|(name, _)| *name == model.as_str())
        .ok_or_else(|| CalibrationError::NoneShipped { model: model.clone() })?;
    let path = || format!("calibration/{model}.toml").into();
    Calibration::parse(text).map_err(|source| CalibrationError::Invalid { path: path(), source })
}

#[cfg(test)]
mod tests {
    use facegate_domain::score::{FusionLevel, Priors, RiskBudget, Similarity, Tier, TierPrior, risk_limit, threshold};

    use super::*;

    #[test]
    fn the_shipped_file_is_measured_and_a_city_can_be_recognised_by_it() {
        let sface = shipped(&ModelId::new("sface-2021dec").unwrap()).unwrap();
        assert!(!sface.provisional && sface.centre.as_ref().is_some_and(|centre| centre.len() == 128));
        let budget = RiskBudget::false_charges_per_million(10.0).unwrap();
        let accepted_from = |level, riders| {
            let city = TierPrior { tier: Tier::City, mass: 0.15, riders };
            let evidence = sface.at(level);
            let limit = risk_limit(&Priors::new(0.85, vec![city]).unwrap(), std::slice::from_ref(&evidence), budget);
            threshold(0.85, 0.15 / riders as f64, &evidence, limit).unwrap().cosine()
        };
        // Every template and probe of three: the mated median of LFW is .85, and thresholds rise with the city.
        let three = FusionLevel { template: 3, probe: 3 };
        let (small, large) = (accepted_from(three, 1_000), accepted_from(three, 3_000_000));
        assert!(0.5 < small && small < large && large < 0.8, "{small} {large}");
        // A stranger's ordinary score speaks against every rider.
        assert!(sface.at(three).ln_likelihood_ratio(Similarity::from_cosine(0.1)) < -4.0);
    }

    #[test]
    fn every_shipped_file_is_of_the_model_it_ships_for() {
        for (name, _) in SHIPPED {
            let model = ModelId::new(name).unwrap();
            assert_eq!(shipped(&model).unwrap().model, model);
        }
    }

    #[test]
    fn a_file_of_another_model_and_an_unknown_model_are_refused_by_name() {
        let other = ModelId::new("arcface-r50").unwrap();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("calibration/sface-2021dec.toml");
        let error = load(&path, &other).unwrap_err().to_string();
        assert!(error.contains("sface-2021dec") && error.contains("arcface-r50"), "{error}");
        assert!(matches!(shipped(&other), Err(CalibrationError::NoneShipped { .. })));
        let absent = Path::new("no/such/file.toml");
        assert!(matches!(load(absent, &other), Err(CalibrationError::Unreadable { .. })));
    }
}
