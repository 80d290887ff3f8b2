//! A webhook that is down, fails, is slow, and answers twice; riders hear everything in its order all the same.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use facegate_cloud_sync::notify::{NoticesConfig, Notifier, NotifyPolicy};
use facegate_cloud_sync::signature::{self, SharedSecret};
use facegate_domain::Clock;
use facegate_domain::ids::RiderId;
use facegate_domain::money::Money;
use facegate_domain::notice::{NoticeRest, Told};
use facegate_runtime::clock::ManualClock;
use facegate_runtime::http::{self, ServerTls};
use facegate_runtime::identity::Role;
use tokio_util::sync::CancellationToken;

use crate::harness::TestCloud;

const SECRET: &str = "a-secret-of-the-test";

/// What the app's server does with the next requests about a rider.
#[derive(Debug, Clone, Copy)]
enum Mood {
    Fails,
    Slow,
    /// Takes it, and its answer says that it did not.
    TakesAndFails,
}

#[derive(Debug, Default)]
struct Heard {
    moods: BTreeMap<RiderId, Vec<Mood>>,
    /// By rider: the numbers taken, in the order in which they came.
    taken: BTreeMap<RiderId, Vec<u64>>,
    tries: usize,
}

#[derive(Debug, Clone)]
struct Receiver {
    heard: Arc<Mutex<Heard>>,
    clock: Arc<ManualClock>,
}

async fn hear(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let signed = headers[signature::HEADER].to_str().unwrap();
    let secret = SharedSecret::new(SECRET).unwrap();
    secret.verify(signed, &body, receiver.clock.now(), Duration::from_secs(600)).unwrap();
    let notice: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let (rider, number) = (notice["rider"].as_str().unwrap().parse().unwrap(), notice["number"].as_u64().unwrap());
    let mood = {
        let mut heard = receiver.heard.lock().unwrap();
        heard.tries += 1;
        let mood = heard.moods.get_mut(&rider).and_then(Vec::pop);
        if matches!(mood, None | Some(Mood::TakesAndFails)) {
            heard.taken.entry(rider).or_default().push(number);
        }
        mood
    };
    match mood {
        Some(Mood::Slow) => tokio::time::sleep(Duration::from_secs(2)).await,
        Some(_) => return StatusCode::SERVICE_UNAVAILABLE,
        None => (),
    }
    StatusCode::NO_CONTENT
}

fn posting_to(cloud: &TestCloud, port: u16) -> NoticesConfig {
    NoticesConfig {
        url: format!("https://127.0.0.1:{port}/hear").parse().unwrap(),
        secret: SharedSecret::new(SECRET).unwrap(),
        ca: cloud.dir.path().join("tls/ca.pem"),
        answer_within: Duration::from_millis(500),
        policy: NotifyPolicy {
            pass_every: Duration::from_millis(20),
            rest: NoticeRest { first: Duration::from_secs(10), max: Duration::from_secs(60) },
            riders_per_pass_max: 100,
            in_flight_max: 4,
        },
    }
}

async fn tell(cloud: &TestCloud, rider: RiderId, times: usize) {
    for _ in 0..times {
        let amount = Money::from_minor(100, "CNY".parse().unwrap());
        cloud.cloud.store.tell_rider(rider, cloud.clock.now(), Told::Credited { amount }).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_rider_hears_everything_in_its_order_whatever_the_receiver_does() {
    let cloud = TestCloud::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = posting_to(&cloud, listener.local_addr().unwrap().port());
    let notifier = || Notifier::new(Arc::clone(&cloud.cloud.store), cloud.clock.clone(), config.clone()).unwrap();
    let first = notifier();
    let [calm, fails, slow, twice] = [1, 2, 3, 4].map(|n| RiderId::from_bytes([n; 16]));
    for rider in [calm, fails, slow, twice] {
        tell(&cloud, rider, 3).await;
    }
    // Nobody listens yet: the receiver is down.
    let refuses = posting_to(&cloud, 1);
    let away = Notifier::new(Arc::clone(&cloud.cloud.store), cloud.clock.clone(), refuses).unwrap();
    let pass = away.pass().await.unwrap();
    assert!(pass.away && pass.delivered == 0, "{pass:?}");

    let heard = Arc::new(Mutex::new(Heard::default()));
    {
        let mut heard = heard.lock().unwrap();
        heard.moods.insert(fails, vec![Mood::Fails; 3]);
        heard.moods.insert(slow, vec![Mood::Slow]);
        heard.moods.insert(twice, vec![Mood::TakesAndFails]);
    }
    let receiver = Receiver { heard: Arc::clone(&heard), clock: cloud.clock.clone() };
    let router = Router::new().route("/hear", post(hear)).with_state(receiver);
    let tls = ServerTls::without_client_certificates(&cloud.identity(Role::Acquirer, "receiver"));
    let stop = CancellationToken::new();
    let served = tokio::spawn(http::serve(listener, router, tls, stop.clone()));

    cloud.clock.advance(Duration::from_secs(61));
    let pass = first.pass().await.unwrap();
    assert_eq!((pass.delivered, pass.failed, pass.away), (3, 3, false), "trouble with one rider is not another's");
    assert_eq!(heard.lock().unwrap().taken[&calm], [1, 2, 3]);
    assert_eq!(first.pass().await.unwrap(), facegate_cloud_sync::notify::Pass::default(), "they rest");

    // Two replicas at once, one of which is stopped in the middle.
    let (killed, stays) = (tokio::spawn(notifier().run(stop.clone())), tokio::spawn(notifier().run(stop.clone())));
    cloud.clock.advance(Duration::from_secs(21));
    cloud.eventually("the slow one hears", async || heard.lock().unwrap().taken.get(&slow).cloned()).await;
    killed.abort();
    let all = cloud
        .eventually("all is delivered", async || {
            cloud.clock.advance(Duration::from_secs(5));
            let mut waits = 0;
            for rider in [calm, fails, slow, twice] {
                waits += usize::from(cloud.cloud.store.notices_of(rider).await.unwrap().waiting().is_some());
            }
            (waits == 0).then(|| heard.lock().unwrap().taken.clone())
        })
        .await;
    assert_eq!(all[&calm], [1, 2, 3]);
    for (rider, numbers) in all {
        let mut once = numbers.clone();
        once.dedup();
        assert_eq!(once, [1, 2, 3], "{rider}: {numbers:?}");
    }
    stop.cancel();
    stays.await.unwrap();
    served.await.unwrap().unwrap();
}
