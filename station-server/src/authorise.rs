//! Ride codes at the station: replay and deny list. The gate has verified the signatures already.

use facegate_domain::Timestamp;
use facegate_domain::ids::RiderId;
use facegate_domain::operation::StationMode;
use facegate_domain::policy::Refusal;
use facegate_proto::convert::station::Answer;

use crate::metrics;
use crate::station::{Station, StationError};
use crate::store::Spent;

/// Spends the code, durably, before it says yes: after a crash the code is still spent.
pub async fn present_code(
    station: &Station,
    rider: RiderId,
    nonce: [u8; 8],
    issued_at: Timestamp,
) -> Result<Answer, StationError> {
    let facts = station.facts();
    let answer = if let Err(refusal) = station.may_authorise() {
        Answer::Refused(refusal)
    } else if facts.mode() == StationMode::Closed {
        Answer::Refused(Refusal::StationClosed)
    } else if facts.is_denied(rider) {
        Answer::Refused(Refusal::DenyListed)
    } else {
        match station.store.codes.spend(nonce, issued_at, station.clock.now(), station.config.code_memory)? {
            Spent::Now => {
                station.store.commit().await?;
                Answer::Granted { rider, evidence: None }
            }
            Spent::Before => Answer::Refused(Refusal::CodeReplayed),
            Spent::BeyondMemory => Answer::Refused(Refusal::CodeExpired),
        }
    };
    if let Answer::Refused(reason) = &answer {
        metrics::refused(*reason);
    }
    Ok(answer)
}
