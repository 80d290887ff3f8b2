//! Money and the books against random amounts.
#![allow(clippy::unwrap_used)]

use facegate_domain::Timestamp;
use facegate_domain::ids::RiderId;
use facegate_domain::ledger::{Account, Entry, EntryId, Posting, TrialBalance};
use facegate_domain::money::{BasisPoints, Money, Rounding};
use proptest::prelude::*;

fn cny(minor: i64) -> Money {
    Money::from_minor(minor, "CNY".parse().unwrap())
}

fn account() -> impl Strategy<Value = Account> {
    (0..5_u8, 0..3_u8).prop_map(|(kind, rider)| {
        let rider = RiderId::from_bytes([rider; 16]);
        match kind {
            0 => Account::RiderReceivable(rider),
            1 => Account::Wallet(rider),
            2 => Account::OperatorRevenue,
            3 => Account::AcquirerReceivable,
            _ => Account::BoothCash,
        }
    })
}

proptest! {
    #[test]
    fn sums_agree_with_wider_arithmetic_or_refuse(a in any::<i64>(), b in any::<i64>()) {
        let sum = i128::from(a) + i128::from(b);
        prop_assert_eq!(cny(a).checked_add(cny(b)).ok().map(|m| i128::from(m.minor())), i64::try_from(sum).ok().map(i128::from));
        let difference = i128::from(a) - i128::from(b);
        prop_assert_eq!(
            cny(a).checked_sub(cny(b)).ok().map(|m| i128::from(m.minor())),
            i64::try_from(difference).ok().map(i128::from)
        );
    }

    #[test]
    fn a_share_is_within_one_unit_of_the_exact_product_on_the_named_side(
        amount in -1_000_000_000_000_i64..1_000_000_000_000,
        points in 0..20_000_u32,
    ) {
        let exact = i128::from(amount) * i128::from(points);
        let scaled = |rounding| {
            i128::from(cny(amount).checked_share(BasisPoints::new(points), rounding).unwrap().minor()) * 10_000
        };
        let (down, up, half) = (scaled(Rounding::Down), scaled(Rounding::Up), scaled(Rounding::HalfEven));
        prop_assert!(down.abs() <= exact.abs() && exact.abs() - down.abs() < 10_000);
        prop_assert!(up.abs() >= exact.abs() && up.abs() - exact.abs() < 10_000);
        prop_assert!((half - exact).abs() <= 5_000);
    }

    #[test]
    fn money_reads_back_as_written(minor in any::<i64>()) {
        let money = cny(minor);
        prop_assert_eq!(round_trip(&money), money);
    }

    #[test]
    fn the_books_always_balance(postings in proptest::collection::vec((account(), account(), 1..1_000_000_i64), 0..40)) {
        let mut books = TrialBalance::default();
        for (number, (from, to, amount)) in postings.into_iter().enumerate() {
            let id = EntryId::of("test", number);
            books.add(&Entry::transfer(id, Timestamp::default(), cny(amount), from, to).unwrap()).unwrap();
            prop_assert!(books.is_balanced());
        }
    }

    #[test]
    fn an_entry_is_made_exactly_if_its_postings_sum_to_zero(
        amounts in proptest::collection::vec(prop_oneof![-3..0_i64, 1..4_i64], 1..6),
    ) {
        let postings = amounts.iter().map(|amount| Posting::new(Account::BoothCash, cny(*amount))).collect();
        let made = Entry::new(EntryId::of("test", 0), Timestamp::default(), postings);
        prop_assert_eq!(made.is_ok(), amounts.iter().sum::<i64>() == 0);
    }
}

fn round_trip(money: &Money) -> Money {
    let text = toml::to_string(money).unwrap();
    toml::from_str(&text).unwrap()
}
