//! The bank-debit adapter and a bank that answers its files, well and badly.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use facegate_cloud_sync::charging::acquirer::Acquirer;
use facegate_cloud_sync::charging::acquirer::bank_debit::{BankDebit, BankDebitConfig, BankFilesError};
use facegate_cloud_sync::signature::SharedSecret;
use facegate_domain::charge::{
    AcquirerName, AcquirerToken, Answer, AuthorisationId, Call, Decline, Found, IdempotencyKey, Instrument, State,
};
use facegate_domain::dispute::DisputeState;
use facegate_domain::ledger::Account;
use facegate_domain::money::Money;
use facegate_domain::travel_day::TravelDays;
use facegate_loadtest::bank::Bank;

use crate::harness::{Books, FARE, Operator};

const DAY: Duration = Duration::from_secs(86_400);

struct World {
    books: Books,
    adapter: BankDebit,
    config: BankDebitConfig,
    bank: Bank,
    folder: PathBuf,
}

fn cny(minor: i64) -> Money {
    Money::from_minor(minor, "CNY".parse().unwrap())
}

fn key(name: &str) -> IdempotencyKey {
    IdempotencyKey::new(name)
}

fn secret() -> SharedSecret {
    SharedSecret::new("a-secret-of-cloud-and-bank").unwrap()
}

fn adapter(books: &Books, config: BankDebitConfig) -> BankDebit {
    let (name, clock) = (AcquirerName::new("bank").unwrap(), Arc::clone(&books.clock) as _);
    BankDebit::new(name, config, Arc::clone(&books.store), clock)
}

impl World {
    async fn new(operator: &Operator) -> Self {
        let books = Books::open(operator.folder.path()).await;
        let folder = operator.folder.path().join("bank");
        let config = BankDebitConfig {
            folder: folder.clone(),
            secret: secret(),
            days: TravelDays::new("+08:00", "18:00").unwrap(),
            currency: cny(0).currency(),
            look_every: Duration::from_secs(30),
        };
        let adapter = adapter(&books, config.clone());
        Self { books, adapter, config, bank: Bank { folder: folder.clone(), secret: secret() }, folder }
    }

    /// Another one over the same store and folder.
    fn adapter(&self) -> BankDebit {
        adapter(&self.books, self.config.clone())
    }

    async fn ordered(&self, name: &str, token: &str, minor: i64) {
        let (token, authorisation) = (AcquirerToken::new(token).unwrap(), AuthorisationId::new(name));
        let authorise = Call::Authorise { key: key(name), token, amount: cny(900) };
        assert_eq!(self.adapter.make(&authorise).await, Ok(Answer::Authorised(authorisation.clone())));
        let capture = Call::Capture { key: key(name), authorisation, amount: cny(minor) };
        assert_eq!(self.adapter.make(&capture).await, Ok(Answer::Pending));
        assert_eq!(self.adapter.make(&capture).await, Ok(Answer::Pending), "again is the same order");
    }

    async fn exchange(&self) -> Result<usize, BankFilesError> {
        self.adapter.exchange_files().await
    }

    /// The next day: our file, the bank's answer, and its reading.
    async fn next_day(&self) -> usize {
        self.books.clock.advance(DAY);
        self.exchange().await.unwrap();
        for path in self.bank.orders().unwrap() {
            self.bank.answer(&path).unwrap();
        }
        self.exchange().await.unwrap()
    }

    async fn found(&self, name: &str) -> Found {
        self.adapter.find(&key(name), cny(900)).await.unwrap()
    }

    fn in_folder(&self, name: &str) -> PathBuf {
        self.folder.join("in").join(name)
    }
}

fn captured(name: &str) -> Found {
    Found::Captured { authorisation: AuthorisationId::new(name) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_days_file_goes_out_once_and_its_answer_settles_what_was_pending() {
    let operator = Operator::new();
    let world = World::new(&operator).await;
    world.exchange().await.unwrap();
    for (name, token, minor) in
        [("k1", "acc_ok_1", 400), ("k2", "acc_poor_1", 300), ("k3", "acc_closed_1", 300), ("k4", "acc_late_1", 500)]
    {
        world.ordered(name, token, minor).await;
    }
    world.exchange().await.unwrap();
    assert!(matches!(world.found("k1").await, Found::Pending { .. }), "today's file was written before");

    world.books.clock.advance(DAY);
    world.exchange().await.unwrap();
    let ours = world.bank.orders().unwrap();
    let text = std::fs::read_to_string(ours.last().unwrap()).unwrap();
    assert!(text.contains("debit,k1,acc_ok_1,400,\n") && text.contains("\ntrailer,4,1500,"), "{text}");
    world.ordered("k5", "acc_ok_2", 100).await;
    world.exchange().await.unwrap();
    assert_eq!(std::fs::read_to_string(ours.last().unwrap()).unwrap(), text, "it never changes");
    for path in &ours {
        world.bank.answer(path).unwrap();
    }
    assert_eq!(world.exchange().await.unwrap(), ours.len());
    assert_eq!(world.found("k1").await, captured("k1"));
    assert_eq!(world.found("k2").await, Found::Declined(Decline::soft("AM04")));
    assert_eq!(world.found("k3").await, Found::Declined(Decline::hard("AC01")));
    assert_eq!(world.found("k4").await, captured("k4"));
    assert!(matches!(world.found("k5").await, Found::Pending { .. }));

    // The next day's answer brings what the rider's bank has taken back, and a refund goes out.
    let refund = |name: &str, minor| Call::Refund {
        key: key(name),
        of: key("k1"),
        authorisation: AuthorisationId::new("k1"),
        amount: cny(minor),
    };
    assert_eq!(world.adapter.make(&refund("r1", 150)).await, Ok(Answer::Pending));
    assert!(matches!(world.adapter.make(&refund("r2", 251)).await, Ok(Answer::Declined(_))), "more than is left");
    assert_eq!(world.next_day().await, 1);
    assert_eq!(world.found("k5").await, captured("k5"));
    assert_eq!(world.found("k4").await, captured("k4"), "what was captured stays so; that it came back is a dispute");
    let order = world.books.store.debit_order("bank", &key("k4")).await.unwrap().unwrap();
    assert_eq!(order.state.name(), "taken back");
    assert_eq!(world.adapter.find(&key("r1"), cny(150)).await, Ok(Found::Refunded));
    assert!(world.bank.orders().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_answer_changes_nothing_and_a_good_one_is_taken_after_it() {
    let operator = Operator::new();
    let world = World::new(&operator).await;
    world.exchange().await.unwrap();
    world.ordered("k1", "acc_ok_1", 400).await;
    world.books.clock.advance(DAY);
    world.exchange().await.unwrap();
    let pending = world.found("k1").await;
    let write = |number, lines: &[&str]| {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        world.bank.write("bank", "CNY", number, &lines).unwrap()
    };
    let good = write(1, &["accepted,k1,400,"]);
    let text = std::fs::read_to_string(&good).unwrap();
    std::fs::remove_file(&good).unwrap();
    let other_secret =
        Bank { folder: world.folder.clone(), secret: SharedSecret::new("quite-another-secret").unwrap() };
    let refused = async |what: &str, path: PathBuf| {
        assert_eq!(world.exchange().await.unwrap(), 0, "{what}");
        assert_eq!(world.found("k1").await, pending, "{what}");
        assert!(path.is_file(), "{what}: it stays to be looked at");
        std::fs::remove_file(path).unwrap();
    };
    let cut_off = world.in_folder("answer-000001.csv");
    std::fs::write(&cut_off, &text[..text.len() / 2]).unwrap();
    refused("truncated", cut_off).await;
    let altered = world.in_folder("altered.csv");
    std::fs::write(&altered, text.replace("accepted,k1,400,", "returned,k1,400,AM04")).unwrap();
    refused("altered", altered).await;
    let lines = ["accepted,k1,400,".to_owned()];
    refused("another secret", other_secret.write("bank", "CNY", 1, &lines).unwrap()).await;
    refused("another acquirer", world.bank.write("other", "CNY", 1, &lines).unwrap()).await;
    refused("another currency", world.bank.write("bank", "EUR", 1, &lines).unwrap()).await;
    refused("an unknown key", write(1, &["accepted,k1,400,", "accepted,k9,400,"])).await;
    refused("another amount", write(1, &["accepted,k1,401,"])).await;
    refused("out of order", write(2, &["accepted,k1,400,"])).await;

    // The first comes late: both are taken then, in their order.
    write(2, &["returned,k1,400,MD06"]);
    assert_eq!(world.exchange().await.unwrap(), 0);
    write(1, &["accepted,k1,400,"]);
    assert_eq!(world.exchange().await.unwrap(), 2);
    assert_eq!(world.found("k1").await, captured("k1"));

    // The same again is nothing new; the same number with another content is refused.
    let again = write(1, &["accepted,k1,400,"]);
    assert_eq!(world.exchange().await.unwrap(), 0);
    assert!(!again.exists(), "it was put away");
    let contradicts = write(1, &["returned,k1,400,AM04"]);
    assert_eq!(world.exchange().await.unwrap(), 0);
    assert!(contradicts.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_ours_that_somebody_has_altered_is_noticed() {
    let operator = Operator::new();
    let world = World::new(&operator).await;
    world.exchange().await.unwrap();
    let path = world.bank.orders().unwrap().remove(0);
    std::fs::write(&path, "debit,k1,acc_ok_1,999999,\n").unwrap();
    let refused = world.exchange().await;
    assert!(matches!(refused, Err(BankFilesError::Changed { .. })), "{refused:?}");
    std::fs::remove_file(&path).unwrap();
    world.exchange().await.unwrap();
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("facegate-debit,1,bank,"), "written again as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_riders_bank_takes_back_is_a_dispute_of_his_charge() {
    let operator = Operator::new();
    let mut world = World::new(&operator).await;
    let account = Instrument::Acquirer {
        acquirer: AcquirerName::new("bank").unwrap(),
        token: AcquirerToken::new("acc_late_1").unwrap(),
    };
    let rider = world.books.rider(Some(account), 0).await;
    world.books.ride(rider).await;
    world.exchange().await.unwrap();
    let scheduler = world.books.scheduler(Arc::new(world.adapter()));
    world.books.passes(&scheduler, 2).await;
    world.next_day().await;
    world.books.passes(&scheduler, 2).await;
    assert_eq!(world.books.states(rider).await, [Some(State::Captured)]);
    assert!(world.books.store.disputes_of(rider).await.unwrap().is_empty());

    // The next answer returns it.
    let other = world.books.rider(None, 0).await;
    assert!(world.books.store.disputes_of(other).await.unwrap().is_empty());
    world.ordered("k1", "acc_ok_1", 100).await;
    world.next_day().await;
    let disputes = world.books.store.disputes_of(rider).await.unwrap();
    let charge = world.books.store.trips(rider).await.unwrap()[0].charge().unwrap().id();
    assert_eq!(disputes.iter().map(|dispute| dispute.charge).collect::<Vec<_>>(), [charge]);
    assert_eq!((disputes[0].state, disputes[0].amount), (DisputeState::Open, cny(FARE)));
    assert_eq!(world.books.balance(Account::Disputed).await, FARE);
    world.exchange().await.unwrap();
    assert_eq!(world.books.store.disputes_of(rider).await.unwrap().len(), 1, "once");
}
