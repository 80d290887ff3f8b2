//! A backup is put back by the operator's own commands, and whoever was erased since it was made stays forgotten: in the
//! cloud, at a station that was there all the time, and at one that begins with an empty disk. With the embedded store
//! and with PostgreSQL, where the erasure went to another replica than the one that comes back first.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use facegate_loadtest::aisle::Walk;
use facegate_loadtest::city::{City, CityOptions};
use facegate_loadtest::database::StoreKind;
use facegate_loadtest::demo::story::{By, Rider, enrol_people};

/// A station with a new disk takes over when the old one has been silent for a while, and fetches everything.
const CATCHES_UP_WITHIN: Duration = Duration::from_secs(90);
const PATIENCE: Duration = Duration::from_secs(5);
const ATTEMPTS_MAX: usize = 10;

#[tokio::test(flavor = "multi_thread")]
async fn who_was_erased_after_the_backup_does_not_come_back_with_the_embedded_store() -> Result<()> {
    forgotten_for_good(StoreKind::Sled).await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_erased_after_the_dump_does_not_come_back_with_postgresql() -> Result<()> {
    forgotten_for_good(StoreKind::Postgres).await
}

async fn forgotten_for_good(store: StoreKind) -> Result<()> {
    let home = std::env::var_os("FACEGATE_HOME")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.facegate")), PathBuf::from);
    let folder = tempfile::tempdir()?;
    let mut city = City::start(&CityOptions { store, ..CityOptions::new(&home, folder.path()) }).await?;
    let riders = enrol_people(&city, &home).await?;
    let [forgotten, stays] = riders.as_slice() else { bail!("the demo has two riders with two photographs") };
    ride(&city, forgotten).await.context("before anything happens")?;

    back_up(&mut city, folder.path(), store).await?;
    city.metro_app_of_last_replica()?.erase(&forgotten.id).await?;
    // The other replica, which goes through the restore, hears of it within moments.
    wait_for_register(folder.path(), store).await?;

    put_back(&mut city, folder.path(), store).await?;
    // One station begins anew.
    city.kill("station-south").await?;
    std::fs::remove_dir_all(folder.path().join("station-south"))?;
    city.start_again("station-south")?;
    city.start_again("cloud")?;
    caught_up(&city).await?;

    let known = city.metro_app()?.trips(&forgotten.id).await.unwrap_err().to_string();
    assert!(known.contains("erased"), "{known}");
    city.metro_app()?.trips(&stays.id).await?;
    ride(&city, stays).await.context("who stays, after the restore")?;
    for (station, way) in [("north", "in"), ("south", "in")] {
        let walk = city.gate(station, way)?.walk(&forgotten.frames(By::Face)?, PATIENCE).await?;
        assert_eq!(walk, Walk::GaveUp, "{station} knows a face that was erased");
    }
    city.stop().await
}

/// From north to south, by face alone.
async fn ride(city: &City, rider: &Rider) -> Result<()> {
    for (station, way) in [("north", "in"), ("south", "out")] {
        pass(city, station, way, rider).await.with_context(|| format!("{} at {station}", rider.label))?;
    }
    Ok(())
}

async fn pass(city: &City, station: &str, way: &str, rider: &Rider) -> Result<()> {
    for _ in 0..ATTEMPTS_MAX {
        if let Walk::Crossed { .. } = city.gate(station, way)?.walk(&rider.frames(By::Face)?, PATIENCE).await? {
            return Ok(());
        }
    }
    bail!("not let through in {ATTEMPTS_MAX} attempts")
}

async fn back_up(city: &mut City, folder: &Path, store: StoreKind) -> Result<()> {
    match store {
        StoreKind::Sled => {
            city.stop_one("cloud").await?;
            operator(folder, "backup", &[&folder.join("backup").display().to_string()])?;
            city.start_again("cloud")?;
            caught_up(city).await
        }
        StoreKind::Postgres => {
            let file = format!("--file={}", folder.join("backup.sql").display());
            let url = city.database_url().context("a city of replicas")?;
            run(Command::new("pg_dump").args(["--no-owner", &file, url])).map(drop)
        }
    }
}

async fn put_back(city: &mut City, folder: &Path, store: StoreKind) -> Result<()> {
    let said = match store {
        StoreKind::Sled => {
            city.stop_one("cloud").await?;
            for name in ["core", "faces", "identity"] {
                std::fs::rename(folder.join("cloud").join(name), folder.join(format!("broken-{name}")))?;
            }
            operator(folder, "restore", &[&folder.join("backup").display().to_string()])?
        }
        StoreKind::Postgres => {
            for name in city.cloud_names() {
                city.stop_one(&name).await?;
            }
            let file = format!("--file={}", folder.join("backup.sql").display());
            let url = city.database_url().context("a city of replicas")?;
            let quiet =
                ["--quiet", "--no-psqlrc", "--single-transaction", "--set=ON_ERROR_STOP=1", "--output=/dev/null"];
            let drop = "--command=DROP SCHEMA core, faces, identity CASCADE; DROP TABLE _sqlx_migrations";
            run(Command::new("psql").args(quiet).args([drop, &file, url]))?;
            operator(folder, "restore", &[])?
        }
    };
    ensure!(said.contains("1 erased again"), "{said}");
    Ok(())
}

/// The operator's program, on the config of the first replica.
fn operator(folder: &Path, command: &str, arguments: &[&str]) -> Result<String> {
    let this = std::env::current_exe()?;
    let program = this.ancestors().nth(2).context("the folder of the binaries")?.join("facegate-cloud-sync");
    run(Command::new(program).args([command, "--config"]).arg(folder.join("cloud.toml")).args(arguments))
}

/// What it printed.
fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("starting {}", command.get_program().display()))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The first replica's register has a line; it is on the disk as the journal writes it.
async fn wait_for_register(folder: &Path, store: StoreKind) -> Result<()> {
    let dir = match store {
        StoreKind::Sled => folder.join("cloud/keys/erasures"),
        StoreKind::Postgres => folder.join("cloud-erasures"),
    };
    for _ in 0..600 {
        let files = std::fs::read_dir(&dir)?.map(|entry| std::fs::read(entry?.path()));
        if files.collect::<Result<Vec<_>, _>>()?.concat().windows(9).any(|bytes| bytes == b"\"erasure\"") {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("{} has heard of no erasure", dir.display())
}

async fn caught_up(city: &City) -> Result<()> {
    let until = tokio::time::Instant::now() + CATCHES_UP_WITHIN;
    while let Err(error) = city.wait_for_feed().await {
        ensure!(tokio::time::Instant::now() < until, "{error:#}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}
