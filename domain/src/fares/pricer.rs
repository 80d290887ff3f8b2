//! Who prices rides: our own tables, at once, or somebody else's system, which is told of each ride and answers later.

use jiff::civil::Date;

use crate::clock::Timestamp;
use crate::fares::rider::Decision;
use crate::fares::{Billed, Change, Fare, LookBack, PricingError, Ride, RiderTerms, Settled, Settling, Tariff};
use crate::money::{Currency, Money, MoneyError};

/// Prices the rides of one rider as they are settled. See [`Tariff::settle`] for what is given and answered.
pub trait Pricer: Send + Sync {
    /// The rides to be known before one that began then can be priced; None if each is priced by itself.
    fn look_back(&self, since: Timestamp) -> Option<LookBack>;

    fn settle(
        &self,
        before: &[Settled<'_>],
        new: &[Ride<'_>],
        since: Timestamp,
        terms: &RiderTerms,
    ) -> Result<Settling, MoneyError>;

    /// The price that a person has given a ride.
    fn decided(&self, ride: Ride<'_>, decision: &Decision) -> Result<Fare, MoneyError>;

    fn day_of(&self, ride: Ride<'_>) -> Date;

    fn currency(&self) -> Currency;
}

impl Pricer for Tariff {
    fn look_back(&self, since: Timestamp) -> Option<LookBack> {
        Self::look_back(self, since)
    }

    fn settle(
        &self,
        before: &[Settled<'_>],
        new: &[Ride<'_>],
        since: Timestamp,
        terms: &RiderTerms,
    ) -> Result<Settling, MoneyError> {
        Self::settle(self, before, new, since, terms)
    }

    fn decided(&self, ride: Ride<'_>, decision: &Decision) -> Result<Fare, MoneyError> {
        Self::decided(self, ride, decision)
    }

    fn day_of(&self, ride: Ride<'_>) -> Date {
        Self::day_of(self, ride)
    }

    fn currency(&self) -> Currency {
        Self::currency(self)
    }
}

/// An external ticketing system: each ride waits for its answer. Of our tables only the calendar and the currency count.
#[derive(Debug, Clone, Copy)]
pub struct Elsewhere<'t>(pub &'t Tariff);

impl Pricer for Elsewhere<'_> {
    fn look_back(&self, _since: Timestamp) -> Option<LookBack> {
        None
    }

    fn settle(
        &self,
        before: &[Settled<'_>],
        new: &[Ride<'_>],
        _since: Timestamp,
        terms: &RiderTerms,
    ) -> Result<Settling, MoneyError> {
        let waits = |ride: &Ride<'_>| Billed {
            ride: ride.id(),
            day: self.0.day_of(*ride),
            price: Err(PricingError::Elsewhere),
        };
        let mut settling = Settling { new: new.iter().map(waits).collect(), changes: Vec::new() };
        for settled in before {
            let (ride, day) = (settled.ride.id(), self.0.day_of(settled.ride));
            let decision = terms.decisions.iter().rev().find(|decision| decision.ride == ride);
            if !settled.stands && !settled.posted.is_zero() {
                let amount = settled.posted.checked_neg()?;
                settling.changes.push(Change { ride, day, price: None, amount });
            } else if let Some(decision) = decision.filter(|_| settled.stands && settled.held) {
                let fare = self.0.decided(settled.ride, decision)?;
                let amount = fare.total().checked_sub(settled.posted)?;
                settling.changes.push(Change { ride, day, price: Some(Ok(fare)), amount });
            }
        }
        Ok(settling)
    }

    fn decided(&self, ride: Ride<'_>, decision: &Decision) -> Result<Fare, MoneyError> {
        self.0.decided(ride, decision)
    }

    fn day_of(&self, ride: Ride<'_>) -> Date {
        self.0.day_of(ride)
    }

    fn currency(&self) -> Currency {
        self.0.currency()
    }
}

/// What an external system says that a ride costs, line by line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalPrice {
    pub currency: Currency,
    /// What each line is for, as riders read it, and its minor units.
    pub lines: Vec<(String, i64)>,
}

/// More lines than a receipt has room for.
const LINES_MAX: usize = 32;
const SAID_BYTES_MAX: usize = 200;

/// Why an answer is no price. The ride is held for a person to look at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPrice {
    #[error("it is in {got}, not in {expected}")]
    Currency { got: Currency, expected: Currency },
    #[error("it has {0} lines; 1 to {LINES_MAX} make a receipt")]
    Lines(usize),
    #[error("line {0} says nothing, or more than {SAID_BYTES_MAX} bytes, or control characters")]
    Said(usize),
    #[error("it comes to {0}: no ride costs less than nothing")]
    Negative(Money),
    #[error(transparent)]
    Money(#[from] MoneyError),
}

impl ExternalPrice {
    /// As a fare that explains itself. `system` is shown where a fare table's name is else.
    pub fn fare(&self, system: &str, expected: Currency) -> Result<Fare, NoPrice> {
        use crate::fares::{Line, Quantity, Rule};
        if self.currency != expected {
            return Err(NoPrice::Currency { got: self.currency, expected });
        }
        if !(1..=LINES_MAX).contains(&self.lines.len()) {
            return Err(NoPrice::Lines(self.lines.len()));
        }
        let mut lines = Vec::with_capacity(self.lines.len());
        for (number, (said, minor)) in (1..).zip(&self.lines) {
            if said.trim().is_empty() || said.len() > SAID_BYTES_MAX || said.chars().any(char::is_control) {
                return Err(NoPrice::Said(number));
            }
            let rule = Rule::External { said: said.clone() };
            let amount = Money::from_minor(*minor, expected);
            lines.push(Line { rule, quantity: Quantity::Journeys(1), amount });
        }
        let fare = Fare::new(system, expected, lines)?;
        if fare.total().is_negative() { Err(NoPrice::Negative(fare.total())) } else { Ok(fare) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_no_price_is_refused_in_words() {
        let cny: Currency = "CNY".parse().unwrap();
        let price = |lines: &[(&str, i64)]| {
            let lines = lines.iter().map(|(said, minor)| ((*said).to_owned(), *minor)).collect();
            ExternalPrice { currency: cny, lines }.fare("tickets", cny).map(|fare| fare.total().minor())
        };
        assert_eq!(price(&[("zone 1 to 3", 500), ("student", -250)]), Ok(250));
        assert_eq!(price(&[]), Err(NoPrice::Lines(0)));
        assert_eq!(price(&[(" ", 500)]), Err(NoPrice::Said(1)));
        assert_eq!(price(&[("a\nb", 500)]), Err(NoPrice::Said(1)));
        assert!(matches!(price(&[("back", -1)]), Err(NoPrice::Negative(_))));
        assert!(matches!(price(&[("x", i64::MAX), ("y", 1)]), Err(NoPrice::Money(_))));
        let euro = ExternalPrice { currency: "EUR".parse().unwrap(), lines: vec![("x".to_owned(), 5)] };
        assert!(matches!(euro.fare("tickets", cny), Err(NoPrice::Currency { .. })));
    }
}
