//! The rider's display: a page that follows the board by server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::sse::{Event, Sse};
use axum::routing::get;
use futures::{Stream, StreamExt, future, stream};
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval};
use tokio_stream::wrappers::{IntervalStream, WatchStream};

use super::{CSS, HTML, JS, Language, Screen, file};
use crate::board::display::Display;

/// The page says that it has lost the gate when it has heard nothing for some of these.
const BEAT: Duration = Duration::from_secs(1);

/// One event.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    display: &'a Display,
    languages: &'a [Language],
    volume: f32,
}

pub(super) fn routes() -> Router<Screen> {
    Router::new()
        .route("/", get(|| file(HTML, include_str!("display.html"))))
        .route("/display.css", get(|| file(CSS, include_str!("display.css"))))
        .route("/display.js", get(|| file(JS, include_str!("display.js"))))
        .route("/events", get(events))
}

async fn events(State(screen): State<Screen>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let mut beats = interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let changes = WatchStream::new(screen.board.subscribe()).map(|_| false);
    let beats = IntervalStream::new(beats).map(|_| true);
    let mut last = None;
    let events = stream::select(changes, beats).filter_map(move |beat| {
        let display = screen.board.display();
        // The board changes with every record and every word to the station; most of it is not on the display.
        let told = beat || last.as_ref() != Some(&display);
        let event = told.then(|| {
            let shown = Shown { display: &display, languages: &screen.config.languages, volume: screen.config.volume };
            // It is plain data, so it always serialises; were it not, the page keeps what it shows.
            Ok(Event::default().json_data(shown).unwrap_or_else(|_| Event::default().comment("unserialisable")))
        });
        last = Some(display);
        future::ready(event)
    });
    Sse::new(events)
}
