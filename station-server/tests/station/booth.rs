//! The ticket booth's page: closed to whoever has not signed in, what it does, and that all of it reaches the cloud once.

mod page;

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use facegate_domain::booth::{BoothAct, BoothReason};
use facegate_domain::code::{CodeIssuer, Phone};
use facegate_domain::ids::{ActId, GateId, RiderId, StationId};
use facegate_domain::tap::{Authorisation, Direction, Evidence, GateRecord, PassageOutcome, RecordBody};
use facegate_proto::convert::sync::FeedChange;
use facegate_proto::v1;
use facegate_runtime::sign_in::Password;
use facegate_station_server::intake::write;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_stream::wrappers::ReceiverStream;

use crate::faces::{face, template};
use crate::world::{NOW, Running, World, eventually};

pub const PASSWORD: &str = "quiet platform two";

pub fn section() -> String {
    static HASH: OnceLock<String> = OnceLock::new();
    let hash = HASH.get_or_init(|| Password::typed(PASSWORD).hash().unwrap());
    format!("[booth]\nlisten = \"127.0.0.1:0\"\n[[booth.attendants]]\nname = \"li\"\npassword_hash = \"{hash}\"\n")
}

/// A browser at the booth, signed in or not.
struct Desk {
    at: SocketAddr,
    cookie: String,
}

impl Desk {
    fn of(station: &Running) -> Self {
        Self { at: station.booth_address.unwrap(), cookie: String::new() }
    }

    async fn signed_in(station: &Running) -> Self {
        let desk = Self::of(station);
        let (_, head, _) = desk.form(&format!("name=li&password={}", PASSWORD.replace(' ', "+"))).await;
        let cookie = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
        assert!(cookie.contains("HttpOnly; SameSite=Strict"), "{cookie}");
        Self { cookie: format!("Cookie: {}\r\n", cookie.split(';').next().unwrap()), ..desk }
    }

    /// Status, head and body of an answer.
    async fn ask(&self, request: &str, headers: &str, body: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(self.at).await.unwrap();
        let (at, cookie, length) = (self.at, &self.cookie, body.len());
        let text = format!(
            "{request} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\nContent-Length: {length}\r\n{cookie}{headers}\r\n{body}"
        );
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), head.to_owned(), body.to_owned())
    }

    fn origin(&self) -> String {
        format!("Origin: http://{}\r\n", self.at)
    }

    async fn form(&self, body: &str) -> (u16, String, String) {
        let headers = format!("{}Content-Type: application/x-www-form-urlencoded\r\n", self.origin());
        self.ask("POST /sign-in", &headers, body).await
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let headers = format!("{}Content-Type: application/json\r\n", self.origin());
        let (status, _, body) = self.ask(&format!("POST {path}"), &headers, &body.to_string()).await;
        (status, serde_json::from_str(&body).unwrap_or_else(|_| panic!("{status} {body}")))
    }

    async fn state(&self) -> Value {
        let (status, _, body) = self.ask("GET /state.json", "", "").await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }
}

fn entry(id: ActId, rider: RiderId, ago_s: u64) -> Value {
    let at = NOW.minus(Duration::from_secs(ago_s)).unix_ms();
    json!({ "id": id, "act": "entry", "rider": rider, "station": "south", "at_unix_ms": at, "reason": "not_tapped" })
}

fn exit(id: ActId, rider: RiderId, fare: &str) -> Value {
    json!({ "id": id, "act": "exit", "rider": rider, "fare": fare, "reason": "phone_lost" })
}

async fn enrolled(world: &World) -> RiderId {
    let rider = RiderId::random();
    world.cloud.publish_and_wait(FeedChange::TemplatePut(template(rider, &face()))).await;
    rider
}

/// What the cloud has of the booth.
fn delivered(world: &World) -> Vec<GateRecord> {
    let seen = world.cloud.seen.lock().unwrap();
    let all = seen.delivered.iter().map(|record| GateRecord::try_from(record.clone()).unwrap());
    all.filter(|record| record.id.gate.as_str() == "north-booth").collect()
}

#[tokio::test]
async fn nothing_is_shown_or_done_without_signing_in_nor_from_elsewhere() {
    let world = World::new().await;
    let station = world.station_with(&section(), None).await;
    let desk = Desk::of(&station);
    let (status, head, page) = desk.ask("GET /", "", "").await;
    assert!(status == 200 && head.contains("default-src 'none'") && page.contains("password"), "{head}");
    assert!(!page.contains("booth.js"), "only the form");
    assert_eq!(desk.ask("GET /state.json", "", "").await.0, 401);
    let act = entry(ActId::random(), RiderId::random(), 60);
    assert_eq!(desk.post("/acts", &act).await.0, 401);
    assert_eq!(desk.post("/rider", &json!({ "shown": "x" })).await.0, 401);
    assert_eq!(desk.form("name=li").await.0, 400);

    let signed_in = Desk::signed_in(&station).await;
    assert_eq!(signed_in.state().await["attendant"], "li");
    for elsewhere in ["", "Origin: null\r\n", "Origin: https://evil.example\r\n", "Origin: http://127.0.0.1:1\r\n"] {
        let headers = format!("{elsewhere}Content-Type: application/json\r\n");
        let (status, ..) = signed_in.ask("POST /acts", &headers, &act.to_string()).await;
        assert_eq!(status, 403, "{elsewhere}");
    }
    let (status, ..) = signed_in.ask("POST /sign-out", &signed_in.origin(), "").await;
    assert_eq!(status, 303);
    assert_eq!(signed_in.ask("GET /state.json", "", "").await.0, 401, "signed out is signed out");
    for _ in 0..3 {
        assert_eq!(desk.form("name=li&password=guessed").await.0, 401);
    }
    let (status, head, _) = desk.form(&format!("name=li&password={}", PASSWORD.replace(' ', "+"))).await;
    assert!(status == 429 && head.contains("retry-after"), "whoever guesses waits: {head}");
    assert!(delivered(&world).is_empty());
    station.stop().await;
}

#[tokio::test]
async fn a_repaired_entry_and_an_exit_pass_reach_the_cloud_once_each() {
    let world = World::new().await;
    let station = world.station_with(&section(), None).await;
    let (rider, desk) = (enrolled(&world).await, Desk::signed_in(&station).await);
    let (_, seen) = desk.post("/rider", &json!({ "shown": rider.to_string() })).await;
    assert_eq!((&seen["whereabouts"], &seen["denied"]), (&json!("outside"), &json!(false)), "{seen}");

    assert_eq!(desk.post("/acts", &exit(ActId::random(), rider, "free")).await.0, 409, "he is not inside");
    let asked = entry(ActId::random(), rider, 1200);
    let (status, done) = desk.post("/acts", &asked).await;
    assert_eq!((status, done["record"].as_str()), (200, Some("north-booth/1/0")), "{done}");
    assert_eq!(desk.post("/acts", &asked).await.1["record"], done["record"], "asked twice, done once");
    let (status, refused) = desk.post("/acts", &entry(ActId::random(), rider, 600)).await;
    assert!(status == 409 && refused["error"].as_str().unwrap().contains("inside already"), "{refused}");
    let other = json!({ "id": asked["id"], "act": "exit", "rider": rider, "fare": "free", "reason": "medical" });
    assert_eq!(desk.post("/acts", &other).await.0, 409, "one name, two acts");
    let (_, seen) = desk.post("/rider", &json!({ "shown": rider.to_string() })).await;
    assert_eq!(seen["whereabouts"], "inside");

    let (status, done) = desk.post("/acts", &exit(ActId::random(), rider, "free")).await;
    assert_eq!((status, done["detail"].as_str()), (200, Some("fare_exempt")), "{done}");
    assert_eq!(desk.post("/acts", &exit(ActId::random(), rider, "charged")).await.0, 409, "he has left");

    eventually("both are at the cloud", || async { delivered(&world).len() == 4 }).await;
    let records = delivered(&world);
    let RecordBody::Authorisation(granted) = &records[0].body else { panic!("{records:?}") };
    let Evidence::Booth { act, station: entered, at } = &granted.evidence else { panic!("{granted:?}") };
    assert_eq!((act.attendant.as_str(), act.reason, granted.rider), ("li", BoothReason::NotTapped, rider));
    assert_eq!((entered.as_str(), *at), ("south", NOW.minus(Duration::from_secs(1200))));
    let passed = |record: &GateRecord| match &record.body {
        RecordBody::Passage(passage) => passage.outcome == PassageOutcome::Passed,
        _ => false,
    };
    assert!(passed(&records[1]) && passed(&records[3]), "{records:?}");
    eventually("the page says so", || async {
        desk.state().await["acts"].as_array().unwrap().iter().all(|act| act["handed_on"] == true)
    })
    .await;
    let state = desk.state().await.to_string();
    assert!(!state.contains(&rider.to_string()), "no rider's whole number");
    station.stop().await;
}

#[tokio::test]
async fn what_cannot_be_is_refused_in_words() {
    let world = World::new().await;
    let station = world.station_with(&section(), None).await;
    let (rider, desk) = (enrolled(&world).await, Desk::signed_in(&station).await);
    let future = json!({ "id": ActId::random(), "act": "entry", "rider": rider, "station": "south",
        "at_unix_ms": NOW.unix_ms() + 60_000, "reason": "not_tapped" });
    let nowhere = json!({ "id": ActId::random(), "act": "open", "gate": "south-in", "reason": "assistance" });
    let away = json!({ "id": ActId::random(), "act": "open", "gate": "north-in", "reason": "assistance" });
    for (asked, status, says) in [
        (future, 409, "still to come"),
        (entry(ActId::random(), rider, 19 * 3600), 409, "18 hours"),
        (entry(ActId::random(), RiderId::random(), 60), 404, "show his ride code"),
        (nowhere, 422, "no gate"),
        (away, 503, "by hand"),
        (json!({ "id": "x", "act": "entry" }), 400, "reload"),
        (
            json!({ "id": ActId::random(), "act": "exit", "rider": rider, "fare": "half", "reason": "other" }),
            400,
            "reload",
        ),
    ] {
        let (got, refused) = desk.post("/acts", &asked).await;
        assert!(got == status && refused["error"].as_str().unwrap().contains(says), "{asked}: {got} {refused}");
    }
    for (shown, status) in [("nobody", 422), ("FG1:DAMAGED", 422), (&RiderId::random().to_string(), 404)] {
        assert_eq!(desk.post("/rider", &json!({ "shown": shown })).await.0, status, "{shown}");
    }
    assert!(delivered(&world).is_empty());
    station.stop().await;
}

#[tokio::test]
async fn a_rider_is_known_by_the_code_on_his_phone() {
    let world = World::new().await;
    let station = world.station_with(&section(), None).await;
    let desk = Desk::signed_in(&station).await;
    let (rider, issuer) = (RiderId::random(), CodeIssuer::from_secret(&[7; 32]));
    world.cloud.publish_and_wait(FeedChange::IssuerKeys(vec![issuer.public()])).await;
    let certificate = issuer.issue(rider, &Phone::public_key(&[9; 32]), [1; 8], NOW, Duration::from_secs(600)).unwrap();
    let code = Phone::new(&[9; 32], certificate).show(NOW, [5; 8]);
    let (status, seen) = desk.post("/rider", &json!({ "shown": code })).await;
    assert_eq!((status, &seen["rider"], &seen["by_code"]), (200, &json!(rider), &json!(true)), "{seen}");
    assert_eq!(desk.post("/acts", &entry(ActId::random(), rider, 300)).await.0, 200, "he has no face here");
    world.clock.advance(Duration::from_secs(300));
    assert_eq!(desk.post("/rider", &json!({ "shown": code })).await.0, 422, "an old picture of a code");
    station.stop().await;
}

#[tokio::test]
async fn cut_off_it_goes_on_and_hands_everything_on_afterwards_also_over_a_restart() {
    let world = World::new().await;
    let station = world.station_with(&section(), None).await;
    let rider = enrolled(&world).await;
    world.cloud.seen.lock().unwrap().refuses_deliveries = true;
    let desk = Desk::signed_in(&station).await;
    let asked = entry(ActId::random(), rider, 1200);
    assert_eq!(desk.post("/acts", &asked).await.0, 200);
    let state = desk.state().await;
    assert_eq!((&state["waiting"], &state["acts"][0]["handed_on"]), (&json!(2), &json!(false)), "{state}");
    station.stop().await;

    let station = world.station_with(&section(), None).await;
    let desk = Desk::signed_in(&station).await;
    assert_eq!(desk.post("/acts", &asked).await.1["record"], "north-booth/1/0", "still known by its name");
    assert_eq!(desk.post("/acts", &entry(ActId::random(), rider, 60)).await.0, 409, "still inside");
    assert_eq!(desk.post("/acts", &exit(ActId::random(), rider, "charged")).await.0, 200);
    assert!(delivered(&world).is_empty());
    world.cloud.seen.lock().unwrap().refuses_deliveries = false;
    eventually("all of it is at the cloud", || async { delivered(&world).len() == 4 }).await;
    let sequences: Vec<u64> = delivered(&world).iter().map(|record| record.id.sequence).collect();
    assert_eq!(sequences, [0, 1, 2, 3], "one journal without a gap");
    station.stop().await;
}

#[tokio::test]
async fn an_act_that_a_crash_cut_short_does_not_count() {
    let world = World::new().await;
    let station = world.station_with(&section(), None).await;
    let (rider, desk) = (enrolled(&world).await, Desk::signed_in(&station).await);
    assert_eq!(desk.post("/acts", &entry(ActId::random(), enrolled(&world).await, 60)).await.0, 200);
    let act = BoothAct { id: ActId::random(), attendant: "li".into(), reason: BoothReason::NotTapped };
    let at = NOW.minus(Duration::from_secs(60));
    let evidence = Evidence::Booth { act: act.clone(), station: StationId::new("south").unwrap(), at };
    let alone = RecordBody::Authorisation(Authorisation::new(rider, Direction::Entry, evidence));
    let recorder = GateId::new("north-booth").unwrap();
    write(&station.station, &recorder, 1, |_| vec![alone]).await.unwrap();
    station.stop().await;

    let station = world.station_with(&section(), None).await;
    eventually("its passage is said to be unknown", || async { delivered(&world).len() == 4 }).await;
    let last = delivered(&world).pop().unwrap();
    let RecordBody::Passage(passage) = last.body else { panic!("{last:?}") };
    assert_eq!((passage.authorisation, passage.outcome), (2, PassageOutcome::Unknown));
    let desk = Desk::signed_in(&station).await;
    let (status, refused) = desk.post("/acts", &entry(act.id, rider, 60)).await;
    assert!(status == 409 && refused["error"].as_str().unwrap().contains("do it again"), "{refused}");
    assert_eq!(desk.post("/acts", &entry(ActId::random(), rider, 60)).await.0, 200);
    station.stop().await;
}

#[tokio::test]
async fn a_gate_is_opened_once_and_says_why_it_refused() {
    let world = World::new().await;
    let station = world.station_with(&section(), None).await;
    let (desk, mut gate) = (Desk::signed_in(&station).await, world.gate(&station).await);
    let (statuses, sent) = tokio::sync::mpsc::channel(4);
    let mut commands = gate.attend(ReceiverStream::new(sent)).await.unwrap().into_inner();
    let refused = v1::GateDecision {
        at_unix_ms: NOW.unix_ms(),
        kind: "refused".into(),
        medium: "code".into(),
        reason: "code_expired".into(),
        ..Default::default()
    };
    statuses.send(v1::GateStatus { decisions: vec![refused], ..Default::default() }).await.unwrap();
    eventually("the page shows it", || async {
        let state = desk.state().await;
        state["gates"][0]["decisions"][0]["reason"] == "code_expired"
            && state["refusals"]["code_expired"]["why"]["en"].as_str().unwrap().contains("clock")
    })
    .await;
    let asked = json!({ "id": ActId::random(), "act": "open", "gate": "north-in", "reason": "assistance" });
    assert_eq!(desk.post("/acts", &asked).await.0, 200);
    assert_eq!(desk.post("/acts", &asked).await.0, 200, "the answer was lost");
    let mut orders = Vec::new();
    while orders.len() < 2 {
        let command = commands.message().await.unwrap().unwrap().command.unwrap();
        if let v1::gate_command::Command::ToldGate(told) = command
            && !told.order_id.is_empty()
        {
            assert_eq!((told.order_what.as_str(), told.mode.as_str()), ("open_once", "normal"));
            orders.push(told.order_id);
        }
    }
    assert_eq!(orders[0], orders[1], "one order, which the gate carries out once");
    assert_eq!(orders[0], format!("booth-{}", asked["id"].as_str().unwrap()));
    eventually("the record is at the cloud", || async { delivered(&world).len() == 1 }).await;
    assert!(matches!(&delivered(&world)[0].body, RecordBody::GateOpened(opened) if opened.gate.as_str() == "north-in"));
    eventually("the booth's journal is reported, and nothing of what gates decided", || async {
        let report = world.cloud.seen.lock().unwrap().report.clone().unwrap_or_default();
        let told = report.gates.iter().filter_map(|gate| gate.status.as_ref());
        assert!(told.clone().all(|status| status.decisions.is_empty()));
        told.count() > 0 && report.journals.iter().any(|journal| journal.gate == "north-booth")
    })
    .await;
    station.stop().await;
}

#[tokio::test]
async fn no_gate_gives_an_attendants_word() {
    let world = World::new().await;
    let station = world.station_with(&section(), None).await;
    let mut gate = world.gate(&station).await;
    let epoch = gate.register(v1::RegisterRequest::default()).await.unwrap().into_inner().epoch;
    let mut record = crate::faces::authorised("north-in", epoch, 0, [1; 8]);
    let act = v1::BoothAct { id: vec![1; 16], attendant: "li".into(), reason: "other".into() };
    let word = v1::BoothEvidence { act: Some(act), station: "north".into(), at_unix_ms: NOW.unix_ms() };
    if let Some(v1::gate_record::Body::Authorisation(granted)) = &mut record.body {
        granted.evidence = Some(v1::authorisation::Evidence::Booth(word));
    }
    let refused = gate.deliver(v1::DeliverRequest { records: vec![record], ..Default::default() }).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{refused}");
    station.stop().await;
}

#[tokio::test]
async fn for_other_machines_the_page_is_under_the_stations_certificate() {
    let world = World::new().await;
    let station = world.station_with(&section().replace("127.0.0.1:0", "0.0.0.0:0"), None).await;
    let ca = world.tls(facegate_runtime::identity::Role::Station, "north").ca;
    let base = format!("https://127.0.0.1:{}", station.booth_address.unwrap().port());
    let browser = facegate_runtime::http::client_without_identity(&ca).unwrap().build().unwrap();
    let form = format!("name=li&password={}", PASSWORD.replace(' ', "+"));
    let sign_in = |origin: &str| {
        let sent = browser.post(format!("{base}/sign-in")).header("Origin", origin.to_owned());
        sent.header("Content-Type", "application/x-www-form-urlencoded").body(form.clone()).send()
    };
    assert_eq!(sign_in("https://evil.example").await.unwrap().status(), 403);
    let plain = base.replace("https", "http");
    assert_eq!(sign_in(&plain).await.unwrap().status(), 403);
    let signed_in = sign_in(&base).await.unwrap();
    // It leads to the page, to which this browser brings no cookie.
    assert!(signed_in.status().is_success(), "{signed_in:?}");
    assert!(browser.get(&plain).send().await.is_err(), "nothing goes without TLS");
    station.stop().await;
}
