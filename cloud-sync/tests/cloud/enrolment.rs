//! Enrolment by an integrator.

use facegate_domain::Clock;
use facegate_domain::code::{CodeTolerance, Phone, RiderCertificate, verify};
use facegate_proto::v1;
use facegate_proto::v1::bind_account_request::Account;
use tonic::Code;

use crate::harness::{TestCloud, code, consenting_rider, enrol, new_rider};

#[tokio::test]
async fn a_face_without_consent_is_not_even_looked_at() {
    let cloud = TestCloud::start().await;
    let mut app = cloud.app();
    let rider = new_rider(&mut app).await;
    let refused = enrol(&mut app, &rider, b"no face").await.unwrap_err();
    assert_eq!((refused.code(), code(&refused)), (Code::FailedPrecondition, "consent_missing"));
    assert!(refused.message().contains("ride code"), "{refused}");
    assert_eq!(*cloud.cloud.store.head().borrow(), 1, "nothing but the issuer's key is on the feed");
}

#[tokio::test]
async fn nobody_is_enrolled_twice_neither_under_one_id_nor_under_two() {
    let cloud = TestCloud::start().await;
    let mut app = cloud.app();
    let rider = consenting_rider(&mut app).await;
    let enrolled = enrol(&mut app, &rider, b"ada").await.unwrap();
    assert_eq!(enrolled.feed_version, 2);
    let again = enrol(&mut app, &rider, b"somebody else").await.unwrap_err();
    assert_eq!((again.code(), code(&again)), (Code::AlreadyExists, "already_enrolled"));

    let other = consenting_rider(&mut app).await;
    let same_face = enrol(&mut app, &other, b"ada").await.unwrap_err();
    assert_eq!((same_face.code(), code(&same_face)), (Code::AlreadyExists, "already_enrolled"));
    assert!(!same_face.message().contains(&rider), "who it is stays untold");
    enrol(&mut app, &other, b"bea").await.unwrap();
}

#[tokio::test]
async fn two_enrolments_of_one_face_at_once_make_one() {
    let cloud = TestCloud::start().await;
    let mut app = cloud.app();
    let (one, two) = (consenting_rider(&mut app).await, consenting_rider(&mut app).await);
    let (mut first, mut second) = (cloud.app(), cloud.app());
    let (a, b) = tokio::join!(enrol(&mut first, &one, b"ada"), enrol(&mut second, &two, b"ada"));
    assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
}

#[tokio::test]
async fn after_erasure_the_same_face_may_enrol_again_and_after_a_restart_not_twice() {
    let cloud = TestCloud::start().await;
    let rider = cloud.enrol("ada").await;
    let mut app = cloud.app();
    app.erase_rider(v1::EraseRiderRequest { rider_id: rider.clone() }).await.unwrap();
    let refused = enrol(&mut app, &rider, b"ada").await.unwrap_err();
    assert_eq!(code(&refused), "erased_rider");
    cloud.enrol("ada").await;

    let cloud = cloud.restart().await;
    let mut app = cloud.app();
    let other = consenting_rider(&mut app).await;
    assert_eq!(code(&enrol(&mut app, &other, b"ada").await.unwrap_err()), "already_enrolled");
}

#[tokio::test]
async fn a_card_number_never_enters() {
    let cloud = TestCloud::start().await;
    let mut app = cloud.app();
    let rider = new_rider(&mut app).await;
    for number in ["4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111"] {
        let account = Some(Account::Acquirer(v1::AcquirerAccount { token: number.into(), acquirer: String::new() }));
        let refused = app.bind_account(v1::BindAccountRequest { rider_id: rider.clone(), account }).await.unwrap_err();
        assert_eq!((refused.code(), code(&refused)), (Code::InvalidArgument, "card_number"));
        assert!(!refused.message().contains("4111"), "{refused}");
    }
    let account = Some(Account::Acquirer(v1::AcquirerAccount { token: "tok_ok_1".into(), acquirer: String::new() }));
    app.bind_account(v1::BindAccountRequest { rider_id: rider, account }).await.unwrap();
}

#[tokio::test]
async fn a_top_up_that_is_sent_twice_is_booked_once() {
    let cloud = TestCloud::start().await;
    let mut app = cloud.app();
    let rider = new_rider(&mut app).await;
    let top_up = |minor, reference: &str| {
        let account = v1::WalletAccount { top_up_minor: minor, top_up_reference: reference.into() };
        v1::BindAccountRequest { rider_id: rider.clone(), account: Some(Account::Wallet(account)) }
    };
    for (minor, reference) in [(5000, ""), (5000, ""), (300, "booth-7")] {
        app.bind_account(top_up(minor, reference)).await.unwrap();
    }
    let conflict = app.bind_account(top_up(4000, "")).await.unwrap_err();
    assert_eq!(code(&conflict), "top_up_conflict");
    assert_eq!(code(&app.bind_account(top_up(-1, "x")).await.unwrap_err()), "bad_field");

    let wallet = facegate_domain::ledger::Account::Wallet(rider.parse().unwrap());
    let held = cloud.cloud.store.balance(wallet, "CNY".parse().unwrap()).await.unwrap();
    assert_eq!(held.minor(), -5300, "what is owed to the rider");
    assert!(cloud.cloud.store.trial_balance().await.unwrap().is_balanced());
}

#[tokio::test]
async fn a_certified_phone_makes_codes_that_verify_with_the_keys_on_the_feed() {
    let cloud = TestCloud::start().await;
    let mut app = cloud.app();
    let rider = new_rider(&mut app).await;
    let secret = [7; 32];
    let request = v1::CertifyPhoneRequest { rider_id: rider.clone(), phone_key: Phone::public_key(&secret).to_vec() };
    let certified = app.certify_phone(request).await.unwrap().into_inner();
    let phone = Phone::new(&secret, RiderCertificate::from_bytes(certified.certificate));
    let text = phone.show(cloud.clock.now(), [1; 8]);
    let issuer = cloud.cloud.enrolment.issuer_key();
    let verified = verify(&text, &[issuer], cloud.clock.now(), CodeTolerance::default()).unwrap();
    assert_eq!(verified.rider.to_string(), rider);

    let short = v1::CertifyPhoneRequest { rider_id: rider, phone_key: vec![1; 31] };
    assert_eq!(code(&app.certify_phone(short).await.unwrap_err()), "bad_field");
}

#[tokio::test]
async fn an_unknown_rider_and_empty_fields_are_refused_by_name() {
    let cloud = TestCloud::start().await;
    let mut app = cloud.app();
    for id in ["", "nobody", "67e55044-10b1-426f-9247-bb680e5fe0c8"] {
        let unknown = enrol(&mut app, id, b"ada").await.unwrap_err();
        assert_eq!((unknown.code(), code(&unknown)), (Code::NotFound, "unknown_rider"), "{id}");
    }
    let nameless = app.create_rider(v1::CreateRiderRequest { display_name: "  ".into() }).await.unwrap_err();
    assert_eq!(code(&nameless), "bad_field");
    let rider_id = new_rider(&mut app).await;
    let purpose = "marketing".to_owned();
    let consent = v1::GiveConsentRequest { rider_id, purpose, text_version: "1".into(), channel: "app".into() };
    let refused = app.give_consent(consent).await.unwrap_err();
    assert!(refused.message().contains("purpose") && code(&refused) == "bad_field", "{refused}");
}

#[tokio::test]
async fn every_act_is_in_the_audit_log_with_its_actor() {
    let cloud = TestCloud::start().await;
    let rider = cloud.enrol("ada").await;
    cloud.app().erase_rider(v1::EraseRiderRequest { rider_id: rider.clone() }).await.unwrap();
    let lines = cloud.cloud.store.audit_entries(0, 10).await.unwrap();
    let actions: Vec<&str> = lines.iter().map(|line| line.action.as_str()).collect();
    assert_eq!(actions, ["rider.create", "rider.consent", "rider.enrol", "rider.erase"]);
    assert!(lines.iter().all(|line| line.actor == "integrator/metro-app" && line.subject == rider));
    assert_eq!(cloud.cloud.store.verify_audit().await.unwrap(), Ok(4));
}
