//! Where a network runs: ONNX Runtime's own CPU kernels, or OpenVINO's where they are faster.
//!
//! OpenVINO pays off where the processor multiplies bfloat16 (AVX-512 BF16, AMX): the embedder takes a third to a half
//! of the time. Without, it is no faster than our rewritten graph on the plain kernels, and slower to start.
//!
//! What it costs: SFace's cosine to the same face in float32, on the graph as it was converted, over 500 photographs of
//! LFW pasted into 1280×720 (`cargo xtask bench gate`, 2026-11):
//!
//! | where | least | 1 % | median |
//! |---|---|---|---|
//! | OpenVINO, bfloat16 | .99876 | .99985 | .99994 |
//! | plain kernels, rewritten graph | 1.00000 | 1.00000 | 1.00000 |

use std::path::Path;

use crate::options::Provider;

/// ONNX Runtime's OpenVINO provider, beside the runtime that loads it.
const OPENVINO_LIBRARY: &str = "libonnxruntime_providers_openvino.so";

/// What was chosen for the networks that may run at reduced precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    /// ONNX Runtime's CPU kernels, float32.
    Plain,
    /// The same, on the graph as it was converted.
    Reference,
    OpenVino(Precision),
}

/// How OpenVINO computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    Float32,
    BFloat16,
}

/// What this machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    pub openvino: bool,
    pub bfloat16: bool,
}

impl Machine {
    /// Looks for the provider beside the runtime, and asks the processor.
    pub fn here(runtime: &Path) -> Self {
        Self { openvino: runtime.with_file_name(OPENVINO_LIBRARY).is_file(), bfloat16: multiplies_bfloat16() }
    }
}

impl Chosen {
    /// What the setting means on this machine, and why if it is not the fastest there is.
    pub fn of(provider: Provider, machine: Machine) -> (Self, Option<&'static str>) {
        let fast = if machine.bfloat16 { Precision::BFloat16 } else { Precision::Float32 };
        match provider {
            Provider::Cpu => (Self::Plain, None),
            Provider::Reference => (Self::Reference, None),
            Provider::Auto if !machine.bfloat16 => {
                (Self::Plain, Some("this processor does not multiply bfloat16, where OpenVINO would be faster"))
            }
            _ if !machine.openvino => {
                (Self::Plain, Some("ONNX Runtime's OpenVINO provider is not there: run `cargo xtask models`"))
            }
            _ => (Self::OpenVino(fast), None),
        }
    }

    /// As reports name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "cpu",
            Self::Reference => "reference",
            Self::OpenVino(Precision::Float32) => "openvino-f32",
            Self::OpenVino(Precision::BFloat16) => "openvino-bf16",
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn multiplies_bfloat16() -> bool {
    // Every processor with AMX has this, too.
    std::arch::is_x86_feature_detected!("avx512bf16")
}

#[cfg(not(target_arch = "x86_64"))]
fn multiplies_bfloat16() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fastest_there_is_is_chosen_and_everything_else_gives_its_reason() {
        let (with, without) = (Machine { openvino: true, bfloat16: true }, Machine { openvino: false, bfloat16: true });
        let older = Machine { openvino: true, bfloat16: false };
        assert_eq!(Chosen::of(Provider::Auto, with), (Chosen::OpenVino(Precision::BFloat16), None));
        assert_eq!(Chosen::of(Provider::OpenVino, older), (Chosen::OpenVino(Precision::Float32), None));
        assert_eq!(Chosen::of(Provider::Cpu, with), (Chosen::Plain, None));
        for (provider, machine) in [(Provider::Auto, without), (Provider::OpenVino, without), (Provider::Auto, older)] {
            let (chosen, reason) = Chosen::of(provider, machine);
            assert_eq!(chosen, Chosen::Plain);
            assert!(reason.is_some(), "{provider:?}");
        }
    }
}
