//! Consent, faces, accounts, erasure.

use std::collections::BTreeSet;

use facegate_cloud_sync::store::{ErasureId, ErasureReceipt, Profile, Purpose, StationReport, Store, StoreError};
use facegate_domain::charge::{AcquirerName, AcquirerToken, Charge, Instrument};
use facegate_domain::ids::{RiderId, TemplateId};
use facegate_proto::convert::sync::FeedChange;

use crate::places::Place;
use crate::world::{NOW, after, consent, enrolled, items_of, rider, settled_ride, station, template};

pub async fn a_rider_is_created_once_and_known_by_name_to_the_identity_store_alone(place: &Place) {
    let store = place.open().await;
    let rider = RiderId::random();
    for name in ["Ada", "Somebody else"] {
        store.create_rider(rider, Profile { display_name: name.into() }, NOW).await.unwrap();
    }
    assert_eq!(store.profile(rider).await.unwrap().unwrap().display_name, "Ada");
    let known = store.rider(rider).await.unwrap().unwrap();
    assert!(!format!("{known:?}").contains("Ada"));
    assert_eq!(store.overview().await.unwrap().riders, 1);
    assert_eq!(store.rider(RiderId::random()).await.unwrap(), None);
    assert_eq!(store.profile(RiderId::random()).await.unwrap(), None);
}

pub async fn a_face_needs_a_consent_that_was_given_before(place: &Place) {
    let store = place.open().await;
    let unknown = store.put_template(template(RiderId::random()), NOW).await;
    assert!(matches!(unknown, Err(StoreError::UnknownRider(_))), "{unknown:?}");
    let rider = rider(&*store).await;
    let refused = store.put_template(template(rider), NOW).await;
    assert!(matches!(refused, Err(StoreError::ConsentMissing { purpose: Purpose::Recognition, .. })), "{refused:?}");
    let mut later = consent();
    later.given_at = after(10);
    store.record_consent(rider, later).await.unwrap();
    assert!(matches!(store.put_template(template(rider), NOW).await, Err(StoreError::ConsentMissing { .. })));
    assert!(store.templates(None, 10).await.unwrap().is_empty() && *store.head().borrow() == 0);

    let face = template(rider);
    let version = store.put_template(face.clone(), after(10)).await.unwrap();
    let known = store.rider(rider).await.unwrap().unwrap().face.unwrap();
    assert_eq!((known.template, known.feed_version), (face.id, version));
    assert_eq!(store.templates(None, 10).await.unwrap(), [face]);
    let again = store.put_template(template(rider), after(10)).await;
    assert!(matches!(again, Err(StoreError::AlreadyEnrolled(_))), "{again:?}");
    assert_eq!(store.overview().await.unwrap().enrolled, 1);
}

pub async fn a_face_is_refused_if_another_came_since_it_was_compared(place: &Place) {
    let store = place.open().await;
    let known = enrolled(&*store).await;
    let seen = store.rider(known.rider).await.unwrap().unwrap().face.unwrap().feed_version;
    let rider = rider(&*store).await;
    store.record_consent(rider, consent()).await.unwrap();
    let refused = store.put_template_unless_newer(template(rider), seen - 1, NOW).await;
    assert!(matches!(refused, Err(StoreError::NewerFace { version }) if version == seen), "{refused:?}");
    assert_eq!((store.templates(None, 10).await.unwrap().len(), *store.head().borrow()), (1, seen));
    // Other changes since do not matter.
    store.set_denied(rider, true).await.unwrap();
    assert_eq!(store.put_template_unless_newer(template(rider), seen, NOW).await.unwrap(), seen + 2);
}

pub async fn the_same_words_by_the_same_channel_are_one_consent(place: &Place) {
    let store = place.open().await;
    let rider = rider(&*store).await;
    let mut booth = consent();
    booth.channel = "booth".into();
    for given in [consent(), consent(), booth.clone(), consent()] {
        store.record_consent(rider, given).await.unwrap();
    }
    assert_eq!(store.rider(rider).await.unwrap().unwrap().consents, [consent(), booth]);
    let nobody = store.record_consent(RiderId::random(), consent()).await;
    assert!(matches!(nobody, Err(StoreError::UnknownRider(_))), "{nobody:?}");
}

pub async fn an_account_and_a_password_are_kept_and_replaced(place: &Place) {
    let store = place.open().await;
    let rider = rider(&*store).await;
    assert_eq!((store.account(rider).await.unwrap(), store.page_password(rider).await.unwrap()), (None, None));
    let card = Instrument::Acquirer {
        acquirer: AcquirerName::default(),
        token: AcquirerToken::new("tok_1".to_owned()).unwrap(),
    };
    for account in [card, Instrument::Wallet] {
        store.bind_account(rider, account.clone(), Vec::new()).await.unwrap();
        assert_eq!(store.account(rider).await.unwrap(), Some(account));
    }
    for hash in ["$one", "$two"] {
        store.set_page_password(rider, hash.to_owned()).await.unwrap();
        assert_eq!(store.page_password(rider).await.unwrap().unwrap(), hash);
    }
    let nobody = store.bind_account(RiderId::random(), Instrument::Wallet, Vec::new()).await;
    assert!(matches!(nobody, Err(StoreError::UnknownRider(_))), "{nobody:?}");
}

pub async fn riders_and_templates_are_told_page_by_page(place: &Place) {
    let store = place.open().await;
    let mut all = Vec::new();
    for _ in 0..7 {
        all.push(enrolled(&*store).await);
    }
    let (mut riders, mut templates) = (Vec::<RiderId>::new(), Vec::<TemplateId>::new());
    for _ in 0..4 {
        let page = store.riders(riders.last().copied(), 3).await.unwrap();
        riders.extend(page.iter().map(|rider| rider.id));
        let page = store.templates(templates.last().copied(), 3).await.unwrap();
        templates.extend(page.iter().map(|template| template.id));
    }
    let sorted = |ids: BTreeSet<RiderId>| ids.into_iter().collect::<Vec<_>>();
    assert_eq!(riders, sorted(all.iter().map(|face| face.rider).collect()));
    let ids: BTreeSet<TemplateId> = all.iter().map(|face| face.id).collect();
    assert_eq!(templates, ids.into_iter().collect::<Vec<_>>());
}

pub async fn an_erased_rider_is_forgotten_and_cannot_come_back(place: &Place) {
    let store = place.open().await;
    let (gone, stays) = (enrolled(&*store).await, enrolled(&*store).await);
    store.set_page_password(gone.rider, "$hash".into()).await.unwrap();
    store.bind_account(gone.rider, Instrument::Wallet, Vec::new()).await.unwrap();
    let receipt = store.erase_rider(ErasureId::random(), gone.rider, after(5)).await.unwrap();
    assert!(receipt.is_final() && receipt.rider == gone.rider && receipt.requested_at == after(5));
    assert_eq!(
        store.erase_rider(ErasureId::random(), gone.rider, after(9)).await.unwrap(),
        receipt,
        "erasing again is the same erasure"
    );
    assert_eq!(store.erasure(receipt.id).await.unwrap(), Some(receipt.clone()));

    let known = store.rider(gone.rider).await.unwrap().unwrap();
    assert!(known.consents.is_empty() && known.face.is_none() && known.erasure == Some(receipt.id));
    assert_eq!(store.profile(gone.rider).await.unwrap(), None);
    assert_eq!(store.page_password(gone.rider).await.unwrap(), None);
    assert_eq!(store.forget_settled_accounts(after(6)).await.unwrap(), 1);
    assert_eq!(store.account(gone.rider).await.unwrap(), None);
    assert_eq!(store.templates(None, 10).await.unwrap(), [stays]);
    let (changes, _) = store.changes_after(0, 100).await.unwrap().unwrap();
    assert!(
        changes.iter().any(|c| c.version == receipt.feed_version && c.change == FeedChange::RiderRemoved(gone.rider))
    );
    let shows_face = |c: &FeedChange| matches!(c, FeedChange::TemplatePut(face) if face.rider == gone.rider);
    assert!(!changes.iter().any(|c| shows_face(&c.change)), "the log shows the face no more");
    for refused in [
        store.put_template(gone.clone(), NOW).await.map(|_| ()),
        store.record_consent(gone.rider, consent()).await,
        store.bind_account(gone.rider, Instrument::Wallet, Vec::new()).await,
        store.set_page_password(gone.rider, "$x".into()).await,
    ] {
        assert!(matches!(refused, Err(StoreError::Erased(_))), "{refused:?}");
    }
    let overview = store.overview().await.unwrap();
    assert_eq!((overview.riders, overview.enrolled), (1, 1));
    assert!(matches!(
        store.erase_rider(ErasureId::random(), RiderId::random(), NOW).await,
        Err(StoreError::UnknownRider(_))
    ));
}

pub async fn an_erasure_waits_for_every_station_and_is_then_final(place: &Place) {
    let store = place.open().await;
    let gone = enrolled(&*store).await;
    let (north, south) = (station("north"), station("south"));
    store.station_joined(north.clone(), NOW).await.unwrap();
    store.station_joined(south.clone(), NOW).await.unwrap();
    let receipt = store.erase_rider(ErasureId::random(), gone.rider, NOW).await.unwrap();
    assert_eq!(receipt.outstanding, BTreeSet::from([north.clone(), south.clone()]));
    store.station_joined(station("too-late-to-know-the-face"), NOW).await.unwrap();
    let report = |applied_version| StationReport { applied_version, ..StationReport::default() };
    let outstanding = async || store.erasure(receipt.id).await.unwrap().unwrap().outstanding;
    store.record_report(north.clone(), report(receipt.feed_version - 1), NOW).await.unwrap();
    assert_eq!(outstanding().await.len(), 2);
    store.record_report(north.clone(), report(receipt.feed_version), NOW).await.unwrap();
    assert_eq!(outstanding().await, BTreeSet::from([south.clone()]));
    store.record_report(south.clone(), report(receipt.feed_version + 7), NOW).await.unwrap();
    assert!(outstanding().await.is_empty());
    // A station restored from an older disk does not take the receipt back.
    store.record_report(south, report(0), NOW).await.unwrap();
    let last: ErasureReceipt = store.erasure(receipt.id).await.unwrap().unwrap();
    assert!(last.is_final());
}

pub async fn receipts_are_told_page_by_page_with_the_templates_that_went(place: &Place) {
    let store = place.open().await;
    let (first, second) = (enrolled(&*store).await, enrolled(&*store).await);
    assert!(store.erasures(None, 10).await.unwrap().is_empty());
    let mut receipts = [
        store.erase_rider(ErasureId::random(), first.rider, after(1)).await.unwrap(),
        store.withdraw_face(ErasureId::random(), second.rider, after(1), after(1)).await.unwrap(),
        store.erase_rider(ErasureId::random(), second.rider, after(2)).await.unwrap(),
    ];
    let templates: Vec<_> = receipts.iter().map(|receipt| receipt.templates.clone()).collect();
    assert_eq!(templates, [vec![first.id], vec![second.id], vec![]]);
    receipts.sort_by_key(|receipt| receipt.id);
    let page = store.erasures(None, 2).await.unwrap();
    assert_eq!(page, receipts[..2]);
    assert_eq!(store.erasures(Some(page[1].id), 2).await.unwrap(), receipts[2..]);
}

pub async fn an_account_stays_while_something_is_owed_on_it(place: &Place) {
    let store = place.open().await;
    let rider = rider(&*store).await;
    store.bind_account(rider, Instrument::Wallet, Vec::new()).await.unwrap();
    let journey = settled_ride(&*store, rider).await;
    store.erase_rider(ErasureId::random(), rider, after(800)).await.unwrap();
    assert_eq!(store.account(rider).await.unwrap(), Some(Instrument::Wallet));
    assert_eq!(store.forget_settled_accounts(after(10_000)).await.unwrap(), 0);
    let items = items_of(&*store, journey.id).await;
    let opened = Charge::open(rider, &items, Instrument::Wallet, after(900)).unwrap();
    store.open_charge(opened).await.unwrap();
    assert_eq!(store.forget_settled_accounts(after(800)).await.unwrap(), 0, "a gate may still hold a ride");
    assert_eq!(store.account(rider).await.unwrap(), Some(Instrument::Wallet));
    assert_eq!(store.forget_settled_accounts(after(801)).await.unwrap(), 1);
    assert_eq!(store.account(rider).await.unwrap(), None);
    assert_eq!(store.forget_settled_accounts(after(10_000)).await.unwrap(), 0);
}

pub async fn everything_is_there_after_a_restart(place: &Place) {
    let (face, journey, head, overview) = {
        let store = place.open().await;
        let face = enrolled(&*store).await;
        let journey = settled_ride(&*store, face.rider).await;
        store.audit("operator/x", "test", "y", NOW).await.unwrap();
        let overview = store.overview().await.unwrap();
        (face, journey, overview.head_version, overview)
    };
    let store = place.open().await;
    assert_eq!(store.templates(None, 10).await.unwrap(), std::slice::from_ref(&face));
    assert_eq!(store.trips(face.rider).await.unwrap()[0].priced.ride.whole(), Some(&journey));
    assert_eq!(store.overview().await.unwrap(), overview);
    assert_eq!(*store.head().borrow(), head);
    assert_eq!(store.verify_audit().await.unwrap(), Ok(1));
    let store: &dyn Store = &*store;
    assert_eq!(store.profile(face.rider).await.unwrap().unwrap().display_name, "Nemo");
}
