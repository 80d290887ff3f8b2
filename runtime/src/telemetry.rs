//! What a running server tells: logs, metrics, health.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::TryInitError;

use crate::identity::{PeerIdentity, PeerRefusal, Role};

/// Overrides the config's filter for one run.
pub const FILTER_VARIABLE: &str = "FACEGATE_LOG";

/// Upper bounds of every metric ending in `_seconds`: 0.5 ms to 10 s.
const SECONDS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The checked `[telemetry]` section; see [`crate::config::RawTelemetry`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telemetry {
    pub format: LogFormat,
    pub filter: String,
    pub metrics_listen: Option<SocketAddr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("the log filter cannot be used: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    #[error("logging was set up twice: {0}")]
    Logs(#[from] TryInitError),
    #[error("the metrics recorder could not be installed: {0}")]
    Metrics(#[from] BuildError),
}

/// Sends logs to standard error and collects metrics. Once per process, in `main`.
pub fn install(telemetry: &Telemetry) -> Result<Metrics, TelemetryError> {
    use tracing_subscriber::util::SubscriberInitExt;

    let filter = match std::env::var(FILTER_VARIABLE) {
        Ok(filter) => EnvFilter::try_new(filter)?,
        Err(_) => EnvFilter::try_new(&telemetry.filter)?,
    };
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match telemetry.format {
        LogFormat::Text => logs.with_ansi(false).finish().try_init()?,
        LogFormat::Json => logs.json().flatten_event(true).finish().try_init()?,
    }
    Ok(Metrics(recorder()?.install_recorder()?))
}

fn recorder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)
}

/// The collected metrics, rendered on request.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// `GET /metrics` and `GET /healthz`, for [`crate::http::serve`] under mutual TLS: only the role `monitor` may ask.
    /// Call inside a tokio runtime; a task started here keeps the histograms small between scrapes.
    pub fn router(self, health: Health) -> Router {
        let handle = self.0.clone();
        tokio::spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_secs(5));
            loop {
                tick.tick().await;
                handle.run_upkeep();
            }
        });
        Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(healthz))
            .with_state(Exposed { metrics: self, health })
    }

    /// The metrics in Prometheus' text form.
    pub fn render(&self) -> String {
        self.0.render()
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

/// Whether the server can do its work, and if not why. Starts as "starting". Cheap to clone.
#[derive(Clone, Debug)]
pub struct Health(Arc<Mutex<Result<(), String>>>);

impl Default for Health {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Err("starting".into()))))
    }
}

impl Health {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn set_ready(&self) {
        self.set(Ok(()));
    }

    pub fn set_unready(&self, why: impl Into<String>) {
        self.set(Err(why.into()));
    }

    /// `Err` holds the reason.
    pub fn status(&self) -> Result<(), String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, status: Result<(), String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }
}

#[derive(Clone)]
struct Exposed {
    metrics: Metrics,
    health: Health,
}

async fn metrics(peer: PeerIdentity, State(exposed): State<Exposed>) -> Result<Response, PeerRefusal> {
    peer.require(&[Role::Monitor])?;
    let text = ([("content-type", "text/plain; version=0.0.4; charset=utf-8")], exposed.metrics.render());
    Ok(text.into_response())
}

async fn healthz(peer: PeerIdentity, State(exposed): State<Exposed>) -> Result<Response, PeerRefusal> {
    peer.require(&[Role::Monitor])?;
    Ok(match exposed.health.status() {
        Ok(()) => "ok\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_become_bounded_histograms() {
        let recorder = recorder().unwrap().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            metrics::histogram!("facegate_identify_seconds").record(0.003);
            metrics::counter!("facegate_refusals_total", "reason" => "blurred").increment(2);
        });
        let text = recorder.handle().render();
        assert!(text.contains(r#"facegate_identify_seconds_bucket{le="0.005"} 1"#), "{text}");
        assert!(text.contains(r#"facegate_refusals_total{reason="blurred"} 2"#), "{text}");
    }

    #[test]
    fn health_starts_unready_and_keeps_its_reason() {
        let health = Health::new();
        assert_eq!(health.status(), Err("starting".into()));
        health.set_ready();
        assert_eq!(health.clone().status(), Ok(()));
        health.set_unready("journal full");
        assert_eq!(health.status(), Err("journal full".into()));
    }
}
