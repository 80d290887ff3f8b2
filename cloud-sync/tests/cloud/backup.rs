//! A backup that is put back brings back no face: the register knows better, and so do the stations.

use std::path::Path;

use facegate_domain::ids::RiderId;
use facegate_proto::v1;

use crate::feed::{Change, snapshot};
use crate::harness::TestCloud;
use crate::withdrawal::withdraw;

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn back_up(dir: &Path) {
    copy(&dir.join("state"), &dir.join("backup"));
}

fn put_back(dir: &Path) {
    std::fs::remove_dir_all(dir.join("state")).unwrap();
    copy(&dir.join("backup"), &dir.join("state"));
}

async fn faces(cloud: &TestCloud) -> Vec<String> {
    let face = |fact: v1::Change| match fact.change {
        Some(Change::TemplatePut(put)) => {
            let rider = put.template.unwrap().rider.try_into().unwrap();
            Some(RiderId::from_bytes(rider).to_string())
        }
        _ => None,
    };
    snapshot(cloud, "late").await.facts.into_iter().filter_map(face).collect()
}

async fn erase(cloud: &TestCloud, rider: &str) -> v1::ErasureReceipt {
    cloud.app().erase_rider(v1::EraseRiderRequest { rider_id: rider.into() }).await.unwrap().into_inner()
}

#[tokio::test]
async fn who_was_erased_after_a_backup_is_erased_again_before_anybody_is_served() {
    let cloud = TestCloud::start().await;
    let (erased, withdrew, stays) = (cloud.enrol("ada").await, cloud.enrol("bea").await, cloud.enrol("cid").await);
    let cloud = cloud.restart_after(back_up).await;
    let receipts = [erase(&cloud, &erased).await, withdraw(&cloud, &withdrew).await.unwrap()];

    let cloud = cloud.restart_after(put_back).await;
    assert_eq!(faces(&cloud).await, [stays]);
    for before in &receipts {
        let asked = v1::GetErasureRequest { erasure_id: before.erasure_id.clone() };
        let after = cloud.app().get_erasure(asked).await.unwrap().into_inner();
        assert_eq!((&after.erasure_id, &after.scope), (&before.erasure_id, &before.scope));
    }
    let rider = async |id: &str| cloud.cloud.store.rider(id.parse().unwrap()).await.unwrap().unwrap();
    assert!(rider(&erased).await.erasure.is_some());
    assert!(cloud.cloud.store.profile(erased.parse().unwrap()).await.unwrap().is_none());
    assert!(rider(&withdrew).await.erasure.is_none() && rider(&withdrew).await.consents.is_empty());
    let audit = cloud.cloud.store.audit_entries(0, 100).await.unwrap();
    assert_eq!(audit.iter().filter(|line| line.actor == "system/register").count(), 2);
    // Once is enough.
    let lines = audit.len();
    let cloud = cloud.restart().await;
    assert_eq!(cloud.cloud.store.audit_entries(0, 100).await.unwrap().len(), lines);
}

#[tokio::test]
async fn without_the_register_a_station_that_remembers_is_enough() {
    let cloud = TestCloud::start().await;
    let (erased, stays) = (cloud.enrol("ada").await, cloud.enrol("bea").await);
    let template = cloud.cloud.store.rider(erased.parse().unwrap()).await.unwrap().unwrap().face.unwrap().template;
    let cloud = cloud.restart_after(back_up).await;
    erase(&cloud, &erased).await;
    let lost = |dir: &Path| {
        put_back(dir);
        std::fs::remove_dir_all(TestCloud::register(dir)).unwrap();
    };
    let cloud = cloud.restart_after(lost).await;
    assert_eq!(faces(&cloud).await.len(), 2, "nothing here knows better");

    let templates_come_back = vec![template.as_bytes().to_vec()];
    let status = v1::StationStatus { templates_come_back, come_back_refused: 1, ..Default::default() };
    cloud.station("north").report(status).await.unwrap();
    assert_eq!(faces(&cloud).await, [stays]);
    let audit = cloud.cloud.store.audit_entries(0, 100).await.unwrap();
    assert!(audit.iter().any(|line| line.actor == "system/north" && line.action == "rider.face-come-back"));
    // And the register knows it from now on.
    let cloud = cloud.restart_after(put_back).await;
    assert_eq!(faces(&cloud).await.len(), 1);
}
