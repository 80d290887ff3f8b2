//! The controller behind a serial line that may lose, tear, double and invent bytes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{MissedTickBehavior, interval};

use super::controller::Controller;
use super::protocol::{FromAisle, ToAisle};

/// How often the line looks for new reports.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Hundredths of frames that a line treats badly, each way.
#[derive(Debug, Clone, Copy, Default)]
pub struct Noise {
    pub lost: u32,
    pub torn: u32,
    pub doubled: u32,
    pub garbage: u32,
}

/// Serves one line until it is hung up. `seed` decides what becomes of each frame.
pub async fn serve(
    mut line: impl AsyncRead + AsyncWrite + Unpin,
    controller: Arc<Mutex<Controller>>,
    noise: Noise,
    seed: u64,
) -> Result<()> {
    let mut dice = StdRng::seed_from_u64(seed);
    let (mut told, mut heard, mut last_taken) = (0, Vec::new(), None);
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut bytes = [0; 512];
    loop {
        let length = tokio::select! {
            read = line.read(&mut bytes) => Some(read?),
            _ = look.tick() => None,
        };
        let mut out = Vec::new();
        match length {
            Some(0) => return Ok(()),
            Some(length) => {
                heard.extend_from_slice(&bytes[..length]);
                while let Some(end) = heard.iter().position(|byte| *byte == b'\n') {
                    let frame: Vec<u8> = heard.drain(..=end).collect();
                    let Some((number, message)) = decode(&frame) else { continue };
                    let answer = take(&controller, &mut last_taken, number, message);
                    match answer {
                        Some(status) => out.push(encode('R', 0, &serde_json::to_string(&status)?)),
                        None => out.push(encode('A', number, "")),
                    }
                }
            }
            None => {
                let mut controller = controller.lock().unwrap_or_else(PoisonError::into_inner);
                controller.watch();
                for event in controller.events_from(told) {
                    told = event.event + 1;
                    out.push(encode('R', 0, &serde_json::to_string(&FromAisle::Event(event))?));
                }
            }
        }
        for frame in out {
            line.write_all(&spoil(&frame, noise, &mut dice)).await?;
        }
    }
}

fn take(controller: &Mutex<Controller>, last: &mut Option<u32>, number: u32, message: ToAisle) -> Option<FromAisle> {
    let again = last.replace(number) == Some(number);
    let mut controller = controller.lock().unwrap_or_else(PoisonError::into_inner);
    if again && message != ToAisle::Status { None } else { controller.obey(message) }
}

fn encode(kind: char, number: u32, text: &str) -> Vec<u8> {
    let body = format!("{kind} {number} {text}");
    format!("{body}*{:08x}\n", crc32fast::hash(body.as_bytes())).into_bytes()
}

fn decode(frame: &[u8]) -> Option<(u32, ToAisle)> {
    let (body, crc) = std::str::from_utf8(frame).ok()?.trim_end().rsplit_once('*')?;
    let mut parts = body.splitn(3, ' ');
    let sound = u32::from_str_radix(crc, 16).ok()? == crc32fast::hash(body.as_bytes());
    let data = parts.next()? == "D";
    let (number, text) = (parts.next()?.parse().ok()?, parts.next()?);
    if sound && data { Some((number, serde_json::from_str(text).ok()?)) } else { None }
}

/// What the line makes of a frame.
fn spoil(frame: &[u8], noise: Noise, dice: &mut StdRng) -> Vec<u8> {
    let mut hit = |hundredths: u32| dice.random_range(0..100) < hundredths;
    let (lost, torn, doubled, garbage) = (hit(noise.lost), hit(noise.torn), hit(noise.doubled), hit(noise.garbage));
    let mut out = Vec::new();
    if garbage {
        out.extend((0..dice.random_range(1..60)).map(|_| dice.random::<u8>()));
    }
    if torn {
        out.extend(&frame[..dice.random_range(0..frame.len())]);
    } else if !lost {
        out.extend(frame);
    }
    if doubled {
        out.extend(frame);
    }
    out
}
