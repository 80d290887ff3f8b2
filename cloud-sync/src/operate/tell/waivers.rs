//! What is waived: told, looked at, decided about by a second person, ended.

use anyhow::{Context, Result};
use clap::Args;
use facegate_domain::money::{Currency, Money};
use facegate_proto::v1;
use facegate_proto::v1::ops_service_client::OpsServiceClient;
use tonic::transport::Channel;

/// What is to be waived.
#[derive(Debug, Args)]
pub struct WaiverToTell {
    /// Riders read it.
    #[arg(long)]
    reason: String,
    /// "fare": rides that begin or end there cost nothing; "disruption": leaving where one came in, staying too long
    /// and a missing end do; "missing_exit": a missing exit does.
    #[arg(long, default_value = "fare")]
    waives: String,
    /// Once for each; without it all.
    #[arg(long)]
    station: Vec<String>,
    /// Like 2026-11-30T07:00:00+08:00.
    #[arg(long)]
    from: jiff::Timestamp,
    #[arg(long)]
    until: jiff::Timestamp,
}

impl From<WaiverToTell> for v1::WaiveRequest {
    fn from(told: WaiverToTell) -> Self {
        let WaiverToTell { reason, waives, station: stations, from, until } = told;
        let (from_unix_ms, until_unix_ms) = (from.as_millisecond(), until.as_millisecond());
        Self { reason, waives, stations, from_unix_ms, until_unix_ms }
    }
}

pub async fn preview(ops: &mut OpsServiceClient<Channel>, waiver: WaiverToTell) -> Result<()> {
    let reach = ops.preview_waiver(v1::WaiveRequest::from(waiver)).await?.into_inner();
    println!("{}", said(&reach)?);
    Ok(())
}

pub async fn tell(ops: &mut OpsServiceClient<Channel>, waiver: WaiverToTell) -> Result<()> {
    let answer = ops.waive(v1::WaiveRequest::from(waiver)).await?.into_inner();
    print_answer(&answer)
}

/// `shown_minor` approves.
pub async fn decide(ops: &mut OpsServiceClient<Channel>, waiver_id: String, shown_minor: Option<i64>) -> Result<()> {
    let (approves, shown_minor) = (shown_minor.is_some(), shown_minor.unwrap_or_default());
    let word = v1::DecideWaiverRequest { waiver_id, approves, shown_minor };
    let answer = ops.decide_waiver(word).await?.into_inner();
    print_answer(&answer)
}

fn print_answer(answer: &v1::WaiveResponse) -> Result<()> {
    let id = &answer.waiver_id;
    match answer.state.as_str() {
        "awaiting_approval" => {
            let reach = answer.reach.as_ref().context("the cloud does not say what it would give back")?;
            println!("waiver {id} waits for another person: {}", said(reach)?);
            println!("`tell approve-waiver {id} --shown-minor {}` approves it", effect(reach)?.minor());
        }
        "rejected" => println!("waiver {id} is rejected: nothing is waived"),
        _ => println!("waiver {id}: settled rides that it changes are priced anew"),
    }
    Ok(())
}

pub async fn end(ops: &mut OpsServiceClient<Channel>, waiver_id: String, at: Option<jiff::Timestamp>) -> Result<()> {
    let asked =
        v1::EndWaiverRequest { waiver_id: waiver_id.clone(), at_unix_ms: at.map(jiff::Timestamp::as_millisecond) };
    let state = ops.end_waiver(asked).await?.into_inner().state;
    println!("waiver {waiver_id} is {}; what it waived after that is charged again", state.replace('_', " "));
    Ok(())
}

pub async fn list(ops: &mut OpsServiceClient<Channel>) -> Result<()> {
    for listed in ops.waivers(v1::WaiversRequest {}).await?.into_inner().waivers {
        let waiver = listed.waiver.context("the cloud lists a waiver without saying what it is")?;
        let places = if waiver.stations.is_empty() { "all stations".to_owned() } else { waiver.stations.join(", ") };
        let from = jiff::Timestamp::from_millisecond(waiver.from_unix_ms)?;
        // One that lasts as long as a station's mode has no end that a calendar knows.
        let until = jiff::Timestamp::from_millisecond(waiver.until_unix_ms)
            .map_or_else(|_| "as long as the mode lasts".to_owned(), |until| until.to_string());
        let by = match (listed.told_by.as_str(), listed.decided_by.as_str()) {
            ("", _) => format!("by the mode of {}", listed.follows),
            (told, "") => format!("by {told}"),
            (told, decided) => format!("by {told} and {decided}"),
        };
        let (id, state) = (listed.waiver_id, listed.state.replace('_', " "));
        println!("{id}  {state}  {} at {places}, {from} to {until}, {by}: {}", waiver.waives, waiver.reason);
        if let Some(reach) = listed.reach {
            println!("    {}; approve it with --shown-minor {}", said(&reach)?, effect(&reach)?.minor());
        }
    }
    Ok(())
}

fn money(reach: &v1::WaiverReach, minor: i64) -> Result<Money> {
    let currency: Currency = reach.currency.parse().context("the cloud names no currency")?;
    Ok(Money::from_minor(minor, currency))
}

fn effect(reach: &v1::WaiverReach) -> Result<Money> {
    Ok(money(reach, reach.cost_minor)?.checked_add(money(reach, reach.expected_minor)?)?)
}

fn said(reach: &v1::WaiverReach) -> Result<String> {
    let (cost, expected) = (money(reach, reach.cost_minor)?, money(reach, reach.expected_minor)?);
    let more = if reach.is_part { "at least " } else { "" };
    let (rides, riders) = (reach.rides, reach.riders);
    let to_come =
        if expected.is_positive() { format!(", and rides to come may cost {expected}") } else { String::new() };
    Ok(format!("{more}{rides} settled rides of {riders} riders cost {cost} now{to_come}"))
}
