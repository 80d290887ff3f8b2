//! The aisle's hardware, simulated: a door, a beam, and the bodies that cross it.
//!
//! It lives outside the gate process, as the controller of a real aisle does: it latches what the beam saw until the
//! gate acknowledges, so a gate that dies loses nothing. Its count of bodies is the truth that tests compare with.
//! One JSON object a line, both ways; the messages are in [`protocol`].

pub mod protocol;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use protocol::{Event, FromAisle, Kind, ToAisle};

/// How many opened doors the controller remembers.
const KNOWN_TOKENS_MAX: usize = 1000;

/// What became of one body that wanted to pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Walk {
    /// It crossed the beam while the door was open under this token.
    Crossed { token: String },
    /// The door stayed closed as long as the body would wait.
    GaveUp,
}

/// Speeds of the simulated door and bodies.
#[derive(Debug, Clone, Copy)]
pub struct AisleTimes {
    /// Door open to body across the beam.
    pub crossing: Duration,
    /// How long the door waits for somebody.
    pub open_timeout: Duration,
}

impl Default for AisleTimes {
    fn default() -> Self {
        Self { crossing: Duration::from_millis(250), open_timeout: Duration::from_secs(3) }
    }
}

#[derive(Default)]
struct State {
    door: Option<Door>,
    known: VecDeque<String>,
    latched: Vec<Event>,
    next_event: u64,
    crossed: Vec<String>,
}

struct Door {
    token: String,
    /// A body is on its way through: the door neither times out nor takes a second one.
    taken: bool,
}

/// One aisle. Clones share it.
#[derive(Clone)]
pub struct Aisle {
    address: SocketAddr,
    times: AisleTimes,
    state: Arc<Mutex<State>>,
    /// Woken whenever the door or the latch changed.
    changed: Arc<Notify>,
    server: Arc<Server>,
}

struct Server(AbortHandle);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
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
        let listener =
            TcpListener::bind((host, 0)).await.with_context(|| format!("no port on {host} for the aisle"))?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State::default()));
        let changed = Arc::new(Notify::new());
        let serving = tokio::spawn(serve(listener, times, state.clone(), changed.clone()));
        Ok(Self { address, times, state, changed, server: Arc::new(Server(serving.abort_handle())) })
    }

    pub fn address(&self) -> SocketAddr {
        debug_assert!(!self.server.0.is_finished(), "the controller runs as long as a handle lives");
        self.address
    }

    /// Tokens under which bodies crossed, oldest first.
    pub fn crossed(&self) -> Vec<String> {
        lock(&self.state).crossed.clone()
    }

    /// Whether a body could step through at this moment, or one is on its way.
    pub fn is_open(&self) -> bool {
        lock(&self.state).door.is_some()
    }

    /// A body stands before the door, walks through when it opens, or gives up.
    pub async fn walk(&self, patience: Duration) -> Walk {
        let token = tokio::select! {
            token = self.take_open_door() => token,
            () = tokio::time::sleep(patience) => return Walk::GaveUp,
        };
        tokio::time::sleep(self.times.crossing).await;
        let mut state = lock(&self.state);
        state.crossed.push(token.clone());
        state.door = None;
        state.latch(token.clone(), Kind::Crossed);
        drop(state);
        self.changed.notify_waiters();
        Walk::Crossed { token }
    }

    async fn take_open_door(&self) -> String {
        loop {
            let changed = self.changed.notified();
            if let Some(door) = lock(&self.state).door.as_mut().filter(|door| !door.taken) {
                door.taken = true;
                return door.token.clone();
            }
            changed.await;
        }
    }
}

impl State {
    fn latch(&mut self, token: String, kind: Kind) {
        self.latched.push(Event { event: self.next_event, token, kind });
        self.next_event += 1;
    }

    /// True if the door opened; a token that was ever opened is not opened again.
    fn open(&mut self, token: String) -> bool {
        if self.door.is_some() || self.known.contains(&token) {
            return false;
        }
        if self.known.len() == KNOWN_TOKENS_MAX {
            self.known.pop_front();
        }
        self.known.push_back(token.clone());
        self.door = Some(Door { token, taken: false });
        true
    }

    /// Closes the door if nobody took it in time.
    fn time_out(&mut self, token: &str) {
        if self.door.as_ref().is_some_and(|door| door.token == token && !door.taken) {
            self.door = None;
            self.latch(token.to_owned(), Kind::TimedOut);
        }
    }

    fn status(&self) -> FromAisle {
        FromAisle::Status {
            status: if self.door.is_some() { "open" } else { "closed" }.to_owned(),
            token: self.door.as_ref().map(|door| door.token.clone()),
            unacknowledged: self.latched.clone(),
            known: self.known.iter().cloned().collect(),
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: TcpListener, times: AisleTimes, state: Arc<Mutex<State>>, changed: Arc<Notify>) {
    // One gate drives one aisle: a new connection replaces the old one, whose gate is gone.
    let mut current: Option<AbortHandle> = None;
    while let Ok((stream, _)) = listener.accept().await {
        if let Some(old) = current.take() {
            old.abort();
        }
        let connection = tokio::spawn(converse(stream, times, state.clone(), changed.clone()));
        current = Some(connection.abort_handle());
    }
}

async fn converse(stream: TcpStream, times: AisleTimes, state: Arc<Mutex<State>>, changed: Arc<Notify>) -> Result<()> {
    stream.set_nodelay(true)?;
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    let mut told = 0;
    loop {
        let notified = changed.notified();
        let news: Vec<Event> = lock(&state).latched.iter().filter(|e| e.event >= told).cloned().collect();
        for event in news {
            told = event.event + 1;
            send(&mut writer, &FromAisle::Event(event)).await?;
        }
        let line = tokio::select! {
            line = lines.next_line() => line?,
            () = notified => continue,
        };
        let Some(line) = line else { return Ok(()) };
        match serde_json::from_str(&line) {
            Ok(ToAisle::Open { token }) => {
                if lock(&state).open(token.clone()) {
                    changed.notify_waiters();
                    tokio::spawn(close_later(token, times.open_timeout, state.clone(), changed.clone()));
                }
            }
            Ok(ToAisle::Close) => lock(&state).door = None,
            Ok(ToAisle::Status) => {
                let status = lock(&state).status();
                send(&mut writer, &status).await?;
            }
            Ok(ToAisle::Ack { event }) => lock(&state).latched.retain(|e| e.event != event),
            Err(error) => tracing::warn!(%error, line, "the gate sent what is no command"),
        }
    }
}

async fn close_later(token: String, after: Duration, state: Arc<Mutex<State>>, changed: Arc<Notify>) {
    tokio::time::sleep(after).await;
    lock(&state).time_out(&token);
    changed.notify_waiters();
}

async fn send(writer: &mut (impl AsyncWriteExt + Unpin), message: &FromAisle) -> Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(writer.write_all(&line).await?)
}

#[cfg(test)]
mod tests;
