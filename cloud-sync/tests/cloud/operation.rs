//! What the operator tells stations, from his call to the feed.

use facegate_proto::v1;
use facegate_proto::v1::change::Change;
use facegate_proto::v1::instruct_request::Instruction;
use facegate_proto::v1::ops_service_client::OpsServiceClient;
use facegate_runtime::identity::Role;
use tonic::Code;
use tonic::transport::Channel;

use crate::feed::{next, snapshot, subscribe};
use crate::harness::{FARES, TestCloud};

pub async fn instruct(ops: &mut OpsServiceClient<Channel>, told: Instruction) -> Result<u64, tonic::Status> {
    let request = v1::InstructRequest { instruction: Some(told) };
    Ok(ops.instruct(request).await?.into_inner().version)
}

fn mode(mode: &str) -> Instruction {
    Instruction::Mode(v1::StationMode { station: "north".into(), mode: mode.into() })
}

pub fn fares(toml: &str) -> Instruction {
    let valid_from_unix_ms = facegate_domain::fares::FareTable::parse(toml).map_or(0, |t| t.valid_from().unix_ms());
    Instruction::FareTable(v1::FareTable { name: "test".into(), valid_from_unix_ms, toml: toml.into() })
}

async fn follow_with_level(cloud: &TestCloud, after_version: u64, feed_level: u32) -> tonic::Streaming<v1::Change> {
    let request = v1::SubscribeRequest { after_version, feed_level, ..Default::default() };
    cloud.station("north").subscribe(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn what_the_operator_tells_reaches_stations_once_audited_and_stays_told() {
    let cloud = TestCloud::start().await;
    let mut ops = OpsServiceClient::new(cloud.channel(Role::Operator, "ada"));
    let settings = v1::StationSettings { risk_budget: Some(3.0), offline_days_max: Some(4), ..Default::default() };
    let first = instruct(&mut ops, Instruction::Settings(settings.clone())).await.unwrap();
    instruct(&mut ops, fares(&FARES)).await.unwrap();
    instruct(&mut ops, mode("closed")).await.unwrap();
    let mut changes = follow_with_level(&cloud, first - 1, 2).await;
    assert_eq!(next(&mut changes).await.change, Some(Change::Settings(settings)));
    assert!(matches!(next(&mut changes).await.change, Some(Change::FareTable(t)) if t.toml == *FARES));
    assert!(matches!(next(&mut changes).await.change, Some(Change::Mode(m)) if m.mode == "closed"));
    let told = ops.instructions(v1::InstructionsRequest {}).await.unwrap().into_inner().instructions;
    assert_eq!(told.len(), 3);
    let audit = cloud.cloud.store.audit_entries(0, 100).await.unwrap();
    let by_ada = audit.iter().filter(|line| line.actor == "operator/ada");
    let actions: Vec<_> = by_ada.map(|line| line.action.as_str()).collect();
    assert_eq!(actions, ["stations.settings", "fares.publish", "stations.mode"]);
    instruct(&mut ops, mode("")).await.unwrap();
    let told = ops.instructions(v1::InstructionsRequest {}).await.unwrap().into_inner().instructions;
    assert_eq!(told.len(), 2, "a mode that ended is not told to whoever comes later");
}

#[tokio::test]
async fn only_an_operator_instructs_and_what_cannot_be_followed_is_refused() {
    let cloud = TestCloud::start().await;
    let head = *cloud.cloud.store.head().borrow();
    for role in [Role::Monitor, Role::Station, Role::Integrator] {
        let mut other = OpsServiceClient::new(cloud.channel(role, "someone"));
        assert_eq!(instruct(&mut other, mode("closed")).await.unwrap_err().code(), Code::PermissionDenied);
    }
    let mut ops = OpsServiceClient::new(cloud.channel(Role::Operator, "ada"));
    let budget = v1::StationSettings { risk_budget: Some(0.0), ..Default::default() };
    for wrong in [mode("ajar"), Instruction::Settings(budget), fares("name = 'test'"), fares(&"#".repeat(300_000))] {
        let refused = instruct(&mut ops, wrong).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    }
    assert_eq!(*cloud.cloud.store.head().borrow(), head);
    let audit = cloud.cloud.store.audit_entries(0, 100).await.unwrap();
    assert!(audit.iter().all(|line| line.actor != "operator/ada"), "nothing was done: {audit:?}");
}

#[tokio::test]
async fn a_station_is_sent_nothing_that_it_does_not_understand_and_fetches_it_later() {
    let cloud = TestCloud::start().await;
    let mut ops = OpsServiceClient::new(cloud.channel(Role::Operator, "ada"));
    instruct(&mut ops, mode("closed")).await.unwrap();
    cloud.enrol("ada").await;
    // A station of before says no level.
    let mut old = subscribe(&cloud, "north", 0).await;
    assert!(matches!(next(&mut old).await.change, Some(Change::IssuerKeys(_))));
    assert!(matches!(next(&mut old).await.change, Some(Change::TemplatePut(_))));
    let of = |whole: v1::SnapshotChunk| whole.facts.into_iter().filter(|f| matches!(f.change, Some(Change::Mode(_))));
    assert_eq!(of(snapshot(&cloud, "north").await).count(), 0);
    let mut new = follow_with_level(&cloud, 1, 2).await;
    assert!(matches!(next(&mut new).await.change, Some(Change::Mode(_))));
}
