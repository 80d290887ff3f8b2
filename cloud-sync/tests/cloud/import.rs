//! Riders of another system.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use facegate_cloud_sync::import;
use facegate_domain::ids::{RiderId, TemplateId};
use facegate_proto::v1::change::Change;

use crate::harness::TestCloud;

pub fn line(rider: RiderId) -> String {
    let bytes: Vec<u8> = [0.6_f32, 0.8].iter().flat_map(|value| value.to_le_bytes()).collect();
    format!(
        "{{\"rider\": \"{rider}\", \"template\": \"{}\", \"display_name\": \"A rider\", \"model\": \"text\", \
         \"consent\": {{\"text_version\": \"2026-01\", \"channel\": \"app\", \"given_at_unix_ms\": 1790000000000}}, \
         \"embedding\": \"{}\", \"photographs\": 3}}\n",
        TemplateId::random(),
        STANDARD.encode(bytes)
    )
}

#[tokio::test]
async fn imported_riders_are_enrolled_once_and_reach_stations() {
    let cloud = TestCloud::start().await;
    let riders = [RiderId::random(), RiderId::random(), RiderId::random()];
    let file: String = riders.iter().map(|rider| line(*rider)).collect();
    let store = &*cloud.cloud.store;
    let first = import::run(store, &*cloud.clock, file.as_bytes()).await.unwrap();
    assert_eq!((first.lines, first.new), (3, 3));
    let again = import::run(store, &*cloud.clock, file.as_bytes()).await.unwrap();
    assert_eq!((again.lines, again.new), (3, 0));
    let known = store.rider(riders[0]).await.unwrap().unwrap();
    assert!(known.face.is_some() && known.consents.len() == 1);
    assert_eq!(store.overview().await.unwrap().enrolled, 3);
    let facts = crate::feed::snapshot(&cloud, "north").await.facts;
    let faces = facts.iter().filter(|fact| matches!(fact.change, Some(Change::TemplatePut(_))));
    assert_eq!(faces.count(), 3);
    let receipt = store
        .erase_rider(
            facegate_cloud_sync::store::ErasureId::random(),
            riders[1],
            facegate_domain::Timestamp::from_unix_ms(1),
        )
        .await
        .unwrap();
    assert_eq!(receipt.rider, riders[1]);
}

#[tokio::test]
async fn a_line_that_is_no_rider_is_named() {
    let cloud = TestCloud::start().await;
    let file = line(RiderId::random()) + "{\"rider\": 5}\n";
    let refused = import::run(&*cloud.cloud.store, &*cloud.clock, file.as_bytes()).await.unwrap_err();
    assert!(format!("{refused:#}").contains("line 2"), "{refused:#}");
}
