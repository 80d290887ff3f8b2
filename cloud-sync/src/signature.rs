//! Signatures under a secret that two sides share: over what goes over a webhook, in the form that payment webhooks have
//! made common, HMAC-SHA256 over the time and the body, so that neither can be altered and an old message is known for
//! one; and over whole files.
//!
//! `Facegate-Signature: t=1795000000,v1=5257a869…`, the digest over `1795000000.` and the bytes of the body.

use std::path::Path;
use std::time::Duration;

use facegate_domain::Timestamp;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The header's name.
pub const HEADER: &str = "facegate-signature";

/// Shortest secret, in characters.
pub const SECRET_MIN: usize = 16;

/// What both sides know. It is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SharedSecret(Zeroizing<String>);

/// Why a signature does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    #[error("the signature is not like t=…,v1=…")]
    Form,
    #[error("the signature is of another time: it may be a repetition")]
    Time,
    #[error("the signature is not of this body under this secret")]
    Digest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a shared secret has at least {SECRET_MIN} characters: make one with `openssl rand -hex 32`")]
pub struct ShortSecret;

/// Why a file holds no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    #[error("cannot read {path}: {source}")]
    Unreadable { path: String, source: std::io::Error },
    #[error("{path}: {problem}")]
    Short { path: String, problem: ShortSecret },
}

impl SharedSecret {
    /// White space around it, as files end with, does not count.
    pub fn new(text: &str) -> Result<Self, ShortSecret> {
        let text = text.trim();
        if text.len() < SECRET_MIN { Err(ShortSecret) } else { Ok(Self(Zeroizing::new(text.to_owned()))) }
    }

    /// The header's value for a body that is sent now.
    pub fn sign(&self, now: Timestamp, body: &[u8]) -> String {
        let seconds = now.unix_s();
        format!("t={seconds},v1={}", hex::encode(self.mac(seconds, body).finalize().into_bytes()))
    }

    /// Whether `header` signs this body, at most `tolerance` ago or ahead.
    pub fn verify(&self, header: &str, body: &[u8], now: Timestamp, tolerance: Duration) -> Result<(), BadSignature> {
        let fields = |name: &'static str| header.split(',').filter_map(move |part| part.trim().strip_prefix(name));
        let seconds: i64 = fields("t=").next().and_then(|text| text.parse().ok()).ok_or(BadSignature::Form)?;
        // Several while a secret is being changed: one for each.
        let given: Vec<Vec<u8>> = fields("v1=").filter_map(|text| hex::decode(text).ok()).collect();
        if given.is_empty() {
            return Err(BadSignature::Form);
        }
        if seconds.abs_diff(now.unix_s()) > tolerance.as_secs() {
            return Err(BadSignature::Time);
        }
        let ours = given.iter().any(|given| self.mac(seconds, body).verify_slice(given).is_ok());
        if ours { Ok(()) } else { Err(BadSignature::Digest) }
    }

    /// From a file; white space around it does not count.
    pub fn read(file: &Path) -> Result<Self, SecretFileError> {
        let path = || file.display().to_string();
        let text = std::fs::read_to_string(file).map(Zeroizing::new);
        let text = text.map_err(|source| SecretFileError::Unreadable { path: path(), source })?;
        Self::new(&text).map_err(|problem| SecretFileError::Short { path: path(), problem })
    }

    /// For the header of a request to who shares it, and nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What a file is sealed with, in hexadecimal.
    pub fn seal(&self, bytes: &[u8]) -> String {
        hex::encode(self.key().chain_update(bytes).finalize().into_bytes())
    }

    /// Whether `seal` is that of these bytes; a near miss takes as long as a far one.
    pub fn is_seal(&self, seal: &str, bytes: &[u8]) -> bool {
        hex::decode(seal).is_ok_and(|seal| self.key().chain_update(bytes).verify_slice(&seal).is_ok())
    }

    fn key(&self) -> Hmac<Sha256> {
        Hmac::<Sha256>::new_from_slice(self.0.as_bytes()).expect("HMAC takes a key of any length")
    }

    fn mac(&self, seconds: i64, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.key();
        mac.update(format!("{seconds}.").as_bytes());
        mac.update(body);
        mac
    }
}

impl std::fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedSecret(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_ms(1_795_000_000_000);
    const TOLERANCE: Duration = Duration::from_secs(300);

    /// As `printf '1795000000.{"a":1}' | openssl dgst -sha256 -hmac 0123456789abcdef` prints it.
    const SIGNED: &str = "t=1795000000,v1=cc265a2e718683fd617b6fdc65ca0fc0337f32c303412aae789c1fa3d7509f37";

    #[test]
    fn a_signature_is_what_other_tools_compute() {
        let secret = SharedSecret::new("0123456789abcdef\n").unwrap();
        assert_eq!(secret.sign(NOW, br#"{"a":1}"#), SIGNED);
        assert_eq!(secret.verify(SIGNED, br#"{"a":1}"#, NOW, TOLERANCE), Ok(()));
        assert_eq!(format!("{secret:?}"), "SharedSecret(hidden)");
        assert!(SharedSecret::new("short").is_err());
        let both = SIGNED.replace(",v1=", &format!(",v1={},v0=x,v1=", "00".repeat(32)));
        assert_eq!(secret.verify(&both, br#"{"a":1}"#, NOW, TOLERANCE), Ok(()), "the secret is being changed");
    }

    #[test]
    fn another_body_another_secret_and_another_time_do_not_count() {
        let secret = SharedSecret::new("0123456789abcdef").unwrap();
        let other = SharedSecret::new("fedcba9876543210").unwrap();
        let later = NOW.plus(Duration::from_secs(301));
        assert_eq!(secret.verify(SIGNED, br#"{"a":2}"#, NOW, TOLERANCE), Err(BadSignature::Digest));
        assert_eq!(other.verify(SIGNED, br#"{"a":1}"#, NOW, TOLERANCE), Err(BadSignature::Digest));
        assert_eq!(secret.verify(SIGNED, br#"{"a":1}"#, later, TOLERANCE), Err(BadSignature::Time));
        let moved = SIGNED.replace("t=1795000000", "t=1795000300");
        assert_eq!(secret.verify(&moved, br#"{"a":1}"#, later, TOLERANCE), Err(BadSignature::Digest));
        for bad in ["", "v1=00", "t=x,v1=00", "t=1795000000,v1=zz"] {
            assert_eq!(secret.verify(bad, b"", NOW, TOLERANCE), Err(BadSignature::Form), "{bad}");
        }
    }

    #[test]
    fn a_seal_is_of_one_file_under_one_secret() {
        let (secret, other) =
            (SharedSecret::new("0123456789abcdef").unwrap(), SharedSecret::new("fedcba9876543210").unwrap());
        let seal = secret.seal(b"a file");
        assert!(secret.is_seal(&seal, b"a file"));
        assert!(!secret.is_seal(&seal, b"a File") && !other.is_seal(&seal, b"a file"));
        for bad in ["", "zz", "00", &seal[2..]] {
            assert!(!secret.is_seal(bad, b"a file"), "{bad}");
        }
    }
}
