//! An entrance camera: tells the station whose face it saw coming in, and forgets it. It decides nothing and keeps
//! nothing; whoever is not enrolled is dropped at the station at once.

use std::sync::Arc;
use std::time::Duration;

use facegate_domain::Clock;
use facegate_domain::face::Embedding;
use facegate_models::liveness::{LivenessJudge, LivenessVerdict};
use tokio_util::sync::CancellationToken;

use crate::approach::{Approach, ApproachPolicy};
use crate::board::{Board, Outcome, Phase};
use crate::decide::{DecisionPolicy, Evidence};
use crate::latency::Took;
use crate::pipeline::Pipeline;
use crate::station::Station;
use crate::vision::Look;

const TICK: Duration = Duration::from_millis(50);
/// How often, while nobody is there, what was seen is forgotten.
const REST_EVERY_MS: u64 = 1000;

/// See the module's description.
#[derive(Debug)]
pub struct Entrance {
    pub pipeline: Pipeline,
    pub approach: ApproachPolicy,
    pub judge: Arc<LivenessJudge>,
    pub decision: DecisionPolicy,
    pub board: Arc<Board>,
    pub clock: Arc<dyn Clock>,
}

impl Entrance {
    /// Runs until `shutdown`.
    pub async fn run(mut self, station: Arc<dyn Station>, shutdown: CancellationToken) {
        let mut watch = Watch::new(self.approach, Arc::clone(&self.judge), self.decision);
        let mut tick = tokio::time::interval(TICK);
        self.board.phase(Phase::Idle);
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                look = self.pipeline.next() => match look {
                    Some(look) => {
                        if let Some((probe, frames)) = watch.on_look(look, self.clock.monotonic_ms()) {
                            self.sight(&probe, frames, station.as_ref()).await;
                        }
                    }
                    None => return,
                },
                _ = tick.tick() => watch.on_tick(self.clock.monotonic_ms(), self.pipeline.is_idle()),
            }
        }
    }

    async fn sight(&self, probe: &Embedding, frames: u32, station: &dyn Station) {
        match station.sight(probe, frames).await {
            Ok(()) => self.board.decided(self.clock.now(), Outcome::Sighted, Took::default()),
            Err(error) => tracing::warn!(%error, "a sighting was lost; the gate recognises without it"),
        }
    }
}

/// Whoever is before the camera just now. All times are the monotonic clock.
#[derive(Debug)]
struct Watch {
    decision: DecisionPolicy,
    policy: ApproachPolicy,
    judge: Arc<LivenessJudge>,
    approach: Approach,
    rested_ms: u64,
}

impl Watch {
    fn new(policy: ApproachPolicy, judge: Arc<LivenessJudge>, decision: DecisionPolicy) -> Self {
        let approach = Approach::new(policy, Arc::clone(&judge));
        Self { decision, policy, judge, approach, rested_ms: 0 }
    }

    /// Takes in a look. The probe to tell the station of and its frames come once for every face.
    fn on_look(&mut self, look: Look, now_ms: u64) -> Option<(Embedding, u32)> {
        if self.approach.has_ended(look.captured_ms) {
            self.begin_anew();
        }
        if !self.approach.observe(look.captured_ms, look.face) || self.approach.is_concluded() {
            return None;
        }
        if !is_worth_a_sighting(&self.approach.evidence(false), &self.decision) {
            return None;
        }
        let probe = self.approach.probe()?;
        self.approach.conclude(now_ms, false);
        Some(probe)
    }

    fn on_tick(&mut self, now_ms: u64, pipeline_is_idle: bool) {
        if pipeline_is_idle && self.approach.has_ended(now_ms) {
            self.begin_anew();
        }
        // A frame that was not to be trusted does not count against whoever comes later.
        if now_ms.saturating_sub(self.rested_ms) > REST_EVERY_MS {
            self.rested_ms = now_ms;
            if !self.approach.is_active() {
                self.begin_anew();
            }
        }
    }

    fn begin_anew(&mut self) {
        self.approach = Approach::new(self.policy, Arc::clone(&self.judge));
    }
}

/// Nothing but a live face reaches the station; who is not found to be alive yet is looked at further.
fn is_worth_a_sighting(evidence: &Evidence, policy: &DecisionPolicy) -> bool {
    evidence.frames_agreeing >= policy.frames_agreeing_min
        && evidence.liveness == LivenessVerdict::Live
        && !evidence.tainted
}

#[cfg(test)]
mod tests {
    use facegate_domain::ids::ModelId;
    use facegate_models::Quality;
    use facegate_models::liveness::{LivenessPolicy, LivenessSample};

    use super::*;
    use crate::vision::{FaceLook, UsableFace};

    const RIDER: [f32; 2] = [1.0, 0.0];
    const NEXT: [f32; 2] = [0.0, 1.0];
    const NEVER: [u64; 0] = [];

    /// With the liveness policy that gates have by default: eight frames.
    fn watch() -> Watch {
        let approach = ApproachPolicy { gap_ms: 700, second_chance_ms: 3000, same_face_cosine_min: 0.5 };
        let judge = Arc::new(LivenessJudge::load(&LivenessPolicy::default()).unwrap());
        Watch::new(approach, judge, DecisionPolicy { frames_agreeing_min: 3, frames_max: 15 })
    }

    fn face(values: [f32; 2], texture: f32) -> FaceLook {
        FaceLook::Usable(UsableFace {
            embedding: Embedding::normalise(ModelId::new("m").unwrap(), values.to_vec()).unwrap(),
            quality: Quality::default(),
            liveness: LivenessSample { texture: Some(texture), ..LivenessSample::default() },
        })
    }

    /// The frames after which the station was told, of this many of one face.
    fn sighted(watch: &mut Watch, from_ms: u64, frames: u64, values: [f32; 2], texture: f32) -> Vec<u64> {
        let told = |n: &u64| {
            let captured_ms = from_ms + n * 100;
            let look = Look { sequence: *n, captured_ms, code: None, face: face(values, texture) };
            watch.on_look(look, captured_ms).is_some()
        };
        (1..=frames).filter(told).collect()
    }

    #[test]
    fn only_a_live_face_is_told_of_and_only_once() {
        assert_eq!(sighted(&mut watch(), 0, 40, RIDER, -20.0), NEVER, "a print is held up");
        let mut watch = watch();
        assert_eq!(sighted(&mut watch, 0, 40, RIDER, 20.0), [8], "as soon as it can be called live");
        assert_eq!(sighted(&mut watch, 4000, 40, NEXT, 20.0), [8], "the next one, close behind");
    }

    #[test]
    fn an_untrusted_frame_counts_against_nobody_who_comes_much_later() {
        let mut watch = watch();
        let untrusted = |ms| Look { sequence: ms, captured_ms: ms, code: None, face: FaceLook::Untrusted };
        watch.on_look(untrusted(0), 0);
        assert_eq!(sighted(&mut watch, 0, 10, RIDER, 20.0), NEVER, "whoever is there is not sighted");
        watch.on_tick(1701, true);
        watch.on_look(untrusted(1800), 1800);
        (1..60).for_each(|n| watch.on_tick(1800 + n * 50, true));
        assert_eq!(sighted(&mut watch, 10_000, 10, RIDER, 20.0), [8]);
    }
}
