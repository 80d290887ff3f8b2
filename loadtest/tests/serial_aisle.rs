//! The gate's door over a real serial line, that is a pseudo-terminal that loses, tears, doubles and invents frames, with
//! the real journal: what the records say is what the bodies did.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use facegate_domain::Clock;
use facegate_domain::aisle::AislePolicy;
use facegate_domain::ids::{GateId, RiderId, StationId};
use facegate_domain::tap::{Authorisation, Direction, Evidence, PassageOutcome};
use facegate_gate_agent::actuator::serial::{SerialActuator, SerialLine};
use facegate_gate_agent::board::{Board, Who};
use facegate_gate_agent::config::{Mode, Role};
use facegate_gate_agent::door::{Concluded, Door, DoorParts};
use facegate_gate_agent::journal::{GateJournal, JournalPlace};
use facegate_gate_agent::memory::Memory;
use facegate_loadtest::aisle::controller::{Controller, WATCHDOG};
use facegate_loadtest::aisle::protocol::Beam;
use facegate_loadtest::aisle::serial::{Noise, serve};
use facegate_runtime::clock::SystemClock;
use facegate_runtime::disk::RealDisk;
use facegate_runtime::journal::JournalOptions;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

const RIDERS: usize = 12;
const PATIENCE: Duration = Duration::from_secs(60);

struct Hardware {
    controller: Arc<Mutex<Controller>>,
    device: PathBuf,
    /// Tokens under which bodies went through.
    crossed: BTreeSet<String>,
}

impl Hardware {
    /// Behind a line that treats frames so.
    fn start(noise: Noise, seed: u64) -> Self {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let device = PathBuf::from(ptsname(&master, Vec::new()).unwrap().into_string().unwrap());
        let controller = Arc::new(Mutex::new(Controller::new(1)));
        let (serving, watched) = (Arc::clone(&controller), Arc::clone(&controller));
        // The watchdog is the hardware's own, whatever becomes of the line.
        tokio::spawn(async move {
            loop {
                sleep(Duration::from_millis(100)).await;
                watched.lock().unwrap().watch();
            }
        });
        tokio::spawn(async move {
            for round in 0.. {
                let file = |fd: &OwnedFd| tokio::fs::File::from_std(fd.try_clone().unwrap().into());
                // Both ends of one descriptor: a read that waits must not keep a write from going out.
                let line = tokio::io::join(file(&master), file(&master));
                // Ends whenever nobody has the other side open.
                let _ = serve(line, Arc::clone(&serving), noise, seed + round).await;
                sleep(Duration::from_millis(20)).await;
            }
        });
        Self { controller, device, crossed: BTreeSet::new() }
    }

    fn control<T>(&self, act: impl FnOnce(&mut Controller) -> T) -> T {
        act(&mut self.controller.lock().unwrap())
    }

    /// A body goes through the door that stands open for it.
    async fn walk(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        let token = loop {
            if let Some(token) = self.control(Controller::step_in) {
                break token;
            }
            assert!(Instant::now() < deadline, "the door stays closed");
            sleep(Duration::from_millis(10)).await;
        };
        for (beam, broken) in [
            (Beam::Entry, true),
            (Beam::Mid, true),
            (Beam::Entry, false),
            (Beam::Exit, true),
            (Beam::Mid, false),
            (Beam::Exit, false),
        ] {
            self.control(|controller| controller.beam(beam, broken));
            sleep(Duration::from_millis(60)).await;
        }
        self.control(|controller| controller.step_out(&token));
        self.crossed.insert(token);
    }
}

struct Gate {
    door: Door,
    journal: Arc<GateJournal>,
    board: Arc<Board>,
}

impl Gate {
    fn start(dir: &TempDir, hardware: &Hardware) -> Self {
        Self::start_with(dir, hardware, false)
    }

    /// Tells the hardware to open, or to close, when it is silent.
    fn start_with(dir: &TempDir, hardware: &Hardware, opens: bool) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let memory = Memory::open(&RealDisk, &dir.path().join("memory")).unwrap();
        let place = JournalPlace {
            gate: GateId::new("north-in").unwrap(),
            dir: dir.path().join("journal"),
            options: JournalOptions::default(),
            kept: Duration::from_secs(86_400),
            disk: Arc::new(RealDisk),
            clock: Arc::clone(&clock),
        };
        let journal = Arc::new(GateJournal::open(place, memory.clone()).unwrap());
        journal.adopt(1, StationId::new("north").unwrap(), 0).unwrap();
        let id = GateId::new("north-in").unwrap();
        let direction = Some(Direction::Entry);
        let board = Arc::new(Board::new(Who { id, role: Role::Gate, mode: Mode::Production, direction }));
        let line = SerialLine { device: hardware.device.clone(), baud: 115_200 };
        let door = Door::new(DoorParts {
            actuator: Box::new(SerialActuator::connect(line)),
            journal: Arc::clone(&journal),
            memory,
            board: Arc::clone(&board),
            clock,
            side: Direction::Entry,
            opens_without_gate: opens,
            policy: AislePolicy::default(),
        });
        Self { door, journal, board }
    }

    /// Runs the door until something is concluded, or `done` says so.
    async fn until(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) -> Vec<Concluded> {
        let deadline = Instant::now() + PATIENCE;
        let mut concluded = Vec::new();
        while concluded.is_empty() && !done(self) {
            assert!(Instant::now() < deadline, "waited in vain until {what}: {:?}", self.door);
            tokio::select! {
                signal = self.door.next_signal() => concluded.extend(self.door.on_signal(signal).await),
                () = sleep(Duration::from_millis(50)) => concluded.extend(self.door.tick().await),
            }
        }
        concluded
    }

    /// Lets a rider in; a line that is down just now comes back.
    async fn admit(&mut self) {
        self.until("the aisle is there", |gate| gate.door.is_online()).await;
        let evidence = Evidence::Code { nonce: rand::random(), checked_online: true, face: None };
        let rider = Authorisation::new(RiderId::random(), Direction::Entry, evidence);
        self.door.admit(rider).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_bad_line_the_records_say_what_the_bodies_did() {
    for seed in [1, 2] {
        let noise = Noise { lost: 8, torn: 5, doubled: 8, garbage: 8 };
        println!("seed {seed}, {noise:?}");
        let (dir, mut hardware) = (tempfile::tempdir().unwrap(), Hardware::start(noise, seed));
        let mut gate = Gate::start(&dir, &hardware);
        let mut passed = 0;
        for rider in 0..RIDERS {
            gate.admit().await;
            let (concluded, ()) = tokio::join!(gate.until("he is through", |_| false), hardware.walk());
            assert_eq!(concluded.len(), 1, "seed {seed}, rider {rider}");
            passed += usize::from(concluded[0].outcome == PassageOutcome::Passed);
        }
        assert_eq!((passed, hardware.crossed.len()), (RIDERS, RIDERS), "seed {seed}");
        assert!(gate.journal.unconcluded().is_empty(), "seed {seed}");
        gate.until("everything is acknowledged", |_| hardware.control(|c| c.unacknowledged()) == 0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_that_dies_leaves_the_door_to_the_watchdog_and_a_new_one_learns_what_happened() {
    let (dir, mut hardware) = (tempfile::tempdir().unwrap(), Hardware::start(Noise::default(), 1));
    let mut gate = Gate::start(&dir, &hardware);
    gate.admit().await;
    hardware.walk().await;
    drop(gate);
    sleep(WATCHDOG + Duration::from_millis(500)).await;
    let mut gate = Gate::start(&dir, &hardware);
    let concluded = gate.until("he is through", |_| false).await;
    assert_eq!(concluded[0].outcome, PassageOutcome::Passed);

    gate.admit().await;
    assert!(hardware.control(|controller| controller.is_open()));
    drop(gate);
    sleep(WATCHDOG + Duration::from_millis(500)).await;
    assert!(!hardware.control(|controller| controller.is_open()), "nobody steps in behind a dead gate");
    let mut gate = Gate::start(&dir, &hardware);
    let concluded = gate.until("nobody came", |_| false).await;
    assert_eq!(concluded[0].outcome, PassageOutcome::TimedOut);
    assert!(gate.journal.unconcluded().is_empty());
    assert_eq!(gate.board.view().passages.outcomes["timed_out"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exit_whose_gate_dies_stands_open_until_there_is_one_again() {
    let (dir, hardware) = (tempfile::tempdir().unwrap(), Hardware::start(Noise::default(), 1));
    let mut gate = Gate::start_with(&dir, &hardware, true);
    gate.until("the aisle is there", |gate| gate.door.is_online()).await;
    assert!(!hardware.control(|controller| controller.is_open_without_gate()));
    drop(gate);
    sleep(WATCHDOG + Duration::from_millis(500)).await;
    assert!(hardware.control(|controller| controller.is_open_without_gate()), "nobody is kept in");
    let mut gate = Gate::start_with(&dir, &hardware, true);
    gate.until("the aisle is there", |gate| gate.door.is_online()).await;
    assert!(!hardware.control(|controller| controller.is_open_without_gate()));
    gate.admit().await;
    assert!(hardware.control(|controller| controller.is_open()), "and taps are asked for again");
}
