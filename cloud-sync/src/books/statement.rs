//! The bank's statement (ISO 20022 camt.053.001.08), and what of it the books know.

use facegate_domain::money::{Currency, Money};
use jiff::civil::Date;
use serde::Serialize;

use super::xml::{self, Element, XmlError};

pub const NAMESPACE: &str = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08";
/// A settlement reaches the bank some days later.
const DAYS_MAX: i32 = 10;

/// One account's statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    pub id: String,
    pub account: String,
    pub opening: Money,
    pub closing: Money,
    pub entries: Vec<StatementEntry>,
}

/// A movement: positive if it came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatementEntry {
    pub reference: String,
    pub amount: Money,
    pub booked: Date,
    /// Everything that was said with it.
    pub texts: Vec<String>,
}

/// A movement that the books expect: a payout of an acquirer, or our own payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Expected {
    /// The ledger entry that it is in.
    pub entry: String,
    /// What its texts should name.
    pub names: Vec<String>,
    pub amount: Money,
    pub since: Date,
}

/// What came of one movement, in the books or on the statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Matched {
    Both { entry: String, reference: String, amount: Money },
    OnlyBank { line: StatementEntry, next_action: &'static str },
    OnlyBooks { expected: Expected, next_action: &'static str },
    AmountDiffers { expected: Expected, line: StatementEntry, next_action: &'static str },
}

/// Reads all statements of a file.
pub fn read(bytes: &[u8]) -> Result<Vec<Statement>, XmlError> {
    let document = xml::read(bytes, NAMESPACE)?;
    let message = match document.name.as_str() {
        "Document" => document.need("BkToCstmrStmt")?,
        other => return Err(document.content("", format!("the document is a {other}, not a Document"))),
    };
    in_order(message, &["GrpHdr", "Stmt", "SplmtryData"])?;
    message.need("GrpHdr/MsgId")?;
    let statements: Result<Vec<Statement>, XmlError> = message.all("Stmt").map(statement).collect();
    let statements = statements?;
    if statements.is_empty() { Err(message.content("Stmt", "is missing".to_owned())) } else { Ok(statements) }
}

/// The elements come in the order that the standard gives them, and no others do.
fn in_order(element: &Element, order: &[&str]) -> Result<(), XmlError> {
    let mut at = 0;
    for child in &element.children {
        let place = order.iter().position(|name| *name == child.name);
        match place {
            Some(place) if place >= at => at = place,
            Some(_) => return Err(element.content(&child.name, "stands behind what should come after it".to_owned())),
            None => return Err(element.content(&child.name, "does not belong there".to_owned())),
        }
    }
    Ok(())
}

const STATEMENT_ORDER: &[&str] = &[
    "Id",
    "StmtPgntn",
    "ElctrncSeqNb",
    "RptgSeq",
    "LglSeqNb",
    "CreDtTm",
    "FrToDt",
    "CpyDplctInd",
    "RptgSrc",
    "Acct",
    "RltdAcct",
    "Intrst",
    "Bal",
    "TxsSummry",
    "Ntry",
    "AddtlStmtInf",
];
const ENTRY_ORDER: &[&str] = &[
    "NtryRef",
    "Amt",
    "CdtDbtInd",
    "RvslInd",
    "Sts",
    "BookgDt",
    "ValDt",
    "AcctSvcrRef",
    "Avlbty",
    "BkTxCd",
    "ComssnWvrInd",
    "AddtlInfInd",
    "AmtDtls",
    "Chrgs",
    "TechInptChanl",
    "Intrst",
    "CardTx",
    "NtryDtls",
    "AddtlNtryInf",
];

fn statement(element: &Element) -> Result<Statement, XmlError> {
    in_order(element, STATEMENT_ORDER)?;
    let id = element.need("Id")?.text.clone();
    let account = element.text_at("Acct/Id/IBAN").or_else(|| element.text_at("Acct/Id/Othr/Id"));
    let account = account.ok_or_else(|| element.content("Acct/Id", "names no account".to_owned()))?.to_owned();
    let opening = balance(element, &["OPBD", "PRCD"])?;
    let closing = balance(element, &["CLBD"])?;
    let mut entries = Vec::new();
    for entry in element.all("Ntry") {
        in_order(entry, ENTRY_ORDER)?;
        // What is announced and not booked is in no balance.
        let status = entry.text_at("Sts/Cd").or_else(|| entry.text_at("Sts/Prtry"));
        if status.is_none_or(|status| status == "BOOK") {
            entries.push(movement(entry)?);
        }
    }
    let sum = Money::checked_sum(opening.currency(), [opening].into_iter().chain(entries.iter().map(|e| e.amount)));
    match sum {
        Ok(sum) if sum == closing => Ok(Statement { id, account, opening, closing, entries }),
        Ok(sum) => {
            Err(element.content("Bal", format!("the entries lead to {sum}, and the closing balance is {closing}")))
        }
        Err(problem) => Err(element.content("Ntry", problem.to_string())),
    }
}

fn balance(element: &Element, codes: &[&str]) -> Result<Money, XmlError> {
    let of = |balance: &&Element| balance.text_at("Tp/CdOrPrtry/Cd").is_some_and(|code| codes.contains(&code));
    let balance = element.all("Bal").find(of);
    signed(balance.ok_or_else(|| element.content("Bal", format!("there is none of the kind {}", codes.join(" or "))))?)
}

fn signed(element: &Element) -> Result<Money, XmlError> {
    let amount = amount(element)?;
    match element.text_at("CdtDbtInd") {
        Some("CRDT") => Ok(amount),
        Some("DBIT") => amount.checked_neg().map_err(|problem| element.content("Amt", problem.to_string())),
        _ => Err(element.content("CdtDbtInd", "is neither CRDT nor DBIT".to_owned())),
    }
}

fn amount(element: &Element) -> Result<Money, XmlError> {
    let amount = element.need("Amt")?;
    let wrong = |what: String| element.content("Amt", what);
    let currency = amount.currency.as_deref().ok_or_else(|| wrong("has no currency".to_owned()))?;
    let currency: Currency = currency.parse().map_err(|error| wrong(format!("{error}")))?;
    let minor =
        minor(&amount.text, currency).ok_or_else(|| wrong(format!("`{}` is no amount in {currency}", amount.text)))?;
    Ok(Money::from_minor(minor, currency))
}

/// `12.3` and `12.30` alike; never rounded.
fn minor(text: &str, currency: Currency) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = currency.minor_digits() as usize;
    let part = part.trim_end_matches('0');
    let all = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all(whole) || !all(part) || part.len() > digits {
        return None;
    }
    format!("{whole}{part:0<digits$}").parse().ok()
}

fn movement(entry: &Element) -> Result<StatementEntry, XmlError> {
    let date = entry.text_at("BookgDt/Dt").or_else(|| entry.text_at("BookgDt/DtTm"));
    let date = date.ok_or_else(|| entry.content("BookgDt", "is missing".to_owned()))?;
    let booked = date.get(..10).and_then(|date| date.parse().ok());
    let booked = booked.ok_or_else(|| entry.content("BookgDt", format!("`{date}` is no date")))?;
    let mut texts = Vec::new();
    entry.all("NtryDtls").chain(entry.all("AddtlNtryInf")).for_each(|details| details.texts(&mut texts));
    let reference = entry.text_at("AcctSvcrRef").or_else(|| entry.text_at("NtryRef")).unwrap_or_default().to_owned();
    Ok(StatementEntry { reference, amount: signed(entry)?, booked, texts })
}

/// Holds the movements against what the books expect. Each is matched once: by what its texts name, then by its amount,
/// if that leaves no doubt.
pub fn match_entries(mut lines: Vec<StatementEntry>, mut expected: Vec<Expected>) -> Vec<Matched> {
    let mut found = Vec::new();
    let close = |expected: &Expected, line: &StatementEntry| {
        let days = line.booked.since(expected.since).map_or(i32::MAX, |span| span.get_days());
        (0..=DAYS_MAX).contains(&days) && line.amount.is_negative() == expected.amount.is_negative()
    };
    let named = |expected: &Expected, line: &StatementEntry| {
        expected.names.iter().all(|name| line.texts.iter().any(|text| text.contains(name.as_str())))
    };
    expected.retain(|expected| {
        let by_name = lines.iter().position(|line| close(expected, line) && named(expected, line));
        let alike: Vec<usize> = lines
            .iter()
            .enumerate()
            .filter(|(_, line)| close(expected, line) && line.amount == expected.amount)
            .map(|(at, _)| at)
            .collect();
        let by_amount = if alike.len() == 1 { alike.first().copied() } else { None };
        let Some(at) = by_name.or(by_amount) else { return true };
        let line = lines.remove(at);
        found.push(if line.amount == expected.amount {
            Matched::Both { entry: expected.entry.clone(), reference: line.reference, amount: line.amount }
        } else {
            let next_action =
                "Compare the acquirer's file with what it paid, and claim the difference from whoever kept it.";
            Matched::AmountDiffers { expected: expected.clone(), line, next_action }
        });
        false
    });
    found.extend(lines.into_iter().map(|line| {
        let next_action = if line.amount.is_negative() {
            "Ask who ordered this payment; if it is the bank's own charge, post it."
        } else {
            "Ask the bank who has paid it; import the settlement file that it belongs to, if one is missing."
        };
        Matched::OnlyBank { line, next_action }
    }));
    found.extend(expected.into_iter().map(|expected| {
        let next_action = if expected.amount.is_negative() {
            "See whether the bank has taken the payment file; hand it in again only if it says that it has not."
        } else {
            "Wait for the next statement; after ten days claim the payout from the acquirer."
        };
        Matched::OnlyBooks { expected, next_action }
    }));
    found
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    /// Held against the schema of the standard by the tests of the load tester.
    fn good() -> String {
        include_str!("statement/sample.xml").to_owned()
    }

    fn cny(minor: i64) -> Money {
        Money::from_minor(minor, "CNY".parse().unwrap())
    }

    fn refused(text: &str) -> String {
        read(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_statement_is_read_with_its_balances() {
        let statements = read(good().as_bytes()).unwrap();
        let statement = &statements[0];
        assert_eq!((statement.account.as_str(), statement.opening), ("DE89370400440532013000", cny(10_000)));
        let amounts: Vec<i64> = statement.entries.iter().map(|entry| entry.amount.minor()).collect();
        assert_eq!(amounts, [64_400, -60_000, 0]);
        assert_eq!(statement.entries[0].booked, date(2026, 11, 30));
        assert_eq!(statement.entries[0].texts, ["sandbox settlement 2026-11-29"]);
    }

    #[test]
    fn a_statement_that_does_not_hold_together_is_refused() {
        let good = good();
        for (text, said) in [
            (good.replace("144.00", "144.01"), "the closing balance is 144.01"),
            (good.replace("OPBD", "XXXX"), "OPBD"),
            (good.replace("<Amt Ccy=\"CNY\">600<", "<Amt Ccy=\"CNY\">600.001<"), "600.001"),
            (good.replace("<Amt Ccy=\"CNY\">600<", "<Amt Ccy=\"EUR\">600<"), "two currencies"),
            (good.replace("<Amt Ccy=\"CNY\">600<", "<Amt>600<"), "no currency"),
            (good.replace("DBIT", "BOTH"), "neither CRDT nor DBIT"),
            (good.replace("<Id>s-1</Id>", ""), "Id: is missing"),
            (good.replace("camt.053.001.08", "camt.053.001.02"), "camt.053.001.02"),
            (good.replace("<BookgDt><Dt>2026-12-01</Dt></BookgDt>", ""), "BookgDt"),
            (good.replace("BkTxCd>", "Surprise>"), "does not belong there"),
            (
                good.replacen(
                    "<NtryRef>b-1</NtryRef>\n        <Amt Ccy=\"CNY\">644.0</Amt>",
                    "<Amt Ccy=\"CNY\">644.0</Amt><NtryRef>b-1</NtryRef>",
                    1,
                ),
                "stands behind",
            ),
            (good.replace("BkToCstmrStmt", "BkToCstmrAcctRpt"), "BkToCstmrStmt"),
            (good[..good.len() / 2].to_owned(), "cut short"),
        ] {
            assert!(refused(&text).contains(said), "{said}: {}", refused(&text));
        }
        let bomb = good.replace("<Document", "<!DOCTYPE d [<!ENTITY x \"y\">]><Document");
        assert!(refused(&bomb).contains("document type"));
    }

    fn expected(name: &str, minor: i64, since: Date) -> Expected {
        let names = name.split(' ').map(str::to_owned).collect();
        Expected { entry: format!("payout/{name}"), names, amount: cny(minor), since }
    }

    #[test]
    fn movements_meet_what_the_books_expect_and_the_rest_is_listed_with_what_to_do() {
        let lines = read(good().as_bytes()).unwrap().remove(0).entries;
        let day = date(2026, 11, 29);
        let all = vec![
            expected("sandbox 2026-11-29", 64_400, day),
            expected("facegate-2026-11-29-1", -60_000, day),
            expected("bank 2026-11-29", 5_000, day),
        ];
        let found = match_entries(lines.clone(), all);
        let both = found.iter().filter(|matched| matches!(matched, Matched::Both { .. })).count();
        let bank = found.iter().filter(|matched| matches!(matched, Matched::OnlyBank { .. })).count();
        let books = found.iter().filter(|matched| matches!(matched, Matched::OnlyBooks { .. })).count();
        assert_eq!((both, bank, books), (2, 1, 1), "{found:?}");
        let less = match_entries(lines.clone(), vec![expected("sandbox 2026-11-29", 64_300, day)]);
        assert!(matches!(&less[0], Matched::AmountDiffers { .. }), "{less:?}");
        // Nothing that is named is matched to what came before it, or long after.
        for since in [date(2026, 12, 2), date(2026, 11, 1)] {
            let found = match_entries(lines.clone(), vec![expected("sandbox 2026-11-29", 64_400, since)]);
            assert!(!found.iter().any(|matched| matches!(matched, Matched::Both { .. })), "{found:?}");
        }
    }

    #[test]
    fn an_amount_alone_matches_only_where_it_leaves_no_doubt() {
        let line = |reference: &str| StatementEntry {
            reference: reference.into(),
            amount: cny(500),
            booked: date(2026, 11, 30),
            texts: Vec::new(),
        };
        let wanted = || vec![expected("sandbox x", 500, date(2026, 11, 29))];
        assert!(matches!(match_entries(vec![line("a")], wanted())[0], Matched::Both { .. }));
        let doubtful = match_entries(vec![line("a"), line("b")], wanted());
        assert!(!doubtful.iter().any(|matched| matches!(matched, Matched::Both { .. })), "{doubtful:?}");
    }
}
