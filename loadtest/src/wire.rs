//! Wires between sites, as user-space TCP relays: slow, lossy or neither. The kernel's own emulation (`tc netem`) is a
//! module that many machines lack; this is the same everywhere.
//!
//! A packet that is lost costs TCP a retransmission, and everything behind it waits: that is what a lossy wire does
//! here, packet by packet, each way by itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

/// What one packet carries over an Ethernet.
const PACKET: usize = 1448;
/// TCP's shortest wait before it sends again, on Linux; doubled at each further loss of the same packet.
const RETRANSMISSION: Duration = Duration::from_millis(200);
const RETRANSMISSIONS_MAX: u32 = 5;
/// Packets under way in one direction.
const WINDOW: usize = 64;

/// What the wire does to each packet.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Faults {
    /// One way.
    pub delay: Duration,
    /// The share of packets that are lost, 0 to 1.
    pub loss: f64,
}

/// A wire that passes connections on until it is dropped. Its faults can change at any time.
#[derive(Debug)]
pub struct Wire {
    address: SocketAddr,
    faults: Arc<SharedFaults>,
    accepting: AbortHandle,
}

#[derive(Debug, Default)]
struct SharedFaults {
    delay_us: AtomicU64,
    /// Losses in a million.
    loss_ppm: AtomicU64,
    lost: AtomicU64,
}

impl Wire {
    /// From `listen` to `to`; the faults are drawn from `seed`.
    pub async fn lay(listen: SocketAddr, to: SocketAddr, seed: u64) -> Result<Self> {
        let listener = TcpListener::bind(listen).await.with_context(|| format!("a wire cannot listen on {listen}"))?;
        let (address, faults) = (listener.local_addr()?, Arc::<SharedFaults>::default());
        let accepting = tokio::spawn(accept(listener, to, Arc::clone(&faults), seed)).abort_handle();
        Ok(Self { address, faults, accepting })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share in millionths")]
    pub fn set(&self, faults: Faults) {
        let delay_us = u64::try_from(faults.delay.as_micros()).unwrap_or(u64::MAX);
        self.faults.delay_us.store(delay_us, Ordering::Relaxed);
        self.faults.loss_ppm.store((faults.loss.clamp(0.0, 1.0) * 1e6) as u64, Ordering::Relaxed);
    }

    /// Packets lost so far.
    pub fn lost(&self) -> u64 {
        self.faults.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl SharedFaults {
    /// How long the next packet takes.
    fn travel(&self, chances: &mut StdRng) -> Duration {
        let loss = f64::from(u32::try_from(self.loss_ppm.load(Ordering::Relaxed)).unwrap_or(0)) / 1e6;
        let mut travel = Duration::from_micros(self.delay_us.load(Ordering::Relaxed));
        let mut wait = RETRANSMISSION;
        for _ in 0..RETRANSMISSIONS_MAX {
            if !chances.random_bool(loss) {
                break;
            }
            self.lost.fetch_add(1, Ordering::Relaxed);
            travel += wait;
            wait *= 2;
        }
        travel
    }
}

async fn accept(listener: TcpListener, to: SocketAddr, faults: Arc<SharedFaults>, seed: u64) {
    // Dropped with this task, and with them all connections.
    let mut connections = JoinSet::new();
    for number in 0.. {
        let Ok((near, _)) = listener.accept().await else { return };
        let seed = seed.wrapping_mul(1_000_003).wrapping_add(number);
        connections.spawn(connect(near, to, Arc::clone(&faults), seed));
        while connections.try_join_next().is_some() {}
    }
}

/// If the other end cannot be reached, the near one is closed.
async fn connect(near: TcpStream, to: SocketAddr, faults: Arc<SharedFaults>, seed: u64) -> Result<()> {
    let far = TcpStream::connect(to).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (mut near_reader, mut near_writer) = near.into_split();
    let (mut far_reader, mut far_writer) = far.into_split();
    let (there, back) = (StdRng::seed_from_u64(seed), StdRng::seed_from_u64(!seed));
    // One direction's end is passed on as such; a broken one ends both.
    tokio::try_join!(
        carry(&mut near_reader, &mut far_writer, &faults, there),
        carry(&mut far_reader, &mut near_writer, &faults, back),
    )?;
    Ok(())
}

async fn carry(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    faults: &SharedFaults,
    mut chances: StdRng,
) -> Result<()> {
    let (under_way, mut arriving) = mpsc::channel::<(Instant, Vec<u8>)>(WINDOW);
    let send = async move {
        let mut due = Instant::now();
        loop {
            let mut packet = vec![0; PACKET];
            let length = from.read(&mut packet).await?;
            if length == 0 {
                return Ok::<_, anyhow::Error>(());
            }
            packet.truncate(length);
            // In order: nothing overtakes a packet that is sent again.
            due = due.max(Instant::now() + faults.travel(&mut chances));
            if under_way.send((due, packet)).await.is_err() {
                return Ok(());
            }
        }
    };
    let receive = async move {
        while let Some((due, packet)) = arriving.recv().await {
            tokio::time::sleep_until(due).await;
            to.write_all(&packet).await?;
        }
        to.shutdown().await?;
        Ok(())
    };
    tokio::try_join!(send, receive)?;
    Ok(())
}

/// A wire without faults as a process of its own.
#[derive(Debug, Clone, clap::Args)]
pub struct RelayOptions {
    #[arg(long, value_name = "HOST:PORT")]
    listen: SocketAddr,
    #[arg(long, value_name = "HOST:PORT")]
    to: SocketAddr,
}

/// Passes connections on until it is killed or told to stop.
pub async fn relay(options: &RelayOptions) -> Result<()> {
    let _wire = Wire::lay(options.listen, options.to, 0).await?;
    facegate_runtime::shutdown::on_signals()?.cancelled().await;
    Ok(())
}

#[cfg(test)]
mod tests;
