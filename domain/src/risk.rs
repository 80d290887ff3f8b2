//! Risk, as rides happen: rules over a few facts about a tap and those around it. Each rule that is met says so with the
//! numbers it saw, and what is done about it is the strongest of what the rules met ask for.
//!
//! Rules are data ([`RiskRules`]); the facts are gathered by whoever calls. Nothing here looks at a face or at a name.

mod attacks;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use attacks::{AttacksTold, GateAttacks};

use crate::clock::Timestamp;
use crate::ids::{RecordId, RiderId};
use crate::tap::{Medium, Tap};

/// What is done about a tap, from the weakest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Nothing is done about it.
    Log,
    /// Gates ask for the ride code until the travel day ends.
    AskCode,
    /// A person looks at it.
    Hold,
    /// Gates refuse the rider.
    Deny,
}

impl Measure {
    pub const ALL: [Self; 4] = [Self::Log, Self::AskCode, Self::Hold, Self::Deny];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::AskCode => "ask_code",
            Self::Hold => "hold",
            Self::Deny => "deny",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|measure| measure.name() == name)
    }
}

/// A rule's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleName {
    /// Many taps of one rider in a short time.
    Velocity,
    /// One rider at two stations sooner than anybody can travel.
    TwoPlaces,
    /// Face and code of one rider within seconds at different gates.
    FaceAndCode,
    /// The first rides of a rider whose instrument has never paid.
    FirstRides,
    /// What a rider owes and nobody has collected.
    Unbilled,
    /// One gate that lets many riders in by codes that could not be checked, or that were used twice.
    GateCodes,
    /// One gate at which attacks (a photograph or screen, a forged or replayed code) were refused, again and again.
    GateAttacks,
    /// The same at all gates of one station together.
    StationAttacks,
    /// A list outside names the rider or his instrument.
    Blacklisted,
}

impl RuleName {
    pub const ALL: [Self; 9] = [
        Self::Velocity,
        Self::TwoPlaces,
        Self::FaceAndCode,
        Self::FirstRides,
        Self::Unbilled,
        Self::GateCodes,
        Self::GateAttacks,
        Self::StationAttacks,
        Self::Blacklisted,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Velocity => "velocity",
            Self::TwoPlaces => "two_places",
            Self::FaceAndCode => "face_and_code",
            Self::FirstRides => "first_rides",
            Self::Unbilled => "unbilled",
            Self::GateCodes => "gate_codes",
            Self::GateAttacks => "gate_attacks",
            Self::StationAttacks => "station_attacks",
            Self::Blacklisted => "blacklisted",
        }
    }
}

/// A limit, and what follows beyond it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    pub most: u64,
    pub then: Measure,
}

/// The operator's rules; what is `None` is not looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RiskRules {
    /// Taps of one rider within the window.
    pub velocity: Option<(Duration, Limit)>,
    /// Between taps at two stations there must be so much time at least.
    pub two_places: Option<(Duration, Measure)>,
    pub face_and_code: Option<(Duration, Measure)>,
    /// Rides while no charge of the rider has ever been captured.
    pub first_rides: Option<Limit>,
    /// In minor units.
    pub unbilled: Option<Limit>,
    /// Different riders at one gate within the window whose codes were not checked with the station.
    pub gate_codes: Option<(Duration, Limit)>,
    /// Attacks refused at the tap's gate within the window.
    pub gate_attacks: Option<(Duration, Limit)>,
    /// Attacks refused at the tap's station within the window.
    pub station_attacks: Option<(Duration, Limit)>,
    pub blacklisted: Option<Measure>,
}

/// What is known as a tap comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RiskFacts<'a> {
    pub tap: &'a Tap,
    /// The rider's other taps around it, of any direction.
    pub others: &'a [Tap],
    /// Whether a charge of the rider's was ever captured.
    pub has_paid: bool,
    /// Rides priced so far.
    pub rides: u64,
    /// What is priced and not collected, in minor units.
    pub unbilled_minor: i64,
    /// Different riders at this gate lately whose codes nobody could check.
    pub unchecked_at_gate: u64,
    /// Attacks that were refused lately at this gate, and at its station.
    pub attacks_at_gate: u64,
    pub attacks_at_station: u64,
    /// What the list outside said, if it was asked and named him.
    pub blacklisted: Option<&'a str>,
}

/// A rule that was met, with what it saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub rule: RuleName,
    /// The numbers, in words.
    pub saw: String,
    pub asks: Measure,
}

/// What was decided about one tap, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RiskDecision {
    pub tap: RecordId,
    pub rider: RiderId,
    pub at: Timestamp,
    pub findings: Vec<Finding>,
    pub measure: Measure,
}

impl RiskRules {
    /// How far back taps of a rider matter.
    pub fn look_back(&self) -> Duration {
        let windows = [
            self.velocity.map(|(window, _)| window),
            self.two_places.map(|(window, _)| window),
            self.face_and_code.map(|(window, _)| window),
        ];
        windows.into_iter().flatten().max().unwrap_or_default()
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What the rules say to these facts; None if none is met.
    pub fn decide(&self, facts: &RiskFacts<'_>) -> Option<RiskDecision> {
        let findings: Vec<Finding> = [
            self.velocity(facts),
            self.two_places(facts),
            self.face_and_code(facts),
            self.first_rides(facts),
            self.unbilled(facts),
            self.gate_codes(facts),
            attacks(self.gate_attacks, RuleName::GateAttacks, facts.attacks_at_gate, facts.tap.id.gate.as_str()),
            attacks(
                self.station_attacks,
                RuleName::StationAttacks,
                facts.attacks_at_station,
                facts.tap.station.as_str(),
            ),
            self.blacklisted(facts),
        ]
        .into_iter()
        .flatten()
        .collect();
        let measure = findings.iter().map(|finding| finding.asks).max()?;
        let tap = facts.tap;
        Some(RiskDecision { tap: tap.id.clone(), rider: tap.rider, at: tap.at, findings, measure })
    }

    fn velocity(&self, facts: &RiskFacts<'_>) -> Option<Finding> {
        let (window, limit) = self.velocity?;
        let since = facts.tap.at.minus(window);
        let others = facts.others.iter().filter(|tap| tap.at >= since && tap.at <= facts.tap.at);
        let taps = 1 + others.count() as u64;
        let saw = || format!("{taps} taps within {} s, {} at most", window.as_secs(), limit.most);
        (taps > limit.most).then(|| Finding { rule: RuleName::Velocity, saw: saw(), asks: limit.then })
    }

    fn two_places(&self, facts: &RiskFacts<'_>) -> Option<Finding> {
        let (least, asks) = self.two_places?;
        let elsewhere = facts.others.iter().filter(|tap| tap.station != facts.tap.station);
        let (gap, other) = elsewhere.map(|tap| (between(tap, facts.tap), tap)).min_by_key(|(gap, _)| *gap)?;
        let (here, there) = (&facts.tap.station, &other.station);
        let saw = || format!("at {there} and at {here} {} s apart, {} s at least", gap.as_secs(), least.as_secs());
        (gap < least).then(|| Finding { rule: RuleName::TwoPlaces, saw: saw(), asks })
    }

    fn face_and_code(&self, facts: &RiskFacts<'_>) -> Option<Finding> {
        let (window, asks) = self.face_and_code?;
        // An attendant is nobody's second way in.
        let by_himself = |tap: &Tap| tap.medium != Medium::Booth;
        let other_way =
            |tap: &&Tap| by_himself(tap) && tap.medium != facts.tap.medium && tap.id.gate != facts.tap.id.gate;
        let other = facts.others.iter().filter(other_way).min_by_key(|tap| between(tap, facts.tap))?;
        let gap = between(other, facts.tap);
        let (face, code) = match facts.tap.medium {
            Medium::Face => (&facts.tap.id.gate, &other.id.gate),
            Medium::Code => (&other.id.gate, &facts.tap.id.gate),
            Medium::Booth => return None,
        };
        let saw = || format!("face at {face} and code at {code} {} s apart", gap.as_secs());
        (gap < window).then(|| Finding { rule: RuleName::FaceAndCode, saw: saw(), asks })
    }

    fn first_rides(&self, facts: &RiskFacts<'_>) -> Option<Finding> {
        let limit = self.first_rides?;
        let met = !facts.has_paid && facts.rides > limit.most;
        let saw = || format!("{} rides and nothing was ever paid, {} at most", facts.rides, limit.most);
        met.then(|| Finding { rule: RuleName::FirstRides, saw: saw(), asks: limit.then })
    }

    fn unbilled(&self, facts: &RiskFacts<'_>) -> Option<Finding> {
        let limit = self.unbilled?;
        let met = u64::try_from(facts.unbilled_minor).is_ok_and(|minor| minor > limit.most);
        let saw = || format!("{} minor units not collected, {} at most", facts.unbilled_minor, limit.most);
        met.then(|| Finding { rule: RuleName::Unbilled, saw: saw(), asks: limit.then })
    }

    fn gate_codes(&self, facts: &RiskFacts<'_>) -> Option<Finding> {
        let (window, limit) = self.gate_codes?;
        let riders = facts.unchecked_at_gate;
        let gate = &facts.tap.id.gate;
        let saw = || {
            format!(
                "codes of {riders} riders unchecked at {gate} within {} s, {} at most",
                window.as_secs(),
                limit.most
            )
        };
        (riders > limit.most).then(|| Finding { rule: RuleName::GateCodes, saw: saw(), asks: limit.then })
    }

    fn blacklisted(&self, facts: &RiskFacts<'_>) -> Option<Finding> {
        let (asks, reason) = (self.blacklisted?, facts.blacklisted?);
        Some(Finding { rule: RuleName::Blacklisted, saw: reason.to_owned(), asks })
    }
}

fn attacks(rule: Option<(Duration, Limit)>, name: RuleName, attacks: u64, at: &str) -> Option<Finding> {
    let (window, limit) = rule?;
    let saw = || format!("{attacks} attacks refused at {at} within {} s, {} at most", window.as_secs(), limit.most);
    (attacks > limit.most).then(|| Finding { rule: name, saw: saw(), asks: limit.then })
}

fn between(one: &Tap, other: &Tap) -> Duration {
    one.at.since(other.at).max(other.at.since(one.at))
}

#[cfg(test)]
mod tests;
