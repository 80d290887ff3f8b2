//! What the machine must have before the workspace builds: checked always, installed where that is possible.
//!
//! A machine that has everything is told so in half a second; nothing is fetched without saying what and why.

mod apt;
pub mod needs;
mod processor;

use anyhow::{Result, bail};

use crate::setup::needs::{NEEDS, Need};

pub const HELP: &str = "\
Checks the processor (on x86-64 our FAISS build assumes AVX2) and looks for cmake, a C++ compiler with make, BLAS
and LAPACK, and Python with pip. What is missing on Debian or Ubuntu is installed with apt-get, as root or through
`sudo -n`, without asking; on other systems it is named. demo, test, models, bench and ci do this first by themselves; test and
the benches that need it look for PostgreSQL too.";

/// Checks everything, installs what is missing, and checks that again.
pub fn run() -> Result<()> {
    processor::check()?;
    ensure(NEEDS)?;
    eprintln!("   this machine has what the build needs");
    Ok(())
}

/// Looks for each of these, installs what is missing, and checks that again.
pub fn ensure<'a>(needs: impl IntoIterator<Item = &'a Need>) -> Result<()> {
    let missing = missing(needs);
    if missing.is_empty() {
        return Ok(());
    }
    for need in &missing {
        eprintln!("   missing: {} ({})", need.what, need.why);
    }
    if !apt::available() {
        bail!("{}", by_hand(&missing));
    }
    let packages: Vec<&str> = missing.iter().flat_map(|need| need.packages).copied().collect();
    apt::install(&packages)?;
    let still: Vec<&str> = self::missing(missing).iter().map(|need| need.what).collect();
    if !still.is_empty() {
        bail!(
            "apt-get installed {} and yet this is not found: {}.\nLook at the PATH.",
            packages.join(" "),
            still.join(", ")
        );
    }
    Ok(())
}

fn missing<'a>(needs: impl IntoIterator<Item = &'a Need>) -> Vec<&'a Need> {
    needs.into_iter().filter(|need| !(need.present)()).collect()
}

fn by_hand(missing: &[&Need]) -> String {
    let mut text = String::from(
        "this system has no apt-get, so please install what is missing by its own means, then run this again:",
    );
    for need in missing {
        text.push_str(&format!("\n  - {}, which Debian calls {}", need.what, need.packages.join(" ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_systems_are_told_what_to_install() {
        let text = by_hand(&NEEDS.iter().collect::<Vec<_>>());
        for need in NEEDS {
            assert!(text.contains(need.what), "{text}");
        }
    }

    #[test]
    fn a_need_says_why() {
        assert!(NEEDS.iter().all(|need| !need.why.is_empty() && !need.packages.is_empty()));
    }
}
