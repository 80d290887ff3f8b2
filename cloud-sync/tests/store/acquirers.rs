//! What passes between the cloud and its acquirers.

use std::time::Duration;

use facegate_domain::charge::IdempotencyKey;

use crate::places::Place;
use crate::world::after;

pub async fn what_is_asked_is_stored_once_with_the_first_name_for_it(place: &Place) {
    let store = place.open().await;
    let key = IdempotencyKey::new("k1");
    assert_eq!(store.asked_of_acquirer("cards", &key).await.unwrap(), None);
    let first = store.ask_acquirer("cards", &key, Some("pi_1"), after(1)).await.unwrap();
    assert!(first.is_new && first.reference.is_none());
    let again = store.ask_acquirer("cards", &key, None, after(2)).await.unwrap();
    assert!(!again.is_new, "it was begun before");
    assert_eq!((again.asked_at, again.of.as_deref()), (after(1), Some("pi_1")));
    store.keep_reference("cards", &key, "re_1").await.unwrap();
    store.keep_reference("cards", &key, "re_2").await.unwrap();
    let kept = store.asked_of_acquirer("cards", &key).await.unwrap().unwrap();
    assert_eq!(kept.reference.as_deref(), Some("re_1"));
    assert_eq!(store.key_of_reference("cards", "re_1").await.unwrap(), Some(key.clone()));
    assert_eq!(store.key_of_reference("cards", "re_2").await.unwrap(), None);
    assert_eq!(store.key_of_reference("bank", "re_1").await.unwrap(), None);
    assert_eq!(store.asked_of_acquirer("bank", &key).await.unwrap(), None, "each acquirer has its own");
    store.keep_reference("bank", &key, "x").await.unwrap();
    assert_eq!(store.asked_of_acquirer("bank", &key).await.unwrap(), None, "nothing was asked");
}

pub async fn an_event_is_taken_once_until_it_is_forgotten(place: &Place) {
    let store = place.open().await;
    assert!(store.take_event("cards", "e1", after(1)).await.unwrap());
    assert!(!store.take_event("cards", "e1", after(2)).await.unwrap());
    assert!(store.take_event("bank", "e1", after(2)).await.unwrap());
    assert!(store.take_event("cards", "e2", after(3)).await.unwrap());

    assert_eq!(store.forget_events(after(3), 1).await.unwrap(), 1);
    assert_eq!(store.forget_events(after(3), 10).await.unwrap(), 1);
    assert_eq!(store.forget_events(after(3), 10).await.unwrap(), 0);
    assert!(store.take_event("cards", "e1", after(9)).await.unwrap(), "it was forgotten");
    assert!(!store.take_event("cards", "e2", after(9)).await.unwrap());
    let far = after(9).plus(Duration::from_secs(1));
    assert_eq!(store.forget_events(far, 10).await.unwrap(), 2);
}
