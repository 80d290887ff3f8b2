//! An entrance camera: tells the station whose face it saw coming in, and forgets it. It decides nothing and keeps
//! nothing; whoever is not enrolled is dropped at the station at once.

use std::sync::Arc;
use std::time::Duration;

use facegate_domain::Clock;
use facegate_models::liveness::{LivenessJudge, LivenessVerdict};
use tokio_util::sync::CancellationToken;

use crate::approach::{Approach, ApproachPolicy};
use crate::board::{Board, Outcome, Phase};
use crate::decide::DecisionPolicy;
use crate::pipeline::Pipeline;
use crate::station::Station;
use crate::vision::Look;

const TICK: Duration = Duration::from_millis(50);

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
        let mut approach = self.begin();
        let mut tick = tokio::time::interval(TICK);
        self.board.phase(Phase::Idle);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                look = self.pipeline.next() => match look {
                    Some(look) => self.on_look(look, &mut approach, station.as_ref()).await,
                    None => return,
                },
                _ = tick.tick() => {
                    if self.pipeline.is_idle() && approach.has_ended(self.clock.monotonic_ms()) {
                        approach = self.begin();
                    }
                }
            }
        }
    }

    fn begin(&self) -> Approach {
        Approach::new(self.approach, Arc::clone(&self.judge))
    }

    async fn on_look(&self, look: Look, approach: &mut Approach, station: &dyn Station) {
        if approach.has_ended(look.captured_ms) {
            *approach = self.begin();
        }
        approach.observe(look.captured_ms, look.face);
        let evidence = approach.evidence(false);
        let enough = evidence.frames_agreeing >= self.decision.frames_agreeing_min;
        if approach.is_concluded() || !enough || evidence.tainted || evidence.liveness == LivenessVerdict::Attack {
            return;
        }
        let Some((probe, frames)) = approach.probe() else { return };
        approach.conclude(self.clock.monotonic_ms(), false);
        match station.sight(&probe, frames).await {
            Ok(()) => self.board.decided(self.clock.now(), Outcome::Sighted, None),
            Err(error) => tracing::warn!(%error, "a sighting was lost; the gate recognises without it"),
        }
    }
}
