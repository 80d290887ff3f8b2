//! Committed means flushed by sled and synced by us, for small values and for those that sled keeps in files.
#![allow(clippy::unwrap_used)]

use facegate_runtime::sled_sync::{SledSync, SledSyncError};

#[tokio::test]
async fn what_is_committed_is_in_the_files_of_that_moment() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("store");
    let db = sled::open(&home).unwrap();
    let sync = SledSync::start(db.clone(), &home).unwrap();
    db.insert("cursor", b"41").unwrap();
    db.insert("snapshot", vec![7; 3 << 20]).unwrap();
    sync.commit().await.unwrap();

    // What a machine that lost its power now would find: sled itself is not told to finish anything.
    let found = dir.path().join("found");
    copy(&home, &found);
    let found = sled::open(&found).unwrap();
    assert_eq!(found.get("cursor").unwrap().unwrap(), b"41");
    assert_eq!(found.get("snapshot").unwrap().unwrap().len(), 3 << 20);
}

#[tokio::test]
async fn commits_that_wait_together_all_return_and_the_database_opens_again() {
    let dir = tempfile::tempdir().unwrap();
    let db = sled::open(dir.path()).unwrap();
    let sync = SledSync::start(db.clone(), dir.path()).unwrap();
    let commits: Vec<_> = (0..200u32)
        .map(|number| {
            let (db, sync) = (db.clone(), sync.clone());
            tokio::spawn(async move {
                db.insert(number.to_be_bytes(), b"x").unwrap();
                sync.commit().await
            })
        })
        .collect();
    for commit in commits {
        commit.await.unwrap().unwrap();
    }
    drop((db, sync));
    assert_eq!(sled::open(dir.path()).unwrap().len(), 200);
}

#[tokio::test]
async fn a_failed_sync_is_told_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let db = sled::open(dir.path().join("store")).unwrap();
    // A directory that is not the database's: its log is not there to be synced.
    let sync = SledSync::start(db.clone(), &dir.path().join("elsewhere")).unwrap();
    assert!(matches!(sync.commit().await, Err(SledSyncError::Sync { .. })));
    std::fs::create_dir_all(dir.path().join("elsewhere/blobs")).unwrap();
    std::fs::write(dir.path().join("elsewhere/db"), "").unwrap();
    assert!(matches!(sync.commit().await, Err(SledSyncError::Sync { .. })), "once failed, never trusted again");
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
