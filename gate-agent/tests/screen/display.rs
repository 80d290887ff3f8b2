//! The rider's display in every state: what it says, and that it can be read.

use std::net::TcpListener;
use std::sync::Arc;

use axum::extract::Path;
use axum::routing::post;
use axum::{Json, Router};
use facegate_domain::Timestamp;
use facegate_domain::aisle::{Beam, BeamFault};
use facegate_domain::gate::{GateMode, GateState};
use facegate_domain::ids::{GateId, RecordId, StationId};
use facegate_domain::policy::Refusal;
use facegate_domain::tap::{Direction, Medium, PassageOutcome, Remarks};
use facegate_gate_agent::board::{Alarm, Board, Outcome, Phase, Who};
use facegate_gate_agent::camera::health::CameraState;
use facegate_gate_agent::config::{Mode, Role};
use facegate_gate_agent::lane::Lane;
use facegate_gate_agent::latency::Took;
use facegate_gate_agent::screen::{Language, ScreenConfig, router};
use facegate_runtime::clock::SystemClock;
use facegate_runtime::http::serve_loopback;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::run::drive;

pub fn board(mode: Mode) -> Board {
    let id = GateId::new("north-in-1").unwrap();
    Board::new(Who { id, role: Role::Gate, mode, direction: Some(Direction::Entry) })
}

/// The name of its picture, and how a board gets there.
type State = (&'static str, fn(&Board));

/// Everything that a gate's display may come to show, beside refusals.
const STATES: [State; 22] = [
    ("ready", |_| ()),
    ("code_only", |board| board.station_reachable(false)),
    ("code_only_reader", |board| {
        board.camera(CameraState::Black);
        board.reader(true);
    }),
    ("code_lane", |board| board.lane(Lane::Code)),
    ("face_lane", |board| board.lane(Lane::Face)),
    ("face_lane_refused", |board| {
        board.lane(Lane::Face);
        board.phase(Phase::Refused(Refusal::NotRecognised));
    }),
    ("both_lane", |board| board.lane(Lane::CodeWithFace)),
    ("looking", |board| board.phase(Phase::Looking)),
    ("go", |board| board.phase(Phase::Open)),
    ("go_free", |board| {
        board.gate(GateState::Open { rider: 1 }, GateMode::FareExempt);
        board.phase(Phase::Open);
    }),
    ("let_through", |board| {
        board.phase(Phase::OutOfService);
        board.gate(GateState::LetThrough, GateMode::Closed);
    }),
    ("starting", |board| board.phase(Phase::Starting)),
    ("closed", |board| out_of_service(board, GateMode::Closed)),
    ("other_side", |board| out_of_service(board, GateMode::NormalExit)),
    ("maintenance", |board| out_of_service(board, GateMode::Maintenance)),
    ("fault", |board| {
        board.beams(vec![(Beam::Mid, BeamFault::Silent), (Beam::Exit, BeamFault::Silent)]);
        out_of_service(board, GateMode::Normal);
    }),
    ("fault_camera", |board| board.camera(CameraState::Frozen)),
    ("standing", |board| {
        board.gate(GateState::Standing, GateMode::EmergencyOpen);
        board.phase(Phase::Standing);
    }),
    ("tailgated", |board| board.alarm(Alarm::Tailgated)),
    ("reverse_entry", |board| board.alarm(Alarm::ReverseEntry)),
    ("turned_back", |board| {
        let record = RecordId { gate: GateId::new("north-in-1").unwrap(), epoch: 1, sequence: 1 };
        board.passed(&record, Medium::Face, PassageOutcome::TurnedBack, Remarks::default());
    }),
    ("card", |board| board.decided(Timestamp::default(), Outcome::ByCard, Took::default())),
];

fn out_of_service(board: &Board, mode: GateMode) {
    board.gate(GateState::OutOfService, mode);
    board.phase(Phase::OutOfService);
}

/// The board in the state of this number: those above, then every refusal.
fn show(board: &Board, number: usize) {
    board.registered(&StationId::new("north").unwrap(), 1);
    board.lane(Lane::default());
    board.station_reachable(true);
    board.camera(CameraState::Fine);
    board.reader(false);
    board.gate(GateState::Idle, GateMode::Normal);
    board.phase(Phase::Idle);
    match STATES.get(number) {
        Some((_, state)) => state(board),
        None => board.phase(Phase::Refused(Refusal::ALL[number - STATES.len()])),
    }
}

/// Serves the page of `board`; `POST /test/N` puts it into state N and answers what is to be read then.
async fn serve(board: Arc<Board>, languages: Vec<Language>, volume: f32) -> (String, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = listener.local_addr().unwrap();
    let config = ScreenConfig { listen, languages, volume, attendants: vec![] };
    let shown = Arc::clone(&board);
    let state = move |Path(number): Path<usize>| async move {
        show(&shown, number);
        let display = shown.display();
        let notice = display.notice.filter(|_| matches!(STATES.get(number), Some((name, _)) if is_notice(name)));
        Json(notice.map_or_else(
            || json!({ "sign": display.sign, "what": display.words.what, "next": display.words.next }),
            |notice| json!(notice),
        ))
    };
    let pages =
        router(board, config, Arc::new(SystemClock::new())).merge(Router::new().route("/test/{number}", post(state)));
    let shutdown = CancellationToken::new();
    tokio::spawn(serve_loopback(listener, pages, shutdown.clone()));
    (format!("http://{listen}"), shutdown)
}

fn is_notice(name: &str) -> bool {
    matches!(name, "tailgated" | "reverse_entry" | "turned_back" | "card")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_state_can_be_read_on_every_display() {
    let (base, stop) = serve(Arc::new(board(Mode::Production)), vec![Language::Zh, Language::En], 0.3).await;
    let states = STATES.iter().map(|(name, _)| (*name).to_owned());
    let refusals = Refusal::ALL.iter().map(|refusal| format!("refused_{}", refusal.name()));
    let names: Vec<String> = states.chain(refusals).collect();
    let seen = drive("gate/display.mjs", &json!({ "base": base, "names": names })).await;
    let signs = seen.as_object().unwrap();
    assert_eq!(signs["refused_not_recognised"], "show_code");
    assert_eq!(signs["refused_deny_listed"], "booth");
    assert_eq!(signs["refused_code_replayed"], "new_code");
    assert_eq!(signs["refused_gate_closed"], "next_gate");
    assert_eq!(signs["let_through"], "go", "also while the gate is closed to others");
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_display_sounds_its_tones_and_has_its_own_order_of_languages() {
    let board = Arc::new(board(Mode::Development));
    let (base, stop) = serve(Arc::clone(&board), vec![Language::En, Language::Zh], 0.3).await;
    let (silent, stop_silent) = serve(board, vec![Language::Zh], 0.0).await;
    let number = |refusal: Refusal| STATES.len() + Refusal::ALL.iter().position(|r| *r == refusal).unwrap();
    let named = |wanted: &str| STATES.iter().position(|(name, _)| *name == wanted).unwrap();
    let given = json!({
        "base": base, "silent": silent, "go": named("go"), "ready": named("ready"), "tailgated": named("tailgated"),
        "refused": number(Refusal::CodeExpired),
    });
    let heard: Value = drive("gate/sounds.mjs", &given).await;
    assert_eq!(heard, json!({ "accepted": 2, "refused": 2, "attention": 3, "silent": 0 }));
    stop.cancel();
    stop_silent.cancel();
}
