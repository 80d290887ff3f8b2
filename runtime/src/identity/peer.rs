//! The other end of a connection, as its certificate names it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::{StatusCode, request::Parts};
use axum::response::{IntoResponse, Response};
use axum_server::tls::TlsInfo;
use facegate_domain::Timestamp;
use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::DeviceIdentity;

const SCHEME: &str = "facegate://";

/// What a device is for; decides what it may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    Gate,
    Camera,
    Station,
    Cloud,
    Integrator,
    Acquirer,
    /// Prices rides for the cloud.
    Ticketing,
    /// Looks, and changes nothing.
    Monitor,
    /// Instructs: settings, modes, fare tables.
    Operator,
}

impl Role {
    pub const ALL: [Self; 9] = [
        Self::Gate,
        Self::Camera,
        Self::Station,
        Self::Cloud,
        Self::Integrator,
        Self::Acquirer,
        Self::Ticketing,
        Self::Monitor,
        Self::Operator,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Camera => "camera",
            Self::Station => "station",
            Self::Cloud => "cloud",
            Self::Integrator => "integrator",
            Self::Acquirer => "acquirer",
            Self::Ticketing => "ticketing",
            Self::Monitor => "monitor",
            Self::Operator => "operator",
        }
    }

    /// Whether devices of this role listen anywhere (metrics included) and so need a server certificate.
    pub const fn serves(self) -> bool {
        !matches!(self, Self::Integrator | Self::Monitor | Self::Operator)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = PeerError;

    fn from_str(text: &str) -> Result<Self, PeerError> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| PeerError::UnknownRole(text.to_owned()))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    #[error("the certificate cannot be read")]
    NotX509,
    #[error("the certificate carries no facegate:// name; it was not issued to a Facegate device")]
    NoName,
    #[error("the certificate carries several facegate:// names; a device has exactly one")]
    SeveralNames,
    #[error("`{0}` is not a Facegate role")]
    UnknownRole(String),
    #[error("`{0}` is not a device id: 1 to 64 of a-z, A-Z, 0-9, `-`, `_`, `.`")]
    BadId(String),
}

/// Role and id of a device, as in `facegate://gate/east-3`. Only a verified chain makes one trustworthy: the
/// constructors parse, the TLS layer verifies.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeerIdentity {
    pub role: Role,
    pub id: String,
}

impl PeerIdentity {
    /// # Errors
    /// If `id` has characters that a URI or a file name could stumble over.
    pub fn new(role: Role, id: &str) -> Result<Self, PeerError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if (1..=64).contains(&id.len()) && id.chars().all(plain) {
            Ok(Self { role, id: id.to_owned() })
        } else {
            Err(PeerError::BadId(id.to_owned()))
        }
    }

    /// From an end-entity certificate in DER.
    pub fn from_der(certificate: &[u8]) -> Result<Self, PeerError> {
        let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| PeerError::NotX509)?;
        let names = certificate.subject_alternative_name().map_err(|_| PeerError::NotX509)?;
        let names = names.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
        let mut ours = names.iter().filter_map(|name| match name {
            GeneralName::URI(uri) => uri.strip_prefix(SCHEME),
            _ => None,
        });
        match (ours.next(), ours.next()) {
            (None, _) => Err(PeerError::NoName),
            (Some(_), Some(_)) => Err(PeerError::SeveralNames),
            (Some(name), None) => {
                let (role, id) = name.split_once('/').ok_or(PeerError::NoName)?;
                Self::new(role.parse()?, id)
            }
        }
    }

    pub fn uri(&self) -> String {
        format!("{SCHEME}{}/{}", self.role, self.id)
    }
}

impl fmt::Display for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.role, self.id)
    }
}

/// Who is at the other end of a gRPC connection, and what tells whether he still counts. Every request carries it.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The caller's certificate, verified in the handshake.
    pub(crate) certificate: Option<CertificateDer<'static>>,
    pub(crate) server: DeviceIdentity,
}

/// The caller of a gRPC method, if its role is among `allowed`. Every method calls this first.
///
/// # Errors
/// `UNAUTHENTICATED` without a device certificate, `PERMISSION_DENIED` for another role and for a certificate that was
/// revoked since the connection was made.
pub fn require<T>(request: &tonic::Request<T>, allowed: &[Role]) -> Result<PeerIdentity, tonic::Status> {
    // Only this process can put extensions on a request: a simulated network names its callers so.
    let named = request.extensions().get::<PeerIdentity>().cloned();
    let connection = request.extensions().get::<Connection>();
    let certificate = connection.and_then(|connection| connection.certificate.as_deref());
    let admitted = match named {
        Some(peer) => peer.require(allowed),
        None => admit(certificate, connection.map(|connection| &connection.server), allowed),
    };
    admitted.map_err(|refusal| match refusal {
        PeerRefusal::Unauthenticated(_) => tonic::Status::unauthenticated(refusal.to_string()),
        PeerRefusal::Forbidden { .. } | PeerRefusal::Revoked { .. } => {
            tonic::Status::permission_denied(refusal.to_string())
        }
    })
}

/// When the caller's certificate ends; `None` of a simulated one.
pub fn certificate_ends<T>(request: &tonic::Request<T>) -> Option<Timestamp> {
    let certificate = request.extensions().get::<Connection>()?.certificate.as_deref()?;
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    Some(Timestamp::from_unix_ms(certificate.validity().not_after.timestamp().saturating_mul(1000)))
}

fn admit(
    certificate: Option<&[u8]>,
    server: Option<&DeviceIdentity>,
    allowed: &[Role],
) -> Result<PeerIdentity, PeerRefusal> {
    let certificate = certificate.ok_or(PeerRefusal::Unauthenticated(None))?;
    let peer = PeerIdentity::from_der(certificate).map_err(|why| PeerRefusal::Unauthenticated(Some(why)))?;
    if server.is_some_and(|server| server.is_revoked(certificate)) {
        tracing::warn!(%peer, "a revoked device called on a connection from before and was refused");
        return Err(PeerRefusal::Revoked { peer });
    }
    peer.require(allowed)
}

/// Why a caller was turned away. As an HTTP response: 401 or 403 with the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerRefusal {
    #[error("a device certificate of this operator is needed{}", .0.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
    Unauthenticated(Option<PeerError>),
    #[error("{peer} may not do this")]
    Forbidden { peer: PeerIdentity },
    #[error("the certificate of {peer} was revoked by the operator; if that is an error, have a new one issued")]
    Revoked { peer: PeerIdentity },
}

impl PeerIdentity {
    /// Itself, if its role is among `allowed`: for HTTPS handlers that extracted the peer.
    pub fn require(self, allowed: &[Role]) -> Result<Self, PeerRefusal> {
        if allowed.contains(&self.role) { Ok(self) } else { Err(PeerRefusal::Forbidden { peer: self }) }
    }
}

impl IntoResponse for PeerRefusal {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden { .. } | Self::Revoked { .. } => StatusCode::FORBIDDEN,
        };
        (status, self.to_string()).into_response()
    }
}

/// Extracts the caller in an axum handler behind [`crate::http::serve`] with client certificates.
impl<S: Sync> FromRequestParts<S> for PeerIdentity {
    type Rejection = PeerRefusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, PeerRefusal> {
        let tls = parts.extensions.get::<Arc<TlsInfo>>();
        let certificate = tls.and_then(|tls| tls.peer_certificates.first());
        admit(certificate.map(Vec::as_slice), parts.extensions.get::<DeviceIdentity>(), &Role::ALL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_could_be_misread_are_refused() {
        for id in ["", "a/b", "a b", "ä", "..\\x", &"x".repeat(65)] {
            assert!(PeerIdentity::new(Role::Gate, id).is_err(), "{id:?}");
        }
        assert_eq!(PeerIdentity::new(Role::Gate, "east-3").unwrap().uri(), "facegate://gate/east-3");
    }

    #[test]
    fn roles_parse_back_and_strangers_do_not() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert_eq!("root".parse::<Role>(), Err(PeerError::UnknownRole("root".into())));
    }
}
