//! The metrics listener as Prometheus meets it. In a file of its own, because a process has one recorder.
#![allow(clippy::unwrap_used)]

use std::net::TcpListener;

use facegate_runtime::clock::SystemClock;
use facegate_runtime::http::{self, ServerTls};
use facegate_runtime::identity::ca::{CA_VALIDITY, CertificateAuthority, DEVICE_VALIDITY};
use facegate_runtime::identity::{DeviceIdentity, PeerIdentity, Role};
use facegate_runtime::telemetry::{self, Health, LogFormat, Telemetry};
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn a_monitor_reads_metrics_and_health_and_nobody_else_does() {
    let dir = tempfile::tempdir().unwrap();
    let clock = SystemClock::new();
    let ca = CertificateAuthority::create("Test operator", CA_VALIDITY, &clock).unwrap();
    let device = |role: Role| {
        let issued = ca.issue(&PeerIdentity::new(role, "x").unwrap(), &[], DEVICE_VALIDITY, &clock).unwrap();
        DeviceIdentity::load(&issued.save(dir.path(), role.as_str()).unwrap()).unwrap()
    };
    let config = Telemetry { format: LogFormat::Json, filter: "warn".into(), metrics_listen: None };
    let health = Health::new();
    let router = telemetry::install(&config).unwrap().router(health.clone());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("https://{}", listener.local_addr().unwrap());
    let tls = ServerTls::mutual(&device(Role::Station));
    tokio::spawn(http::serve(listener, router, tls, CancellationToken::new()));

    metrics::counter!("facegate_refusals_total", "reason" => "blurred").increment(2);
    let get = async |role, path: &str| {
        let client = http::client(&device(role), Role::Station).build().unwrap();
        let response = client.get(format!("{uri}{path}")).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let (status, text) = get(Role::Monitor, "/metrics").await;
    assert!(status == 200 && text.contains("facegate_refusals_total{reason=\"blurred\"} 2"), "{status} {text}");
    assert_eq!(get(Role::Monitor, "/healthz").await, (503, "starting\n".into()));
    health.set_ready();
    assert_eq!(get(Role::Monitor, "/healthz").await, (200, "ok\n".into()));
    for path in ["/metrics", "/healthz"] {
        assert_eq!(get(Role::Gate, path).await.0, 403);
    }
}
