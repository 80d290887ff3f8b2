//! 64 callers at once on two cores: how many searches a second, with and without changes going on.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use facegate_domain::face::Template;
use facegate_gallery::batch::Batcher;
use facegate_gallery::durable::Durable;
use facegate_gallery::index::Query;
use facegate_gallery::{Change, Index};

use super::machine::{milliseconds, now, quantile};
use super::peers::{FLAT, Peers};
use super::probes::Probe;
use super::{Setting, number};

const CALLERS: usize = 64;
const CORES: usize = 2;
/// With and without changes in turn, since the machine's speed swings.
const ROUNDS: usize = 5;
const SECONDS: f64 = 2.0;
const CHANGES_PER_S: f64 = 1000.0;
const CHANGES_AT_ONCE: usize = 10;
/// Riders that are changed, in turn.
const CHANGED: usize = 2000;
const PEER_BATCHES: usize = 10;

pub fn measure(setting: &mut Setting, durable: &Durable, peers: Option<&mut Peers>) -> Result<()> {
    let mut best: Option<(String, f64)> = None;
    if let Some(peers) = peers {
        for name in peers.names.clone() {
            let mut took = Vec::new();
            for turn in 0..if name == FLAT { 3 } else { PEER_BATCHES } {
                took.extend(
                    peers.batch(&name, turn * CALLERS % (setting.probes.strict.len() - CALLERS), CALLERS, CORES)?.ms,
                );
            }
            let qps = CALLERS as f64 / quantile(&took, 0.5) * 1e3;
            println!("{name:18} batches of {CALLERS} on {CORES} threads: {qps:.0} a second");
            if name != FLAT && best.as_ref().is_none_or(|(_, most)| qps > *most) {
                best = Some((name, qps));
            }
        }
    }
    // Made before the clock runs: the feed brings them ready.
    let template = |i: usize| setting.population.template(i * 7919 % setting.n);
    let templates = (0..CHANGED).map(template).collect::<Result<Vec<_>>>()?;
    let (mut still, mut under, mut changes_per_s) = (Load::default(), Load::default(), Vec::new());
    for _ in 0..ROUNDS {
        load(durable.index(), &setting.probes.strict, &mut still)?;
        let going = AtomicBool::new(true);
        changes_per_s.push(std::thread::scope(|scope| {
            let changer = scope.spawn(|| change(&templates, durable, &going));
            let loaded = load(durable.index(), &setting.probes.strict, &mut under);
            going.store(false, Ordering::Relaxed);
            let changes_per_s = changer.join().expect("changes do not panic")?;
            loaded.map(|()| changes_per_s)
        })?);
    }
    let (qps, under_qps) = (still.qps(), under.qps());
    println!("ours, {CALLERS} callers on {CORES} threads: {qps:.0} a second, p99 {:.1} ms", still.p99());
    if let Some((name, most)) = &best {
        println!("best peer: {name}; ours ÷ theirs {:.2}", qps / most);
        setting.note("batched_ratio", qps / most);
    }
    let (under_p99, changes_per_s) = (under.p99(), quantile(&changes_per_s, 0.5));
    println!("while {changes_per_s:.0} changes a second: {under_qps:.0} a second, p99 {under_p99:.1} ms");
    setting.note("batched_qps", qps);
    setting.note("batched_qps_under_changes", under_qps);
    setting.note("batched_ms_p99", under_p99);
    setting.note("changes_per_s", changes_per_s);
    setting.note("best_peer_batched", best.as_ref().map(|(name, _)| name.clone()));
    setting.note("best_peer_batched_qps", number(best.map_or(f64::NAN, |(_, qps)| qps)));
    Ok(())
}

/// Of several rounds.
#[derive(Default)]
struct Load {
    qps: Vec<f64>,
    /// From asking to answer.
    ms: Vec<f64>,
}

impl Load {
    fn qps(&self) -> f64 {
        quantile(&self.qps, 0.5)
    }

    fn p99(&self) -> f64 {
        quantile(&self.ms, 0.99)
    }
}

/// One round: each caller sends its next probe when it has the last answer.
fn load(index: &Index, probes: &[Probe], load: &mut Load) -> Result<()> {
    let batcher = Batcher::new(CORES, CALLERS);
    let took = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    let start = now();
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    while start.elapsed().as_secs_f64() < SECONDS {
                        let probe = &probes[next.fetch_add(1, Ordering::Relaxed) % probes.len()].embedding;
                        let asked = now();
                        batcher.submit(probe, |probes| {
                            let queries: Vec<_> = probes.iter().map(|probe| Query { probe, tiers: &[] }).collect();
                            index.search_all(&queries, 10).unwrap_or_default()
                        })?;
                        let ms = milliseconds(asked.elapsed());
                        took.lock().expect("no caller panics").push(ms);
                    }
                    Ok(())
                })
            })
            .collect();
        callers.into_iter().try_for_each(|caller| caller.join().expect("no caller panics"))
    })?;
    let took = took.into_inner().expect("no caller panicked");
    load.qps.push(took.len() as f64 / start.elapsed().as_secs_f64());
    load.ms.extend(took);
    Ok(())
}

/// Replaces, removes and inserts in turn, at a steady pace, as the feed does it: some at a time, on the disk first. Ends
/// with the riders it began with. Gives changes a second.
fn change(templates: &[Template], durable: &Durable, going: &AtomicBool) -> Result<f64> {
    let start = now();
    let (mut made, first) = (0_usize, durable.version() + 1);
    while going.load(Ordering::Relaxed) || !made.is_multiple_of(3) {
        let one = |made: usize| {
            let template = &templates[made / 3 % templates.len()];
            let change = match made % 3 {
                1 => Change::RemoveTemplate(template.id),
                _ => Change::Put(template.clone()),
            };
            (first + made as u64, change)
        };
        durable.apply(&(made..made + CHANGES_AT_ONCE).map(one).collect::<Vec<_>>())?;
        made += CHANGES_AT_ONCE;
        let due = Duration::from_secs_f64(made as f64 / CHANGES_PER_S);
        std::thread::sleep(due.saturating_sub(start.elapsed()));
    }
    Ok(made as f64 / start.elapsed().as_secs_f64())
}
