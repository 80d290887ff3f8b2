//! Aisles that ask for both: the code says who it is, then the face has to be his.

use facegate_domain::code::VerifiedCode;
use facegate_domain::face::Embedding;
use facegate_domain::policy::Refusal;
use facegate_domain::tap::{Evidence, Medium};
use facegate_proto::convert::station::Answer;

use super::Gate;
use crate::board::Outcome;
use crate::decide::{Claim, Evidence as Gathered};
use crate::lane::Lane;
use crate::station::StationError;

/// How long a code waits for the face of its rider.
const CLAIM_LASTS_MS: u64 = 4000;

/// A verified code whose rider's face is awaited.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claimed {
    code: VerifiedCode,
    at_ms: u64,
}

impl Gate {
    /// Somebody says by his code who he is.
    pub(super) async fn claim(&mut self, code: VerifiedCode, captured_ms: u64) {
        let took = self.code_took(captured_ms);
        self.approach.seen(captured_ms);
        if self.has_just_tapped(code.rider, self.now_ms()) {
            return self.parts.board.decided(self.now(), Outcome::Merged, took);
        }
        if self.codes.is_spent(&code.nonce) {
            return self.refuse(Medium::Code, Refusal::CodeReplayed, took).await;
        }
        // He was asked for it, or was not the rider of the one before: he is looked at anew.
        if self.approach.is_concluded() {
            self.approach = self.new_approach();
            self.approach.seen(captured_ms);
        }
        self.claimed = Some(Claimed { code, at_ms: self.now_ms() });
        // The phone may stay in view: now the face counts.
        self.parts.pipeline.attention.set(true, false);
        self.consider(false).await;
    }

    /// What the approach shows, and whether a code says whose it is.
    pub(super) fn gathered(&mut self, ended: bool) -> Gathered {
        let has_waited_in_vain = self.claimed.is_some() && !self.awaits_a_face(self.now_ms());
        let claim = match (self.policy.lane, &self.claimed) {
            (Lane::CodeWithFace, Some(_)) => Claim::Made,
            (Lane::CodeWithFace, None) => Claim::Awaited,
            _ => Claim::NotNeeded,
        };
        Gathered { claim, ..self.approach.evidence(ended || has_waited_in_vain) }
    }

    /// A code was shown just now, and its rider may still look up.
    fn awaits_a_face(&self, now_ms: u64) -> bool {
        self.claimed.is_some_and(|claimed| now_ms.saturating_sub(claimed.at_ms) <= CLAIM_LASTS_MS)
    }

    /// Nobody is there any more.
    pub(super) fn has_ended(&self, now_ms: u64) -> bool {
        self.approach.has_ended(now_ms) && !self.awaits_a_face(now_ms)
    }

    /// The next code counts.
    pub(super) fn drop_claim(&mut self) {
        if self.claimed.take().is_some() {
            self.attend_to_lane();
        }
    }

    /// One against one. The station spends the code only for its rider's face.
    pub(super) async fn verify_claim(&mut self, probe: &Embedding, frames: u32, ended: bool) {
        let Some(Claimed { code, .. }) = self.claimed else { return };
        let answer = self.parts.station.present_code(&code, Some((probe, frames)), self.policy.direction).await;
        match answer {
            Ok(Answer::Granted { rider, evidence: Some(Evidence::Face { similarity, .. }) }) if rider == code.rider => {
                let took = self.took(ended);
                let evidence = Evidence::Code { nonce: code.nonce, checked_online: true, face: Some(similarity) };
                self.drop_claim();
                self.grant(rider, evidence, took).await;
                if self.parts.door.lets_through(rider) {
                    self.codes.spend(code.nonce, self.now());
                }
            }
            // Another frame may do; the code is not spent.
            Ok(Answer::Refused(Refusal::FaceDiffers)) => self.approach.searched_in_vain(Refusal::FaceDiffers),
            Ok(Answer::Refused(refusal)) => self.refuse_face(refusal, ended).await,
            Ok(Answer::Granted { .. }) => {
                let fault = "the station compares no face with a code: it is older than this gate";
                self.parts.board.fault(Some(fault.into()));
                self.refuse_face(Refusal::GateFault, ended).await;
            }
            // By the code alone nobody passes here, offline rule or not.
            Err(error @ StationError::Unreachable(_)) => {
                tracing::warn!(%error, "no face can be compared with its code");
                self.refuse_face(Refusal::StationUnreachable, ended).await;
            }
            Err(error) => {
                let refusal = self.refusal_of(&error);
                self.refuse_face(refusal, ended).await;
            }
        }
    }
}
