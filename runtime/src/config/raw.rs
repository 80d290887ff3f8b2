//! The pieces that every server's config file has.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

use super::problems::Problems;
use crate::identity::TlsPaths;
use crate::telemetry::{LogFormat, Telemetry};

/// `[tls]`: PEM files of this device's certificate chain, its private key, and the operator's CA.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawTls {
    pub cert: PathBuf,
    pub key: PathBuf,
    pub ca: PathBuf,
}

impl RawTls {
    /// The paths, once every file is there. `path` is the section's own, usually `tls`.
    pub fn check(&self, path: &str, problems: &mut Problems) -> Option<TlsPaths> {
        let files = [("cert", &self.cert), ("key", &self.key), ("ca", &self.ca)];
        let missing: Vec<_> = files.into_iter().filter(|(_, file)| !file.is_file()).collect();
        for (name, file) in &missing {
            problems.add(format!("{path}.{name}"), format!("there is no file {}", file.display()));
        }
        missing.is_empty().then(|| TlsPaths { cert: self.cert.clone(), key: self.key.clone(), ca: self.ca.clone() })
    }
}

/// `[telemetry]`: how to log, and where Prometheus (with a `monitor` certificate) finds the metrics.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawTelemetry {
    /// `text` for people, `json` for log collectors.
    pub format: String,
    /// tracing's filter, for example `info,facegate_cloud_sync=debug`.
    pub filter: String,
    /// Address of the metrics listener, or none.
    pub metrics_listen: Option<String>,
}

impl Default for RawTelemetry {
    fn default() -> Self {
        Self { format: "text".into(), filter: "info".into(), metrics_listen: None }
    }
}

impl RawTelemetry {
    pub fn check(&self, path: &str, problems: &mut Problems) -> Option<Telemetry> {
        let format = match self.format.as_str() {
            "text" => Some(LogFormat::Text),
            "json" => Some(LogFormat::Json),
            other => {
                problems.add(format!("{path}.format"), format!("`{other}` is neither `text` nor `json`"));
                None
            }
        };
        let filter = tracing_subscriber::EnvFilter::try_new(&self.filter);
        let filter = problems.check(&format!("{path}.filter"), filter).map(|_| self.filter.clone());
        let listen = self.metrics_listen.as_deref();
        let metrics_listen: Option<Option<SocketAddr>> = match listen {
            Some(text) => problems.address(&format!("{path}.metrics_listen"), text).map(Some),
            None => Some(None),
        };
        Some(Telemetry { format: format?, filter: filter?, metrics_listen: metrics_listen? })
    }
}
