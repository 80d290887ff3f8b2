//! What the operator tells stations: settings, modes, fare tables. Pure values; the feed carries them, and whoever holds
//! them (cloud and stations alike) holds them as [`Instructions`].

mod act;
mod order;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::act::{ACT_REMEMBERED, Does, GateAct, REASON_BYTES_MAX};
pub use self::order::{GateOrder, ORDER_ID_BYTES_MAX, ORDER_WAITS_MAX, OrderKind, ToldGate};
use crate::Timestamp;
use crate::fingerprint::fact;
use crate::gate::GateMode;
use crate::ids::{GateId, StationId};

/// Longest fare table that goes over the feed.
pub const FARE_TABLE_BYTES_MAX: usize = 256 << 10;
/// Fare tables held at a time: the one in force, those to come, and some of before.
pub const FARE_TABLES_MAX: usize = 16;

/// How a station lets people pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StationMode {
    #[default]
    Normal,
    /// Nobody is let through by face or code.
    Closed,
    /// Everybody may leave: gates stand open.
    EmergencyOpen,
    /// Rides that begin or end here cost nothing.
    FareFree,
}

impl StationMode {
    pub const ALL: [Self; 4] = [Self::Normal, Self::Closed, Self::EmergencyOpen, Self::FareFree];

    /// The name on the wire, in reports and for the operator.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Closed => "closed",
            Self::EmergencyOpen => "emergency_open",
            Self::FareFree => "fare_free",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }
}

impl fmt::Display for StationMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Settings of the operator. What is `None` is left to the settings for all stations, then to the station's config.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StationSettings {
    /// Whether faces seen by entrance cameras make riders expected.
    pub sightings_enabled: Option<bool>,
    /// Accepted false charges per million passages.
    pub risk_budget: Option<f64>,
    /// A deny list older than this is stale; the station's config says whether riders pass all the same.
    pub deny_list_age_max_s: Option<u64>,
    /// Days that a station authorises without having heard from the cloud.
    pub offline_days_max: Option<u32>,
}

/// A setting that no station can work by.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{setting} cannot be {given}: {allowed}")]
pub struct InvalidInstruction {
    pub setting: &'static str,
    pub given: String,
    pub allowed: &'static str,
}

impl StationSettings {
    /// Errors: the first value out of its range.
    pub fn check(&self) -> Result<(), InvalidInstruction> {
        let wrong = |setting, given: String, allowed| Err(InvalidInstruction { setting, given, allowed });
        if let Some(budget) = self.risk_budget.filter(|budget| !(0.01..=1000.0).contains(budget)) {
            return wrong("risk_budget", budget.to_string(), "use 0.01 to 1000 false charges per million passages");
        }
        if let Some(age) = self.deny_list_age_max_s.filter(|age| !(60..=90 * 86_400).contains(age)) {
            return wrong("deny_list_age_max_s", age.to_string(), "use 60 seconds to 90 days");
        }
        if let Some(days) = self.offline_days_max.filter(|days| !(1..=90).contains(days)) {
            return wrong("offline_days_max", days.to_string(), "use 1 to 90 days");
        }
        Ok(())
    }

    /// These, and where they say nothing, the others.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            sightings_enabled: self.sightings_enabled.or(others.sightings_enabled),
            risk_budget: self.risk_budget.or(others.risk_budget),
            deny_list_age_max_s: self.deny_list_age_max_s.or(others.deny_list_age_max_s),
            offline_days_max: self.offline_days_max.or(others.offline_days_max),
        }
    }
}

/// A fare table as it is published: its text, and from when it is valid.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedFares {
    pub name: String,
    pub valid_from: Timestamp,
    pub toml: String,
}

impl fmt::Debug for PublishedFares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublishedFares({:?}, {} bytes)", self.name, self.toml.len())
    }
}

impl PublishedFares {
    /// SHA-256 of the text, by which a gate, a station and the cloud find that they mean the same table.
    pub fn sha256(&self) -> [u8; 32] {
        use sha2::{Digest, Sha256};
        Sha256::digest(self.toml.as_bytes()).into()
    }
}

/// One thing that the operator told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "instruction", rename_all = "snake_case")]
pub enum Instruction {
    /// In place of the settings of before for this station, or (`None`) for all.
    Settings {
        station: Option<StationId>,
        settings: StationSettings,
    },
    /// For one station, or (`None`) for all that have no mode of their own; a station's own ends with the mode `None`.
    Mode {
        station: Option<StationId>,
        mode: Option<StationMode>,
    },
    /// In place of a table of the same name.
    Fares(PublishedFares),
    FaresWithdrawn {
        name: String,
    },
    /// For one gate, beside its station's; it ends with the mode `None`.
    GateMode {
        gate: GateId,
        mode: Option<GateMode>,
    },
    /// In place of the order of before for this gate.
    GateOrder(GateOrder),
}

impl Instruction {
    /// Names what it takes the place of: of two instructions with the same place the later one holds.
    pub fn place(&self) -> String {
        let of = |station: &Option<StationId>| station.as_ref().map_or(String::new(), ToString::to_string);
        match self {
            Self::Settings { station, .. } => format!("settings/{}", of(station)),
            Self::Mode { station, .. } => format!("mode/{}", of(station)),
            Self::Fares(PublishedFares { name, .. }) | Self::FaresWithdrawn { name } => format!("fares/{name}"),
            Self::GateMode { gate, .. } => format!("gate-mode/{gate}"),
            Self::GateOrder(order) => format!("gate-order/{}", order.gate),
        }
    }

    /// What the instruction at a place says, as one hash: for comparing what two hold.
    pub fn fact(&self) -> u64 {
        let place = self.place();
        let said: Vec<u8> = match self {
            Self::Settings { settings, .. } => {
                let number =
                    |value: Option<u64>| [vec![u8::from(value.is_some())], value.unwrap_or(0).to_le_bytes().to_vec()];
                let fields = [
                    settings.sightings_enabled.map(u64::from),
                    settings.risk_budget.map(f64::to_bits),
                    settings.deny_list_age_max_s,
                    settings.offline_days_max.map(u64::from),
                ];
                fields.into_iter().flat_map(number).flatten().collect()
            }
            Self::Mode { mode, .. } => mode.map_or("", StationMode::name).as_bytes().to_vec(),
            Self::Fares(fares) => [fares.sha256().as_slice(), &fares.valid_from.unix_ms().to_le_bytes()].concat(),
            Self::FaresWithdrawn { .. } => Vec::new(),
            Self::GateMode { mode, .. } => mode.map_or("", GateMode::name).as_bytes().to_vec(),
            Self::GateOrder(order) => {
                [order.id.as_bytes(), &order.until.unix_ms().to_le_bytes(), order.what.name().as_bytes()].concat()
            }
        };
        fact(&[place.as_bytes(), &said])
    }

    /// What ends what this one tells.
    #[must_use]
    pub fn end(&self) -> Self {
        match self {
            Self::Settings { station, .. } => {
                Self::Settings { station: station.clone(), settings: StationSettings::default() }
            }
            Self::Mode { station, .. } => Self::Mode { station: station.clone(), mode: None },
            Self::Fares(PublishedFares { name, .. }) | Self::FaresWithdrawn { name } => {
                Self::FaresWithdrawn { name: name.clone() }
            }
            Self::GateMode { gate, .. } => Self::GateMode { gate: gate.clone(), mode: None },
            // An order that is over is carried out by nobody.
            Self::GateOrder(order) => Self::GateOrder(GateOrder { until: Timestamp::default(), ..order.clone() }),
        }
    }

    /// Whether rides may cost otherwise because of it.
    pub const fn changes_fares(&self) -> bool {
        matches!(self, Self::Fares(_) | Self::FaresWithdrawn { .. })
    }

    /// False if it only ends what was told before, so that nothing of it remains to be told to a station that comes later.
    pub fn holds(&self) -> bool {
        match self {
            Self::Settings { settings, .. } => *settings != StationSettings::default(),
            Self::Mode { mode, .. } => mode.is_some(),
            Self::Fares(_) => true,
            Self::FaresWithdrawn { .. } => false,
            Self::GateMode { mode, .. } => mode.is_some(),
            Self::GateOrder(order) => order.until > Timestamp::default(),
        }
    }
}

/// Everything that the operator told and that holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Instructions {
    /// By their places.
    held: BTreeMap<String, Instruction>,
}

impl Instructions {
    pub fn follow(&mut self, instruction: &Instruction) {
        if instruction.holds() {
            self.held.insert(instruction.place(), instruction.clone());
        } else {
            self.held.remove(&instruction.place());
        }
    }

    /// What holds at one station: its own settings before those for all.
    pub fn settings_of(&self, station: &StationId) -> StationSettings {
        let of = |station: &str| match self.held.get(&format!("settings/{station}")) {
            Some(Instruction::Settings { settings, .. }) => *settings,
            _ => StationSettings::default(),
        };
        of(station.as_str()).or(of(""))
    }

    pub fn mode_of(&self, station: &StationId) -> StationMode {
        let of = |station: &str| match self.held.get(&format!("mode/{station}")) {
            Some(Instruction::Mode { mode, .. }) => *mode,
            _ => None,
        };
        of(station.as_str()).or_else(|| of("")).unwrap_or_default()
    }

    /// What one gate is told, beside its station's mode.
    pub fn of_gate(&self, gate: &GateId) -> ToldGate {
        let mode = match self.held.get(&format!("gate-mode/{gate}")) {
            Some(Instruction::GateMode { mode, .. }) => *mode,
            _ => None,
        };
        let order = match self.held.get(&format!("gate-order/{gate}")) {
            Some(Instruction::GateOrder(order)) => Some(order.clone()),
            _ => None,
        };
        ToldGate { mode: mode.unwrap_or_default(), order }
    }

    /// Every gate that is told something of its own.
    pub fn gates(&self) -> BTreeMap<GateId, ToldGate> {
        let gate = |told: &Instruction| match told {
            Instruction::GateMode { gate, .. } => Some(gate.clone()),
            Instruction::GateOrder(order) => Some(order.gate.clone()),
            _ => None,
        };
        self.held.values().filter_map(gate).map(|gate| (gate.clone(), self.of_gate(&gate))).collect()
    }

    pub fn fares(&self) -> impl Iterator<Item = &PublishedFares> {
        self.held.values().filter_map(|told| match told {
            Instruction::Fares(fares) => Some(fares),
            _ => None,
        })
    }

    /// The instructions that, followed from nothing, give these.
    pub fn told(&self) -> impl Iterator<Item = &Instruction> {
        self.held.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn north() -> StationId {
        StationId::new("north").unwrap()
    }

    fn sightings(on: bool) -> StationSettings {
        StationSettings { sightings_enabled: Some(on), ..StationSettings::default() }
    }

    #[test]
    fn a_stations_own_instructions_go_before_those_for_all_until_they_end() {
        let mut told = Instructions::default();
        let all = StationSettings { risk_budget: Some(5.0), ..sightings(true) };
        told.follow(&Instruction::Settings { station: None, settings: all });
        told.follow(&Instruction::Settings { station: Some(north()), settings: sightings(false) });
        told.follow(&Instruction::Mode { station: None, mode: Some(StationMode::FareFree) });
        told.follow(&Instruction::Mode { station: Some(north()), mode: Some(StationMode::Closed) });
        let south = StationId::new("south").unwrap();
        assert_eq!(told.settings_of(&north()), StationSettings { risk_budget: Some(5.0), ..sightings(false) });
        assert_eq!(told.settings_of(&south), all);
        assert_eq!((told.mode_of(&north()), told.mode_of(&south)), (StationMode::Closed, StationMode::FareFree));
        let mut again = Instructions::default();
        told.told().for_each(|instruction| again.follow(instruction));
        assert_eq!(again, told);
        told.follow(&Instruction::Mode { station: Some(north()), mode: None });
        told.follow(&Instruction::Settings { station: Some(north()), settings: StationSettings::default() });
        assert_eq!(told.mode_of(&north()), StationMode::FareFree);
        assert_eq!(told.settings_of(&north()), all);
    }

    #[test]
    fn values_that_no_station_can_work_by_are_named() {
        assert_eq!(StationSettings::default().check(), Ok(()));
        let wrong = StationSettings { risk_budget: Some(f64::NAN), ..StationSettings::default() };
        assert_eq!(wrong.check().unwrap_err().setting, "risk_budget");
        let wrong = StationSettings { offline_days_max: Some(0), ..StationSettings::default() };
        assert_eq!(wrong.check().unwrap_err().setting, "offline_days_max");
    }

    #[test]
    fn modes_read_back_by_name() {
        for mode in StationMode::ALL {
            assert_eq!(StationMode::from_name(mode.name()), Some(mode));
        }
    }
}
