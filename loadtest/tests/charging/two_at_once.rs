//! Two clouds before one store: whatever one begins, the other may find half done.

use std::sync::Arc;
use std::time::Duration;

use facegate_cloud_sync::charging::acquirer::Acquirer;
use facegate_domain::charge::{Instrument, State};
use facegate_domain::ledger::Account;

use crate::harness::{Books, FARE, Operator, Sandbox, client};

#[tokio::test(flavor = "multi_thread")]
async fn two_clouds_that_charge_the_same_rides_at_once_capture_each_once() {
    let operator = Operator::new();
    let sandbox = Sandbox::open(&operator, None).await;
    let mut books = Books::open(operator.folder.path()).await;
    let (mut by_card, mut by_wallet) = (Vec::new(), Vec::new());
    for number in 0..12 {
        // The first answer to every third comes after the cloud has given up on it.
        let late = if number % 3 == 0 { "late_" } else { "" };
        let token = format!("tok_ok_{late}{number}");
        let rider = books.rider_with_token(&token).await;
        books.ride(rider).await;
        by_card.push((rider, token));
        let rider = books.rider(Some(Instrument::Wallet), 10 * FARE).await;
        books.ride(rider).await;
        by_wallet.push(rider);
    }
    let scheduler = || books.scheduler(client(&operator, sandbox.address) as Arc<dyn Acquirer>);
    let (one, other) = (scheduler(), scheduler());
    for _ in 0..20 {
        let passes = tokio::join!(one.pass(), other.pass());
        // A step that the other has just made is refused, and that charge is left to it.
        for passed in [passes.0, passes.1] {
            passed.unwrap();
        }
        books.clock.advance(Duration::from_secs(100));
    }
    for (rider, token) in &by_card {
        assert_eq!(books.states(*rider).await, [Some(State::Captured)], "{token}");
        let of_token = sandbox.of_token(token).await;
        assert_eq!((of_token.authorisations, of_token.captures), (1, 1), "{token}");
    }
    for rider in &by_wallet {
        assert_eq!(books.states(*rider).await, [Some(State::Captured)]);
        assert_eq!(books.balance(Account::Wallet(*rider)).await, -9 * FARE);
    }
}
