//! `RenewalService` at the cloud.

use std::sync::Arc;

use facegate_domain::ids::StationId;
use facegate_proto::v1;
use facegate_proto::v1::renewal_service_server::RenewalService;
use facegate_runtime::identity::{PeerIdentity, Role, require};
use tonic::{Request, Response, Status};

use crate::cloud::Cloud;
use crate::renewal::{RenewalError, Renewals};

#[derive(Debug)]
pub struct RenewalRpc {
    cloud: Arc<Cloud>,
    renewals: Renewals,
}

impl RenewalRpc {
    pub fn new(cloud: Arc<Cloud>, renewals: Renewals) -> Self {
        Self { cloud, renewals }
    }
}

#[tonic::async_trait]
impl RenewalService for RenewalRpc {
    async fn renew(&self, request: Request<v1::RenewRequest>) -> Result<Response<v1::RenewResponse>, Status> {
        let peer = require(&request, &[Role::Station])?;
        let station = StationId::new(peer.id.clone()).map_err(|error| Status::permission_denied(error.to_string()))?;
        let asked = request.into_inner();
        let device = if asked.id.is_empty() { peer } else { device(&asked.role, &asked.id)? };
        let certified = self.renewals.renew(&self.cloud, &station, device, asked.signing_request).await?;
        Ok(Response::new(v1::RenewResponse { certificate: certified.cert_pem }))
    }
}

/// Gates and cameras alone are renewed by their station.
fn device(role: &str, id: &str) -> Result<PeerIdentity, Status> {
    let role: Role = role.parse().map_err(RenewalError::Device)?;
    if !matches!(role, Role::Gate | Role::Camera) {
        return Err(Status::permission_denied(format!("a station may not renew a {role}")));
    }
    Ok(PeerIdentity::new(role, id).map_err(RenewalError::Device)?)
}

impl From<RenewalError> for Status {
    fn from(error: RenewalError) -> Self {
        match error {
            RenewalError::NoCa => Self::unimplemented(error.to_string()),
            RenewalError::NotYours { .. } => Self::permission_denied(error.to_string()),
            RenewalError::Device(_) => Self::invalid_argument(error.to_string()),
            RenewalError::Store(error) => error.into(),
            RenewalError::Ca(_) | RenewalError::Stopped(_) => {
                tracing::error!(%error, "a certificate could not be renewed");
                Self::internal("the cloud could not sign; see its log")
            }
        }
    }
}
