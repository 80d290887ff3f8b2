//! The short-lived certificate with which the cloud vouches for a rider's phone key.

use std::fmt;
use std::time::Duration;

use ciborium::Value;
use ed25519_dalek::{SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

use super::CodeError;
use super::cbor::{Claims, Envelope, sign};
use crate::clock::Timestamp;
use crate::ids::RiderId;

pub(super) const CLAIM_SUBJECT: i64 = 2;
pub(super) const CLAIM_EXPIRY: i64 = 4;
pub(super) const CLAIM_NOT_BEFORE: i64 = 5;
pub(super) const CLAIM_ID: i64 = 7;
pub(super) const CLAIM_CONFIRMATION: i64 = 8;

/// The cloud's signing key for rider certificates.
pub struct CodeIssuer(SigningKey);

impl CodeIssuer {
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(secret))
    }

    /// What gates need to verify this issuer's certificates.
    pub fn public(&self) -> IssuerKey {
        IssuerKey(self.0.verifying_key())
    }

    /// Errors: `Malformed` if `phone_key` is not a valid Ed25519 public key.
    pub fn issue(
        &self,
        rider: RiderId,
        phone_key: &[u8; 32],
        serial: [u8; 8],
        now: Timestamp,
        valid_for: Duration,
    ) -> Result<RiderCertificate, CodeError> {
        VerifyingKey::from_bytes(phone_key).map_err(|_| CodeError::Malformed("the phone's key is not Ed25519"))?;
        // COSE_Key: 1 kty = 1 OKP, -1 crv = 6 Ed25519, -2 x.
        let cose_key = Value::Map(vec![
            (Value::from(1), Value::from(1)),
            (Value::from(-1), Value::from(6)),
            (Value::from(-2), Value::Bytes(phone_key.to_vec())),
        ]);
        let claims = Claims::write(vec![
            (CLAIM_SUBJECT, Value::Bytes(rider.as_bytes().to_vec())),
            (CLAIM_EXPIRY, Value::from(now.plus(valid_for).unix_s())),
            (CLAIM_NOT_BEFORE, Value::from(now.unix_s())),
            (CLAIM_ID, Value::Bytes(serial.to_vec())),
            (CLAIM_CONFIRMATION, Value::Map(vec![(Value::from(1), cose_key)])),
        ]);
        Ok(RiderCertificate(sign(&self.0, Some(self.public().id()), claims)))
    }
}

impl fmt::Debug for CodeIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CodeIssuer(kid={:02x?})", self.public().id())
    }
}

/// The public half of an issuer, carried to every gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IssuerKey(VerifyingKey);

impl IssuerKey {
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, CodeError> {
        VerifyingKey::from_bytes(bytes).map(Self).map_err(|_| CodeError::Malformed("the issuer key is not Ed25519"))
    }

    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Key id: the first 8 bytes of the key's SHA-256.
    pub fn id(&self) -> [u8; 8] {
        let digest = Sha256::digest(self.0.as_bytes());
        std::array::from_fn(|i| digest[i])
    }
}

/// A signed rider certificate as it travels; verified only inside a ride code.
#[derive(Clone, PartialEq, Eq)]
pub struct RiderCertificate(pub(super) Vec<u8>);

impl RiderCertificate {
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for RiderCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RiderCertificate({} bytes)", self.0.len())
    }
}

/// What a verified certificate says.
pub(super) struct Vouched {
    pub rider: RiderId,
    pub phone: VerifyingKey,
    pub not_before_s: i64,
    pub expires_s: i64,
}

pub(super) fn verify_certificate(bytes: &[u8], issuers: &[IssuerKey]) -> Result<Vouched, CodeError> {
    let envelope = Envelope::read(bytes)?;
    let issuer = issuers.iter().find(|k| k.id() == envelope.key_id()).ok_or(CodeError::UnknownIssuer)?;
    let claims = envelope.verify(&issuer.0)?;
    let cose_key = claims.nested(CLAIM_CONFIRMATION, "no phone key")?.nested(1, "no phone key")?;
    let phone = VerifyingKey::from_bytes(&cose_key.bytes(-2, "no phone key")?)
        .map_err(|_| CodeError::Malformed("the phone's key is not Ed25519"))?;
    Ok(Vouched {
        rider: RiderId::from_bytes(claims.bytes(CLAIM_SUBJECT, "no rider")?),
        phone,
        not_before_s: claims.integer(CLAIM_NOT_BEFORE, "no start")?,
        expires_s: claims.integer(CLAIM_EXPIRY, "no end")?,
    })
}
