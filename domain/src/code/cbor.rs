//! The few CBOR shapes that ride codes use: a map with integer keys, and COSE_Sign1 around it.

use ciborium::Value;
use coset::{CborSerializable, CoseSign1, CoseSign1Builder, HeaderBuilder, iana};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use super::CodeError;

/// Claims of a token, read by their registered integer keys.
pub(super) struct Claims(Vec<(Value, Value)>);

impl Claims {
    pub fn read(bytes: &[u8]) -> Result<Self, CodeError> {
        match ciborium::from_reader(bytes) {
            Ok(Value::Map(entries)) => Ok(Self(entries)),
            _ => Err(CodeError::Malformed("the claims are not a map")),
        }
    }

    pub fn write(entries: Vec<(i64, Value)>) -> Vec<u8> {
        let map = Value::Map(entries.into_iter().map(|(k, v)| (Value::from(k), v)).collect());
        let mut bytes = Vec::new();
        ciborium::into_writer(&map, &mut bytes).expect("writing to memory cannot fail");
        bytes
    }

    fn get(&self, key: i64) -> Option<&Value> {
        self.0.iter().find(|(k, _)| *k == Value::from(key)).map(|(_, v)| v)
    }

    pub fn bytes<const N: usize>(&self, key: i64, missing: &'static str) -> Result<[u8; N], CodeError> {
        self.get(key)
            .and_then(Value::as_bytes)
            .and_then(|b| b.as_slice().try_into().ok())
            .ok_or(CodeError::Malformed(missing))
    }

    pub fn blob(&self, key: i64, missing: &'static str) -> Result<&[u8], CodeError> {
        self.get(key).and_then(Value::as_bytes).map(Vec::as_slice).ok_or(CodeError::Malformed(missing))
    }

    pub fn integer(&self, key: i64, missing: &'static str) -> Result<i64, CodeError> {
        self.get(key)
            .and_then(Value::as_integer)
            .and_then(|i| i64::try_from(i).ok())
            .ok_or(CodeError::Malformed(missing))
    }

    pub fn nested(&self, key: i64, missing: &'static str) -> Result<Self, CodeError> {
        match self.get(key) {
            Some(Value::Map(entries)) => Ok(Self(entries.clone())),
            _ => Err(CodeError::Malformed(missing)),
        }
    }
}

pub(super) fn sign(key: &SigningKey, key_id: Option<[u8; 8]>, payload: Vec<u8>) -> Vec<u8> {
    let mut header = HeaderBuilder::new().algorithm(iana::Algorithm::EdDSA);
    if let Some(id) = key_id {
        header = header.key_id(id.to_vec());
    }
    CoseSign1Builder::new()
        .protected(header.build())
        .payload(payload)
        .create_signature(&[], |message| key.sign(message).to_bytes().to_vec())
        .build()
        .to_vec()
        .expect("an envelope made of bytes always serialises")
}

/// An envelope that was read but not yet verified.
pub(super) struct Envelope(CoseSign1);

impl Envelope {
    pub fn read(bytes: &[u8]) -> Result<Self, CodeError> {
        CoseSign1::from_slice(bytes).map(Self).map_err(|_| CodeError::Malformed("not a COSE_Sign1 envelope"))
    }

    pub fn key_id(&self) -> &[u8] {
        &self.0.protected.header.key_id
    }

    /// Claims before verification: only to find out which key to verify with.
    pub fn unverified_claims(&self) -> Result<Claims, CodeError> {
        Claims::read(self.0.payload.as_deref().ok_or(CodeError::Malformed("the envelope is empty"))?)
    }

    /// Verifies strictly (no small-order keys, no malleable signatures) and gives the claims.
    pub fn verify(&self, key: &VerifyingKey) -> Result<Claims, CodeError> {
        let eddsa = coset::Algorithm::Assigned(iana::Algorithm::EdDSA);
        if self.0.protected.header.alg.as_ref() != Some(&eddsa) {
            return Err(CodeError::Forged);
        }
        self.0.verify_signature(&[], |signature, message| {
            let signature = Signature::from_slice(signature).map_err(|_| CodeError::Forged)?;
            key.verify_strict(message, &signature).map_err(|_| CodeError::Forged)
        })?;
        self.unverified_claims()
    }
}
