//! Batches as they should not be, at the station: each handled exactly or refused clearly, and nothing lost.

use std::time::Duration;

use facegate_proto::v1;
use facegate_runtime::identity::Role;
use tonic::Code;

use crate::faces::{authorised, passed};
use crate::world::{NOW, World, eventually};

/// What it is, the batch, and the mark or the code that answers it.
type Case = (&'static str, Vec<v1::GateRecord>, Result<Option<u64>, Code>);

#[tokio::test]
async fn every_kind_of_bad_batch_has_its_answer() {
    let world = World::new().await;
    let station = world.station().await;
    let mut gate = world.gate(&station).await;
    gate.register(v1::RegisterRequest::default()).await.unwrap();
    let record = |sequence| passed("north-in", 1, sequence);
    let of = |sequences: &[u64]| sequences.iter().map(|sequence| record(*sequence)).collect::<Vec<_>>();
    let elsewhere = v1::GateRecord { station: "south".into(), ..record(3) };
    let years = i64::try_from(Duration::from_secs(3 * 365 * 86_400).as_millis()).unwrap();
    let stamp = v1::GateStamp { wall_unix_ms: NOW.unix_ms() + years, monotonic_ms: 0 };
    let future = v1::GateRecord { stamp: Some(stamp), ..record(5) };
    // In this order: what is awaited follows from what was taken before.
    let table: Vec<Case> = vec![
        ("empty", vec![], Ok(None)),
        ("duplicates within", of(&[0, 0, 1, 0, 1]), Ok(Some(2))),
        ("again", of(&[0, 1]), Ok(Some(2))),
        ("backwards", of(&[4, 3, 2]), Ok(Some(3))),
        ("after a gap", of(&[7, 8]), Ok(Some(3))),
        ("another content", vec![authorised("north-in", 1, 1, [1; 8]), record(3)], Ok(Some(4))),
        ("a record of another station", vec![record(4), elsewhere], Err(Code::InvalidArgument)),
        ("an epoch that was never issued", vec![record(4), passed("north-in", 2, 0)], Err(Code::FailedPrecondition)),
        ("another gate's record", vec![record(4), passed("north-out", 1, 0)], Err(Code::InvalidArgument)),
        ("too many at once", vec![record(4); 10_001], Err(Code::InvalidArgument)),
        ("from the future", vec![record(4), future], Ok(Some(6))),
    ];
    for (kind, records, expected) in table {
        let answer = gate.deliver(v1::DeliverRequest { records, ..Default::default() }).await;
        let mark =
            |answer: tonic::Response<v1::DeliverResponse>| answer.get_ref().marks.first().map(|m| m.next_sequence);
        assert_eq!(answer.map(mark).map_err(|status| status.code()), expected, "{kind}");
    }
    let mut stranger = world.call(&station, Role::Gate, "south-in").await;
    let refused = stranger.deliver(v1::DeliverRequest { records: of(&[6]), ..Default::default() }).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    let arrived = || world.cloud.seen.lock().unwrap().delivered.len();
    eventually("all six, once each", || async { arrived() == 6 }).await;
    station.stop().await;
}
