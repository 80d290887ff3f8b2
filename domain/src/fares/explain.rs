//! A fare that explains itself: the total is nothing but the sum of its lines.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::fares::calendar::Period;
use crate::ids::StationId;
use crate::money::{Currency, Money, MoneyError};
use crate::tap::Direction;

/// The rule that made one line of a fare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Rule {
    /// The shortest way between the two stations is over `from_m` metres long (or is 0 m) and at most `up_to_m`.
    DistanceBand {
        from_m: u32,
        up_to_m: Option<u32>,
    },
    /// One end of the journey is missing.
    MaximumFare,
    /// The product costs the same however far.
    Flat {
        product: String,
    },
    /// A band of a named product.
    ProductBand {
        product: String,
        from_m: u32,
        up_to_m: Option<u32>,
    },
    /// Zones `from` to `to` are touched.
    Zones {
        product: String,
        from: u8,
        to: u8,
    },
    /// Out where he went in.
    SameStation,
    /// Longer inside than a ride takes.
    Overstay {
        after_s: u32,
    },
    /// The rider said where the missing end was.
    Repaired {
        station: StationId,
    },
    /// No gate saw this end; an attendant wrote it down.
    AtBooth {
        end: Direction,
        station: StationId,
    },
    /// The missing end was taken from the rider's habit.
    Usual {
        station: StationId,
    },
    /// The ride goes on from the one before, which was paid.
    Continued,
    Transfer {
        name: String,
    },
    Waived {
        reason: String,
    },
    Pass {
        name: String,
    },
    Category {
        name: String,
        pays_bp: u32,
    },
    Discount {
        name: String,
        pays_bp: u32,
    },
    Cap {
        name: String,
        period: Period,
    },
    /// No rule prices the ride; a person did.
    Decided {
        reason: String,
    },
    /// An external ticketing system did, and this is what it says of it.
    External {
        said: String,
    },
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DistanceBand { from_m, up_to_m } => Distance(*from_m, *up_to_m).fmt(f),
            Self::ProductBand { product, from_m, up_to_m } => write!(f, "{product}, {}", Distance(*from_m, *up_to_m)),
            Self::MaximumFare => f.write_str("maximum fare: one end of the journey is missing"),
            Self::Flat { product } => f.write_str(product),
            Self::Zones { product, from, to } if from == to => write!(f, "{product}, zone {from}"),
            Self::Zones { product, from, to } => write!(f, "{product}, zones {from} to {to}"),
            Self::SameStation => f.write_str("entered and left at the same station"),
            Self::Overstay { after_s } => write!(f, "inside for longer than {} minutes", after_s / 60),
            Self::Repaired { station } => write!(f, "the missing end was {station}, as you told"),
            Self::AtBooth { end: Direction::Entry, station } => {
                write!(f, "your entry at {station} was repaired at the ticket booth by an attendant")
            }
            Self::AtBooth { end: Direction::Exit, station } => {
                write!(f, "you left {station} with an exit pass of the ticket booth")
            }
            Self::Usual { station } => write!(f, "the missing end is taken to be {station}, where you mostly go"),
            Self::Continued => f.write_str("goes on from the journey before, already counted"),
            Self::Transfer { name } => write!(f, "transfer: {name}"),
            Self::Waived { reason } => write!(f, "waived: {reason}"),
            Self::Pass { name } => write!(f, "covered by {name}"),
            Self::Category { name, pays_bp } => write!(f, "{name} pays {}", Percent(*pays_bp)),
            Self::Discount { name, pays_bp } => write!(f, "{name}: {} of the fare", Percent(*pays_bp)),
            Self::Decided { reason } => write!(f, "priced by hand: {reason}"),
            Self::External { said } => f.write_str(said),
            Self::Cap { name, period } => write!(f, "{name}: no more in a {}", period.name()),
        }
    }
}

struct Distance(u32, Option<u32>);

impl fmt::Display for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self(0, Some(up_to)) => write!(f, "distance up to {}", Kilometres(up_to)),
            Self(from, Some(up_to)) => write!(f, "distance over {} up to {}", Kilometres(from), Kilometres(up_to)),
            Self(from, None) => write!(f, "distance over {}", Kilometres(from)),
        }
    }
}

/// Hundredths of a percent without a float: `85 %`, `12.5 %`.
struct Percent(u32);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 100, self.0 % 100) {
            (whole, 0) => write!(f, "{whole} %"),
            (whole, rest) => write!(f, "{whole}.{} %", format!("{rest:02}").trim_end_matches('0')),
        }
    }
}

/// How much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    Metres(u32),
    Journeys(u32),
    Zones(u8),
    Minutes(u32),
    /// The number of this ride among those of its period.
    Ride(u32),
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metres(metres) => Kilometres(*metres).fmt(f),
            Self::Journeys(1) => f.write_str("1 journey"),
            Self::Journeys(count) => write!(f, "{count} journeys"),
            Self::Zones(1) => f.write_str("1 zone"),
            Self::Zones(count) => write!(f, "{count} zones"),
            Self::Minutes(minutes) => write!(f, "{minutes} min"),
            Self::Ride(number) => write!(f, "ride {number}"),
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
            (Rule::Zones { product: "peak".into(), from: 1, to: 2 }, "peak, zones 1 to 2"),
            (Rule::Category { name: "student".into(), pays_bp: 1_250 }, "student pays 12.5 %"),
            (Rule::Overstay { after_s: 14_400 }, "inside for longer than 240 minutes"),
            (Rule::Cap { name: "daily cap".into(), period: Period::Day }, "daily cap: no more in a day"),
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
