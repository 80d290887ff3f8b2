//! The payment file for the operator's bank (ISO 20022 pain.001.001.09): what acquirers have paid out on a day, divided
//! among those whom it belongs to.

use facegate_domain::Timestamp;
use facegate_domain::ledger::{Account, Entry, EntryId, LedgerError};
use facegate_domain::money::{BasisPoints, Money, MoneyError, Rounding};
use jiff::civil::Date;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use super::trial;

pub const NAMESPACE: &str = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09";
/// Names of more characters no bank takes.
const NAME_MAX: usize = 140;

/// Somebody with an account at a bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    pub name: String,
    /// An IBAN, or a number as the bank has it.
    pub account: String,
    /// The bank's BIC.
    pub bic: String,
}

/// Who pays whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payees {
    pub payer: Party,
    /// With their shares, which come to the whole.
    pub payees: Vec<(Party, BasisPoints)>,
}

/// Why such a party cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartyProblem {
    #[error("the name is empty or longer than {NAME_MAX} characters")]
    Name,
    #[error("`{0}` is neither an IBAN whose check digits are right nor a number of at most 34 letters and digits")]
    Account(String),
    #[error("`{0}` is no BIC: eight or eleven capital letters and digits")]
    Bic(String),
}

impl Party {
    pub fn new(name: String, account: &str, bic: &str) -> Result<Self, PartyProblem> {
        let length = name.chars().count();
        if length == 0 || length > NAME_MAX || name.chars().any(char::is_control) {
            return Err(PartyProblem::Name);
        }
        let account: String = account.chars().filter(|c| *c != ' ').collect();
        let plain = (1..=34).contains(&account.len()) && account.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !plain || (looks_like_iban(&account) && !is_iban(&account)) {
            return Err(PartyProblem::Account(account));
        }
        let letters = bic.bytes().take(6).all(|byte| byte.is_ascii_uppercase());
        let rest = bic.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        if !matches!(bic.len(), 8 | 11) || !letters || !rest {
            return Err(PartyProblem::Bic(bic.to_owned()));
        }
        Ok(Self { name, account, bic: bic.to_owned() })
    }
}

fn looks_like_iban(account: &str) -> bool {
    let bytes = account.as_bytes();
    bytes.len() >= 15 && bytes[..2].iter().all(u8::is_ascii_uppercase) && bytes[2..4].iter().all(u8::is_ascii_digit)
}

/// ISO 13616: the first four to the end, letters as numbers from 10 on, and the rest by 97 is 1.
fn is_iban(account: &str) -> bool {
    let (head, body) = account.split_at(4);
    let digit = |c: char| c.to_digit(36);
    let mut rest = 0_u32;
    for c in body.chars().chain(head.chars()) {
        let Some(value) = digit(c) else { return false };
        rest = if value < 10 { (rest * 10 + value) % 97 } else { (rest * 100 + value) % 97 };
    }
    rest == 1
}

/// What one payee gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Comes back on the statement.
    pub id: String,
    pub to: Party,
    pub amount: Money,
}

/// The day's payments. The same day, sum and shares give the same, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    pub day: Date,
    pub from: Party,
    pub transfers: Vec<Transfer>,
}

impl Payment {
    /// Divides `sum`, to the last minor unit: what rounding leaves is the first payee's.
    ///
    /// None if there is nothing to pay.
    pub fn of(day: Date, sum: Money, payees: &Payees) -> Result<Option<Self>, MoneyError> {
        if !sum.is_positive() {
            return Ok(None);
        }
        let share = |(_, share): &(Party, BasisPoints)| sum.checked_share(*share, Rounding::Down);
        let mut amounts: Vec<Money> = payees.payees.iter().map(share).collect::<Result<_, _>>()?;
        let left = sum.checked_sub(Money::checked_sum(sum.currency(), amounts.iter().copied())?)?;
        if let Some(first) = amounts.first_mut() {
            *first = first.checked_add(left)?;
        }
        let transfers = (1..).zip(&payees.payees).zip(amounts).filter(|(_, amount)| amount.is_positive());
        let transfers = transfers
            .map(|((n, (to, _)), amount)| Transfer { id: format!("facegate-{day}-{n}"), to: to.clone(), amount })
            .collect();
        Ok(Some(Self { day, from: payees.payer.clone(), transfers }))
    }

    pub fn sum(&self) -> Result<Money, MoneyError> {
        let first = self.transfers.first().map(|transfer| transfer.amount.currency());
        let currency = first.unwrap_or_else(|| "XXX".parse().expect("three capital letters"));
        Money::checked_sum(currency, self.transfers.iter().map(|transfer| transfer.amount))
    }

    /// The entry that it is in the books by: the money leaves the bank, and is the payees' part of what was earned.
    pub fn entry(&self, now: Timestamp) -> Result<Entry, LedgerError> {
        let id = EntryId::of("distribution", self.day);
        let sum = self.sum().map_err(|problem| LedgerError::Money { id: id.clone(), problem })?;
        Entry::transfer(id, now, sum, Account::OperatorBank, Account::OperatorRevenue)
    }

    /// The file. `made_at` is when it was made first.
    pub fn xml(&self, made_at: Timestamp) -> std::io::Result<String> {
        let sum = self.sum().map_err(std::io::Error::other)?;
        let mut out = Xml { writer: Writer::new_with_indent(Vec::new(), b' ', 2) };
        out.writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        let mut document = BytesStart::new("Document");
        document.push_attribute(("xmlns", NAMESPACE));
        out.writer.write_event(Event::Start(document))?;
        out.within("CstmrCdtTrfInitn", |out| {
            let (count, written) = (self.transfers.len().to_string(), plain(sum));
            out.within("GrpHdr", |out| {
                out.text("MsgId", &format!("facegate-{}", self.day))?;
                out.text("CreDtTm", &crate::audit_report::moment(made_at))?;
                out.text("NbOfTxs", &count)?;
                out.text("CtrlSum", &written)?;
                out.within("InitgPty", |out| out.text("Nm", &self.from.name))
            })?;
            out.within("PmtInf", |out| {
                out.text("PmtInfId", &format!("facegate-{}-1", self.day))?;
                out.text("PmtMtd", "TRF")?;
                out.text("NbOfTxs", &count)?;
                out.text("CtrlSum", &written)?;
                out.within("ReqdExctnDt", |out| out.text("Dt", &execution(made_at)))?;
                out.within("Dbtr", |out| out.text("Nm", &self.from.name))?;
                out.account("DbtrAcct", &self.from)?;
                out.agent("DbtrAgt", &self.from)?;
                self.transfers.iter().try_for_each(|transfer| out.transfer(self.day, transfer))
            })
        })?;
        out.writer.write_event(Event::End(BytesEnd::new("Document")))?;
        let mut text = String::from_utf8(out.writer.into_inner()).map_err(std::io::Error::other)?;
        text.push('\n');
        Ok(text)
    }
}

/// The day on which the bank is to pay: the one on which the file is made.
fn execution(at: Timestamp) -> String {
    crate::audit_report::moment(at).chars().take(10).collect()
}

fn plain(amount: Money) -> String {
    trial::amount(i128::from(amount.minor()), amount.currency())
}

struct Xml {
    writer: Writer<Vec<u8>>,
}

impl Xml {
    fn within(&mut self, name: &str, write: impl FnOnce(&mut Self) -> std::io::Result<()>) -> std::io::Result<()> {
        self.writer.write_event(Event::Start(BytesStart::new(name)))?;
        write(self)?;
        self.writer.write_event(Event::End(BytesEnd::new(name)))
    }

    fn text(&mut self, name: &str, text: &str) -> std::io::Result<()> {
        self.within(name, |out| out.writer.write_event(Event::Text(BytesText::new(text))))
    }

    fn account(&mut self, name: &str, party: &Party) -> std::io::Result<()> {
        self.within(name, |out| {
            out.within("Id", |out| {
                if looks_like_iban(&party.account) {
                    return out.text("IBAN", &party.account);
                }
                out.within("Othr", |out| out.text("Id", &party.account))
            })
        })
    }

    fn agent(&mut self, name: &str, party: &Party) -> std::io::Result<()> {
        self.within(name, |out| out.within("FinInstnId", |out| out.text("BICFI", &party.bic)))
    }

    fn transfer(&mut self, day: Date, transfer: &Transfer) -> std::io::Result<()> {
        self.within("CdtTrfTxInf", |out| {
            out.within("PmtId", |out| out.text("EndToEndId", &transfer.id))?;
            out.within("Amt", |out| {
                let mut amount = BytesStart::new("InstdAmt");
                amount.push_attribute(("Ccy", transfer.amount.currency().as_str()));
                out.writer.write_event(Event::Start(amount))?;
                out.writer.write_event(Event::Text(BytesText::new(&plain(transfer.amount))))?;
                out.writer.write_event(Event::End(BytesEnd::new("InstdAmt")))
            })?;
            out.agent("CdtrAgt", &transfer.to)?;
            out.within("Cdtr", |out| out.text("Nm", &transfer.to.name))?;
            out.account("CdtrAcct", &transfer.to)?;
            out.within("RmtInf", |out| out.text("Ustrd", &format!("Fares of {day}")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::xml;
    use super::*;

    fn party(name: &str) -> Party {
        Party::new(name.to_owned(), "DE89 3704 0044 0532 0130 00", "COBADEFFXXX").unwrap()
    }

    fn payees(shares: &[u32]) -> Payees {
        let other = Party::new("Line & Sons".into(), "6222021234567890", "ICBKCNBJ").unwrap();
        let payees = shares.iter().map(|share| (other.clone(), BasisPoints::new(*share))).collect();
        Payees { payer: party("Metro"), payees }
    }

    fn cny(minor: i64) -> Money {
        Money::from_minor(minor, "CNY".parse().unwrap())
    }

    #[test]
    fn nothing_of_a_sum_is_lost_between_the_shares() {
        let day = jiff::civil::date(2026, 11, 29);
        for sum in [1, 2, 99, 100, 101, 123_457] {
            let payment = Payment::of(day, cny(sum), &payees(&[3_333, 3_333, 3_334])).unwrap().unwrap();
            assert_eq!(payment.sum().unwrap(), cny(sum), "{sum}");
            assert!(payment.transfers.iter().all(|transfer| transfer.amount.is_positive()));
        }
        for none in [0, -5] {
            assert_eq!(Payment::of(day, cny(none), &payees(&[10_000])).unwrap(), None);
        }
    }

    #[test]
    fn the_elements_come_in_the_order_of_the_standard() {
        let payment =
            Payment::of(jiff::civil::date(2026, 11, 29), cny(10_001), &payees(&[5_000, 5_000])).unwrap().unwrap();
        let at = Timestamp::from_unix_ms(1_795_000_000_000);
        let text = payment.xml(at).unwrap();
        assert_eq!(text, payment.xml(at).unwrap(), "made again it is the same");
        let document = xml::read(text.as_bytes(), NAMESPACE).unwrap();
        let names = |path: &str| {
            document.at(path).unwrap().children.iter().map(|child| child.name.clone()).collect::<Vec<_>>().join(" ")
        };
        let root = "CstmrCdtTrfInitn";
        assert_eq!(names(&format!("{root}/GrpHdr")), "MsgId CreDtTm NbOfTxs CtrlSum InitgPty");
        assert_eq!(
            names(&format!("{root}/PmtInf")),
            "PmtInfId PmtMtd NbOfTxs CtrlSum ReqdExctnDt Dbtr DbtrAcct DbtrAgt CdtTrfTxInf CdtTrfTxInf"
        );
        assert_eq!(names(&format!("{root}/PmtInf/CdtTrfTxInf")), "PmtId Amt CdtrAgt Cdtr CdtrAcct RmtInf");
        let transfer = document.at(&format!("{root}/PmtInf/CdtTrfTxInf")).unwrap();
        let amount = transfer.at("Amt/InstdAmt").unwrap();
        assert_eq!((amount.text.as_str(), amount.currency.as_deref()), ("50.01", Some("CNY")));
        assert_eq!(transfer.text_at("Cdtr/Nm"), Some("Line & Sons"));
        assert_eq!(transfer.text_at("CdtrAcct/Id/Othr/Id"), Some("6222021234567890"));
        assert_eq!(document.at(root).unwrap().text_at("PmtInf/DbtrAcct/Id/IBAN"), Some("DE89370400440532013000"));
    }

    #[test]
    fn a_party_that_no_bank_knows_is_refused() {
        let problem = |name: &str, account: &str, bic: &str| Party::new(name.into(), account, bic).unwrap_err();
        assert_eq!(problem("", "1", "COBADEFF"), PartyProblem::Name);
        assert!(matches!(problem("M", "DE88370400440532013000", "COBADEFF"), PartyProblem::Account(_)));
        assert!(matches!(problem("M", "12-34", "COBADEFF"), PartyProblem::Account(_)));
        assert!(matches!(problem("M", "1234", "cobadeff"), PartyProblem::Bic(_)));
    }
}
