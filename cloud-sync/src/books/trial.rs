//! The trial balance, as a table for people and as CSV for programs.

use std::fmt::Write as _;

use facegate_domain::Timestamp;
use facegate_domain::ledger::{Totals, Turnover};
use facegate_domain::money::Currency;

use crate::audit_report::moment;

/// Columns that fit amounts of a city.
const WIDTH: usize = 18;

/// One line an account; a balance stands on the side that it is of.
pub fn table(at: Timestamp, totals: &Totals) -> String {
    let mut text = format!("trial balance at {}\n", moment(at));
    for (currency, sum) in totals.sums() {
        let title = format!("account, in {currency}");
        let _ = writeln!(
            text,
            "\n{title:<22}{:>WIDTH$}{:>WIDTH$}{:>WIDTH$}{:>WIDTH$}",
            "debited", "credited", "debit balance", "credit balance"
        );
        let mut sides = Turnover::default();
        for (control, _, moved) in totals.iter().filter(|(_, of, _)| *of == currency) {
            let (debit, credit) = (moved.balance().max(0), (-moved.balance()).max(0));
            sides = sides.plus(Turnover { debits: debit, credits: credit });
            let [debited, credited] = [moved.debits, moved.credits].map(|minor| amount(minor, currency));
            let [debit, credit] =
                [debit, credit].map(|minor| if minor == 0 { String::new() } else { amount(minor, currency) });
            let _ = writeln!(
                text,
                "{:<22}{debited:>WIDTH$}{credited:>WIDTH$}{debit:>WIDTH$}{credit:>WIDTH$}",
                control.name()
            );
        }
        let [debited, credited, debit, credit] =
            [sum.debits, sum.credits, sides.debits, sides.credits].map(|minor| amount(minor, currency));
        let _ = writeln!(text, "{:<22}{debited:>WIDTH$}{credited:>WIDTH$}{debit:>WIDTH$}{credit:>WIDTH$}", "together");
    }
    if totals.sums().is_empty() {
        text.push_str("\nNothing had been posted.\n");
    }
    text
}

/// Amounts in minor units.
pub fn csv(at: Timestamp, totals: &Totals) -> String {
    let mut text = "at,account,currency,debited_minor,credited_minor,balance_minor\n".to_owned();
    let at = moment(at);
    for (control, currency, moved) in totals.iter() {
        let (control, balance) = (control.name(), moved.balance());
        // Writing to a string cannot fail; nothing here holds a comma.
        let _ = writeln!(text, "{at},{control},{currency},{},{},{balance}", moved.debits, moved.credits);
    }
    text
}

/// With the digits of its currency, and without its name.
pub fn amount(minor: i128, currency: Currency) -> String {
    let digits = currency.minor_digits();
    let unit = 10_u128.pow(digits);
    let (sign, magnitude) = (if minor < 0 { "-" } else { "" }, minor.unsigned_abs());
    if digits == 0 {
        return format!("{sign}{magnitude}");
    }
    format!("{sign}{}.{:0width$}", magnitude / unit, magnitude % unit, width = digits as usize)
}

#[cfg(test)]
mod tests {
    use facegate_domain::ids::RiderId;
    use facegate_domain::ledger::{Account, Entry, EntryId};
    use facegate_domain::money::Money;

    use super::*;

    fn totals() -> Totals {
        let rider = RiderId::from_bytes([7; 16]);
        let cny = |minor| Money::from_minor(minor, "CNY".parse().unwrap());
        let post = |name: &str, minor, from, to| {
            Entry::transfer(EntryId::of("test", name), Timestamp::default(), cny(minor), from, to).unwrap()
        };
        Totals::of(&[
            post("1", 123_456_700, Account::OperatorRevenue, Account::RiderReceivable(rider)),
            post("2", 400, Account::RiderReceivable(rider), Account::AcquirerReceivable),
        ])
    }

    #[test]
    fn both_sides_of_the_table_are_equal() {
        let text = table(Timestamp::from_unix_ms(1_795_000_000_000), &totals());
        let together: Vec<&str> = text.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(together, ["together", "1234571.00", "1234571.00", "1234567.00", "1234567.00"]);
        assert!(text.starts_with("trial balance at 2026-11-18T11:06:40Z"), "{text}");
        assert!(table(Timestamp::default(), &Totals::default()).contains("Nothing had been posted"));
    }

    #[test]
    fn programs_read_minor_units() {
        let text = csv(Timestamp::from_unix_ms(1_795_000_000_000), &totals());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], "2026-11-18T11:06:40Z,rider_receivable,CNY,123456700,400,123456300");
        assert_eq!(lines[2], "2026-11-18T11:06:40Z,operator_revenue,CNY,0,123456700,-123456700");
    }

    #[test]
    fn an_amount_has_the_digits_of_its_currency() {
        for (minor, currency, written) in [(-5, "CNY", "-0.05"), (1_250, "KWD", "1.250"), (120, "JPY", "120")] {
            assert_eq!(amount(minor, currency.parse().unwrap()), written);
        }
    }
}
