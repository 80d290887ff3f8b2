//! The finance page: days and their state, what does not fit and what to do about it, the tables, the trial balance, and
//! the close.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::{Form, Json};
use facegate_domain::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::Pages;
use super::problem::Problem;
use super::sign_in::Operator;
use crate::books::matching::Summary;
use crate::books::{BooksError, Closing, Desk, trial};
use crate::store::DayClose;
use view::{DayView, DaysView, Differences, TrialView};

mod view;

const HTML: &str = include_str!("static/books.html");
/// Days that the page lists.
const DAYS_MAX: i64 = 62;
/// Differences in one answer.
const PAGE: usize = 100;

/// What may be downloaded of a day, with what it is.
const FILES: [(&str, &str); 7] = [
    ("differences.csv", "text/csv; charset=utf-8"),
    ("differences.parquet", "application/vnd.apache.parquet"),
    ("rides.csv", "text/csv; charset=utf-8"),
    ("rides.parquet", "application/vnd.apache.parquet"),
    ("bills.csv", "text/csv; charset=utf-8"),
    ("bills.parquet", "application/vnd.apache.parquet"),
    ("trial-balance.csv", "text/csv; charset=utf-8"),
];

/// What is being done to a day, or why it was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Work {
    UnderWay { what: &'static str, by: String },
    Refused { why: String, may_be_forced: bool },
}

/// The desk as the page shares it.
#[derive(Debug)]
pub struct Books {
    desk: Arc<Desk>,
    work: Mutex<BTreeMap<Date, Work>>,
}

impl Books {
    pub fn new(desk: Arc<Desk>) -> Self {
        Self { desk, work: Mutex::default() }
    }

    fn work(&self) -> std::sync::MutexGuard<'_, BTreeMap<Date, Work>> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub async fn page(_who: Operator) -> Html<&'static str> {
    Html(HTML)
}

/// The days, the latest first.
pub async fn days(State(pages): State<Pages>, _who: Operator) -> Result<Json<DaysView>, Problem> {
    let (books, days_max) = (&pages.books, usize::try_from(DAYS_MAX).unwrap_or_default());
    let closed = books.desk.store.closed_days(days_max).await?;
    let since = books.desk.today().checked_sub(jiff::Span::new().days(DAYS_MAX)).unwrap_or(Date::MIN);
    let files = books.desk.store.settlement_files(since).await?;
    let work = books.work().clone();
    Ok(Json(DaysView::new(&books.desk, &closed, &files, &work, DAYS_MAX)))
}

/// One day: its figures as they were closed with, or as it was matched last.
pub async fn day(
    State(pages): State<Pages>,
    _who: Operator,
    Path(day): Path<String>,
) -> Result<Json<DayView>, Problem> {
    let (day, desk) = (named(&day)?, &pages.books.desk);
    let close: Option<DayClose> = desk.store.closed_day(day).await?;
    let folder = desk.matcher().folder(day);
    let summary = Summary::read(&folder);
    let files = FILES.iter().map(|(name, _)| *name).filter(|name| folder.join(name).is_file()).collect();
    let work = pages.books.work().get(&day).cloned();
    Ok(Json(DayView::new(desk, day, close, summary, files, work)))
}

#[derive(Debug, Deserialize)]
pub struct Wanted {
    kind: Option<String>,
    #[serde(default)]
    from: usize,
}

/// Differences of a day, of one kind or of all, some at a time.
pub async fn differences(
    State(pages): State<Pages>,
    _who: Operator,
    Path(day): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Differences>, Problem> {
    let path = pages.books.desk.matcher().folder(named(&day)?).join("differences.csv");
    let read = move || Differences::read(&path, wanted.kind.as_deref(), wanted.from, PAGE);
    let read = tokio::task::spawn_blocking(read).await.map_err(|stopped| Problem::internal(&stopped))?;
    Ok(Json(read.map_err(|error| Problem::internal(&error))?))
}

/// One of a day's tables.
pub async fn file(
    State(pages): State<Pages>,
    _who: Operator,
    Path((day, name)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let day = named(&day)?;
    let missing = || {
        let detail = format!("There is no file {name} of {day}.");
        Problem::new(StatusCode::NOT_FOUND, "no_such_file", detail, "Match the day first; the page lists its files.")
    };
    let (name, kind) = FILES.iter().find(|(known, _)| *known == name).ok_or_else(missing)?;
    let path: PathBuf = pages.books.desk.matcher().folder(day).join(name);
    let file = tokio::fs::File::open(&path).await.map_err(|_| missing())?;
    let body = axum::body::Body::from_stream(tokio_util::io::ReaderStream::new(file));
    let disposition = format!("attachment; filename=\"facegate-{day}-{name}\"");
    Ok(([(header::CONTENT_TYPE, (*kind).to_owned()), (header::CONTENT_DISPOSITION, disposition)], body).into_response())
}

#[derive(Debug, Deserialize)]
pub struct Moment {
    at: Option<jiff::Timestamp>,
}

impl Moment {
    fn or_now(&self, desk: &Desk) -> Timestamp {
        self.at.map_or_else(|| desk.clock.now(), |at| Timestamp::from_unix_ms(at.as_millisecond()))
    }
}

pub async fn trial_balance(
    State(pages): State<Pages>,
    _who: Operator,
    Query(moment): Query<Moment>,
) -> Result<Json<TrialView>, Problem> {
    let at = moment.or_now(&pages.books.desk);
    Ok(Json(TrialView::new(at, &pages.books.desk.store.totals_at(at).await?)))
}

pub async fn trial_balance_csv(
    State(pages): State<Pages>,
    _who: Operator,
    Query(moment): Query<Moment>,
) -> Result<Response, Problem> {
    let at = moment.or_now(&pages.books.desk);
    let text = trial::csv(at, &pages.books.desk.store.totals_at(at).await?);
    let disposition = "attachment; filename=\"facegate-trial-balance.csv\"";
    Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8"), (header::CONTENT_DISPOSITION, disposition)], text)
        .into_response())
}

/// Begins to match the day; the page looks at the day until it is through.
pub async fn begin_match(
    State(pages): State<Pages>,
    Operator(name): Operator,
    Path(day): Path<String>,
) -> Result<StatusCode, Problem> {
    let day = named(&day)?;
    begin(&pages, day, "matched", &name)?;
    let books = Arc::clone(&pages.books);
    tokio::spawn(async move {
        let outcome = books.desk.preview(day).await.map(drop);
        ended(&books, day, outcome);
    });
    Ok(StatusCode::ACCEPTED)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloseForm {
    note: String,
    #[serde(default)]
    force: bool,
}

/// Begins to close the day.
pub async fn begin_close(
    State(pages): State<Pages>,
    Operator(name): Operator,
    Path(day): Path<String>,
    Form(form): Form<CloseForm>,
) -> Result<StatusCode, Problem> {
    let day = named(&day)?;
    begin(&pages, day, "closed", &name)?;
    let closing = Closing { by: format!("operator/{name}"), note: Some(form.note), force: form.force };
    let books = Arc::clone(&pages.books);
    tokio::spawn(async move {
        let outcome = books.desk.close(day, &closing).await.map(drop);
        ended(&books, day, outcome);
    });
    Ok(StatusCode::ACCEPTED)
}

fn begin(pages: &Pages, day: Date, what: &'static str, by: &str) -> Result<(), Problem> {
    let mut work = pages.books.work();
    if let Some(Work::UnderWay { what, by }) = work.get(&day) {
        let detail = format!("The day is being {what} by {by} already.");
        return Err(Problem::new(StatusCode::CONFLICT, "under_way", detail, "Wait until that is through."));
    }
    work.insert(day, Work::UnderWay { what, by: by.to_owned() });
    Ok(())
}

fn ended(books: &Books, day: Date, outcome: Result<(), BooksError>) {
    let mut work = books.work();
    match outcome {
        Ok(()) => {
            work.remove(&day);
        }
        Err(error) => {
            let may_be_forced = matches!(error, BooksError::Against { .. });
            let why = if error.is_refusal() {
                error.to_string()
            } else {
                tracing::error!(%error, %day, "a day could not be matched or closed");
                "Something failed inside the service; it has been logged. Try again later.".to_owned()
            };
            work.insert(day, Work::Refused { why, may_be_forced });
        }
    }
}

fn named(day: &str) -> Result<Date, Problem> {
    day.parse().map_err(|_| {
        let detail = format!("“{day}” is not a day.");
        Problem::new(StatusCode::NOT_FOUND, "no_such_day", detail, "Write it like 2026-11-29.")
    })
}
