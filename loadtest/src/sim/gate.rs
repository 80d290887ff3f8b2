//! A gate's process without its camera: the real journal, door, delivery, link and ride codes, and a loop that asks the
//! station who stands there.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use facegate_domain::Clock;
use facegate_domain::aisle::AislePolicy;
use facegate_domain::code::{CodeTolerance, IssuerKey, verify};
use facegate_domain::ids::ModelId;
use facegate_domain::tap::{Authorisation, Direction, Evidence};
use facegate_gate_agent::board::{Board, Who};
use facegate_gate_agent::code::spent::SpentCodes;
use facegate_gate_agent::config::{Mode, Role};
use facegate_gate_agent::delivery::deliver;
use facegate_gate_agent::door::{Door, DoorParts};
use facegate_gate_agent::journal::{GateJournal, JournalPlace};
use facegate_gate_agent::link::Link;
use facegate_gate_agent::memory::Memory;
use facegate_gate_agent::station::grpc::{Deadlines, GrpcStation};
use facegate_gate_agent::station::{Station, StationError};
use facegate_proto::convert::station::Answer;
use facegate_runtime::journal::JournalOptions;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::aisle::{Shown, Visit};
use super::machine::{Life, Machine, Part};
use super::node::{Node, gate_id};
use super::world::World;
use crate::station::riders::MODEL;

const JOURNAL: JournalOptions = JournalOptions { segment_bytes_max: 4 << 10, total_bytes_max: 1 << 20 };
/// Short, so that epochs and segments go within a run.
const KEPT: Duration = Duration::from_secs(40);
const TICK: Duration = Duration::from_millis(250);

/// Starts the process on what its disk holds.
pub fn start(world: &Arc<World>, machine: &Machine, station: u8, way: Direction) -> Result<Life> {
    let clock = Arc::clone(&machine.clock) as Arc<dyn Clock>;
    let memory = Memory::open(&machine.disk, Path::new("memory"))?;
    let place = JournalPlace {
        gate: gate_id(station, way),
        dir: "journal".into(),
        options: JOURNAL,
        kept: KEPT,
        disk: Arc::new(machine.disk.clone()),
        clock: Arc::clone(&clock),
    };
    let journal = Arc::new(GateJournal::open(place, memory.clone())?);
    let who = Who { id: gate_id(station, way), role: Role::Gate, mode: Mode::Production, direction: Some(way) };
    let board = Arc::new(Board::new(who));
    let deadlines = Deadlines {
        identify: Duration::from_millis(800),
        code: Duration::from_millis(800),
        background: Duration::from_secs(5),
    };
    let wire = world.network.wire(machine.node, Node::Station(station));
    let above: Arc<dyn Station> = Arc::new(GrpcStation::new(wire, deadlines));
    let (issuer_keys, keys) = watch::channel(memory.issuer_keys()?);
    let link = Link {
        station: Arc::clone(&above),
        journal: Some(Arc::clone(&journal)),
        memory: memory.clone(),
        board: Arc::clone(&board),
        clock: Arc::clone(&clock),
        model: ModelId::new(MODEL)?,
        issuer_keys,
        told: watch::Sender::default(),
    };
    let (actuator, visits) = world.aisle(station, way).connect(machine.disk.clone());
    let door = Door::new(DoorParts {
        actuator: Box::new(actuator),
        journal: Arc::clone(&journal),
        memory,
        board: Arc::clone(&board),
        clock: Arc::clone(&clock),
        side: way,
        opens_without_gate: false,
        policy: AislePolicy::default(),
    });
    let tolerance = CodeTolerance::default();
    let mut codes = SpentCodes::new(tolerance.valid_for + 2 * tolerance.clock_skew, 0);
    journal.nonces().into_iter().for_each(|(nonce, at)| codes.spend(nonce, at));
    let gate = SimGate {
        world: Arc::clone(world),
        node: machine.node,
        way,
        station,
        door,
        above,
        journal,
        keys,
        codes,
        clock,
    };
    let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
    tasks.spawn(link.run(stop.clone()));
    tasks.spawn(deliver(Arc::clone(&gate.journal), Arc::clone(&gate.above), board, stop.clone()));
    let part = Part::Gate(Arc::clone(&gate.journal));
    tasks.spawn(gate.run(visits));
    Ok(Life::new(stop, tasks, part))
}

struct SimGate {
    world: Arc<World>,
    node: Node,
    station: u8,
    way: Direction,
    door: Door,
    above: Arc<dyn Station>,
    journal: Arc<GateJournal>,
    keys: watch::Receiver<Vec<IssuerKey>>,
    codes: SpentCodes,
    clock: Arc<dyn Clock>,
}

impl SimGate {
    async fn run(mut self, mut visits: mpsc::Receiver<Visit>) {
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                biased;
                signal = self.door.next_signal() => drop(self.door.on_signal(signal).await),
                visit = visits.recv() => match visit {
                    Some(visit) => self.visit(visit).await,
                    None => return,
                },
                _ = tick.tick() => drop(self.door.tick().await),
            }
        }
    }

    async fn visit(&mut self, visit: Visit) {
        if self.door.is_busy() || !self.door.is_online() || self.journal.position().0 == 0 {
            return self.world.events.say(format_args!("{} is not ready for rider {}", self.node, visit.rider));
        }
        let granted = match &visit.shown {
            Shown::Face(seed) => self.face(visit.rider, *seed).await,
            Shown::Code(text) => self.code(text).await,
        };
        let said = match granted {
            Ok(authorisation) => {
                let nonce = match authorisation.evidence {
                    Evidence::Code { nonce, .. } => Some(nonce),
                    Evidence::Face { .. } | Evidence::Booth { .. } => None,
                };
                let admitted = self.door.admit(authorisation).await;
                if self.door.is_busy() {
                    nonce.into_iter().for_each(|nonce| self.codes.spend(nonce, self.clock.now()));
                }
                match admitted {
                    Ok(record) => format!("admits as {record}"),
                    Err(blocked) => format!("cannot admit: {blocked:?}"),
                }
            }
            Err(refused) => format!("refuses: {refused}"),
        };
        self.world.events.say(format_args!("{} rider {} {said}", self.node, visit.rider));
    }

    async fn face(&mut self, rider: usize, seed: u64) -> Result<Authorisation, String> {
        let probe = self.world.riders.probe(rider, seed);
        let alone = self.world.network.cut_for(Node::Station(self.station), Node::Cloud);
        match self.above.identify(&probe, 3, self.way).await {
            Ok(Answer::Granted { rider: found, evidence: Some(evidence) }) => {
                self.world.riders.recognised(&self.world, self.station, found, rider).await;
                self.world.within_lease(self.station, alone);
                Ok(Authorisation::new(found, self.way, evidence))
            }
            Ok(Answer::Granted { .. }) => Err("recognised without evidence".into()),
            Ok(Answer::Refused(refusal)) => Err(refusal.name().into()),
            Err(error) => Err(said(&error).into()),
        }
    }

    async fn code(&mut self, text: &str) -> Result<Authorisation, String> {
        let verified = {
            let keys = self.keys.borrow();
            verify(text, &keys, self.clock.now(), CodeTolerance::default())
        };
        let code = verified.map_err(|error| error.to_string())?;
        if self.codes.is_spent(&code.nonce) {
            return Err("code spent here".into());
        }
        let checked_online = match self.above.present_code(&code, None, self.way).await {
            Ok(Answer::Granted { rider, .. }) if rider == code.rider => true,
            Ok(Answer::Granted { .. }) => return Err("another rider".into()),
            Ok(Answer::Refused(refusal)) => return Err(refusal.name().into()),
            Err(StationError::Unreachable(_)) => false,
            Err(error) => return Err(said(&error).into()),
        };
        let evidence = Evidence::Code { nonce: code.nonce, checked_online, face: None };
        Ok(Authorisation::new(code.rider, self.way, evidence))
    }
}

fn said(error: &StationError) -> &'static str {
    match error {
        StationError::Unreachable(_) => "station unreachable",
        StationError::Rejected(_) => "station rejects",
        StationError::Nonsense(_) => "station talks nonsense",
    }
}
