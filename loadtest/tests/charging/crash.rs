//! Crashes: of the cloud between any two steps of a charge, and of the acquirer at any moment.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use facegate_cloud_sync::charging::acquirer::sandbox::SandboxAcquirer;
use facegate_cloud_sync::charging::acquirer::{Acquirer, Trouble};
use facegate_domain::Clock;
use facegate_domain::charge::{Answer, Call, Found, IdempotencyKey, State};
use facegate_domain::ledger::Account;
use facegate_domain::money::Money;
use facegate_loadtest::acquirer::Statistics;
use facegate_runtime::http;
use facegate_runtime::identity::Role;
use tokio::sync::Notify;

use crate::harness::{Books, FARE, Operator, Sandbox, client};

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cut {
    /// The step is stored, and the call has not left.
    Before,
    /// The call has done its work, and its answer is not stored.
    After,
}

/// The real acquirer, until the `nth` call (queries count) does not come back.
#[derive(Debug)]
struct CutOff {
    acquirer: Arc<SandboxAcquirer>,
    calls: AtomicUsize,
    nth: usize,
    cut: Cut,
    reached: Arc<Notify>,
}

impl CutOff {
    async fn pass_on<T>(&self, call: impl Future<Output = T>) -> T {
        let nth = self.calls.fetch_add(1, Ordering::SeqCst) == self.nth;
        if nth && self.cut == Cut::Before {
            self.crash().await;
        }
        let answer = call.await;
        if nth && self.cut == Cut::After {
            self.crash().await;
        }
        answer
    }

    /// The test drops whoever waits here.
    async fn crash(&self) {
        self.reached.notify_one();
        std::future::pending::<()>().await;
    }
}

#[async_trait]
impl Acquirer for CutOff {
    fn name(&self) -> &str {
        self.acquirer.name()
    }

    async fn make(&self, call: &Call) -> Result<Answer, Trouble> {
        self.pass_on(self.acquirer.make(call)).await
    }

    async fn find(&self, key: &IdempotencyKey, amount: Money) -> Result<Found, Trouble> {
        self.pass_on(self.acquirer.find(key, amount)).await
    }
}

/// Three crashes of the cloud in a row, at every combination of places, and the fourth start brings it to the end.
#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_that_crashes_between_any_two_steps_captures_exactly_once() {
    let operator = Operator::new();
    let sandbox = Sandbox::open(&operator, None).await;
    let acquirer = client(&operator, sandbox.address);
    let places = [(0, Cut::Before), (0, Cut::After), (1, Cut::Before), (1, Cut::After)];
    let mut books = Books::open(operator.folder.path()).await;
    let mut rides = 0;
    for first in places {
        for second in places {
            for third in places {
                rides += 1;
                let token = format!("tok_ok_{rides}");
                let rider = books.rider_with_token(&token).await;
                books.ride(rider).await;
                for (nth, cut) in [first, second, third] {
                    crash(&books, &acquirer, nth, cut).await;
                }
                if rides % 8 == 0 {
                    books = books.reopen(operator.folder.path()).await;
                }
                books.passes(&books.scheduler(Arc::clone(&acquirer) as Arc<dyn Acquirer>), 2).await;
                let told = format!("{first:?} {second:?} {third:?}");
                assert_eq!(books.states(rider).await, [Some(State::Captured)], "{told}");
                let of_token = sandbox.of_token(&token).await;
                assert_eq!((of_token.authorisations, of_token.captures), (1, 1), "{told}");
            }
        }
    }
    assert_eq!(books.balance(Account::AcquirerReceivable).await, rides * FARE);
    assert_eq!(books.balance(Account::OperatorRevenue).await, -rides * FARE);
}

/// A pass that is dropped in the middle of the `nth` call, or ends before it gets there.
pub async fn crash(books: &Books, acquirer: &Arc<SandboxAcquirer>, nth: usize, cut: Cut) {
    let reached = Arc::new(Notify::new());
    let acquirer = Arc::clone(acquirer);
    let cut_off = CutOff { acquirer, calls: AtomicUsize::new(0), nth, cut, reached: Arc::clone(&reached) };
    let scheduler = books.scheduler(Arc::new(cut_off));
    tokio::select! {
        () = reached.notified() => {}
        passed = scheduler.pass() => { passed.unwrap(); }
    }
}

/// The sandbox acquirer as a process of its own.
struct Process(Child);

impl Process {
    fn start(config: &std::path::Path) -> Self {
        let program = env!("CARGO_BIN_EXE_facegate-loadtest");
        let mut command = Command::new(program);
        command.args(["acquirer", "--config"]).arg(config).stdin(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Process {
    /// SIGKILL.
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acquirer_that_is_killed_at_any_moment_forgets_nothing_and_captures_each_ride_once() {
    let operator = Operator::new();
    let tls = operator.issue(Role::Acquirer);
    // A port that was free a moment ago; nobody else here asks for one by number.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = operator.folder.path().join("acquirer.toml");
    let text = format!(
        "listen = {:?}\ndata_dir = {:?}\n[tls]\ncert = {:?}\nkey = {:?}\nca = {:?}\n[faults]\nanswer_after_ms = 15\n",
        address.to_string(),
        operator.folder.path().join("acquirer"),
        tls.cert,
        tls.key,
        tls.ca
    );
    std::fs::write(&config, text).unwrap();
    let mut books = Books::open(operator.folder.path()).await;
    let riders: i64 = 40;
    for number in 0..riders {
        let rider = books.rider_with_token(&format!("tok_ok_{number}")).await;
        books.ride(rider).await;
    }
    let scheduler = Arc::new(books.scheduler(client(&operator, address)));
    let mut interrupted = 0;
    for life in 0..6_u64 {
        let process = Process::start(&config);
        tokio::time::sleep(Duration::from_millis(150)).await;
        let passing = tokio::spawn({
            let scheduler = Arc::clone(&scheduler);
            async move { scheduler.pass().await.unwrap() }
        });
        tokio::time::sleep(Duration::from_millis(20 + 17 * life)).await;
        drop(process);
        interrupted += usize::from(passing.await.unwrap().acquirer_away);
        books.clock.advance(Duration::from_secs(100));
    }

    assert!(interrupted > 0, "a kill came in the middle of a pass");

    let process = Process::start(&config);
    let asked = http::client(&operator.identity(Role::Monitor), Role::Acquirer).build().unwrap();
    let url = format!("https://{address}/v1/statistics");
    for _ in 0..100 {
        if asked.get(&url).send().await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for _ in 0..50 {
        let pass = scheduler.pass().await.unwrap();
        books.clock.advance(Duration::from_secs(100));
        if pass.moved == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let statistics: Statistics = asked.get(url).send().await.unwrap().json().await.unwrap();
    assert_eq!(i64::try_from(statistics.charges.len()).unwrap(), riders);
    assert!(statistics.charges.iter().all(|charge| charge.captures == 1), "{statistics:?}");
    assert!(statistics.tokens.values().all(|token| token.captured_minor == FARE), "{statistics:?}");
    assert_eq!(books.balance(Account::AcquirerReceivable).await, riders * FARE);
    let far_future = books.clock.now().plus(Duration::from_secs(86_400));
    assert!(books.store.due_charges(far_future, 10).await.unwrap().is_empty());
    drop(process);
}
