//! gRPC under mutual TLS: for integrators, stations and monitors, each its own service.

mod enrolment;
mod held;
mod installation;
mod ops;
mod renewal;
mod status;
mod sync;
mod waivers;

use std::sync::Arc;

use facegate_proto::FILE_DESCRIPTOR_SET;
use facegate_proto::v1::enrolment_service_server::EnrolmentServiceServer;
use facegate_proto::v1::ops_service_server::OpsServiceServer;
use facegate_proto::v1::renewal_service_server::RenewalServiceServer;
use facegate_proto::v1::sync_service_server::SyncServiceServer;
use tonic::service::Routes;

use crate::cloud::Cloud;
use crate::renewal::Renewals;
use enrolment::EnrolmentRpc;
use ops::OpsRpc;
use renewal::RenewalRpc;
use sync::SyncRpc;

/// Largest message read: a photograph with some room, or a station's delivery.
const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// All services, with health and reflection.
pub async fn routes(cloud: &Arc<Cloud>, renewals: Renewals) -> Result<Routes, tonic_reflection::server::Error> {
    let enrolment =
        EnrolmentServiceServer::new(EnrolmentRpc::new(Arc::clone(cloud))).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let sync = SyncServiceServer::new(SyncRpc::new(Arc::clone(cloud)))
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let ops = OpsServiceServer::new(OpsRpc::new(Arc::clone(cloud)));
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<EnrolmentServiceServer<EnrolmentRpc>>().await;
    health.set_serving::<SyncServiceServer<SyncRpc>>().await;
    health.set_serving::<OpsServiceServer<OpsRpc>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let renewal = RenewalServiceServer::new(RenewalRpc::new(Arc::clone(cloud), renewals));
    let routes = Routes::new(enrolment).add_service(sync).add_service(ops).add_service(renewal);
    Ok(routes.add_service(health_service).add_service(reflection))
}
