//! The pieces that every server's config file has.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

use super::problems::Problems;
use crate::identity::TlsPaths;
use crate::keys::{KeysConfig, Pkcs11Config};
use crate::telemetry::{LogFormat, Telemetry};

/// `[tls]`: PEM files of this device's certificate chain, its private key, the operator's CA, and what that revoked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawTls {
    pub cert: PathBuf,
    pub key: PathBuf,
    pub ca: PathBuf,
    /// The operator's revocation lists.
    pub crl: Option<PathBuf>,
}

impl RawTls {
    /// The paths, once every file is there. `path` is the section's own, usually `tls`.
    pub fn check(&self, path: &str, problems: &mut Problems) -> Option<TlsPaths> {
        let files = [("cert", &self.cert), ("key", &self.key), ("ca", &self.ca)];
        let files = files.into_iter().chain(self.crl.iter().map(|crl| ("crl", crl)));
        let missing: Vec<_> = files.filter(|(_, file)| !file.is_file()).collect();
        for (name, file) in &missing {
            problems.add(format!("{path}.{name}"), format!("there is no file {}", file.display()));
        }
        let Self { cert, key, ca, crl } = self.clone();
        missing.is_empty().then_some(TlsPaths { cert, key, ca, crl })
    }
}

/// `[keys]`: where the keys come from that seal and sign.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawKeys {
    /// `file` or `pkcs11`.
    pub kind: String,
    /// The HSM's PKCS#11 library.
    pub module: Option<PathBuf>,
    /// The token's label.
    pub token: Option<String>,
    /// Holds the token's user PIN, mode 600.
    pub pin_file: Option<PathBuf>,
}

impl Default for RawKeys {
    fn default() -> Self {
        Self { kind: "file".into(), module: None, token: None, pin_file: None }
    }
}

impl RawKeys {
    /// `dir` is where key files lie, should they be files.
    pub fn check(self, path: &str, dir: PathBuf, problems: &mut Problems) -> Option<KeysConfig> {
        let Self { kind, module, token, pin_file } = self;
        match kind.as_str() {
            "file" => {
                let given =
                    [("module", module.is_some()), ("token", token.is_some()), ("pin_file", pin_file.is_some())];
                for (name, _) in given.into_iter().filter(|(_, given)| *given) {
                    problems.add(format!("{path}.{name}"), "is for `kind = \"pkcs11\"`; remove it, or set that kind");
                }
                Some(KeysConfig::File { dir })
            }
            "pkcs11" => {
                for (name, file) in [("module", &module), ("pin_file", &pin_file)] {
                    match file {
                        None => problems.add(format!("{path}.{name}"), "is needed with `kind = \"pkcs11\"`"),
                        Some(file) if !file.is_file() => {
                            problems.add(format!("{path}.{name}"), format!("there is no file {}", file.display()));
                        }
                        Some(_) => {}
                    }
                }
                if token.is_none() {
                    problems.add(format!("{path}.token"), "is needed with `kind = \"pkcs11\"`: the token's label");
                }
                Some(KeysConfig::Pkcs11(Pkcs11Config { module: module?, token: token?, pin_file: pin_file? }))
            }
            other => {
                problems.add(format!("{path}.kind"), format!("`{other}` is neither `file` nor `pkcs11`"));
                None
            }
        }
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
