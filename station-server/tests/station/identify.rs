//! Faces at a gate.

use facegate_domain::face::Embedding;
use facegate_domain::ids::{ModelId, RiderId};
use facegate_domain::policy::Refusal;
use facegate_domain::score::Tier;
use facegate_domain::tap::Evidence;
use facegate_proto::convert::station::Answer;
use facegate_proto::convert::sync::FeedChange;
use facegate_proto::v1;
use facegate_proto::v1::station_service_client::StationServiceClient;
use tonic::Code;
use tonic::transport::Channel;

use crate::faces::{face, face_of, look, model, probe, record_id, template};
use crate::world::World;

const ENTRY: v1::Direction = v1::Direction::Entry;
const EXIT: v1::Direction = v1::Direction::Exit;

pub async fn ask(gate: &mut StationServiceClient<Channel>, face: &Embedding, direction: v1::Direction) -> Answer {
    gate.identify(probe(face, direction)).await.unwrap().into_inner().try_into().unwrap()
}

#[tokio::test]
async fn a_known_face_is_granted_and_a_stranger_refused() {
    let world = World::new().await;
    let station = world.station().await;
    let (rider, mate) = (RiderId::random(), face());
    for _ in 0..10 {
        world.cloud.publish(FeedChange::TemplatePut(template(RiderId::random(), &face())));
    }
    world.cloud.publish_and_wait(FeedChange::TemplatePut(template(rider, &mate))).await;
    let mut gate = world.gate(&station).await;
    match ask(&mut gate, &look(&mate), ENTRY).await {
        Answer::Granted { rider: found, evidence: Some(Evidence::Face { tier, risk, frames, .. }) } => {
            assert_eq!((found, tier, frames), (rider, Tier::City, 3));
            assert!(risk <= 1e-5);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(ask(&mut gate, &face(), ENTRY).await, Answer::Refused(Refusal::NotRecognised));
    station.stop().await;
}

#[tokio::test]
async fn the_feed_moves_riders_in_and_out_of_the_system() {
    let world = World::new().await;
    let station = world.station().await;
    let (rider, mate, entry) = (RiderId::random(), face(), record_id("south-in", 1, 7));
    let tier = async |gate: &mut StationServiceClient<Channel>| match ask(gate, &look(&mate), EXIT).await {
        Answer::Granted { evidence: Some(Evidence::Face { tier, .. }), .. } => tier,
        other => panic!("{other:?}"),
    };
    world.cloud.publish(FeedChange::EnteredSystem { rider, entry: entry.clone() });
    world.cloud.publish_and_wait(FeedChange::TemplatePut(template(rider, &mate))).await;
    let mut gate = world.gate(&station).await;
    assert_eq!(tier(&mut gate).await, Tier::InSystem);
    world.cloud.publish_and_wait(FeedChange::LeftSystem { rider, entry }).await;
    assert_eq!(tier(&mut gate).await, Tier::City);
    station.stop().await;
}

#[tokio::test]
async fn two_who_look_alike_are_asked_for_a_code() {
    let world = World::new().await;
    let station = world.station().await;
    let twin = face();
    world.cloud.publish(FeedChange::TemplatePut(template(RiderId::random(), &twin)));
    world.cloud.publish_and_wait(FeedChange::TemplatePut(template(RiderId::random(), &twin))).await;
    let answer = ask(&mut world.gate(&station).await, &look(&twin), ENTRY).await;
    assert_eq!(answer, Answer::Refused(Refusal::Ambiguous));
    station.stop().await;
}

#[tokio::test]
async fn a_denied_rider_is_recognised_and_refused_until_allowed_again() {
    let world = World::new().await;
    let station = world.station().await;
    let (rider, mate) = (RiderId::random(), face());
    world.cloud.publish(FeedChange::TemplatePut(template(rider, &mate)));
    world.cloud.publish_and_wait(FeedChange::Denied(rider)).await;
    let mut gate = world.gate(&station).await;
    assert_eq!(ask(&mut gate, &look(&mate), ENTRY).await, Answer::Refused(Refusal::DenyListed));
    world.cloud.publish_and_wait(FeedChange::Allowed(rider)).await;
    assert!(matches!(ask(&mut gate, &look(&mate), ENTRY).await, Answer::Granted { .. }));
    station.stop().await;
}

#[tokio::test]
async fn an_acknowledged_removal_is_honoured_by_every_search() {
    let world = World::new().await;
    let station = world.station().await;
    let (rider, mate) = (RiderId::random(), face());
    world.cloud.publish(FeedChange::TemplatePut(template(rider, &mate)));
    world.cloud.publish_and_wait(FeedChange::TemplatePut(template(rider, &look(&mate)))).await;
    let mut gate = world.gate(&station).await;
    assert!(matches!(ask(&mut gate, &look(&mate), ENTRY).await, Answer::Granted { .. }));
    world.cloud.publish_and_wait(FeedChange::RiderRemoved(rider)).await;
    assert_eq!(ask(&mut gate, &mate, ENTRY).await, Answer::Refused(Refusal::NotRecognised));
    assert_eq!(world.cloud.seen.lock().unwrap().report.as_ref().unwrap().templates, 0);
    station.stop().await;
}

#[tokio::test]
async fn a_probe_that_is_none_is_refused_by_what_is_wrong_with_it() {
    let world = World::new().await;
    let station = world.station().await;
    let mut gate = world.gate(&station).await;
    let values = |values: Vec<f32>| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let raw = |model: &str, embedding| {
        let probe = v1::Probe { model: model.into(), embedding, frames: 1 };
        v1::IdentifyRequest { probe: Some(probe), direction: ENTRY.into(), ..Default::default() }
    };
    let mut with_nan = face().values().to_vec();
    with_nan[5] = f32::NAN;
    let short = Embedding::normalise(model(), vec![1.0; 64]).unwrap();
    let other = face_of(&ModelId::new("arcface-r50").unwrap(), 128);
    let cases = [
        (probe(&short, ENTRY), "64 dimensions"),
        (raw("sface-2021dec", values(with_nan)), "position 5"),
        (raw("sface-2021dec", values(vec![0.5; 128])), "not 1"),
        (raw("sface-2021dec", values(vec![0.0; 128])), "all zeros"),
        (raw("sface-2021dec", vec![1; 511]), "511 bytes"),
        (raw("sface-2021dec", vec![]), "0 bytes"),
        (probe(&other, ENTRY), "arcface-r50"),
        (v1::IdentifyRequest { probe: None, direction: ENTRY.into(), ..Default::default() }, "probe is missing"),
        (probe(&face(), v1::Direction::Unspecified), "direction"),
    ];
    for (request, named) in cases {
        let status = gate.identify(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{named}: {status}");
        assert!(status.message().contains(named), "{named}: {status}");
    }
    station.stop().await;
}
