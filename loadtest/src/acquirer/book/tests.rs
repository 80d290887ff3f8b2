use super::*;

fn request(token: &str, amount_minor: i64) -> AuthorisationRequest {
    AuthorisationRequest { token: token.to_owned(), amount_minor, currency: "CNY".to_owned() }
}

fn capture_of(amount_minor: i64) -> CaptureRequest {
    CaptureRequest { amount_minor, currency: "CNY".to_owned() }
}

/// Does what the verdict says, as the server would.
fn act(book: &mut Book, verdict: Result<Verdict, Refusal>) -> Result<Verdict, Refusal> {
    if let Ok(Verdict::Do(line)) = &verdict {
        book.apply(line);
    }
    verdict
}

fn authorise(book: &mut Book, key: &str, token: &str, amount_minor: i64) -> Result<Verdict, Refusal> {
    let verdict = book.authorise(key, request(token, amount_minor), format!("auth_{key}"), 1);
    act(book, verdict)
}

fn capture(book: &mut Book, id: &str, key: &str, amount_minor: i64) -> Result<Verdict, Refusal> {
    let verdict = book.capture(id, key, &capture_of(amount_minor), 2);
    act(book, verdict)
}

#[test]
fn a_key_names_one_request_for_ever() {
    let mut book = Book::default();
    assert!(matches!(authorise(&mut book, "k1", "tok_ok_1", 300), Ok(Verdict::Do(Line::Authorised { .. }))));
    assert_eq!(
        authorise(&mut book, "k1", "tok_ok_1", 300),
        Ok(Verdict::DoneBefore { authorisation: "auth_k1".to_owned() })
    );
    assert_eq!(authorise(&mut book, "k1", "tok_ok_1", 301), Err(Refusal::KeyReused));
    assert_eq!(authorise(&mut book, "k1", "tok_ok_2", 300), Err(Refusal::KeyReused));
    assert_eq!(authorise(&mut book, "k2", "tok_ok_1", 0), Err(Refusal::AmountTooSmall));
}

#[test]
fn a_capture_happens_once_and_only_for_what_was_authorised() {
    let mut book = Book::default();
    authorise(&mut book, "k1", "tok_ok_1", 300).unwrap();
    assert_eq!(capture(&mut book, "auth_zoo", "k1", 300), Err(Refusal::UnknownAuthorisation("auth_zoo".to_owned())));
    assert_eq!(capture(&mut book, "auth_k1", "k1", 299), Err(Refusal::AmountDiffers));
    assert!(matches!(capture(&mut book, "auth_k1", "k1", 300), Ok(Verdict::Do(Line::Captured { .. }))));
    assert!(matches!(capture(&mut book, "auth_k1", "k1", 300), Ok(Verdict::DoneBefore { .. })));
    assert_eq!(capture(&mut book, "auth_k1", "k9", 300), Err(Refusal::AlreadyDone(Status::Captured)));
    assert_eq!(book.void("auth_k1", "k1", 3), Err(Refusal::AlreadyDone(Status::Captured)));
    let statistics = book.statistics();
    assert_eq!((statistics.charges[0].authorisations, statistics.charges[0].captures), (1, 1));
    assert_eq!(statistics.tokens["tok_ok_1"], ByToken { authorisations: 1, captures: 1, captured_minor: 300 });
}

#[test]
fn tokens_behave_as_their_names_say() {
    let mut book = Book::default();
    authorise(&mut book, "k1", "tok_declined_1", 300).unwrap();
    assert_eq!(book.find("k1").unwrap().reason.as_deref(), Some("do_not_honour"));
    authorise(&mut book, "k2", "4111111111111111", 300).unwrap();
    assert_eq!(book.find("k2").unwrap().reason.as_deref(), Some("unknown_token"));
    assert_eq!(capture(&mut book, "auth_k1", "k1", 300), Err(Refusal::AlreadyDone(Status::Declined)));
    authorise(&mut book, "k3", "tok_lapses_1", 300).unwrap();
    assert!(matches!(capture(&mut book, "auth_k3", "k3", 300), Ok(Verdict::Do(Line::CaptureDeclined { .. }))));
    assert!(matches!(capture(&mut book, "auth_k3", "k3", 300), Ok(Verdict::DoneBefore { .. })));
    assert_eq!(book.captured().count(), 0);
}

#[test]
fn a_voided_authorisation_is_not_captured() {
    let mut book = Book::default();
    authorise(&mut book, "k1", "tok_ok_1", 300).unwrap();
    let verdict = book.void("auth_k1", "k1", 3);
    assert!(matches!(act(&mut book, verdict), Ok(Verdict::Do(Line::Voided { .. }))));
    assert!(matches!(book.void("auth_k1", "k1", 4), Ok(Verdict::DoneBefore { .. })));
    assert_eq!(capture(&mut book, "auth_k1", "k1", 300), Err(Refusal::AlreadyDone(Status::Voided)));
}
