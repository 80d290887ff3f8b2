//! Orders to banks that take one file a day.

use facegate_cloud_sync::store::StoreError;
use facegate_domain::charge::{AcquirerToken, IdempotencyKey};
use facegate_domain::debit::{AnswerFile, AnswerLine, Change, DebitProblem, OrderState, Outcome};
use facegate_domain::money::Money;

use crate::places::Place;
use crate::world::fares;

fn amount(minor: i64) -> Money {
    Money::from_minor(minor, fares().currency())
}

fn key(name: &str) -> IdempotencyKey {
    IdempotencyKey::new(name)
}

fn line(name: &str, minor: i64, outcome: Outcome) -> AnswerLine {
    AnswerLine { key: key(name), amount: amount(minor), outcome }
}

pub async fn a_days_file_holds_what_was_ordered_before_and_never_changes(place: &Place) {
    let store = place.open().await;
    let token = AcquirerToken::new("acc_1").unwrap();
    let order = async |name: &str| {
        let reserve = Change::Reserve { token: token.clone(), amount: amount(900) };
        store.change_debit_order("bank", &key(name), &reserve).await.unwrap();
        store.change_debit_order("bank", &key(name), &Change::Order { amount: amount(400) }).await.unwrap();
    };
    order("k1").await;
    let day = "2026-11-30".parse().unwrap();
    let file = store.cut_debit_file("bank", day, amount(0).currency()).await.unwrap();
    assert!(file.body.contains("debit,k1,acc_1,400,"), "{}", file.body);
    order("k2").await;
    assert_eq!(store.cut_debit_file("bank", day, amount(0).currency()).await.unwrap(), file);
    let next = day.tomorrow().unwrap();
    let later = store.cut_debit_file("bank", next, amount(0).currency()).await.unwrap();
    assert!(later.body.contains("k2") && !later.body.contains("k1"), "{}", later.body);
    assert_eq!(store.debit_files("bank", next).await.unwrap(), [later]);
    assert!(store.debit_files("other", day).await.unwrap().is_empty());
    let voided = store.change_debit_order("bank", &key("k1"), &Change::Void).await;
    assert!(matches!(voided, Err(StoreError::Debit(DebitProblem::Impossible { .. }))), "{voided:?}");
    let unknown = store.change_debit_order("bank", &key("k9"), &Change::Void).await;
    assert!(matches!(unknown, Err(StoreError::Debit(DebitProblem::UnknownKey { .. }))), "{unknown:?}");
}

pub async fn an_answer_is_taken_wholly_in_its_order_and_once(place: &Place) {
    let store = place.open().await;
    let token = AcquirerToken::new("acc_1").unwrap();
    for name in ["k1", "k2"] {
        let reserve = Change::Reserve { token: token.clone(), amount: amount(400) };
        store.change_debit_order("bank", &key(name), &reserve).await.unwrap();
        store.change_debit_order("bank", &key(name), &Change::Order { amount: amount(400) }).await.unwrap();
    }
    store.cut_debit_file("bank", "2026-11-30".parse().unwrap(), amount(0).currency()).await.unwrap();
    let returned = || Outcome::Returned { code: "AM04".to_owned() };
    let take = async |number, lines: Vec<AnswerLine>, digest: &str| {
        store.take_debit_answer("bank", &AnswerFile { number, lines }, digest).await
    };
    let early = take(2, Vec::new(), "b").await;
    assert!(matches!(early, Err(StoreError::Debit(DebitProblem::Early { found: 2, expected: 1 }))), "{early:?}");
    let unknown = take(1, vec![line("k1", 400, Outcome::Accepted), line("k9", 400, Outcome::Accepted)], "a").await;
    assert!(matches!(unknown, Err(StoreError::Debit(DebitProblem::UnknownKey { .. }))), "{unknown:?}");
    let state = async |name: &str| store.debit_order("bank", &key(name)).await.unwrap().unwrap().state;
    assert!(matches!(state("k1").await, OrderState::Sent { .. }), "nothing of it was taken");

    let lines = vec![line("k1", 400, Outcome::Accepted), line("k2", 400, returned())];
    let taken = take(1, lines.clone(), "a").await.unwrap();
    assert_eq!((taken.accepted, taken.returned, taken.again), (1, 1, false));
    assert!(take(1, lines.clone(), "a").await.unwrap().again);
    let other = take(1, lines, "x").await;
    assert!(matches!(other, Err(StoreError::Debit(DebitProblem::Contradicts { number: 1 }))), "{other:?}");
    assert_eq!(state("k1").await, OrderState::Accepted);

    let credit = store.order_credit("bank", &key("r1"), &key("k1"), amount(300)).await.unwrap();
    assert_eq!(store.order_credit("bank", &key("r1"), &key("k1"), amount(300)).await.unwrap(), credit);
    let too_much = store.order_credit("bank", &key("r2"), &key("k1"), amount(101)).await;
    assert!(matches!(too_much, Err(StoreError::Debit(DebitProblem::AmountDiffers { .. }))), "{too_much:?}");

    let taken = take(2, vec![line("k1", 400, returned())], "b").await.unwrap();
    assert_eq!(taken.taken_back.len(), 1);
    let again = take(2, vec![line("k1", 400, returned())], "b").await.unwrap();
    assert_eq!((again.again, again.taken_back.len()), (true, 1), "should it not have been told on");
}
