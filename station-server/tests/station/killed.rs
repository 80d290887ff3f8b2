//! The real process under `kill -9`: what it answered before still holds after.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use facegate_domain::Clock;
use facegate_domain::ids::RiderId;
use facegate_domain::policy::Refusal;
use facegate_proto::convert::station::Answer;
use facegate_proto::convert::sync::FeedChange;
use facegate_proto::v1;
use facegate_proto::v1::station_service_client::StationServiceClient;
use facegate_runtime::clock::SystemClock;
use facegate_runtime::identity::Role;
use tonic::transport::Channel;

use crate::faces::{face, look, model, passed, sequences, template};
use crate::identify::ask;
use crate::world::{World, eventually};

struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    async fn start(world: &World) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = world.dir().join("north.toml");
        std::fs::write(&config, world.config_text(&address.to_string(), "")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_facegate-station-server"))
            .arg("--config")
            .arg(&config)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        eventually("the station listens", || async { std::net::TcpStream::connect(address).is_ok() }).await;
        Self { child, address }
    }

    fn gate(&self, world: &World) -> StationServiceClient<Channel> {
        StationServiceClient::new(world.channel_to(self.address, Role::Gate, "north-in"))
    }
}

impl Drop for Process {
    /// SIGKILL: nothing is flushed, nobody is told.
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test]
async fn what_was_answered_survives_kill_9() {
    let world = World::new().await;
    world.cloud.seen.lock().unwrap().refuses_deliveries = true;
    let (rider, gone, mate, erased) = (RiderId::random(), RiderId::random(), face(), face());
    let code = |nonce: u8| v1::PresentCodeRequest {
        rider: rider.as_bytes().to_vec(),
        nonce: vec![nonce; 8],
        issued_at_unix_ms: SystemClock::new().now().unix_ms(),
        direction: v1::Direction::Entry.into(),
        face: None,
    };
    let answer = |response: tonic::Response<v1::PresentCodeResponse>| Answer::try_from(response.into_inner()).unwrap();
    for round in 0..4u8 {
        let epoch = u32::from(round) + 1;
        let process = Process::start(&world).await;
        let mut gate = process.gate(&world);
        // A gate without a disk each time: every epoch that was ever answered stays taken.
        let registered = gate.register(v1::RegisterRequest::default()).await.unwrap().into_inner();
        assert_eq!(registered.epoch, epoch);
        for sequence in 0..10 {
            let records = vec![passed("north-in", epoch, sequence)];
            let marks =
                gate.deliver(v1::DeliverRequest { records, ..Default::default() }).await.unwrap().into_inner().marks;
            assert_eq!(marks[0].next_sequence, sequence + 1);
        }
        for spent in 0..round {
            assert_eq!(answer(gate.present_code(code(spent)).await.unwrap()), Answer::Refused(Refusal::CodeReplayed));
        }
        assert!(matches!(answer(gate.present_code(code(round)).await.unwrap()), Answer::Granted { .. }));
        match round {
            0 => {
                world.cloud.publish(FeedChange::TemplatePut(template(gone, &erased)));
                world.cloud.publish_and_wait(FeedChange::TemplatePut(template(rider, &mate))).await;
            }
            1 => world.cloud.publish_and_wait(FeedChange::RiderRemoved(gone)).await,
            _ => {
                let stranger = ask(&mut gate, &erased, v1::Direction::Entry).await;
                assert_eq!(stranger, Answer::Refused(Refusal::NotRecognised));
            }
        }
        assert!(matches!(ask(&mut gate, &look(&mate), v1::Direction::Entry).await, Answer::Granted { .. }));
    }
    world.cloud.seen.lock().unwrap().refuses_deliveries = false;
    let _process = Process::start(&world).await;
    eventually("every record reaches the cloud", || async { world.cloud.seen.lock().unwrap().delivered.len() >= 40 })
        .await;
    let delivered = world.cloud.seen.lock().unwrap().delivered.clone();
    assert_eq!(sequences(&delivered), (0..4).flat_map(|_| 0..10).collect::<Vec<u64>>());
}

#[tokio::test]
async fn a_snapshot_goes_on_after_kill_9_from_the_last_chunks_that_were_kept() {
    let world = World::new().await;
    let (first, last, denied) = (face(), face(), RiderId::random());
    let put = |face: &_| FeedChange::TemplatePut(template(RiderId::random(), face));
    let mut facts = vec![FeedChange::Denied(denied), put(&first)];
    facts.extend((0..200).map(|_| put(&face())));
    facts.push(put(&last));
    world.cloud.compact(20, facts);
    world.cloud.seen.lock().unwrap().breaks_after = vec![70];
    world.cloud.holds_snapshots.send_replace(true);
    let process = Process::start(&world).await;
    let gallery = world.dir().join("data/gallery/facts-b").join(model().as_str());
    let staged = gallery.join("staged-00000000");
    // 32 chunks of two, twice.
    let kept = || std::fs::metadata(&staged).map_or(0, |file| file.len());
    eventually("64 chunks are kept", || async { kept() > 2 * 62 * 163 }).await;
    let reports = || world.cloud.seen.lock().unwrap().reports;
    let before = reports();
    // Each report comes after everything written before it is on the disk.
    eventually("and that they are", || async { reports() >= before + 3 }).await;
    drop(process);
    world.cloud.holds_snapshots.send_replace(false);
    let process = Process::start(&world).await;
    eventually("the snapshot is acknowledged", || async { world.cloud.acknowledged() == 20 }).await;
    {
        let seen = world.cloud.seen.lock().unwrap();
        assert_eq!(seen.snapshots_from, [0, 64]);
        assert_eq!(seen.report.as_ref().unwrap().templates, 202);
    }
    let mut gate = process.gate(&world);
    for mate in [first, last] {
        assert!(matches!(ask(&mut gate, &look(&mate), v1::Direction::Entry).await, Answer::Granted { .. }));
    }
    let code = v1::PresentCodeRequest {
        rider: denied.as_bytes().to_vec(),
        nonce: vec![1; 8],
        issued_at_unix_ms: SystemClock::new().now().unix_ms(),
        direction: v1::Direction::Entry.into(),
        face: None,
    };
    let answer = gate.present_code(code).await.unwrap().into_inner();
    assert_eq!(Answer::try_from(answer).unwrap(), Answer::Refused(Refusal::DenyListed));
    eventually("nothing is staged any more", || async { !staged.exists() }).await;
}
