//! The HTML report of `eval liveness`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use super::figures::Kind;
use super::results::{Results, System, is_right};
use super::summary::APCERS;
use crate::evaluate::intervals::Estimate;
use crate::evaluate::page::{self, escaped, figure, table};
use crate::evaluate::plot::{Axis, Scale, Series, lines};

const DEFINITIONS: &str = include_str!("report/definitions.html");
/// The plot begins here on both axes: of a hundred or two presentations fewer errors cannot be told apart.
const RATE_MIN: f64 = 0.01;

/// Writes the report to `path`, making its folder.
pub fn write(path: &Path, results: &Results<'_>) -> anyhow::Result<()> {
    page::write(path, &whole(results)?)
}

fn whole(results: &Results<'_>) -> anyhow::Result<String> {
    let mut page = page::head("Facegate: liveness report");
    headline(&mut page, results)?;
    fixed(&mut page, results)?;
    swept(&mut page, results)?;
    smoke(&mut page, results)?;
    page.push_str(DEFINITIONS);
    Ok(page)
}

fn headline(page: &mut String, results: &Results<'_>) -> anyhow::Result<()> {
    writeln!(page, "<h1>Presentation attack detection: measured error rates</h1>")?;
    let source = |(name, [genuine, attacks]): (&String, &[usize; 2])| {
        format!("{} ({genuine} genuine, {attacks} attacks)", escaped(name))
    };
    let sources: Vec<String> = results.sources.iter().map(source).collect();
    let told = |worst: Option<(&str, Estimate)>| {
        worst.map_or("none were presented".into(), |(kind, rate)| format!("{rate}, {}", escaped(kind)))
    };
    let nets = if results.reduced {
        "missing: <strong>liveness is reduced</strong> to the border and motion"
    } else {
        "there, the MiniFASNet pair"
    };
    let [genuine, attacks] = results.not_found;
    table(
        page,
        &["what was measured", ""],
        &[
            vec!["presentations".into(), results.presentations.to_string()],
            vec!["sources; of people nothing is known".into(), sources.join(", ")],
            vec!["APCER of the worst kind of attack".into(), told(results.worst())],
            vec!["BPCER over all sources".into(), results.bpcer.to_string()],
            vec!["BPCER of the worst source".into(), told(results.worst_faces())],
            vec!["no face found".into(), format!("{genuine} genuine, {attacks} attacks, counted as non-responses")],
            vec!["texture nets".into(), nets.into()],
            vec!["software".into(), format!("Facegate {}", env!("CARGO_PKG_VERSION"))],
        ],
    )
}

fn fixed(page: &mut String, results: &Results<'_>) -> anyhow::Result<()> {
    writeln!(
        page,
        "<h2>With thresholds fixed beforehand</h2><p>Each source is judged by weights and thresholds from the other sources alone. Without labels all that is known of an attack's kind is its source.</p>"
    )?;
    let rows = |kinds: &BTreeMap<String, Kind>| -> Vec<Vec<String>> {
        let cells = |(name, kind): (&String, &Kind)| {
            vec![escaped(name), kind.presentations.to_string(), kind.errors.to_string(), kind.non_response.to_string()]
        };
        kinds.iter().map(cells).collect()
    };
    table(page, &["kind of attack", "presentations", "APCER", "non-response"], &rows(&results.attacks))?;
    writeln!(page, "<p>Real faces, by the same thresholds.</p>")?;
    let mut genuine = rows(&results.genuine);
    let all: usize = results.genuine.values().map(|kind| kind.presentations).sum();
    genuine.push(vec!["all".into(), all.to_string(), results.bpcer.to_string(), results.non_response[0].to_string()]);
    table(page, &["genuine faces of", "presentations", "BPCER", "non-response"], &genuine)
}

fn swept(page: &mut String, results: &Results<'_>) -> anyhow::Result<()> {
    writeln!(
        page,
        "<h2>With the threshold swept</h2><p>What fewer attacks let through cost in faces refused. The texture pair as published is scored on the same faces in the same run. A face that is not found counts as refused at every threshold, for both.</p>"
    )?;
    let systems = [("Facegate, cues fused", &results.ours), ("MiniFASNet pair alone, as published", &results.pair)];
    let row = |(name, system): (&str, &System)| {
        let rates = APCERS.iter().map(|apcer| format!("{:.1} %", 100.0 * system.bpcer_at(*apcer)));
        let ends = [system.bpcer_at_apcer_5.to_string(), format!("{:.3}", system.auc)];
        std::iter::once(name.to_owned()).chain(rates).chain(ends).collect::<Vec<_>>()
    };
    let heads: Vec<String> = APCERS.iter().map(|apcer| format!("BPCER at APCER {:.0} %", 100.0 * apcer)).collect();
    let heads: Vec<&str> = std::iter::once("score")
        .chain(heads.iter().map(String::as_str))
        .chain(["at APCER 5 %, with interval", "AUC"])
        .collect();
    table(page, &heads, &systems.map(row))?;
    writeln!(page, "<p>At APCER 5 % the fused BPCER is lower by {} (percentage points).</p>", results.gain)?;
    let series = systems.map(|(name, system)| Series {
        name: name.into(),
        points: system.trade_off.iter().map(|(apcer, bpcer)| (*apcer, bpcer.max(RATE_MIN))).collect(),
    });
    let x = Axis { label: "APCER, all kinds together", scale: Scale::Log10, from: RATE_MIN, to: 1.0 };
    let y = Axis { label: "BPCER", scale: Scale::Log10, from: RATE_MIN, to: 1.0 };
    figure(
        page,
        &lines("Detection error trade-off of presentation attack detection", &x, &y, &series)?,
        "Detection error trade-off, both classes of all sources together; less than 0.01 is drawn at 0.01.",
    )
}

fn smoke(page: &mut String, results: &Results<'_>) -> anyhow::Result<()> {
    if results.smoke.is_empty() {
        return Ok(());
    }
    writeln!(
        page,
        "<h2>Clips and full frames</h2><p>Too few for rates: a smoke test, judged by the calibration in use. {} of {} were right.</p>",
        results.smoke_right(),
        results.smoke.len()
    )?;
    let rows: Vec<Vec<String>> = results
        .smoke
        .iter()
        .map(|one| {
            let (case, (verdict, score)) = one;
            let file = case.capture.path.file_name().unwrap_or_default().to_string_lossy();
            vec![
                escaped(&format!("{}: {file}", case.capture.source)),
                if case.capture.attack { "attack" } else { "genuine" }.into(),
                format!("{verdict:?}, {score:.2}"),
                if is_right(one) { "right" } else { "wrong" }.into(),
                case.measured.samples.len().to_string(),
            ]
        })
        .collect();
    table(page, &["capture", "is", "verdict and score", "", "frames with a face"], &rows)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use facegate_models::liveness::LivenessVerdict::{Attack, Inconclusive, Live};

    use super::*;
    use crate::evaluate::liveness::Case;
    use crate::evaluate::liveness::captures::{Capture, Form};
    use crate::evaluate::liveness::figures::Scored;
    use crate::evaluate::liveness::measure::Measured;

    fn case(source: &str, attack: bool, form: Form) -> Case {
        let path = PathBuf::from(format!("somewhere/{source}/one.jpg"));
        let capture = Capture { source: source.into(), attack, kind: source.into(), form, path };
        Case { capture, measured: Measured::default() }
    }

    /// Ten faces and ten attacks of two kinds; one attack of the worse kind passes, one face is not found.
    fn page(reduced: bool) -> String {
        let mut scored = Vec::new();
        for i in 0..20 {
            let attack = i % 2 == 1;
            let kind = if i < 12 { "print" } else { "a <phone>" };
            let (score, verdict) = match (attack, i) {
                (true, 15) => (0.95, Live),
                (true, _) => (0.1, Attack),
                (false, 4) => (f64::NEG_INFINITY, Inconclusive),
                (false, _) => (0.9, Live),
            };
            let published = if attack { 0.4 } else { 0.6 };
            scored.push(Scored { attack, kind: kind.into(), score, published, verdict });
        }
        let stills: Vec<Case> = scored.iter().map(|s| case("lab", s.attack, Form::Still)).collect();
        let clip = case("clip", true, Form::Clip);
        whole(&Results::of(&stills, &scored, vec![(&clip, (Live, 0.8))], reduced)).unwrap()
    }

    #[test]
    fn the_report_tells_the_worst_kind_the_silence_and_both_systems() {
        let page = page(false);
        assert!(page.contains("<title>Facegate: liveness report</title>") && page.ends_with("</html>\n"));
        // One of the four replays passed, none of the six prints.
        assert!(page.contains("<td>APCER of the worst kind of attack</td><td>25.00 % ["), "{page}");
        assert!(page.contains("<td>BPCER of the worst source</td><td>0.00 % ["));
        assert!(page.contains("<tr><td>a &lt;phone&gt;</td><td>4</td><td>25.00 % ["));
        assert!(page.contains("<tr><td>print</td><td>6</td><td>0.00 % ["));
        assert!(page.contains("1 genuine, 0 attacks, counted as non-responses"));
        assert!(page.contains("<tr><td>all</td><td>10</td><td>0.00 % [0.00, 27.75]</td><td>10.00 % ["), "{page}");
        assert!(page.contains("lab (10 genuine, 10 attacks)"));
        // The fused score lets one attack through before any face passes; the pair separates all.
        assert!(page.contains("<tr><td>Facegate, cues fused</td><td>100.0 %</td>"));
        assert!(page.contains("<tr><td>MiniFASNet pair alone, as published</td><td>0.0 %</td>"));
        assert!(page.contains("<td>clip: one.jpg</td><td>attack</td><td>Live, 0.80</td><td>wrong</td>"));
        assert!(page.contains("0 of 1 were right") && !page.contains("somewhere/"));
    }

    #[test]
    fn missing_nets_are_said_and_nothing_comes_from_elsewhere() {
        assert!(page(true).contains("liveness is reduced") && !page(false).contains("liveness is reduced"));
        assert!(!page(false).contains("href=") && !page(false).contains("src="));
    }
}
