//! The simulated aisle of development mode: the messages of [`super::message`], one a line over TCP, on loopback.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use facegate_runtime::backoff::Backoff;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, interval, sleep_until, timeout};

use super::message::{FromAisle, ToAisle};
use super::{Actuator, AisleEvent, AisleOffline, Order, Signal};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);
/// Silence after which the connection is given up: several unanswered signs of life.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// More than any hardware latches. The door waits for its orders while these wait for the door, so nothing here may wait
/// for room: the connection ends, and what was not taken is repeated.
const SIGNALS_QUEUED_MAX: usize = 8192;

/// See the module's description. Reconnects by itself.
#[derive(Debug)]
pub struct SimulatedActuator {
    orders: mpsc::Sender<Sent>,
    signals: mpsc::Receiver<(u64, Signal)>,
    /// The connection whose `Online` was handed out last. Orders are for this one alone: one that slipped into a
    /// newer connection would not be in the status that the newer one began with.
    session: u64,
}

#[derive(Debug)]
struct Sent {
    session: u64,
    line: ToAisle,
    written: oneshot::Sender<()>,
}

impl SimulatedActuator {
    /// Starts connecting. Call inside a tokio runtime; the connection ends with this value.
    pub fn connect(address: SocketAddr) -> Self {
        let (orders, order_queue) = mpsc::channel(8);
        let (signal_queue, signals) = mpsc::channel(SIGNALS_QUEUED_MAX);
        tokio::spawn(Connector { address, orders: order_queue, signals: signal_queue, session: 0 }.run());
        Self { orders, signals, session: 0 }
    }
}

#[async_trait]
impl Actuator for SimulatedActuator {
    async fn order(&mut self, order: Order) -> Result<(), AisleOffline> {
        let (written, done) = oneshot::channel();
        let sent = Sent { session: self.session, line: order.into(), written };
        self.orders.send(sent).await.map_err(|_| AisleOffline)?;
        done.await.map_err(|_| AisleOffline)
    }

    async fn next_signal(&mut self) -> Signal {
        match self.signals.recv().await {
            Some((session, signal)) => {
                self.session = session;
                signal
            }
            // The connector ends only with this value; nothing will be signalled any more.
            None => std::future::pending().await,
        }
    }
}

/// Keeps one connection up.
struct Connector {
    address: SocketAddr,
    orders: mpsc::Receiver<Sent>,
    signals: mpsc::Sender<(u64, Signal)>,
    session: u64,
}

impl Connector {
    async fn run(mut self) {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
        loop {
            let connected = timeout(CONNECT_TIMEOUT, TcpStream::connect(self.address)).await;
            if let Ok(Ok(stream)) = connected {
                backoff.reset();
                self.session += 1;
                let ended = self.talk(stream).await;
                tracing::warn!(aisle = %self.address, reason = %ended, "connection to the aisle ended; reconnecting");
                if !self.tell_offline().await {
                    return;
                }
            }
            if !self.refuse_orders_for(backoff.next_delay()).await {
                return;
            }
        }
    }

    /// False when the actuator was dropped. Orders meanwhile fail at once.
    async fn tell_offline(&mut self) -> bool {
        loop {
            tokio::select! {
                told = self.signals.send((self.session, Signal::Offline)) => return told.is_ok(),
                order = self.orders.recv() => if order.is_none() { return false },
            }
        }
    }

    /// Waits before the next try; false when the actuator was dropped. Orders meanwhile fail at once.
    async fn refuse_orders_for(&mut self, delay: Duration) -> bool {
        let refuse = async { while self.orders.recv().await.is_some() {} };
        timeout(delay, refuse).await.is_err()
    }

    /// Serves one connection and says why it ended.
    async fn talk(&mut self, stream: TcpStream) -> io::Error {
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        let mut life = interval(SIGN_OF_LIFE);
        let mut online = false;
        let mut given_up = Instant::now() + SILENCE_MAX;
        loop {
            let step = tokio::select! {
                line = lines.next_line() => {
                    given_up = Instant::now() + SILENCE_MAX;
                    self.heard(line, &mut online)
                }
                () = sleep_until(given_up) => Err(io::Error::other("silent for too long")),
                order = self.orders.recv() => self.execute(order, &mut write).await,
                _ = life.tick() => write_line(&mut write, &ToAisle::Status).await,
            };
            if let Err(ended) = step {
                return ended;
            }
        }
    }

    fn heard(&self, line: io::Result<Option<String>>, online: &mut bool) -> io::Result<()> {
        let line = line?.ok_or_else(|| io::Error::other("closed by the aisle"))?;
        let signal = match FromAisle::parse(&line).map_err(io::Error::other)? {
            FromAisle::Event(event) => Signal::Saw(AisleEvent::try_from(&event).map_err(io::Error::other)?),
            FromAisle::Status(_) if *online => return Ok(()),
            FromAisle::Status(status) => {
                *online = true;
                Signal::Online(status.check().map_err(io::Error::other)?)
            }
        };
        self.signals.try_send((self.session, signal)).map_err(io::Error::other)
    }

    async fn execute(&self, order: Option<Sent>, write: &mut OwnedWriteHalf) -> io::Result<()> {
        let order = order.ok_or_else(|| io::Error::other("stopped"))?;
        if order.session == self.session {
            write_line(write, &order.line).await?;
            // Nobody waiting any more is no concern of the aisle's.
            let _ = order.written.send(());
        }
        Ok(())
    }
}

async fn write_line(write: &mut OwnedWriteHalf, line: &ToAisle) -> io::Result<()> {
    let mut text = serde_json::to_string(line)?;
    text.push('\n');
    write.write_all(text.as_bytes()).await
}
