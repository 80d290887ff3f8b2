//! What costs nothing somewhere for some time: as the operator tells afterwards, and as long as a station is fare-free or
//! open in an emergency. Rides that were settled before are priced anew.

use facegate_domain::Timestamp;
use facegate_domain::digest_id::digest_uuid;
use facegate_domain::fares::{Tariff, Waiver, Waives};
use facegate_domain::ids::StationId;
use facegate_domain::operation::{Instructions, StationMode};

use crate::cloud::Cloud;
use crate::enrolment::{Actor, EnrolmentError};
use crate::store::{KeptWaiver, Store, StoreError};

/// Rides looked at a time.
const RIDES_PAGE: usize = 512;

/// As long as the mode lasts.
const FOR_EVER: Timestamp = Timestamp::from_unix_ms(i64::MAX);

/// Waives what the operator names, whenever it was.
pub async fn tell(cloud: &Cloud, actor: &Actor, waiver: Waiver) -> Result<uuid::Uuid, EnrolmentError> {
    let refuse = |field, problem: &str| Err(EnrolmentError::BadField { field, problem: problem.to_owned() });
    if waiver.reason.trim().is_empty() || waiver.reason.len() > 200 {
        return refuse("reason", "give 1 to 200 bytes; riders read it");
    }
    if waiver.until <= waiver.from {
        return refuse("until", "it is not after its beginning");
    }
    let tariff = crate::terms::tariff(cloud).await?;
    let known = |station: &StationId| tariff.tables().iter().any(|table| table.stations().any(|of| of == station));
    if waiver.stations.as_ref().is_some_and(|named| named.is_empty() || !named.iter().all(known)) {
        return refuse("stations", "name stations of a fare table, or none for all");
    }
    let id = uuid::Uuid::new_v4();
    let subject = format!("{id} {}", serde_json::to_string(&waiver).unwrap_or_default());
    cloud.store.audit(actor.as_str(), "fares.waive", &subject, cloud.clock.now()).await?;
    let spreads_from = Some(waiver.from);
    let told_by = Some(actor.as_str().to_owned());
    cloud.store.add_waiver(KeptWaiver { id, waiver, told_by, follows: None, spreads_from }).await?;
    Ok(id)
}

fn waived_by(mode: StationMode) -> Option<Waives> {
    match mode {
        StationMode::FareFree => Some(Waives::Fare),
        StationMode::EmergencyOpen => Some(Waives::Disruption),
        StationMode::Normal | StationMode::Closed => None,
    }
}

/// Begins and ends the waivers of stations whose mode has changed since the last look. Another replica may look at the
/// same time: both name the next waiver of a station alike.
pub async fn follow_modes(
    store: &dyn Store,
    tariff: &Tariff,
    told: &Instructions,
    waivers: &[KeptWaiver],
    now: Timestamp,
) -> Result<(), StoreError> {
    let stations: std::collections::BTreeSet<&StationId> =
        tariff.tables().iter().flat_map(|table| table.stations()).collect();
    for station in stations {
        let mode = told.mode_of(station);
        let waives = waived_by(mode);
        let following = waivers.iter().filter(|kept| kept.follows.as_ref() == Some(station));
        let open = following.clone().find(|kept| kept.waiver.until == FOR_EVER);
        if open.map(|kept| kept.waiver.waives) == waives {
            continue;
        }
        if let Some(open) = open {
            let waiver = Waiver { until: now, ..open.waiver.clone() };
            store.change_waiver(KeptWaiver { waiver, spreads_from: Some(now), ..open.clone() }).await?;
        }
        if let Some(waives) = waives {
            let number = following.count();
            let id = digest_uuid("waiver", [station.to_string(), number.to_string()]);
            let reason = match mode {
                StationMode::EmergencyOpen => format!("{station} was open in an emergency"),
                _ => format!("{station} was free of charge"),
            };
            let stations = Some([station.clone()].into());
            let waiver = Waiver { reason, waives, stations, from: now, until: FOR_EVER };
            let (told_by, follows) = (None, Some(station.clone()));
            store.add_waiver(KeptWaiver { id, waiver, told_by, follows, spreads_from: None }).await?;
        }
    }
    Ok(())
}

/// Finds the riders whose settled rides these waivers may change, and has them priced anew. They must be known to whoever
/// prices: it is what he last read of the store.
pub async fn spread(store: &dyn Store, waivers: &[KeptWaiver], longest: std::time::Duration) -> Result<(), StoreError> {
    for kept in waivers {
        let Some(from) = kept.spreads_from else { continue };
        // A ride that begins within the time may end after it.
        let until = kept.waiver.until.plus(longest);
        let (mut after, mut found) = (None, 0);
        loop {
            let rides = store.rides_ended(from, until, after, RIDES_PAGE).await?;
            let Some(last) = rides.last() else { break };
            after = Some((last.ride.last().at, last.id()));
            let at_one =
                |station: &StationId| kept.waiver.stations.as_ref().is_none_or(|stations| stations.contains(station));
            let touched = rides.iter().filter(|priced| priced.superseded.is_none());
            let touched = touched.filter(|priced| priced.ride.taps().any(|tap| at_one(&tap.station)));
            let riders: Vec<_> = touched.map(|priced| priced.ride.rider()).collect();
            let began = rides.iter().map(|priced| priced.ride.first().at).min().unwrap_or(from);
            if !riders.is_empty() {
                found += riders.len();
                store.reprice(&riders, began).await?;
            }
        }
        tracing::info!(waiver = %kept.id, rides = found, "settled rides that it may change are priced anew");
        store.change_waiver(KeptWaiver { spreads_from: None, ..kept.clone() }).await?;
    }
    Ok(())
}
