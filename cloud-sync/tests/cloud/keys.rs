//! A new generation of keys is taken into use while the cloud runs, and an old one is retired when nothing needs it.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use facegate_cloud_sync::rotation::{ISSUER_SETTLES, Rotation};
use facegate_cloud_sync::store::SealedValues;
use facegate_domain::code::Phone;
use facegate_proto::v1;
use facegate_runtime::keys::{FileKeys, KeyId, KeyProvider};

use crate::harness::TestCloud;

/// The operator's program, on the test's config.
pub fn command(dir: &Path, arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_facegate-cloud-sync");
    Command::new(program).args(arguments).arg("--config").arg(dir.join("cloud.toml")).output().unwrap()
}

/// What it printed; fails the test unless it succeeded.
pub fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What it said on standard error; fails the test if it succeeded.
pub fn refused(output: &Output) -> String {
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn keys(dir: &Path) -> FileKeys {
    FileKeys::open(&dir.join("keys")).unwrap()
}

async fn sealed_under(cloud: &TestCloud, values: SealedValues) -> Vec<KeyId> {
    cloud.cloud.store.sealed_under(values).await.unwrap().into_keys().collect()
}

async fn name_of(cloud: &TestCloud, rider: &str) -> String {
    cloud.cloud.store.profile(rider.parse().unwrap()).await.unwrap().unwrap().display_name
}

#[tokio::test]
async fn everything_is_sealed_anew_while_the_cloud_runs_and_the_old_key_can_go() {
    let cloud = TestCloud::start().await;
    let riders = [cloud.enrol("ada").await, cloud.enrol("bea").await];
    let provider = keys(cloud.dir.path());
    let old = provider.key("templates").unwrap().id();
    let identities = provider.key("identities").unwrap().id();
    let made = done(&command(cloud.dir.path(), &["keys", "rotate", "--purpose", "templates"]));
    let new = provider.key("templates").unwrap().id();
    assert!(made.contains(&format!("{new:?}")) && new != old, "{made}");

    let mut rotation = Rotation::new(Arc::clone(&cloud.cloud), Arc::new(provider.clone()));
    rotation.look().await.unwrap();
    assert_eq!(sealed_under(&cloud, SealedValues::Templates).await, [new]);
    assert_eq!(sealed_under(&cloud, SealedValues::Identities).await, [identities], "the other purpose is left alone");
    let third = cloud.enrol("cid").await;
    let templates = cloud.cloud.store.templates(None, 10).await.unwrap();
    assert_eq!(templates.len(), 3, "all are read under the new key");
    for rider in riders.iter().chain([&third]) {
        assert_eq!(name_of(&cloud, rider).await, "A rider");
    }
    let audit = cloud.cloud.store.audit_entries(0, 100).await.unwrap();
    let uses =
        audit.iter().filter(|line| line.action == "key.first-use" && line.subject == format!("templates/{new:?}"));
    assert_eq!(uses.count(), 1);
    drop(rotation);

    let retire = |key: KeyId| {
        move |dir: &Path| {
            let key = format!("{key:?}");
            let output = command(dir, &["keys", "retire", "--purpose", "templates", "--key", &key]);
            assert!(done(&output).contains("destroyed"));
            let listed = done(&command(dir, &["keys", "list"]));
            assert!(!listed.contains(&key) && listed.contains("newest"), "{listed}");
        }
    };
    let cloud = cloud.restart_after(retire(old)).await;
    assert_eq!(cloud.cloud.store.templates(None, 10).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_key_that_something_is_sealed_under_is_not_retired_and_the_newest_never() {
    let cloud = TestCloud::start().await;
    cloud.enrol("ada").await;
    let provider = keys(cloud.dir.path());
    let old = provider.key("identities").unwrap().id();
    let cloud = cloud
        .restart_after(move |dir| {
            let new = provider.rotate("identities").unwrap().id();
            let retire = |key: KeyId| {
                refused(&command(dir, &["keys", "retire", "--purpose", "identities", "--key", &format!("{key:?}")]))
            };
            assert!(retire(old).contains("values are still sealed under"));
            assert!(retire(new).contains("is the newest key"));
            assert!(
                refused(&command(dir, &["keys", "retire", "--purpose", "identities", "--key", "00"]))
                    .contains("keys list")
            );
            assert!(refused(&command(dir, &["keys", "rotate", "--purpose", "dinner"])).contains("identities"));
            assert!(done(&command(dir, &["keys", "reseal"])).contains("identities: 1 looked at, 1 sealed anew"));
            done(&command(dir, &["keys", "retire", "--purpose", "identities", "--key", &format!("{old:?}")]));
        })
        .await;
    assert!(refused(&command(cloud.dir.path(), &["keys", "list"])).contains("must be stopped"));
}

#[tokio::test]
async fn a_new_issuer_key_is_published_at_once_and_signs_when_gates_have_had_time_to_hear_of_it() {
    let cloud = TestCloud::start().await;
    let rider = cloud.enrol("ada").await;
    let provider = keys(cloud.dir.path());
    let first = cloud.cloud.enrolment.issuer_key();
    provider.rotate("ride-code-issuer").unwrap();
    let rotation = Rotation::new(Arc::clone(&cloud.cloud), Arc::new(provider));
    rotation.publish_issuers().await.unwrap();
    let published = crate::feed::snapshot(&cloud, "north").await.facts.into_iter().find_map(|fact| match fact.change {
        Some(crate::feed::Change::IssuerKeys(keys)) => Some(keys.keys),
        _ => None,
    });
    assert_eq!(published.unwrap().len(), 2);
    assert_eq!(cloud.cloud.enrolment.issuer_key(), first, "gates must hear of the new one first");

    cloud.clock.advance(ISSUER_SETTLES + Duration::from_secs(1));
    rotation.publish_issuers().await.unwrap();
    assert_ne!(cloud.cloud.enrolment.issuer_key(), first);
    let phone_key = Phone::public_key(&[9; 32]).to_vec();
    let certify = v1::CertifyPhoneRequest { rider_id: rider, phone_key };
    cloud.app().certify_phone(certify).await.unwrap();
}
