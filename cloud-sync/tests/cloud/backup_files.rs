//! Backing up and putting back with the operator's own program.

use std::path::Path;

use facegate_proto::v1;
use facegate_runtime::keys::{FileKeys, KeyProvider};
use tonic::Code;

use crate::harness::TestCloud;
use crate::keys::{command, done, refused};

/// As an operator does who has lost the store: it is away, not deleted.
fn move_away(dir: &Path) {
    for name in ["core", "faces", "identity"] {
        std::fs::rename(dir.join("state").join(name), dir.join(format!("broken-{name}"))).unwrap();
    }
}

fn back_up(dir: &Path) {
    let said = done(&command(dir, &["backup", &dir.join("backup").display().to_string()]));
    assert!(said.contains("feed at") && said.contains("`templates` key"), "{said}");
}

fn restore(dir: &Path) -> std::process::Output {
    command(dir, &["restore", &dir.join("backup").display().to_string()])
}

#[tokio::test]
async fn a_backup_put_back_is_the_cloud_as_it_was_and_every_station_takes_a_snapshot() {
    let cloud = TestCloud::start().await;
    let kept = cloud.enrol("ada").await;
    let running = command(cloud.dir.path(), &["backup", "never-made"]);
    assert!(refused(&running).contains("another process"), "the store is in use");
    let cloud = cloud.restart_after(back_up).await;
    let before = *cloud.cloud.store.head().borrow();
    let lost = cloud.enrol("bea").await;
    let cursor = *cloud.cloud.store.head().borrow();
    let cloud = cloud
        .restart_after(|dir| {
            assert!(refused(&restore(dir)).contains("move it away"), "a store is never overwritten");
            move_away(dir);
            assert!(done(&restore(dir)).contains("stations will take a snapshot"));
            assert!(refused(&command(dir, &["backup", &dir.join("backup").display().to_string()])).contains("exists"));
        })
        .await;
    let rider = async |id: &str| cloud.cloud.store.rider(id.parse().unwrap()).await.unwrap();
    assert!(rider(&kept).await.unwrap().face.is_some());
    assert!(rider(&lost).await.is_none());
    assert_eq!(cloud.cloud.store.profile(kept.parse().unwrap()).await.unwrap().unwrap().display_name, "A rider");
    assert!(cloud.cloud.store.verify_audit().await.unwrap().is_ok());

    // Also the cursor that the restored log would have reached again with other changes in it.
    for cursor in [before, cursor, cursor + 1000] {
        let asked = v1::SubscribeRequest { after_version: cursor, ..Default::default() };
        let refused = cloud.station("north").subscribe(asked).await.map(drop).unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
    }
    let snapshot = crate::feed::snapshot(&cloud, "north").await;
    let asked = v1::SubscribeRequest { after_version: snapshot.version, ..Default::default() };
    cloud.station("north").subscribe(asked).await.unwrap();
}

#[tokio::test]
async fn a_damaged_backup_and_one_whose_key_is_gone_put_nothing_back() {
    let cloud = TestCloud::start().await;
    cloud.enrol("ada").await;
    let cloud = cloud
        .restart_after(|dir| {
            back_up(dir);
            move_away(dir);
            let file = dir.join("backup/core/db");
            let whole = std::fs::read(&file).unwrap();
            let mut damaged = whole.clone();
            damaged[whole.len() / 2] ^= 1;
            std::fs::write(&file, damaged).unwrap();
            assert!(refused(&restore(dir)).contains("core/db is not what the manifest says"));
            std::fs::write(&file, whole).unwrap();

            let (keys, away) = (dir.join("keys"), dir.join("keys-away"));
            std::fs::rename(&keys, &away).unwrap();
            assert!(refused(&restore(dir)).contains("put the key back"));
            std::fs::remove_dir_all(&keys).unwrap();
            std::fs::rename(&away, &keys).unwrap();
            assert!(!dir.join("state/core").exists(), "nothing was put back");

            // Cut short by a kill: the cloud does not start on half a store, and the next restore begins anew.
            std::fs::create_dir_all(dir.join("state/core")).unwrap();
            std::fs::write(dir.join("state/restoring"), "").unwrap();
            assert!(refused(&command(dir, &["keys", "list"])).contains("cut short"));
            done(&restore(dir));
            assert!(!dir.join("state/restoring").exists());
        })
        .await;
    assert_eq!(cloud.cloud.store.templates(None, 10).await.unwrap().len(), 1);
    assert!(FileKeys::open(&cloud.dir.path().join("keys")).unwrap().existing("templates").unwrap().is_some());
}
