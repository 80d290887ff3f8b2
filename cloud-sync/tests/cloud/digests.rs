//! Digests over what stations hold, and what they re-read by them.

use std::collections::BTreeMap;

use facegate_domain::fingerprint::{FactSet, Fingerprint, bucket_of, fact};
use facegate_domain::ids::{ModelId, RiderId};
use facegate_domain::tap::PassageOutcome;
use facegate_proto::v1;
use facegate_proto::v1::change::Change;

use crate::harness::{BEGIN, TestCloud};
use crate::intake::deliver;
use crate::riding::{Gate, face};

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
    for set in [templates(), FactSet::Denied, FactSet::Inside] {
        let expected = summed_up(&cloud, &set).await;
        assert_ne!(expected.root(), 0, "{set}");
        let digests = cloud.station("north").digests(v1::DigestsRequest { set: set.to_string() }).await.unwrap();
        assert_eq!(digests.into_inner().buckets, expected.buckets(), "{set}");
        roots.insert(set.to_string(), expected.root());
    }
    let said = report(&cloud, &[]).await.roots.into_iter().map(|root| (root.set, root.root));
    let said: BTreeMap<_, _> = said.filter(|(set, _)| set != "told").collect();
    assert_eq!(said, roots);
    let cloud = cloud.restart().await;
    let again = report(&cloud, &[]).await.roots.into_iter().map(|root| (root.set, root.root));
    assert_eq!(again.filter(|(set, _)| set != "told").collect::<BTreeMap<_, _>>(), roots);
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
