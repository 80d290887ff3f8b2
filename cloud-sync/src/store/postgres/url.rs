//! Where the database is. Its URL may hold a password, so it is never printed.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use facegate_runtime::identity::TlsPaths;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// A session that was cut off in the middle of a transaction must not hold its locks for long.
const SESSION: [(&str, &str); 2] = [("idle_in_transaction_session_timeout", "15s"), ("statement_timeout", "120s")];

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// What exactly is wrong is not told, since it may quote the password.
    #[error("is not like postgres://user:password@host:5432/database")]
    Malformed,
    #[error(
        "is at another host without TLS: add ?sslmode=verify-full; the cloud shows its own certificate, and the database \
         needs one of the operator's CA"
    )]
    WithoutTls,
}

/// The address of a database. `Debug` shows no password.
#[derive(Clone)]
pub struct PostgresUrl(PgConnectOptions);

impl PostgresUrl {
    /// To another host only over TLS with both sides' certificates; `tls` is this device's.
    pub fn checked(url: &str, tls: Option<&TlsPaths>) -> Result<Self, BadUrl> {
        let known = url.starts_with("postgres://") || url.starts_with("postgresql://");
        let options = PgConnectOptions::from_str(url).ok().filter(|_| known).ok_or(BadUrl::Malformed)?;
        let mut options = options.application_name("facegate-cloud-sync").options(SESSION);
        if is_here(&options) {
            return Ok(Self(options));
        }
        if !matches!(options.get_ssl_mode(), PgSslMode::VerifyFull) {
            return Err(BadUrl::WithoutTls);
        }
        if let Some(tls) = tls {
            options = options.ssl_root_cert(&tls.ca).ssl_client_cert(&tls.cert).ssl_client_key(&tls.key);
        }
        Ok(Self(options))
    }

    pub(super) fn options(&self) -> &PgConnectOptions {
        &self.0
    }
}

fn is_here(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let loopback = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    options.get_socket().is_some() || host.starts_with('/') || host == "localhost" || loopback
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let database = self.0.get_database().unwrap_or_default();
        write!(f, "PostgreSQL at {}:{}/{database}", self.0.get_host(), self.0.get_port())
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_printed_and_another_host_needs_tls() {
        let here = PostgresUrl::checked("postgres://facegate:secret@127.0.0.1:5433/cloud", None).unwrap();
        assert_eq!(format!("{here:?} {here}"), "PostgreSQL at 127.0.0.1:5433/cloud PostgreSQL at 127.0.0.1:5433/cloud");
        let refused = |url| PostgresUrl::checked(url, None).unwrap_err();
        for malformed in ["mysql://u:secret@h/d", "secret", "postgres://u:secret@h:port/d"] {
            assert_eq!(refused(malformed), BadUrl::Malformed);
            assert!(!refused(malformed).to_string().contains("secret"));
        }
        for open in ["postgres://u:p@db.example/d", "postgres://u:p@10.0.0.1/d?sslmode=require"] {
            assert_eq!(refused(open), BadUrl::WithoutTls);
        }
        assert!(PostgresUrl::checked("postgres://u:p@db.example/d?sslmode=verify-full", None).is_ok());
        assert!(PostgresUrl::checked("postgres://u@localhost/d?host=/run/postgresql", None).is_ok());
    }
}
