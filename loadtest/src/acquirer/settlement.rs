//! The settlement file of a day, and the ways in which one may be wrong.
//!
//! ```text
//! facegate-settlement,1,<acquirer>,<date>,<currency>
//! capture|refund|chargeback|chargeback_reversed,<reference>,<key>,<amount_minor>,<fee_minor>,<booked_at>
//! trailer,<lines between>,<sum of the amounts, refunds and chargebacks negative>,<SHA-256 of all bytes before>
//! ```

use std::fmt::Write as _;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::book::{Book, Charge};

/// What the file says beside the lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The acquirer's name in the file.
    pub name: String,
    /// What it keeps of each capture, in hundredths of a percent, rounded down.
    pub fee_basis_points: i64,
    /// What it takes for each chargeback.
    pub chargeback_fee_minor: i64,
}

impl Default for Terms {
    fn default() -> Self {
        Self { name: "sandbox".to_owned(), fee_basis_points: 60, chargeback_fee_minor: 0 }
    }
}

/// A file that is wrong on purpose. All but `Truncated` have a trailer that fits what they hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Defect {
    /// The first line is left out.
    LineMissing,
    /// The first line has one minor unit more.
    AmountDiffers,
    /// The first line stands there twice.
    LineTwice,
    /// A line of a key that nobody knows.
    LineUnknown,
    /// It ends in the middle.
    Truncated,
}

/// A line between the first and the trailer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub kind: &'static str,
    pub reference: String,
    pub key: String,
    pub amount_minor: i64,
    pub fee_minor: i64,
    pub at_ms: i64,
}

/// The file of one UTC day and currency; empty days have one too.
pub fn file(book: &Book, terms: &Terms, date: jiff::civil::Date, currency: &str, defect: Option<Defect>) -> String {
    let mut rows: Vec<Row> = book
        .charges()
        .filter(|charge| charge.request.currency == currency)
        .flat_map(|charge| rows_of(charge, terms))
        .filter(|row| moment(row.at_ms).to_zoned(jiff::tz::TimeZone::UTC).date() == date)
        .collect();
    rows.sort_by(|a, b| (a.at_ms, &a.reference, a.kind).cmp(&(b.at_ms, &b.reference, b.kind)));
    match (defect, rows.first().cloned()) {
        (Some(Defect::LineMissing), Some(_)) => _ = rows.remove(0),
        (Some(Defect::AmountDiffers), Some(_)) => rows[0].amount_minor += 1,
        (Some(Defect::LineTwice), Some(first)) => rows.insert(1, first),
        (Some(Defect::LineUnknown), Some(first)) => {
            rows.push(Row { reference: "cap_nobody".to_owned(), key: "nobody".to_owned(), ..first });
        }
        _ => {}
    }
    let text = written(&rows, terms, date, currency);
    if defect == Some(Defect::Truncated) { text[..text.len() / 2].to_owned() } else { text }
}

fn rows_of(charge: &Charge, terms: &Terms) -> Vec<Row> {
    let row = |kind, reference: String, key: &str, amount_minor, fee_minor, at_ms| Row {
        kind,
        reference,
        key: key.to_owned(),
        amount_minor,
        fee_minor,
        at_ms,
    };
    let (id, key, captured) = (&charge.authorisation, &charge.key, charge.captured_minor);
    let mut rows = Vec::new();
    if let Some(at_ms) = charge.captured_at_ms {
        let fee = captured * terms.fee_basis_points / 10_000;
        rows.push(row("capture", format!("cap_{id}"), key, captured, fee, at_ms));
    }
    for refund in charge.refunds.iter().filter(|refund| refund.declined.is_none()) {
        rows.push(row("refund", refund.id.clone(), &refund.key, refund.amount_minor, 0, refund.at_ms));
    }
    if let Some(at_ms) = charge.disputed_at_ms {
        rows.push(row("chargeback", format!("cb_{id}"), key, captured, terms.chargeback_fee_minor, at_ms));
    }
    if let Some(at_ms) = charge.dispute_reversed_at_ms {
        // Of the same dispute, hence under its reference.
        rows.push(row("chargeback_reversed", format!("cb_{id}"), key, captured, 0, at_ms));
    }
    rows
}

/// A file of these lines that adds up.
pub fn written(rows: &[Row], terms: &Terms, date: jiff::civil::Date, currency: &str) -> String {
    let mut text = format!("facegate-settlement,1,{},{date},{currency}\n", terms.name);
    let mut sum = 0_i64;
    for Row { kind, reference, key, amount_minor, fee_minor, at_ms } in rows {
        sum += if matches!(*kind, "refund" | "chargeback") { -amount_minor } else { *amount_minor };
        let at = moment(*at_ms);
        // Writing to a string does not fail.
        let _ = writeln!(text, "{kind},{reference},{key},{amount_minor},{fee_minor},{at}");
    }
    let digest = Sha256::digest(text.as_bytes()).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    let _ = writeln!(text, "trailer,{},{sum},{digest}", rows.len());
    text
}

fn moment(unix_ms: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(unix_ms).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acquirer::book::{AuthorisationRequest, Line};

    /// 2026-11-18, 10:26:40 UTC.
    const AT: i64 = 1_794_997_600_000;
    const DAY: i64 = 86_400_000;

    fn book() -> Book {
        let mut book = Book::default();
        for (key, at_ms) in [("k1", AT), ("k2", AT + 1), ("k3", AT + DAY)] {
            let (authorisation, request) = (
                format!("auth_{key}"),
                AuthorisationRequest { token: "tok_ok_1".to_owned(), amount_minor: 500, currency: "CNY".to_owned() },
            );
            let (key, amount_minor) = (key.to_owned(), 500);
            let opened = Line::Authorised { key: key.clone(), authorisation: authorisation.clone(), request, at_ms };
            book.apply(&opened);
            book.apply(&Line::Captured { key, authorisation, amount_minor, at_ms });
        }
        let (authorisation, refund) = ("auth_k1".to_owned(), "re_1".to_owned());
        book.apply(&Line::Refunded { key: "r1".to_owned(), authorisation, refund, amount_minor: 200, at_ms: AT + 2 });
        book.apply(&Line::Disputed { authorisation: "auth_k2".to_owned(), at_ms: AT + 3 });
        book
    }

    fn of_day(defect: Option<Defect>) -> String {
        file(&book(), &Terms::default(), "2026-11-18".parse().unwrap(), "CNY", defect)
    }

    #[test]
    fn a_days_file_has_a_line_for_all_that_moved_and_adds_up() {
        let text = of_day(None);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "facegate-settlement,1,sandbox,2026-11-18,CNY");
        assert_eq!(lines[1], "capture,cap_auth_k1,k1,500,3,2026-11-18T10:26:40Z");
        assert!(lines[3].starts_with("refund,re_1,r1,200,0,"), "{text}");
        assert!(lines[4].starts_with("chargeback,cb_auth_k2,k2,500,0,"), "{text}");
        let before = &text[..text.rfind("trailer").unwrap()];
        assert_eq!(lines[5], format!("trailer,4,300,{}", hex(before)));
        let empty = file(&book(), &Terms::default(), "2026-01-01".parse().unwrap(), "CNY", None);
        assert!(empty.lines().count() == 2 && empty.contains("trailer,0,0,"), "{empty}");
    }

    fn hex(text: &str) -> String {
        Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn a_defect_is_what_its_name_says() {
        let lines = |defect| of_day(Some(defect)).lines().count();
        assert_eq!((lines(Defect::LineMissing), lines(Defect::LineTwice), lines(Defect::LineUnknown)), (5, 7, 7));
        assert!(of_day(Some(Defect::AmountDiffers)).contains(",k1,501,"));
        assert!(!of_day(Some(Defect::Truncated)).contains("trailer"));
    }
}
