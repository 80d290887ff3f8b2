//! Two machines that show one certificate: the one heard first counts, until it is silent or the operator says otherwise.

use std::time::Duration;

use facegate_domain::ids::StationId;
use tonic::Status;

use crate::cloud::Cloud;
use crate::figures;
use crate::store::Claim;

/// A station reports every second; one that is silent for so long may be replaced.
pub const SILENT_AFTER: Duration = Duration::from_secs(10);

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
