//! Gates and cameras that are connected: their status one way, commands the other.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use facegate_domain::Timestamp;
use facegate_domain::code::IssuerKey;
use facegate_domain::ids::GateId;
use facegate_domain::operation::ToldGate;
use facegate_proto::convert::sync::issuer_keys_to_wire;
use facegate_proto::v1;
use futures::Stream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use crate::config::Config;
use crate::station::Station;

/// How often the station says that it is there.
const PING_EVERY: Duration = Duration::from_secs(2);
/// Commands that may wait for a slow gate; it is disconnected rather than given more.
const COMMANDS_QUEUED_MAX: usize = 16;

pub type Commands = Pin<Box<dyn Stream<Item = Result<v1::GateCommand, Status>> + Send>>;

/// The last that was heard of every configured gate and camera.
#[derive(Debug)]
pub struct Attendance(Mutex<BTreeMap<GateId, Seen>>);

#[derive(Debug, Default)]
struct Seen {
    status: Option<v1::GateStatus>,
    last_seen: Timestamp,
    /// Which of its connections is the current one: an old one that ends late must not mark the gate as gone.
    connection: u64,
    connected: bool,
    /// Of the certificate that it showed with its last connection.
    certificate_ends: Option<Timestamp>,
    /// To the current connection.
    asks: Option<mpsc::Sender<v1::gate_command::Command>>,
}

impl Attendance {
    pub fn new(config: &Config) -> Self {
        let names = config.gates.iter().chain(&config.cameras);
        Self(Mutex::new(names.map(|name| (name.clone(), Seen::default())).collect()))
    }

    pub fn is_connected(&self, gate: &GateId) -> bool {
        self.update(gate, |seen| seen.connected)
    }

    /// Every gate and camera of the config, connected or not.
    pub fn report(&self) -> Vec<v1::GateReport> {
        let report = |(gate, seen): (&GateId, &Seen)| v1::GateReport {
            gate: gate.as_str().to_owned(),
            status: seen.status.clone(),
            connected: seen.connected,
            last_seen_unix_ms: seen.last_seen.unix_ms(),
            certificate_ends_unix_ms: seen.certificate_ends.map_or(0, Timestamp::unix_ms),
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().map(report).collect()
    }

    fn update<T>(&self, gate: &GateId, change: impl FnOnce(&mut Seen) -> T) -> T {
        change(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(gate.clone()).or_default())
    }

    /// Sends a command to a gate. False if it is not connected or does not keep up.
    pub fn command(&self, gate: &GateId, command: v1::gate_command::Command) -> bool {
        self.update(gate, |seen| seen.asks.as_ref().is_some_and(|asks| asks.try_send(command).is_ok()))
    }

    fn connect(
        &self,
        gate: &GateId,
        certificate_ends: Option<Timestamp>,
        asks: mpsc::Sender<v1::gate_command::Command>,
    ) -> u64 {
        self.update(gate, |seen| {
            seen.connected = true;
            seen.certificate_ends = certificate_ends;
            seen.connection += 1;
            seen.asks = Some(asks);
            seen.connection
        })
    }

    fn heard(&self, gate: &GateId, status: v1::GateStatus, now: Timestamp) {
        self.update(gate, |seen| {
            seen.status = Some(status);
            seen.last_seen = now;
        });
    }

    fn disconnect(&self, gate: &GateId, connection: u64) {
        self.update(gate, |seen| seen.connected &= seen.connection != connection);
    }
}

/// Takes a gate's status for as long as it is connected, and gives it the issuer keys and the station's mode, now and
/// when they change, and a ping now and then. `certificate_ends`: of the one that the gate shows.
pub fn attend(
    station: &Arc<Station>,
    gate: GateId,
    certificate_ends: Option<Timestamp>,
    statuses: Streaming<v1::GateStatus>,
    stop: CancellationToken,
) -> Commands {
    let (commands, queue) = mpsc::channel(COMMANDS_QUEUED_MAX);
    let station = Arc::clone(station);
    tokio::spawn(async move {
        let (asks, asked) = mpsc::channel(COMMANDS_QUEUED_MAX);
        let connection = station.attendance.connect(&gate, certificate_ends, asks);
        tracing::info!(%gate, "attending");
        tokio::select! {
            biased;
            () = hear(&station, &gate, statuses) => (),
            () = command(&station, &gate, asked, &commands) => (),
            () = stop.cancelled() => (),
        }
        station.attendance.disconnect(&gate, connection);
        tracing::info!(%gate, "gone");
    });
    Box::pin(ReceiverStream::new(queue))
}

/// Ends when the gate does.
async fn hear(station: &Station, gate: &GateId, mut statuses: Streaming<v1::GateStatus>) {
    while let Ok(Some(status)) = statuses.message().await {
        station.attendance.heard(gate, status, station.clock.now());
    }
}

/// Ends when the gate does not take its commands.
async fn command(
    station: &Station,
    gate: &GateId,
    mut asked: mpsc::Receiver<v1::gate_command::Command>,
    commands: &mpsc::Sender<Result<v1::GateCommand, Status>>,
) {
    let mut keys = station.issuer_keys();
    keys.mark_changed();
    let mut mode = station.mode();
    mode.mark_changed();
    let mut told = station.told_gates();
    told.mark_changed();
    let mut told_last = None;
    let mut ping = tokio::time::interval(PING_EVERY);
    // Ids must not repeat when the gate connects again, or it would take a new command for one it has carried out.
    let connected_ms = station.clock.now().unix_ms();
    let mut sent: u64 = 0;
    loop {
        let command = tokio::select! {
            biased;
            Some(command) = asked.recv() => command,
            Ok(()) = keys.changed() => issuer_keys(&keys.borrow_and_update()),
            Ok(()) = mode.changed() => {
                let mode = mode.borrow_and_update().name().to_owned();
                v1::gate_command::Command::StationMode(v1::StationModeCommand { mode })
            }
            Ok(()) = told.changed() => {
                let now = told.borrow_and_update().get(gate).cloned().unwrap_or_default();
                if told_last.as_ref() == Some(&now) {
                    continue;
                }
                told_last = Some(now.clone());
                told_gate(now)
            }
            _ = ping.tick() => v1::gate_command::Command::Ping(v1::Ping { station_unix_ms: station.clock.now().unix_ms() }),
        };
        sent += 1;
        let command = v1::GateCommand { id: format!("{connected_ms}-{sent}"), command: Some(command) };
        if commands.try_send(Ok(command)).is_err() {
            return;
        }
    }
}

/// The mode goes with every order, since a gate takes both together.
pub(crate) fn told_gate(told: ToldGate) -> v1::gate_command::Command {
    let mode = told.mode.name().to_owned();
    let order = told.order.map(|order| v1::ToldGateCommand {
        mode: mode.clone(),
        order_id: order.id,
        order_what: order.what.name().to_owned(),
        order_until_unix_ms: order.until.unix_ms(),
    });
    v1::gate_command::Command::ToldGate(order.unwrap_or(v1::ToldGateCommand { mode, ..Default::default() }))
}

fn issuer_keys(keys: &[IssuerKey]) -> v1::gate_command::Command {
    v1::gate_command::Command::IssuerKeys(v1::IssuerKeys { keys: issuer_keys_to_wire(keys) })
}
