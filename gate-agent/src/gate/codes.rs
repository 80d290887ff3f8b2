//! What the gate does about a code, in a frame or from the reader.

use facegate_domain::code::{CodeError, VerifiedCode, verify};
use facegate_domain::policy::Refusal;
use facegate_domain::tap::{Evidence, Medium};
use facegate_proto::convert::station::Answer;

use super::Gate;
use crate::board::Outcome;
use crate::code::refusal_of;
use crate::config::OfflineCodes;
use crate::lane::Lane;
use crate::latency::Took;
use crate::station::StationError;

impl Gate {
    /// True if the frame is dealt with: somebody shows a ride code, and his face is not searched.
    pub(super) async fn on_code(&mut self, text: &str, captured_ms: u64) -> bool {
        let policy = self.policy.codes;
        if self.codes.is_repeat(text, captured_ms) {
            self.approach.seen(captured_ms);
            return self.approach.is_concluded();
        }
        let verified = {
            let keys = self.parts.issuer_keys.borrow();
            verify(text, &keys, self.now(), policy.tolerance)
        };
        let took = self.code_took(captured_ms);
        match verified {
            Err(CodeError::NotOurs) => {
                self.approach.seen(captured_ms);
                self.refuse(Medium::Code, Refusal::CodeNotOurs, took).await;
                // Another system's QR may be printed on a coat: the face above it still counts.
                return false;
            }
            Err(error) => {
                tracing::info!(%error, "code refused");
                self.conclude_code(captured_ms);
                self.refuse(Medium::Code, refusal_of(&error), took).await;
            }
            Ok(code) if self.policy.lane == Lane::CodeWithFace => self.claim(code, captured_ms).await,
            Ok(code) => {
                self.conclude_code(captured_ms);
                self.on_verified_code(code, captured_ms).await;
            }
        }
        true
    }

    /// Until now, from the frame that showed the code.
    pub(super) fn code_took(&self, captured_ms: u64) -> Took {
        Took { decision_ms: Some(self.ms_since(captured_ms)), first_usable_ms: None }
    }

    async fn on_verified_code(&mut self, code: VerifiedCode, captured_ms: u64) {
        if self.has_just_tapped(code.rider, self.now_ms()) {
            return self.parts.board.decided(self.now(), Outcome::Merged, self.code_took(captured_ms));
        }
        let answer = self.check_code(&code).await;
        let took = self.code_took(captured_ms);
        match answer {
            Ok(checked_online) => {
                let evidence = Evidence::Code { nonce: code.nonce, checked_online, face: None };
                self.grant(code.rider, evidence, took).await;
                // Whoever was not admitted may show it again.
                if self.parts.door.lets_through(code.rider) {
                    self.codes.spend(code.nonce, self.now());
                }
            }
            Err(refusal) => self.refuse(Medium::Code, refusal, took).await,
        }
    }

    /// Replay and deny list, at the station if it answers in time. `Ok(false)`: let through by the offline rule.
    async fn check_code(&mut self, code: &VerifiedCode) -> Result<bool, Refusal> {
        if self.codes.is_spent(&code.nonce) {
            return Err(Refusal::CodeReplayed);
        }
        if let Some(fault) = self.unready() {
            self.parts.board.fault(Some(fault));
            return Err(Refusal::GateFault);
        }
        match self.parts.station.present_code(code, None, self.policy.direction).await {
            Ok(Answer::Granted { rider, .. }) if rider == code.rider => Ok(true),
            Ok(Answer::Granted { .. }) => {
                self.parts.board.fault(Some("the station granted a code to another rider".into()));
                Err(Refusal::GateFault)
            }
            Ok(Answer::Refused(refusal)) => Err(refusal),
            Err(StationError::Unreachable(reason)) => self.offline_rule(&reason).map(|()| false),
            Err(error) => Err(self.refusal_of(&error)),
        }
    }

    /// Whether a valid code may pass though nobody could be asked about replay and deny list.
    fn offline_rule(&self, reason: &str) -> Result<(), Refusal> {
        let OfflineCodes::AcceptFor(longest) = self.policy.codes.offline else {
            return Err(Refusal::StationUnreachable);
        };
        let alone = self.now().since(self.parts.memory.last_contact());
        if alone > longest {
            tracing::error!(reason, alone_s = alone.as_secs(), "code refused: the station has been away for too long");
            return Err(Refusal::OfflineTooLong);
        }
        tracing::warn!(reason, "code accepted by the offline rule");
        Ok(())
    }

    /// The approach is the code's from now on.
    pub(super) fn conclude_code(&mut self, captured_ms: u64) {
        self.approach.seen(captured_ms);
        self.approach.conclude(self.now_ms(), false);
    }
}
