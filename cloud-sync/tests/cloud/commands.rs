//! The operator's commands, by the program itself.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use facegate_domain::ids::RiderId;
use facegate_proto::v1;
use facegate_proto::v1::change::Change;
use facegate_runtime::identity::Role;
use tonic::Code;

use crate::feed::{next, snapshot};
use crate::harness::{BEGIN, FARES, TestCloud};
use crate::import;
use crate::journeys::ride;
use crate::keys::{done, refused};
use crate::rides::{items, trips};

/// Runs the program while the test's cloud goes on serving.
async fn run(arguments: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_facegate-cloud-sync"));
    program.args(arguments);
    tokio::task::spawn_blocking(move || program.output().unwrap()).await.unwrap()
}

/// `tell` with a certificate of this role.
async fn tell(cloud: &TestCloud, role: Role, what: &[&str]) -> Output {
    tell_as(cloud, (role, "ada"), what).await
}

async fn tell_as(cloud: &TestCloud, (role, name): (Role, &str), what: &[&str]) -> Output {
    cloud.identity(role, name);
    let tls = cloud.dir.path().join("tls");
    let file = |name: &str| tls.join(name).display().to_string();
    let (cert, key, ca) =
        (file(&format!("{role}-{name}.pem")), file(&format!("{role}-{name}-key.pem")), file("ca.pem"));
    let who = ["tell", "--cloud", cloud.uri(), "--cert", &cert, "--key", &key, "--ca", &ca];
    run(&[&who, what].concat()).await
}

async fn actions(cloud: &TestCloud) -> Vec<String> {
    let audit = cloud.cloud.store.audit_entries(0, 100).await.unwrap();
    audit.into_iter().filter(|line| line.actor == "operator/ada").map(|line| line.action).collect()
}

#[tokio::test]
async fn what_the_program_tells_reaches_stations_and_the_audit_log() {
    let cloud = TestCloud::start().await;
    let head = *cloud.cloud.store.head().borrow();
    let fares = cloud.dir.path().join("next.toml");
    std::fs::write(&fares, FARES.as_str()).unwrap();
    let fares = fares.display().to_string();
    let say = async |what: &[&str]| done(&tell(&cloud, Role::Operator, what).await);
    let settings = ["settings", "--station", "north", "--sightings", "false", "--risk-budget", "5"];
    assert!(say(&settings).await.contains(&format!("from version {}", head + 1)));
    say(&["mode", "closed", "--station", "north"]).await;
    say(&["fares", &fares]).await;
    let listed = say(&["list"]).await;
    for told in ["settings  north", "mode      north  closed", "fares     test  valid from 2019-12-31"] {
        assert!(listed.contains(told), "{told}: {listed}");
    }
    let follow = v1::SubscribeRequest { after_version: head, feed_level: 2, ..Default::default() };
    let mut changes = cloud.station("north").subscribe(follow).await.unwrap().into_inner();
    let Some(Change::Settings(settings)) = next(&mut changes).await.change else { panic!("settings come first") };
    assert_eq!((settings.sightings_enabled, settings.risk_budget), (Some(false), Some(5.0)));
    assert!(matches!(next(&mut changes).await.change, Some(Change::Mode(m)) if m.mode == "closed"));
    assert!(matches!(next(&mut changes).await.change, Some(Change::FareTable(t)) if t.toml == *FARES));
    say(&["mode", "none", "--station", "north"]).await;
    say(&["withdraw-fares", "test"]).await;
    let listed = say(&["list"]).await;
    assert!(!listed.contains("closed") && !listed.contains("fares"), "{listed}");
    let told = ["stations.settings", "stations.mode", "fares.publish", "stations.mode", "fares.withdraw"];
    assert_eq!(actions(&cloud).await, told);
}

#[tokio::test]
async fn the_program_asks_for_waivers_lists_decides_about_and_ends_them() {
    let cloud = TestCloud::start().await;
    let rider = RiderId::random();
    ride(&cloud, rider, BEGIN).await;
    cloud.clock.advance(Duration::from_secs(3600));
    trips(&cloud, rider, |trips| trips.len() == 1 && items(&trips[0]) == [400]).await;
    let say = async |who: &str, what: &[&str]| tell_as(&cloud, (Role::Operator, who), what).await;
    let time = ["--from", "2026-11-18T19:00:00+08:00", "--until", "2026-11-18T19:30:00+08:00"];
    let waive = [["waive", "--reason", "storm", "--station", "north"].as_slice(), &time].concat();
    let previewed = done(&say("ada", &[waive.as_slice(), &["--preview"]].concat()).await);
    assert!(previewed.contains("1 settled rides of 1 riders cost 4.00 CNY now"), "{previewed}");
    assert!(actions(&cloud).await.is_empty());
    let told = done(&say("ada", &waive).await);
    let id = told.split_whitespace().nth(1).unwrap().to_owned();
    assert!(told.contains("waits for another person") && told.contains("--shown-minor 400"), "{told}");
    let listed = done(&say("bob", &["waivers"]).await);
    let line = format!("{id}  awaiting approval  fare at north, 2026-11-18T11:00:00Z to 2026-11-18T11:30:00Z");
    assert!(listed.contains(&line) && listed.contains("by operator/ada: storm"), "{listed}");
    let approve = ["approve-waiver", &id, "--shown-minor", "400"];
    assert!(refused(&say("ada", &approve).await).contains("another person has to decide"));
    let grown = refused(&say("bob", &["approve-waiver", &id, "--shown-minor", "300"]).await);
    assert!(grown.contains("4.00 CNY by now, which is considerably more than 3.00 CNY"), "{grown}");
    assert!(done(&say("bob", &approve).await).contains("priced anew"));
    trips(&cloud, rider, |trips| items(&trips[0]) == [400, -400]).await;
    assert!(refused(&say("bob", &["reject-waiver", &id]).await).contains("done already"));
    let ended = done(&say("bob", &["end-waiver", &id, "--at", "2026-11-18T19:00:00+08:00"]).await);
    assert!(ended.contains("is withdrawn"), "{ended}");
    trips(&cloud, rider, |trips| items(&trips[0]) == [400, -400, 400]).await;
    let listed = done(&say("bob", &["waivers"]).await);
    assert!(listed.contains("withdrawn  fare") && listed.contains("by operator/ada and operator/bob"), "{listed}");
    assert_eq!(actions(&cloud).await, ["fares.waive"]);
    assert!(refused(&say("bob", &["end-waiver", "1"]).await).contains("waiver_id"));
}

#[tokio::test]
async fn the_program_ends_a_stations_lease_and_gives_it_back() {
    let cloud = TestCloud::start().await;
    let lease = async || cloud.station("north").lease(v1::LeaseRequest::default()).await;
    let before = lease().await.unwrap().into_inner();
    let unknown = refused(&tell(&cloud, Role::Operator, &["standing", "nowhere", "revoked"]).await);
    assert!(unknown.contains("no station nowhere"), "{unknown}");
    let wrong = refused(&tell(&cloud, Role::Operator, &["standing", "north", "promoted"]).await);
    assert!(wrong.contains("promoted"), "{wrong}");
    let said = done(&tell(&cloud, Role::Operator, &["standing", "north", "revoked"]).await);
    assert!(said.contains("north is revoked") && said.contains("generation 2"), "{said}");
    assert_eq!(lease().await.unwrap_err().code(), Code::PermissionDenied);
    let report = cloud.station("north").report(v1::StationStatus::default()).await.unwrap().into_inner();
    assert!(report.lease_revoked);
    done(&tell(&cloud, Role::Operator, &["standing", "north", "active"]).await);
    let after = lease().await.unwrap().into_inner();
    assert!(after.generation == 2 && after.key != before.key);
    done(&tell(&cloud, Role::Operator, &["standing", "north", "decommissioned"]).await);
    assert_eq!(actions(&cloud).await, ["station.revoked", "station.active", "station.decommissioned"]);
}

#[tokio::test]
async fn the_program_is_refused_without_an_operators_certificate_and_says_so() {
    let cloud = TestCloud::start().await;
    cloud.station("north").lease(v1::LeaseRequest::default()).await.unwrap();
    for role in [Role::Station, Role::Integrator] {
        let said = refused(&tell(&cloud, role, &["mode", "closed"]).await);
        assert!(said.contains("role operator"), "{said}");
    }
    // One that may look may look, and nothing else.
    done(&tell(&cloud, Role::Monitor, &["list"]).await);
    for what in [["mode", "closed"].as_slice(), &["standing", "north", "revoked"]] {
        let said = refused(&tell(&cloud, Role::Monitor, what).await);
        assert!(said.contains("monitor"), "{said}");
    }
    assert!(actions(&cloud).await.is_empty());
}

#[tokio::test]
async fn the_program_imports_riders_into_a_stopped_cloud_and_stations_take_them_when_it_starts() {
    let cloud = TestCloud::start().await;
    let file = cloud.dir.path().join("riders.jsonl");
    let lines: String = (0..3).map(|_| import::line(RiderId::random())).collect();
    std::fs::write(&file, lines).unwrap();
    let config = cloud.dir.path().join("cloud.toml").display().to_string();
    let file = file.display().to_string();
    let import = ["import", "--config", &config, &file];
    let said = refused(&run(&import).await);
    assert!(said.contains("out of reach") || said.contains("lock"), "the store is the running cloud's: {said}");
    let cloud = cloud
        .restart_after(|_: &Path| {
            let program = || Command::new(env!("CARGO_BIN_EXE_facegate-cloud-sync")).args(import).output().unwrap();
            assert!(done(&program()).contains("3 lines, 3 new riders"));
            assert!(done(&program()).contains("3 lines, 0 new riders"));
        })
        .await;
    let facts = snapshot(&cloud, "north").await.facts;
    assert_eq!(facts.iter().filter(|fact| matches!(fact.change, Some(Change::TemplatePut(_)))).count(), 3);
}
