use super::*;
use crate::ids::RiderId;

const AT: Timestamp = Timestamp::from_unix_ms(0);

fn cny(minor: i64) -> Money {
    Money::from_minor(minor, "CNY".parse().unwrap())
}

fn rider() -> RiderId {
    RiderId::from_bytes([7; 16])
}

fn id(text: &str) -> EntryId {
    EntryId::of("test", text)
}

#[test]
fn an_entry_that_does_not_balance_cannot_be_made() {
    use Account::{AcquirerReceivable, OperatorRevenue};
    let new = |postings: &[(Account, Money)]| {
        Entry::new(id("1"), AT, postings.iter().map(|(account, amount)| Posting::new(*account, *amount)).collect())
    };
    assert!(new(&[(AcquirerReceivable, cny(300)), (OperatorRevenue, cny(-300))]).is_ok());
    assert_eq!(new(&[]), Err(LedgerError::Empty { id: id("1") }));
    assert_eq!(
        new(&[(AcquirerReceivable, cny(300)), (OperatorRevenue, cny(-299))]),
        Err(LedgerError::Unbalanced { id: id("1"), excess: cny(1) })
    );
    assert_eq!(
        new(&[(AcquirerReceivable, cny(0)), (OperatorRevenue, cny(0))]),
        Err(LedgerError::ZeroPosting { id: id("1"), account: AcquirerReceivable })
    );
    let euros = Money::from_minor(-300, "EUR".parse().unwrap());
    assert!(matches!(
        new(&[(AcquirerReceivable, cny(300)), (OperatorRevenue, euros)]),
        Err(LedgerError::Money { problem: MoneyError::CurrencyMismatch { .. }, .. })
    ));
    assert!(matches!(
        new(&[(AcquirerReceivable, cny(i64::MAX)), (OperatorRevenue, cny(1))]),
        Err(LedgerError::Money { problem: MoneyError::Overflow { .. }, .. })
    ));
}

#[test]
fn a_days_entries_leave_the_balances_one_would_write_by_hand() {
    let wallet = Account::Wallet(rider());
    let owes = Account::RiderReceivable(rider());
    let transfer = |name, amount, from, to| Entry::transfer(id(name), AT, cny(amount), from, to).unwrap();
    let entries = [
        transfer("top-up", 5_000, wallet, Account::BoothCash),
        transfer("fare", 300, Account::OperatorRevenue, owes),
        transfer("wallet pays", 300, owes, wallet),
        transfer("fare 2", 500, Account::OperatorRevenue, owes),
        transfer("acquirer pays", 500, owes, Account::AcquirerReceivable),
    ];
    let balance = TrialBalance::of(&entries).unwrap();
    let stands = |account| balance.balance(account, cny(0).currency()).minor();
    assert_eq!(stands(wallet), -4_700);
    assert_eq!(stands(owes), 0);
    assert_eq!(stands(Account::OperatorRevenue), -800);
    assert_eq!(stands(Account::AcquirerReceivable), 500);
    assert_eq!(stands(Account::BoothCash), 5_000);
    assert!(balance.is_balanced());
}

#[test]
fn a_reversal_undoes_an_entry_and_is_named_after_it() {
    let entry = Entry::transfer(id("1"), AT, cny(300), Account::OperatorRevenue, Account::BoothCash).unwrap();
    let undone = entry.reversed(AT).unwrap();
    assert_eq!(undone.id().as_str(), "reverse/test/1");
    let balance = TrialBalance::of([&entry, &undone]).unwrap();
    assert!(balance.iter().all(|(_, amount)| amount.is_zero()));
}

#[test]
fn a_balance_that_would_overflow_leaves_the_books_as_they_were() {
    let much = Entry::transfer(id("1"), AT, cny(i64::MAX), Account::OperatorRevenue, Account::BoothCash).unwrap();
    let more = Entry::transfer(id("2"), AT, cny(1), Account::OperatorRevenue, Account::BoothCash).unwrap();
    let mut balance = TrialBalance::of([&much]).unwrap();
    let before = balance.clone();
    assert!(balance.add(&more).is_err());
    assert_eq!(balance, before);
}

#[test]
fn totals_tell_what_moved_on_each_side_and_between_two_moments() {
    let transfer = |name, amount, from, to| Entry::transfer(id(name), AT, cny(amount), from, to).unwrap();
    let other = RiderId::from_bytes([8; 16]);
    let first = [
        transfer("1", 300, Account::OperatorRevenue, Account::RiderReceivable(rider())),
        transfer("2", 500, Account::OperatorRevenue, Account::RiderReceivable(other)),
    ];
    let later = transfer("3", 500, Account::RiderReceivable(other), Account::AcquirerReceivable);
    let before = Totals::of(&first);
    let after = Totals::of(first.iter().chain([&later]));
    let currency = cny(0).currency();
    assert_eq!(after.turnover(Control::RiderReceivable, currency), Turnover { debits: 800, credits: 500 });
    assert_eq!(after.turnover(Control::RiderReceivable, currency).balance(), 300);
    assert!(after.is_balanced() && after.sums()[&currency].debits == 1_300);
    assert_eq!(after.since(&before), Totals::of([&later]));
    assert_eq!(after.since(&after), Totals::default());
}

#[test]
fn an_account_is_written_by_the_name_of_its_control_account() {
    let r = rider();
    let accounts = [
        Account::RiderReceivable(r),
        Account::Wallet(r),
        Account::WalletHeld(r),
        Account::OperatorRevenue,
        Account::AcquirerReceivable,
        Account::AcquirerFees,
        Account::OperatorBank,
        Account::BoothCash,
        Account::RiskReserve,
        Account::WriteOff,
        Account::Disputed,
        Account::Goodwill,
    ];
    assert_eq!(accounts.map(|account| account.control()), Control::ALL);
    for account in accounts {
        let written = serde_json::to_value(account).unwrap();
        assert_eq!(written["account"], account.control().name());
        assert_eq!(serde_json::from_value::<Account>(written).unwrap(), account);
        assert_eq!(Control::named(account.control().name()), Some(account.control()));
    }
}

#[test]
fn hours_before_1970_begin_where_they_should() {
    for (ms, hour) in [(0, 0), (3_599_999, 0), (3_600_000, 1), (-1, -1), (-3_600_000, -1), (-3_600_001, -2)] {
        assert_eq!(hour_of(Timestamp::from_unix_ms(ms)), hour, "{ms}");
        assert!(hour_begins(hour).unix_ms() <= ms);
    }
}
