//! One machine: its disk and clock, which stay, and its process, which comes and goes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use facegate_cloud_sync::cloud::Cloud;
use facegate_gate_agent::journal::GateJournal;
use facegate_runtime::disk::{DiskImage, SimDisk};
use facegate_station_server::station::Station;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::clock::SimClock;
use super::dice::Dice;
use super::events::Broken;
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
    /// To be put in, in place of the disk, once the process is dead.
    exchange: Mutex<Option<Copied>>,
    dice: Dice,
}

/// What a running process lets the world look at.
#[derive(Debug, Clone)]
pub enum Part {
    Cloud(Arc<Cloud>),
    Station(Arc<Station>),
    Gate(Arc<GateJournal>),
}

/// A copy of all that a machine keeps.
#[derive(Debug)]
pub struct Copied {
    image: DiskImage,
    /// Of what is not on the simulated disk.
    folder: PathBuf,
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
        let (part, exchange, dice) = (Mutex::default(), Mutex::default(), dice.of(format_args!("machine {node}")));
        Ok(Arc::new(Self { node, disk, clock, dir, part, exchange, dice }))
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

    /// Copies all that this machine keeps, under a number of its own.
    pub fn copy(&self, number: u64) -> Result<Copied> {
        let folder = self.dir.with_extension(format!("copy-{number}"));
        replace_dir(&self.dir, &folder)?;
        Ok(Copied { image: self.disk.image(), folder })
    }

    /// The process dies, and the next finds what was copied.
    pub fn exchange_disk(&self, copied: Copied, seed: u64) {
        *self.exchange.lock().unwrap_or_else(PoisonError::into_inner) = Some(copied);
        self.kill(seed);
    }

    fn put_in_copy(&self) -> Result<()> {
        let copied = self.exchange.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Copied { image, folder }) = copied else { return Ok(()) };
        self.disk.put_back(&image);
        replace_dir(&folder, &self.dir)
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
            if let Err(error) = self.put_in_copy() {
                world.events.broken(Broken::Diverged, format_args!("{}: no copy: {error:#}", self.node));
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

/// Makes `to` a copy of `from`.
fn replace_dir(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        std::fs::remove_dir_all(to)?;
    }
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            replace_dir(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
