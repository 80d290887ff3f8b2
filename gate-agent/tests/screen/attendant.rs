//! The attendant's page: closed to whoever has not signed in, in every way; and what it shows to who has.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use facegate_domain::Timestamp;
use facegate_domain::aisle::{Beam, BeamFault};
use facegate_domain::gate::{GateMode, GateState};
use facegate_domain::ids::{GateId, RecordId, StationId};
use facegate_domain::policy::Refusal;
use facegate_domain::tap::{Medium, PassageOutcome, Remarks};
use facegate_gate_agent::board::{Alarm, Board, Outcome, Phase};
use facegate_gate_agent::camera::health::CameraState;
use facegate_gate_agent::config::Mode;
use facegate_gate_agent::latency::Took;
use facegate_gate_agent::screen::{Language, ScreenConfig, router};
use facegate_runtime::clock::SystemClock;
use facegate_runtime::http::serve_loopback;
use facegate_runtime::sign_in::attendants::Attendant;
use facegate_runtime::sign_in::{Hashed, Password};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::display::board;
use crate::run::drive;

const PASSWORD: &str = "quiet platform two";

async fn serve(board: Board) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = listener.local_addr().unwrap();
    let password = Hashed::new(&Password::typed(PASSWORD).hash().unwrap()).unwrap();
    let attendants = vec![Attendant { name: "li".into(), password }];
    let config = ScreenConfig { listen, languages: vec![Language::Zh], volume: 0.0, attendants };
    let pages = router(Arc::new(board), config, Arc::new(SystemClock::new()));
    tokio::spawn(serve_loopback(listener, pages, CancellationToken::new()));
    listen
}

/// Everything that an attendant may have to see.
fn eventful() -> Board {
    let board = board(Mode::Production);
    let record = |sequence| RecordId { gate: GateId::new("north-in-1").unwrap(), epoch: 1, sequence };
    let took = Took { decision_ms: Some(41.0), first_usable_ms: Some(600.0) };
    let at = |n: i64| Timestamp::from_unix_ms(1_795_000_000_000 + n * 1000);
    board.registered(&StationId::new("north").unwrap(), 1);
    board.station_reachable(true);
    board.aisle_online(true);
    board.gate(GateState::Idle, GateMode::Normal);
    board.phase(Phase::Idle);
    board.decided(at(0), Outcome::Granted { medium: Medium::Face, record: &record(1) }, took);
    board.passed(&record(1), Medium::Face, PassageOutcome::Passed, Remarks::default());
    board.decided(at(5), Outcome::Granted { medium: Medium::Code, record: &record(3) }, took);
    board.passed(&record(3), Medium::Code, PassageOutcome::TurnedBack, Remarks::default());
    for (n, refusal) in (10..).zip(Refusal::ALL) {
        board.decided(at(n), Outcome::Refused { medium: Medium::Face, refusal }, took);
    }
    board.decided(at(60), Outcome::ByCard, Took::default());
    board.camera(CameraState::Frozen);
    board.beams(vec![(Beam::Mid, BeamFault::Bouncing)]);
    board.alarm(Alarm::Tailgated);
    board
}

/// Head and body of an answer.
async fn ask(at: SocketAddr, request: &str, headers: &str, body: &str) -> (String, String) {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let length = body.len();
    let text = format!(
        "{request} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\nContent-Length: {length}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n{headers}\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attendant_signs_in_reads_why_and_signs_out() {
    let at = serve(eventful()).await;
    let given =
        json!({ "base": format!("http://{at}"), "name": "li", "password": PASSWORD, "reasons": Refusal::ALL.len() });
    drive("gate/attendant.mjs", &given).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_read_without_a_session_nor_begun_from_elsewhere() {
    let at = serve(eventful()).await;
    let origin = format!("Origin: http://{at}\r\n");
    let form = format!("name=li&password={}", PASSWORD.replace(' ', "+"));
    for path in ["/attendant/state.json", "/state.json"] {
        for cookie in [String::new(), format!("Cookie: facegate-attendant-{}={}\r\n", at.port(), "0".repeat(64))] {
            let (head, body) = ask(at, &format!("GET {path}"), &cookie, "").await;
            assert!(head.starts_with("HTTP/1.1 401") && !body.contains("decisions"), "{path}: {head}");
        }
    }
    let (_, page) = ask(at, "GET /attendant", "", "").await;
    assert!(page.contains("password") && !page.contains("attendant.js"), "only the form");
    let (_, events) = ask(at, "GET /attendant.js", "", "").await;
    assert!(!events.contains("north-in-1"));
    for elsewhere in ["", "Origin: null\r\n", "Origin: http://127.0.0.1:1\r\n", "Origin: https://evil.example\r\n"] {
        let (head, _) = ask(at, "POST /attendant/sign-in", elsewhere, &form).await;
        assert!(head.starts_with("HTTP/1.1 403") && !head.contains("set-cookie"), "{elsewhere}: {head}");
    }
    let (head, _) = ask(at, "POST /attendant/sign-in", &origin, "name=li").await;
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
    let (head, _) = ask(at, "POST /attendant/sign-in", &origin, &form).await;
    let cookie = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    assert!(cookie.contains("HttpOnly; SameSite=Strict") && cookie.contains("Max-Age=1800"), "{cookie}");
    let cookie = format!("Cookie: {}\r\n", cookie.split(';').next().unwrap());
    for path in ["/attendant/state.json", "/state.json"] {
        assert!(ask(at, &format!("GET {path}"), &cookie, "").await.1.contains("decisions"));
    }
    let (head, _) = ask(at, "POST /attendant/sign-out", &cookie, "").await;
    assert!(head.starts_with("HTTP/1.1 403"), "nobody is signed out from elsewhere");
    ask(at, "POST /attendant/sign-out", &format!("{cookie}{origin}"), "").await;
    assert!(ask(at, "GET /attendant/state.json", &cookie, "").await.0.starts_with("HTTP/1.1 401"));
    // Whoever guesses has to wait, also with the right password then, and also under names that nobody has.
    for name in ["li", "nobody"] {
        let guess = format!("name={name}&password=wrong");
        for _ in 0..3 {
            assert!(ask(at, "POST /attendant/sign-in", &origin, &guess).await.0.starts_with("HTTP/1.1 401"));
        }
        let (head, _) = ask(at, "POST /attendant/sign-in", &origin, &guess).await;
        assert!(head.starts_with("HTTP/1.1 429") && head.contains("retry-after"), "{head}");
    }
    assert!(ask(at, "POST /attendant/sign-in", &origin, &form).await.0.starts_with("HTTP/1.1 429"));
}
