//! Who may call at all.

use std::time::Duration;

use facegate_proto::v1;
use facegate_runtime::identity::Role;
use tonic::Code;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::faces::{face, probe};
use crate::world::World;

#[tokio::test]
async fn an_unknown_gate_or_camera_is_refused_by_name() {
    let world = World::new().await;
    let station = world.station().await;
    for (role, id) in [(Role::Gate, "south-in"), (Role::Camera, "south-hall"), (Role::Camera, "north-in")] {
        let mut caller = world.call(&station, role, id).await;
        let status = caller.register(v1::RegisterRequest::default()).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied);
        assert!(status.message().contains(id) && status.message().contains("`north`"), "{status}");
    }
    station.stop().await;
}

#[tokio::test]
async fn a_role_may_do_its_own_calls_only() {
    let world = World::new().await;
    let station = world.station().await;
    let mut camera = world.call(&station, Role::Camera, "north-hall").await;
    let request = probe(&face(), v1::Direction::Entry);
    assert_eq!(camera.identify(request.clone()).await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(camera.deliver(v1::DeliverRequest::default()).await.unwrap_err().code(), Code::PermissionDenied);
    let code = v1::PresentCodeRequest::default();
    assert_eq!(camera.present_code(code.clone()).await.unwrap_err().code(), Code::PermissionDenied);
    let mut gate = world.gate(&station).await;
    let sight = v1::SightRequest { probe: request.probe.clone() };
    assert_eq!(gate.sight(sight).await.unwrap_err().code(), Code::PermissionDenied);
    for role in [Role::Station, Role::Cloud, Role::Integrator, Role::Acquirer, Role::Monitor] {
        let mut caller = world.call(&station, role, "north-in").await;
        assert_eq!(caller.identify(request.clone()).await.unwrap_err().code(), Code::PermissionDenied, "{role}");
        assert_eq!(caller.present_code(code.clone()).await.unwrap_err().code(), Code::PermissionDenied, "{role}");
    }
    station.stop().await;
}

#[tokio::test]
async fn a_caller_without_a_device_identity_does_not_get_in() {
    let world = World::new().await;
    let station = world.station().await;
    let ca = std::fs::read(world.tls(Role::Gate, "north-in").ca).unwrap();
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca)).domain_name("localhost");
    let bare = Endpoint::from_shared(format!("https://{}", station.address)).unwrap();
    let bare = bare.tls_config(tls).unwrap().timeout(Duration::from_secs(5)).connect_lazy();
    let mut bare = v1::station_service_client::StationServiceClient::new(bare);
    assert!(bare.register(v1::RegisterRequest::default()).await.is_err());
    let plain = Endpoint::from_shared(format!("http://{}", station.address)).unwrap();
    let mut plain = v1::station_service_client::StationServiceClient::new(plain.connect_lazy());
    assert!(plain.register(v1::RegisterRequest::default()).await.is_err());
    // A stranger's own CA does not help him either.
    let other = World::new().await;
    let mut foreign = other.gate(&station).await;
    assert!(foreign.register(v1::RegisterRequest::default()).await.is_err());
    // And the station was there all the time.
    assert!(world.gate(&station).await.register(v1::RegisterRequest::default()).await.is_ok());
    station.stop().await;
}

#[tokio::test]
async fn health_and_reflection_answer() {
    let world = World::new().await;
    let station = world.station().await;
    let channel = world.channel(&station, Role::Gate, "north-in");
    let request = HealthCheckRequest { service: "facegate.v1.StationService".into() };
    let health = HealthClient::new(channel.clone()).check(request).await.unwrap().into_inner();
    assert_eq!(health.status, 1, "SERVING");
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = ServerReflectionClient::new(channel)
        .server_reflection_info(tokio_stream::once(request))
        .await
        .unwrap()
        .into_inner();
    match answers.message().await.unwrap().unwrap().message_response.unwrap() {
        MessageResponse::ListServicesResponse(list) => {
            assert!(list.service.iter().any(|service| service.name == "facegate.v1.StationService"), "{list:?}");
        }
        other => panic!("{other:?}"),
    }
    station.stop().await;
}

#[tokio::test]
async fn a_certificate_of_another_station_does_not_start() {
    let world = World::new().await;
    let mut config = world.config("");
    config.tls = world.tls(Role::Station, "south");
    let refused = facegate_station_server::server::Server::bind(config, world.clock.clone(), None).await.unwrap_err();
    assert!(refused.to_string().contains("station/south") && refused.to_string().contains("north"), "{refused}");
}
