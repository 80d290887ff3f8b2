//! Writing a snapshot, and starting from it.

use std::path::Path;

use anyhow::{Result, ensure};
use facegate_gallery::Place;
use facegate_gallery::durable::Durable;

use super::Setting;
use super::machine::timed;
use super::population::DIMS;
use super::single::search_each;

/// Where the measured index is kept.
pub fn place(scratch: &Path) -> Place {
    Place { dir: scratch.join("gallery"), newest: scratch.join("newest-version"), key: [7; 32].into(), centre: None }
}

/// Writes the snapshot, forgets the index, and opens the freshly written file until the first search is answered.
pub fn measure(setting: &mut Setting, durable: Durable, scratch: &Path) -> Result<()> {
    let templates = durable.index().len();
    let (written, write_ms) = timed(|| durable.write_snapshot());
    written?;
    let bytes = std::fs::metadata(scratch.join("gallery/snapshot"))?.len();
    drop(durable);
    let model = setting.probes.model();
    let (opened, ms) = timed(|| {
        let durable = Durable::open(model, DIMS, place(scratch))?;
        search_each(durable.index(), &setting.probes.strict[..1])?;
        anyhow::Ok(durable)
    });
    let durable = opened?;
    ensure!(durable.index().len() == templates, "{} of {templates} templates came back", durable.index().len());
    println!(
        "snapshot of {templates}: {} MiB written in {:.1} s, first search {:.1} s after the start",
        bytes >> 20,
        write_ms / 1e3,
        ms / 1e3
    );
    setting.note("snapshot_write_s", write_ms / 1e3);
    setting.note("start_s", ms / 1e3);
    drop(durable);
    Ok(())
}
