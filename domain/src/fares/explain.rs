//! A fare that explains itself: the total is nothing but the sum of its lines.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::money::{Currency, Money, MoneyError};

/// The rule that made one line of a fare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Rule {
    /// The shortest way between the two stations is over `from_m` metres long (or is 0 m) and at most `up_to_m`.
    DistanceBand { from_m: u32, up_to_m: Option<u32> },
    /// One end of the journey is missing.
    MaximumFare,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DistanceBand { from_m: 0, up_to_m: Some(up_to) } => {
                write!(f, "distance up to {}", Kilometres(*up_to))
            }
            Self::DistanceBand { from_m, up_to_m: Some(up_to) } => {
                write!(f, "distance over {} up to {}", Kilometres(*from_m), Kilometres(*up_to))
            }
            Self::DistanceBand { from_m, up_to_m: None } => write!(f, "distance over {}", Kilometres(*from_m)),
            Self::MaximumFare => f.write_str("maximum fare: one end of the journey is missing"),
        }
    }
}

/// How much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    Metres(u32),
    Journeys(u32),
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metres(metres) => Kilometres(*metres).fmt(f),
            Self::Journeys(1) => f.write_str("1 journey"),
            Self::Journeys(count) => write!(f, "{count} journeys"),
        }
    }
}

/// Whole metres written as kilometres without a float: `6 km`, `1.25 km`.
struct Kilometres(u32);

impl fmt::Display for Kilometres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 1000, self.0 % 1000) {
            (whole, 0) => write!(f, "{whole} km"),
            (whole, rest) => write!(f, "{whole}.{} km", format!("{rest:03}").trim_end_matches('0')),
        }
    }
}

/// One line of a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub rule: Rule,
    pub quantity: Quantity,
    pub amount: Money,
}

/// A price with its reasons. The total cannot differ from the lines: it is computed from them, also when read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Fare {
    table: String,
    lines: Vec<Line>,
    total: Money,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    table: String,
    currency: Currency,
    lines: Vec<Line>,
}

impl Fare {
    /// Errors: lines in another currency than `currency`, or a sum beyond 64 bits.
    pub fn new(table: impl Into<String>, currency: Currency, lines: Vec<Line>) -> Result<Self, MoneyError> {
        let total = Money::checked_sum(currency, lines.iter().map(|line| line.amount))?;
        Ok(Self { table: table.into(), lines, total })
    }

    /// The name of the fare table that priced it.
    pub fn table(&self) -> &str {
        &self.table
    }

    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    pub fn total(&self) -> Money {
        self.total
    }
}

impl TryFrom<Stored> for Fare {
    type Error = MoneyError;
    fn try_from(stored: Stored) -> Result<Self, MoneyError> {
        Self::new(stored.table, stored.currency, stored.lines)
    }
}

impl From<Fare> for Stored {
    fn from(fare: Fare) -> Self {
        Self { table: fare.table, currency: fare.total.currency(), lines: fare.lines }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_and_quantities_read_as_a_rider_would_say_them() {
        for (rule, said) in [
            (Rule::DistanceBand { from_m: 0, up_to_m: Some(6_000) }, "distance up to 6 km"),
            (Rule::DistanceBand { from_m: 6_000, up_to_m: Some(12_500) }, "distance over 6 km up to 12.5 km"),
            (Rule::DistanceBand { from_m: 32_000, up_to_m: None }, "distance over 32 km"),
            (Rule::MaximumFare, "maximum fare: one end of the journey is missing"),
        ] {
            assert_eq!(rule.to_string(), said);
        }
        assert_eq!(Quantity::Metres(7_040).to_string(), "7.04 km");
        assert_eq!(Quantity::Metres(80).to_string(), "0.08 km");
        assert_eq!(Quantity::Journeys(1).to_string(), "1 journey");
    }

    #[test]
    fn a_total_is_the_sum_of_its_lines_and_of_one_currency() {
        let currency: Currency = "CNY".parse().unwrap();
        let line = |minor, currency| Line {
            rule: Rule::MaximumFare,
            quantity: Quantity::Journeys(1),
            amount: Money::from_minor(minor, currency),
        };
        let fare = Fare::new("t", currency, vec![line(300, currency), line(-50, currency)]).unwrap();
        assert_eq!(fare.total(), Money::from_minor(250, currency));
        assert!(Fare::new("t", currency, vec![line(1, "EUR".parse().unwrap())]).is_err());
    }
}
