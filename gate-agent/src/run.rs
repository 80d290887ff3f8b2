//! Puts the parts together and runs them until shutdown.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use facegate_domain::{Clock, Timestamp};
use facegate_models::FaceEngine;
use facegate_runtime::disk::RealDisk;
use facegate_runtime::http::serve_loopback;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::actuator::Actuator;
use crate::admission::{Admission, AdmissionError};
use crate::board::{Board, Who};
use crate::camera::Camera;
use crate::camera::health::CameraHealth;
use crate::config::{Config, Duty, GateDuty, Mode};
use crate::delivery::deliver;
use crate::door::{Door, DoorParts};
use crate::entrance::Entrance;
use crate::freshness::Freshness;
use crate::gate::{Gate, GateParts, GatePolicy};
use crate::journal::{GateJournal, GateJournalError, JournalPlace};
use crate::link::Link;
use crate::memory::{Memory, MemoryError, Told};
use crate::pipeline::{Pipeline, Source};
use crate::screen;
use crate::station::Station;
use crate::vision::Vision;

/// What a gate works on and with, made by `main` or by a test.
#[derive(Debug)]
pub struct Effects {
    pub clock: Arc<dyn Clock>,
    pub engine: Arc<FaceEngine>,
}

/// Why a gate could not be started or go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Memory(#[from] MemoryError),
    #[error(transparent)]
    Journal(#[from] GateJournalError),
    #[error("the screen cannot listen on {address}: {source}")]
    Screen { address: std::net::SocketAddr, source: io::Error },
    #[error(transparent)]
    Admission(#[from] AdmissionError),
    #[error("a gate needs an actuator")]
    NoActuator,
}

/// Runs a gate (which needs the `actuator`) or an entrance camera (which has none) until `shutdown`. What has begun is
/// finished: a decision made is stored, a record stored is left for the next start.
pub async fn run(
    config: Config,
    effects: Effects,
    camera: Box<dyn Camera>,
    station: Arc<dyn Station>,
    actuator: Option<Box<dyn Actuator>>,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    let who = Who { id: config.id.clone(), role: config.role(), mode: config.mode, direction: config.direction() };
    let shared = Shared { board: Arc::new(Board::new(who)), tasks: TaskTracker::new(), station, effects, shutdown };
    let memory = Memory::open(&RealDisk, &config.data_dir.join("memory"))?;
    let outcome = match config.duty.clone() {
        Duty::Gate(duty) => {
            let actuator = actuator.ok_or(RunError::NoActuator)?;
            shared.run_gate(&config, &duty, memory, camera, actuator).await
        }
        Duty::Camera => shared.run_camera(&config, memory, camera).await,
    };
    shared.shutdown.cancel();
    shared.tasks.close();
    shared.tasks.wait().await;
    outcome
}

/// What both roles have.
struct Shared {
    board: Arc<Board>,
    tasks: TaskTracker,
    station: Arc<dyn Station>,
    effects: Effects,
    shutdown: CancellationToken,
}

impl Shared {
    async fn run_gate(
        &self,
        config: &Config,
        duty: &GateDuty,
        memory: Memory,
        camera: Box<dyn Camera>,
        actuator: Box<dyn Actuator>,
    ) -> Result<(), RunError> {
        self.board.lane(duty.lane);
        self.serve_screen(duty)?;
        let place = JournalPlace {
            gate: config.id.clone(),
            dir: config.data_dir.join("journal"),
            options: duty.journal,
            kept: duty.journal_kept,
            disk: Arc::new(RealDisk),
            clock: Arc::clone(&self.effects.clock),
        };
        let journal = Arc::new(GateJournal::open(place, memory.clone())?);
        // A gate whose software did not keep the moment of contact begins to count now.
        if memory.last_contact() == Timestamp::default() && memory.station()?.is_some() {
            memory.contacted(self.effects.clock.now()).await?;
        }
        self.board.journal(journal.position(), journal.backlog(), journal.waiting_percent());
        let (issuer_keys, told) = self.attend(memory.clone(), Some(Arc::clone(&journal)))?;
        let (station, board) = (Arc::clone(&self.station), Arc::clone(&self.board));
        self.tasks.spawn(deliver(Arc::clone(&journal), station, board, self.shutdown.clone()));
        let policy = GatePolicy {
            direction: duty.direction,
            approach: config.approach,
            decision: config.decision,
            codes: duty.codes,
            lane: duty.lane,
        };
        let parts = GateParts {
            pipeline: self.see(config, camera, duty.lane.takes_codes()),
            door: Door::new(DoorParts {
                actuator,
                journal: Arc::clone(&journal),
                memory: memory.clone(),
                board: Arc::clone(&self.board),
                clock: Arc::clone(&self.effects.clock),
                side: duty.direction,
                opens_without_gate: duty.opens_without_gate,
                policy: duty.aisle,
            }),
            station: Arc::clone(&self.station),
            journal,
            memory,
            board: Arc::clone(&self.board),
            clock: Arc::clone(&self.effects.clock),
            issuer_keys,
            told,
            admission: Admission::new(config.id.clone(), &duty.admission)?,
            judge: Arc::clone(self.effects.engine.judge()),
            reader: duty.reader.clone().map(|reader| crate::reader::follow(reader, self.shutdown.clone())),
        };
        Gate::new(policy, parts).run(self.shutdown.clone()).await;
        Ok(())
    }

    async fn run_camera(&self, config: &Config, memory: Memory, camera: Box<dyn Camera>) -> Result<(), RunError> {
        self.attend(memory, None)?;
        let entrance = Entrance {
            pipeline: self.see(config, camera, false),
            approach: config.approach,
            judge: Arc::clone(self.effects.engine.judge()),
            decision: config.decision,
            board: Arc::clone(&self.board),
            clock: Arc::clone(&self.effects.clock),
        };
        entrance.run(Arc::clone(&self.station), self.shutdown.clone()).await;
        Ok(())
    }

    fn see(&self, config: &Config, camera: Box<dyn Camera>, reads_codes: bool) -> Pipeline {
        let reduced = self.effects.engine.liveness_is_reduced();
        let accepted_by = config.engine.liveness.reduced_accepted.as_deref();
        metrics::gauge!("facegate_gate_liveness_reduced").set(f64::from(u8::from(reduced)));
        let takes_faces = takes_faces(reduced, accepted_by, config.mode);
        if reduced {
            tell_of_reduced_liveness(takes_faces, accepted_by);
        }
        let clock = Arc::clone(&self.effects.clock);
        let health = Arc::new(CameraHealth::new(config.camera.health, clock.monotonic_ms()));
        let engine = Arc::clone(&self.effects.engine);
        let vision =
            Vision::new(engine, (config.faces, config.intent.clone()), Arc::clone(&health), reads_codes, takes_faces);
        let (board, shutdown) = (Arc::clone(&self.board), self.shutdown.clone());
        let freshness = Freshness::new(config.freshness.clone());
        let source = Source { camera, freshness, health, clock };
        Pipeline::start(source, vision, config.frames_queued_max, board, shutdown)
    }

    /// Starts the line to the station; gives the issuer keys and what is told, from memory until it is up.
    fn attend(
        &self,
        memory: Memory,
        journal: Option<Arc<GateJournal>>,
    ) -> Result<(watch::Receiver<Vec<facegate_domain::code::IssuerKey>>, watch::Receiver<Told>), RunError> {
        let (issuer_keys, keys) = watch::channel(memory.issuer_keys()?);
        let (told, what_is_told) = watch::channel(memory.told()?);
        self.board.station_mode(told.borrow().station);
        if let Some(station) = memory.station()? {
            self.board.registered(&station, journal.as_ref().map_or(0, |journal| journal.position().0));
        }
        let link = Link {
            station: Arc::clone(&self.station),
            journal,
            memory,
            board: Arc::clone(&self.board),
            clock: Arc::clone(&self.effects.clock),
            model: self.effects.engine.model_id().clone(),
            issuer_keys,
            told,
        };
        self.tasks.spawn(link.run(self.shutdown.clone()));
        Ok((keys, what_is_told))
    }

    fn serve_screen(&self, duty: &GateDuty) -> Result<(), RunError> {
        let address = duty.screen.listen;
        let listener = TcpListener::bind(address).map_err(|source| RunError::Screen { address, source })?;
        let (router, shutdown) = (
            screen::router(Arc::clone(&self.board), duty.screen.clone(), Arc::clone(&self.effects.clock)),
            self.shutdown.clone(),
        );
        self.tasks.spawn(async move {
            if let Err(error) = serve_loopback(listener, router, shutdown).await {
                tracing::error!(%error, "the screen stopped; the gate goes on without it");
            }
        });
        Ok(())
    }
}

/// Without the texture nets a replay shown well passes: in production the operator has to have accepted that.
fn takes_faces(reduced: bool, accepted_by: Option<&str>, mode: Mode) -> bool {
    !reduced || accepted_by.is_some() || mode == Mode::Development
}

fn tell_of_reduced_liveness(takes_faces: bool, accepted_by: Option<&str>) {
    match accepted_by {
        Some(who) => tracing::warn!(who, "LIVENESS IS REDUCED: the texture nets are missing; accepted"),
        None if takes_faces => {
            tracing::warn!("LIVENESS IS REDUCED: the texture nets are missing; in production faces would be refused");
        }
        None => tracing::error!(
            "LIVENESS IS REDUCED: the texture nets are missing, so this gate takes ride codes only. Run `cargo xtask \
             models --from DIR`, or set recognition.liveness.reduced_accepted = \"who, when\""
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_texture_nets_production_takes_faces_only_by_sign_off() {
        let signed = Some("A. Operator, 2026-11-01");
        let table = [
            (false, None, Mode::Production, true),
            (false, signed, Mode::Production, true),
            (false, None, Mode::Development, true),
            (true, None, Mode::Production, false),
            (true, signed, Mode::Production, true),
            (true, None, Mode::Development, true),
            (true, signed, Mode::Development, true),
        ];
        for (reduced, accepted_by, mode, expected) in table {
            assert_eq!(takes_faces(reduced, accepted_by, mode), expected, "{reduced} {accepted_by:?} {mode:?}");
        }
    }
}
