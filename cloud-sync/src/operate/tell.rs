//! `facegate-cloud-sync tell`: the operator's instructions to stations, and about them, as calls to a running cloud.

mod rides;
mod waivers;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};
use facegate_domain::fares::FareTable;
use facegate_domain::gate::GateMode;
use facegate_domain::operation::{Instruction, PublishedFares, StationMode};
use facegate_proto::v1;
use facegate_proto::v1::ops_service_client::OpsServiceClient;
use facegate_runtime::grpc::{ChannelOptions, channel};
use facegate_runtime::identity::{DeviceIdentity, Role, TlsPaths};
use tonic::transport::Channel;
use waivers::WaiverToTell;

/// Tells stations what to do, through a running cloud. Every instruction is written into the audit log.
#[derive(Debug, Args)]
pub struct Tell {
    /// The cloud's gRPC address, like https://cloud.example:7440.
    #[arg(long, env = "FACEGATE_CLOUD")]
    cloud: String,
    /// Certificate of the role operator (PEM).
    #[arg(long, env = "FACEGATE_CERT")]
    cert: PathBuf,
    /// Its key (PEM).
    #[arg(long, env = "FACEGATE_KEY")]
    key: PathBuf,
    /// The operator's CA (PEM).
    #[arg(long, env = "FACEGATE_CA")]
    ca: PathBuf,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Lists the instructions that hold.
    List,
    /// Sets how a station lets people pass.
    Mode {
        /// "normal", "closed", "emergency_open", "fare_free"; "none" ends what was set.
        mode: String,
        /// One station; without it all that have no mode of their own.
        #[arg(long)]
        station: Option<String>,
    },
    /// Sets how one gate lets people pass, beside its station's mode.
    GateMode {
        /// "normal", "normal_entry", "normal_exit", "bidirectional", "closed", "maintenance", "emergency_open",
        /// "fare_exempt", "time_exempt", "sequence_exempt"; "none" ends what was set.
        mode: String,
        #[arg(long)]
        gate: String,
    },
    /// Opens a gate for one body, on nobody's account: within a minute or not at all.
    OpenOnce {
        #[arg(long)]
        gate: String,
        /// Names the order: the same one is carried out once, however often it is told.
        #[arg(long)]
        id: Option<String>,
    },
    /// Ends a gate's process in order, within a minute or not at all; whoever watches over it starts it again.
    Restart {
        #[arg(long)]
        gate: String,
        /// Names the order.
        #[arg(long)]
        id: Option<String>,
    },
    /// Sets what stations work by. What is not given is left to the settings for all, then to the station's config.
    Settings {
        /// One station; without it all.
        #[arg(long)]
        station: Option<String>,
        /// Whether faces seen by entrance cameras make riders expected.
        #[arg(long)]
        sightings: Option<bool>,
        /// Accepted false charges per million passages.
        #[arg(long)]
        risk_budget: Option<f64>,
        /// A deny list older than this lets no code pass while the cloud is unreachable.
        #[arg(long)]
        deny_list_age_max_s: Option<u64>,
        /// Days that a station authorises without having heard from the cloud.
        #[arg(long)]
        offline_days_max: Option<u32>,
    },
    /// Publishes a fare table: journeys that begin from its valid_from on are priced by it, and stations are told.
    Fares {
        /// The table (TOML).
        file: PathBuf,
    },
    /// Gives up fares at stations for some time, also what was ridden and charged before.
    Waive {
        #[command(flatten)]
        waiver: WaiverToTell,
        /// Says what it would give back, and tells nothing.
        #[arg(long)]
        preview: bool,
    },
    /// Lists what waits for a second person, and what is or was waived.
    Waivers,
    /// Approves a waiver that somebody else has asked for.
    ApproveWaiver {
        waiver: String,
        /// What it was listed to give back: if that has grown considerably since, nothing happens.
        #[arg(long)]
        shown_minor: i64,
    },
    /// Rejects a waiver that somebody else has asked for.
    RejectWaiver { waiver: String },
    /// Ends a waiver that was told; what it waived after that is charged again.
    EndWaiver {
        waiver: String,
        /// Like 2026-11-30T08:00:00+08:00; without it now.
        #[arg(long)]
        at: Option<jiff::Timestamp>,
    },
    /// Lists rides without a price, which somebody must look at.
    Held,
    /// Gives a held ride a price (0 waives it), or without one has it priced by the rules once more.
    Release {
        ride: String,
        #[arg(long, requires = "reason")]
        price_minor: Option<i64>,
        /// The rider reads it.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Takes a fare table back from all stations.
    WithdrawFares { name: String },
    /// Makes this installation the one that counts as the station: for a replaced machine whose old one is still heard.
    ClaimStation {
        station: String,
        /// As the refused machine's log names it: 32 hexadecimal digits.
        installation: String,
    },
    /// Says whether a station may have faces and the key to them.
    #[command(after_help = STANDING)]
    Standing {
        station: String,
        /// "active", "revoked" or "decommissioned".
        standing: String,
    },
}

const STANDING: &str = "\
revoked         it gets neither key nor faces, and wipes those that it has as soon as it hears of it; for a station that was
                stolen or is being rebuilt
active          it gets both again, under another key
decommissioned  as revoked, for good: erasures wait for it until its last lease is surely over, and then no more";

impl Tell {
    pub fn run(self) -> Result<()> {
        tokio::runtime::Runtime::new().context("starting the async runtime")?.block_on(tell(self))
    }
}

/// Makes the call and prints what came of it.
async fn tell(tell: Tell) -> Result<()> {
    let paths = TlsPaths { cert: tell.cert, key: tell.key, ca: tell.ca, crl: None };
    let identity = DeviceIdentity::load(&paths)?;
    ensure!(
        matches!(identity.name().role, Role::Operator | Role::Monitor),
        "the certificate is of {}; this takes one of the role operator",
        identity.name()
    );
    let mut ops = OpsServiceClient::new(channel(&identity, &tell.cloud, Role::Cloud, ChannelOptions::default())?);
    let instruction = match tell.what {
        What::List => return list(&mut ops).await,
        What::ClaimStation { station, installation } => {
            let installation = hex::decode(&installation).context("the installation is not hexadecimal")?;
            ops.claim_station(v1::ClaimStationRequest { station, installation }).await?;
            println!("that machine counts as the station from now on");
            return Ok(());
        }
        What::Standing { station, standing } => return set_standing(&mut ops, station, standing).await,
        What::Held => return rides::held(&mut ops).await,
        What::Waive { waiver, preview: true } => return waivers::preview(&mut ops, waiver).await,
        What::Waive { waiver, preview: false } => return waivers::tell(&mut ops, waiver).await,
        What::Waivers => return waivers::list(&mut ops).await,
        What::ApproveWaiver { waiver, shown_minor } => {
            return waivers::decide(&mut ops, waiver, Some(shown_minor)).await;
        }
        What::RejectWaiver { waiver } => return waivers::decide(&mut ops, waiver, None).await,
        What::EndWaiver { waiver, at } => return waivers::end(&mut ops, waiver, at).await,
        What::Release { ride, price_minor, reason } => {
            ops.release_ride(v1::ReleaseRideRequest { ride_id: ride, price_minor, reason }).await?;
            println!("the ride is priced in a moment");
            return Ok(());
        }
        told => instruction(told)?,
    };
    let request = v1::InstructRequest { instruction: Some(instruction) };
    let version = ops.instruct(request).await?.into_inner().version;
    println!("stations follow it from version {version} of the feed on");
    Ok(())
}

fn instruction(what: What) -> Result<v1::instruct_request::Instruction> {
    use v1::instruct_request::Instruction as Wire;
    Ok(match what {
        What::Mode { mode, station } => {
            let mode = if mode == "none" { String::new() } else { mode };
            Wire::Mode(v1::StationMode { station: station.unwrap_or_default(), mode })
        }
        What::Settings { station, sightings, risk_budget, deny_list_age_max_s, offline_days_max } => {
            Wire::Settings(v1::StationSettings {
                station: station.unwrap_or_default(),
                sightings_enabled: sightings,
                risk_budget,
                deny_list_age_max_s,
                offline_days_max,
            })
        }
        What::Fares { file } => {
            let toml = std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
            let table = FareTable::parse(&toml).with_context(|| file.display().to_string())?;
            let (name, valid_from) = (table.name().to_owned(), table.valid_from());
            Wire::from(Instruction::Fares(PublishedFares { name, valid_from, toml }))
        }
        What::GateMode { mode, gate } => {
            let mode = if mode == "none" { String::new() } else { mode };
            Wire::GateMode(v1::GateMode { gate, mode })
        }
        What::OpenOnce { gate, id } => order(gate, id, "open_once"),
        What::Restart { gate, id } => order(gate, id, "restart"),
        What::WithdrawFares { name } => Wire::from(Instruction::FaresWithdrawn { name }),
        _ => anyhow::bail!("not an instruction"),
    })
}

async fn set_standing(ops: &mut OpsServiceClient<Channel>, station: String, standing: String) -> Result<()> {
    let asked = v1::SetStandingRequest { station: station.clone(), standing: standing.clone() };
    let set = ops.set_standing(asked).await?.into_inner();
    let until = jiff::Timestamp::from_millisecond(set.until_unix_ms)?;
    println!("{station} is {standing}; its next lease is of generation {}", set.generation);
    if standing != "active" {
        println!("what it has, it wipes when it hears of it; its last lease is over at {until} at the latest");
    }
    Ok(())
}

async fn list(ops: &mut OpsServiceClient<Channel>) -> Result<()> {
    let held = ops.instructions(v1::InstructionsRequest {}).await?.into_inner().instructions;
    for told in held {
        match Instruction::try_from(told)? {
            Instruction::Settings { station, settings } => {
                println!("settings  {}  {}", of(station.as_ref()), serde_json::to_string(&settings)?);
            }
            Instruction::Mode { station, mode } => {
                println!("mode      {}  {}", of(station.as_ref()), mode.map_or("none", StationMode::name));
            }
            Instruction::Fares(fares) => {
                let from = jiff::Timestamp::from_millisecond(fares.valid_from.unix_ms())?;
                println!("fares     {}  valid from {from}  sha256 {}", fares.name, hex::encode(fares.sha256()));
            }
            Instruction::FaresWithdrawn { .. } => (),
            Instruction::GateMode { gate, mode } => {
                println!("gate      {gate}  {}", mode.map_or("none", GateMode::name));
            }
            Instruction::GateOrder(order) => {
                let until = jiff::Timestamp::from_millisecond(order.until.unix_ms())?;
                println!("order     {}  {}  {}  until {until}", order.gate, order.what.name(), order.id);
            }
        }
    }
    Ok(())
}

/// Carried out within a minute or not at all.
fn order(gate: String, id: Option<String>, what: &str) -> v1::instruct_request::Instruction {
    let until_unix_ms = jiff::Timestamp::now().as_millisecond() + 60_000;
    let id = id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    println!("order {id}: `tell list` shows it, the gate's status what became of it");
    v1::instruct_request::Instruction::GateOrder(v1::GateOrder { gate, id, what: what.to_owned(), until_unix_ms })
}

fn of(station: Option<&facegate_domain::ids::StationId>) -> &str {
    station.map_or("all stations", |station| station.as_str())
}
