//! A fare as it grows line by line.

use crate::fares::{Fare, FareTable, Line, Quantity, Rule};
use crate::money::{Money, MoneyError};

#[derive(Debug)]
pub struct Receipt<'t> {
    pub table: &'t FareTable,
    lines: Vec<Line>,
    due: Money,
}

impl<'t> Receipt<'t> {
    pub fn new(table: &'t FareTable) -> Self {
        Self { table, lines: Vec::with_capacity(3), due: table.money(0) }
    }

    pub const fn due(&self) -> Money {
        self.due
    }

    pub fn add(&mut self, rule: Rule, quantity: Quantity, amount: Money) -> Result<(), MoneyError> {
        self.due = self.due.checked_add(amount)?;
        self.lines.push(Line { rule, quantity, amount });
        Ok(())
    }

    /// A line that leaves `due`; none if that is what it is anyway, unless it is worth saying.
    pub fn leave(&mut self, rule: Rule, quantity: Quantity, due: Money) -> Result<(), MoneyError> {
        let amount = due.checked_sub(self.due)?;
        if amount.is_zero() { Ok(()) } else { self.add(rule, quantity, amount) }
    }

    pub fn into_fare(self) -> Result<Fare, MoneyError> {
        Fare::new(self.table.name(), self.table.currency(), self.lines)
    }
}
