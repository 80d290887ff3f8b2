//! From a probe to an answer: search, decide, and the deny list.

use std::sync::Arc;

use facegate_domain::face::Embedding;
use facegate_domain::operation::StationMode;
use facegate_domain::policy::Refusal;
use facegate_domain::score::Verdict;
use facegate_domain::tap::{Direction, Evidence};
use facegate_gallery::Identified;
use facegate_proto::convert::station::Answer;
use facegate_runtime::clock::Stopwatch;
use facegate_runtime::simulation;

use crate::facts::Facts;
use crate::lease::NoFaces;
use crate::metrics;
use crate::station::{Station, StationError};

/// Who this is, within the deadline. `frames` were fused into the probe; they weigh its score and go into the evidence.
pub async fn identify(
    station: &Arc<Station>,
    probe: Embedding,
    frames: u32,
    direction: Direction,
) -> Result<Answer, StationError> {
    if let Err(refusal) = station.may_authorise() {
        metrics::refused(refusal);
        return Ok(Answer::Refused(refusal));
    }
    let stopwatch = Stopwatch::start();
    // Before the lease: a closed station has nothing to recognise.
    if station.facts().mode() == StationMode::Closed {
        metrics::refused(Refusal::StationClosed);
        return Ok(Answer::Refused(Refusal::StationClosed));
    }
    let facts = station.searchable()?;
    let searched = Arc::clone(&facts);
    let now = station.clock.now();
    let found = search(station, move || {
        let gallery = searched.gallery().ok_or(NoFaces::Opening)?;
        Ok::<_, StationError>(gallery.identify_and_compare(&probe, frames, direction, now)?)
    });
    let Identified { verdict, needs_its_tier } = found.await??;
    let answer = match answer(&facts, verdict, frames) {
        // Whoever is inside may leave: only the next ride is asked for.
        Answer::Granted { rider, .. } if direction == Direction::Entry && facts.is_capped(rider, now) => {
            Answer::Refused(Refusal::CodeAsked)
        }
        answer => answer,
    };
    metrics::identified(stopwatch.elapsed());
    match &answer {
        Answer::Granted { evidence: Some(Evidence::Face { tier, risk, .. }), .. } => {
            station.figures.decided(*tier, *risk, needs_its_tier);
        }
        Answer::Refused(reason) => metrics::refused(*reason),
        Answer::Granted { .. } => (),
    }
    Ok(answer)
}

/// An entrance camera saw this face. Whoever is not recognised is dropped here.
pub async fn sight(station: &Arc<Station>, probe: Embedding, frames: u32) -> Result<(), StationError> {
    let facts = station.facts();
    let on = facts.settings().sightings_enabled.unwrap_or(station.config.sightings_enabled);
    if !on || facts.mode() == StationMode::Closed {
        return Ok(());
    }
    let keep = station.config.sightings_keep;
    let facts = station.searchable()?;
    let now = station.clock.now();
    let recognised = search(station, move || {
        let gallery = facts.gallery().ok_or(NoFaces::Opening)?;
        Ok::<_, StationError>(gallery.sight(&probe, frames, now.plus(keep), now)?)
    });
    metrics::sighted(recognised.await??);
    Ok(())
}

fn answer(facts: &Facts, verdict: Verdict, frames: u32) -> Answer {
    match verdict {
        Verdict::Recognised(seen) if facts.is_denied(seen.rider) => Answer::Refused(Refusal::DenyListed),
        Verdict::Recognised(seen) => {
            let evidence = Evidence::Face { similarity: seen.similarity, tier: seen.tier, risk: seen.risk, frames };
            Answer::Granted { rider: seen.rider, evidence: Some(evidence) }
        }
        Verdict::Unknown { .. } => Answer::Refused(Refusal::NotRecognised),
        Verdict::Ambiguous { .. } => Answer::Refused(Refusal::Ambiguous),
    }
}

/// Runs a search on a blocking thread, so that the other calls are not held up. The gallery searches for those who wait
/// together.
async fn search<T: Send + 'static>(
    station: &Arc<Station>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StationError> {
    let slot = Arc::clone(&station.searches).acquire_owned();
    let searching = async {
        let slot = slot.await.map_err(|_| StationError::Busy)?;
        let task = simulation::blocking(move || {
            let result = work();
            drop(slot);
            result
        });
        task.await.map_err(|_| StationError::Panicked)
    };
    let deadline = station.config.identify_deadline;
    tokio::time::timeout(deadline, searching).await.map_err(|_| StationError::Busy)?
}
