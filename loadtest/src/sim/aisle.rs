//! The hardware of one gate, and the bodies that walk through it. What crosses here is the truth that everything else is
//! counted against: it is not written down anywhere in the servers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use facegate_domain::aisle::{AisleEvent, Beam, Saw};
use facegate_domain::tap::Direction;
use facegate_gate_agent::actuator::{Actuator, AisleOffline, AisleStatus, Order, PassageToken, Signal};
use facegate_runtime::disk::SimDisk;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep};

use super::dice::Dice;
use super::events::Events;
use super::node::Node;

/// Without a word from the gate the door closes by itself after this.
const OPEN_FOR: Duration = Duration::from_secs(8);
/// From beam to beam.
const STRIDE: Duration = Duration::from_millis(350);

/// A body that went through an open door.
#[derive(Debug, Clone)]
pub struct Crossing {
    pub rider: usize,
    pub station: u8,
    pub way: Direction,
    pub token: PassageToken,
}

/// What somebody shows to the gate.
#[derive(Debug, Clone)]
pub enum Shown {
    /// The probe's own seed.
    Face(u64),
    Code(String),
}

/// Somebody before the gate.
#[derive(Debug, Clone)]
pub struct Visit {
    pub rider: usize,
    pub shown: Shown,
}

/// Door and sensors; they have power when the gate has none.
pub struct Aisle {
    pub station: u8,
    pub way: Direction,
    dice: Dice,
    events: Arc<Events>,
    crossings: Arc<Mutex<Vec<Crossing>>>,
    started: Instant,
    state: Mutex<State>,
    changed: Notify,
    /// One body at a time stands before the gate.
    pub queue: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    occupant: Option<usize>,
    open: Option<PassageToken>,
    unacknowledged: Vec<AisleEvent>,
    events: u64,
    crossed: u64,
    signals: Option<mpsc::UnboundedSender<Signal>>,
    visits: Option<mpsc::Sender<Visit>>,
}

impl Aisle {
    pub fn new(
        node: (u8, Direction),
        dice: Dice,
        events: Arc<Events>,
        crossings: Arc<Mutex<Vec<Crossing>>>,
    ) -> Arc<Self> {
        let (station, way) = node;
        let (state, changed, queue) = Default::default();
        Arc::new(Self { station, way, dice, events, crossings, started: Instant::now(), state, changed, queue })
    }

    fn node(&self) -> Node {
        Node::Gate(self.station, self.way)
    }

    /// The gate's process has started: it hears what the sensors know, and sees who comes.
    pub fn connect(self: &Arc<Self>, disk: SimDisk) -> (SimActuator, mpsc::Receiver<Visit>) {
        let (signals, heard) = mpsc::unbounded_channel();
        let (visits, seen) = mpsc::channel(1);
        let mut state = self.state();
        let status = AisleStatus { boot: 1, now_ms: self.now_ms(), unacknowledged: state.unacknowledged.clone() };
        // The receiver is here, so it is taken.
        let _ = signals.send(Signal::Online(status));
        (state.signals, state.visits) = (Some(signals), Some(visits));
        drop(state);
        (SimActuator { aisle: Arc::clone(self), heard, disk }, seen)
    }

    /// Stands before the gate and shows something, until it has let him through or he has had enough. True if he is
    /// through.
    pub async fn stand(&self, visit: Visit, patience: Duration) -> bool {
        let crossed = {
            let mut state = self.state();
            state.occupant = Some(visit.rider);
            // A gate that is down, or looks elsewhere, sees nobody.
            state.visits.iter().for_each(|visits| drop(visits.try_send(visit.clone())));
            state.crossed
        };
        let through = async {
            loop {
                let changed = self.changed.notified();
                if self.state().crossed > crossed {
                    return;
                }
                changed.await;
            }
        };
        let mut passed = tokio::time::timeout(patience, through).await.is_ok();
        // Nobody turns his back on a door that stands open for him.
        while self.state().open.is_some() {
            sleep(Duration::from_millis(100)).await;
        }
        let mut state = self.state();
        passed |= state.crossed > crossed;
        state.occupant = None;
        passed
    }

    fn open(self: &Arc<Self>, token: PassageToken) {
        self.state().open = Some(token);
        self.sense(Saw::Opened(token));
        let aisle = Arc::clone(self);
        tokio::spawn(async move {
            sleep(aisle.dice.ms(300..2_500)).await;
            let goes = aisle.dice.chance(0.93);
            let occupant = aisle.state().occupant;
            match occupant {
                Some(rider) if goes => aisle.cross(rider, token).await,
                Some(_) => {
                    aisle.sense(Saw::Broken(Beam::Entry));
                    sleep(STRIDE).await;
                    aisle.sense(Saw::Cleared(Beam::Entry));
                }
                None => {}
            }
            // The gate closes when it has understood; were it dead, the watchdog would.
            sleep(OPEN_FOR).await;
            aisle.close(token);
        });
    }

    async fn cross(&self, rider: usize, token: PassageToken) {
        self.sense(Saw::Broken(Beam::Entry));
        sleep(STRIDE).await;
        self.sense(Saw::Broken(Beam::Mid));
        self.sense(Saw::Cleared(Beam::Entry));
        sleep(STRIDE).await;
        self.sense(Saw::Broken(Beam::Exit));
        self.sense(Saw::Cleared(Beam::Mid));
        sleep(STRIDE).await;
        self.events.say(format_args!("{} rider {rider} crosses on {token}", self.node()));
        let crossing = Crossing { rider, station: self.station, way: self.way, token };
        self.crossings.lock().unwrap_or_else(PoisonError::into_inner).push(crossing);
        self.state().crossed += 1;
        self.sense(Saw::Cleared(Beam::Exit));
        self.changed.notify_waiters();
    }

    fn close(&self, token: PassageToken) {
        let mut state = self.state();
        if state.open == Some(token) {
            state.open = None;
            drop(state);
            self.sense(Saw::Closed);
        }
    }

    fn sense(&self, saw: Saw) {
        let at_ms = self.now_ms();
        let mut state = self.state();
        state.events += 1;
        let event = AisleEvent { number: state.events, at_ms, saw };
        state.unacknowledged.push(event);
        // Nobody listens while the gate is down; the event waits.
        state.signals.iter().for_each(|signals| drop(signals.send(Signal::Saw(event))));
    }

    /// The hardware's own clock.
    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Aisle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Aisle({})", self.node())
    }
}

/// One process's connection to the aisle.
#[derive(Debug)]
pub struct SimActuator {
    aisle: Arc<Aisle>,
    heard: mpsc::UnboundedReceiver<Signal>,
    disk: SimDisk,
}

#[async_trait]
impl Actuator for SimActuator {
    async fn order(&mut self, order: Order) -> Result<(), AisleOffline> {
        // A gate that lost its power has said nothing.
        if self.disk.is_off() {
            return Err(AisleOffline);
        }
        match order {
            Order::Open(token) => self.aisle.open(token),
            Order::Close => {
                let open = self.aisle.state().open;
                open.into_iter().for_each(|token| self.aisle.close(token));
            }
            Order::Acknowledge(_) if self.aisle.dice.chance(0.1) => return Err(AisleOffline),
            Order::Acknowledge(event) => self.aisle.state().unacknowledged.retain(|kept| kept.number > event),
            Order::Stand(_) | Order::WithoutGate(_) | Order::Show(..) => {}
        }
        Ok(())
    }

    async fn next_signal(&mut self) -> Signal {
        match self.heard.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }
}
