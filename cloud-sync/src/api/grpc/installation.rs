//! Two machines that show one certificate: the one heard first counts, until it is silent or the operator says otherwise.

use std::sync::Arc;
use std::time::Duration;

use facegate_domain::ids::StationId;
use tonic::Status;

use crate::cloud::Cloud;
use crate::figures;
use crate::store::{Claim, Standing, StationView};

/// A station reports every second; one that is silent for so long may be replaced.
pub const SILENT_AFTER: Duration = Duration::from_secs(10);

/// How often it is looked whether whoever follows may still do so.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Errors: `AlreadyExists` while another installation counts as this station. A station of before shows no installation
/// and is not told apart.
pub async fn admit(cloud: &Cloud, station: &StationId, installation: &[u8]) -> Result<(), Status> {
    if installation.is_empty() {
        return Ok(());
    }
    let installation = hex::encode(installation);
    let now = cloud.clock.now();
    match cloud.store.claim_station(station.clone(), installation.clone(), now, SILENT_AFTER).await? {
        Claim::Granted => Ok(()),
        Claim::Held { by, heard } => {
            figures::identity_conflict(station);
            let ago_ms = now.since(heard).as_millis();
            tracing::error!(%station, installation, held_by = by, ago_ms, "two installations claim one station");
            Err(Status::already_exists(format!(
                "station `{station}` is live on another machine (installation {by}, heard {ago_ms} ms ago); this one is \
                 installation {installation}. Two machines must not share a certificate. If this one replaces the other, \
                 stop that, or run `facegate-cloud-sync tell claim-station {station} {installation}`; otherwise issue \
                 this machine a certificate of its own"
            )))
        }
    }
}

/// Ends when the stream that this installation has is to be cut: the operator has ended the station's lease, or another
/// installation counts as the station now. No faces go there from then on.
pub async fn shut_out(cloud: Arc<Cloud>, station: StationId, installation: Vec<u8>) {
    let installation = hex::encode(installation);
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        match cloud.store.station(&station).await {
            Ok(Some(view)) if view.lease.standing != Standing::Active => return,
            Ok(Some(view)) if is_displaced(&view, &installation) => {
                let by = view.installation;
                tracing::warn!(%station, installation, by, "another installation counts as the station: its streams are cut");
                return;
            }
            Ok(_) => (),
            Err(error) => tracing::error!(%station, %error, "whether the station may follow could not be looked up"),
        }
    }
}

/// A station of before shows no installation, and is not told apart.
fn is_displaced(view: &StationView, installation: &str) -> bool {
    !installation.is_empty() && !view.installation.is_empty() && view.installation != installation
}
