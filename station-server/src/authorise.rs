//! Ride codes at the station: replay and deny list, and in aisles that ask for both whether the face is its rider's. The
//! gate has verified the signatures already.

use facegate_domain::code::VerifiedCode;
use facegate_domain::face::Embedding;
use facegate_domain::operation::StationMode;
use facegate_domain::policy::Refusal;
use facegate_domain::score::Tier;
use facegate_domain::tap::Evidence;
use facegate_proto::convert::station::Answer;

use crate::lease::NoFaces;
use crate::metrics;
use crate::station::{Station, StationError};
use crate::store::Spent;

/// A face, and of how many frames.
pub type Face = (Embedding, u32);

/// Spends the code, durably, before it says yes: after a crash the code is still spent. One that somebody else's `face` is
/// shown with is not spent: its rider may be the next one.
pub async fn present_code(station: &Station, code: VerifiedCode, face: Option<Face>) -> Result<Answer, StationError> {
    let answer = match may_pass(station, &code) {
        Err(refusal) => Answer::Refused(refusal),
        Ok(()) => match face.map(|face| verify(station, &code, face)).transpose()? {
            Some(Err(refusal)) => Answer::Refused(refusal),
            Some(Ok(evidence)) => spend(station, &code, Some(evidence)).await?,
            None => spend(station, &code, None).await?,
        },
    };
    if let Answer::Refused(reason) = &answer {
        metrics::refused(*reason);
    }
    Ok(answer)
}

fn may_pass(station: &Station, code: &VerifiedCode) -> Result<(), Refusal> {
    station.may_authorise()?;
    let facts = station.facts();
    if facts.mode() == StationMode::Closed {
        return Err(Refusal::StationClosed);
    }
    if facts.is_denied(code.rider) { Err(Refusal::DenyListed) } else { Ok(()) }
}

/// One against one: a few comparisons, done at once.
fn verify(
    station: &Station,
    code: &VerifiedCode,
    (probe, frames): Face,
) -> Result<Result<Evidence, Refusal>, StationError> {
    let facts = station.searchable()?;
    let gallery = facts.gallery().ok_or(NoFaces::Opening)?;
    Ok(match gallery.verify_claim(&probe, frames, code.rider)? {
        Some(seen) if seen.is_his => {
            Ok(Evidence::Face { similarity: seen.similarity, tier: Tier::City, risk: seen.false_match, frames })
        }
        Some(_) => Err(Refusal::FaceDiffers),
        // Whoever goes by code alone has another aisle.
        None => Err(Refusal::NotRecognised),
    })
}

async fn spend(station: &Station, code: &VerifiedCode, evidence: Option<Evidence>) -> Result<Answer, StationError> {
    let (now, memory) = (station.clock.now(), station.config.code_memory);
    Ok(match station.store.codes.spend(code.nonce, code.issued_at, now, memory)? {
        Spent::Now => {
            station.store.commit().await?;
            Answer::Granted { rider: code.rider, evidence }
        }
        Spent::Before => Answer::Refused(Refusal::CodeReplayed),
        Spent::BeyondMemory => Answer::Refused(Refusal::CodeExpired),
    })
}
