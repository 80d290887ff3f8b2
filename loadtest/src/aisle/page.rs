//! A page to play with an aisle: its door, lamp and beams as they are, beams to break and kill, bodies to send through.
//! On loopback only.

use std::net::{SocketAddr, TcpListener};

use anyhow::{Context, Result};
use axum::extract::rejection::JsonRejection;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use facegate_runtime::http::serve_loopback;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::controller::{Controller, Death};
use super::gaits::{Gait, REVERSES, TAILGATED, TURNS_BACK, WALKS, WITH_LUGGAGE};
use super::protocol::{Beam, Event};
use super::{Aisle, AisleTimes};

/// Simulated hardware alone: an aisle for a gate of your own, and its page.
///
/// Give the gate `[actuator] kind = "simulated"` and the address that this prints, and open the page.
#[derive(Debug, Clone, clap::Args)]
pub struct HardwareOptions {
    /// Where the gate finds the aisle; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    aisle: SocketAddr,
    /// Where the page is; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    page: SocketAddr,
}

/// Until a signal.
pub async fn run(options: &HardwareOptions) -> Result<()> {
    let aisle = Aisle::start_at(options.aisle, AisleTimes::default()).await?;
    let shutdown = facegate_runtime::shutdown::on_signals()?;
    let page = open(&aisle, options.page, shutdown.clone())?;
    eprintln!("the aisle is at {}, its page is http://{page}; Ctrl-C ends both", aisle.address());
    shutdown.cancelled().await;
    Ok(())
}

/// Serves the page of this aisle until `shutdown`; gives where.
pub fn open(aisle: &Aisle, listen: SocketAddr, shutdown: CancellationToken) -> Result<SocketAddr> {
    let listener = TcpListener::bind(listen).with_context(|| format!("{listen} is taken; choose another --page"))?;
    let address = listener.local_addr()?;
    tokio::spawn(serve_loopback(listener, router(aisle.clone()), shutdown));
    Ok(address)
}

/// What a button asks for.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case", deny_unknown_fields)]
enum Act {
    Beam {
        beam: Beam,
        broken: bool,
    },
    Kill {
        beam: Beam,
        death: Death,
    },
    Mend {
        beam: Beam,
    },
    /// A body moves: under the oldest opening that nobody has taken, or with the door closed.
    Body {
        gait: Named,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Named {
    Walks,
    WithLuggage,
    TurnsBack,
    Tailgated,
    Reverses,
}

impl Named {
    const fn gait(self) -> Gait {
        match self {
            Self::Walks => WALKS,
            Self::WithLuggage => WITH_LUGGAGE,
            Self::TurnsBack => TURNS_BACK,
            Self::Tailgated => TAILGATED,
            Self::Reverses => REVERSES,
        }
    }
}

#[derive(Debug, Serialize)]
struct View {
    /// `closed`, `open` for one, `standing` open, or held open by the `watchdog`.
    door: &'static str,
    openings: Vec<Opening>,
    lamp: String,
    sound: String,
    beams: Vec<BeamView>,
    /// The gate has said something of late.
    gate_heard: bool,
    unacknowledged: usize,
    recent: Vec<Event>,
}

#[derive(Debug, Serialize)]
struct Opening {
    token: String,
    taken: bool,
}

#[derive(Debug, Serialize)]
struct BeamView {
    beam: Beam,
    broken: bool,
    dead: Option<Death>,
}

impl View {
    fn of(controller: &Controller) -> Self {
        Self {
            door: match (controller.is_standing(), controller.is_open()) {
                _ if controller.is_open_without_gate() => "watchdog",
                (true, _) => "standing",
                (false, true) => "open",
                (false, false) => "closed",
            },
            openings: controller.openings().map(|(token, taken)| Opening { token: token.to_owned(), taken }).collect(),
            lamp: controller.lamp.clone(),
            sound: controller.sound.clone(),
            beams: controller.beams().map(|(beam, broken, dead)| BeamView { beam, broken, dead }).collect(),
            gate_heard: controller.hears(),
            unacknowledged: controller.unacknowledged(),
            recent: controller.recent().cloned().collect(),
        }
    }
}

fn router(aisle: Aisle) -> Router {
    let file = |content_type: &'static str, text: &'static str| {
        get(move || async move { ([(CONTENT_TYPE, content_type)], text) })
    };
    Router::new()
        .route("/", file("text/html; charset=utf-8", include_str!("page/aisle.html")))
        .route("/aisle.css", file("text/css; charset=utf-8", include_str!("page/aisle.css")))
        .route("/aisle.js", file("text/javascript; charset=utf-8", include_str!("page/aisle.js")))
        .route("/state.json", get(state))
        .route("/act", post(act))
        .layer(middleware::from_fn(only_from_here))
        .with_state(aisle)
}

async fn state(State(aisle): State<Aisle>) -> Json<View> {
    Json(aisle.control(|controller| View::of(controller)))
}

/// JSON only, which a page of somebody else may not send here unasked.
async fn act(State(aisle): State<Aisle>, act: Result<Json<Act>, JsonRejection>) -> Response {
    let Json(act) = match act {
        Ok(act) => act,
        Err(rejected) => return (StatusCode::BAD_REQUEST, format!("{}\n", rejected.body_text())).into_response(),
    };
    match act {
        Act::Beam { beam, broken } => aisle.control(|controller| controller.beam(beam, broken)),
        Act::Kill { beam, death } => aisle.control(|controller| controller.kill(beam, death)),
        Act::Mend { beam } => aisle.control(|controller| controller.mend(beam)),
        Act::Body { gait } => drop(tokio::spawn(body(aisle, gait))),
    }
    StatusCode::NO_CONTENT.into_response()
}

async fn body(aisle: Aisle, named: Named) {
    let token = if named == Named::Reverses { None } else { aisle.control(Controller::step_in) };
    aisle.go(named.gait()).await;
    if let Some(token) = token {
        aisle.control(|controller| controller.step_out(&token));
    }
}

const HEADERS: [(axum::http::HeaderName, &str); 2] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; frame-ancestors 'none'",
    ),
    (CACHE_CONTROL, "no-store"),
];

/// A page of the wide web could rename its own host to loopback (DNS rebinding).
async fn only_from_here(headers: HeaderMap, request: Request, next: Next) -> Response {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    if matches!(name, "127.0.0.1" | "localhost" | "[::1]") {
        (HEADERS, next.run(request).await).into_response()
    } else {
        (StatusCode::MISDIRECTED_REQUEST, "this page is for the machine itself\n").into_response()
    }
}
