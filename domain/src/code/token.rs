//! The code itself: made by the phone every few seconds, verified by the gate.

use std::fmt;
use std::time::Duration;

use ciborium::Value;
use ed25519_dalek::SigningKey;

use super::cbor::{Claims, Envelope, sign};
use super::certificate::{CLAIM_ID, IssuerKey, RiderCertificate, verify_certificate};
use super::{CodeError, PREFIX, TEXT_LEN_MAX};
use crate::clock::Timestamp;
use crate::ids::RiderId;

const CLAIM_ISSUED_AT: i64 = 6;
/// Private claim, as RFC 8392 allows below −65536: the rider certificate.
const CLAIM_CERTIFICATE: i64 = -70_001;

/// The rider's phone: its key and the certificate that the cloud gave for it.
pub struct Phone {
    key: SigningKey,
    certificate: RiderCertificate,
}

impl Phone {
    pub fn new(secret: &[u8; 32], certificate: RiderCertificate) -> Self {
        Self { key: SigningKey::from_bytes(secret), certificate }
    }

    /// The public key to have certified, for a secret made on the phone.
    pub fn public_key(secret: &[u8; 32]) -> [u8; 32] {
        SigningKey::from_bytes(secret).verifying_key().to_bytes()
    }

    /// The text to show as a QR. `nonce` must be random: it is the code's identity.
    pub fn show(&self, now: Timestamp, nonce: [u8; 8]) -> String {
        let claims = Claims::write(vec![
            (CLAIM_ISSUED_AT, Value::from(now.unix_s())),
            (CLAIM_ID, Value::Bytes(nonce.to_vec())),
            (CLAIM_CERTIFICATE, Value::Bytes(self.certificate.0.clone())),
        ]);
        format!("{PREFIX}{}", base45::encode(sign(&self.key, None, claims)))
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phone")
    }
}

/// How old a code may be, and how wrong the phone's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeTolerance {
    /// A code older than this is stale even by a correct clock.
    pub valid_for: Duration,
    /// How far the phone's clock may be off, either way.
    pub clock_skew: Duration,
}

impl Default for CodeTolerance {
    fn default() -> Self {
        Self { valid_for: Duration::from_secs(30), clock_skew: Duration::from_secs(30) }
    }
}

/// A code whose signatures and times are right. Replay and deny list are the station's to check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedCode {
    pub rider: RiderId,
    pub nonce: [u8; 8],
    pub issued_at: Timestamp,
}

/// Verifies a scanned text offline: prefix, certificate by a known issuer, the phone's signature, both times.
pub fn verify(
    text: &str,
    issuers: &[IssuerKey],
    now: Timestamp,
    tolerance: CodeTolerance,
) -> Result<VerifiedCode, CodeError> {
    let encoded = text.strip_prefix(PREFIX).ok_or(CodeError::NotOurs)?;
    if text.len() > TEXT_LEN_MAX {
        return Err(CodeError::Malformed("longer than any ride code"));
    }
    let bytes = base45::decode(encoded).map_err(|_| CodeError::Malformed("not base45"))?;
    let envelope = Envelope::read(&bytes)?;
    let unverified = envelope.unverified_claims()?;
    let vouched = verify_certificate(unverified.blob(CLAIM_CERTIFICATE, "no certificate")?, issuers)?;
    let claims = envelope.verify(&vouched.phone)?;

    let skew_s = whole_seconds(tolerance.clock_skew);
    let issued_s = claims.integer(CLAIM_ISSUED_AT, "no time")?;
    let age_s = now.unix_s().saturating_sub(issued_s);
    let limit_s = whole_seconds(tolerance.valid_for).saturating_add(skew_s);
    if age_s > limit_s {
        return Err(CodeError::Stale { age_s, limit_s });
    }
    if age_s < -skew_s {
        return Err(CodeError::FromTheFuture { ahead_s: age_s.saturating_neg() });
    }
    let late_s = now.unix_s().saturating_sub(vouched.expires_s);
    if late_s > 0 {
        return Err(CodeError::CertificateExpired { late_s });
    }
    let ahead_s = vouched.not_before_s.saturating_sub(now.unix_s());
    if ahead_s > skew_s {
        return Err(CodeError::FromTheFuture { ahead_s });
    }
    Ok(VerifiedCode {
        rider: vouched.rider,
        nonce: claims.bytes(CLAIM_ID, "no nonce")?,
        issued_at: Timestamp::from_unix_ms(issued_s.saturating_mul(1000)),
    })
}

fn whole_seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
