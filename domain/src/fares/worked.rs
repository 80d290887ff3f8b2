//! Worked examples: what a fare office writes beside its table, so that everybody can see that the table says what was
//! announced. `facegate-cloud-sync fares check` runs them.
//!
//! ```toml
//! source = "https://metro.example/fares"     # where the figures are published
//! tables = ["metro-2026.toml"]               # beside this file
//!
//! [[case]]
//! name = "the third ride reaches the daily cap"
//! taps = [                                   # local time, station, in or out
//!     "2026-03-02T08:00 north in",
//!     "2026-03-02T08:40 south out",
//!     "2026-03-02T18:00 south in x5",        # and on the four days that follow
//!     "2026-03-02T18:40 north out x5",
//! ]
//! rider = { category = "child" }             # see RiderTerms
//! pays = [250, 250, 0, 250, 250, 250]        # each ride in the order of time, "held" if none; or
//! last = 250                                 # the last alone, or
//! total = 1250                               # all together
//! says = ["peak, zones 1 to 2"]              # lines of the last ride
//! ```

use std::collections::BTreeMap;

use jiff::civil::DateTime;
use serde::Deserialize;

use crate::fares::{Bill, Billed, Ride, RiderTerms, Tariff};
use crate::gate::GateMode;
use crate::ids::{GateId, RecordId, RiderId, StationId};
use crate::journey::{PairingPolicy, pair};
use crate::tap::{Direction, Medium, Tap};

/// A file of examples.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Examples {
    pub source: String,
    pub tables: Vec<String>,
    #[serde(default)]
    pub case: Vec<Case>,
}

/// One example.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub name: String,
    pub taps: Vec<String>,
    #[serde(default)]
    pub rider: RiderTerms,
    pub pays: Option<Vec<Pays>>,
    pub last: Option<i64>,
    pub total: Option<i64>,
    #[serde(default)]
    pub says: Vec<String>,
}

/// What one ride costs, in minor units, or `"held"`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Pays {
    Minor(i64),
    Word(String),
}

/// A case that comes out otherwise than it says, or says nothing that could.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error(
        "{0:?} is no tap: write 2026-03-02T08:00 north in, x5 behind it for the same on five days, and the gate's mode"
    )]
    Tap(String),
    #[error("it expects nothing: give pays, last or total")]
    Nothing,
    #[error("{what}: expected {expected}, got {got}; {lines}")]
    Differs { what: &'static str, expected: String, got: String, lines: String },
}

impl Case {
    pub fn check(&self, tariff: &Tariff) -> Result<(), Failure> {
        let bill = self.bill(tariff)?;
        let differs = |what, expected: String, got: String| {
            let lines = bill.rides.last().map_or(String::new(), |billed| lines(billed).join("; "));
            Err(Failure::Differs { what, expected, got, lines })
        };
        if self.pays.is_none() && self.last.is_none() && self.total.is_none() {
            return Err(Failure::Nothing);
        }
        let paid: Vec<Pays> = bill.rides.iter().map(pays).collect();
        if let Some(expected) = self.pays.as_ref().filter(|expected| **expected != paid) {
            return differs("pays", format!("{expected:?}"), format!("{paid:?}"));
        }
        if let Some(last) = self.last.filter(|last| paid.last() != Some(&Pays::Minor(*last))) {
            return differs("last", last.to_string(), format!("{:?}", paid.last()));
        }
        let total: i64 = bill.rides.iter().filter_map(Billed::total).map(crate::money::Money::minor).sum();
        if let Some(expected) = self.total.filter(|expected| *expected != total) {
            return differs("total", expected.to_string(), total.to_string());
        }
        let said = bill.rides.last().map(lines).unwrap_or_default();
        match self.says.iter().find(|line| !said.contains(line)) {
            Some(line) => differs("says", line.clone(), said.join("; ")),
            None => Ok(()),
        }
    }

    /// The bill of its taps by the tariff.
    pub fn bill(&self, tariff: &Tariff) -> Result<Bill, Failure> {
        let pairing = pair(&self.taps(tariff)?, &PairingPolicy::default());
        Ok(tariff.bill(&Ride::of(&pairing), &self.rider))
    }

    /// Its taps, numbered from 0 as they are written: the record of each is `example/1/<number>`.
    pub fn taps(&self, tariff: &Tariff) -> Result<Vec<Tap>, Failure> {
        let days = tariff.nearest(crate::Timestamp::default()).calendar().days();
        let mut taps = Vec::new();
        for text in &self.taps {
            let parsed = parse(text).ok_or_else(|| Failure::Tap(text.clone()))?;
            for local in parsed.times {
                let sequence = taps.len() as u64;
                taps.push(Tap {
                    id: RecordId { gate: parsed.gate.clone(), epoch: 1, sequence },
                    rider: RiderId::from_bytes([1; 16]),
                    station: parsed.station.clone(),
                    direction: parsed.direction,
                    medium: parsed.medium,
                    mode: parsed.mode,
                    at: days.at(local),
                });
            }
        }
        Ok(taps)
    }
}

struct Parsed {
    times: Vec<DateTime>,
    gate: GateId,
    station: StationId,
    direction: Direction,
    medium: Medium,
    mode: GateMode,
}

fn parse(text: &str) -> Option<Parsed> {
    let mut words = text.split(' ');
    let first: DateTime = words.next()?.parse().ok()?;
    let station = StationId::new(words.next()?).ok()?;
    let direction = match words.next()? {
        "in" => Direction::Entry,
        "out" => Direction::Exit,
        _ => return None,
    };
    let (mut times, mut medium, mut mode): (i64, _, _) = (1, Medium::Face, GateMode::Normal);
    for word in words {
        match word.strip_prefix('x').and_then(|times| times.parse().ok()) {
            Some(given) => times = given,
            None if word == Medium::Booth.name() => medium = Medium::Booth,
            None => mode = GateMode::from_name(word)?,
        }
    }
    let each = |day| first.checked_add(jiff::Span::new().days(day)).ok();
    let times = (0..times).map(each).collect::<Option<Vec<_>>>()?;
    let gate = GateId::new("example").ok()?;
    Some(Parsed { times, gate, station, direction, medium, mode })
}

fn pays(billed: &Billed) -> Pays {
    billed.total().map_or_else(|| Pays::Word("held".to_owned()), |total| Pays::Minor(total.minor()))
}

fn lines(billed: &Billed) -> Vec<String> {
    match &billed.price {
        Ok(fare) => fare.lines().iter().map(|line| line.rule.to_string()).collect(),
        Err(held) => vec![held.to_string()],
    }
}

impl Examples {
    /// Each case that fails, by its name.
    pub fn failures(&self, tariff: &Tariff) -> BTreeMap<&str, Failure> {
        let check = |case: &'_ Case| case.check(tariff).err();
        self.case.iter().filter_map(|case| Some((case.name.as_str(), check(case)?))).collect()
    }
}
