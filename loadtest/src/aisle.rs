//! The aisle's hardware, simulated: a door, three beams, and the bodies that cross them.
//!
//! It lives outside the gate process, as the controller of a real aisle does: it latches what the beams saw until the
//! gate acknowledges, so a gate that dies loses nothing. Its count of bodies is the truth that tests compare with.
//! One JSON object a line, both ways; the messages are in [`protocol`].

pub mod controller;
pub mod gaits;
pub mod page;
pub mod protocol;
pub mod serial;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use controller::Controller;
use gaits::{Gait, WALKS};
use protocol::{Event, FromAisle, ToAisle};

/// What became of one body that wanted to pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Walk {
    /// It crossed the beams while the door was open under this token.
    Crossed { token: String },
    /// The door stayed closed as long as the body would wait.
    GaveUp,
}

/// Speed of the simulated bodies.
#[derive(Debug, Clone, Copy)]
pub struct AisleTimes {
    /// Into the entry beam to out of the exit beam.
    pub crossing: Duration,
}

impl Default for AisleTimes {
    fn default() -> Self {
        Self { crossing: Duration::from_millis(500) }
    }
}

/// How often the controller looks whether the gate is still there.
const WATCH_EVERY: Duration = Duration::from_millis(250);

/// One aisle. Clones share it.
#[derive(Clone)]
pub struct Aisle {
    address: SocketAddr,
    times: AisleTimes,
    state: Arc<Mutex<State>>,
    /// Woken whenever the door or the latch changed.
    changed: Arc<Notify>,
    tasks: Arc<Tasks>,
}

struct State {
    controller: Controller,
    crossed: Vec<String>,
}

struct Tasks(Vec<AbortHandle>);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

impl std::fmt::Debug for Aisle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Aisle({})", self.address)
    }
}

impl Aisle {
    /// Starts the controller on a free port of `host`.
    pub async fn start(host: IpAddr, times: AisleTimes) -> Result<Self> {
        Self::start_at(SocketAddr::new(host, 0), times).await
    }

    /// The same at this address; port 0 is a free one.
    pub async fn start_at(listen: SocketAddr, times: AisleTimes) -> Result<Self> {
        let listener = TcpListener::bind(listen).await.with_context(|| format!("no aisle can be at {listen}"))?;
        let address = listener.local_addr()?;
        let state = State { controller: Controller::new(rand::random()), crossed: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        let changed = Arc::new(Notify::new());
        let serving = tokio::spawn(serve(listener, state.clone(), changed.clone()));
        let watching = tokio::spawn(watch(state.clone(), changed.clone()));
        let tasks = Arc::new(Tasks(vec![serving.abort_handle(), watching.abort_handle()]));
        Ok(Self { address, times, state, changed, tasks })
    }

    pub fn address(&self) -> SocketAddr {
        debug_assert!(self.tasks.0.iter().all(|task| !task.is_finished()), "it runs as long as a handle lives");
        self.address
    }

    /// Tokens under which bodies crossed, oldest first.
    pub fn crossed(&self) -> Vec<String> {
        lock(&self.state).crossed.clone()
    }

    /// Whether a body could step through at this moment, or one is on its way.
    pub fn is_open(&self) -> bool {
        lock(&self.state).controller.is_open()
    }

    /// A body stands before the door, walks through when it opens, or gives up.
    pub async fn walk(&self, patience: Duration) -> Walk {
        let token = tokio::select! {
            token = self.take_open_door() => token,
            () = sleep(patience) => return Walk::GaveUp,
        };
        self.go(WALKS).await;
        let mut state = lock(&self.state);
        state.crossed.push(token.clone());
        state.controller.step_out(&token);
        drop(state);
        Walk::Crossed { token }
    }

    /// A body moves, whether the door is open or not.
    pub async fn go(&self, gait: Gait) {
        let started = tokio::time::Instant::now();
        for (hundredths, beam, broken) in gait {
            tokio::time::sleep_until(started + self.times.crossing * *hundredths / 100).await;
            self.control(|controller| controller.beam(*beam, *broken));
        }
    }

    /// Does something to the hardware; the gate hears of what follows.
    pub fn control<T>(&self, act: impl FnOnce(&mut Controller) -> T) -> T {
        let done = act(&mut lock(&self.state).controller);
        self.changed.notify_waiters();
        done
    }

    async fn take_open_door(&self) -> String {
        loop {
            let changed = self.changed.notified();
            if let Some(token) = lock(&self.state).controller.step_in() {
                return token;
            }
            changed.await;
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn watch(state: Arc<Mutex<State>>, changed: Arc<Notify>) {
    loop {
        sleep(WATCH_EVERY).await;
        lock(&state).controller.watch();
        changed.notify_waiters();
    }
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>, changed: Arc<Notify>) {
    // One gate drives one aisle: a new connection replaces the old one, whose gate is gone.
    let mut current: Option<AbortHandle> = None;
    while let Ok((stream, _)) = listener.accept().await {
        if let Some(old) = current.take() {
            old.abort();
        }
        let connection = tokio::spawn(converse(stream, state.clone(), changed.clone()));
        current = Some(connection.abort_handle());
    }
}

async fn converse(stream: TcpStream, state: Arc<Mutex<State>>, changed: Arc<Notify>) -> Result<()> {
    stream.set_nodelay(true)?;
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    let mut told = 0;
    loop {
        let notified = changed.notified();
        let news: Vec<Event> = lock(&state).controller.events_from(told);
        for event in news {
            told = event.event + 1;
            send(&mut writer, &FromAisle::Event(event)).await?;
        }
        let line = tokio::select! {
            line = lines.next_line() => line?,
            () = notified => continue,
        };
        let Some(line) = line else { return Ok(()) };
        match serde_json::from_str::<ToAisle>(&line) {
            Ok(message) => {
                let answer = lock(&state).controller.obey(message);
                changed.notify_waiters();
                if let Some(answer) = answer {
                    send(&mut writer, &answer).await?;
                }
            }
            Err(error) => tracing::warn!(%error, line, "the gate sent what is no command"),
        }
    }
}

async fn send(writer: &mut (impl AsyncWriteExt + Unpin), message: &FromAisle) -> Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(writer.write_all(&line).await?)
}

#[cfg(test)]
mod tests;
