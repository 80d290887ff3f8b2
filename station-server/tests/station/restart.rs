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
    gate.deliver(v1::DeliverRequest { records: vec![passed("north-in", 1, 0)] }).await.unwrap();
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
    let gallery = world.dir().join("data/gallery/facts-a");
    let log = std::fs::read_dir(&gallery).unwrap().map(|entry| entry.unwrap().path()).max().unwrap();
    let mut altered = std::fs::read(&log).unwrap();
    altered[200] ^= 1;
    for damage in [true, false] {
        if damage {
            std::fs::write(&log, &altered).unwrap()
        } else {
            std::fs::remove_dir_all(&gallery).unwrap()
        }
        let before = world.cloud.seen.lock().unwrap().subscribed_after.len();
        let station = world.station().await;
        let gate = world.gate(&station).await;
        let granted = || async {
            match gate.clone().identify(probe(&look(&mate), v1::Direction::Entry)).await {
                Ok(answer) => matches!(answer.into_inner().try_into().unwrap(), Answer::Granted { .. }),
                Err(status) => {
                    assert_eq!(status.code(), tonic::Code::Unavailable, "{status}");
                    false
                }
            }
        };
        eventually("the rider is recognised again", granted).await;
        assert_eq!(world.cloud.seen.lock().unwrap().subscribed_after.get(before), Some(&0), "from the beginning");
        let answer = ask(&mut gate.clone(), &erased, v1::Direction::Entry).await;
        assert_eq!(answer, Answer::Refused(Refusal::NotRecognised));
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
    gate.deliver(v1::DeliverRequest { records }).await.unwrap();
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
