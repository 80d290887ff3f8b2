//! One machine: its disk and clock, which stay, and its process, which comes and goes.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use facegate_cloud_sync::cloud::Cloud;
use facegate_gate_agent::journal::GateJournal;
use facegate_runtime::disk::SimDisk;
use facegate_station_server::station::Station;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::clock::SimClock;
use super::dice::Dice;
use super::node::Node;
use super::world::World;
use super::{cloud, gate, station};

/// How soon a dead process is noticed.
const LOOK_EVERY: Duration = Duration::from_millis(40);

#[derive(Debug)]
pub struct Machine {
    pub node: Node,
    pub disk: SimDisk,
    pub clock: Arc<SimClock>,
    /// For what is not on the simulated disk: config, keys, templates.
    pub dir: PathBuf,
    part: Mutex<Option<(Part, CancellationToken)>>,
    dice: Dice,
}

/// What a running process lets the world look at.
#[derive(Debug, Clone)]
pub enum Part {
    Cloud(Arc<Cloud>),
    Station(Arc<Station>),
    Gate(Arc<GateJournal>),
}

/// A process.
pub struct Life {
    stop: CancellationToken,
    /// Cancelled when it dies.
    pub alive: CancellationToken,
    tasks: JoinSet<()>,
    part: Part,
}

impl Life {
    pub fn new(stop: CancellationToken, tasks: JoinSet<()>, part: Part) -> Self {
        Self { stop, alive: CancellationToken::new(), tasks, part }
    }
}

impl Machine {
    pub fn new(node: Node, dir: PathBuf, dice: &Dice) -> Result<Arc<Self>> {
        std::fs::create_dir_all(&dir)?;
        std::fs::write(dir.join("none.pem"), "")?;
        let (disk, clock) = (SimDisk::instant(), Arc::new(SimClock::new()));
        let (part, dice) = (Mutex::default(), dice.of(format_args!("machine {node}")));
        Ok(Arc::new(Self { node, disk, clock, dir, part, dice }))
    }

    /// What its process shows, if it runs.
    pub fn part(&self) -> Option<Part> {
        self.lock().as_ref().map(|(part, _)| part.clone())
    }

    /// The process dies; the machine starts another.
    pub fn kill(&self, seed: u64) {
        if let Some((_, alive)) = self.lock().take() {
            alive.cancel();
            self.disk.kill_process(seed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Part, CancellationToken)>> {
        self.part.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the process, again and again, for as long as the world goes on.
    pub async fn run(self: Arc<Self>, world: Arc<World>) {
        loop {
            match self.start(&world).await {
                Ok(life) => {
                    world.events.say(format_args!("{} is up", self.node));
                    *self.lock() = Some((life.part.clone(), life.alive.clone()));
                    self.live(life).await;
                    world.network.hang_up(self.node);
                    world.events.say(format_args!("{} is down", self.node));
                }
                Err(error) => {
                    // Where the run keeps its files is another place each time.
                    let folder = self.dir.parent().unwrap_or(&self.dir).display().to_string();
                    let error = format!("{error:#}").replace(&folder, "…");
                    world.events.say(format_args!("{} does not start: {error}", self.node));
                    world.not_started(self.node, error);
                }
            }
            // Whatever ended it, what it had open is not open any more.
            if !self.disk.is_off() {
                self.disk.kill_process(self.dice.seed());
            }
            sleep(self.dice.ms(300..6_000)).await;
            self.disk.restore_power();
        }
    }

    async fn start(&self, world: &Arc<World>) -> Result<Life> {
        match self.node {
            Node::Cloud => cloud::start(world, self).await,
            Node::Station(number) => station::start(world, self, number),
            Node::Gate(number, way) => gate::start(world, self, number, way),
        }
    }

    /// Until it is killed or has no power.
    async fn live(&self, mut life: Life) {
        while !life.alive.is_cancelled() && !self.disk.is_off() {
            tokio::select! {
                biased;
                () = life.alive.cancelled() => (),
                () = sleep(LOOK_EVERY) => (),
            }
        }
        *self.lock() = None;
        life.alive.cancel();
        life.tasks.abort_all();
        // Tasks that the process started by itself end by this; what they still write is on a disk that is gone.
        life.stop.cancel();
        while life.tasks.join_next().await.is_some() {}
    }
}
