//! What a charge is paid with. A card number never enters: only the token that the acquirer keeps for it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::charge::ChargeId;
use crate::ids::RiderId;
use crate::remedy::RemedyId;

/// Why text is not an acquirer's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    #[error("an acquirer token has 1 to 64 characters of a-z, A-Z, 0-9, '_' and '-'")]
    Characters,
    #[error(
        "this looks like a card number: bind the token that the acquirer gave for the card; the number was not kept"
    )]
    CardNumber,
}

/// The acquirer's name for a payment instrument in its vault. Whoever holds it can ask for money: it is not printed.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AcquirerToken(String);

impl AcquirerToken {
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidToken> {
        let text = text.into();
        // Card numbers have 12 to 19 digits (ISO/IEC 7812-1), commonly written in groups.
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        let only_digits = text.bytes().all(|b| b.is_ascii_digit() || b == b'-' || b == b' ');
        if only_digits && (12..=19).contains(&digits) {
            return Err(InvalidToken::CardNumber);
        }
        let valid =
            (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if valid { Ok(Self(text)) } else { Err(InvalidToken::Characters) }
    }

    /// The wallet's: it knows riders by their id, which is 36 characters of what a token may have.
    pub(super) fn of_wallet(rider: RiderId) -> Self {
        Self(rider.to_string())
    }

    /// For the request to the acquirer, and nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AcquirerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AcquirerToken({} characters)", self.0.len())
    }
}

impl TryFrom<String> for AcquirerToken {
    type Error = InvalidToken;
    fn try_from(text: String) -> Result<Self, InvalidToken> {
        Self::new(text)
    }
}

impl From<AcquirerToken> for String {
    fn from(token: AcquirerToken) -> Self {
        token.0
    }
}

/// Why text is not an acquirer's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an acquirer's name has 1 to 32 characters of a-z, 0-9 and '-'")]
pub struct InvalidAcquirerName;

/// Which of the operator's acquirers: its name in the config.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AcquirerName(String);

impl AcquirerName {
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidAcquirerName> {
        let text = text.into();
        let valid = (1..=32).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if valid { Ok(Self(text)) } else { Err(InvalidAcquirerName) }
    }

    /// Of the adapter over our own books; no acquirer of the config may be named so.
    pub fn wallet() -> Self {
        Self("wallet".to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Of a token that was bound while no acquirer was configured: whichever is the only one once it is.
impl Default for AcquirerName {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl fmt::Display for AcquirerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AcquirerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for AcquirerName {
    type Error = InvalidAcquirerName;
    fn try_from(text: String) -> Result<Self, InvalidAcquirerName> {
        Self::new(text)
    }
}

impl From<AcquirerName> for String {
    fn from(name: AcquirerName) -> Self {
        name.0
    }
}

/// Where the money comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Instrument {
    /// Prepaid: an account in our own ledger.
    Wallet,
    /// A card or bank account behind an acquirer.
    Acquirer { acquirer: AcquirerName, token: AcquirerToken },
}

impl Instrument {
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Wallet => "wallet",
            Self::Acquirer { .. } => "acquirer",
        }
    }
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text!(
    /// The one name under which the acquirer knows a charge, in every call and query until its outcome is known.
    IdempotencyKey
);

impl IdempotencyKey {
    pub fn of(charge: ChargeId) -> Self {
        Self(format!("facegate-{charge}"))
    }

    pub fn of_refund(refund: RemedyId) -> Self {
        Self(format!("facegate-refund-{refund}"))
    }

    /// The refund that it names; None for what is no such key, such as a charge's.
    pub fn refund(&self) -> Option<RemedyId> {
        self.0.strip_prefix("facegate-refund-")?.parse().ok()
    }

    /// Each attempt has its own, so that what became of one says nothing about another.
    pub fn of_attempt(charge: ChargeId, attempt: u32) -> Self {
        if attempt == 1 { Self::of(charge) } else { Self(format!("facegate-{charge}-{attempt}")) }
    }

    /// The charge and the attempt that it names; None for what is no such key, such as a refund's.
    pub fn attempt(&self) -> Option<(ChargeId, u32)> {
        let name = self.0.strip_prefix("facegate-")?;
        let (charge, rest) = name.split_at_checked(36)?;
        let attempt = match rest.strip_prefix('-') {
            None if rest.is_empty() => 1,
            Some(number) if !number.starts_with('0') => number.parse().ok().filter(|attempt| *attempt > 1)?,
            _ => return None,
        };
        Some((charge.parse().ok()?, attempt))
    }

    /// As it was stored or sent, or the own one of a refund.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

text!(
    /// The acquirer's name for an authorisation that it has given.
    AuthorisationId
);

impl AuthorisationId {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_number_never_enters() {
        for number in ["4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111", "378282246310005"] {
            assert_eq!(AcquirerToken::new(number), Err(InvalidToken::CardNumber), "{number}");
        }
        for bad in ["", "tok ok", "tok/../", &"x".repeat(65)] {
            assert_eq!(AcquirerToken::new(bad), Err(InvalidToken::Characters), "{bad}");
        }
        assert!(AcquirerToken::new("tok_ok_4111111111111111").is_ok());
    }

    #[test]
    fn a_token_does_not_print() {
        assert_eq!(format!("{:?}", AcquirerToken::new("tok_ok_1").unwrap()), "AcquirerToken(8 characters)");
    }
}
