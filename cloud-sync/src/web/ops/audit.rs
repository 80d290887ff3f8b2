//! The end-of-day audit for finance: a page to print, and the same as CSV.

use std::fmt::Write as _;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use jiff::civil::Date;

use super::{Operator, Pages, Problem};
use crate::audit_report::{Sums, csv, gaps, moment};
use crate::auditor::DayReport;
use crate::store::{AuditedDay, SkewedRecord};

const PAGE: &str = include_str!("../static/audit.html");
/// Records from the future that are listed one by one.
const SKEWED_LISTED_MAX: usize = 50;

/// Leads to the latest day that is over.
pub async fn latest(State(pages): State<Pages>, _who: Operator) -> Redirect {
    Redirect::to(&format!("/ops/audit/{}", pages.cloud.auditor.yesterday()))
}

/// `2026-11-29` as a page, `2026-11-29.csv` as a file.
pub async fn day(State(pages): State<Pages>, _who: Operator, Path(asked): Path<String>) -> Result<Response, Problem> {
    let (text, as_csv) = asked.strip_suffix(".csv").map_or((asked.as_str(), false), |day| (day, true));
    let day: Date = text.parse().map_err(|_| {
        let detail = format!("“{text}” is not a day.");
        Problem::new(StatusCode::NOT_FOUND, "no_such_day", detail, "Write it like 2026-11-29, or 2026-11-29.csv.")
    })?;
    let report = pages.cloud.auditor.report(day).await?;
    if as_csv {
        let name = format!("attachment; filename=\"facegate-audit-{day}.csv\"");
        let kind = "text/csv; charset=utf-8".to_owned();
        return Ok(([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name)], csv(&report)).into_response());
    }
    let skewed = pages.cloud.store.skewed(SKEWED_LISTED_MAX).await?;
    Ok(Html(page(&report, &skewed, pages.cloud.auditor.today())).into_response())
}

fn page(report: &DayReport, skewed: &[SkewedRecord], today: Date) -> String {
    let sums = Sums::of(report);
    let before = report.day.yesterday().unwrap_or(report.day).to_string();
    // Of days to come nothing can be said.
    let after = report
        .day
        .tomorrow()
        .ok()
        .filter(|after| *after <= today)
        .map(|after| format!("<a href=\"/ops/audit/{after}\" rel=\"next\">{after} →</a>"));
    let after = after.unwrap_or_default();
    let (tone, verdict) = match (report.lines.is_empty(), sums.missing()) {
        (true, _) => ("note", "No records".to_owned()),
        (_, 0) => ("good", "Complete".to_owned()),
        (_, 1) => ("bad", "1 record missing".to_owned()),
        (_, missing) => ("bad", format!("{} records missing", grouped(missing))),
    };
    let replaced = [
        ("{day}", report.day.to_string()),
        ("{weekday}", weekday(report.day).to_owned()),
        ("{before}", before),
        ("{after}", after),
        ("{tone}", tone.to_owned()),
        ("{verdict}", verdict),
        ("{preliminary}", if report.preliminary { PRELIMINARY.to_owned() } else { String::new() }),
        ("{lines}", report.lines.iter().map(line).collect()),
        ("{sums}", if report.lines.is_empty() { String::new() } else { sum_line(&sums) }),
        ("{empty}", if report.lines.is_empty() { EMPTY.to_owned() } else { String::new() }),
        ("{gaps}", gap_list(report)),
        ("{skewed}", skewed_list(skewed)),
    ];
    replaced.into_iter().fold(PAGE.to_owned(), |page, (place, text)| page.replace(place, &text))
}

const PRELIMINARY: &str = "<p class=\"notice note\">This day has not been closed yet: these are the figures of the \
moment. Some time after its end they are stored.</p>";
const EMPTY: &str = "<p class=\"card empty\">No gate wrote anything on this day, as far as is known here.</p>";

/// Gate and station names hold letters, digits and dashes only, so that nothing needs escaping.
fn line(AuditedDay { revision, found, .. }: &AuditedDay) -> String {
    let name = format!("{} <small>epoch {}</small>", found.gate, found.epoch);
    let state = if found.is_complete() {
        "<span class=\"tag good\">Complete</span>".to_owned()
    } else if found.lost == found.expected - found.count {
        "<span class=\"tag bad\">Lost</span>".to_owned()
    } else {
        "<span class=\"tag wait\">Missing</span>".to_owned()
    };
    let range = match (found.first, found.last) {
        (Some(first), Some(last)) => format!("{first} – {last}"),
        _ => "–".to_owned(),
    };
    let revision = if *revision == 0 { "–".to_owned() } else { revision.to_string() };
    let numbers = [
        range,
        grouped(found.count),
        grouped(found.expected),
        grouped(found.expected - found.count),
        grouped(found.refetched),
        grouped(found.lost),
        grouped(found.taps),
        grouped(found.passages_unknown),
        grouped(found.conflicts),
        revision,
    ];
    format!("<tr><th scope=\"row\">{name}</th><td>{state}</td>{}</tr>\n", cells(&numbers))
}

fn sum_line(sums: &Sums) -> String {
    let numbers = [
        String::new(),
        grouped(sums.count),
        grouped(sums.expected),
        grouped(sums.missing()),
        grouped(sums.refetched),
        grouped(sums.lost),
        grouped(sums.taps),
        grouped(sums.passages_unknown),
        grouped(sums.conflicts),
        String::new(),
    ];
    format!("<tr><th scope=\"row\">All gates</th><td></td>{}</tr>", cells(&numbers))
}

fn cells(numbers: &[String]) -> String {
    numbers.iter().map(|number| format!("<td class=\"number\">{number}</td>")).collect()
}

fn gap_list(report: &DayReport) -> String {
    let mut list = String::new();
    for found in report.lines.iter().map(|line| &line.found).filter(|found| !found.is_complete()) {
        let _ = writeln!(list, "<li><b>{}</b> epoch {}: {}</li>", found.gate, found.epoch, gaps(found, ", "));
    }
    section(
        "Missing sequences",
        "They are asked of the station and its gate, and come by themselves if anyone still \
    holds them; what nobody holds is lost.",
        &list,
    )
}

fn skewed_list(skewed: &[SkewedRecord]) -> String {
    let mut list = String::new();
    for record in skewed {
        let (stamped, received) = (moment(record.stamped), moment(record.received));
        let _ = writeln!(list, "<li><b>{}</b> stamped {stamped}, received {received}</li>", record.record);
    }
    section(
        "Stamped later than received",
        "These records, of any day, were taken; the gate's clock was ahead. They \
    count on the day of their stamp, or today if that has not come.",
        &list,
    )
}

fn section(title: &str, what: &str, list: &str) -> String {
    if list.is_empty() {
        return String::new();
    }
    format!(
        "<section class=\"card panel\"><h2>{title}</h2><p class=\"soft\">{what}</p><ul class=\"plain\">{list}</ul></section>"
    )
}

/// 1234567 as 1,234,567, as the ops page writes it.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn weekday(day: Date) -> &'static str {
    match day.weekday() {
        jiff::civil::Weekday::Monday => "Monday",
        jiff::civil::Weekday::Tuesday => "Tuesday",
        jiff::civil::Weekday::Wednesday => "Wednesday",
        jiff::civil::Weekday::Thursday => "Thursday",
        jiff::civil::Weekday::Friday => "Friday",
        jiff::civil::Weekday::Saturday => "Saturday",
        jiff::civil::Weekday::Sunday => "Sunday",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_grouped_by_thousands() {
        let written = [0, 7, 999, 1000, 123_456, 1_234_567].map(grouped);
        assert_eq!(written, ["0", "7", "999", "1,000", "123,456", "1,234,567"]);
    }
}
