use super::*;

const CALM: Chances = Chances { declined_softly: false, declined_hard: false };

fn request(token: &str, amount_minor: i64) -> AuthorisationRequest {
    AuthorisationRequest { token: token.to_owned(), amount_minor, currency: "CNY".to_owned() }
}

fn amount(amount_minor: i64) -> AmountRequest {
    AmountRequest { amount_minor, currency: "CNY".to_owned() }
}

/// Does what the verdict says, as the server would.
fn act(book: &mut Book, verdict: Result<Verdict, Refusal>) -> Result<Verdict, Refusal> {
    if let Ok(Verdict::Do(lines)) = &verdict {
        lines.iter().for_each(|line| book.apply(line));
    }
    verdict
}

fn authorise(book: &mut Book, key: &str, token: &str, amount_minor: i64) -> Result<Verdict, Refusal> {
    let verdict = book.authorise(key, request(token, amount_minor), format!("auth_{key}"), CALM, 1);
    act(book, verdict)
}

fn capture(book: &mut Book, id: &str, key: &str, amount_minor: i64) -> Result<Verdict, Refusal> {
    let verdict = book.capture(id, key, &amount(amount_minor), 2);
    act(book, verdict)
}

fn refund(book: &mut Book, id: &str, key: &str, amount_minor: i64) -> Result<Verdict, Refusal> {
    let verdict = book.refund(id, key, &amount(amount_minor), format!("re_{key}"), 3);
    act(book, verdict)
}

fn did(verdict: &Result<Verdict, Refusal>) -> bool {
    matches!(verdict, Ok(Verdict::Do(_)))
}

fn did_before(verdict: &Result<Verdict, Refusal>) -> bool {
    matches!(verdict, Ok(Verdict::DoneBefore { .. }))
}

#[test]
fn a_key_names_one_request_for_ever() {
    let mut book = Book::default();
    assert!(did(&authorise(&mut book, "k1", "tok_ok_1", 300)));
    assert!(did_before(&authorise(&mut book, "k1", "tok_ok_1", 300)));
    assert_eq!(authorise(&mut book, "k1", "tok_ok_1", 301), Err(Refusal::KeyReused));
    assert_eq!(authorise(&mut book, "k1", "tok_ok_2", 300), Err(Refusal::KeyReused));
    assert_eq!(authorise(&mut book, "k2", "tok_ok_1", 0), Err(Refusal::AmountTooSmall));
}

#[test]
fn a_capture_happens_once_and_for_no_more_than_was_authorised() {
    let mut book = Book::default();
    authorise(&mut book, "k1", "tok_ok_1", 300).unwrap();
    assert_eq!(capture(&mut book, "auth_zoo", "k1", 300), Err(Refusal::UnknownAuthorisation("auth_zoo".to_owned())));
    assert_eq!(capture(&mut book, "auth_k1", "k1", 301), Err(Refusal::AmountDiffers));
    assert_eq!(capture(&mut book, "auth_k1", "k1", 0), Err(Refusal::AmountTooSmall));
    assert!(did(&capture(&mut book, "auth_k1", "k1", 200)), "the rest is released");
    assert!(did_before(&capture(&mut book, "auth_k1", "k1", 200)));
    assert_eq!(capture(&mut book, "auth_k1", "k1", 300), Err(Refusal::KeyReused), "another amount");
    assert_eq!(capture(&mut book, "auth_k1", "k9", 200), Err(Refusal::AlreadyDone(Status::Captured)));
    assert_eq!(book.void("auth_k1", "k1", 3), Err(Refusal::AlreadyDone(Status::Captured)));
    let statistics = book.statistics();
    assert_eq!((statistics.charges[0].authorisations, statistics.charges[0].captures), (1, 1));
    let expected = ByToken { authorisations: 1, captures: 1, captured_minor: 200, refunded_minor: 0 };
    assert_eq!(statistics.tokens["tok_ok_1"], expected);
}

#[test]
fn refunds_have_keys_of_their_own_and_give_back_no_more_than_was_taken() {
    let mut book = Book::default();
    authorise(&mut book, "k1", "tok_ok_1", 300).unwrap();
    assert_eq!(refund(&mut book, "auth_k1", "r1", 100), Err(Refusal::NotCaptured(Status::Authorised)));
    capture(&mut book, "auth_k1", "k1", 300).unwrap();
    assert_eq!(refund(&mut book, "auth_k1", "k1", 100), Err(Refusal::KeyReused), "the charge's own key");
    assert!(did(&refund(&mut book, "auth_k1", "r1", 100)));
    assert!(did_before(&refund(&mut book, "auth_k1", "r1", 100)));
    assert_eq!(refund(&mut book, "auth_k1", "r1", 101), Err(Refusal::KeyReused));
    let too_large = Refusal::RefundTooLarge { captured_minor: 300, refunded_minor: 100 };
    assert_eq!(refund(&mut book, "auth_k1", "r2", 201), Err(too_large));
    assert!(did(&refund(&mut book, "auth_k1", "r2", 200)));
    assert_eq!(authorise(&mut book, "r1", "tok_ok_1", 300), Err(Refusal::KeyReused));
    let of_token = book.statistics().tokens["tok_ok_1"];
    assert_eq!((of_token.captured_minor, of_token.refunded_minor), (300, 300));

    authorise(&mut book, "k2", "tok_ok_norefund_1", 300).unwrap();
    capture(&mut book, "auth_k2", "k2", 300).unwrap();
    refund(&mut book, "auth_k2", "r3", 300).unwrap();
    assert_eq!(book.find_refund("r3").unwrap().1.declined.as_deref(), Some("account_closed"));
    assert_eq!(book.statistics().tokens["tok_ok_norefund_1"].refunded_minor, 0);
}

#[test]
fn tokens_behave_as_their_names_say() {
    let mut book = Book::default();
    for (key, token, reason, again) in [
        ("k1", "tok_declined_1", "do_not_honour", true),
        ("k2", "tok_declined_hard_1", "stolen_card", false),
        ("k3", "4111111111111111", "unknown_token", false),
    ] {
        authorise(&mut book, key, token, 300).unwrap();
        let charge = book.find(key).unwrap();
        assert_eq!((charge.reason.as_deref(), charge.again), (Some(reason), again), "{token}");
    }
    assert_eq!(capture(&mut book, "auth_k1", "k1", 300), Err(Refusal::AlreadyDone(Status::Declined)));
    authorise(&mut book, "k4", "tok_lapses_1", 300).unwrap();
    assert!(did(&capture(&mut book, "auth_k4", "k4", 300)));
    assert!(did_before(&capture(&mut book, "auth_k4", "k4", 300)));
    let statuses = (0..3).map(|n| {
        let key = format!("poor{n}");
        authorise(&mut book, &key, "tok_poor_2_1", 300).unwrap();
        book.find(&key).unwrap().status
    });
    assert_eq!(statuses.collect::<Vec<_>>(), [Status::Declined, Status::Declined, Status::Authorised]);
    assert!(book.charges().all(|charge| charge.captures == 0));
}

#[test]
fn chance_declines_only_what_would_be_approved() {
    let mut book = Book::default();
    let hard = Chances { declined_hard: true, ..CALM };
    let verdict = book.authorise("k1", request("tok_ok_1", 300), "auth_k1".to_owned(), hard, 1);
    act(&mut book, verdict).unwrap();
    assert_eq!(book.find("k1").unwrap().reason.as_deref(), Some("stolen_card"));
}

#[test]
fn a_voided_authorisation_is_not_captured() {
    let mut book = Book::default();
    authorise(&mut book, "k1", "tok_ok_1", 300).unwrap();
    let verdict = book.void("auth_k1", "k1", 3);
    assert!(did(&act(&mut book, verdict)));
    assert!(did_before(&book.void("auth_k1", "k1", 4)));
    assert_eq!(capture(&mut book, "auth_k1", "k1", 300), Err(Refusal::AlreadyDone(Status::Voided)));
}

#[test]
fn a_slow_capture_ends_later_and_once() {
    let mut book = Book::default();
    for (key, token) in [("k1", "tok_slow_1"), ("k2", "tok_slow_returned_1")] {
        authorise(&mut book, key, token, 300).unwrap();
        capture(&mut book, &format!("auth_{key}"), key, 300).unwrap();
        assert_eq!(book.find(key).unwrap().status, Status::Pending);
    }
    assert!(book.settle(1, 9).is_empty(), "not yet");
    let lines = book.settle(2, 9);
    lines.iter().for_each(|line| book.apply(line));
    assert_eq!(book.find("k1").unwrap().status, Status::Captured);
    assert_eq!(book.find("k2").unwrap().status, Status::Declined);
    assert!(book.settle(9, 9).is_empty());
    assert_eq!(book.statistics().tokens["tok_slow_1"].captured_minor, 300);
}

#[test]
fn a_dispute_follows_the_capture() {
    let mut book = Book::default();
    for (key, token) in [("k1", "tok_ok_disputes_1"), ("k2", "tok_ok_loses_1")] {
        authorise(&mut book, key, token, 300).unwrap();
        capture(&mut book, &format!("auth_{key}"), key, 300).unwrap();
        assert!(book.find(key).unwrap().disputed_at_ms.is_some());
    }
    let reversed = |key| book.find(key).unwrap().dispute_reversed_at_ms.is_some();
    assert_eq!((reversed("k1"), reversed("k2")), (false, true));
}
