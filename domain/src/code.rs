//! Ride codes: what a rider's phone shows as a QR, made and verified without any network.
//!
//! Two COSE_Sign1 envelopes (RFC 9052) with Ed25519 and CWT claims (RFC 8392), one inside the other:
//!
//! | envelope | signed by | claims |
//! |---|---|---|
//! | rider certificate | the cloud's issuer key (`kid` = first 8 bytes of its SHA-256) | 2 `sub` rider id (16 bytes) · 4 `exp` · 5 `nbf` · 7 `cti` serial · 8 `cnf` the phone's public key as COSE_Key |
//! | ride code | the phone's key | 6 `iat` · 7 `cti` nonce (8 bytes) · −70001 the rider certificate |
//!
//! On the screen: `FG1:` and the outer envelope in base45 (RFC 9285), which a QR stores in its alphanumeric mode.

mod cbor;
mod certificate;
mod token;

pub use certificate::{CodeIssuer, IssuerKey, RiderCertificate};
pub use token::{CodeTolerance, Phone, VerifiedCode, verify};

/// Why a presented text is not a valid ride code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// Some other system's QR: nothing to do with riding.
    #[error("this is not a ride code (it does not start with {PREFIX:?})")]
    NotOurs,
    #[error("the ride code is damaged: {0}")]
    Malformed(&'static str),
    #[error("the ride code's certificate was issued by a key this gate does not know; has the gate registered lately?")]
    UnknownIssuer,
    #[error("the ride code's signature is wrong")]
    Forged,
    #[error("the rider certificate ended {late_s} s ago: the phone must fetch a new one")]
    CertificateExpired { late_s: i64 },
    #[error("the ride code was made {age_s} s ago, the limit is {limit_s} s: show a fresh one")]
    Stale { age_s: i64, limit_s: i64 },
    #[error("the ride code is from {ahead_s} s in the future: the phone's clock is wrong")]
    FromTheFuture { ahead_s: i64 },
}

/// How every ride code starts.
pub const PREFIX: &str = "FG1:";

/// Longest text that is looked at; a real code has about 420 characters.
pub const TEXT_LEN_MAX: usize = 1024;

#[cfg(test)]
mod tests;
