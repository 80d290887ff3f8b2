//! The time of one search as the gallery grows, as figures and as a plot.

use std::path::Path;

use anyhow::Result;
use facegate_gallery::Index;
use plotters::prelude::*;
use serde_json::json;

use super::Setting;
use super::machine::quantile;
use super::population::DIMS;
use super::single::search_each;

const SIZES: [usize; 7] = [10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000];
const SEARCHES: usize = 200;

pub fn measure(setting: &mut Setting, output: &Path, quick: bool) -> Result<()> {
    let index = Index::new(setting.probes.model(), DIMS);
    let mut points = Vec::new();
    let mut filled = 0;
    for size in SIZES.into_iter().filter(|size| !quick || *size <= 300_000) {
        (filled..size).try_for_each(|i| anyhow::Ok(index.put(&setting.population.template(i)?)?))?;
        filled = size;
        let probes = &setting.probes.strict[..SEARCHES.min(setting.probes.strict.len())];
        let ms = quantile(&search_each(&index, probes)?.1, 0.5);
        println!("{size:>10} riders: {ms:.3} ms");
        points.push((size, ms));
    }
    let path = output.join("growth.svg");
    plot(&points, &path)?;
    println!("plotted in {}", path.display());
    setting.note("growth", json!(points));
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
