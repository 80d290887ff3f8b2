//! A rider came in at south without a tap; the attendant at north repairs his entry while the cloud is away, and he leaves
//! through a gate of north: the real servers charge him from south to north, tell him why, and log who did it.

use std::time::Duration;

use facegate_domain::booth::BoothReason;
use facegate_domain::face::{Embedding, Template};
use facegate_domain::ids::{ModelId, RiderId, TemplateId};
use facegate_domain::tap::{Authorisation, Direction, Evidence, Medium, PassageOutcome, Remarks};
use facegate_domain::{Clock, Timestamp};
use facegate_runtime::clock::SystemClock;
use facegate_runtime::sign_in::Password;
use serde_json::json;

use crate::world::{World, eventually};

const PASSWORD: &str = "quiet platform two";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repaired_entry_is_charged_like_a_tap_once_the_cloud_is_back() {
    let world = World::new();
    let (cloud, running_cloud) = world.cloud().await;
    let hash = Password::typed(PASSWORD).hash().unwrap();
    let attendant = format!("[[booth.attendants]]\nname = \"li\"\npassword_hash = \"{hash}\"\n");
    let (station, booth) = world.station_with(&format!("[booth]\nlisten = \"127.0.0.1:0\"\n{attendant}")).await;
    let (journal, gate) = world.gate().await;
    let mut unit = vec![0.0; 128];
    unit[0] = 1.0;
    let embedding = Embedding::from_unit(ModelId::new("sface-2021dec").unwrap(), unit).unwrap();
    let (rider, now) = (RiderId::random(), SystemClock::new().now());
    enrol(&*cloud.store, rider, Template { id: TemplateId::random(), rider, embedding, photographs: 2 }, now).await;

    let base = format!("http://{}", booth.unwrap());
    let browser = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let sign_in = browser.post(format!("{base}/sign-in")).header("Origin", &base);
    let form = format!("name=li&password={}", PASSWORD.replace(' ', "+"));
    let sign_in = sign_in.header("Content-Type", "application/x-www-form-urlencoded").body(form);
    let signed_in = sign_in.send().await.unwrap();
    let cookie = signed_in.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let post = async |path: &str, body: serde_json::Value| {
        let asked = browser.post(format!("{base}{path}")).header("Origin", &base).header("Cookie", &cookie);
        let answer = asked.header("Content-Type", "application/json").body(body.to_string()).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    eventually("the station knows him", async || post("/rider", json!({ "shown": rider.to_string() })).await.0 == 200)
        .await;
    world.stop_cloud(cloud, running_cloud).await;
    let at = now.minus(Duration::from_secs(1200));
    let act = json!({ "id": "11111111-1111-4111-8111-111111111111", "act": "entry", "rider": rider, "station": "south",
        "at_unix_ms": at.unix_ms(), "reason": BoothReason::NotTapped });
    let (status, done) = post("/acts", act).await;
    assert_eq!(status, 200, "{done}");
    let evidence = Evidence::Code { nonce: [3; 8], checked_online: true, face: None };
    let token = journal.authorise(Authorisation::new(rider, Direction::Exit, evidence)).await.unwrap();
    journal.conclude(token, PassageOutcome::Passed, Remarks::default(), None).await.unwrap();

    let (cloud, running_cloud) = world.cloud().await;
    let mut rides = Vec::new();
    eventually("the ride is priced", async || {
        rides = cloud.store.rides_since(rider, at).await.unwrap();
        !rides.is_empty()
    })
    .await;
    let ride = rides[0].ride.whole().unwrap();
    assert_eq!((ride.entry.station.as_str(), ride.exit.station.as_str()), ("south", "north"));
    assert_eq!((ride.entry.medium, ride.entry.at), (Medium::Booth, at));
    let fare = rides[0].fare().unwrap();
    let lines: Vec<String> = fare.lines().iter().map(|line| line.rule.to_string()).collect();
    assert_eq!(fare.total().minor(), 300, "{lines:?}");
    assert!(lines[0].contains("your entry at south was repaired at the ticket booth"), "{lines:?}");
    let log = cloud.store.audit_entries(0, 1000).await.unwrap();
    let line = log.iter().find(|line| line.action == "booth.entry").unwrap();
    assert!(line.actor == "attendant/north/li" && line.subject.contains("not_tapped"), "{line:?}");
    let state = browser.get(format!("{base}/state.json")).header("Cookie", &cookie).send().await.unwrap();
    let state: serde_json::Value = serde_json::from_str(&state.text().await.unwrap()).unwrap();
    assert_eq!((&state["acts"][0]["handed_on"], &state["waiting"]), (&json!(true), &json!(0)), "{state}");
    for running in [gate, station] {
        running.stop().await;
    }
    world.stop_cloud(cloud, running_cloud).await;
}

async fn enrol(store: &dyn facegate_cloud_sync::store::Store, rider: RiderId, template: Template, now: Timestamp) {
    use facegate_cloud_sync::store::{Consent, Profile, Purpose};
    store.create_rider(rider, Profile { display_name: "Nemo".into() }, now).await.unwrap();
    let (text_version, channel) = ("1".to_owned(), "app".to_owned());
    let consent = Consent { purpose: Purpose::Recognition, text_version, channel, given_at: now };
    store.record_consent(rider, consent).await.unwrap();
    store.put_template(template, now).await.unwrap();
}
