//! Signed webhooks, in and out: HMAC-SHA256 under a shared secret, over the time and the raw body.
//!
//! The header holds `t=<unix seconds>,v1=<hex of HMAC-SHA256(secret, "<t>.<body>")>`, as Stripe's does; several `v1`
//! may stand in it while a secret is being changed. Other fields are passed over.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use facegate_domain::Timestamp;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The name of our header; Stripe's is `stripe-signature`.
pub const SIGNATURE: &str = "facegate-signature";

/// A secret shorter than this could be guessed.
const SECRET_CHARACTERS_MIN: usize = 16;
const SECRET_CHARACTERS_MAX: usize = 512;
/// How far the sender's clock may be ahead of ours.
const AHEAD_MAX: Duration = Duration::from_secs(60);

/// Why a file holds no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("{path} cannot be read: {source}")]
    Unreadable { path: String, source: std::io::Error },
    #[error("{path} must hold one line of {SECRET_CHARACTERS_MIN} to {SECRET_CHARACTERS_MAX} printable characters")]
    Malformed { path: String },
}

/// What two sides share. It is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SharedSecret(Zeroizing<String>);

impl SharedSecret {
    /// None if it is too short, too long, or not one line of printable ASCII.
    pub fn new(text: &str) -> Option<Self> {
        let valid = (SECRET_CHARACTERS_MIN..=SECRET_CHARACTERS_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        valid.then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// From a file with one line.
    pub fn read(path: &Path) -> Result<Self, SecretError> {
        let shown = || path.display().to_string();
        let text = std::fs::read_to_string(path).map(Zeroizing::new);
        let text = text.map_err(|source| SecretError::Unreadable { path: shown(), source })?;
        Self::new(text.trim_end_matches(['\r', '\n'])).ok_or_else(|| SecretError::Malformed { path: shown() })
    }

    /// For the header of a request to the other side, and nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    fn mac(&self) -> Hmac<Sha256> {
        Hmac::new_from_slice(self.0.as_bytes()).expect("HMAC takes a key of any length")
    }

    /// HMAC-SHA256 of `bytes`, in hexadecimal.
    pub fn seal(&self, bytes: &[u8]) -> String {
        let tag = self.mac().chain_update(bytes).finalize().into_bytes();
        tag.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether `seal` is that of `bytes`; takes as long for a near miss as for a far one.
    pub fn is_seal(&self, seal: &str, bytes: &[u8]) -> bool {
        from_hex(seal).is_some_and(|tag| self.mac().chain_update(bytes).verify_slice(&tag).is_ok())
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedSecret({} characters)", self.0.len())
    }
}

/// Why a webhook is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    #[error("the signature header is missing or is not t=<unix seconds>,v1=<hexadecimal>")]
    Malformed,
    #[error("the signature is not that of this body under the shared secret")]
    Wrong,
    #[error("it was signed too long ago, or in the future; sign it anew when it is sent again")]
    Stale,
}

/// The header's value for `body`, sent at `now`.
pub fn sign(secret: &SharedSecret, body: &[u8], now: Timestamp) -> String {
    let at = now.unix_ms().div_euclid(1000);
    format!("t={at},v1={}", secret.seal(&signed(at, body)))
}

/// Checks the header's value; the signature first, so that nobody learns our clock without the secret.
pub fn verify(
    secret: &SharedSecret,
    header: &str,
    body: &[u8],
    now: Timestamp,
    age_max: Duration,
) -> Result<(), BadSignature> {
    let fields = || header.split(',').filter_map(|field| field.trim().split_once('='));
    let at = fields().find(|(name, _)| *name == "t").map(|(_, value)| value);
    let at: i64 = at.and_then(|text| text.parse().ok()).ok_or(BadSignature::Malformed)?;
    let mut seals = fields().filter(|(name, _)| *name == "v1").map(|(_, value)| value).peekable();
    seals.peek().ok_or(BadSignature::Malformed)?;
    let bytes = signed(at, body);
    if !seals.any(|seal| secret.is_seal(seal, &bytes)) {
        return Err(BadSignature::Wrong);
    }
    let sent = Timestamp::from_unix_ms(at.saturating_mul(1000));
    let fresh = sent.plus(age_max) >= now && sent <= now.plus(AHEAD_MAX);
    if fresh { Ok(()) } else { Err(BadSignature::Stale) }
}

fn signed(at: i64, body: &[u8]) -> Vec<u8> {
    [at.to_string().as_bytes(), b".", body].concat()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if digits.len() % 2 != 0 {
        return None;
    }
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    digits.chunks_exact(2).map(|pair| Some(value(pair[0])? << 4 | value(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_ms(1_795_000_000_500);
    const AGE_MAX: Duration = Duration::from_secs(300);

    fn secret() -> SharedSecret {
        SharedSecret::new("whsec_0123456789abcdef").unwrap()
    }

    fn judge(header: &str, body: &[u8], now: Timestamp) -> Result<(), BadSignature> {
        verify(&secret(), header, body, now, AGE_MAX)
    }

    #[test]
    fn only_the_body_that_was_signed_is_believed_and_only_for_a_while() {
        let header = sign(&secret(), b"{}", NOW);
        assert_eq!(judge(&header, b"{}", NOW), Ok(()));
        assert_eq!(judge(&header, b"{ }", NOW), Err(BadSignature::Wrong));
        assert_eq!(judge(&header, b"{}", NOW.plus(AGE_MAX)), Err(BadSignature::Stale));
        assert_eq!(judge(&header, b"{}", NOW.plus(AGE_MAX - Duration::from_secs(1))), Ok(()));
        assert_eq!(judge(&header, b"{}", NOW.minus(Duration::from_secs(120))), Err(BadSignature::Stale), "the future");
        let later = header.replace("t=1795000000", "t=1795000009");
        assert_eq!(judge(&later, b"{}", NOW), Err(BadSignature::Wrong), "the time is signed too");
        let other = SharedSecret::new("another secret of ours".replace(' ', "_").as_str()).unwrap();
        assert_eq!(verify(&other, &header, b"{}", NOW, AGE_MAX), Err(BadSignature::Wrong));
    }

    #[test]
    fn a_header_that_is_none_is_said_to_be_none() {
        for header in ["", "t=1795000000", "v1=00", "t=soon,v1=00", "nonsense"] {
            assert_eq!(judge(header, b"{}", NOW), Err(BadSignature::Malformed), "{header}");
        }
        for seal in ["", "0", "zz", &"00".repeat(32), &"00".repeat(64)] {
            assert_eq!(judge(&format!("t=1795000000,v1={seal}"), b"{}", NOW), Err(BadSignature::Wrong), "{seal}");
        }
    }

    #[test]
    fn an_older_secret_may_sign_beside_the_new_one() {
        let header = sign(&secret(), b"{}", NOW);
        let both = header.replace(",v1=", &format!(",v1={},v0=x,v1=", "00".repeat(32)));
        assert_eq!(judge(&both, b"{}", NOW), Ok(()));
    }

    #[test]
    fn a_signature_is_what_others_compute() {
        // RFC 4231, test case 2.
        let known = Hmac::<Sha256>::new_from_slice(b"Jefe").unwrap().chain_update(b"what do ya want for nothing?");
        let tag: String = known.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(tag, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert_eq!(format!("{:?}", secret()), "SharedSecret(22 characters)");
    }
}
