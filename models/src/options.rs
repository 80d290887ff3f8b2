//! What an operator sets about the recognition engine.

use std::num::NonZeroUsize;
use std::str::FromStr;

use facegate_domain::ids::ModelId;
use serde::Deserialize;

use crate::decode::ImageLimits;
use crate::liveness::LivenessPolicy;

/// The embedder that the shipped calibration and every figure in the documents is about.
const DEFAULT_EMBEDDER: &str = "sface-2021dec";

/// Settings of a `FaceEngine`. `Default` suits a gate: the fastest provider there is, one thread.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EngineOptions {
    /// Where networks run.
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
            provider: Provider::Auto,
            embedder: ModelId::new(DEFAULT_EMBEDDER).expect("a literal name: a test reads it"),
            threads: NonZeroUsize::MIN,
            detect_side_px: 640,
            confidence_min: 0.7,
            image: ImageLimits::default(),
            liveness: LivenessPolicy::default(),
        }
    }
}

/// Where networks run that stand reduced precision; all others run on ONNX Runtime's CPU kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "String")]
pub enum Provider {
    /// OpenVINO where it is there and the processor multiplies bfloat16, else the CPU kernels; the log says which.
    #[default]
    Auto,
    /// OpenVINO, in float32 if the processor has nothing faster.
    OpenVino,
    /// ONNX Runtime's CPU kernels.
    Cpu,
    /// The same on graphs as they were converted: what the other ways are measured against.
    Reference,
}

/// An execution provider that cannot be used here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusableProvider {
    #[error("execution provider {0:?} is not part of this build: set provider = \"auto\"")]
    Unavailable(String),
    #[error("unknown execution provider {0:?}: set provider = \"auto\"")]
    Unknown(String),
}

impl FromStr for Provider {
    type Err = UnusableProvider;

    fn from_str(name: &str) -> Result<Self, UnusableProvider> {
        match name {
            "auto" => Ok(Self::Auto),
            "openvino" => Ok(Self::OpenVino),
            "cpu" => Ok(Self::Cpu),
            "reference" => Ok(Self::Reference),
            "cuda" | "tensorrt" | "xnnpack" | "onednn" | "qnn" | "rknpu" => {
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
        assert_eq!(parse("provider = \"openvino\"").unwrap().provider, Provider::OpenVino);
        assert!(parse("provider = \"cuda\"").unwrap_err().contains("\"cuda\" is not part of this build"));
        assert!(parse("provider = \"gpu\"").unwrap_err().contains("unknown execution provider \"gpu\""));
        assert_eq!(EngineOptions::default().embedder.as_str(), DEFAULT_EMBEDDER);
        assert_eq!(parse("embedder = \"other\"").unwrap().embedder.as_str(), "other");
        assert!(parse("threads = 0").is_err());
        assert!(parse("thread = 1").unwrap_err().contains("thread"));
    }
}
