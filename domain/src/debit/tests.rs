use super::*;
use crate::charge::{AcquirerToken, AuthorisationId, Decline, Found};
use crate::money::{Currency, Money};

fn cny() -> Currency {
    "CNY".parse().unwrap()
}

fn amount(minor: i64) -> Money {
    Money::from_minor(minor, cny())
}

fn key(name: &str) -> IdempotencyKey {
    IdempotencyKey::new(name)
}

fn token() -> AcquirerToken {
    AcquirerToken::new("acc_1").unwrap()
}

fn reserved(name: &str) -> DebitOrder {
    DebitOrder::after(&key(name), None, &Change::Reserve { token: token(), amount: amount(900) }).unwrap()
}

fn sent(name: &str) -> DebitOrder {
    let ordered = DebitOrder::after(&key(name), Some(&reserved(name)), &Change::Order { amount: amount(400) }).unwrap();
    DebitOrder { state: OrderState::Sent { day: "2026-11-30".parse().unwrap() }, ..ordered }
}

fn returned(code: &str) -> Outcome {
    Outcome::Returned { code: code.to_owned() }
}

/// A seal for tests: the number of bytes.
fn sealed(seal: &str, bytes: &[u8]) -> bool {
    seal == bytes.len().to_string()
}

fn answer_file(number: u64, lines: &[&str], sum: i64) -> String {
    let mut body = format!("facegate-debit-answer,1,bank,{number},CNY\n");
    lines.iter().for_each(|line| body.push_str(&format!("{line}\n")));
    let seal = body.len();
    format!("{body}trailer,{},{sum},{seal}\n", lines.len())
}

fn read(text: &str) -> Result<AnswerFile, DebitProblem> {
    AnswerFile::read(text, "bank", cny(), sealed)
}

#[test]
fn an_order_goes_its_way_once_and_each_step_again_is_the_same() {
    let again = |order: &DebitOrder, change: &Change| DebitOrder::after(&order.key, Some(order), change);
    let order = reserved("k1");
    let authorisation = AuthorisationId::new("k1");
    assert_eq!(order.found(), Found::Authorised { authorisation: authorisation.clone() });
    assert_eq!(again(&order, &Change::Reserve { token: token(), amount: amount(900) }), Ok(order.clone()));
    assert!(again(&order, &Change::Order { amount: amount(901) }).is_err(), "more than was reserved");
    let ordered = again(&order, &Change::Order { amount: amount(400) }).unwrap();
    assert_eq!(again(&ordered, &Change::Order { amount: amount(400) }), Ok(ordered.clone()));
    assert_eq!(ordered.found(), Found::Pending { authorisation: authorisation.clone() });
    assert!(again(&ordered, &Change::Void).is_err(), "it may be in a file already");

    let accepted = sent("k1").answered(&Outcome::Accepted).unwrap();
    assert_eq!(accepted.answered(&Outcome::Accepted), Ok(accepted.clone()));
    assert_eq!(accepted.found(), Found::Captured { authorisation });
    let taken_back = accepted.answered(&returned("MD06")).unwrap();
    assert!(matches!(taken_back.found(), Found::Captured { .. }), "it is a dispute of what was captured");
    assert!(taken_back.answered(&Outcome::Accepted).is_err());
    assert!(ordered.answered(&Outcome::Accepted).is_err(), "nothing was sent yet");
}

#[test]
fn a_return_says_whether_it_may_be_tried_again() {
    let found = |code| sent("k1").answered(&returned(code)).unwrap().found();
    assert_eq!(found("AM04"), Found::Declined(Decline::soft("AM04")));
    assert_eq!(found("AC04"), Found::Declined(Decline::hard("AC04")));
}

#[test]
fn a_credit_gives_back_no_more_than_was_accepted() {
    let accepted = sent("k1").answered(&Outcome::Accepted).unwrap();
    let (credit, debit) = accepted.credit(&key("r1"), amount(150)).unwrap();
    assert!(debit.credit(&key("r2"), amount(251)).is_err(), "with what was given back before");
    assert_eq!((credit.kind, credit.of.clone()), (OrderKind::Credit, Some(key("k1"))));
    assert!(accepted.credit(&key("r2"), amount(401)).is_err());
    assert!(sent("k1").credit(&key("r3"), amount(1)).is_err(), "not accepted yet");
    let day = "2026-11-30".parse().unwrap();
    let body = file_body("bank", day, cny(), &[sent("k1"), credit]);
    assert_eq!(body, "facegate-debit,1,bank,2026-11-30,CNY\ndebit,k1,acc_1,400,\ncredit,r1,acc_1,150,k1\n");
    assert_eq!(trailer(&body, "00"), "trailer,2,250,00\n");
}

#[test]
fn a_good_file_is_read() {
    let file = read(&answer_file(7, &["accepted,k1,400,", "returned,k2,300,AM04"], 700)).unwrap();
    assert_eq!(file.number, 7);
    assert_eq!(file.lines[1], AnswerLine { key: key("k2"), amount: amount(300), outcome: returned("AM04") });
}

#[test]
fn every_way_in_which_a_file_is_bad_has_its_own_error() {
    let good = answer_file(1, &["accepted,k1,400,"], 400);
    for cut in 1..good.len() {
        assert_eq!(read(&good[..cut]), Err(DebitProblem::Truncated), "cut at {cut}: {:?}", &good[..cut]);
    }
    assert_eq!(read(&good.replace("k1", "k22")), Err(DebitProblem::Seal));
    let other = AnswerFile::read(&good, "other-bank", cny(), sealed);
    assert!(matches!(other, Err(DebitProblem::OfAnother { .. })), "{other:?}");
    assert!(matches!(read(&answer_file(1, &["accepted,k1,400,"], 401)), Err(DebitProblem::Count { .. })));
    assert!(matches!(read(&answer_file(0, &[], 0)), Err(DebitProblem::Malformed { line: 1, .. })));
    for line in
        ["accepted,k1,400", "accepted,k1,x,", "accepted,k1,0,", "returned,k1,4,", "lost,k1,4,", "accepted,k1,4,AM04"]
    {
        let found = read(&answer_file(1, &[line], 4));
        assert!(matches!(found, Err(DebitProblem::Malformed { line: 2, .. })), "{line}: {found:?}");
    }
}
