//! The bank's answer files.

use super::DebitProblem;
use crate::charge::IdempotencyKey;
use crate::money::{Currency, Money};

/// What became of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Accepted,
    Returned { code: String },
}

impl Outcome {
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Returned { .. } => "returned",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerLine {
    pub key: IdempotencyKey,
    pub amount: Money,
    pub outcome: Outcome,
}

/// A file that is whole, sealed, and of this acquirer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerFile {
    pub number: u64,
    pub lines: Vec<AnswerLine>,
}

/// What taking a file has done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answered {
    /// It was taken before with the same content.
    pub again: bool,
    pub accepted: usize,
    pub returned: usize,
    /// Debits that had been accepted, and whose money was taken back.
    pub taken_back: Vec<AnswerLine>,
}

impl AnswerFile {
    /// `sealed` tells whether a seal is that of these bytes.
    pub fn read(
        text: &str,
        acquirer: &str,
        currency: Currency,
        sealed: impl FnOnce(&str, &[u8]) -> bool,
    ) -> Result<Self, DebitProblem> {
        let cut = text.trim_end_matches('\n').rfind('\n').map_or(0, |at| at + 1);
        let (body, last) = text.split_at(cut);
        let trailer: Vec<&str> = last.trim_end_matches('\n').split(',').collect();
        let ["trailer", counted, sum, seal] = trailer[..] else { return Err(DebitProblem::Truncated) };
        if !last.ends_with('\n') {
            return Err(DebitProblem::Truncated);
        }
        if !sealed(seal, body.as_bytes()) {
            return Err(DebitProblem::Seal);
        }
        let mut rows = body.lines().enumerate();
        let number = header(rows.next().map_or("", |(_, line)| line), acquirer, currency)?;
        let lines: Vec<AnswerLine> = rows.map(|(at, line)| answer(at + 1, line, currency)).collect::<Result<_, _>>()?;
        let held: i128 = lines.iter().map(|line| i128::from(line.amount.minor())).sum();
        if counted != lines.len().to_string() || sum != held.to_string() {
            let (counted, held) = (format!("{counted} lines, {sum}"), format!("{} lines, {held}", lines.len()));
            return Err(DebitProblem::Count { counted, held });
        }
        Ok(Self { number, lines })
    }
}

fn header(line: &str, acquirer: &str, currency: Currency) -> Result<u64, DebitProblem> {
    let malformed = |what: &str| DebitProblem::Malformed { line: 1, what: what.to_owned() };
    let fields: Vec<&str> = line.split(',').collect();
    let ["facegate-debit-answer", "1", of, number, in_currency] = fields[..] else {
        return Err(malformed("this is no facegate-debit-answer of version 1"));
    };
    if of != acquirer || in_currency != currency.as_str() {
        let (found, expected) = (format!("{of} in {in_currency}"), format!("{acquirer} in {currency}"));
        return Err(DebitProblem::OfAnother { found, expected });
    }
    number.parse().ok().filter(|number| *number > 0).ok_or_else(|| malformed("the number is not one from 1 on"))
}

fn answer(at: usize, line: &str, currency: Currency) -> Result<AnswerLine, DebitProblem> {
    let malformed = |what: &str| DebitProblem::Malformed { line: at, what: what.to_owned() };
    let fields: Vec<&str> = line.split(',').collect();
    let [outcome, key, amount, code] = fields[..] else { return Err(malformed("there are not four fields")) };
    let amount: i64 = amount.parse().map_err(|_| malformed("the amount is no number"))?;
    if amount < 1 {
        return Err(malformed("the amount is not positive"));
    }
    let is_code = (1..=35).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let outcome = match outcome {
        "accepted" if code.is_empty() => Outcome::Accepted,
        "returned" if is_code => Outcome::Returned { code: code.to_owned() },
        "returned" => return Err(malformed("a return has a reason code of letters and digits")),
        _ => return Err(malformed("it is neither accepted nor returned")),
    };
    Ok(AnswerLine { key: IdempotencyKey::new(key), amount: Money::from_minor(amount, currency), outcome })
}
