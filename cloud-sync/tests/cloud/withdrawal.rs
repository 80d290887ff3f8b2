//! Taking consent back: the face goes, the rider stays.

use facegate_proto::v1;
use serde_json::{Value, json};

use crate::browser::App;
use crate::feed::{Change, next, snapshot, subscribe};
use crate::harness::{TestCloud, code, enrol, give_consent};

pub async fn withdraw(cloud: &TestCloud, rider: &str) -> Result<v1::ErasureReceipt, tonic::Status> {
    let asked = v1::WithdrawConsentRequest { rider_id: rider.into(), purpose: "recognition".into() };
    cloud.app().withdraw_consent(asked).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn the_face_goes_everywhere_the_account_stays_and_he_may_come_again() {
    let cloud = TestCloud::start().await;
    let rider = cloud.enrol("ada").await;
    let account =
        v1::bind_account_request::Account::Wallet(v1::WalletAccount { top_up_minor: 1000, ..Default::default() });
    let bind = v1::BindAccountRequest { rider_id: rider.clone(), account: Some(account) };
    cloud.app().bind_account(bind).await.unwrap();
    let head = *cloud.cloud.store.head().borrow();
    let mut changes = subscribe(&cloud, "north", head).await;

    let receipt = withdraw(&cloud, &rider).await.unwrap();
    assert_eq!((receipt.scope.as_str(), receipt.r#final), ("face", false));
    assert_eq!(receipt.outstanding_stations, ["north"]);
    assert_eq!(withdraw(&cloud, &rider).await.unwrap(), receipt, "asking again is the same withdrawal");
    let removal = next(&mut changes).await;
    assert!(matches!(removal.change, Some(Change::RiderRemoved(_))), "{removal:?}");
    let put = |fact: &v1::Change| matches!(fact.change, Some(Change::TemplatePut(_)));
    assert!(!snapshot(&cloud, "south").await.facts.iter().any(put));
    let id = rider.parse().unwrap();
    assert!(
        cloud.cloud.store.account(id).await.unwrap().is_some()
            && cloud.cloud.store.profile(id).await.unwrap().is_some()
    );
    let status = v1::StationStatus { applied_version: removal.version, ..Default::default() };
    cloud.station("north").report(status).await.unwrap();
    assert!(withdraw(&cloud, &rider).await.unwrap().r#final);
}

#[tokio::test]
async fn without_a_new_consent_there_is_no_new_face_and_with_one_it_survives_a_restart() {
    let cloud = TestCloud::start().await;
    let rider = cloud.enrol("ada").await;
    withdraw(&cloud, &rider).await.unwrap();
    assert_eq!(code(&enrol(&mut cloud.app(), &rider, b"ada").await.unwrap_err()), "consent_missing");
    cloud.clock.advance(std::time::Duration::from_secs(60));
    give_consent(&mut cloud.app(), &rider).await;
    let enrolled = enrol(&mut cloud.app(), &rider, b"ada").await.unwrap();
    let cloud = cloud.restart().await;
    let face = cloud.cloud.store.rider(rider.parse().unwrap()).await.unwrap().unwrap().face.unwrap();
    assert_eq!(face.template.to_string(), enrolled.template_id, "the register names the face of before, not this one");
}

#[tokio::test]
async fn apps_withdraw_over_rest_too_and_are_told_what_cannot_be() {
    let cloud = TestCloud::start().await;
    let app = App::new(&cloud);
    let rider = cloud.enrol("ada").await;
    let path = format!("/v1/riders/{rider}/consents/recognition");
    let receipt = app.call("delete", &path, Value::Null, 200).await;
    assert_eq!((&receipt["scope"], &receipt["final"]), (&json!("face"), &json!(true)));
    let same =
        app.call("get", &format!("/v1/erasures/{}", receipt["erasure_id"].as_str().unwrap()), Value::Null, 200).await;
    assert_eq!(same, receipt);
    app.call("delete", &format!("/v1/riders/{rider}/consents/marketing"), Value::Null, 422).await;
    let other = crate::harness::new_rider(&mut cloud.app()).await;
    let refused = app.call("delete", &format!("/v1/riders/{other}/consents/recognition"), Value::Null, 409).await;
    assert_eq!(refused["code"], "consent_missing");
}
