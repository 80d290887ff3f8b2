//! Passengers through aisles: streams of people walk through four real gates before one real station among millions of
//! riders, in real time, first through one aisle alone, which tells how many pass in a minute, then through all four at
//! once (crowds then: in groups, some of whom hesitate, draw a case, step back or tailgate, and some strangers hold a rider's
//! print before their faces), which tells how long decisions take; who went through is held against the taps. Then a hundred
//! thousand passages more, of cached embeddings of real photographs, are asked of the same station.
//!
//! People are photographs: of a research set where one is given, of the demo else. A picture of a photograph is what liveness
//! is there to refuse, so only those take part whose rendered walk-up the gate's own engine finds to be alive; how many were
//! not is said. Riders enrolled with several photographs, as enrolment asks for, walk first. What this measures is the gate's
//! time and its mistakes, not how many real people it would know.

mod cached;
pub mod likeness;
pub mod line;
pub mod people;
mod place;
pub mod queue;
pub mod scene;
mod stream;
pub mod tally;
mod walkers;
pub mod walkup;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use facegate_domain::code::CodeIssuer;
use facegate_models::{EngineOptions, FaceEngine};
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::city::Decision;
use crate::demo::say;
use line::{Line, Stream};
use people::Everybody;
use place::{Enrolled, Place};
use queue::Means;
use stream::{Arrivals, Outcome, Walk};
use walkers::Walkers;

/// Passers-by who are not enrolled: from and to.
const STRANGERS: (f64, f64) = (0.85, 0.99);
/// Where the development half of Labeled Faces in the Wild lies for those who have it.
const LFW_DEFAULT: &str = "../shared/data/lfw/lfw-dev.tar";
/// How long the last records may take to the cloud.
const HANDED_ON_WITHIN: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, clap::Args)]
pub struct FlowOptions {
    /// How long people walk: an eighth of it through each of three aisles alone, the rest through all four at once.
    #[arg(long, default_value_t = 16.0)]
    pub minutes: f64,
    /// Riders of the city, those who walk among them.
    #[arg(long, default_value_t = 3_000_000)]
    pub n: usize,
    /// Passages with cached embeddings.
    #[arg(long, default_value_t = 100_000)]
    pub cached: usize,
    /// People of each kind who walk before cameras.
    #[arg(long, default_value_t = 150)]
    pub walkers: usize,
    /// A tar of photographs, one folder to a person [default: Labeled Faces in the Wild where it lies beside the project,
    /// else the demo's four people walk]
    #[arg(long)]
    pub photographs: Option<PathBuf>,
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// A rough answer: one minute, 20,000 riders, 2,000 cached passages, 20 walkers of 300 photographs.
    #[arg(long)]
    pub quick: bool,
    /// Non-zero exit after a false or a double charge.
    #[arg(long)]
    pub check: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    passengers_per_minute_face: f64,
    passengers_per_minute_mixed: f64,
    passengers_per_minute_code: f64,
    passages: usize,
    passages_real_pipeline: usize,
    distinct_people: usize,
    false_charges: usize,
    /// Upper end of the one-sided 95 % interval of the share of people whom nobody knows that are charged. Passages of
    /// one person are not independent, so it rests on the number of people.
    false_charge_upper_95_per_million: f64,
    double_charges: usize,
    /// Bodies that went through without a tap.
    missing_taps: usize,
    decision_ms_p50: f64,
    decision_ms_p99: f64,
    first_usable_ms_p50: f64,
    code_ms_p99: f64,
    by_face: usize,
    /// Let through, stepped in, and back.
    turned_back: usize,
    /// Left without having been let through.
    left: usize,
    tailgaters: usize,
    /// Who came with the print of a rider before his face, and who of them got through.
    prints: usize,
    prints_let_through: usize,
    not_enrolled_share: f64,
    walkers_not_live: usize,
    n: usize,
}

pub async fn run(options: &FlowOptions, home: &Path, folder: &Path) -> Result<()> {
    let options = options.clone().resolved();
    say("looking at the photographs…");
    let engine = Arc::new(FaceEngine::load(&home.join("models"), EngineOptions::default())?);
    let all = everybody(&engine, &options, home).await?;
    let issuer = CodeIssuer::from_secret(&rand::random());
    let public = issuer.public();
    let (looking, known, most, seed) = (Arc::clone(&engine), Arc::clone(&all), options.walkers, options.seed);
    let gathered = tokio::task::spawn_blocking(move || Walkers::gather(&looking, &known, &issuer, most, seed));
    let walkers = Arc::new(gathered.await??);
    drop(engine);
    say("taking pictures of who comes behind whom…");
    let lines = lines(&walkers, &all, &options).await?;
    let templates: Vec<_> = all.people.iter().filter_map(|person| person.template.clone()).collect();
    let count = options.n.max(templates.len());
    let likeness = likeness::Likeness::of(&all.embeddings)?;
    say(&format!("the station takes {count} riders, {} of them real…", templates.len()));
    let gates = Stream::ALL.map(|stream| (stream.name(), stream.direction()));
    let enrolled = Enrolled { templates, likeness, count, issuer: public };
    let mut place = Place::start(home, folder, enrolled, &gates).await?;
    say(&format!("four gates are open; people walk for {} minutes", options.minutes));
    let walked = walk(&place, &lines, &walkers, &options).await?;
    let tally = tallied(&place, &walked, &walkers).await?;
    say(&format!("{} went through, {} by face; now the cached passages", tally.taps, tally.by_face));
    tally.false_taps.iter().for_each(|tap| say(&format!("FALSELY CHARGED: {tap}")));
    let cached = cached::pass(&place, &all, options.cached, STRANGERS, options.seed).await?;
    place.stop().await?;
    let report = report(&walked, &tally, &cached, &walkers, count)?;
    println!("{}", serde_json::to_string(&report)?);
    if options.check && (report.false_charges > 0 || report.double_charges > 0 || report.missing_taps > 0) {
        bail!("somebody was charged who should not have been, or passed without a tap");
    }
    Ok(())
}

impl FlowOptions {
    fn resolved(mut self) -> Self {
        self.photographs = self.photographs.or_else(|| Some(PathBuf::from(LFW_DEFAULT)).filter(|set| set.is_file()));
        if self.quick {
            self.minutes = self.minutes.min(1.0);
            self.n = self.n.min(20_000);
            self.cached = self.cached.min(2_000);
            self.walkers = self.walkers.min(20);
        }
        self
    }
}

async fn everybody(engine: &Arc<FaceEngine>, options: &FlowOptions, home: &Path) -> Result<Arc<Everybody>> {
    let (engine, people, seed) = (Arc::clone(engine), home.join("people"), options.seed);
    let (set, photographs_max) = (options.photographs.clone(), if options.quick { 300 } else { usize::MAX });
    let looked = tokio::task::spawn_blocking(move || match set {
        Some(set) => Everybody::of_tar(&engine, &set, photographs_max, seed),
        None => Everybody::of_demo(&engine, &people, seed),
    });
    Ok(Arc::new(looked.await.context("looking at the photographs")??))
}

/// A line for each stream.
async fn lines(walkers: &Arc<Walkers>, all: &Arc<Everybody>, options: &FlowOptions) -> Result<Vec<Arc<Line>>> {
    let (walkers, all, length, seed) = (Arc::clone(walkers), Arc::clone(all), options.walkers, options.seed);
    let draw = move || Stream::ALL.map(|stream| Line::draw(stream, &walkers, &all, length, seed)).into_iter().collect();
    let lines: Result<Vec<Line>> = tokio::task::spawn_blocking(draw).await.context("taking pictures")?;
    Ok(lines?.into_iter().map(Arc::new).collect())
}

/// Through one aisle after the other, then through all at once.
struct Walked {
    alone: Vec<Outcome>,
    together: Vec<Outcome>,
}

impl Walked {
    fn all(&self) -> impl Iterator<Item = &Outcome> {
        self.alone.iter().chain(&self.together)
    }
}

/// Streams whose passengers a minute are told.
const ALONE: [Stream; 3] = [Stream::Face, Stream::Mixed, Stream::Code];

async fn walk(place: &Place, lines: &[Arc<Line>], walkers: &Arc<Walkers>, options: &FlowOptions) -> Result<Walked> {
    let length = Duration::from_secs_f64(options.minutes * 60.0);
    let alone_for = length.mul_f64(1.0 / 8.0);
    let through = |stream: Stream, arrivals: Arrivals, length: Duration| {
        let seed = options.seed.wrapping_mul(31).wrapping_add(stream as u64 * 2 + arrivals as u64);
        let (gate, line) = (place.gates[stream as usize].clone(), Arc::clone(&lines[stream as usize]));
        stream::walk(gate, line, Arc::clone(walkers), Walk { arrivals, length, seed })
    };
    let mut alone = Vec::new();
    for stream in ALONE {
        alone.push(told(through(stream, Arrivals::Dense, alone_for).await?, "alone"));
    }
    let rest = length.saturating_sub(alone_for * 3);
    let streams: Vec<_> = Stream::ALL.map(|stream| tokio::spawn(through(stream, Arrivals::Crowd, rest))).into();
    let mut together = Vec::new();
    for stream in streams {
        together.push(told(stream.await.context("a stream of people ended early")??, "beside three others"));
    }
    Ok(Walked { alone, together })
}

/// Says what came of a stream, and why faces and codes were refused.
fn told(outcome: Outcome, how: &str) -> Outcome {
    let mut refusals: BTreeMap<String, usize> = BTreeMap::new();
    for decision in outcome.decisions.iter().filter(|decision| decision.kind == "refused") {
        let named = [&decision.medium, &decision.reason].map(|name| name.as_deref().unwrap_or("unnamed"));
        *refusals.entry(named.join(" ")).or_default() += 1;
    }
    let (name, per_minute, left) = (outcome.stream.name(), outcome.per_minute(), outcome.left.len());
    let (back, tailgaters) = (outcome.turned_back.len(), outcome.tailgaters);
    eprintln!(
        "{name} {how}: {per_minute:.1} a minute, {left} left, {back} stepped back, {tailgaters} tailgated; refused {refusals:?}"
    );
    outcome
}

/// Waits until what the gates wrote has been handed on.
async fn tallied(place: &Place, walked: &Walked, walkers: &Walkers) -> Result<tally::Tally> {
    let truth = tally::truth(walked.all(), walkers);
    let deadline = tokio::time::Instant::now() + HANDED_ON_WITHIN;
    loop {
        let records = place.fed.delivered.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let tally = tally::tally(&records, &truth);
        if tally.missing == 0 || tokio::time::Instant::now() > deadline {
            return Ok(tally);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn report(
    walked: &Walked,
    tally: &tally::Tally,
    cached: &cached::Passages,
    walkers: &Walkers,
    n: usize,
) -> Result<Report> {
    let per_minute = |wanted: Stream| {
        let alone = walked.alone.iter().find(|outcome| outcome.stream == wanted);
        alone.map_or(0.0, Outcome::per_minute)
    };
    let let_through = walked.all().flat_map(|outcome| &outcome.crossed);
    let prints_let_through = let_through.filter(|body| body.means == Means::Print).count();
    // With four gates alive: alone each is faster.
    let decisions: Vec<&Decision> = walked.together.iter().flat_map(|outcome| &outcome.decisions).collect();
    let of_medium = |medium: &'static str| decisions.iter().filter(move |d| d.medium.as_deref() == Some(medium));
    let face = histogram(of_medium("face").filter(|d| d.kind == "granted").filter_map(|d| d.decision_ms))?;
    let first = histogram(of_medium("face").filter(|d| d.kind == "granted").filter_map(|d| d.first_usable_ms))?;
    let code = histogram(of_medium("code").filter_map(|d| d.decision_ms))?;
    let bodies = walked.all().flat_map(|o| o.crossed.iter().map(|c| c.who).chain(o.left.iter().map(|(who, _)| *who)));
    let who: Vec<usize> = bodies.collect();
    let strangers = who.iter().filter(|who| !walkers.is_enrolled(**who)).count() + cached.not_enrolled;
    let passages = who.len() + cached.asked;
    let distinct_people = cached.distinct_strangers;
    #[expect(clippy::cast_precision_loss, reason = "counts of people")]
    let share = strangers as f64 / passages.max(1) as f64;
    let false_charges = tally.false_charges + cached.false_charges;
    Ok(Report {
        passengers_per_minute_face: per_minute(Stream::Face),
        passengers_per_minute_mixed: per_minute(Stream::Mixed),
        passengers_per_minute_code: per_minute(Stream::Code),
        passages,
        passages_real_pipeline: who.len(),
        distinct_people,
        false_charges,
        false_charge_upper_95_per_million: upper_95(false_charges, distinct_people) * 1e6,
        double_charges: tally.double_charges,
        missing_taps: tally.missing,
        decision_ms_p50: at(&face, 0.5),
        decision_ms_p99: at(&face, 0.99),
        first_usable_ms_p50: at(&first, 0.5),
        code_ms_p99: at(&code, 0.99),
        by_face: tally.by_face,
        turned_back: walked.all().map(|outcome| outcome.turned_back.len()).sum(),
        left: walked.all().map(|outcome| outcome.left.len()).sum(),
        tailgaters: walked.all().map(|outcome| outcome.tailgaters).sum(),
        prints: prints_let_through + walked.all().flat_map(|o| &o.left).filter(|(_, m)| *m == Means::Print).count(),
        prints_let_through,
        not_enrolled_share: share,
        walkers_not_live: walkers.not_live,
        n,
    })
}

/// The greatest share at which so few of so many are as likely as one in twenty (Clopper and Pearson).
#[expect(clippy::cast_precision_loss, reason = "counts of people")]
fn upper_95(few: usize, many: usize) -> f64 {
    if few >= many {
        return 1.0;
    }
    let at_most_few = |share: f64| {
        let mut term = many as f64 * (-share).ln_1p();
        let mut sum = term.exp();
        for k in 1..=few {
            term += ((many - k + 1) as f64 / k as f64).ln() + share.ln() - (-share).ln_1p();
            sum += term.exp();
        }
        sum
    };
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        (low, high) = if at_most_few(middle) > 0.05 { (middle, high) } else { (low, middle) };
    }
    high
}

/// Of milliseconds, kept as microseconds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "microseconds of a decision")]
fn histogram(of: impl Iterator<Item = f64>) -> Result<Histogram<u64>> {
    let mut histogram = Histogram::new_with_bounds(1, 120_000_000, 3)?;
    of.for_each(|ms| histogram.saturating_record((ms * 1e3) as u64));
    Ok(histogram)
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of a decision")]
fn at(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    histogram.value_at_quantile(quantile) as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_the_exact_one_also_after_a_false_charge() {
        let near = |(few, many), expected: f64| (upper_95(few, many) / expected - 1.0).abs() < 0.005;
        // The rule of three, and tabulated values.
        assert!(near((0, 1000), 2.991e-3) && near((1, 1000), 4.735e-3) && near((2, 100), 6.162e-2));
        assert_eq!((upper_95(0, 0), upper_95(3, 3)), (1.0, 1.0));
    }
}
