//! The gate's own certificate, renewed by its station, as long as that can be reached.

use std::sync::Arc;

use facegate_domain::Clock;
use facegate_proto::v1;
use facegate_proto::v1::renewal_service_client::RenewalServiceClient;
use facegate_runtime::identity::DeviceIdentity;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

/// Until `shutdown`.
pub async fn keep_renewed(
    identity: DeviceIdentity,
    station: Channel,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
) {
    let station = RenewalServiceClient::new(station);
    let ask = async move |signing_request| {
        let asked = v1::RenewRequest { signing_request, ..Default::default() };
        let answer = station.clone().renew(asked).await.map_err(|status| status.message().to_owned())?;
        Ok(answer.into_inner().certificate)
    };
    identity.keep_renewed(clock, shutdown, ask).await;
}
