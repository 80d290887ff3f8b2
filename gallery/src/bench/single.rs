//! One search at a time on one core, ours and the peers' by turns, and how many mates each finds.

use anyhow::Result;
use facegate_gallery::Index;
use facegate_gallery::index::Query;

use super::machine::{quantile, timed};
use super::peers::{FLAT, Peers};
use super::population::number_of;
use super::probes::Probe;
use super::{Setting, number};

/// Searches of ours for each of the exact peer's, which takes a hundred times as long.
const OURS_PER_FLAT: usize = 10;
const FLAT_SEARCHES: usize = 100;
const PEER_SEARCHES: usize = 300;

/// Recall that counts as exact.
const EQUAL_RECALL: f64 = 0.999;

pub fn measure(setting: &mut Setting, index: &Index, peers: Option<&mut Peers>) -> Result<()> {
    let (strict, loose) = (&setting.probes.strict, &setting.probes.loose);
    let (ours, first_took) = search_each(index, strict)?;
    let (ours_loose, _) = search_each(index, loose)?;
    let mates = |probes: &[Probe]| -> Vec<i64> { probes.iter().map(|probe| probe.mate as i64).collect() };
    let (mut truth, mut truth_loose) = (mates(strict), mates(loose));
    let mut took = first_took;

    let mut best: Option<(String, f64, f64)> = None;
    let mut flat_took = Vec::new();
    if let Some(peers) = peers {
        peers.build(FLAT)?;
        // Exact search is slow: it says of the first probes whom they must find; of the others, who their mate is does.
        let exact = peers.batch(FLAT, 0, truth_loose.len(), 2)?.ids;
        println!("exact search finds {} of {} mates at .65", count_same(&exact, &truth), exact.len());
        truth[..exact.len()].copy_from_slice(&exact);
        truth_loose = peers.batch(FLAT, truth.len(), truth_loose.len(), 2)?.ids;
        took.clear();
        for turn in 0..FLAT_SEARCHES {
            let from = turn * OURS_PER_FLAT % (strict.len() - OURS_PER_FLAT);
            took.extend(search_each(index, &strict[from..from + OURS_PER_FLAT])?.1);
            flat_took.extend(peers.single(FLAT, turn, 1)?.ms);
        }
        best = against_peers(index, strict, peers, &truth[..truth_loose.len()], &mut took)?;
    }
    let (p50, p99) = (quantile(&took, 0.5), quantile(&took, 0.99));
    let (recall, recall_loose) = (recall(&ours, &truth), recall(&ours_loose, &truth_loose));
    println!("ours: {p50:.3} ms, p99 {p99:.3}; recall@1 {recall:.4} at .65, {recall_loose:.4} at .5");
    let (flat, flat_p99) = (quantile(&flat_took, 0.5), quantile(&flat_took, 0.99));
    if flat.is_finite() {
        let (times, times_p99) = (flat / p50, flat_p99 / p99);
        println!("exact: {flat:.1} ms, p99 {flat_p99:.1}; ours ÷ exact 1/{times:.1}, p99 1/{times_p99:.1}");
    }
    setting.note("ours_ms_p50", p50);
    setting.note("ours_ms_p99", p99);
    setting.note("recall_at_1_cos65", recall);
    setting.note("recall_at_1_cos50", recall_loose);
    setting.note("flat_ms_p50", number(flat));
    setting.note("flat_ratio", number(p50 / flat));
    setting.note("flat_ratio_p99", number(p99 / flat_p99));
    let (name, ms, peer_recall) = best.unwrap_or_else(|| (String::new(), f64::NAN, f64::NAN));
    setting.note("best_peer", (!name.is_empty()).then_some(name));
    setting.note("best_peer_ms_p50", number(ms));
    setting.note("best_peer_recall", number(peer_recall));
    Ok(())
}

/// Builds, tunes and measures each peer in turns with ours. Gives the fastest that is as exact as ours must be.
fn against_peers(
    index: &Index,
    probes: &[Probe],
    peers: &mut Peers,
    truth: &[i64],
    took: &mut Vec<f64>,
) -> Result<Option<(String, f64, f64)>> {
    println!("{:18} {:>8} {:>8} {:>8} {:>8} {:>8}  (ours)", "peer", "build s", "setting", "recall", "ms", "p99");
    let mut best: Option<(String, f64, f64)> = None;
    for name in peers.names.clone().into_iter().filter(|name| name != FLAT) {
        let seconds = match peers.build(&name) {
            Ok(seconds) => seconds,
            Err(error) => {
                println!("{name:18} left out: {error}");
                continue;
            }
        };
        let tuned = peers.tune(&name, truth)?;
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        let turns = 10;
        let each = PEER_SEARCHES.min(probes.len()) / turns;
        for turn in 0..turns {
            theirs.extend(peers.single(&name, turn * each, each)?.ms);
            ours.extend(search_each(index, &probes[turn * each..(turn + 1) * each])?.1);
        }
        let ms = quantile(&theirs, 0.5);
        println!(
            "{name:18} {seconds:8.1} {:>8} {:8.4} {ms:8.3} {:8.3}  ({:.3})",
            tuned.setting.to_string(),
            tuned.recall,
            quantile(&theirs, 0.99),
            quantile(&ours, 0.5)
        );
        took.extend(ours);
        // The batched measurement needs only those that are exact enough.
        if tuned.recall < EQUAL_RECALL {
            peers.drop_index(&name)?;
            peers.names.retain(|kept| *kept != name);
        } else if best.as_ref().is_none_or(|(_, fastest, _)| ms < *fastest) {
            best = Some((name, ms, tuned.recall));
        }
    }
    Ok(best)
}

/// What each probe finds first, and the milliseconds it took.
pub fn search_each(index: &Index, probes: &[Probe]) -> Result<(Vec<i64>, Vec<f64>)> {
    let mut found = Vec::with_capacity(probes.len());
    let mut took = Vec::with_capacity(probes.len());
    for probe in probes {
        let (answers, ms) = timed(|| index.search_all(&[Query { probe: &probe.embedding, tiers: &[] }], 10));
        let first = answers?.first().and_then(|answer| answer.hits.first().copied());
        found.push(first.map_or(-1, |hit| number_of(hit.template) as i64));
        took.push(ms);
    }
    Ok((found, took))
}

/// The share of probes that find first what an exact search finds first.
pub fn recall(found: &[i64], exact: &[i64]) -> f64 {
    count_same(found, exact) as f64 / exact.len() as f64
}

fn count_same(found: &[i64], exact: &[i64]) -> usize {
    found.iter().zip(exact).filter(|(found, exact)| found == exact).count()
}
