//! Certificates that are replaced, and taken back, while everything runs.
#![allow(clippy::unwrap_used)]

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use facegate_runtime::clock::{Clock, SystemClock};
use facegate_runtime::grpc::{self, ChannelOptions};
use facegate_runtime::http::{self, ServerTls};
use facegate_runtime::identity::ca::{CA_VALIDITY, CertificateAuthority, DEVICE_VALIDITY, Revocation};
use facegate_runtime::identity::{
    DeviceIdentity, IdentityError, PeerIdentity, PeerRefusal, RenewError, Role, TlsPaths, require,
};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

struct Operator {
    ca: CertificateAuthority,
    dir: tempfile::TempDir,
}

impl Operator {
    fn new() -> Self {
        let ca = CertificateAuthority::create("Test operator", CA_VALIDITY, &SystemClock::new()).unwrap();
        let operator = Self { ca, dir: tempfile::tempdir().unwrap() };
        operator.revoke(&[]);
        operator
    }

    fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Issues, or issues anew, and writes the files.
    fn issue(&self, role: Role, id: &str, validity: Duration) -> TlsPaths {
        let device = PeerIdentity::new(role, id).unwrap();
        let issued = self.ca.issue(&device, &[], validity, &SystemClock::new()).unwrap();
        let paths = issued.save(self.dir(), &format!("{role}-{id}")).unwrap();
        TlsPaths { crl: Some(self.dir().join("crl.pem")), ..paths }
    }

    fn device(&self, role: Role, id: &str) -> DeviceIdentity {
        DeviceIdentity::load(&self.issue(role, id, DEVICE_VALIDITY)).unwrap()
    }

    fn revoke(&self, serials: &[String]) {
        let clock = SystemClock::new();
        let revoked = serials.iter().map(|serial| Revocation { serial: serial.clone(), at: clock.now() });
        let list = self.ca.revocation_list(&revoked.collect::<Vec<_>>(), 1, DEVICE_VALIDITY, &clock).unwrap();
        std::fs::write(self.dir().join("crl.pem"), list).unwrap();
    }
}

/// Answers every role; says when the caller's certificate ends, so that a test sees which one was shown.
struct WhoAmI;

#[tonic::async_trait]
impl Health for WhoAmI {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        require(&request, &Role::ALL)?;
        Ok(Response::new(HealthCheckResponse { status: 1 }))
    }

    type WatchStream = tokio_stream::Pending<Result<HealthCheckResponse, Status>>;

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        require(&request, &Role::ALL)?;
        Ok(Response::new(tokio_stream::pending()))
    }
}

fn serve(identity: &DeviceIdentity) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = grpc::server().add_service(HealthServer::new(WhoAmI));
    tokio::spawn(server.serve_with_incoming(grpc::incoming(listener, identity).unwrap()));
    format!("https://{address}")
}

fn channel(identity: &DeviceIdentity, uri: &str) -> Channel {
    grpc::channel(identity, uri, Role::Station, ChannelOptions::default()).unwrap()
}

async fn check(channel: &Channel) -> Result<(), Status> {
    HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await.map(drop)
}

#[tokio::test]
async fn replaced_files_are_used_from_the_next_handshake_on_at_both_ends() {
    let operator = Operator::new();
    // Both begin with certificates that end in a moment, and live on by what replaces them.
    let short = Duration::from_secs(2);
    let station = DeviceIdentity::load(&operator.issue(Role::Station, "s1", short)).unwrap();
    let gate = DeviceIdentity::load(&operator.issue(Role::Gate, "g1", short)).unwrap();
    let uri = serve(&station);
    let first = station.expires_at();
    tokio::time::sleep(Duration::from_millis(3100)).await;
    assert!(check(&channel(&gate, &uri)).await.is_err(), "both have expired");

    operator.issue(Role::Station, "s1", DEVICE_VALIDITY);
    station.reload().unwrap();
    assert!(station.expires_at() > first);
    let refused = check(&channel(&gate, &uri)).await.unwrap_err();
    assert_ne!(refused.code(), Code::Ok, "the gate's own has expired still");
    operator.issue(Role::Gate, "g1", DEVICE_VALIDITY);
    let old_channel = channel(&gate, &uri);
    gate.reload().unwrap();
    check(&old_channel).await.unwrap();
}

#[tokio::test]
async fn files_are_watched_and_a_set_that_does_not_fit_is_not_used() {
    let operator = Operator::new();
    let paths = operator.issue(Role::Station, "s1", Duration::from_secs(600));
    let station = DeviceIdentity::load(&paths).unwrap();
    let stop = CancellationToken::new();
    let watching = tokio::spawn(station.clone().keep_fresh(Arc::new(SystemClock::new()), stop.clone()));
    let begin = station.expires_at();

    // A key of another certificate, another device's certificate, a list of another CA: refused, with a reason.
    let other = operator.issue(Role::Gate, "g1", DEVICE_VALIDITY);
    let keep = std::fs::read(&paths.key).unwrap();
    std::fs::copy(&other.key, &paths.key).unwrap();
    assert!(matches!(station.reload(), Err(IdentityError::Tls(_))));
    std::fs::write(&paths.key, keep).unwrap();
    let stranger = Operator::new();
    std::fs::copy(stranger.dir().join("crl.pem"), operator.dir().join("crl.pem")).unwrap();
    assert!(matches!(station.reload(), Err(IdentityError::ForeignRevocations { .. })));
    operator.revoke(&[]);
    assert_eq!(station.expires_at(), begin);
    let mine = operator.issue(Role::Station, "s2", DEVICE_VALIDITY);
    let renamed = DeviceIdentity::load(&paths).unwrap();
    std::fs::copy(&mine.cert, &paths.cert).unwrap();
    std::fs::copy(&mine.key, &paths.key).unwrap();
    assert!(matches!(renamed.reload(), Err(IdentityError::Renamed { .. })));

    operator.issue(Role::Station, "s1", DEVICE_VALIDITY);
    while station.expires_at() == begin {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop.cancel();
    watching.await.unwrap();
}

#[tokio::test]
async fn a_revoked_device_is_told_so_on_its_open_connection_and_does_not_connect_again() {
    let operator = Operator::new();
    let station = operator.device(Role::Station, "s1");
    let uri = serve(&station);
    let (thief, honest) = (operator.device(Role::Gate, "g1"), operator.device(Role::Gate, "g2"));
    let (open, other) = (channel(&thief, &uri), channel(&honest, &uri));
    check(&open).await.unwrap();
    check(&other).await.unwrap();
    let mut stream = HealthClient::new(open.clone()).watch(HealthCheckRequest::default()).await.unwrap().into_inner();

    operator.revoke(&[thief.serial()]);
    station.reload().unwrap();
    let refused = check(&open).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused:?}");
    assert!(refused.message().contains("gate/g1 was revoked"), "{refused:?}");
    check(&other).await.unwrap();
    let again = check(&channel(&thief, &uri)).await.unwrap_err();
    assert!(!again.message().contains("was revoked by the operator"), "it must not get past the handshake: {again:?}");
    // What was streaming to it ends by itself.
    let ended = tokio::time::timeout(Duration::from_secs(60), stream.message()).await.unwrap();
    assert!(matches!(ended, Err(_) | Ok(None)), "{ended:?}");

    // A new certificate for the same device is welcome.
    check(&channel(&operator.device(Role::Gate, "g1"), &uri)).await.unwrap();
}

#[tokio::test]
async fn a_device_renews_with_a_key_of_its_own_and_a_crash_between_the_two_files_is_mended() {
    let operator = Operator::new();
    let clock = SystemClock::new();
    let paths = operator.issue(Role::Station, "s1", Duration::from_secs(600));
    let station = DeviceIdentity::load(&paths).unwrap();
    assert!(!station.is_due(clock.now()) && station.is_due(clock.now().plus(Duration::from_secs(500))));
    let (begin, old_key) = (station.expires_at(), std::fs::read(&paths.key).unwrap());
    let sign = |id: &str| {
        let device = PeerIdentity::new(Role::Station, id).unwrap();
        let ca = &operator.ca;
        async move |request: Vec<u8>| match ca.certify(&request, &device, DEVICE_VALIDITY, &SystemClock::new()) {
            Ok(certified) => Ok(certified.cert_pem),
            Err(error) => Err(error.to_string()),
        }
    };
    let refused = station.renew(async |_| Err("not today".to_owned())).await.unwrap_err();
    assert_eq!(refused.to_string(), "not today");
    assert!(matches!(station.renew(sign("s2")).await, Err(RenewError::OfAnother { .. })));
    assert_eq!((station.expires_at(), std::fs::read(&paths.key).unwrap()), (begin, old_key.clone()));

    station.renew(sign("s1")).await.unwrap();
    assert!(station.expires_at() > begin);
    assert_ne!(std::fs::read(&paths.key).unwrap(), old_key);
    // It still serves under the same names.
    check(&channel(&operator.device(Role::Gate, "g1"), &serve(&station))).await.unwrap();

    // The certificate is renamed, the key is not yet, and the power goes.
    let new_key = std::fs::read(&paths.key).unwrap();
    std::fs::rename(&paths.key, paths.key.with_extension("pem.renewed")).unwrap();
    std::fs::write(&paths.key, old_key).unwrap();
    DeviceIdentity::load(&paths).unwrap();
    assert_eq!(std::fs::read(&paths.key).unwrap(), new_key);
}

#[tokio::test]
async fn a_gate_does_not_trust_a_revoked_station() {
    let operator = Operator::new();
    let station = operator.device(Role::Station, "s1");
    let uri = serve(&station);
    operator.revoke(&[station.serial()]);
    let gate = operator.device(Role::Gate, "g1");
    assert!(check(&channel(&gate, &uri)).await.is_err());
}

async fn who(peer: PeerIdentity) -> Result<String, PeerRefusal> {
    peer.require(&[Role::Monitor]).map(|peer| peer.id)
}

#[tokio::test]
async fn over_https_a_revoked_device_is_refused_on_the_connection_it_has() {
    let operator = Operator::new();
    let cloud = operator.device(Role::Cloud, "c1");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("https://{}/", listener.local_addr().unwrap());
    let router = Router::new().route("/", get(who));
    tokio::spawn(http::serve(listener, router, ServerTls::mutual(&cloud), CancellationToken::new()));
    let monitor = operator.device(Role::Monitor, "m1");
    let client = http::client(&monitor, Role::Cloud).build().unwrap();
    assert_eq!(client.get(&uri).send().await.unwrap().text().await.unwrap(), "m1");
    operator.revoke(&[monitor.serial()]);
    cloud.reload().unwrap();
    let refused = client.get(&uri).send().await.unwrap();
    assert_eq!(refused.status(), 403);
    assert!(refused.text().await.unwrap().contains("was revoked"));
    let anew = http::client(&monitor, Role::Cloud).build().unwrap();
    assert!(anew.get(&uri).send().await.is_err());
}
