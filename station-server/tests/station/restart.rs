//! What a station still knows after it was stopped, with the cloud out of reach.

use facegate_domain::code::CodeIssuer;
use facegate_domain::ids::RiderId;
use facegate_domain::policy::Refusal;
use facegate_domain::score::Tier;
use facegate_domain::tap::Evidence;
use facegate_proto::convert::station::Answer;
use facegate_proto::convert::sync::FeedChange;
use facegate_proto::v1;
use facegate_runtime::clock::SystemClock;

use crate::codes::present;
use crate::faces::{face, look, passed, probe, record_id, template};
use crate::identify::ask;
use crate::world::{World, eventually};

#[tokio::test]
async fn a_restarted_station_goes_on_from_its_own_disk() {
    let world = World::new().await;
    let station = world.station().await;
    let (rider, denied, gone) = (RiderId::random(), RiderId::random(), RiderId::random());
    let (mate, owing, erased) = (face(), face(), face());
    let issuer = CodeIssuer::from_secret(&[5; 32]).public();
    let changes = [
        FeedChange::TemplatePut(template(rider, &mate)),
        FeedChange::TemplatePut(template(denied, &owing)),
        FeedChange::TemplatePut(template(gone, &erased)),
        FeedChange::EnteredSystem { rider, entry: record_id("south-in", 1, 0) },
        FeedChange::Denied(denied),
        FeedChange::IssuerKeys(vec![issuer]),
        FeedChange::RiderRemoved(gone),
    ];
    for change in changes {
        world.cloud.publish(change);
    }
    let head = world.cloud.head();
    eventually("the station has caught up", || async { world.cloud.acknowledged() == head }).await;
    let mut gate = world.gate(&station).await;
    gate.register(v1::RegisterRequest::default()).await.unwrap();
    gate.deliver(v1::DeliverRequest { records: vec![passed("north-in", 1, 0)], ..Default::default() }).await.unwrap();
    assert!(matches!(present(&mut gate, rider, [1; 8]).await, Answer::Granted { .. }));
    station.stop().await;

    // The same disk, and a cloud that says nothing: the feed is refused from wherever the station asks.
    let before = world.cloud.seen.lock().unwrap().subscribed_after.len();
    let station = world.station().await;
    let mut gate = world.gate(&station).await;
    match ask(&mut gate, &look(&mate), v1::Direction::Exit).await {
        Answer::Granted { rider: found, evidence: Some(Evidence::Face { tier, .. }) } => {
            assert_eq!((found, tier), (rider, Tier::InSystem));
        }
        other => panic!("{other:?}"),
    }
    let refused = ask(&mut gate, &look(&owing), v1::Direction::Entry).await;
    assert_eq!(refused, Answer::Refused(Refusal::DenyListed));
    assert_eq!(ask(&mut gate, &erased, v1::Direction::Entry).await, Answer::Refused(Refusal::NotRecognised));
    assert_eq!(present(&mut gate, rider, [1; 8]).await, Answer::Refused(Refusal::CodeReplayed));
    let request = v1::RegisterRequest { epoch: 1, next_sequence: 1, ..v1::RegisterRequest::default() };
    let registered = gate.register(request).await.unwrap().into_inner();
    assert_eq!((registered.epoch, registered.delivered_next_sequence), (1, 1));
    assert_eq!(registered.code_issuer_keys, [issuer.to_bytes().to_vec()]);
    let asked = || world.cloud.seen.lock().unwrap().subscribed_after.get(before).copied();
    eventually("it follows from its cursor", || async { asked() == Some(head) }).await;
    station.stop().await;
}

#[tokio::test]
async fn templates_that_are_damaged_or_gone_are_fetched_anew_and_nobody_is_recognised_before() {
    let world = World::new().await;
    let station = world.station().await;
    let (rider, gone, mate, erased) = (RiderId::random(), RiderId::random(), face(), face());
    world.cloud.publish(FeedChange::TemplatePut(template(rider, &mate)));
    world.cloud.publish(FeedChange::TemplatePut(template(gone, &erased)));
    world.cloud.publish_and_wait(FeedChange::RiderRemoved(gone)).await;
    station.stop().await;
    world.cloud.set_snapshot(vec![FeedChange::TemplatePut(template(rider, &mate))]);
    let (gallery, newest) =
        (world.dir().join("data/gallery"), world.dir().join("data/keys/newest-version-sface-2021dec"));
    for damage in ["altered", "lost", "lost with what the device had seen"] {
        if damage == "altered" {
            let log =
                std::fs::read_dir(gallery.join("facts-a/sface-2021dec")).unwrap().map(|entry| entry.unwrap().path());
            let log = log.filter(|path| path.to_str().unwrap().contains("changes-")).max().unwrap();
            let mut altered = std::fs::read(&log).unwrap();
            altered[200] ^= 1;
            std::fs::write(&log, &altered).unwrap();
        } else {
            std::fs::remove_dir_all(&gallery).unwrap();
        }
        if damage.contains("seen") {
            std::fs::remove_file(&newest).unwrap();
        }
        world.cloud.holds_snapshots.send_replace(true);
        let seen = || {
            let seen = world.cloud.seen.lock().unwrap();
            (seen.snapshots_asked, seen.subscribed_after.len())
        };
        let (snapshots, subscriptions) = seen();
        let station = world.station().await;
        let gate = world.gate(&station).await;
        eventually("it asks for a snapshot", || async { seen().0 > snapshots }).await;
        for face in [&mate, &erased] {
            let refused = gate.clone().identify(probe(&look(face), v1::Direction::Entry)).await.unwrap_err();
            assert_eq!(refused.code(), tonic::Code::Unavailable, "{damage}: {refused}");
        }
        world.cloud.holds_snapshots.send_replace(false);
        let granted = || async {
            let answer = gate.clone().identify(probe(&look(&mate), v1::Direction::Entry)).await;
            answer.is_ok_and(|answer| matches!(answer.into_inner().try_into().unwrap(), Answer::Granted { .. }))
        };
        eventually("the rider is recognised again", granted).await;
        let answer = ask(&mut gate.clone(), &erased, v1::Direction::Entry).await;
        assert_eq!(answer, Answer::Refused(Refusal::NotRecognised), "{damage}");
        eventually("it follows", || async { seen().1 > subscriptions }).await;
        let from = world.cloud.seen.lock().unwrap().subscribed_after[subscriptions];
        assert_eq!(from, world.cloud.head(), "{damage}: nothing is replayed");
        station.stop().await;
    }
}

#[tokio::test]
async fn a_station_that_lost_its_templates_recognises_again_though_the_cloud_lost_its_latest_days() {
    let world = World::new().await;
    let station = world.station().await;
    let (rider, mate) = (RiderId::random(), face());
    world.cloud.publish(FeedChange::TemplatePut(template(RiderId::random(), &face())));
    world.cloud.publish_and_wait(FeedChange::TemplatePut(template(rider, &mate))).await;
    station.stop().await;
    std::fs::remove_dir_all(world.dir().join("data/gallery")).unwrap();
    world.cloud.compact(1, vec![FeedChange::TemplatePut(template(rider, &mate))]);
    for start in ["fetches anew", "goes on from its own disk"] {
        let station = world.station().await;
        let gate = world.gate(&station).await;
        let granted = || async {
            let answer = gate.clone().identify(probe(&look(&mate), v1::Direction::Entry)).await;
            answer.is_ok_and(|answer| matches!(answer.into_inner().try_into().unwrap(), Answer::Granted { .. }))
        };
        eventually(start, granted).await;
        assert_eq!(world.cloud.seen.lock().unwrap().snapshots_asked, 1, "{start}");
        station.stop().await;
    }
}

#[tokio::test]
async fn only_one_process_has_the_data_directory() {
    let world = World::new().await;
    let station = world.station().await;
    let clock = std::sync::Arc::new(SystemClock::new());
    let second = facegate_station_server::server::Server::bind(world.config(""), clock, None).await.unwrap_err();
    assert!(second.to_string().contains("another process"), "{second}");
    station.stop().await;
}

#[tokio::test]
async fn a_damaged_journal_stops_the_start_and_is_named() {
    let world = World::new().await;
    let station = world.station().await;
    let mut gate = world.gate(&station).await;
    gate.register(v1::RegisterRequest::default()).await.unwrap();
    let records = (0..50).map(|sequence| passed("north-in", 1, sequence)).collect();
    gate.deliver(v1::DeliverRequest { records, ..Default::default() }).await.unwrap();
    station.stop().await;
    let journal = world.dir().join("data/journal");
    let segment = std::fs::read_dir(&journal).unwrap().map(|entry| entry.unwrap().path());
    let segment = segment.filter(|path| path.extension().is_some_and(|e| e == "seg")).min().unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[60] ^= 0xff;
    std::fs::write(&segment, bytes).unwrap();
    let clock = std::sync::Arc::new(SystemClock::new());
    let refused = facegate_station_server::server::Server::bind(world.config(""), clock, None).await.unwrap_err();
    let name = segment.file_name().unwrap().to_str().unwrap();
    assert!(refused.to_string().contains(name) && refused.to_string().contains("damaged"), "{refused}");
}
