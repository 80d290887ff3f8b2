//! A ride code that is shown at one station and then at another: both are connected to one cloud, and the second one knows
//! within seconds that it is spent.

use std::time::Duration;

use facegate_domain::Clock;
use facegate_domain::ids::{GateId, RecordId, RiderId, StationId};
use facegate_domain::policy::Refusal;
use facegate_domain::tap::{GateRecord, GateStamp, Passage, PassageOutcome, RecordBody, Remarks};
use facegate_proto::convert::station::Answer;
use facegate_proto::v1;
use facegate_proto::v1::station_service_client::StationServiceClient;
use facegate_runtime::clock::{Stopwatch, SystemClock};
use facegate_runtime::identity::Role;
use tonic::transport::Channel;

use crate::world::{World, by_code, eventually};

/// "Within seconds", on a machine that does other things as well.
const FOUND_WITHIN: Duration = Duration::from_secs(5);
/// Codes that are spent at one station at the same moment, to be shown at the other one after the other.
const CODES: u8 = 200;
const APART: Duration = Duration::from_millis(20);

type Gate = StationServiceClient<Channel>;

async fn present(gate: &mut Gate, rider: RiderId, nonce: [u8; 8]) -> Answer {
    let request = v1::PresentCodeRequest {
        rider: rider.as_bytes().to_vec(),
        nonce: nonce.to_vec(),
        issued_at_unix_ms: SystemClock::new().now().unix_ms(),
        direction: v1::Direction::Entry.into(),
        face: None,
    };
    gate.present_code(request).await.unwrap().into_inner().try_into().unwrap()
}

/// What a gate of the second station writes of somebody whom the code let through.
fn passed(rider: RiderId, nonce: [u8; 8], sequence: u64) -> Vec<v1::GateRecord> {
    let bodies = [
        RecordBody::Authorisation(by_code(rider, nonce)),
        RecordBody::Passage(Passage::new(sequence, PassageOutcome::Passed)),
    ];
    let record = |(behind, body): (u64, RecordBody)| GateRecord {
        id: RecordId { gate: GateId::new("south-in").unwrap(), epoch: 1, sequence: sequence + behind },
        station: StationId::new("south").unwrap(),
        stamp: GateStamp { wall: SystemClock::new().now(), monotonic_ms: sequence + behind },
        body,
    };
    (0..).zip(bodies).map(record).map(v1::GateRecord::from).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_spent_at_one_station_is_refused_at_another_within_seconds_and_makes_one_tap() {
    let world = World::new();
    let (cloud, running) = world.cloud().await;
    let (north_runs, south_runs) = (world.station().await, world.south().await);
    let (journal, line) = world.gate().await;
    eventually("the gate has an epoch", async || journal.position().0 == 1).await;
    let mut north = Gate::new(world.channel(Role::Gate, "north-in", Role::Station));
    let mut south = Gate::new(world.channel_to_south("south-in"));
    south.register(v1::RegisterRequest::default()).await.unwrap();
    let rider = RiderId::random();
    let code = |n: u8| [n, 7, 7, 7, 7, 7, 7, 7];
    // Both know enough of the cloud to let anybody pass.
    for (station, gate) in [(240, &mut north), (241, &mut south)] {
        eventually("the station lets codes pass", async || {
            matches!(present(gate, RiderId::random(), code(station)).await, Answer::Granted { .. })
        })
        .await;
    }

    for n in 0..CODES {
        assert!(matches!(present(&mut north, rider, code(n)).await, Answer::Granted { .. }));
        assert_eq!(present(&mut north, rider, code(n)).await, Answer::Refused(Refusal::CodeReplayed), "at once there");
    }
    let mut tokens = Vec::new();
    for n in 0..CODES {
        tokens.push(journal.authorise(by_code(rider, code(n))).await.unwrap());
    }
    let opened = Stopwatch::start();
    journal.conclude(tokens[0], PassageOutcome::Passed, Remarks::default(), None).await.unwrap();
    let mut before = Vec::new();
    let found = loop {
        let n = u8::try_from(before.len()).unwrap();
        assert!(n < CODES, "never found: {:?}", opened.elapsed());
        match present(&mut south, rider, code(n)).await {
            Answer::Refused(refusal) => break (refusal, opened.elapsed()),
            Answer::Granted { .. } => before.push(n),
        }
        tokio::time::sleep(APART).await;
    };
    println!("found at the other station after {:?}; {} of the codes were shown there before", found.1, before.len());
    assert_eq!(found.0, Refusal::CodeReplayed);
    assert!(found.1 < FOUND_WITHIN, "{:?}", found.1);
    // Those that had not been shown by then are all spent.
    let next = u8::try_from(before.len()).unwrap();
    eventually("all are spent there", async || {
        present(&mut south, rider, code(CODES - 1)).await == Answer::Refused(Refusal::CodeReplayed)
    })
    .await;
    for n in next..CODES {
        assert_eq!(present(&mut south, rider, code(n)).await, Answer::Refused(Refusal::CodeReplayed), "{n}");
    }
    eventually("the passage is a tap", async || cloud.store.overview().await.unwrap().taps == 1).await;
    assert_eq!(cloud.store.overview().await.unwrap().codes_replayed, 0, "what was refused opened nothing");

    // Whoever came through at the other one while it could not know is found as soon as its record is there.
    let late = SystemClock::new().now();
    let records = passed(rider, code(0), 0);
    south.deliver(v1::DeliverRequest { records, ..Default::default() }).await.unwrap();
    eventually("it is flagged", async || cloud.store.overview().await.unwrap().codes_replayed == 1).await;
    let flagged = SystemClock::new().now().since(late);
    println!("flagged in the cloud after {flagged:?}");
    assert!(flagged < FOUND_WITHIN, "{flagged:?}");

    for part in [line, north_runs, south_runs] {
        part.stop().await;
    }
    drop(journal);
    world.stop_cloud(cloud, running).await;
}
