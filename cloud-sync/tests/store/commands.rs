//! The operator's own program on a store in PostgreSQL, while replicas may run.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use facegate_cloud_sync::register::{Erased, Register};
use facegate_cloud_sync::store::{ErasureId, ErasureScope, FeedStore, RiderStore};
use facegate_runtime::disk::RealDisk;
use facegate_runtime::identity::TlsPaths;
use facegate_runtime::keys::KeyProvider;

use crate::places::{Backend, KEPT, Place};
use crate::trial::TrialCloud;
use crate::world::{after, enrolled, fares_text};

/// Writes the config of a cloud on this database.
fn configure(place: &Place) {
    let dir = place.dir.path();
    let tls =
        TlsPaths { cert: dir.join("cloud.pem"), key: dir.join("cloud-key.pem"), ca: dir.join("ca.pem"), crl: None };
    // These commands show nobody a certificate.
    for file in [&tls.cert, &tls.key, &tls.ca] {
        std::fs::write(file, "").unwrap();
    }
    let more = format!("erasures_dir = \"{}\"", dir.join("erasures").display());
    let trial = TrialCloud { postgres: place.url.as_deref(), more, ..TrialCloud::new(dir, tls) };
    trial.config(&fares_text()).unwrap();
    std::fs::write(dir.join("cloud.toml"), trial.text()).unwrap();
}

fn command(dir: &Path, arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_facegate-cloud-sync");
    Command::new(program).args(arguments).arg("--config").arg(dir.join("cloud.toml")).output().unwrap()
}

fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn refused(output: &Output) -> String {
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_listed_rotated_resealed_and_retired_over_postgresql() {
    let place = Place::new(Backend::Postgres).await;
    configure(&place);
    let dir = place.dir.path();
    let running = place.open_postgres(KEPT).await;
    let face = enrolled(&running).await;
    let old = format!("{:?}", place.keys().key("templates").unwrap().id());
    done(&command(dir, &["keys", "rotate", "--purpose", "templates"]));
    let listed = done(&command(dir, &["keys", "list"]));
    // The face, and the value that the keys are checked by.
    assert!(listed.lines().any(|line| line.contains(&old) && line.contains("older") && line.ends_with("2 values")));
    let retire = || command(dir, &["keys", "retire", "--purpose", "templates", "--key", &old]);
    assert!(refused(&retire()).contains("2 values are still sealed under"));
    assert!(done(&command(dir, &["keys", "reseal"])).contains("templates: 1 looked at, 1 sealed anew"));
    assert!(refused(&retire()).contains("a replica may still seal under"), "it is not a minute old");
    sqlx::query("UPDATE core.key_use SET since = since - 60000").execute(&mut place.database().await).await.unwrap();
    assert!(done(&retire()).contains("destroyed"));
    assert!(!done(&command(dir, &["keys", "list"])).contains(&old));
    drop(running);
    assert_eq!(place.open_postgres(KEPT).await.templates(None, 10).await.unwrap(), [face]);
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_database_is_served_from_when_every_register_has_been_heard() {
    let place = Place::new(Backend::Postgres).await;
    configure(&place);
    let dir = place.dir.path();
    let store = place.open_postgres(KEPT).await;
    let [here, elsewhere, stays] = [enrolled(&store).await, enrolled(&store).await, enrolled(&store).await];
    let before = *store.head().borrow();
    // Erased after the backup that lies in the database now: by this replica, and by one that is gone.
    for (folder, face, scope) in
        [("erasures", &here, ErasureScope::Rider), ("of-another", &elsewhere, ErasureScope::Face)]
    {
        let register = Register::open(Arc::new(RealDisk), &dir.join(folder)).unwrap();
        let (rider, templates) = (face.rider, vec![face.id]);
        register.append(&Erased { erasure: ErasureId::random(), rider, scope, templates, at: after(5) }).await.unwrap();
    }
    drop(store);
    let (another, nowhere) = (dir.join("of-another"), dir.join("nowhere"));
    let register = |dir: &Path| format!("--register={}", dir.display());
    assert!(refused(&command(dir, &["restore", "cloud.dump"])).contains("by the means of that database"));
    assert!(refused(&command(dir, &["restore", &register(&nowhere)])).contains("there is no register of erasures"));
    let said = done(&command(dir, &["restore", &register(&another)]));
    assert!(said.contains("1 erasures of") && said.contains("2 erased again"), "{said}");
    assert!(refused(&command(dir, &["backup", "somewhere"])).contains("pg_dump"));

    let store = place.open_postgres(KEPT).await;
    assert_eq!(store.templates(None, 10).await.unwrap(), [stays]);
    assert!(store.changes_after(before, 10).await.unwrap().is_err(), "every station takes a snapshot");
    let known = store.rider(elsewhere.rider).await.unwrap().unwrap();
    assert!(known.erasure.is_none() && known.consents.is_empty(), "his face alone was withdrawn");
    // From now on this replica's own register says it.
    let own = Register::open(Arc::new(RealDisk), &dir.join("erasures")).unwrap();
    assert_eq!(own.read(0, 10).unwrap().len(), 2);
    drop(store);
    place.remove().await;
}
