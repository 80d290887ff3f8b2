//! The cloud is away for a while and people ride on: stations decide by what they hold and keep what the cloud must
//! hear; when it is back the backlog drains beside live traffic, and every station learns who is inside.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use facegate_loadtest::city::{City, CityOptions, STATIONS};
use facegate_loadtest::crowd::{Crowd, settled};
use facegate_loadtest::demo::story::By;
use tokio_util::sync::CancellationToken;

const SEED: u64 = 11;
const AWAY: Duration = Duration::from_secs(15);
const WAITS_MAX: Duration = Duration::from_secs(90);
const BACKLOG: &str = "facegate_backlog_records";
const INSIDE: &str = "facegate_tier_riders{tier=\"in_system\"}";

#[tokio::test(flavor = "multi_thread")]
async fn people_ride_on_without_the_cloud_and_it_hears_of_everything_when_it_is_back() -> Result<()> {
    let home = std::env::var_os("FACEGATE_HOME")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.facegate")), PathBuf::from);
    let folder = tempfile::tempdir()?;
    let mut city = City::start(&CityOptions::under_faults(&home, folder.path())).await?;
    let crowd = Crowd::enrol(&city, &home, 4).await?;

    let stop = CancellationToken::new();
    let outage = async {
        let went = take_the_cloud_away(&mut city, &crowd).await;
        stop.cancel();
        went
    };
    let (went, rode) = tokio::join!(outage, crowd.ride_until(SEED, &stop));
    went?;
    rode?;
    city.check_running()?;

    let account = settled(&crowd, &city, WAITS_MAX, Duration::from_secs(2)).await?;
    assert!(account.faults().is_empty(), "{:#?}", account.faults());
    for station in 0..STATIONS.len() {
        wait_for(&city, station, INSIDE, |inside| inside == 0.0).await.context("everybody has left")?;
    }
    city.stop().await
}

async fn take_the_cloud_away(city: &mut City, crowd: &Crowd) -> Result<()> {
    pass(crowd, 4).await.context("before the outage")?;
    city.kill("cloud").await?;
    tokio::time::sleep(AWAY).await;
    // However slow this machine is: both ways in were taken without the cloud.
    let passed = |by| STATIONS.iter().map(|station| crowd.passed(station, by)).sum::<usize>();
    let (face, code) = (passed(By::Face), passed(By::Code));
    pass_by(crowd, || passed(By::Face) > face).await.context("by face, without the cloud")?;
    pass_by(crowd, || passed(By::Code) > code).await.context("by code, without the cloud")?;
    for station in 0..STATIONS.len() {
        wait_for(city, station, BACKLOG, |held| held > 0.0).await.context("it is kept for the cloud")?;
    }
    city.start_again("cloud")?;
    // Nobody waits for the old to be gone before new riders are let in.
    pass(crowd, 4).await.context("while the backlog drains")?;
    for station in 0..STATIONS.len() {
        wait_for(city, station, BACKLOG, |held| held == 0.0).await.context("nothing is behind")?;
    }
    city.wait_for_feed().await
}

/// Waits for so many more bodies.
async fn pass(crowd: &Crowd, bodies: usize) -> Result<()> {
    let before = crowd.bodies();
    pass_by(crowd, || crowd.bodies() >= before + bodies).await
}

async fn pass_by(crowd: &Crowd, holds: impl Fn() -> bool) -> Result<()> {
    let until = tokio::time::Instant::now() + WAITS_MAX;
    while !holds() {
        ensure!(tokio::time::Instant::now() < until, "people do not pass: {} bodies in all", crowd.bodies());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

async fn wait_for(city: &City, station: usize, gauge: &str, holds: impl Fn(f64) -> bool) -> Result<()> {
    let until = tokio::time::Instant::now() + WAITS_MAX;
    loop {
        let value = city.station_gauge(station, gauge).await?;
        if holds(value) {
            return Ok(());
        }
        ensure!(tokio::time::Instant::now() < until, "{gauge} of {} stays {value}", STATIONS[station]);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
