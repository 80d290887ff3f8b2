//! ops.proto: what the operator tells, as it also goes over the feed.

use facegate_domain::Timestamp;
use facegate_domain::gate::GateMode;
use facegate_domain::ids::{GateId, InvalidId, StationId};
use facegate_domain::operation::{GateOrder, Instruction, OrderKind, PublishedFares, StationMode, StationSettings};

use super::gate::gate_mode_from_wire;
use super::{InvalidMessage, required};
use crate::v1;
use crate::v1::instruct_request::Instruction as Wire;

/// Empty: all stations.
fn station_from_wire(station: String) -> Result<Option<StationId>, InvalidId> {
    if station.is_empty() { Ok(None) } else { StationId::new(station).map(Some) }
}

fn station_to_wire(station: Option<StationId>) -> String {
    station.map(String::from).unwrap_or_default()
}

pub fn mode_from_wire(mode: &str) -> Result<StationMode, InvalidMessage> {
    let unknown = || InvalidMessage::UnknownValue { field: "mode", got: mode.to_owned() };
    StationMode::from_name(mode).ok_or_else(unknown)
}

impl TryFrom<v1::StationSettings> for Instruction {
    type Error = InvalidMessage;
    fn try_from(wire: v1::StationSettings) -> Result<Self, InvalidMessage> {
        let settings = StationSettings {
            sightings_enabled: wire.sightings_enabled,
            risk_budget: wire.risk_budget,
            deny_list_age_max_s: wire.deny_list_age_max_s,
            offline_days_max: wire.offline_days_max,
        };
        settings.check()?;
        Ok(Self::Settings { station: station_from_wire(wire.station)?, settings })
    }
}

impl TryFrom<v1::FareTable> for Instruction {
    type Error = InvalidMessage;
    fn try_from(wire: v1::FareTable) -> Result<Self, InvalidMessage> {
        if wire.name.is_empty() {
            return Err(InvalidMessage::Missing { field: "name" });
        }
        if wire.toml.is_empty() {
            return Ok(Self::FaresWithdrawn { name: wire.name });
        }
        let valid_from = Timestamp::from_unix_ms(wire.valid_from_unix_ms);
        Ok(Self::Fares(PublishedFares { name: wire.name, valid_from, toml: wire.toml }))
    }
}

impl TryFrom<v1::StationMode> for Instruction {
    type Error = InvalidMessage;
    fn try_from(wire: v1::StationMode) -> Result<Self, InvalidMessage> {
        let mode = if wire.mode.is_empty() { None } else { Some(mode_from_wire(&wire.mode)?) };
        Ok(Self::Mode { station: station_from_wire(wire.station)?, mode })
    }
}

impl TryFrom<v1::GateMode> for Instruction {
    type Error = InvalidMessage;
    fn try_from(wire: v1::GateMode) -> Result<Self, InvalidMessage> {
        let mode = if wire.mode.is_empty() { None } else { Some(gate_mode_from_wire(&wire.mode)?) };
        Ok(Self::GateMode { gate: GateId::new(wire.gate)?, mode })
    }
}

impl TryFrom<v1::GateOrder> for Instruction {
    type Error = InvalidMessage;
    fn try_from(wire: v1::GateOrder) -> Result<Self, InvalidMessage> {
        let unknown = || InvalidMessage::UnknownValue { field: "what", got: wire.what.clone() };
        let what = OrderKind::from_name(&wire.what).ok_or_else(unknown)?;
        let until = Timestamp::from_unix_ms(wire.until_unix_ms);
        Ok(Self::GateOrder(GateOrder { gate: GateId::new(wire.gate)?, id: wire.id, what, until }))
    }
}

impl TryFrom<v1::InstructRequest> for Instruction {
    type Error = InvalidMessage;
    fn try_from(wire: v1::InstructRequest) -> Result<Self, InvalidMessage> {
        match required("instruction", wire.instruction)? {
            Wire::Settings(settings) => settings.try_into(),
            Wire::FareTable(fares) => fares.try_into(),
            Wire::Mode(mode) => mode.try_into(),
            Wire::GateMode(mode) => mode.try_into(),
            Wire::GateOrder(order) => order.try_into(),
        }
    }
}

impl From<Instruction> for Wire {
    fn from(instruction: Instruction) -> Self {
        match instruction {
            Instruction::Settings { station, settings } => Self::Settings(v1::StationSettings {
                station: station_to_wire(station),
                sightings_enabled: settings.sightings_enabled,
                risk_budget: settings.risk_budget,
                deny_list_age_max_s: settings.deny_list_age_max_s,
                offline_days_max: settings.offline_days_max,
            }),
            Instruction::Fares(PublishedFares { name, valid_from, toml }) => {
                Self::FareTable(v1::FareTable { name, valid_from_unix_ms: valid_from.unix_ms(), toml })
            }
            Instruction::FaresWithdrawn { name } => Self::FareTable(v1::FareTable { name, ..v1::FareTable::default() }),
            Instruction::GateMode { gate, mode } => {
                let mode = mode.map_or("", GateMode::name).to_owned();
                Self::GateMode(v1::GateMode { gate: gate.into(), mode })
            }
            Instruction::GateOrder(order) => Self::GateOrder(v1::GateOrder {
                gate: order.gate.into(),
                id: order.id,
                what: order.what.name().to_owned(),
                until_unix_ms: order.until.unix_ms(),
            }),
            Instruction::Mode { station, mode } => Self::Mode(v1::StationMode {
                station: station_to_wire(station),
                mode: mode.map_or("", StationMode::name).to_owned(),
            }),
        }
    }
}

impl From<Instruction> for v1::InstructRequest {
    fn from(instruction: Instruction) -> Self {
        Self { instruction: Some(instruction.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_survives_the_wire() {
        let north = || Some(StationId::new("north").unwrap());
        let settings = StationSettings { risk_budget: Some(5.0), offline_days_max: Some(3), ..Default::default() };
        let valid_from = Timestamp::from_unix_ms(7);
        for instruction in [
            Instruction::Settings { station: None, settings: StationSettings::default() },
            Instruction::Settings { station: north(), settings },
            Instruction::Mode { station: north(), mode: Some(StationMode::Closed) },
            Instruction::Mode { station: north(), mode: None },
            Instruction::Fares(PublishedFares { name: "2026".into(), valid_from, toml: "a = 1".into() }),
            Instruction::FaresWithdrawn { name: "2026".into() },
        ] {
            let wire = v1::InstructRequest::from(instruction.clone());
            assert_eq!(Instruction::try_from(wire), Ok(instruction));
        }
    }

    #[test]
    fn what_no_station_can_follow_is_refused_by_name() {
        let mode = v1::StationMode { station: String::new(), mode: "ajar".into() };
        let refused = Instruction::try_from(mode).unwrap_err().to_string();
        assert!(refused.contains("mode") && refused.contains("ajar"), "{refused}");
        let settings = v1::StationSettings { risk_budget: Some(-1.0), ..v1::StationSettings::default() };
        assert!(Instruction::try_from(settings).unwrap_err().to_string().contains("risk_budget"));
    }
}
