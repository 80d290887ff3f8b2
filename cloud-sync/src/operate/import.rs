//! `facegate-cloud-sync import`: riders of another system.

use std::fs::File;
use std::io::{BufReader, Read, stdin};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use facegate_runtime::clock::SystemClock;

use super::Target;
use crate::cloud::Cloud;
use crate::import;

/// What `--help` prints of the lines.
pub const HELP: &str = r#"One line of JSON for each rider, each with all of these:

    {"rider": "6e3f6c1e-…",             the id he is to have here, a random UUID
     "template": "0b1d9c0a-…",          the id of his template, another random UUID
     "display_name": "A rider",
     "consent": {"text_version": "2026-01", "channel": "app", "given_at_unix_ms": 1790000000000},
     "model": "sface-2021dec",          what made the embedding
     "embedding": "base64 …",           its unit vector, little-endian float32
     "photographs": 3}                  how many photographs were fused into it

A rider whose id is known here is passed over, so an import that was cut short is begun again with the same file. The
cloud must be stopped if it keeps its store in data_dir; stations take the new riders when it starts.
"#;

/// Takes over riders of another system, each with consent and template.
#[derive(Debug, clap::Args)]
pub struct Import {
    #[command(flatten)]
    target: Target,
    /// One line of JSON for each rider; "-" is standard input.
    file: PathBuf,
}

impl Import {
    pub fn run(self) -> Result<()> {
        let config = self.target.load()?;
        let lines: Box<dyn Read> = if self.file == Path::new("-") {
            Box::new(stdin())
        } else {
            Box::new(File::open(&self.file).with_context(|| format!("opening {}", self.file.display()))?)
        };
        let runtime = tokio::runtime::Runtime::new().context("starting the async runtime")?;
        let summary = runtime.block_on(async {
            let store = Cloud::open_store(&config).await?;
            import::run(&*store, &SystemClock::new(), BufReader::new(lines)).await
        })?;
        println!("{} lines, {} new riders; stations take them when the cloud is started", summary.lines, summary.new);
        Ok(())
    }
}
