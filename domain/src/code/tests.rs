//! Codes that pass, and every way in which one must not.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::clock::Timestamp;
use crate::ids::RiderId;

const NOW: Timestamp = Timestamp::from_unix_ms(1_790_000_000_000);
const HOUR: Duration = Duration::from_secs(3600);

fn issuer() -> CodeIssuer {
    CodeIssuer::from_secret(&[7; 32])
}

fn phone(rider: RiderId) -> Phone {
    let secret = [9; 32];
    let certificate = issuer().issue(rider, &Phone::public_key(&secret), [1; 8], NOW, HOUR).unwrap();
    Phone::new(&secret, certificate)
}

fn check(text: &str, now: Timestamp) -> Result<VerifiedCode, CodeError> {
    verify(text, &[issuer().public()], now, CodeTolerance::default())
}

#[test]
fn a_fresh_code_names_its_rider_and_fits_a_qr() {
    let rider = RiderId::random();
    let text = phone(rider).show(NOW, [5; 8]);
    let code = check(&text, NOW.plus(Duration::from_secs(20))).unwrap();
    assert_eq!((code.rider, code.nonce, code.issued_at), (rider, [5; 8], NOW));
    assert!(text.len() <= 500, "{} characters make a QR too dense to scan while walking", text.len());
}

#[test]
fn times_outside_the_tolerance_are_refused() {
    let text = phone(RiderId::random()).show(NOW, [5; 8]);
    let at = |s| NOW.plus(Duration::from_secs(s));
    assert_eq!(check(&text, at(61)), Err(CodeError::Stale { age_s: 61, limit_s: 60 }));
    assert_eq!(check(&text, NOW.minus(Duration::from_secs(31))), Err(CodeError::FromTheFuture { ahead_s: 31 }));
    let late = phone(RiderId::random()).show(at(3605), [5; 8]);
    assert_eq!(check(&late, at(3605)), Err(CodeError::CertificateExpired { late_s: 5 }));
}

#[test]
fn a_code_of_an_unknown_issuer_or_another_system_is_refused() {
    let text = phone(RiderId::random()).show(NOW, [5; 8]);
    let other = CodeIssuer::from_secret(&[8; 32]).public();
    assert_eq!(verify(&text, &[other], NOW, CodeTolerance::default()), Err(CodeError::UnknownIssuer));
    assert_eq!(check("https://example.org/menu", NOW), Err(CodeError::NotOurs));
    assert!(matches!(check("FG1:", NOW), Err(CodeError::Malformed(_))));
    assert!(matches!(check(&format!("FG1:{}", "A".repeat(5000)), NOW), Err(CodeError::Malformed(_))));
}

#[test]
fn a_stolen_certificate_is_worthless_without_the_phone() {
    let rider = RiderId::random();
    let certificate = issuer().issue(rider, &Phone::public_key(&[9; 32]), [1; 8], NOW, HOUR).unwrap();
    let thief = Phone::new(&[10; 32], certificate);
    assert_eq!(check(&thief.show(NOW, [5; 8]), NOW), Err(CodeError::Forged));
}

proptest! {
    #[test]
    fn no_single_changed_byte_passes(position in 0usize..10_000, flip in 1u8..=255) {
        let text = phone(RiderId::from_bytes([3; 16])).show(NOW, [5; 8]);
        let mut bytes = base45::decode(&text[PREFIX.len()..]).unwrap();
        let position = position % bytes.len();
        bytes[position] ^= flip;
        let tampered = format!("{PREFIX}{}", base45::encode(&bytes));
        prop_assert!(check(&tampered, NOW).is_err());
    }

    #[test]
    fn hostile_text_is_refused_without_panic(text in "\\PC{0,200}", body in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(check(&text, NOW).is_err());
        let encoded = format!("{PREFIX}{}", base45::encode(&body));
        prop_assert!(check(&encoded, NOW).is_err());
    }
}
