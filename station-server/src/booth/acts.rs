//! What an attendant does. Each act is named by the page before it is done, and is on the disk before anybody is told of it.

use std::collections::BTreeMap;
use std::time::Duration;

use facegate_domain::Timestamp;
use facegate_domain::booth::{BoothAct, BoothReason, ExitFare, GateOpened, NotDone, may_enter, may_leave};
use facegate_domain::fares::FareTable;
use facegate_domain::ids::{ActId, GateId, RiderId, StationId};
use facegate_domain::operation::{GateOrder, OrderKind, ToldGate};
use facegate_domain::tap::{Authorisation, Direction, Evidence, Passage, PassageOutcome, RecordBody};
use serde::Deserialize;

use super::Booth;
use super::rider::{WhoError, must_be_known, whereabouts};
use crate::attend::told_gate;
use crate::epochs;
use crate::intake::write;
use crate::station::{Station, StationError};
use crate::store::{ActKind, KeptAct, StoreError};

/// A gate that has not got the order by then does not open later.
const OPENS_WITHIN: Duration = Duration::from_secs(10);

/// What the page asks for.
#[derive(Debug, Clone, Deserialize)]
pub struct Asked {
    pub id: ActId,
    pub reason: BoothReason,
    #[serde(flatten)]
    pub what: What,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum What {
    Entry { rider: RiderId, station: StationId, at_unix_ms: i64 },
    Exit { rider: RiderId, fare: ExitFare },
    Open { gate: GateId },
}

#[derive(Debug, thiserror::Error)]
pub enum ActError {
    #[error(transparent)]
    NotDone(#[from] NotDone),
    #[error(transparent)]
    Who(#[from] WhoError),
    #[error("a restart came between and this does not count: do it again")]
    Interrupted,
    #[error("the page gave two different acts one name: reload it and do it again")]
    NameTaken,
    #[error("the fare table knows no station `{0}`: use the name on the network map")]
    NoSuchStation(StationId),
    #[error("this station has no gate `{0}`")]
    NoSuchGate(GateId),
    #[error("gate `{0}` is not connected: open it by hand")]
    GateAway(GateId),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Station(#[from] StationError),
}

/// Does it once, however often it is asked for. Must not be left half way: to be spawned.
pub async fn act(booth: &Booth, attendant: &str, asked: Asked) -> Result<KeptAct, ActError> {
    let station = &booth.station;
    let _one_at_a_time = booth.acting.lock().await;
    if let Some(kept) = station.store.booth.act(asked.id)? {
        return again(station, kept, &asked.what);
    }
    let now = station.clock.now();
    let act = BoothAct { id: asked.id, attendant: attendant.to_owned(), reason: asked.reason };
    let taps = |rider, direction, station, at| {
        Authorisation::new(rider, direction, Evidence::Booth { act: act.clone(), station, at })
    };
    let granted = match &asked.what {
        What::Entry { rider, station: entered, at_unix_ms } => {
            let at = Timestamp::from_unix_ms(*at_unix_ms);
            must_be_known(station, &booth.shown, *rider)?;
            may_enter(at, now, whereabouts(station, *rider)?)?;
            must_be_a_station(station, entered)?;
            Some(taps(*rider, Direction::Entry, entered.clone(), at))
        }
        What::Exit { rider, fare } => {
            must_be_known(station, &booth.shown, *rider)?;
            may_leave(whereabouts(station, *rider)?)?;
            Some(taps(*rider, Direction::Exit, station.config.station.clone(), now).in_mode(fare.mode()))
        }
        What::Open { gate } => {
            if !station.config.gates.contains(gate) {
                return Err(ActError::NoSuchGate(gate.clone()));
            }
            if !station.attendance.is_connected(gate) {
                return Err(ActError::GateAway(gate.clone()));
            }
            None
        }
    };
    let epoch = epochs::own(station, &booth.config.recorder).await?;
    let bodies = |sequence: u64| match (granted, &asked.what) {
        (Some(granted), _) => vec![
            RecordBody::Authorisation(granted),
            RecordBody::Passage(Passage::new(sequence, PassageOutcome::Passed)),
        ],
        (None, What::Open { gate }) => {
            vec![RecordBody::GateOpened(GateOpened { act: act.clone(), gate: gate.clone() })]
        }
        (None, _) => Vec::new(),
    };
    write(station, &booth.config.recorder, epoch, bodies).await?;
    let kept = station.store.booth.act(asked.id)?.ok_or(StoreError::Damaged { what: "act of the booth" })?;
    let (record, reason, what) = (&kept.record, kept.reason.name(), &kept.what);
    tracing::info!(attendant, %record, reason, ?what, "an act at the booth");
    order(station, &kept)?;
    Ok(kept)
}

/// Asked for once more, as when the answer was lost.
fn again(station: &Station, kept: KeptAct, what: &What) -> Result<KeptAct, ActError> {
    let same = match (&kept.what, what) {
        (ActKind::Entry { rider, station, at }, What::Entry { rider: his, station: there, at_unix_ms }) => {
            (rider, station, at.unix_ms()) == (his, there, *at_unix_ms)
        }
        (ActKind::Exit { rider, mode }, What::Exit { rider: his, fare }) => (rider, *mode) == (his, fare.mode()),
        (ActKind::Open { gate }, What::Open { gate: this }) => gate == this,
        _ => false,
    };
    if !same {
        return Err(ActError::NameTaken);
    }
    if kept.interrupted {
        return Err(ActError::Interrupted);
    }
    order(station, &kept)?;
    Ok(kept)
}

/// Tells the gate, which carries an order out once.
fn order(station: &Station, kept: &KeptAct) -> Result<(), ActError> {
    let ActKind::Open { gate } = &kept.what else { return Ok(()) };
    let until = kept.done_at.plus(OPENS_WITHIN);
    if station.clock.now() >= until {
        return Ok(());
    }
    let mode = station.told_gates().borrow().get(gate).map(|told| told.mode).unwrap_or_default();
    let order = GateOrder { gate: gate.clone(), id: format!("booth-{}", kept.id), what: OrderKind::OpenOnce, until };
    let told = told_gate(ToldGate { mode, order: Some(order) });
    if station.attendance.command(gate, told) { Ok(()) } else { Err(ActError::GateAway(gate.clone())) }
}

/// Without any fare table the station cannot tell.
fn must_be_a_station(station: &Station, entered: &StationId) -> Result<(), ActError> {
    let known = stations(station);
    if known.is_empty() || known.contains_key(entered) || *entered == station.config.station {
        return Ok(());
    }
    Err(ActError::NoSuchStation(entered.clone()))
}

/// Those of the fare tables that were published, with what they are called.
pub fn stations(station: &Station) -> BTreeMap<StationId, String> {
    let told = station.facts().instructions();
    let mut stations = BTreeMap::new();
    for table in told.fares().filter_map(|fares| FareTable::parse(&fares.toml).ok()) {
        stations.extend(table.stations().map(|id| (id.clone(), table.station_name(id).to_owned())));
    }
    stations
}

/// Authorisations that a crash left without their passage: nobody was told of them, and they are no taps.
pub async fn conclude(station: &Station, recorder: &GateId) -> Result<(), StationError> {
    for (epoch, sequence) in station.store.booth.alone()? {
        let unknown = RecordBody::Passage(Passage::new(sequence, PassageOutcome::Unknown));
        write(station, recorder, epoch, |_| vec![unknown]).await?;
        tracing::warn!(epoch, sequence, "an act at the booth was cut short; it does not count");
    }
    Ok(())
}
