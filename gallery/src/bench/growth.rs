//! The time of one search as the gallery grows, as figures and as a plot.

use std::path::Path;

use anyhow::Result;
use facegate_gallery::Index;
use facegate_gallery::index::Tuning;
use plotters::prelude::*;
use serde_json::json;

use super::machine::quantile;
use super::population::DIMS;
use super::probes::Probe;
use super::single::{recall, search_each};
use super::{Setting, number};

const SIZES: [usize; 7] = [10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000];
const SEARCHES: usize = 200;
/// Rows compared in full, by which recall and time are tabled at the size that is measured.
const COMPARED: [usize; 6] = [128, 256, 512, 1024, 2048, 4096];

pub fn measure(setting: &mut Setting, output: &Path, quick: bool) -> Result<()> {
    let mut index = Index::new(setting.probes.model(), DIMS);
    let mut points = Vec::new();
    let mut filled = 0;
    for size in SIZES.into_iter().filter(|size| !quick || *size <= 300_000) {
        (filled..size).try_for_each(|i| anyhow::Ok(index.put(&setting.population.template(i)?)?))?;
        filled = size;
        let probes = &setting.probes.strict[..SEARCHES.min(setting.probes.strict.len())];
        let ms = quantile(&search_each(&index, probes)?.1, 0.5);
        println!("{size:>10} riders: {ms:.3} ms");
        points.push((size, ms));
        if size == setting.n {
            table(setting, &mut index)?;
        }
    }
    let at = |n| points.iter().find(|point| point.0 == n).map_or(f64::NAN, |point| point.1);
    let ratio = at(10_000_000) / at(3_000_000);
    println!("10 million take {ratio:.2} times what 3 million take");
    setting.note("growth_10m_over_3m", number(ratio));
    let path = output.join("growth.svg");
    plot(&points, &path)?;
    println!("plotted in {}", path.display());
    setting.note("growth", json!(points));
    Ok(())
}

/// How recall and time depend on the number of rows that are compared in full.
fn table(setting: &mut Setting, index: &mut Index) -> Result<()> {
    let usual = index.tuning();
    println!("{:>10} {:>12} {:>12} {:>8}", "compared", "recall .65", "recall .5", "ms");
    let mut rows = Vec::new();
    for compared in COMPARED {
        index.retune(Tuning { compared, ..usual });
        let recall_of = |probes: &[Probe]| -> Result<(f64, f64)> {
            let mates: Vec<i64> = probes.iter().map(|probe| probe.mate as i64).collect();
            let (found, took) = search_each(index, probes)?;
            Ok((recall(&found, &mates), quantile(&took, 0.5)))
        };
        let (loose, _) = recall_of(&setting.probes.loose)?;
        let (strict, ms) = recall_of(&setting.probes.strict[..setting.probes.loose.len()])?;
        println!("{compared:>10} {strict:12.4} {loose:12.4} {ms:8.3}");
        rows.push((compared, strict, loose, ms));
    }
    index.retune(usual);
    setting.note("compared", json!(rows));
    Ok(())
}

fn plot(points: &[(usize, f64)], path: &Path) -> Result<()> {
    let area = SVGBackend::new(path, (800, 500)).into_drawing_area();
    area.fill(&WHITE)?;
    let last = points.last().map_or(10.0, |point| point.0 as f64);
    let most = points.iter().map(|point| point.1).fold(0.1, f64::max);
    let mut chart = ChartBuilder::on(&area)
        .caption("One search on one core", ("sans-serif", 20))
        .margin(15)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d((8_000.0..last * 1.2).log_scale(), (0.005..most * 1.5).log_scale())?;
    chart.configure_mesh().x_desc("enrolled riders").y_desc("milliseconds, median").draw()?;
    chart.draw_series(LineSeries::new(points.iter().map(|(n, ms)| (*n as f64, *ms)), &BLUE).point_size(4))?;
    area.present()?;
    Ok(())
}
