//! Risk in real time: each tap is looked at once the store has it, by the rules of the config, and what is decided is
//! written down with its reasons before anything is done.
//!
//! Taps wait in the store, put there by the transaction that takes them, so that a slow list outside never holds a
//! station's batch up and a cloud that dies goes on with them.

pub mod blacklist;
mod patterns;

use std::sync::Arc;
use std::time::Duration;

use facegate_domain::charge::{Instrument, State};
use facegate_domain::deny::DenyReason;
use facegate_domain::ids::{RiderId, StationId};
use facegate_domain::ledger::Account;
use facegate_domain::money::Currency;
use facegate_domain::risk::{Measure, RiskDecision, RiskFacts, RiskRules};
use facegate_domain::tap::{Direction, GateRecord, Medium, Tap};
use facegate_domain::travel_day::TravelDays;
use facegate_domain::{Clock, Timestamp};
use serde::Deserialize;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::notify::NotifyError;
use crate::store::{GateReport, Look, Store, StoreError};
use blacklist::{Blacklist, BlacklistConfig, HttpBlacklist, Reference};
use patterns::Patterns;

/// What a replica has taken to look at is another's after so long.
const TAKEN_FOR: Duration = Duration::from_secs(60);
/// Taps looked at at a time.
const AT_A_TIME: usize = 8;
/// How often it looks for what is due without being told.
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

/// What those who take records and reports in tell.
#[derive(Debug, Clone)]
pub struct RiskIntake {
    patterns: Arc<Patterns>,
    came: Arc<Notify>,
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
        let intake =
            RiskIntake { patterns: Arc::new(Patterns::new(&config.rules, Arc::clone(&store))), came: Arc::default() };
        let blacklist = config.blacklist.as_ref().map(HttpBlacklist::new).transpose()?;
        store.want_looks(true);
        Ok(Some(Arc::new(Self { store, clock, config, currency, days, blacklist, priced_after, intake })))
    }

    pub fn intake(&self) -> RiskIntake {
        self.intake.clone()
    }
}

impl RiskIntake {
    /// Records that are about to be stored.
    pub fn saw(&self, records: &[GateRecord]) {
        self.patterns.saw(records);
    }

    /// What a station says of its gates.
    pub async fn reported(&self, station: &StationId, gates: &[GateReport], now: Timestamp) -> Result<(), StoreError> {
        self.patterns.reported(station, gates, now).await
    }

    /// Taps are in the store, and wait there to be looked at.
    pub fn taps_came(&self) {
        self.came.notify_one();
    }
}

impl Risk {
    /// Looks at what comes until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let looked = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                looked = self.look_at_due() => looked,
            };
            if let Err(error) = looked {
                tracing::error!(%error, "taps wait to be looked at for risk");
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.intake.came.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// All that is due. What is taken and not looked at, because this replica has died, is due again a while later.
    pub async fn look_at_due(&self) -> Result<(), StoreError> {
        loop {
            let now = self.clock.now();
            let looks = self.store.take_looks(now, now.plus(TAKEN_FOR), AT_A_TIME).await?;
            if looks.is_empty() {
                return Ok(());
            }
            futures::future::join_all(looks.iter().map(|look| self.take(look)).collect::<Vec<_>>()).await;
        }
    }

    async fn take(&self, look: &Look) {
        self.told(self.take_one(look).await);
    }

    async fn take_one(&self, look: &Look) -> Result<(), StoreError> {
        let (tap, now) = (&look.tap, self.clock.now());
        if look.again {
            self.limit_face(tap.rider, now).await?;
            return self.store.looked(&tap.id, None).await;
        }
        self.look(tap).await?;
        self.limit_face(tap.rider, tap.at).await?;
        let again = (tap.direction == Direction::Exit).then(|| now.plus(self.priced_after));
        self.store.looked(&tap.id, again).await
    }

    fn told(&self, looked: Result<(), StoreError>) {
        if let Err(error) = looked {
            tracing::error!(%error, "a tap was not looked at for risk; it is looked at again");
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
        let patterns = &self.intake.patterns;
        let (attacks_at_gate, attacks_at_station) =
            patterns.attacks_at(&tap.id.gate, &tap.station, self.clock.now()).await?;
        let facts = RiskFacts {
            tap,
            others: &others,
            has_paid,
            rides,
            unbilled_minor,
            unchecked_at_gate: patterns.unchecked_at(&tap.id.gate),
            attacks_at_gate,
            attacks_at_station,
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
}
