//! Mutual TLS over real sockets: who gets in, who does not, on both ends, for gRPC and HTTPS.
#![allow(clippy::unwrap_used)]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use facegate_runtime::clock::{ManualClock, SystemClock, Timestamp};
use facegate_runtime::grpc::{self, ChannelError, ChannelOptions};
use facegate_runtime::http::{self, ServerTls};
use facegate_runtime::identity::ca::{CA_VALIDITY, CertificateAuthority, DEVICE_VALIDITY};
use facegate_runtime::identity::{DeviceIdentity, PeerIdentity, PeerRefusal, Role, require};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

/// An operator with devices in a directory of his own.
struct Operator {
    ca: CertificateAuthority,
    dir: tempfile::TempDir,
}

impl Operator {
    fn new() -> Self {
        let ca = CertificateAuthority::create("Test operator", CA_VALIDITY, &SystemClock::new()).unwrap();
        Self { ca, dir: tempfile::tempdir().unwrap() }
    }

    fn device(&self, role: Role, id: &str) -> DeviceIdentity {
        let device = PeerIdentity::new(role, id).unwrap();
        let issued = self.ca.issue(&device, &[], DEVICE_VALIDITY, &SystemClock::new()).unwrap();
        DeviceIdentity::load(&issued.save(self.dir.path(), &format!("{role}-{id}")).unwrap()).unwrap()
    }

    /// Signed by this operator, but trusting `other`: how a stranger's device would have to try.
    fn device_trusting(&self, other: &Self, role: Role, id: &str) -> DeviceIdentity {
        let device = PeerIdentity::new(role, id).unwrap();
        let mut issued = self.ca.issue(&device, &[], DEVICE_VALIDITY, &SystemClock::new()).unwrap();
        other.ca.cert_pem().clone_into(&mut issued.ca_pem);
        DeviceIdentity::load(&issued.save(self.dir.path(), "foreign").unwrap()).unwrap()
    }

    fn ca_file(&self) -> PathBuf {
        self.ca.save(self.dir.path()).unwrap();
        self.dir.path().join("ca.pem")
    }
}

/// Answers gates; tells them who it thinks they are in the trailer of the refusal.
struct GatesOnly;

#[tonic::async_trait]
impl Health for GatesOnly {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<HealthCheckResponse>, Status> {
        let peer = require(&request, &[Role::Gate])?;
        if request.get_ref().service != peer.id {
            return Err(Status::failed_precondition(format!("you are {peer}")));
        }
        Ok(tonic::Response::new(HealthCheckResponse { status: 1 }))
    }

    type WatchStream = tokio_stream::Empty<Result<HealthCheckResponse, Status>>;

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<tonic::Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("only checked here"))
    }
}

/// Its address as `https://…`; it ends with the test.
fn serve_grpc(identity: &DeviceIdentity) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = grpc::server().add_service(HealthServer::new(GatesOnly));
    tokio::spawn(server.serve_with_incoming(grpc::incoming(listener, identity).unwrap()));
    format!("https://{address}")
}

async fn check(channel: Channel, id: &str) -> Result<(), Status> {
    HealthClient::new(channel).check(HealthCheckRequest { service: id.into() }).await.map(drop)
}

fn channel(identity: &DeviceIdentity, uri: &str) -> Channel {
    grpc::channel(identity, uri, Role::Station, ChannelOptions::default()).unwrap()
}

#[tokio::test]
async fn a_gate_may_call_its_station_and_is_known_by_its_certificate() {
    let operator = Operator::new();
    let uri = serve_grpc(&operator.device(Role::Station, "s1"));
    let gate = operator.device(Role::Gate, "g1");
    check(channel(&gate, &uri), "g1").await.unwrap();
    let by_name = uri.replace("127.0.0.1", "localhost");
    check(channel(&gate, &by_name), "g1").await.unwrap();
    let pretended = check(channel(&gate, &uri), "g2").await.unwrap_err();
    assert_eq!((pretended.code(), pretended.message()), (Code::FailedPrecondition, "you are gate/g1"));
}

#[tokio::test]
async fn another_role_is_denied() {
    let operator = Operator::new();
    let uri = serve_grpc(&operator.device(Role::Station, "s1"));
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Gate) {
        let denied = check(channel(&operator.device(role, "x"), &uri), "x").await.unwrap_err();
        assert_eq!(denied.code(), Code::PermissionDenied, "{role}: {denied}");
    }
}

#[tokio::test]
async fn a_client_without_a_certificate_does_not_get_past_the_handshake() {
    let operator = Operator::new();
    let uri = serve_grpc(&operator.device(Role::Station, "s1"));
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(operator.ca.cert_pem()));
    let channel = Endpoint::from_shared(uri).unwrap().tls_config(tls).unwrap().connect_lazy();
    assert_refused_in_handshake(check(channel, "g1").await);
}

#[tokio::test]
async fn a_client_of_a_foreign_ca_does_not_get_past_the_handshake() {
    let (operator, stranger) = (Operator::new(), Operator::new());
    let uri = serve_grpc(&operator.device(Role::Station, "s1"));
    let foreign = stranger.device_trusting(&operator, Role::Gate, "g1");
    assert_refused_in_handshake(check(channel(&foreign, &uri), "g1").await);
}

#[tokio::test]
async fn an_expired_certificate_does_not_get_past_the_handshake() {
    let operator = Operator::new();
    let uri = serve_grpc(&operator.device(Role::Station, "s1"));
    let long_ago = ManualClock::at(Timestamp::from_unix_ms(1_600_000_000_000));
    let device = PeerIdentity::new(Role::Gate, "g1").unwrap();
    let issued = operator.ca.issue(&device, &[], DEVICE_VALIDITY, &long_ago).unwrap();
    let expired = DeviceIdentity::load(&issued.save(operator.dir.path(), "expired").unwrap()).unwrap();
    assert_refused_in_handshake(check(channel(&expired, &uri), "g1").await);
}

/// The service was never reached: its own refusals have other codes.
fn assert_refused_in_handshake(outcome: Result<(), Status>) {
    let status = outcome.unwrap_err();
    assert!(matches!(status.code(), Code::Unavailable | Code::Unknown), "{status:?}");
    assert!(!status.message().contains("may not"), "{status:?}");
}

#[tokio::test]
async fn a_gate_refuses_a_server_that_is_no_station_of_its_operator() {
    let (operator, stranger) = (Operator::new(), Operator::new());
    let gate = operator.device(Role::Gate, "g1");
    // A stolen gate certificate is of the right CA, and good for serving metrics on localhost.
    let stolen = serve_grpc(&operator.device(Role::Gate, "g7"));
    assert_refused_in_handshake(check(channel(&gate, &stolen), "g1").await);
    let foreign = serve_grpc(&stranger.device_trusting(&operator, Role::Station, "s1"));
    assert_refused_in_handshake(check(channel(&gate, &foreign), "g1").await);
}

#[tokio::test]
async fn a_channel_without_tls_cannot_be_made() {
    let gate = Operator::new().device(Role::Gate, "g1");
    let made = grpc::channel(&gate, "http://127.0.0.1:1", Role::Station, ChannelOptions::default());
    assert!(matches!(made, Err(ChannelError::NotHttps { .. })));
}

async fn monitors_only(peer: PeerIdentity) -> Result<String, PeerRefusal> {
    peer.require(&[Role::Monitor]).map(|peer| peer.id)
}

fn serve_https(tls: ServerTls) -> (String, CancellationToken, tokio::task::JoinHandle<std::io::Result<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("https://{}/", listener.local_addr().unwrap());
    let router = Router::new().route("/", get(monitors_only)).route("/page", get(|| async { "page" }));
    let stop = CancellationToken::new();
    let server = tokio::spawn(http::serve(listener, router, tls, stop.clone()));
    (uri, stop, server)
}

fn app(ca: &Path) -> reqwest::Client {
    http::client_without_identity(ca).unwrap().build().unwrap()
}

#[tokio::test]
async fn over_https_the_role_decides_and_no_certificate_means_no_connection() {
    let operator = Operator::new();
    let (uri, stop, server) = serve_https(ServerTls::mutual(&operator.device(Role::Cloud, "c1")));
    let get = |role| {
        let client = http::client(&operator.device(role, "x"), Role::Cloud).build().unwrap();
        client.get(&uri).send()
    };
    assert_eq!(get(Role::Monitor).await.unwrap().text().await.unwrap(), "x");
    assert_eq!(get(Role::Gate).await.unwrap().status(), 403);
    assert!(app(&operator.ca_file()).get(&uri).send().await.is_err());

    stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), server).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn pages_take_clients_without_a_certificate_but_a_machine_interface_behind_them_does_not() {
    let operator = Operator::new();
    let cloud = operator.device(Role::Cloud, "c1");
    let (uri, _stop, _server) = serve_https(ServerTls::without_client_certificates(&cloud));
    let app = app(&operator.ca_file());
    assert_eq!(app.get(format!("{uri}page")).send().await.unwrap().text().await.unwrap(), "page");
    assert_eq!(app.get(&uri).send().await.unwrap().status(), 401);
    let wrong_server = http::client(&operator.device(Role::Gate, "g1"), Role::Acquirer).build().unwrap();
    assert!(wrong_server.get(format!("{uri}page")).send().await.is_err(), "the cloud is no acquirer");
}

#[tokio::test]
async fn without_tls_only_loopback_is_served() {
    let open = TcpListener::bind("0.0.0.0:0").unwrap();
    let refused = http::serve_loopback(open, Router::new(), CancellationToken::new()).await;
    assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
}
