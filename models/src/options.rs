//! What an operator sets about the recognition engine.

use std::num::NonZeroUsize;
use std::str::FromStr;

use facegate_domain::ids::ModelId;
use serde::Deserialize;

use crate::decode::ImageLimits;
use crate::liveness::LivenessPolicy;

/// The embedder that the shipped calibration and every figure in the documents is about.
const DEFAULT_EMBEDDER: &str = "sface-2021dec";

/// Settings of a `FaceEngine`. `Default` suits a gate: CPU, one thread.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EngineOptions {
    /// ONNX Runtime's execution provider.
    pub provider: Provider,
    /// The embedder of the manifest whose templates the gallery holds; another has another calibration and is fetched
    /// with `cargo xtask models fetch --with NAME`.
    pub embedder: ModelId,
    /// Threads that share one operator's work.
    pub threads: NonZeroUsize,
    /// Longest side in pixels at which faces are looked for; larger frames are shrunk, smaller ones are not enlarged.
    pub detect_side_px: u32,
    /// Faces below this confidence are not reported.
    pub confidence_min: f32,
    pub image: ImageLimits,
    pub liveness: LivenessPolicy,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            provider: Provider::Cpu,
            embedder: ModelId::new(DEFAULT_EMBEDDER).expect("a literal name: a test reads it"),
            threads: NonZeroUsize::MIN,
            detect_side_px: 640,
            confidence_min: 0.7,
            image: ImageLimits::default(),
            liveness: LivenessPolicy::default(),
        }
    }
}

/// Where networks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "String")]
pub enum Provider {
    #[default]
    Cpu,
}

/// An execution provider that cannot be used here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusableProvider {
    #[error("execution provider {0:?} is not part of this build: set provider = \"cpu\"")]
    Unavailable(String),
    #[error("unknown execution provider {0:?}: set provider = \"cpu\"")]
    Unknown(String),
}

impl FromStr for Provider {
    type Err = UnusableProvider;

    fn from_str(name: &str) -> Result<Self, UnusableProvider> {
        match name {
            "cpu" => Ok(Self::Cpu),
            "openvino" | "cuda" | "tensorrt" | "xnnpack" | "onednn" | "qnn" | "rknpu" => {
                Err(UnusableProvider::Unavailable(name.to_owned()))
            }
            _ => Err(UnusableProvider::Unknown(name.to_owned())),
        }
    }
}

impl TryFrom<String> for Provider {
    type Error = UnusableProvider;
    fn try_from(name: String) -> Result<Self, UnusableProvider> {
        name.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_that_cannot_be_used_is_refused_by_name() {
        let parse = |text: &str| toml::from_str::<EngineOptions>(text).map_err(|e| e.to_string());
        assert_eq!(parse("provider = \"cpu\"\nthreads = 2").unwrap().threads.get(), 2);
        assert!(parse("provider = \"openvino\"").unwrap_err().contains("\"openvino\" is not part of this build"));
        assert!(parse("provider = \"gpu\"").unwrap_err().contains("unknown execution provider \"gpu\""));
        assert_eq!(EngineOptions::default().embedder.as_str(), DEFAULT_EMBEDDER);
        assert_eq!(parse("embedder = \"other\"").unwrap().embedder.as_str(), "other");
        assert!(parse("threads = 0").is_err());
        assert!(parse("thread = 1").unwrap_err().contains("thread"));
    }
}
