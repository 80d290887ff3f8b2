//! Ride codes at the station: replay and deny list.

use std::time::Duration;

use facegate_domain::Timestamp;
use facegate_domain::face::Embedding;
use facegate_domain::ids::RiderId;
use facegate_domain::policy::Refusal;
use facegate_domain::tap::Evidence;
use facegate_proto::convert::station::{Answer, probe_to_wire};
use facegate_proto::convert::sync::FeedChange;
use facegate_proto::v1;
use facegate_proto::v1::station_service_client::StationServiceClient;
use facegate_runtime::identity::Role;
use tonic::Code;
use tonic::transport::Channel;

use crate::faces::{authorised, face, look, template};
use crate::world::{NOW, World};

pub fn code(rider: RiderId, nonce: [u8; 8], issued_at: Timestamp) -> v1::PresentCodeRequest {
    v1::PresentCodeRequest {
        rider: rider.as_bytes().to_vec(),
        nonce: nonce.to_vec(),
        issued_at_unix_ms: issued_at.unix_ms(),
        direction: v1::Direction::Entry.into(),
        face: None,
    }
}

pub async fn present(gate: &mut StationServiceClient<Channel>, rider: RiderId, nonce: [u8; 8]) -> Answer {
    gate.present_code(code(rider, nonce, NOW)).await.unwrap().into_inner().try_into().unwrap()
}

const REPLAYED: Answer = Answer::Refused(Refusal::CodeReplayed);

#[tokio::test]
async fn a_code_opens_one_gate_once() {
    let world = World::new().await;
    let station = world.station().await;
    let rider = RiderId::random();
    let mut first = world.gate(&station).await;
    let mut second = world.call(&station, Role::Gate, "north-out").await;
    assert_eq!(present(&mut first, rider, [1; 8]).await, Answer::Granted { rider, evidence: None });
    assert_eq!(present(&mut second, rider, [1; 8]).await, REPLAYED);
    assert_eq!(present(&mut first, rider, [1; 8]).await, REPLAYED);
    assert!(matches!(present(&mut second, rider, [2; 8]).await, Answer::Granted { .. }));
    station.stop().await;
}

#[tokio::test]
async fn the_same_code_shown_to_many_gates_at_once_opens_one() {
    let world = World::new().await;
    let station = world.station().await;
    let rider = RiderId::random();
    let mut racing = vec![];
    for id in ["north-in", "north-out"].into_iter().cycle().take(16) {
        let mut gate = world.call(&station, Role::Gate, id).await;
        racing.push(tokio::spawn(async move { present(&mut gate, rider, [3; 8]).await }));
    }
    let mut granted = 0;
    for race in racing {
        match race.await.unwrap() {
            Answer::Granted { .. } => granted += 1,
            refused => assert_eq!(refused, REPLAYED),
        }
    }
    assert_eq!(granted, 1);
    station.stop().await;
}

#[tokio::test]
async fn a_denied_rider_gets_nowhere_with_a_code() {
    let world = World::new().await;
    let station = world.station().await;
    let rider = RiderId::random();
    world.cloud.publish_and_wait(FeedChange::Denied(rider)).await;
    let mut gate = world.gate(&station).await;
    assert_eq!(present(&mut gate, rider, [1; 8]).await, Answer::Refused(Refusal::DenyListed));
    world.cloud.publish_and_wait(FeedChange::Allowed(rider)).await;
    assert!(matches!(present(&mut gate, rider, [1; 8]).await, Answer::Granted { .. }));
    station.stop().await;
}

#[tokio::test]
async fn a_code_spent_elsewhere_is_known() {
    let world = World::new().await;
    let station = world.station().await;
    let mut gate = world.gate(&station).await;
    world.cloud.publish_and_wait(FeedChange::CodeNonceSpent { nonce: [1; 8], issued_at: NOW }).await;
    assert_eq!(present(&mut gate, RiderId::random(), [1; 8]).await, REPLAYED);
    // A gate that could not ask at the time tells afterwards, with its journal.
    let epoch = gate.register(v1::RegisterRequest::default()).await.unwrap().into_inner().epoch;
    let records = vec![authorised("north-in", epoch, 0, [2; 8])];
    gate.deliver(v1::DeliverRequest { records, ..Default::default() }).await.unwrap();
    assert_eq!(present(&mut gate, RiderId::random(), [2; 8]).await, REPLAYED);
    station.stop().await;
}

#[tokio::test]
async fn a_code_beyond_the_memory_is_refused_unseen() {
    let world = World::new().await;
    let station = world.station().await;
    let mut gate = world.gate(&station).await;
    let memory = Duration::from_secs(600);
    for issued_at in [NOW.minus(memory), NOW.plus(memory)] {
        let answer = gate.present_code(code(RiderId::random(), [1; 8], issued_at)).await.unwrap().into_inner();
        assert_eq!(Answer::try_from(answer).unwrap(), Answer::Refused(Refusal::CodeExpired));
    }
    station.stop().await;
}

#[tokio::test]
async fn a_malformed_presentation_is_refused_by_the_field() {
    let world = World::new().await;
    let station = world.station().await;
    let mut gate = world.gate(&station).await;
    let good = code(RiderId::random(), [1; 8], NOW);
    let cases = [
        (v1::PresentCodeRequest { rider: vec![1; 15], ..good.clone() }, "rider"),
        (v1::PresentCodeRequest { nonce: vec![1; 9], ..good.clone() }, "nonce"),
        (v1::PresentCodeRequest { direction: 9, ..good }, "direction"),
    ];
    for (request, field) in cases {
        let status = gate.present_code(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains(field), "{status}");
    }
    station.stop().await;
}

#[tokio::test]
async fn with_a_face_a_code_opens_for_its_rider_alone() {
    let world = World::new().await;
    let station = world.station().await;
    let (owner, other) = (RiderId::random(), RiderId::random());
    let (his, anothers) = (face(), face());
    for (rider, of) in [(owner, &his), (other, &anothers)] {
        world.cloud.publish_and_wait(FeedChange::TemplatePut(template(rider, of))).await;
    }
    let mut gate = world.gate(&station).await;
    let mut ask = async |rider, nonce, seen: &Embedding| -> Answer {
        let request = v1::PresentCodeRequest { face: Some(probe_to_wire(seen, 3)), ..code(rider, nonce, NOW) };
        gate.present_code(request).await.unwrap().into_inner().try_into().unwrap()
    };
    assert_eq!(ask(owner, [1; 8], &look(&anothers)).await, Answer::Refused(Refusal::FaceDiffers));
    let answer = ask(owner, [1; 8], &look(&his)).await;
    let Answer::Granted { rider, evidence: Some(Evidence::Face { similarity, risk, .. }) } = answer else {
        panic!("the code was not spent by the other's face, but {answer:?}")
    };
    assert!(rider == owner && similarity.cosine() > 0.7 && risk <= 1e-4, "{similarity:?} {risk}");
    assert_eq!(ask(owner, [1; 8], &look(&his)).await, REPLAYED);
    let nobody = RiderId::random();
    assert_eq!(ask(nobody, [2; 8], &look(&his)).await, Answer::Refused(Refusal::NotRecognised));
    world.cloud.publish_and_wait(FeedChange::Denied(owner)).await;
    assert_eq!(ask(owner, [3; 8], &look(&his)).await, Answer::Refused(Refusal::DenyListed));
    station.stop().await;
}
