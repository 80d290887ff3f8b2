//! Money: whole minor units of one currency, in checked arithmetic. No float ever holds an amount.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why an amount cannot be computed. The caller stops that one bill and reports it; nothing is rounded or clamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    #[error("cannot combine {left} with {right}: amounts of two currencies never meet")]
    CurrencyMismatch { left: Currency, right: Currency },
    #[error("the amount in {currency} is beyond what 64 bits hold")]
    Overflow { currency: Currency },
}

/// Text that is not a currency code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is not a currency: use the three capital letters of ISO 4217, such as CNY")]
pub struct InvalidCurrency {
    given: String,
}

/// An ISO 4217 alphabetic code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

impl Currency {
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a currency is three ASCII letters since it was parsed")
    }

    /// Digits after the decimal point when written out (ISO 4217, table A.1): 2 unless the currency is an exception.
    pub fn minor_digits(self) -> u32 {
        match &self.0 {
            b"CLP" | b"ISK" | b"JPY" | b"KRW" | b"PYG" | b"UGX" | b"VND" | b"XAF" | b"XOF" | b"XPF" => 0,
            b"BHD" | b"IQD" | b"JOD" | b"KWD" | b"LYD" | b"OMR" | b"TND" => 3,
            _ => 2,
        }
    }
}

impl FromStr for Currency {
    type Err = InvalidCurrency;
    fn from_str(s: &str) -> Result<Self, InvalidCurrency> {
        match <[u8; 3]>::try_from(s.as_bytes()) {
            Ok(letters) if letters.iter().all(u8::is_ascii_uppercase) => Ok(Self(letters)),
            _ => Err(InvalidCurrency { given: s.to_owned() }),
        }
    }
}

impl TryFrom<String> for Currency {
    type Error = InvalidCurrency;
    fn try_from(s: String) -> Result<Self, InvalidCurrency> {
        s.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.as_str().to_owned()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which way a share that falls between two minor units goes; every caller names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// Towards zero.
    Down,
    /// Away from zero.
    Up,
    /// To the nearest; a tie goes to the even neighbour, so that many roundings do not drift.
    HalfEven,
}

/// A share in hundredths of a percent: 10,000 is the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BasisPoints(u32);

impl BasisPoints {
    pub const WHOLE: Self = Self(10_000);

    pub const fn new(points: u32) -> Self {
        Self(points)
    }

    pub const fn get(self) -> u32 {
        self.0
    }
}

/// An amount: minor units (fen, cents) of one currency. Negative amounts are allowed; a ledger needs them.
///
/// It has no order of its own, since two currencies have none: see [`Money::compare`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

impl Money {
    pub const fn from_minor(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    pub const fn zero(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }

    pub const fn minor(self) -> i64 {
        self.minor
    }

    pub const fn currency(self) -> Currency {
        self.currency
    }

    pub const fn is_zero(self) -> bool {
        self.minor == 0
    }

    pub const fn is_positive(self) -> bool {
        self.minor > 0
    }

    pub const fn is_negative(self) -> bool {
        self.minor < 0
    }

    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        self.with(self.minor.checked_add(other.minor))
    }

    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        self.with(self.minor.checked_sub(other.minor))
    }

    pub fn checked_neg(self) -> Result<Self, MoneyError> {
        self.with(self.minor.checked_neg())
    }

    pub fn checked_times(self, count: u32) -> Result<Self, MoneyError> {
        self.with(self.minor.checked_mul(i64::from(count)))
    }

    /// `share` of this amount. The exact product is taken in 128 bits and rounded once, as the caller says.
    pub fn checked_share(self, share: BasisPoints, rounding: Rounding) -> Result<Self, MoneyError> {
        self.checked_share_in(share, 1, rounding)
    }

    /// `share` of this amount in whole steps of `step` minor units (fares in tenths of a yuan have a step of 10).
    pub fn checked_share_in(self, share: BasisPoints, step: u32, rounding: Rounding) -> Result<Self, MoneyError> {
        let step = i128::from(step.max(1));
        let whole = i128::from(BasisPoints::WHOLE.0) * step;
        let exact = i128::from(self.minor) * i128::from(share.0);
        let (towards_zero, rest) = (exact / whole, exact % whole);
        let away = match rounding {
            Rounding::Down => false,
            Rounding::Up => rest != 0,
            Rounding::HalfEven => match (rest.abs() * 2).cmp(&whole) {
                Ordering::Less => false,
                Ordering::Greater => true,
                Ordering::Equal => towards_zero % 2 != 0,
            },
        };
        let rounded = towards_zero + if away { exact.signum() } else { 0 };
        self.with(i64::try_from(rounded * step).ok())
    }

    pub fn compare(self, other: Self) -> Result<Ordering, MoneyError> {
        self.same_currency(other)?;
        Ok(self.minor.cmp(&other.minor))
    }

    /// The sum of `amounts`, zero of `currency` if there are none.
    pub fn checked_sum(currency: Currency, amounts: impl IntoIterator<Item = Self>) -> Result<Self, MoneyError> {
        amounts.into_iter().try_fold(Self::zero(currency), Self::checked_add)
    }

    fn same_currency(self, other: Self) -> Result<(), MoneyError> {
        if self.currency == other.currency {
            return Ok(());
        }
        Err(MoneyError::CurrencyMismatch { left: self.currency, right: other.currency })
    }

    fn with(self, minor: Option<i64>) -> Result<Self, MoneyError> {
        let currency = self.currency;
        minor.map(|minor| Self { minor, currency }).ok_or(MoneyError::Overflow { currency })
    }
}

impl fmt::Display for Money {
    /// `3.50 CNY`, `-120 JPY`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.currency.minor_digits();
        let unit = 10_u64.pow(digits);
        let sign = if self.is_negative() { "-" } else { "" };
        let magnitude = self.minor.unsigned_abs();
        write!(f, "{sign}{}", magnitude / unit)?;
        if digits > 0 {
            write!(f, ".{:0width$}", magnitude % unit, width = digits as usize)?;
        }
        write!(f, " {}", self.currency)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cny(minor: i64) -> Money {
        Money::from_minor(minor, "CNY".parse().unwrap())
    }

    fn jpy(minor: i64) -> Money {
        Money::from_minor(minor, "JPY".parse().unwrap())
    }

    #[test]
    fn amounts_of_two_currencies_never_meet() {
        let mismatch = MoneyError::CurrencyMismatch { left: cny(1).currency(), right: jpy(1).currency() };
        assert_eq!(cny(1).checked_add(jpy(1)), Err(mismatch));
        assert_eq!(cny(1).checked_sub(jpy(1)), Err(mismatch));
        assert_eq!(cny(1).compare(jpy(1)), Err(mismatch));
        assert_eq!(Money::checked_sum(cny(0).currency(), [cny(1), jpy(1)]), Err(mismatch));
    }

    #[test]
    fn what_does_not_fit_is_an_error_and_never_wraps() {
        let overflow = Err(MoneyError::Overflow { currency: cny(0).currency() });
        assert_eq!(cny(i64::MAX).checked_add(cny(1)), overflow);
        assert_eq!(cny(i64::MIN).checked_sub(cny(1)), overflow);
        assert_eq!(cny(i64::MIN).checked_neg(), overflow);
        assert_eq!(cny(i64::MAX).checked_times(2), overflow);
        assert_eq!(cny(i64::MAX).checked_share(BasisPoints::new(10_001), Rounding::Down), overflow);
        assert_eq!(cny(i64::MAX).checked_share(BasisPoints::WHOLE, Rounding::Up), Ok(cny(i64::MAX)));
    }

    #[test]
    fn a_share_is_rounded_the_way_the_caller_names() {
        // (amount, basis points, down, up, half even)
        for (amount, points, down, up, half_even) in [
            (100, 8_500, 85, 85, 85),
            (333, 5_000, 166, 167, 166),
            (335, 5_000, 167, 168, 168),
            (-333, 5_000, -166, -167, -166),
            (1, 3_333, 0, 1, 0),
            (1, 6_667, 0, 1, 1),
            (0, 5_000, 0, 0, 0),
            (200, 0, 0, 0, 0),
            (200, 15_000, 300, 300, 300),
        ] {
            let share = |rounding| cny(amount).checked_share(BasisPoints::new(points), rounding).unwrap().minor();
            assert_eq!(
                (share(Rounding::Down), share(Rounding::Up), share(Rounding::HalfEven)),
                (down, up, half_even),
                "{amount} at {points}"
            );
        }
    }

    #[test]
    fn a_share_comes_in_whole_steps_where_fares_do() {
        for (amount, step, rounding, minor) in [
            (295, 10, Rounding::Down, 230),
            (295, 10, Rounding::Up, 240),
            (250, 10, Rounding::HalfEven, 200),
            (-295, 10, Rounding::Down, -230),
            (295, 0, Rounding::Down, 236),
        ] {
            let share = cny(amount).checked_share_in(BasisPoints::new(8_000), step, rounding).unwrap();
            assert_eq!(share.minor(), minor, "{amount} in steps of {step}");
        }
    }

    #[test]
    fn amounts_are_written_with_the_digits_of_their_currency() {
        for (money, written) in [
            (cny(350), "3.50 CNY"),
            (cny(-5), "-0.05 CNY"),
            (jpy(-120), "-120 JPY"),
            (Money::from_minor(1_250, "KWD".parse().unwrap()), "1.250 KWD"),
            (cny(i64::MIN), "-92233720368547758.08 CNY"),
        ] {
            assert_eq!(money.to_string(), written);
        }
    }

    #[test]
    fn only_three_capital_letters_are_a_currency() {
        for bad in ["", "cny", "CN", "CNYX", "C1Y", "¥¥"] {
            assert!(bad.parse::<Currency>().unwrap_err().to_string().contains("ISO 4217"), "{bad}");
        }
    }
}
