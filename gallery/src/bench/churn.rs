//! A million riders come and go; then the same probes again.

use anyhow::Result;
use facegate_gallery::Index;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::machine::timed;
use super::population::{number_of, template_id};
use super::single::{recall, search_each};
use super::{Setting, resident_bytes};

const CHANGES: usize = 1_000_000;

pub fn measure(setting: &mut Setting, index: &Index, quick: bool) -> Result<()> {
    let changes = if quick { CHANGES / 10 } else { CHANGES };
    let mut rng = SmallRng::seed_from_u64(77);
    let mates: Vec<i64> = setting.probes.strict.iter().map(|probe| probe.mate as i64).collect();
    let recall_before = recall(&search_each(index, &setting.probes.strict)?.0, &mates);
    let before = resident_bytes();
    // Riders who are probed for stay, the others are replaced by riders of numbers beyond n.
    let probed: std::collections::HashSet<usize> = setting.probes.all().map(|probe| probe.mate).collect();
    let (done, ms) = timed(|| {
        let mut newest = setting.n;
        let mut left = changes;
        while left > 0 {
            let gone = rng.random_range(0..newest);
            if probed.contains(&gone) {
                continue;
            }
            if index.remove(template_id(gone)) {
                left -= 1;
                index.put(&setting.population.template(newest)?)?;
                newest += 1;
                left = left.saturating_sub(1);
            }
        }
        anyhow::Ok(newest)
    });
    let newest = done?;
    let (found, _) = search_each(index, &setting.probes.strict)?;
    let recall = recall(&found, &mates);
    let exhaustive = setting.probes.strict.iter().take(20).map(|probe| {
        let hits = index.search_exhaustively(&probe.embedding, 1)?;
        anyhow::Ok(hits.first().is_some_and(|hit| number_of(hit.template) == probe.mate))
    });
    let agreed = exhaustive.collect::<Result<Vec<_>>>()?.into_iter().filter(|same| *same).count();
    println!(
        "after {changes} inserts and removals ({:.1} µs each, made riders included; newest {newest}): recall@1 {recall:.4} \
         (before {recall_before:.4}), \
         memory {:+} KiB; {agreed} of 20 exhaustive searches find the mate",
        ms * 1e3 / changes as f64,
        (resident_bytes() as i64 - before as i64) >> 10,
    );
    setting.note("recall_before_churn", recall_before);
    setting.note("recall_after_churn", recall);
    Ok(())
}
