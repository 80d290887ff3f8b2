//! The calibration files that ship with Facegate, one per embedding model, and reading others from disk.

use std::path::{Path, PathBuf};

use facegate_domain::ids::ModelId;
use facegate_domain::score::{Calibration, InvalidCalibration};

const SFACE_2021DEC: &str = include_str!("../calibration/sface-2021dec.toml");

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
    match model.as_str() {
        "sface-2021dec" => Calibration::parse(SFACE_2021DEC)
            .map_err(|source| CalibrationError::Invalid { path: "calibration/sface-2021dec.toml".into(), source }),
        _ => Err(CalibrationError::NoneShipped { model: model.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use facegate_domain::score::Similarity;

    use super::*;

    #[test]
    fn the_shipped_file_is_valid_provisional_and_has_the_measured_separation() {
        let sface = shipped(&ModelId::new("sface-2021dec").unwrap()).unwrap();
        assert!(sface.provisional);
        let pooled = ((sface.mated.sigma.powi(2) + sface.impostor.sigma.powi(2)) / 2.0).sqrt();
        let d_prime = (sface.mated.mean - sface.impostor.mean) / pooled;
        assert!((d_prime - 6.0).abs() < 0.05, "{d_prime}");
        let at = |s| sface.ln_likelihood_ratio(Similarity::from_cosine(s));
        assert!(at(0.9) <= 20.0 && at(0.9) > 17.0 && at(0.1) < -10.0);
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
