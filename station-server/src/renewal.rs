//! `RenewalService` at a station: its gates' and cameras' signing requests go on to the cloud, over the station's own word.

use std::sync::Arc;
use std::time::Duration;

use facegate_proto::v1;
use facegate_proto::v1::renewal_service_client::RenewalServiceClient;
use facegate_proto::v1::renewal_service_server::RenewalService;
use facegate_runtime::grpc::Wire;
use facegate_runtime::identity::{Role, require};
use tonic::{Request, Response, Status};

use crate::station::Station;

/// The cloud signs in memory; what takes longer is a cloud that is away.
const WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct RenewalRpc {
    station: Arc<Station>,
    cloud: RenewalServiceClient<Wire>,
}

impl RenewalRpc {
    pub fn new(station: Arc<Station>, cloud: RenewalServiceClient<Wire>) -> Self {
        Self { station, cloud }
    }
}

#[tonic::async_trait]
impl RenewalService for RenewalRpc {
    async fn renew(&self, request: Request<v1::RenewRequest>) -> Result<Response<v1::RenewResponse>, Status> {
        let peer = require(&request, &[Role::Gate, Role::Camera])?;
        let config = &self.station.config;
        let known = if peer.role == Role::Camera { &config.cameras } else { &config.gates };
        if !known.iter().any(|gate| gate.as_str() == peer.id) {
            return Err(Status::permission_denied(format!("{peer} is not of station `{}`", config.station)));
        }
        let signing_request = request.into_inner().signing_request;
        let (role, id) = (peer.role.to_string(), peer.id);
        renew(&self.cloud, v1::RenewRequest { signing_request, role, id }).await.map(Response::new)
    }
}

/// Asks the cloud.
pub async fn renew(cloud: &RenewalServiceClient<Wire>, request: v1::RenewRequest) -> Result<v1::RenewResponse, Status> {
    let mut request = Request::new(request);
    request.set_timeout(WITHIN);
    Ok(cloud.clone().renew(request).await?.into_inner())
}
