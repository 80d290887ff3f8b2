//! The gate's line to its station: registers, tells its state every second, takes commands; again after every break.

use std::sync::Arc;
use std::time::Duration;

use facegate_domain::Clock;
use facegate_domain::code::IssuerKey;
use facegate_domain::ids::ModelId;
use facegate_runtime::backoff::Backoff;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::board::Board;
use crate::journal::GateJournal;
use crate::memory::{Memory, Told};
use crate::station::{Registered, Registration, Station, StationCommand, StationError};

/// Beyond this the gate's clock is worth a warning; taps carry both clocks, so that journeys can be corrected.
const SKEW_WARNED: Duration = Duration::from_secs(5);

/// What the link needs; an entrance camera has no journal.
pub struct Link {
    pub station: Arc<dyn Station>,
    pub journal: Option<Arc<GateJournal>>,
    pub memory: Memory,
    pub board: Arc<Board>,
    pub clock: Arc<dyn Clock>,
    pub model: ModelId,
    pub issuer_keys: watch::Sender<Vec<IssuerKey>>,
    pub told: watch::Sender<Told>,
}

impl Link {
    /// Runs until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        loop {
            let step = async {
                if let Err(error) = self.attend_once(&mut backoff).await {
                    tracing::warn!(%error, "no line to the station; trying again");
                }
                self.board.station_reachable(false);
                tokio::time::sleep(backoff.next_delay()).await;
            };
            if shutdown.run_until_cancelled(step).await.is_none() {
                return;
            }
        }
    }

    /// Registers and attends until the line breaks.
    async fn attend_once(&self, backoff: &mut Backoff) -> Result<(), LinkError> {
        let registered = self.register_with_journal().await?;
        self.issuer_keys.send_replace(registered.issuer_keys.clone());
        self.warn_of_skew(&registered);
        self.board.registered(&registered.station, registered.epoch);
        let mut commands = self.station.attend(Arc::clone(&self.board)).await?;
        self.board.station_reachable(true);
        tracing::info!(station = %registered.station, epoch = registered.epoch, "registered");
        backoff.reset();
        self.memory.contacted(self.clock.now()).await?;
        while let Some(command) = commands.recv().await {
            self.memory.contacted(self.clock.now()).await?;
            match command {
                StationCommand::Ping => {}
                StationCommand::Mode(mode) => {
                    self.board.station_mode(mode);
                    self.follow(|told| told.station = mode).await?;
                }
                StationCommand::Told(gate) => self.follow(|told| told.gate = gate).await?,
                StationCommand::Redeliver(ranges) => {
                    if let Some(journal) = &self.journal {
                        journal.ask_again(ranges);
                    }
                }
                StationCommand::IssuerKeys(keys) => {
                    self.memory.remember_keys(&keys).await?;
                    self.issuer_keys.send_replace(keys);
                }
            }
        }
        Ok(())
    }

    /// The gate hears of it at once; a gate that starts again without its station goes on in the same mode.
    async fn follow(&self, change: impl FnOnce(&mut Told)) -> Result<(), LinkError> {
        let mut told = self.told.borrow().clone();
        change(&mut told);
        self.told.send_replace(told.clone());
        Ok(self.memory.remember_told(&told).await?)
    }

    async fn register_with_journal(&self) -> Result<Registered, LinkError> {
        let _alone = match &self.journal {
            Some(journal) => Some(journal.handover().await),
            None => None,
        };
        let (epoch, next_sequence) = self.journal.as_ref().map_or((0, 0), |journal| journal.position());
        let mut registered = self.register(epoch, next_sequence).await?;
        // The station's name comes to the disk before any record that carries it.
        self.memory.remember(&registered.station, &registered.issuer_keys).await?;
        if !self.take_up(&registered)? {
            tracing::error!(
                epoch = registered.epoch,
                delivered = registered.delivered,
                "the station holds more of this epoch than our disk: the journal was lost, asking for a new epoch"
            );
            registered = self.register(0, 0).await?;
            self.take_up(&registered)?;
        }
        Ok(registered)
    }

    async fn register(&self, epoch: u32, next_sequence: u64) -> Result<Registered, StationError> {
        self.station.register(Registration { epoch, next_sequence, model: self.model.clone() }).await
    }

    fn take_up(&self, registered: &Registered) -> Result<bool, LinkError> {
        let Some(journal) = &self.journal else { return Ok(true) };
        Ok(journal.adopt(registered.epoch, registered.station.clone(), registered.delivered)?)
    }

    fn warn_of_skew(&self, registered: &Registered) {
        let (ours, theirs) = (self.clock.now(), registered.station_time);
        let skew = ours.since(theirs).max(theirs.since(ours));
        metrics::gauge!("facegate_gate_clock_skew_seconds").set(skew.as_secs_f64());
        if skew > SKEW_WARNED {
            tracing::warn!(skew_ms = skew.as_millis(), "this gate's clock and the station's differ; set the clock");
        }
    }
}

/// Why the line is down.
#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error(transparent)]
    Station(#[from] StationError),
    #[error(transparent)]
    Journal(#[from] crate::journal::GateJournalError),
    #[error(transparent)]
    Memory(#[from] crate::memory::MemoryError),
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Link")
    }
}
