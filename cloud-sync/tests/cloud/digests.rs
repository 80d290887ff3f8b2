//! Digests over what stations hold, and what they re-read by them.

use std::collections::BTreeMap;

use facegate_domain::fingerprint::{FactSet, Fingerprint, bucket_of, content_fact, content_of, fact};
use facegate_domain::habits::{Hours, Regular};
use facegate_domain::ids::{ModelId, RiderId};
use facegate_domain::tap::PassageOutcome;
use facegate_proto::convert::sync::template_from_wire;
use facegate_proto::v1;
use facegate_proto::v1::change::Change;

use crate::harness::{BEGIN, TestCloud};
use crate::intake::deliver;
use crate::riding::{Gate, face};

fn contents() -> FactSet {
    FactSet::Contents(ModelId::new("text").unwrap())
}

fn templates() -> FactSet {
    FactSet::Templates(ModelId::new("text").unwrap())
}

async fn report(cloud: &TestCloud, roots: &[v1::SetRoot]) -> v1::ReportResponse {
    let applied_version = *cloud.cloud.store.head().borrow();
    let status = v1::StationStatus { applied_version, roots: roots.to_vec(), ..Default::default() };
    cloud.station("north").report(status).await.unwrap().into_inner()
}

/// The facts of a set as a station that takes a snapshot would sum them up.
async fn summed_up(cloud: &TestCloud, set: &FactSet) -> Fingerprint {
    let mut all = Fingerprint::new(set.buckets());
    for told in crate::feed::snapshot(cloud, "north").await.facts {
        match (set, told.change) {
            (FactSet::Templates(_), Some(Change::TemplatePut(put))) => {
                let template = put.template.unwrap();
                let id: [u8; 16] = template.template.as_slice().try_into().unwrap();
                all.toggle(&id, fact(&[&id, &template.rider]));
            }
            (FactSet::Contents(_), Some(Change::TemplatePut(put))) => {
                let template = template_from_wire(put.template.unwrap()).unwrap();
                let fact = content_fact(template.id, template.rider, content_of(&template));
                all.toggle(template.id.as_bytes(), fact);
            }
            (FactSet::Denied, Some(Change::Denied(denied))) => {
                let id: [u8; 16] = denied.rider.as_slice().try_into().unwrap();
                all.toggle(&id, fact(&[&id]));
            }
            (FactSet::Inside, Some(Change::EnteredSystem(entered))) => {
                let id: [u8; 16] = entered.rider.as_slice().try_into().unwrap();
                let entry: facegate_domain::ids::RecordId = entered.entry.unwrap().try_into().unwrap();
                all.toggle(&id, fact(&[&id, entry.to_string().as_bytes()]));
            }
            _ => (),
        }
    }
    all
}

#[tokio::test]
async fn digests_follow_every_change_and_are_what_a_snapshot_sums_up_to() {
    let cloud = TestCloud::start().await;
    let (ada, bea): (RiderId, RiderId) =
        (cloud.enrol("ada").await.parse().unwrap(), cloud.enrol("bea").await.parse().unwrap());
    let mut gate = Gate::entry("north");
    deliver(&cloud, "north", gate.pass(ada, BEGIN, face(), PassageOutcome::Passed).into()).await.unwrap();
    deliver(&cloud, "north", gate.pass(bea, BEGIN, face(), PassageOutcome::Passed).into()).await.unwrap();
    cloud.cloud.store.set_denied(bea, true).await.unwrap();
    cloud.cloud.store.erase_rider(facegate_cloud_sync::store::ErasureId::random(), ada, BEGIN).await.unwrap();
    cloud.enrol("cid").await;
    let mut roots = BTreeMap::new();
    for set in [templates(), contents(), FactSet::Denied, FactSet::Inside] {
        let expected = summed_up(&cloud, &set).await;
        assert_ne!(expected.root(), 0, "{set}");
        let digests = cloud.station("north").digests(v1::DigestsRequest { set: set.to_string() }).await.unwrap();
        assert_eq!(digests.into_inner().buckets, expected.buckets(), "{set}");
        roots.insert(set.to_string(), expected.root());
    }
    let said = report(&cloud, &[]).await.roots.into_iter().map(|root| (root.set, root.root));
    // Nobody has told anything, and nobody is a regular.
    let others = |set: &str| set != "told" && set != "regulars/north";
    let said: BTreeMap<_, _> = said.filter(|(set, _)| others(set)).collect();
    assert_eq!(said, roots);
    let cloud = cloud.restart().await;
    let again = report(&cloud, &[]).await.roots.into_iter().map(|root| (root.set, root.root));
    assert_eq!(again.filter(|(set, _)| others(set)).collect::<BTreeMap<_, _>>(), roots);
}

#[tokio::test]
async fn a_station_that_differs_is_seen_and_re_reads_one_bucket() {
    let cloud = TestCloud::start().await;
    for name in ["ada", "bea", "cid", "dov"] {
        cloud.enrol(name).await;
    }
    let whole = crate::feed::snapshot(&cloud, "north").await.facts;
    let template = whole.into_iter().find_map(|fact| match fact.change {
        Some(Change::TemplatePut(put)) => put.template,
        _ => None,
    });
    let template = template.unwrap();
    let id: [u8; 16] = template.template.as_slice().try_into().unwrap();
    let root = v1::SetRoot { set: templates().to_string(), root: 17 };
    report(&cloud, &[root]).await;
    let stations = cloud.cloud.store.stations().await.unwrap();
    assert_eq!(stations[0].report.as_ref().unwrap().differs, [templates().to_string()]);
    let bucket = bucket_of(&id, 1024) as u32;
    let asked = v1::RereadRequest { set: templates().to_string(), buckets: vec![bucket], ..Default::default() };
    let mut parts = cloud.station("north").reread(asked).await.unwrap().into_inner();
    let part = parts.message().await.unwrap().unwrap();
    assert!(part.last && part.bucket == bucket);
    let held = part.facts.iter().filter_map(|fact| match &fact.change {
        Some(Change::TemplatePut(put)) => put.template.clone(),
        _ => None,
    });
    let held: Vec<_> = held.collect();
    assert!(held.contains(&template));
    assert!(held.iter().all(|t| bucket_of(&t.template.as_slice().try_into().unwrap(), 1024) as u32 == bucket));
    assert!(parts.message().await.unwrap().is_none());
    let beyond = v1::RereadRequest { set: "denied".into(), buckets: vec![64], ..Default::default() };
    assert!(cloud.station("north").reread(beyond).await.is_err());
}

#[tokio::test]
async fn regulars_are_compared_by_their_own_station_alone() {
    let cloud = TestCloud::start().await;
    let regular = Regular { rider: cloud.enrol("ada").await.parse().unwrap(), hours: Hours::NONE.with(8) };
    let north = facegate_domain::ids::StationId::new("north").unwrap();
    cloud.cloud.store.set_regulars(north, vec![regular]).await.unwrap();
    let set = "regulars/north";
    let root = facegate_domain::fingerprint::regular_fact(&regular);
    let told = |answer: &v1::ReportResponse| answer.roots.iter().find(|r| r.set == set).map(|root| root.root);
    assert_eq!(told(&report(&cloud, &[]).await), Some(root));
    // A station that is not in step is not compared: the list may have changed since its version.
    let head = *cloud.cloud.store.head().borrow();
    let roots = vec![v1::SetRoot { set: set.into(), root: 5 }];
    let late = v1::StationStatus { applied_version: head - 1, roots: roots.clone(), ..Default::default() };
    assert_eq!(told(&cloud.station("north").report(late).await.unwrap().into_inner()), None);
    let differs = async || {
        let station = facegate_domain::ids::StationId::new("north").unwrap();
        cloud.cloud.store.station(&station).await.unwrap().unwrap().report.unwrap().differs
    };
    assert_eq!(differs().await, Vec::<String>::new());
    report(&cloud, &roots).await;
    assert_eq!(differs().await, [set]);
    let asked = || v1::RereadRequest { set: set.into(), buckets: vec![0], ..Default::default() };
    let mut parts = cloud.station("north").reread(asked()).await.unwrap().into_inner();
    let facts = parts.message().await.unwrap().unwrap().facts;
    let Some(Change::Regulars(regulars)) = facts[0].change.clone() else { panic!("{facts:?}") };
    assert_eq!(regulars.riders[0].rider, regular.rider.as_bytes());
    let digests = v1::DigestsRequest { set: set.into() };
    for refused in [
        cloud.station("south").reread(asked()).await.map(drop).unwrap_err(),
        cloud.station("south").digests(digests).await.map(drop).unwrap_err(),
    ] {
        assert_eq!(refused.code(), tonic::Code::PermissionDenied);
    }
}
