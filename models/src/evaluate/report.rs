//! The HTML report of `eval recognition`.

use std::fmt::Write;
use std::path::Path;

use super::acquire::Population;
use super::intervals::Estimate;
use super::open_set::Level;
use super::page::{self, escaped, figure, table};
use super::plot::{Axis, Scale, Series, lines};
use super::recognition::{FMR, FPIRS, Measured};

const DEFINITIONS: &str = include_str!("report/definitions.html");

/// Writes the report to `path`, making its folder.
pub fn write(path: &Path, population: &Population, measured: &Measured) -> anyhow::Result<()> {
    page::write(path, &whole(population, measured)?)
}

fn whole(population: &Population, measured: &Measured) -> anyhow::Result<String> {
    let mut page = page::head("Facegate: recognition report");
    headline(&mut page, population, measured)?;
    verification(&mut page, measured)?;
    identification(&mut page, measured)?;
    extrapolation(&mut page, measured)?;
    groups(&mut page, measured)?;
    robustness(&mut page, measured)?;
    page.push_str(DEFINITIONS);
    Ok(page)
}

fn headline(page: &mut String, population: &Population, measured: &Measured) -> anyhow::Result<()> {
    writeln!(page, "<h1>Face recognition: measured accuracy</h1>")?;
    let source = population.set.source.file_name().unwrap_or_default().to_string_lossy();
    let centring = match (&population.centre, measured.calibrated) {
        (Some(_), _) => {
            "centred by the calibration's mean embedding, as the stations do; it may have been measured on this set"
        }
        (None, true) => "not centred: the calibration does not ask for it",
        (None, false) => "not centred: this model has no calibration here",
    };
    table(
        page,
        &["what was measured", ""],
        &[
            vec!["photographs".into(), format!("{} of {} people", population.faces.len(), population.set.people.len())],
            vec!["set".into(), escaped(&source)],
            vec!["failures to acquire".into(), format!("{}, counted as misses", population.failures())],
            vec![
                "model, execution provider".into(),
                escaped(&format!("{}, {}", population.engines.model(), population.engines.provider())),
            ],
            vec!["vectors".into(), centring.into()],
            vec!["software".into(), format!("Facegate {}", env!("CARGO_PKG_VERSION"))],
        ],
    )
}

fn verification(page: &mut String, measured: &Measured) -> anyhow::Result<()> {
    writeln!(page, "<h2>One against one</h2>")?;
    let accuracy =
        |a: &super::verification::Accuracy| format!("{:.2} % ± {:.2}", 100.0 * a.mean, 100.0 * a.standard_error);
    let mut rows = vec![vec!["Facegate, accuracy over the folds".into(), accuracy(&measured.ours)]];
    let opencv = measured.opencv.as_ref().map_or("not run".into(), accuracy);
    rows.push(vec!["OpenCV YuNet + SFace, same pairs, same protocol".into(), opencv]);
    rows.push(vec![
        "pairs".into(),
        format!(
            "{} in {} folds; {} left out, photographs not in the set",
            measured.pairs,
            measured.ours.folds.len(),
            measured.pairs_missing
        ),
    ]);
    for (far, tar) in &measured.tar {
        rows.push(vec![format!("true acceptances at a false acceptance rate of {far}"), tar.to_string()]);
    }
    table(page, &["figure", "value [95 % interval]"], &rows)?;
    let x = Axis { label: "similarity (cosine)", scale: Scale::Linear, from: -0.4, to: 1.0 };
    let series = [("two people", &measured.impostor), ("one person", &measured.mated)]
        .map(|(name, scores)| Series { name: name.into(), points: scores.density(-0.4, 1.0, 70) });
    let highest = series.iter().flat_map(|line| &line.points).map(|point| point.1).fold(1.0, f64::max);
    let y = Axis { label: "density", scale: Scale::Linear, from: 0.0, to: highest.ceil() };
    figure(
        page,
        &lines("Similarity of photographs of one person and of two", &x, &y, &series)?,
        &format!(
            "How similar photographs are: {} pairs of one person, {} of two.",
            measured.mated.count, measured.impostor.count
        ),
    )?;
    let det = (0..=160).map(|i| {
        let threshold = f64::from(i) * 0.005;
        (measured.impostor.share_from(threshold), 1.0 - measured.mated.share_from(threshold))
    });
    let x = Axis { label: "false match rate", scale: Scale::Log10, from: 1e-6, to: 1.0 };
    let y = Axis { label: "false non-match rate", scale: Scale::Log10, from: 1e-3, to: 1.0 };
    let det = Series { name: "single photographs".into(), points: det.collect() };
    figure(
        page,
        &lines("Detection error trade-off", &x, &y, &[det])?,
        "Detection error trade-off: what fewer false matches cost in misses. Below one in a million, wrong labels of the set make most of the false matches.",
    )
}

fn identification(page: &mut String, measured: &Measured) -> anyhow::Result<()> {
    writeln!(
        page,
        "<h2>One against many, open set</h2><p>Random galleries dealt anew for each split; the interval is the bootstrap's over people, within and over splits. “3+1”: three enrolment photographs fused, one probe. The photographs of a set like LFW are of different days: frames of one walk are less independent, so the truth of a gate lies between 3+1 and 3+3. Where too few people have enough photographs, those who fill up the gallery are enrolled with as many as they have.</p>"
    )?;
    let rows: Vec<Vec<String>> = measured
        .open_set
        .iter()
        .filter(|f| f.fpir == FPIRS[1])
        .map(|f| {
            let gallery = format!("{} ({} with fewer photographs)", f.n, f.enrolled_with_fewer);
            vec![
                f.level.to_string(),
                gallery,
                f.fnir.to_string(),
                format!("{:.3}", f.threshold),
                format!("{} / {}", f.mates, f.strangers),
                f.splits.to_string(),
            ]
        })
        .collect();
    table(page, &["fusion", "gallery", "FNIR at FPIR 1 %", "threshold", "mates / strangers", "splits"], &rows)?;
    let line = |level: Level| Series {
        name: level.to_string(),
        points: measured
            .open_set
            .iter()
            .filter(|f| f.level == level && f.n == 1000)
            .map(|f| (f.fpir, f.fnir.value.max(1e-3)))
            .collect(),
    };
    let x = Axis { label: "FPIR", scale: Scale::Log10, from: 1e-3, to: 1.0 };
    let y = Axis { label: "FNIR", scale: Scale::Log10, from: 1e-3, to: 1.0 };
    figure(
        page,
        &lines("FNIR by FPIR at N = 1,000", &x, &y, &Level::ALL.map(line))?,
        "Misses by false-positive rate at N = 1,000; no misses at all are drawn at 0.001.",
    )
}

fn extrapolation(page: &mut String, measured: &Measured) -> anyhow::Result<()> {
    writeln!(
        page,
        "<h2>A city of three million: extrapolated</h2><p>One false charge per million passages, nine of ten passers strangers. The mated scores are real; the threshold lies where no impostor score has ever been counted and comes from an <strong>extrapolated</strong> tail (generalised Pareto, end point at cosine 1). The interval covers the fit and the people, not the assumption that the tail goes on as it begins, and not identical twins. It is an estimate and no pass mark; a station does not use the city alone, but who is expected where.</p>"
    )?;
    let rows: Vec<Vec<String>> = measured
        .far
        .iter()
        .map(|f| {
            let tail = f.scores.tail.best;
            vec![
                f.level.to_string(),
                format!("{} (extrapolated)", f.fnir),
                format!("{:.3}", f.threshold),
                format!("{:.4}", tail.index()),
                format!("{} / {}", f.scores.mated_pairs(), f.scores.impostor.count),
            ]
        })
        .collect();
    table(page, &["fusion", "FNIR at N = 3,000,000", "threshold", "tail index", "mated / impostor pairs"], &rows)?;
    let line = |f: &super::extrapolated::Extrapolated| Series {
        name: f.level.to_string(),
        points: (2..=7).map(|e| 10f64.powi(e)).map(|n| (n, f.scores.tail.best.score_of(1e-6 / (0.9 * n)))).collect(),
    };
    let series: Vec<Series> = measured.far.iter().map(line).collect();
    let x = Axis { label: "enrolled riders N", scale: Scale::Log10, from: 1e2, to: 1e7 };
    let y = Axis { label: "threshold (cosine)", scale: Scale::Linear, from: 0.3, to: 0.9 };
    figure(
        page,
        &lines("Threshold by gallery size", &x, &y, &series)?,
        "The threshold that keeps to one false charge per million passages, by gallery size (extrapolated).",
    )
}

fn groups(page: &mut String, measured: &Measured) -> anyhow::Result<()> {
    writeln!(page, "<h2>By group</h2>")?;
    if measured.groups.is_empty() {
        writeln!(
            page,
            "<p>The set carries no labels (a file <code>groups.csv</code> with lines <code>person,group</code>), so nothing can be said here about any group by itself. Published tests of models of this kind find large differences between groups: measure with people who look like your riders.</p>"
        )?;
        return Ok(());
    }
    let rows: Vec<Vec<String>> = measured
        .groups
        .iter()
        .map(|g| {
            vec![
                escaped(&g.name),
                g.people.to_string(),
                format!("{:.2e} of {}", g.fmr, g.impostor_pairs),
                g.fnmr.to_string(),
            ]
        })
        .collect();
    writeln!(page, "<p>At the threshold where the whole set has a false match rate of {FMR}.</p>")?;
    table(page, &["group", "people", "false match rate within the group", "false non-match rate"], &rows)
}

fn robustness(page: &mut String, measured: &Measured) -> anyhow::Result<()> {
    writeln!(
        page,
        "<h2>Poor pictures</h2><p>Real photographs with documented degradations, each compared with an undegraded photograph of the same person at a false match rate of {FMR}. A refused face is told to look at the screen; it is not guessed at.</p>"
    )?;
    let rows: Vec<Vec<String>> = measured
        .degraded
        .iter()
        .map(|r| {
            vec![
                escaped(&r.name),
                r.probes.to_string(),
                share(&r.not_acquired),
                share(&r.refused),
                r.fnmr.to_string(),
                share(&r.fnmr_of_accepted),
            ]
        })
        .collect();
    table(page, &["degradation", "probes", "not acquired", "refused by quality", "FNMR", "FNMR of the accepted"], &rows)
}

fn share(estimate: &Estimate) -> String {
    if estimate.value.is_nan() { "none left".into() } else { format!("{:.1} %", 100.0 * estimate.value) }
}
