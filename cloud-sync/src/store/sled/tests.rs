//! What only the inside can show: crashes between two databases, sealed values, the chain.

use facegate_domain::Timestamp;
use facegate_domain::face::{Embedding, Template};
use facegate_domain::ids::{ModelId, RiderId, StationId, TemplateId};
use facegate_runtime::keys::FileKeys;

use super::*;
use crate::store::{
    AuditStore, Consent, ErasureId, FeedStore, OverviewStore, Profile, Purpose, RiderStore, StationReport, StationStore,
};

const NOW: Timestamp = Timestamp::from_unix_ms(1_795_000_000_000);

fn open(dir: &Path) -> SledStore {
    SledStore::open(dir, &FileKeys::open(&dir.join("keys")).unwrap(), 1000).unwrap()
}

fn template(rider: RiderId) -> Template {
    let embedding = Embedding::from_unit(ModelId::new("sface").unwrap(), vec![0.6, 0.8]).unwrap();
    Template { id: TemplateId::random(), rider, embedding, photographs: 1 }
}

async fn enrolled(store: &SledStore) -> Template {
    let rider = RiderId::random();
    store.create_rider(rider, Profile { display_name: "Nemo".into() }, NOW).await.unwrap();
    let (text_version, channel) = ("1".to_owned(), "app".to_owned());
    let consent = Consent { purpose: Purpose::Recognition, text_version, channel, given_at: NOW };
    store.record_consent(rider, consent).await.unwrap();
    let template = template(rider);
    store.put_template(template.clone(), NOW).await.unwrap();
    template
}

#[tokio::test]
async fn a_face_without_consent_is_refused_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let rider = RiderId::random();
    store.create_rider(rider, Profile { display_name: "Nemo".into() }, NOW).await.unwrap();
    let refused = store.put_template(template(rider), NOW).await;
    assert!(matches!(refused, Err(StoreError::ConsentMissing { .. })), "{refused:?}");
    assert!(matches!(store.put_template(template(RiderId::random()), NOW).await, Err(StoreError::UnknownRider(_))));
    assert!(store.faces.keys().unwrap().is_empty());
    assert_eq!(*store.head().borrow(), 0);
}

#[tokio::test]
async fn the_sealed_databases_show_neither_name_nor_face() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let template = enrolled(&store).await;
    for sealed in store.identity.tree.iter().chain(store.faces.tree.iter()).chain(store.core.iter()) {
        let (key, value) = sealed.unwrap();
        let found = |needle: &[u8]| value.windows(needle.len()).any(|window| window == needle);
        assert!(!found(b"Nemo"), "{:?}", key);
        assert!(!found(&0.6_f32.to_le_bytes()) && !found(b"0.6"), "{:?}", key);
    }
    assert_eq!(store.templates(None, 10).await.unwrap(), [template]);
}

#[tokio::test]
async fn what_a_crash_left_between_two_databases_is_put_in_step_when_the_store_opens() {
    let dir = tempfile::tempdir().unwrap();
    let (kept, cut_short) = {
        let store = open(dir.path());
        let (kept, cut_short) = (enrolled(&store).await, enrolled(&store).await);
        // As if the power had gone after the reference was on the disk and before the sealed face was.
        store.faces.remove(cut_short.id.as_bytes()).unwrap();
        // And as if an enrolment had only come as far as the face.
        store.faces.put(TemplateId::random().as_bytes(), b"orphan").unwrap();
        store.identity.put(&riders::identity_key(riders::PROFILE, RiderId::random()), b"{}").unwrap();
        (kept, cut_short)
    };
    let store = open(dir.path());
    assert_eq!(store.faces.keys().unwrap(), [kept.id.as_bytes().to_vec()]);
    assert_eq!(store.identity.keys().unwrap().len(), 2);
    assert_eq!(store.rider(cut_short.rider).await.unwrap().unwrap().face, None);
    assert_eq!(store.overview().await.unwrap().enrolled, 1);
    let (changes, reached) = store.changes_after(0, 10).await.unwrap().unwrap();
    assert_eq!((changes.len(), reached), (1, 2), "the log shows only the face that is there");
    store.put_template(template(cut_short.rider), NOW).await.unwrap();
}

#[tokio::test]
async fn an_erasure_leaves_no_face_no_name_and_no_consent_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let gone = enrolled(&store).await;
    let station = StationId::new("north").unwrap();
    store.station_joined(station.clone(), NOW).await.unwrap();
    let receipt = store.erase_rider(ErasureId::random(), gone.rider, NOW).await.unwrap();
    assert_eq!(receipt.outstanding.len(), 1);
    assert!(store.faces.keys().unwrap().is_empty() && store.identity.keys().unwrap().is_empty());
    let (changes, _) = store.changes_after(0, 10).await.unwrap().unwrap();
    assert_eq!(changes.len(), 1, "only the removal is left in the log: {changes:?}");
    assert!(matches!(store.put_template(gone.clone(), NOW).await, Err(StoreError::Erased(_))));
    assert_eq!(
        store.erase_rider(ErasureId::random(), gone.rider, NOW).await.unwrap().id,
        receipt.id,
        "erasing again is the same erasure"
    );

    let report = |applied_version| StationReport { applied_version, ..StationReport::default() };
    store.record_report(station.clone(), report(receipt.feed_version - 1), NOW).await.unwrap();
    assert!(!store.erasure(receipt.id).await.unwrap().unwrap().is_final());
    store.record_report(station.clone(), report(receipt.feed_version), NOW).await.unwrap();
    assert!(store.erasure(receipt.id).await.unwrap().unwrap().is_final());
    // A station restored from an older disk does not take the receipt back.
    store.record_report(station, report(0), NOW).await.unwrap();
    assert!(store.erasure(receipt.id).await.unwrap().unwrap().is_final());
}

#[tokio::test]
async fn the_audit_chain_notices_a_changed_a_removed_and_a_moved_line() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for subject in ["a", "b", "c"] {
        store.audit("operator/x", "rider.erase", subject, NOW).await.unwrap();
    }
    assert_eq!(store.verify_audit().await.unwrap(), Ok(3));
    let (first, second) = (key::audit(0), key::audit(1));
    let genuine = store.core.get(&second).unwrap().unwrap();
    let text = String::from_utf8(genuine.to_vec()).unwrap();
    store.core.insert(&second, text.replace("\"b\"", "\"z\"").as_bytes()).unwrap();
    assert_eq!(store.verify_audit().await.unwrap().unwrap_err().number, 1);
    store.core.remove(&second).unwrap();
    assert_eq!(store.verify_audit().await.unwrap().unwrap_err().number, 1);
    store.core.insert(&first, genuine).unwrap();
    assert_eq!(store.verify_audit().await.unwrap().unwrap_err().number, 0);
}

#[tokio::test]
async fn a_store_of_a_newer_version_and_one_without_its_keys_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    {
        let store = open(dir.path());
        enrolled(&store).await;
    }
    let other_keys = FileKeys::open(&dir.path().join("other-keys")).unwrap();
    let refused = SledStore::open(dir.path(), &other_keys, 1000);
    assert!(matches!(refused, Err(StoreError::WrongKey(_))), "{refused:?}");
    drop(refused);
    let store = open(dir.path());
    store.core.insert(key::LAYOUT, b"2").unwrap();
    drop(store);
    let refused = SledStore::open(dir.path(), &FileKeys::open(&dir.path().join("keys")).unwrap(), 1000);
    assert!(matches!(refused, Err(StoreError::Newer { found: 2, known: 1, .. })), "{refused:?}");
}
