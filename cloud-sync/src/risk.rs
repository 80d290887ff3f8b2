//! Risk in real time: each tap is looked at once the store has it, by the rules of the config, and what is decided is
//! written down with its reasons before anything is done.
//!
//! Taps wait in a bounded queue, so that a slow list outside never holds a station's batch up. What finds the queue full,
//! or is in it when the cloud dies, is not looked at, and counted: risk rules are a second line, and the deny list, the
//! limits and the booth are there without them.

pub mod blacklist;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use facegate_domain::charge::{Instrument, State};
use facegate_domain::deny::DenyReason;
use facegate_domain::ids::{GateId, RiderId};
use facegate_domain::ledger::Account;
use facegate_domain::money::Currency;
use facegate_domain::risk::{Measure, RiskDecision, RiskFacts, RiskRules};
use facegate_domain::tap::{Direction, Evidence, GateRecord, Medium, RecordBody, Tap};
use facegate_domain::travel_day::TravelDays;
use facegate_domain::{Clock, Timestamp};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::notify::NotifyError;
use crate::store::{Store, StoreError};
use blacklist::{Blacklist, BlacklistConfig, HttpBlacklist, Reference};

/// Taps that may wait to be looked at.
const WAITING_MAX: usize = 20_000;
/// Taps looked at at a time.
const AT_A_TIME: usize = 8;
/// How often those are looked at whose ride has its price by now.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the operator wants.
#[derive(Debug, Clone)]
pub struct RiskConfig {
    pub rules: RiskRules,
    pub blacklist: Option<BlacklistConfig>,
    pub face_only: FaceOnly,
}

/// How much a rider may pay by face alone in one travel day before he is asked for his ride code at entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FaceOnly {
    /// Entries by face.
    pub rides_per_day: Option<u64>,
    /// Of rides entered by face that are priced, in minor units.
    pub amount_minor_per_day: Option<i64>,
}

impl RiskConfig {
    /// Whether taps need not be looked at.
    fn is_idle(&self) -> bool {
        self.rules.is_empty() && self.face_only == FaceOnly::default()
    }
}

/// Riders whose codes nobody could check, lately, by gate.
type Unchecked = BTreeMap<GateId, VecDeque<(Timestamp, RiderId)>>;

/// Where taps are handed in to be looked at.
#[derive(Debug, Clone)]
pub struct RiskIntake {
    waiting: mpsc::Sender<Tap>,
    unchecked: Arc<Mutex<Unchecked>>,
    window: Option<Duration>,
}

/// Looks at taps as they come.
#[derive(Debug)]
pub struct Risk {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    config: RiskConfig,
    currency: Currency,
    days: TravelDays,
    blacklist: Option<HttpBlacklist>,
    /// From an exit to the price of its ride, as a rule.
    priced_after: Duration,
    came: tokio::sync::Mutex<mpsc::Receiver<Tap>>,
    intake: RiskIntake,
}

impl Risk {
    /// None if the operator has no rule and no limit.
    pub fn open(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        config: RiskConfig,
        currency: Currency,
        days: TravelDays,
        priced_after: Duration,
    ) -> Result<Option<Arc<Self>>, NotifyError> {
        if config.is_idle() {
            return Ok(None);
        }
        let (waiting, came) = mpsc::channel(WAITING_MAX);
        let window = config.rules.gate_codes.map(|(window, _)| window);
        let intake = RiskIntake { waiting, unchecked: Arc::default(), window };
        let blacklist = config.blacklist.as_ref().map(HttpBlacklist::new).transpose()?;
        let came = tokio::sync::Mutex::new(came);
        Ok(Some(Arc::new(Self { store, clock, config, currency, days, blacklist, priced_after, came, intake })))
    }

    pub fn intake(&self) -> RiskIntake {
        self.intake.clone()
    }
}

impl RiskIntake {
    /// Records that are about to be stored: codes that nobody could check are counted by gate.
    pub fn saw(&self, records: &[GateRecord]) {
        let Some(window) = self.window else { return };
        let mut unchecked = self.unchecked.lock().unwrap_or_else(PoisonError::into_inner);
        for record in records {
            let RecordBody::Authorisation(granted) = &record.body else { continue };
            if !matches!(granted.evidence, Evidence::Code { checked_online: false, .. }) {
                continue;
            }
            let lately = unchecked.entry(record.id.gate.clone()).or_default();
            lately.push_back((record.stamp.wall, granted.rider));
            let since = record.stamp.wall.minus(window);
            while lately.front().is_some_and(|(at, _)| *at < since) {
                lately.pop_front();
            }
        }
    }

    /// Taps that are in the store.
    pub fn hand_in(&self, taps: &[Tap]) {
        for tap in taps {
            if self.waiting.try_send(tap.clone()).is_err() {
                metrics::counter!("facegate_risk_taps_passed_over_total").increment(1);
            }
        }
    }
}

impl Risk {
    /// Looks at what comes until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut came = self.came.lock().await;
        let mut batch = Vec::with_capacity(AT_A_TIME);
        let mut later = VecDeque::new();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                taken = came.recv_many(&mut batch, AT_A_TIME) => if taken == 0 { return },
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            futures::future::join_all(batch.iter().map(|tap| self.take(tap)).collect::<Vec<_>>()).await;
            let now = self.clock.now();
            let left = batch.drain(..).filter(|tap| tap.direction == Direction::Exit);
            later.extend(left.map(|tap| (now.plus(self.priced_after), tap.rider)));
            while let Some((_, rider)) = later.pop_front_if(|(due, _)| *due <= now) {
                self.told(self.limit_face(rider, now).await);
            }
        }
    }

    async fn take(&self, tap: &Tap) {
        self.told(self.look(tap).await.map(drop));
        self.told(self.limit_face(tap.rider, tap.at).await);
    }

    fn told(&self, looked: Result<(), StoreError>) {
        if let Err(error) = looked {
            tracing::error!(%error, "a tap was not looked at for risk");
        }
    }

    /// Asks the rider for his code for the rest of the travel day, if he has paid enough of it by face alone.
    async fn limit_face(&self, rider: RiderId, at: Timestamp) -> Result<(), StoreError> {
        let FaceOnly { rides_per_day, amount_minor_per_day } = self.config.face_only;
        let day = self.days.of(at);
        let ends = self.days.end(day);
        let begins = day.yesterday().map_or(at, |before| self.days.end(before));
        let by_face = |tap: &Tap| tap.medium == Medium::Face && tap.direction == Direction::Entry && tap.at < ends;
        let mut reached = false;
        if let Some(most) = rides_per_day {
            let taps = self.store.taps_around(rider, begins, ends).await?;
            reached |= taps.iter().filter(|tap| by_face(tap)).count() as u64 >= most;
        }
        if let Some(most) = amount_minor_per_day {
            let rides = self.store.rides_since(rider, begins).await?;
            let paid = rides.iter().filter(|priced| priced.ride.entry().is_some_and(&by_face));
            let paid = paid.filter_map(|priced| priced.fare()).map(|fare| fare.total().minor());
            reached |= paid.fold(0, i64::saturating_add) >= most;
        }
        if reached { self.store.cap_face(rider, ends, self.clock.now()).await } else { Ok(()) }
    }

    /// One tap: the facts, the decision, its line in the log, then what it asks for.
    pub async fn look(&self, tap: &Tap) -> Result<Option<RiskDecision>, StoreError> {
        let rules = &self.config.rules;
        let look_back = rules.look_back();
        let mut others = self.store.taps_around(tap.rider, tap.at.minus(look_back), tap.at.plus(look_back)).await?;
        others.retain(|other| other.id != tap.id);
        let (has_paid, rides, unbilled_minor) = self.money(tap.rider).await?;
        let blacklisted = self.ask_outside(tap.rider).await?;
        let facts = RiskFacts {
            tap,
            others: &others,
            has_paid,
            rides,
            unbilled_minor,
            unchecked_at_gate: self.unchecked_at(&tap.id.gate),
            blacklisted: blacklisted.as_deref(),
        };
        let Some(decision) = rules.decide(&facts) else { return Ok(None) };
        if self.store.note_risk(&decision).await? {
            self.act(&decision).await?;
        }
        Ok(Some(decision))
    }

    async fn act(&self, decision: &RiskDecision) -> Result<(), StoreError> {
        let (rider, measure) = (decision.rider, decision.measure.name());
        for finding in &decision.findings {
            let rule = finding.rule.name();
            metrics::counter!("facegate_risk_findings_total", "rule" => rule).increment(1);
            tracing::warn!(%rider, tap = %decision.tap, rule, saw = finding.saw, measure, "a rule about risk was met");
        }
        match decision.measure {
            // A ride that is held is asked for when it is priced.
            Measure::Log | Measure::Hold => Ok(()),
            Measure::AskCode => {
                let now = self.clock.now();
                self.store.cap_face(rider, self.days.end(self.days.of(now)), now).await
            }
            Measure::Deny => self.store.deny(rider, DenyReason::Risk, true).await.map(drop),
        }
    }

    /// Whether he has ever paid, how often he has ridden, and what is not collected; only what a rule asks for.
    async fn money(&self, rider: RiderId) -> Result<(bool, u64, i64), StoreError> {
        let rules = &self.config.rules;
        if rules.first_rides.is_none() && rules.unbilled.is_none() {
            return Ok((true, 0, 0));
        }
        let owed = self.store.balance(Account::RiderReceivable(rider), self.currency).await?;
        let items = self.store.uncharged_items_of(rider).await?;
        let unbilled = items.iter().map(|item| item.amount().minor()).fold(owed.minor(), i64::saturating_add);
        if rules.first_rides.is_none() {
            return Ok((true, 0, unbilled));
        }
        let trips = self.store.trips(rider).await?;
        let charges = trips.iter().flat_map(|trip| &trip.items).filter_map(|billed| billed.charge.as_ref());
        let has_paid = charges.into_iter().any(|charge| *charge.state() == State::Captured);
        Ok((has_paid, trips.len() as u64, unbilled))
    }

    /// A list that does not answer in time stops nobody.
    async fn ask_outside(&self, rider: RiderId) -> Result<Option<String>, StoreError> {
        let (Some(list), Some(config)) = (&self.blacklist, &self.config.blacklist) else { return Ok(None) };
        let account = self.store.account(rider).await?;
        let token = account.as_ref().and_then(|instrument| match instrument {
            Instrument::Acquirer { token, .. } => Some(token),
            Instrument::Wallet => None,
        });
        match list.listed(&Reference::of(&config.secret, rider, token)).await {
            Ok(listed) => Ok(listed),
            Err(error) => {
                metrics::counter!("facegate_risk_blacklist_silent_total").increment(1);
                tracing::warn!(%rider, %error, "the ride goes on unasked");
                Ok(None)
            }
        }
    }

    fn unchecked_at(&self, gate: &GateId) -> u64 {
        let unchecked = self.intake.unchecked.lock().unwrap_or_else(PoisonError::into_inner);
        let lately = unchecked.get(gate).into_iter().flatten();
        lately.map(|(_, rider)| *rider).collect::<HashSet<_>>().len() as u64
    }
}
