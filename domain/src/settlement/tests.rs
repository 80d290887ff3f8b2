use sha2::{Digest, Sha256};

use super::*;

fn acquirers() -> Vec<String> {
    vec!["sandbox".to_owned(), "bank".to_owned()]
}

fn sealed(lines: &[&str], sum: i64) -> String {
    let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let hash: String = Sha256::digest(&body).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{body}trailer,{},{sum},{hash}\n", lines.len() - 1)
}

fn good() -> String {
    sealed(
        &[
            "facegate-settlement,1,sandbox,2026-11-29,CNY",
            "capture,ref-1,facegate-a,400,4,2026-11-29T20:30:00Z",
            "capture,ref-2,facegate-b,300,3,2026-11-29T20:31:00.5Z",
            "refund,ref-2,refund-b,100,0,2026-11-29T21:00:00Z",
            "chargeback,ref-9,facegate-c,50,15,2026-11-29T22:00:00Z",
            "chargeback_reversed,ref-9,facegate-c,20,0,2026-11-29T23:00:00Z",
        ],
        570,
    )
}

fn read(text: &[u8]) -> Result<(Settlement, Vec<SettledLine>), SettlementError> {
    let acquirers = acquirers();
    let mut reader = Reader::new(&acquirers, "CNY".parse().unwrap());
    let mut lines = Vec::new();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        lines.extend(reader.feed(line)?);
    }
    Ok((reader.finish()?, lines))
}

#[test]
fn a_whole_file_is_read_line_by_line() {
    let (file, lines) = read(good().as_bytes()).unwrap();
    assert_eq!((file.header.acquirer.as_str(), file.header.date.to_string()), ("sandbox", "2026-11-29".to_owned()));
    assert_eq!((file.lines, file.sum.minor(), file.fees.minor()), (5, 570, 22));
    assert_eq!(file.sha256, <[u8; 32]>::from(Sha256::digest(good())));
    let signed: Vec<i64> = lines.iter().map(SettledLine::signed_minor).collect();
    assert_eq!(signed, [400, 300, -100, -50, 20]);
    assert_eq!(lines[1].booked_at.unix_ms() % 1000, 500);
    let (empty, _) = read(sealed(&["facegate-settlement,1,bank,2026-11-29,CNY"], 0).as_bytes()).unwrap();
    assert_eq!(empty.lines, 0);
    assert_eq!(empty.entry(Timestamp::default()), Ok(None), "a day without anything pays nothing");
}

#[test]
fn what_is_settled_is_owed_by_the_acquirer_no_more() {
    let (file, _) = read(good().as_bytes()).unwrap();
    let entry = file.entry(Timestamp::default()).unwrap().unwrap();
    assert_eq!(entry.id().as_str(), "payout/sandbox/2026-11-29");
    let posted: Vec<(Account, i64)> = entry.postings().iter().map(|p| (p.account, p.amount.minor())).collect();
    let all = [(Account::OperatorBank, 548), (Account::AcquirerFees, 22), (Account::AcquirerReceivable, -570)];
    assert_eq!(posted, all);
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let header = "facegate-settlement,1,sandbox,2026-11-29,CNY";
    let line = "capture,ref-1,facegate-a,400,4,2026-11-29T20:30:00Z";
    let body = |second: &str| sealed(&[header, second], 400);
    for (text, at, said) in [
        (String::new(), 1, "without its trailer"),
        (format!("{header}\n{line}\n"), 2, "without its trailer"),
        (good().trim_end().to_owned(), 7, "line feed"),
        ("hello\n".to_owned(), 1, "begins with"),
        (sealed(&["facegate-settlement,2,sandbox,2026-11-29,CNY"], 0), 1, "version `2`"),
        (sealed(&["facegate-settlement,1,sandbox,2026-13-29,CNY"], 0), 1, "2026-13-29"),
        (sealed(&["facegate-settlement,1,sandbox,2026-11-29,EUR"], 0), 1, "the books are in CNY"),
        (sealed(&["facegate-settlement,1,sandbox,2026-11-29,yuan"], 0), 1, "ISO 4217"),
        (sealed(&["facegate-settlement,1,stranger,2026-11-29,CNY"], 0), 1, "sandbox, bank"),
        (sealed(&[header, line, line], 800), 3, "was in line 2 already"),
        (body("capture,ref-1,facegate-a,400,4"), 2, "5 fields where 6"),
        (body("payment,ref-1,facegate-a,400,4,2026-11-29T20:30:00Z"), 2, "`payment`"),
        (body("capture,,facegate-a,400,4,2026-11-29T20:30:00Z"), 2, "reference is empty"),
        (body("capture,ref-1,a\tb,400,4,2026-11-29T20:30:00Z"), 2, "the key"),
        (body("capture,ref-1,facegate-a,-400,4,2026-11-29T20:30:00Z"), 2, "`-400`"),
        (body("capture,ref-1,facegate-a,0,4,2026-11-29T20:30:00Z"), 2, "`0`"),
        (body("capture,ref-1,facegate-a,4.00,4,2026-11-29T20:30:00Z"), 2, "`4.00`"),
        (body("capture,ref-1,facegate-a,400,-1,2026-11-29T20:30:00Z"), 2, "`-1`"),
        (body("capture,ref-1,facegate-a,400,4,yesterday"), 2, "`yesterday`"),
        (body("capture,ref-1,facegate-a,400,4,2026-11-29T20:30:00+08:00"), 2, "+08:00"),
        (sealed(&[header, line], 399), 3, "come to 400"),
        (good().replace("trailer,5", "trailer,4"), 7, "there are 5"),
        (good().replace("ref-1,", "ref-7,"), 7, "checksum"),
        (good() + "\n", 8, "behind the trailer"),
        (body(&"x".repeat(2000)), 2, "longer than"),
    ] {
        let error = read(text.as_bytes()).unwrap_err();
        assert_eq!(error.line, at, "{text}: {error}");
        assert!(error.to_string().contains(said), "{text}: {error}");
    }
    assert_eq!(read(b"\xff\xfe\n").unwrap_err().fault, Fault::NotText);
    let huge = format!("capture,ref-2,facegate-b,{},0,2026-11-29T20:30:00Z", i64::MAX);
    assert_eq!(read(sealed(&[header, line, &huge], 0).as_bytes()).unwrap_err().fault, Fault::Overflow);
}

#[test]
fn no_file_that_was_cut_or_changed_anywhere_is_taken() {
    let text = good().into_bytes();
    for end in 0..text.len() {
        assert!(read(&text[..end]).is_err(), "cut to {end} bytes");
    }
    for at in 0..text.len() {
        for with in [text[at] ^ 1, text[at] ^ 0x20, b',', b'\n'] {
            let mut changed = text.clone();
            changed[at] = with;
            // The checksum may be written in either case.
            if !changed.eq_ignore_ascii_case(&text) || at < text.len() - 66 && changed != text {
                assert!(read(&changed).is_err(), "byte {at} became {with}");
            }
        }
    }
}
