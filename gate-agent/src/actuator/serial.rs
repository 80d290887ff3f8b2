//! The aisle over a serial line: the messages of [`super::message`] in frames that lost, torn and foreign bytes cannot
//! fake.
//!
//! | frame | |
//! |---|---|
//! | `D 17 {…}*89abcdef⏎` | gate → hardware: a message, numbered; sent again every 250 ms until acknowledged |
//! | `A 17 *89abcdef⏎` | hardware → gate: message 17 was taken. A number that was the last one is taken, and not done, again |
//! | `R 0 {…}*89abcdef⏎` | hardware → gate: a report |
//!
//! The eight digits are the CRC-32 (IEEE, hexadecimal) of everything before the asterisk. Whatever is no frame is skipped
//! to the next line end and counted. Reports need no answer: they are numbered, a gap has the status asked for, and the
//! status carries all that is not acknowledged. The status is asked for every second, so the hardware hears of the gate
//! at least that often; silent for three seconds, its watchdog brings the door to the state that `without_gate` told it.

pub mod frame;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use facegate_runtime::backoff::Backoff;
use serial2_tokio::SerialPort;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use self::frame::{Frame, Frames, Kind};
use super::message::{FromAisle, Status, ToAisle};
use super::{Actuator, AisleEvent, AisleOffline, Order, Signal};

const SIGN_OF_LIFE: Duration = Duration::from_secs(1);
/// Silence after which the line is opened anew.
const SILENCE_MAX: Duration = Duration::from_secs(4);
const AGAIN_AFTER: Duration = Duration::from_millis(250);
/// An order that was not acknowledged so many times: the line is dead.
const SENT_MAX: u32 = 8;
/// More than any hardware latches; nothing here may wait for room while the door waits for an order.
const SIGNALS_QUEUED_MAX: usize = 8192;

/// Which line, and how fast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SerialLine {
    pub device: PathBuf,
    /// Bits per second; 8 data bits, no parity, one stop bit, no flow control.
    pub baud: u32,
}

/// See the module's description. Opens the line again by itself.
#[derive(Debug)]
pub struct SerialActuator {
    orders: mpsc::Sender<Sent>,
    signals: mpsc::Receiver<(u64, Signal)>,
    /// The connection whose `Online` was handed out last; orders are for this one alone.
    session: u64,
}

#[derive(Debug)]
struct Sent {
    session: u64,
    message: ToAisle,
    taken: oneshot::Sender<()>,
}

impl SerialActuator {
    /// Starts connecting. Call inside a tokio runtime; the connection ends with this value.
    pub fn connect(line: SerialLine) -> Self {
        let (orders, order_queue) = mpsc::channel(8);
        let (signal_queue, signals) = mpsc::channel(SIGNALS_QUEUED_MAX);
        tokio::spawn(Connector { line, orders: order_queue, signals: signal_queue, session: 0, number: 0 }.run());
        Self { orders, signals, session: 0 }
    }
}

#[async_trait]
impl Actuator for SerialActuator {
    async fn order(&mut self, order: Order) -> Result<(), AisleOffline> {
        let (taken, done) = oneshot::channel();
        let sent = Sent { session: self.session, message: order.into(), taken };
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

    fn is_lossy(&self) -> bool {
        true
    }
}

/// Keeps the line open.
struct Connector {
    line: SerialLine,
    orders: mpsc::Receiver<Sent>,
    signals: mpsc::Sender<(u64, Signal)>,
    session: u64,
    /// Of the last frame sent.
    number: u32,
}

/// An order on its way.
struct OnItsWay {
    number: u32,
    frame: Vec<u8>,
    times: u32,
    again: Instant,
    taken: oneshot::Sender<()>,
}

/// What one opening of the line knows.
#[derive(Default)]
struct Talk {
    on_its_way: Option<OnItsWay>,
    /// The hardware's boot, and the number of the report that comes next; none before the first status.
    online: Option<(u32, u64)>,
}

impl Connector {
    async fn run(mut self) {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
        // A number that no earlier process has used last, as far as chance can see to it.
        self.number = rand_number();
        loop {
            match SerialPort::open(&self.line.device, self.line.baud) {
                Ok(port) => {
                    self.session += 1;
                    let (ended, was_online) = self.talk(&port).await;
                    if was_online {
                        backoff.reset();
                    }
                    tracing::warn!(device = %self.line.device.display(), reason = %ended, "the line to the aisle ended; opening it again");
                }
                Err(error) => tracing::warn!(device = %self.line.device.display(), %error, "no line to the aisle"),
            }
            if !self.tell_offline().await {
                return;
            }
            // Orders meanwhile fail at once.
            let refuse = async { while self.orders.recv().await.is_some() {} };
            if timeout(backoff.next_delay(), refuse).await.is_ok() {
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

    /// Serves the open line; says why it ended, and whether the hardware had answered.
    async fn talk(&mut self, port: &SerialPort) -> (io::Error, bool) {
        let (mut talk, mut frames, mut bytes) = (Talk::default(), Frames::default(), [0; 1024]);
        let mut life = interval(SIGN_OF_LIFE);
        life.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut given_up = Instant::now() + SILENCE_MAX;
        loop {
            let again = talk.on_its_way.as_ref().map(|order| order.again);
            let step = tokio::select! {
                read = port.read(&mut bytes) => match read {
                    Ok(0) => Err(io::Error::other("the line was hung up")),
                    Ok(length) => {
                        let heard = frames.take(&bytes[..length]);
                        if !heard.is_empty() {
                            given_up = Instant::now() + SILENCE_MAX;
                        }
                        self.heard(port, &mut talk, heard).await
                    }
                    Err(error) => Err(error),
                },
                () = sleep_until(given_up) => Err(io::Error::other("the hardware is silent")),
                order = self.orders.recv(), if talk.on_its_way.is_none() => self.begin(port, &mut talk, order).await,
                () = sleep_until(again.unwrap_or_else(Instant::now)), if again.is_some() => send_again(port, &mut talk).await,
                _ = life.tick() => self.ask_status(port).await,
            };
            if let Err(ended) = step {
                return (ended, talk.online.is_some());
            }
        }
    }

    async fn begin(&mut self, port: &SerialPort, talk: &mut Talk, order: Option<Sent>) -> io::Result<()> {
        let order = order.ok_or_else(|| io::Error::other("stopped"))?;
        if order.session != self.session || talk.online.is_none() {
            return Ok(());
        }
        self.number = self.number.wrapping_add(1);
        let frame =
            Frame { kind: Kind::Data, number: self.number, text: serde_json::to_string(&order.message)? }.encode();
        port.write_all(&frame).await?;
        let again = Instant::now() + AGAIN_AFTER;
        talk.on_its_way = Some(OnItsWay { number: self.number, frame, times: 1, again, taken: order.taken });
        Ok(())
    }

    /// Not acknowledged itself: the answer is.
    async fn ask_status(&mut self, port: &SerialPort) -> io::Result<()> {
        self.number = self.number.wrapping_add(1);
        let text = serde_json::to_string(&ToAisle::Status)?;
        port.write_all(&Frame { kind: Kind::Data, number: self.number, text }.encode()).await
    }

    async fn heard(&mut self, port: &SerialPort, talk: &mut Talk, frames: Vec<Frame>) -> io::Result<()> {
        for frame in frames {
            match frame.kind {
                Kind::Acknowledgement => {
                    if talk.on_its_way.as_ref().is_some_and(|order| order.number == frame.number)
                        && let Some(order) = talk.on_its_way.take()
                    {
                        // Nobody waiting any more is no concern of the aisle's.
                        let _ = order.taken.send(());
                    }
                }
                Kind::Report => match FromAisle::parse(&frame.text) {
                    Ok(FromAisle::Event(event)) => {
                        let event = AisleEvent::try_from(&event).map_err(io::Error::other)?;
                        match &mut talk.online {
                            Some((_, next)) if event.number == *next => {
                                *next += 1;
                                self.tell(Signal::Saw(event))?;
                            }
                            // Lost on the way: the status has it.
                            Some((_, next)) if event.number > *next => self.ask_status(port).await?,
                            _ => {}
                        }
                    }
                    Ok(FromAisle::Status(status)) => self.status(talk, &status)?,
                    Err(reason) => {
                        tracing::warn!(
                            reason,
                            "the hardware sent a sound frame without sense; is it of this protocol?"
                        );
                    }
                },
                // Our own, echoed.
                Kind::Data => {}
            }
        }
        Ok(())
    }

    fn status(&self, talk: &mut Talk, status: &Status) -> io::Result<()> {
        let known = status.check().map_err(io::Error::other)?;
        let Some((boot, next)) = talk.online else {
            talk.online = Some((status.boot, status.next));
            return self.tell(Signal::Online(known));
        };
        if boot != status.boot {
            return Err(io::Error::other("the hardware has started anew"));
        }
        for event in known.unacknowledged.into_iter().filter(|event| event.number >= next) {
            self.tell(Signal::Saw(event))?;
        }
        talk.online = Some((boot, status.next.max(next)));
        self.tell(Signal::InStep { now_ms: known.now_ms })
    }

    fn tell(&self, signal: Signal) -> io::Result<()> {
        self.signals.try_send((self.session, signal)).map_err(io::Error::other)
    }
}

async fn send_again(port: &SerialPort, talk: &mut Talk) -> io::Result<()> {
    let Some(order) = &mut talk.on_its_way else { return Ok(()) };
    if order.times == SENT_MAX {
        return Err(io::Error::other("an order was not acknowledged"));
    }
    order.times += 1;
    order.again = Instant::now() + AGAIN_AFTER;
    metrics::counter!("facegate_gate_serial_repeats_total").increment(1);
    port.write_all(&order.frame).await
}

fn rand_number() -> u32 {
    use std::hash::{BuildHasher, Hasher};
    let hash = std::collections::hash_map::RandomState::new().build_hasher().finish();
    u32::try_from(hash >> 32).unwrap_or_default()
}
