//! Reads a settlement file a line at a time, and says of what is wrong where it is.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::{Header, SettledKind, SettledLine, Settlement};
use crate::clock::Timestamp;
use crate::money::{Currency, InvalidCurrency, Money};

const VERSION: &str = "1";
/// An honest line is shorter.
const LINE_BYTES_MAX: usize = 1024;
/// Names that an acquirer or we give.
const NAME_BYTES_MAX: usize = 128;
/// A file of a large city has two million. Each takes 16 bytes of memory while the file is read.
const LINES_MAX: u64 = 50_000_000;

/// Why a settlement file is not taken. Nothing of it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct SettlementError {
    /// From 1.
    pub line: u64,
    pub fault: Fault,
}

/// What is wrong, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("the file ends here without its trailer: it was cut short; fetch it again")]
    Truncated,
    #[error("the line does not end with a line feed: the file was cut short; fetch it again")]
    NoLineFeed,
    #[error("this is no text in UTF-8; ask the acquirer for the file again")]
    NotText,
    #[error("the line is longer than {LINE_BYTES_MAX} bytes; this is no settlement file")]
    TooLong,
    #[error("the file has more than {LINES_MAX} lines; ask the acquirer for several")]
    TooMany,
    #[error(
        "a settlement file begins with `facegate-settlement,{VERSION},<acquirer>,<date>,<currency>`, not with `{0}`"
    )]
    NoHeader(String),
    #[error(
        "version `{0}` of the format is not known here, only {VERSION}; upgrade the cloud, or ask for the old format"
    )]
    Version(String),
    #[error("the date `{0}` is not like 2026-11-29")]
    Date(String),
    #[error(transparent)]
    Currency(#[from] InvalidCurrency),
    #[error("the file is in {found} and the books are in {expected}; it belongs to another operator or account")]
    WrongCurrency { found: Currency, expected: Currency },
    #[error("the file is of the acquirer `{found}`; this is the place for those of: {expected}")]
    WrongAcquirer { found: String, expected: String },
    #[error("{found} fields where {expected} belong")]
    Fields { found: usize, expected: usize },
    #[error("`{0}` is no kind of line: capture, refund, chargeback or chargeback_reversed")]
    Kind(String),
    #[error("the {field} is empty, longer than {NAME_BYTES_MAX} bytes or has control characters in it")]
    Name { field: &'static str },
    #[error("the amount `{0}` is not a positive number of minor units")]
    Amount(String),
    #[error("the fee `{0}` is not zero or a positive number of minor units")]
    Fee(String),
    #[error("the time `{0}` is not like 2026-11-29T20:30:00Z")]
    Moment(String),
    #[error("{} {reference} was in line {first} already; ask the acquirer which of the two counts", kind.name())]
    Duplicate { kind: SettledKind, reference: String, first: u64 },
    #[error("the amounts do not fit into 64 bits")]
    Overflow,
    #[error("the trailer counts {told} lines, and there are {found}; fetch the file again")]
    Count { told: String, found: u64 },
    #[error("the trailer's sum is {told}, and the lines come to {found}; fetch the file again")]
    Sum { told: String, found: i64 },
    #[error("the checksum does not fit the file: it was changed on its way; fetch it again")]
    Checksum,
    #[error("there is something behind the trailer; ask the acquirer for the file again")]
    BehindTrailer,
}

/// Whose files are taken.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'e> {
    pub acquirers: &'e [String],
    pub currency: Currency,
}

/// See the module. Feed it every line with its line feed, then [`Reader::finish`].
#[derive(Debug)]
pub struct Reader<'e> {
    expected: Expected<'e>,
    header: Option<Header>,
    line: u64,
    sum: i64,
    fees: i64,
    hash: Sha256,
    /// Digests of what the lines name, with the line.
    seen: HashMap<[u8; 12], u32>,
    ended: bool,
}

impl<'e> Reader<'e> {
    pub fn new(acquirers: &'e [String], currency: Currency) -> Self {
        Self {
            expected: Expected { acquirers, currency },
            header: None,
            line: 0,
            sum: 0,
            fees: 0,
            hash: Sha256::new(),
            seen: HashMap::new(),
            ended: false,
        }
    }

    /// None once the first line was read.
    pub fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// Takes the next line. Gives what it says, unless it is the first or the last.
    pub fn feed(&mut self, raw: &[u8]) -> Result<Option<SettledLine>, SettlementError> {
        self.line += 1;
        let line = self.line;
        self.take(raw).map_err(|fault| SettlementError { line, fault })
    }

    /// The whole file, if it was whole.
    pub fn finish(self) -> Result<Settlement, SettlementError> {
        let truncated = SettlementError { line: self.line.max(1), fault: Fault::Truncated };
        let (true, Some(header)) = (self.ended, self.header) else { return Err(truncated) };
        let currency = header.currency;
        Ok(Settlement {
            header,
            lines: self.line - 2,
            sum: Money::from_minor(self.sum, currency),
            fees: Money::from_minor(self.fees, currency),
            sha256: self.hash.finalize().into(),
        })
    }

    fn take(&mut self, raw: &[u8]) -> Result<Option<SettledLine>, Fault> {
        if self.ended {
            return Err(Fault::BehindTrailer);
        }
        if raw.len() > LINE_BYTES_MAX {
            return Err(Fault::TooLong);
        }
        let line = raw.strip_suffix(b"\n").ok_or(Fault::NoLineFeed)?;
        let text = std::str::from_utf8(line).map_err(|_| Fault::NotText)?;
        let fields: Vec<&str> = text.split(',').collect();
        let said = match (&self.header, fields.as_slice()) {
            (None, _) => {
                self.header = Some(self.expected.header(text, &fields)?);
                None
            }
            (Some(_), ["trailer", rest @ ..]) => {
                self.check_trailer(rest)?;
                None
            }
            (Some(header), _) => {
                let said = line_of(&fields, header.currency)?;
                self.count(&said)?;
                Some(said)
            }
        };
        self.hash.update(raw);
        Ok(said)
    }

    fn count(&mut self, said: &SettledLine) -> Result<(), Fault> {
        if self.line > LINES_MAX {
            return Err(Fault::TooMany);
        }
        self.sum = self.sum.checked_add(said.signed_minor()).ok_or(Fault::Overflow)?;
        self.fees = self.fees.checked_add(said.fee.minor()).ok_or(Fault::Overflow)?;
        let name = Sha256::digest(format!("{}\n{}", said.kind.name(), said.reference));
        let mut short = [0; 12];
        short.copy_from_slice(&name[..12]);
        match self.seen.insert(short, u32::try_from(self.line).unwrap_or(u32::MAX)) {
            None => Ok(()),
            Some(first) => {
                let (kind, reference) = (said.kind, said.reference.clone());
                Err(Fault::Duplicate { kind, reference, first: u64::from(first) })
            }
        }
    }

    fn check_trailer(&mut self, fields: &[&str]) -> Result<(), Fault> {
        let [count, sum, checksum] = fields else {
            return Err(Fault::Fields { found: fields.len() + 1, expected: 4 });
        };
        let found = self.line - 2;
        if *count != found.to_string() {
            return Err(Fault::Count { told: (*count).to_owned(), found });
        }
        if *sum != self.sum.to_string() {
            return Err(Fault::Sum { told: (*sum).to_owned(), found: self.sum });
        }
        let hash = self.hash.clone().finalize();
        let hexadecimal: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        if !checksum.eq_ignore_ascii_case(&hexadecimal) {
            return Err(Fault::Checksum);
        }
        self.ended = true;
        Ok(())
    }
}

impl Expected<'_> {
    fn header(&self, line: &str, fields: &[&str]) -> Result<Header, Fault> {
        let beginning = || line.chars().take(80).collect::<String>();
        let ["facegate-settlement", version, rest @ ..] = fields else { return Err(Fault::NoHeader(beginning())) };
        if *version != VERSION {
            return Err(Fault::Version((*version).to_owned()));
        }
        let [acquirer, date, currency] = rest else { return Err(Fault::NoHeader(beginning())) };
        if !self.acquirers.iter().any(|known| known == acquirer) {
            let (found, expected) = ((*acquirer).to_owned(), self.acquirers.join(", "));
            return Err(Fault::WrongAcquirer { found, expected });
        }
        let (found, expected) = (currency.parse::<Currency>()?, self.currency);
        if found != expected {
            return Err(Fault::WrongCurrency { found, expected });
        }
        let date = date.parse().map_err(|_| Fault::Date((*date).to_owned()))?;
        Ok(Header { acquirer: (*acquirer).to_owned(), date, currency: found })
    }
}

fn line_of(fields: &[&str], currency: Currency) -> Result<SettledLine, Fault> {
    let [kind, reference, key, amount, fee, booked_at] = fields else {
        return Err(Fault::Fields { found: fields.len(), expected: 6 });
    };
    let kind = SettledKind::named(kind).ok_or_else(|| Fault::Kind((*kind).to_owned()))?;
    for (field, name) in [("acquirer's reference", reference), ("key", key)] {
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            return Err(Fault::Name { field });
        }
    }
    // As digits alone: `+5` and ` 5` are nobody's way to write an amount.
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<i64>().ok())?;
    let minor = number(amount).filter(|minor| *minor > 0).ok_or_else(|| Fault::Amount((*amount).to_owned()))?;
    let kept = number(fee).ok_or_else(|| Fault::Fee((*fee).to_owned()))?;
    let moment = booked_at.parse::<jiff::Timestamp>().ok().filter(|_| booked_at.ends_with('Z'));
    let moment = moment.ok_or_else(|| Fault::Moment((*booked_at).to_owned()))?;
    Ok(SettledLine {
        kind,
        reference: (*reference).to_owned(),
        key: (*key).to_owned(),
        amount: Money::from_minor(minor, currency),
        fee: Money::from_minor(kept, currency),
        booked_at: Timestamp::from_unix_ms(moment.as_millisecond()),
    })
}
