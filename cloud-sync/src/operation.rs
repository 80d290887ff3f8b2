//! What the operator may tell stations: checked, written into the audit log, then put on the feed.

use facegate_domain::fares::{FareTable, TariffProblem};
use facegate_domain::ids::{GateId, StationId};
use facegate_domain::operation::{
    Does, FARE_TABLE_BYTES_MAX, GateAct, GateOrder, Instruction, InvalidInstruction, PublishedFares, StationMode,
};
use uuid::Uuid;

use crate::cloud::Cloud;
use crate::store::{StoreError, ToldAct};
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
    let now = cloud.clock.now();
    let act = |id, gate: &GateId, does| GateAct {
        id,
        gate: gate.clone(),
        does,
        reason: String::new(),
        by: actor.to_owned(),
        at: now,
    };
    let (action, subject) = match &instruction {
        Instruction::GateMode { gate, mode } => {
            let act = act(Uuid::new_v4().to_string(), gate, Does::Mode { mode: *mode });
            return Ok(act_at_gate(cloud, act).await?.version);
        }
        Instruction::GateOrder(GateOrder { gate, id, what, until }) => {
            let act = act(id.clone(), gate, Does::Order { order: *what, until: *until });
            return Ok(act_at_gate(cloud, act).await?.version);
        }
        Instruction::Settings { station, settings } => {
            settings.check()?;
            let settings = serde_json::to_string(settings).unwrap_or_default();
            ("stations.settings", format!("{} {settings}", of(station.as_ref())))
        }
        Instruction::Mode { station, mode } => {
            ("stations.mode", format!("{} {}", of(station.as_ref()), mode.map_or("none of its own", StationMode::name)))
        }
        Instruction::Fares(fares) => {
            check_fares(cloud, fares).await?;
            ("fares.publish", format!("{} sha256 {}", fares.name, hex::encode(fares.sha256())))
        }
        Instruction::FaresWithdrawn { name } => ("fares.withdraw", name.clone()),
    };
    cloud.store.audit(actor, action, &subject, now).await?;
    let version = cloud.store.instruct(instruction).await?;
    tracing::info!(actor, action, subject, version, "told to stations");
    Ok(version)
}

/// Once by the act's name: whoever asks again is told what was done then, and nothing happens.
pub async fn act_at_gate(cloud: &Cloud, act: GateAct) -> Result<ToldAct, InstructError> {
    act.check()?;
    let told = cloud.store.act_at_gate(act).await?;
    let (action, subject) = told.act.line();
    tracing::info!(actor = told.act.by, action, subject, version = told.version, "told to stations");
    Ok(told)
}

async fn check_fares(cloud: &Cloud, fares: &PublishedFares) -> Result<(), InstructError> {
    if fares.toml.len() > FARE_TABLE_BYTES_MAX {
        return Err(InstructError::FaresTooLong { bytes: fares.toml.len() });
    }
    let table = FareTable::parse(&fares.toml).map_err(|problems| InstructError::Fares(problems.to_string()))?;
    if table.name() != fares.name || table.valid_from() != fares.valid_from {
        let said = "the fare table's own name and valid_from are not those that it was sent under";
        return Err(InstructError::Fares(said.to_owned()));
    }
    let told = cloud.store.instructions().await?;
    let others = told.fares().filter(|other| other.name != fares.name);
    with_published(&cloud.config.fares, others.chain([fares]))?;
    Ok(())
}

fn of(station: Option<&StationId>) -> &str {
    station.map_or("all stations", StationId::as_str)
}
