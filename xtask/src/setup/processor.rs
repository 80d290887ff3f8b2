//! The processor this build is for. Our FAISS is compiled for AVX2 on x86-64 (see .cargo/config.toml); on a
//! processor without it every search would end in an illegal instruction, so it is better said here.

use anyhow::Result;

/// Errors on an x86-64 processor without AVX2, FMA, F16C or POPCNT, and says what to do.
pub fn check() -> Result<()> {
    check_here()
}

#[cfg(target_arch = "x86_64")]
fn check_here() -> Result<()> {
    let features = [
        ("AVX2", std::arch::is_x86_feature_detected!("avx2")),
        ("FMA", std::arch::is_x86_feature_detected!("fma")),
        ("F16C", std::arch::is_x86_feature_detected!("f16c")),
        ("POPCNT", std::arch::is_x86_feature_detected!("popcnt")),
    ];
    refuse_without(&features)
}

#[cfg(not(target_arch = "x86_64"))]
#[expect(clippy::unnecessary_wraps, reason = "the x86-64 version can fail")]
fn check_here() -> Result<()> {
    Ok(()) // aarch64 has its vector unit in the base instruction set; FAISS uses it without flags
}

#[cfg(any(test, target_arch = "x86_64"))]
fn refuse_without(features: &[(&str, bool)]) -> Result<()> {
    let missing: Vec<&str> = features.iter().filter(|(_, present)| !present).map(|(name, _)| *name).collect();
    if !missing.is_empty() {
        anyhow::bail!(
            "this processor lacks {}, which our FAISS build uses.\n\
             Run on an x86-64 machine of 2013 or later (in a virtual machine: pass the host's processor through) or on aarch64;\n\
             to try it out regardless, take the flags out of CXXFLAGS_x86_64_unknown_linux_gnu in .cargo/config.toml and expect slow searches.",
            missing.join(", ")
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_without_avx2_is_refused_by_name() {
        let text = refuse_without(&[("AVX2", false), ("FMA", true)]).unwrap_err().to_string();
        assert!(text.contains("lacks AVX2,") && text.contains(".cargo/config.toml"), "{text}");
        assert!(refuse_without(&[("AVX2", true), ("FMA", true)]).is_ok());
    }
}
