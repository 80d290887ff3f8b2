//! Riders move to another embedding model: templates of both lie side by side for a while.

use facegate_domain::face::Embedding;
use facegate_domain::ids::{ModelId, RiderId};
use facegate_domain::policy::Refusal;
use facegate_proto::convert::station::Answer;
use facegate_proto::convert::sync::FeedChange;
use facegate_proto::v1::Direction::Entry;

use crate::faces::{face, face_of, look, template};
use crate::identify::ask;
use crate::world::{Running, World, eventually};

const NEXT: &str = "[recognition.next]\nmodel = \"hse-faceres-2021\"\ndims = 1024\n";

fn next_face() -> Embedding {
    face_of(&ModelId::new("hse-faceres-2021").unwrap(), 1024)
}

async fn who(world: &World, station: &Running, face: &Embedding) -> Result<RiderId, Refusal> {
    match ask(&mut world.gate(station).await, &look(face), Entry).await {
        Answer::Granted { rider, .. } => Ok(rider),
        Answer::Refused(why) => Err(why),
    }
}

#[tokio::test]
async fn a_probe_meets_the_templates_of_its_own_model_and_a_removal_reaches_both() {
    let world = World::new().await;
    let station = world.station_with(NEXT, None).await;
    let (staying, moved) = (RiderId::random(), RiderId::random());
    let (staying_face, moved_face, moved_next) = (face(), face(), next_face());
    world.cloud.publish(FeedChange::TemplatePut(template(staying, &staying_face)));
    world.cloud.publish(FeedChange::TemplatePut(template(moved, &moved_face)));
    world.cloud.publish_and_wait(FeedChange::TemplatePut(template(moved, &moved_next))).await;
    assert_eq!(who(&world, &station, &staying_face).await, Ok(staying));
    assert_eq!(who(&world, &station, &moved_face).await, Ok(moved));
    assert_eq!(who(&world, &station, &moved_next).await, Ok(moved));
    assert_eq!(who(&world, &station, &next_face()).await, Err(Refusal::NotRecognised));
    world.cloud.publish_and_wait(FeedChange::RiderRemoved(moved)).await;
    for gone in [&moved_face, &moved_next] {
        assert_eq!(who(&world, &station, gone).await, Err(Refusal::NotRecognised));
    }
    assert_eq!(who(&world, &station, &staying_face).await, Ok(staying));
    station.stop().await;
}

#[tokio::test]
async fn a_station_told_of_the_next_model_fetches_its_templates_and_forgets_them_when_told_no_more() {
    let world = World::new().await;
    let station = world.station().await;
    let (rider, used, next) = (RiderId::random(), face(), next_face());
    let templates = [template(rider, &used), template(rider, &next)].map(FeedChange::TemplatePut);
    world.cloud.publish(templates[1].clone());
    world.cloud.publish_and_wait(templates[0].clone()).await;
    assert_eq!(who(&world, &station, &used).await, Ok(rider));
    station.stop().await;
    world.cloud.set_snapshot(templates.to_vec());

    let station = world.station_with(NEXT, None).await;
    let granted = async |face| {
        let answer = world.gate(&station).await.identify(crate::faces::probe(&look(face), Entry)).await;
        answer.is_ok_and(|answer| matches!(answer.into_inner().try_into().unwrap(), Answer::Granted { .. }))
    };
    eventually("both of his templates are there", async || granted(&used).await && granted(&next).await).await;
    assert_eq!(world.cloud.seen.lock().unwrap().snapshots_asked, 1);
    station.stop().await;

    // The move is given up: nothing of the other model stays on the disk, and nothing is fetched.
    let station = world.station().await;
    assert_eq!(who(&world, &station, &used).await, Ok(rider));
    let trees = std::fs::read_dir(world.dir().join("data/gallery")).unwrap();
    for tree in trees.map(|tree| tree.unwrap().path()) {
        let models = std::fs::read_dir(&tree).unwrap().map(|model| model.unwrap().file_name());
        assert!(models.into_iter().all(|model| model == "sface-2021dec"), "{}", tree.display());
    }
    assert_eq!(world.cloud.seen.lock().unwrap().snapshots_asked, 1);
    station.stop().await;
}
