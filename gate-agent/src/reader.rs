//! A device at the gate that reads ride codes and notices cards: it says a line of text for each.
//!
//! What it says is not trusted: a line is a ride code only if that verifies. The gate's own card reader says that
//! somebody has presented a card with the configured line; the card system lets him through, and his face is not searched.

pub mod hid;
mod lines;
pub mod serial;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use facegate_runtime::backoff::Backoff;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use self::hid::HidDevice;
use self::lines::{Lines, Said};
use self::serial::SerialDevice;

const FIRST_RETRY: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// A reader sends a line in one go: what is still without an end after this is the half of one.
const LINE_WITHIN: Duration = Duration::from_millis(500);
/// Events that may wait for the gate; a reader that says more is not heard.
const EVENTS_QUEUED_MAX: usize = 4;

/// Which reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderConfig {
    pub device: PathBuf,
    pub kind: ReaderKind,
    /// What the reader says when a card is presented.
    pub card_line: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReaderKind {
    /// Lines over a serial device.
    Serial { baud: u32 },
    /// Typed like a keyboard, and kept from everybody else.
    Hid,
}

/// What the reader has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReaderEvent {
    /// It is there.
    Online,
    /// It is gone, and is tried again.
    Lost(String),
    /// Somebody held up something with this text.
    Text(String),
    /// A card was presented.
    Card,
    /// A line that is no text, or longer than any code.
    Nonsense(&'static str),
}

/// A way to open a device and to read what it says.
#[async_trait]
pub trait Device: Send {
    /// Opens it, or opens it anew.
    async fn open(&mut self) -> io::Result<()>;

    /// The next bytes, at least one. What has begun may be dropped without losing any.
    async fn read(&mut self) -> io::Result<Vec<u8>>;
}

/// Follows the configured reader until shutdown or until nobody listens.
pub fn follow(config: ReaderConfig, shutdown: CancellationToken) -> mpsc::Receiver<ReaderEvent> {
    let device: Box<dyn Device> = match config.kind {
        ReaderKind::Serial { baud } => Box::new(SerialDevice::new(config.device, baud)),
        ReaderKind::Hid => Box::new(HidDevice::new(config.device)),
    };
    follow_device(device, config.card_line, shutdown)
}

fn follow_device(
    mut device: Box<dyn Device>,
    card_line: String,
    shutdown: CancellationToken,
) -> mpsc::Receiver<ReaderEvent> {
    let (events, received) = mpsc::channel(EVENTS_QUEUED_MAX);
    tokio::spawn(async move {
        let reading = async {
            let mut backoff = Backoff::new(FIRST_RETRY, RETRY_MAX);
            loop {
                let Err(error) = read_until_lost(device.as_mut(), &card_line, &events, &mut backoff).await else {
                    return;
                };
                tracing::warn!(%error, "the code reader is lost; it is tried again");
                if events.send(ReaderEvent::Lost(error.to_string())).await.is_err() {
                    return;
                }
                tokio::time::sleep(backoff.next_delay()).await;
            }
        };
        shutdown.run_until_cancelled(reading).await;
    });
    received
}

/// Ends well when nobody listens any more.
async fn read_until_lost(
    device: &mut dyn Device,
    card_line: &str,
    events: &mpsc::Sender<ReaderEvent>,
    backoff: &mut Backoff,
) -> io::Result<()> {
    device.open().await?;
    if events.send(ReaderEvent::Online).await.is_err() {
        return Ok(());
    }
    let mut lines = Lines::default();
    loop {
        let bytes = match timeout(LINE_WITHIN, device.read()).await {
            Ok(bytes) => bytes?,
            Err(_) => {
                if lines.forget_half() {
                    metrics::counter!("facegate_gate_reader_half_lines_total").increment(1);
                    tracing::info!("half a line came from the code reader; it is forgotten");
                }
                continue;
            }
        };
        backoff.reset();
        for said in lines.push(&bytes) {
            let event = match said {
                Said::Line(line) if line == card_line => ReaderEvent::Card,
                Said::Line(line) => ReaderEvent::Text(line),
                Said::Nonsense(reason) => ReaderEvent::Nonsense(reason),
            };
            // While somebody passes nobody listens; what is said then is not for the next rider.
            match events.try_send(event) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(_)) => {
                    metrics::counter!("facegate_gate_reader_unheard_total").increment(1);
                }
                Err(mpsc::error::TrySendError::Closed(_)) => return Ok(()),
            }
        }
    }
}

impl fmt::Debug for dyn Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Device")
    }
}

#[cfg(test)]
mod tests;
