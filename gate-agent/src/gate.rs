//! The gate itself: looks come in, decisions go out, one at a time.

mod claims;
mod codes;
mod readers;
mod taps;
mod told;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use facegate_domain::code::IssuerKey;
use facegate_domain::gate::Rest;
use facegate_domain::ids::RiderId;
use facegate_domain::policy::Refusal;
use facegate_domain::tap::{Authorisation, Direction, Evidence, Medium, PassageOutcome};
use facegate_domain::{Clock, Timestamp};
use facegate_models::liveness::LivenessJudge;
use facegate_proto::convert::station::Answer;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::admission::Admission;
use crate::approach::{Approach, ApproachPolicy, is_mendable};
use crate::board::{Board, Outcome, Phase};
use crate::code::spent::SpentCodes;
use crate::config::CodePolicy;
use crate::decide::{DecisionPolicy, GateCommand, decide};
use crate::door::{Blocked, Concluded, Door};
use crate::journal::GateJournal;
use crate::lane::Lane;
use crate::latency::Took;
use crate::memory::{Memory, Told};
use crate::pipeline::Pipeline;
use crate::reader::ReaderEvent;
use crate::station::{Station, StationError};
use crate::vision::Look;

/// How often silence is listened to.
const TICK: Duration = Duration::from_millis(50);
/// How often the screen is told what the gate can do when nobody is there.
const REST_EVERY_MS: u64 = 1000;

/// How this gate decides.
#[derive(Debug, Clone, Copy)]
pub struct GatePolicy {
    pub direction: Direction,
    pub approach: ApproachPolicy,
    pub decision: DecisionPolicy,
    pub codes: CodePolicy,
    pub lane: Lane,
}

/// What the gate works with.
pub struct GateParts {
    pub pipeline: Pipeline,
    pub door: Door,
    pub station: Arc<dyn Station>,
    pub journal: Arc<GateJournal>,
    pub memory: Memory,
    pub board: Arc<Board>,
    pub clock: Arc<dyn Clock>,
    pub issuer_keys: watch::Receiver<Vec<IssuerKey>>,
    pub told: watch::Receiver<Told>,
    pub admission: Admission,
    pub judge: Arc<LivenessJudge>,
    /// What the code reader says, if there is one.
    pub reader: Option<mpsc::Receiver<ReaderEvent>>,
}

/// See the module's description.
pub struct Gate {
    policy: GatePolicy,
    parts: GateParts,
    approach: Approach,
    codes: SpentCodes,
    /// In an aisle that asks for both.
    claimed: Option<claims::Claimed>,
    last_taps: VecDeque<taps::LastTap>,
    /// Frames captured before are of the rider who has just passed.
    idle_since_ms: u64,
    rested_ms: u64,
}

impl Gate {
    pub fn new(policy: GatePolicy, parts: GateParts) -> Self {
        let tolerance = policy.codes.tolerance;
        let mut codes = SpentCodes::new(tolerance.valid_for + 2 * tolerance.clock_skew, policy.approach.gap_ms);
        parts.journal.nonces().into_iter().for_each(|(nonce, at)| codes.spend(nonce, at));
        let approach = Approach::new(policy.approach, Arc::clone(&parts.judge));
        let gate = Self {
            policy,
            parts,
            approach,
            codes,
            claimed: None,
            last_taps: VecDeque::new(),
            idle_since_ms: 0,
            rested_ms: 0,
        };
        gate.attend_to_lane();
        gate
    }

    /// Runs until `shutdown`. A step that has begun (a decision, a record) is finished first.
    pub async fn run(mut self, shutdown: CancellationToken) {
        if self.follow_told().await {
            return;
        }
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                signal = self.parts.door.next_signal() => {
                    let took_a_rider = self.parts.door.takes_a_rider();
                    let concluded = self.parts.door.on_signal(signal).await;
                    self.after(&concluded, took_a_rider);
                }
                Ok(()) = self.parts.told.changed() => if self.follow_told().await { return },
                look = self.parts.pipeline.next() => match look {
                    Some(look) => self.on_look(look).await,
                    None => return,
                },
                event = readers::heard(&mut self.parts.reader) => self.on_reader(event).await,
                _ = tick.tick() => self.on_tick().await,
            }
            self.parts.pipeline.attention.decided(self.approach.is_concluded());
        }
    }

    async fn on_look(&mut self, look: Look) {
        if !self.parts.door.takes_a_rider() || look.captured_ms < self.idle_since_ms {
            return;
        }
        if self.has_ended(look.captured_ms) {
            self.end_approach().await;
        }
        if look.code.is_some() && self.parts.door.is_undecided() {
            return self.approach.seen(look.captured_ms);
        }
        if let Some(text) = &look.code
            && self.on_code(text, look.captured_ms).await
        {
            return;
        }
        if self.approach.observe(look.captured_ms, look.face) {
            self.consider(false).await;
        }
    }

    async fn on_tick(&mut self) {
        let now_ms = self.now_ms();
        let took_a_rider = self.parts.door.takes_a_rider();
        let concluded = self.parts.door.tick().await;
        self.after(&concluded, took_a_rider);
        if now_ms.saturating_sub(self.rested_ms) > REST_EVERY_MS {
            self.rested_ms = now_ms;
            self.rest_if_idle();
        }
        // A frame still on its way may show that he is there yet.
        if self.parts.pipeline.is_idle() && self.has_ended(now_ms) {
            self.end_approach().await;
        }
        if self.approach.deserves_second_chance(now_ms) {
            self.approach = self.new_approach();
        }
    }

    fn new_approach(&self) -> Approach {
        Approach::new(self.policy.approach, Arc::clone(&self.parts.judge))
    }

    async fn end_approach(&mut self) {
        // Of an approach that began before somebody else was found in the open door, nothing is decided.
        if self.parts.door.takes_a_rider() {
            self.consider(true).await;
        }
        if self.parts.door.takes_a_rider() {
            self.parts.door.left().await;
            self.begin_anew();
        }
    }

    /// Follows the decision as far as the frames at hand carry.
    async fn consider(&mut self, ended: bool) {
        while !self.approach.is_concluded() {
            match decide(&self.gathered(ended), &self.policy.decision) {
                // As soon as the one before him is past the first beam.
                GateCommand::Search if self.parts.door.is_undecided() => return,
                GateCommand::Search => self.search(ended).await,
                GateCommand::Refuse(refusal) => return self.refuse_face(refusal, ended).await,
                GateCommand::Forget => return,
                GateCommand::Wait => {
                    if self.approach.is_active() && !self.parts.door.is_busy() {
                        self.parts.door.approached();
                        self.parts.board.phase(Phase::Looking);
                    }
                    return;
                }
            }
        }
    }

    async fn search(&mut self, ended: bool) {
        let Some((probe, frames)) = self.approach.probe() else {
            return self.refuse_face(Refusal::TooFewFrames, ended).await;
        };
        if let Some(fault) = self.unready() {
            self.parts.board.fault(Some(fault));
            return self.refuse_face(Refusal::GateFault, ended).await;
        }
        self.parts.door.asked();
        if self.policy.lane == Lane::CodeWithFace {
            return self.verify_claim(&probe, frames, ended).await;
        }
        match self.parts.station.identify(&probe, frames, self.policy.direction).await {
            Ok(Answer::Granted { rider, evidence: Some(evidence) }) => {
                let took = self.took(ended);
                self.grant(rider, evidence, took).await;
            }
            Ok(Answer::Refused(Refusal::NotRecognised)) => self.approach.searched_in_vain(Refusal::NotRecognised),
            Ok(Answer::Refused(refusal)) => self.refuse_face(refusal, ended).await,
            Ok(Answer::Granted { evidence: None, .. }) => {
                self.parts.board.fault(Some("the station recognised a face without evidence".into()));
                self.refuse_face(Refusal::GateFault, ended).await;
            }
            Err(error) => {
                let refusal = self.refusal_of(&error);
                self.refuse_face(refusal, ended).await;
            }
        }
    }

    /// Lets the rider through, unless the other medium of his has just done so.
    async fn grant(&mut self, rider: RiderId, evidence: Evidence, took: Took) {
        let medium = evidence.medium();
        let now_ms = self.now_ms();
        if self.has_just_tapped(rider, now_ms) {
            self.approach.conclude(now_ms, false);
            // Who walks through the open door is seen walking.
            if !self.parts.door.is_busy() {
                self.parts.board.decided(self.now(), Outcome::Merged, took);
            }
            return;
        }
        let authorisation = Authorisation::new(rider, self.policy.direction, evidence).in_mode(self.parts.door.mode());
        let admitted = self.parts.admission.ask(rider, self.policy.direction, medium, now_ms).await;
        if let Err(reason) = admitted {
            tracing::info!(reason, "not admitted by the operator's rule");
            self.parts.board.not_admitted(reason);
            self.refuse(medium, Refusal::NotAdmitted, took).await;
            return self.approach.conclude(self.now_ms(), false);
        }
        match self.parts.door.admit(authorisation).await {
            Ok(record) => {
                self.approach.conclude(now_ms, false);
                self.parts.pipeline.attention.set(false, false);
                self.remember_tap(rider, now_ms);
                self.parts.board.fault(None);
                self.parts.board.decided(self.now(), Outcome::Granted { medium, record: &record }, took);
                self.parts.board.phase(Phase::Open);
            }
            // Cannot be: nothing is decided while somebody passes.
            Err(Blocked::Busy) => {
                tracing::error!("granted while somebody is passing; the rider has to try again");
                self.approach.conclude(now_ms, true);
            }
            Err(Blocked::Mode(_)) => {
                self.refuse(medium, Refusal::GateClosed, took).await;
                self.approach.conclude(now_ms, false);
            }
            Err(Blocked::Fault(fault)) => {
                tracing::error!(fault, "the gate cannot let anybody through");
                self.parts.board.fault(Some(fault));
                self.refuse(medium, Refusal::GateFault, took).await;
                self.approach.conclude(now_ms, false);
            }
        }
    }

    async fn refuse_face(&mut self, refusal: Refusal, ended: bool) {
        if matches!(refusal, Refusal::PresentationAttack | Refusal::LivenessInconclusive) {
            let judgement = self.approach.judgement();
            let (cause, score, cues) = (judgement.cause, judgement.score.get(), judgement.cues);
            tracing::info!(reason = refusal.name(), ?cause, score, ?cues, "not found to be alive");
        }
        let took = self.took(ended);
        self.drop_claim();
        self.refuse(Medium::Face, refusal, took).await;
        self.approach.conclude(self.now_ms(), is_mendable(refusal));
    }

    async fn refuse(&mut self, medium: Medium, refusal: Refusal, took: Took) {
        self.parts.board.decided(self.now(), Outcome::Refused { medium, refusal }, took);
        // The one before him is told to walk on.
        if !self.parts.door.is_busy() {
            self.parts.board.phase(Phase::Refused(refusal));
        }
        self.parts.door.refused().await;
    }

    fn refusal_of(&self, error: &StationError) -> Refusal {
        tracing::warn!(%error, "no decision from the station");
        match error {
            StationError::Unreachable(_) => Refusal::StationUnreachable,
            StationError::Rejected(_) | StationError::Nonsense(_) => {
                self.parts.board.fault(Some(error.to_string()));
                Refusal::GateFault
            }
        }
    }

    /// After passages were concluded, or somebody entered: the next rider, please.
    fn after(&mut self, concluded: &[Concluded], took_a_rider: bool) {
        for passage in concluded {
            self.last_taps.retain(|tap| tap.rider != passage.rider);
            // Of one who did not pass, what he shows next is a new try.
            if passage.outcome == PassageOutcome::Passed {
                self.remember_tap(passage.rider, self.now_ms());
            }
        }
        // Who follows has been looked at since the one before him stepped in; who turned back may be who is looked at.
        let follows = took_a_rider && concluded.iter().all(|passage| passage.outcome == PassageOutcome::Passed);
        let goes_on = follows && self.approach.is_active() && !self.approach.is_concluded();
        if (!took_a_rider || !concluded.is_empty()) && !goes_on && self.parts.door.takes_a_rider() {
            self.idle_since_ms = self.now_ms();
            self.codes.still_in_view(self.idle_since_ms);
            self.begin_anew();
        }
    }

    /// Faces, codes or both are looked for, as riders pass by them here.
    fn attend_to_lane(&self) {
        self.parts.pipeline.attention.set(self.policy.lane.takes_faces(), self.policy.lane.takes_codes());
    }

    fn begin_anew(&mut self) {
        self.approach = self.new_approach();
        self.claimed = None;
        self.attend_to_lane();
        if !self.parts.door.is_busy() {
            self.parts.board.phase(match self.parts.door.rest() {
                Rest::Standing => Phase::Standing,
                Rest::OutOfService => Phase::OutOfService,
                Rest::InService if self.unready().is_some() => Phase::Starting,
                Rest::InService => Phase::Idle,
            });
        }
    }

    /// Shows what the gate can do when nobody is there.
    fn rest_if_idle(&mut self) {
        if !self.parts.door.is_busy() && !self.approach.is_active() && !self.approach.is_concluded() {
            self.begin_anew();
        }
    }

    /// What keeps this gate from letting anybody through.
    fn unready(&self) -> Option<String> {
        if !self.parts.door.is_online() {
            return Some("the aisle cannot be reached".into());
        }
        (self.parts.journal.position().0 == 0).then(|| "not registered with the station yet".into())
    }

    /// How long a decision about a face took until now.
    fn took(&self, ended: bool) -> Took {
        let since = |captured_ms: Option<u64>| captured_ms.filter(|_| !ended).map(|captured| self.ms_since(captured));
        let (first, last) = self.approach.usable_ms();
        Took { decision_ms: since(last), first_usable_ms: since(first) }
    }

    #[expect(clippy::cast_precision_loss, reason = "milliseconds of one approach")]
    fn ms_since(&self, captured_ms: u64) -> f64 {
        self.now_ms().saturating_sub(captured_ms) as f64
    }

    fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    fn now_ms(&self) -> u64 {
        self.parts.clock.monotonic_ms()
    }
}

impl std::fmt::Debug for GateParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GateParts")
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gate({:?})", self.parts.door)
    }
}
