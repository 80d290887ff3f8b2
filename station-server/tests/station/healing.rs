//! Facts that went wrong at a station: found by their digest, and only what differs is read again.

use std::time::Duration;

use facegate_domain::face::Template;
use facegate_domain::fingerprint::bucket_of;
use facegate_domain::habits::{Hours, Regular};
use facegate_domain::ids::{RiderId, StationId};
use facegate_domain::operation::{Instruction, StationMode};
use facegate_domain::policy::Refusal;
use facegate_proto::convert::station::Answer;
use facegate_proto::convert::sync::FeedChange;
use facegate_proto::v1;
use facegate_station_server::facts::Facts;
use tonic::Status;

use crate::codes::present;
use crate::faces::{face, look, record_id, template};
use crate::identify::ask;
use crate::memory;
use crate::world::{NOW, Running, World, eventually};

const ENTRY: v1::Direction = v1::Direction::Entry;

/// Tells these facts and waits until the station has them.
async fn tell(world: &World, facts: &[FeedChange]) {
    world.cloud.seen.lock().unwrap().holds = Some(facts.to_vec());
    for fact in &facts[1..] {
        world.cloud.publish(fact.clone());
    }
    world.cloud.publish_and_wait(facts[0].clone()).await;
}

fn healed(world: &World) -> u64 {
    world.cloud.seen.lock().unwrap().report.as_ref().map_or(0, |report| report.healed_buckets)
}

async fn grants(world: &World, station: &Running, face: &facegate_domain::face::Embedding) -> bool {
    matches!(ask(&mut world.gate(station).await, &look(face), ENTRY).await, Answer::Granted { .. })
}

#[tokio::test]
async fn templates_that_went_missing_or_are_too_many_are_put_right_and_stay_so_over_a_restart() {
    let world = World::new().await;
    let station = world.station().await;
    let (lost, kept, erased) = (face(), face(), face());
    let of_lost = template(RiderId::random(), &lost);
    let others = (0..50).map(|_| FeedChange::TemplatePut(template(RiderId::random(), &face())));
    let mut facts = vec![FeedChange::TemplatePut(template(RiderId::random(), &kept))];
    facts.push(FeedChange::TemplatePut(of_lost.clone()));
    facts.extend(others);
    tell(&world, &facts).await;
    assert_eq!(healed(&world), 0);
    // Behind its back: one template goes, one comes.
    let model = of_lost.embedding.model().clone();
    let of_erased = template(RiderId::random(), &erased);
    let repair = |facts: &Facts| {
        facts.gallery().unwrap().repair(&model, std::slice::from_ref(&of_erased), &[of_lost.id]).unwrap();
    };
    repair(&station.station.facts());
    assert!(!grants(&world, &station, &lost).await && grants(&world, &station, &erased).await);
    eventually("both are put right", || async {
        grants(&world, &station, &lost).await && !grants(&world, &station, &erased).await
    })
    .await;
    let name = format!("templates/{model}");
    let mut buckets =
        [of_lost.id, of_erased.id].map(|id| (name.clone(), u32::try_from(bucket_of(id.as_bytes(), 1024)).unwrap()));
    buckets.sort_unstable();
    let mut reread = world.cloud.seen.lock().unwrap().reread.clone();
    reread.sort_unstable();
    assert_eq!(reread, buckets, "only what differed was read again");
    eventually("it is counted", || async { healed(&world) == 2 }).await;
    station.stop().await;
    let station = world.station().await;
    assert!(grants(&world, &station, &lost).await && grants(&world, &station, &kept).await);
    assert!(!grants(&world, &station, &erased).await);
    station.stop().await;
}

#[tokio::test]
async fn a_template_that_holds_another_face_than_the_clouds_is_put_right() {
    let world = World::new().await;
    let station = world.station().await;
    let (mate, other) = (face(), face());
    let told = template(RiderId::random(), &mate);
    tell(&world, &[FeedChange::TemplatePut(told.clone()), FeedChange::Denied(RiderId::random())]).await;
    let model = told.embedding.model().clone();
    let wrong = Template { embedding: other.clone(), ..told.clone() };
    station.station.facts().gallery().unwrap().repair(&model, &[wrong], &[]).unwrap();
    assert!(grants(&world, &station, &other).await);
    eventually("it is put right", || async {
        grants(&world, &station, &mate).await && !grants(&world, &station, &other).await
    })
    .await;
    let bucket = u32::try_from(bucket_of(told.id.as_bytes(), 1024)).unwrap();
    assert_eq!(world.cloud.seen.lock().unwrap().reread, [(format!("contents/{model}"), bucket)]);
    station.stop().await;
}

#[tokio::test]
async fn a_bit_that_flips_in_memory_is_found_within_the_hour_and_its_bucket_is_read_again() {
    let world = World::new().await;
    let station = world.station().await;
    let of_victim = template(RiderId::random(), &face());
    let mut facts: Vec<_> = (0..20).map(|_| FeedChange::TemplatePut(template(RiderId::random(), &face()))).collect();
    facts.push(FeedChange::TemplatePut(of_victim.clone()));
    tell(&world, &facts).await;
    let model = of_victim.embedding.model().clone();
    let contents = || station.station.facts().gallery().unwrap().contents_fingerprint(&model).unwrap();
    let as_told = contents();
    assert!(memory::flip(&memory::as_stored(&of_victim)) > 0, "it lies there as it is stored");
    assert_eq!(contents(), as_told, "nobody has looked");
    let reports = || world.cloud.seen.lock().unwrap().reports;
    let before = reports();
    eventually("reports go on", || async { reports() >= before + 3 }).await;
    assert_eq!(world.cloud.seen.lock().unwrap().reread, []);
    world.clock.advance(Duration::from_secs(61 * 60));
    // Upkeep comes every ten seconds.
    for _ in 0..3 {
        if healed(&world) > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    eventually("it is found and put right", || async { healed(&world) == 1 && contents() == as_told }).await;
    let bucket = u32::try_from(bucket_of(of_victim.id.as_bytes(), 1024)).unwrap();
    assert_eq!(world.cloud.seen.lock().unwrap().reread, [(format!("contents/{model}"), bucket)]);
    station.station.facts().gallery().unwrap().verify();
    assert_eq!(contents(), as_told, "what lies in memory is right");
    station.stop().await;
}

#[tokio::test]
async fn a_regular_who_was_lost_is_one_again() {
    let world = World::new().await;
    let station = world.station().await;
    let regular = || Regular { rider: RiderId::random(), hours: Hours::NONE.with(8).with(17) };
    let (riders, north) = (vec![regular(), regular()], StationId::new("north").unwrap());
    let told = |riders: &[Regular]| FeedChange::Regulars { station: north.clone(), riders: riders.to_vec() };
    tell(&world, &[told(&riders)]).await;
    let facts = || station.station.facts();
    assert_eq!(facts().regulars(), riders);
    facts().apply(&told(&riders[1..]), NOW);
    eventually("he is one again", || async { facts().regulars() == riders }).await;
    assert_eq!(world.cloud.seen.lock().unwrap().reread, [("regulars/north".to_owned(), 0)]);
    station.stop().await;
}

#[tokio::test]
async fn a_change_of_the_gallery_by_the_feed_is_no_difference() {
    let world = World::new().await;
    let station = world.station().await;
    let rider = RiderId::random();
    let stays = FeedChange::TemplatePut(template(RiderId::random(), &face()));
    tell(&world, &[FeedChange::TemplatePut(template(rider, &face())), stays.clone()]).await;
    world.cloud.seen.lock().unwrap().holds = Some(vec![stays]);
    world.cloud.publish_and_wait(FeedChange::RiderRemoved(rider)).await;
    let reports = || world.cloud.seen.lock().unwrap().reports;
    let before = reports();
    eventually("it has compared three times", || async { reports() >= before + 3 }).await;
    assert_eq!(world.cloud.seen.lock().unwrap().reread, []);
    assert_eq!(station.station.facts().gallery().unwrap().templates(), 1);
    station.stop().await;
}

#[tokio::test]
async fn the_deny_list_who_is_inside_and_what_was_told_are_put_right_too() {
    let world = World::new().await;
    let station = world.station().await;
    let (denied, freed, inside) = (RiderId::random(), RiderId::random(), RiderId::random());
    let entry = record_id("south-in", 1, 7);
    let closed = Instruction::Mode { station: None, mode: Some(StationMode::FareFree) };
    let facts = [
        FeedChange::Denied(denied),
        FeedChange::EnteredSystem { rider: inside, entry: entry.clone() },
        FeedChange::Told(closed.clone()),
    ];
    tell(&world, &facts).await;
    let held = station.station.facts();
    held.apply(&FeedChange::Allowed(denied), NOW);
    held.apply(&FeedChange::Denied(freed), NOW);
    held.apply(&FeedChange::LeftSystem { rider: inside, entry: entry.clone() }, NOW);
    held.apply(&FeedChange::EnteredSystem { rider: freed, entry }, NOW);
    held.apply(&FeedChange::Told(closed.end()), NOW);
    held.apply(&FeedChange::Told(Instruction::FaresWithdrawn { name: "none".into() }), NOW);
    drop(held);
    let mut gate = world.gate(&station).await;
    eventually("the deny list is put right", || async {
        let facts = station.station.facts();
        facts.is_denied(denied) && !facts.is_denied(freed)
    })
    .await;
    assert_eq!(present(&mut gate, denied, [1; 8]).await, Answer::Refused(Refusal::DenyListed));
    eventually("and the rest", || async {
        let facts = station.station.facts();
        let inside: Vec<_> = (0..64).flat_map(|bucket| facts.gallery().unwrap().inside_in(bucket)).collect();
        facts.mode() == StationMode::FareFree && inside.len() == 1
    })
    .await;
    eventually("each part is counted", || async { healed(&world) >= 3 }).await;
    station.stop().await;
}

#[tokio::test]
async fn a_station_that_the_cloud_takes_for_another_machine_goes_on_with_what_it_has() {
    let world = World::new().await;
    let station = world.station().await;
    let mate = face();
    world.cloud.publish_and_wait(FeedChange::TemplatePut(template(RiderId::random(), &mate))).await;
    let reported = world.cloud.seen.lock().unwrap().report.clone().unwrap().installation;
    assert_eq!(reported.len(), 16);
    world.cloud.seen.lock().unwrap().refuses_reports = Some(Status::already_exists("live on another machine"));
    assert!(grants(&world, &station, &mate).await);
    station.stop().await;
    world.cloud.seen.lock().unwrap().refuses_reports = None;
    world.cloud.seen.lock().unwrap().report = None;
    let station = world.station().await;
    eventually("it reports", || async { world.cloud.seen.lock().unwrap().report.is_some() }).await;
    let again = world.cloud.seen.lock().unwrap().report.clone().unwrap().installation;
    assert_eq!(again, reported, "the installation is the data directory's");
    station.stop().await;
}
