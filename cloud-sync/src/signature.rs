//! Signatures over what goes over a webhook, in the form that payment webhooks have made common: HMAC-SHA256 under a
//! shared secret over the time and the body, so that neither can be altered and an old message is known for one.
//!
//! `Facegate-Signature: t=1795000000,v1=5257a869…`, the digest over `1795000000.` and the bytes of the body.

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
#[derive(Clone)]
pub struct WebhookSecret(Zeroizing<String>);

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
#[error("a webhook's secret has at least {SECRET_MIN} characters: make one with `openssl rand -hex 32`")]
pub struct ShortSecret;

impl WebhookSecret {
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
        let field = |name: &str| header.split(',').find_map(|part| part.trim().strip_prefix(name));
        let seconds: i64 = field("t=").and_then(|text| text.parse().ok()).ok_or(BadSignature::Form)?;
        let given = field("v1=").and_then(|text| hex::decode(text).ok()).ok_or(BadSignature::Form)?;
        if seconds.abs_diff(now.unix_s()) > tolerance.as_secs() {
            return Err(BadSignature::Time);
        }
        self.mac(seconds, body).verify_slice(&given).map_err(|_| BadSignature::Digest)
    }

    fn mac(&self, seconds: i64, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_bytes()).expect("HMAC takes a key of any length");
        mac.update(format!("{seconds}.").as_bytes());
        mac.update(body);
        mac
    }
}

impl std::fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebhookSecret(hidden)")
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
        let secret = WebhookSecret::new("0123456789abcdef\n").unwrap();
        assert_eq!(secret.sign(NOW, br#"{"a":1}"#), SIGNED);
        assert_eq!(secret.verify(SIGNED, br#"{"a":1}"#, NOW, TOLERANCE), Ok(()));
        assert_eq!(format!("{secret:?}"), "WebhookSecret(hidden)");
        assert!(WebhookSecret::new("short").is_err());
    }

    #[test]
    fn another_body_another_secret_and_another_time_do_not_count() {
        let secret = WebhookSecret::new("0123456789abcdef").unwrap();
        let other = WebhookSecret::new("fedcba9876543210").unwrap();
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
}
