//! What the operator may tell stations: checked, written into the audit log, then put on the feed.

use facegate_domain::Timestamp;
use facegate_domain::fares::{FareTable, TariffProblem};
use facegate_domain::gate::GateMode;
use facegate_domain::operation::{FARE_TABLE_BYTES_MAX, Instruction, InvalidInstruction, StationMode};

use crate::cloud::Cloud;
use crate::store::StoreError;
use crate::tariffs::with_published;

/// Why an instruction was not given. Nothing was told to any station.
#[derive(Debug, thiserror::Error)]
pub enum InstructError {
    #[error(transparent)]
    Invalid(#[from] InvalidInstruction),
    #[error("the fare table has {bytes} bytes; stations take {FARE_TABLE_BYTES_MAX} at most")]
    FaresTooLong { bytes: usize },
    #[error("{0}")]
    Fares(String),
    #[error("with the fare tables that hold: {0}")]
    Tariff(#[from] TariffProblem),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Gives the feed's version from which stations follow it. `actor` is named in the audit log.
pub async fn instruct(cloud: &Cloud, actor: &str, instruction: Instruction) -> Result<u64, InstructError> {
    check(&instruction, cloud.clock.now())?;
    if let Instruction::Fares(fares) = &instruction {
        let told = cloud.store.instructions().await?;
        let others = told.fares().filter(|other| other.name != fares.name);
        with_published(&cloud.config.fares, others.chain([fares]))?;
    }
    let (action, subject) = line(&instruction);
    cloud.store.audit(actor, action, &subject, cloud.clock.now()).await?;
    let version = cloud.store.instruct(instruction).await?;
    tracing::info!(actor, action, subject, version, "told to stations");
    Ok(version)
}

fn check(instruction: &Instruction, now: Timestamp) -> Result<(), InstructError> {
    match instruction {
        Instruction::Settings { settings, .. } => settings.check()?,
        Instruction::Fares(fares) => {
            if fares.toml.len() > FARE_TABLE_BYTES_MAX {
                return Err(InstructError::FaresTooLong { bytes: fares.toml.len() });
            }
            let table = FareTable::parse(&fares.toml).map_err(|problems| InstructError::Fares(problems.to_string()))?;
            if table.name() != fares.name || table.valid_from() != fares.valid_from {
                let said = "the fare table's own name and valid_from are not those that it was sent under";
                return Err(InstructError::Fares(said.to_owned()));
            }
        }
        Instruction::GateMode { mode: Some(GateMode::Fault), .. } => {
            let allowed = "a gate says so of itself; use closed or maintenance";
            return Err(InvalidInstruction { setting: "mode", given: "fault".into(), allowed }.into());
        }
        Instruction::GateOrder(order) => order.check(now)?,
        Instruction::GateMode { .. } | Instruction::Mode { .. } | Instruction::FaresWithdrawn { .. } => (),
    }
    Ok(())
}

/// What the audit log says of it: action and subject.
fn line(instruction: &Instruction) -> (&'static str, String) {
    let all = || "all stations".to_owned();
    match instruction {
        Instruction::Settings { station, settings } => {
            let station = station.as_ref().map_or_else(all, ToString::to_string);
            let settings = serde_json::to_string(settings).unwrap_or_default();
            ("stations.settings", format!("{station} {settings}"))
        }
        Instruction::Mode { station, mode } => {
            let station = station.as_ref().map_or_else(all, ToString::to_string);
            ("stations.mode", format!("{station} {}", mode.map_or("none of its own", StationMode::name)))
        }
        Instruction::Fares(fares) => {
            ("fares.publish", format!("{} sha256 {}", fares.name, hex::encode(fares.sha256())))
        }
        Instruction::FaresWithdrawn { name } => ("fares.withdraw", name.clone()),
        Instruction::GateMode { gate, mode } => {
            ("gates.mode", format!("{gate} {}", mode.map_or("none of its own", GateMode::name)))
        }
        Instruction::GateOrder(order) => ("gates.order", format!("{} {} {}", order.gate, order.what.name(), order.id)),
    }
}
