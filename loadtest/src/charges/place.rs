//! The two processes, their configs, and what they say about themselves.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use facegate_cloud_sync::config::{Config, RawConfig};
use facegate_runtime::clock::SystemClock;
use facegate_runtime::config;
use facegate_runtime::http::client;
use facegate_runtime::identity::{DeviceIdentity, Role};
use serde_json::json;

use super::fill::STATIONS;
use crate::acquirer::Statistics;
use crate::city::network::{LOOPBACK, free_port};
use crate::city::{Certificates, Process, books, configs};
use crate::database::{Database, StoreKind};
use crate::trial::{TrialCloud, fares};

/// How long the cloud waits for an answer; silent and late ones come after it.
const ANSWER_WITHIN_MS: u64 = 1_000;
const READY_WITHIN: Duration = Duration::from_secs(60);

/// How far charging has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    pub opened: usize,
    /// Captured, or left as a debt.
    pub at_rest: usize,
}

#[derive(Debug)]
pub struct Place {
    pub config: Config,
    monitor: DeviceIdentity,
    /// Settlement files are the cloud's to fetch.
    as_cloud: DeviceIdentity,
    cloud_address: SocketAddr,
    acquirer_address: SocketAddr,
    cloud_file: PathBuf,
    acquirer_arguments: Vec<String>,
    folder: PathBuf,
    processes: Option<(Process, Process)>,
    _database: Option<Database>,
}

impl Place {
    /// Writes both configs. Every fault of the acquirer is on.
    pub async fn make(kind: StoreKind, seed: u64, home: &Path, folder: &Path) -> Result<Self> {
        let database = match kind {
            StoreKind::Sled => None,
            StoreKind::Postgres => Some(tokio::task::spawn_blocking(Database::start).await??),
        };
        let certificates = Certificates::make(&folder.join("certificates"), &[])?;
        let address = || Ok::<_, anyhow::Error>(SocketAddr::new(LOOPBACK, free_port()?));
        let (cloud_address, acquirer_address, web_address) = (address()?, address()?, address()?);
        let secret_file = folder.join("webhook-secret");
        std::fs::write(&secret_file, "shared-by-the-cloud-and-the-acquirer")?;

        let tls = certificates.issue(Role::Cloud, "cloud")?;
        let trial = TrialCloud {
            listen: cloud_address.to_string(),
            postgres: database.as_ref().map(|database| database.url.as_str()),
            more: cloud_settings(acquirer_address, web_address, &secret_file),
            ..TrialCloud::new(folder, tls)
        };
        std::fs::write(folder.join("fares.toml"), fares(&STATIONS, &[7000]))?;
        let models = folder.join("models").display().to_string();
        let text = trial.text().replace(&models, &home.join("models").display().to_string());
        let cloud_file = folder.join("cloud.toml");
        std::fs::write(&cloud_file, text)?;
        let config: Config = config::load::<RawConfig, Config>(&cloud_file)?;

        let tls = certificates.issue(Role::Acquirer, "sandbox")?;
        let acquirer = json!({
            "listen": acquirer_address.to_string(),
            "data_dir": folder.join("acquirer"),
            "tls": configs::tls_table(&tls),
            "telemetry": { "filter": "warn" },
            "faults": faults(seed),
            // Late, so that they overtake each other, and some of them twice.
            "webhooks": {
                "url": format!("https://{web_address}/webhooks/sandbox"),
                "secret_file": secret_file,
                "late_ms_max": 2_000,
                "twice": 0.2,
            },
        });
        let path = configs::write(folder, "acquirer", &acquirer)?;
        let acquirer_arguments = vec!["acquirer".to_owned(), "--config".to_owned(), path.display().to_string()];
        Ok(Self {
            config,
            monitor: certificates.identity(Role::Monitor, "bench")?,
            as_cloud: certificates.identity(Role::Cloud, "bench")?,
            cloud_address,
            acquirer_address,
            cloud_file,
            acquirer_arguments,
            folder: folder.to_owned(),
            processes: None,
            _database: database,
        })
    }

    /// Starts both and waits until each answers.
    pub async fn start(&mut self) -> Result<()> {
        let logs = self.folder.join("logs");
        std::fs::create_dir_all(&logs)?;
        let arguments = self.acquirer_arguments.clone();
        let acquirer = Process::start("acquirer", "facegate-loadtest", arguments, &logs, None)?;
        let arguments = vec!["--config".to_owned(), self.cloud_file.display().to_string()];
        let cloud = Process::start("cloud", "facegate-cloud-sync", arguments, &logs, None)?;
        self.processes = Some((acquirer, cloud));
        let deadline = tokio::time::Instant::now() + READY_WITHIN;
        while self.statistics().await.is_err() || self.progress().await.is_err() {
            self.check_running()?;
            if tokio::time::Instant::now() > deadline {
                bail!("cloud and acquirer do not answer after {} s; see {}", READY_WITHIN.as_secs(), logs.display());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    fn processes(&mut self) -> Result<&mut (Process, Process)> {
        self.processes.as_mut().context("nothing is started")
    }

    pub fn check_running(&mut self) -> Result<()> {
        let (acquirer, cloud) = self.processes()?;
        acquirer.check_running()?;
        cloud.check_running()
    }

    /// SIGKILL.
    pub async fn kill_cloud(&mut self) -> Result<()> {
        self.processes()?.1.kill().await
    }

    pub fn start_cloud_again(&mut self) -> Result<()> {
        self.processes()?.1.start_again()
    }

    /// Asks both to stop, and waits.
    pub async fn stop(&mut self) -> Result<()> {
        let (acquirer, cloud) = self.processes()?;
        cloud.stop().await?;
        acquirer.stop().await
    }

    pub async fn progress(&self) -> Result<Progress> {
        let overview = books::overview_of(&self.monitor, self.cloud_address).await?;
        let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let at_rest = |state: &str| ["captured", "debt", "settled", "voided", "refused"].contains(&state);
        Ok(Progress {
            opened: overview.charges.iter().map(|charges| count(charges.count)).sum(),
            at_rest: overview.charges.iter().filter(|c| at_rest(&c.state)).map(|charges| count(charges.count)).sum(),
        })
    }

    /// The acquirer's own book.
    pub async fn statistics(&self) -> Result<Statistics> {
        books::acquirer_book_at(&self.monitor, self.acquirer_address).await
    }

    /// The acquirer's files of today and yesterday, in UTC: the run may cross midnight.
    pub async fn settlement_files(&self) -> Result<Vec<String>> {
        use facegate_domain::Clock;
        let now = jiff::Timestamp::from_millisecond(SystemClock::new().now().unix_ms())?;
        let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
        let client = client(&self.as_cloud, Role::Acquirer).build()?;
        let mut files = Vec::new();
        for date in [today.yesterday()?, today] {
            let url = format!("https://{}/v1/settlement?date={date}", self.acquirer_address);
            files.push(client.get(url).send().await?.error_for_status()?.text().await?);
        }
        Ok(files)
    }
}

/// Trips settle at once, charges follow each other closely, and trouble is looked at again within seconds.
fn cloud_settings(acquirer: SocketAddr, web: SocketAddr, secret_file: &Path) -> String {
    let secret_file = secret_file.display();
    format!(
        "[telemetry]\nfilter = \"error\"\n[journeys]\nsettle_after_ms = 0\n\
         [charging]\npass_every_ms = 50\nretry_first_ms = 200\nretry_max_s = 3\nin_flight_max = 128\n\
         charges_per_pass_max = 500\nbill_grace_s = 0\nverify_minor = 0\nfirst_ride_limit_minor = 0\n\
         [[charging.acquirer]]\nname = \"sandbox\"\nkind = \"sandbox\"\naddress = \"https://{acquirer}\"\n\
         answer_within_ms = {ANSWER_WITHIN_MS}\nwebhook_secret_file = \"{secret_file}\"\n\
         [web]\nlisten = \"{web}\"\noperators = []\napi_keys = []\n"
    )
}

fn faults(seed: u64) -> serde_json::Value {
    json!({
        "seed": seed,
        "late_answer_ms": ANSWER_WITHIN_MS + 500,
        "settle_after_ms": 1_500,
        "decline": 0.03,
        "decline_hard": 0.01,
        "refuse_before": 0.03,
        "fail_after": 0.03,
        "silent_after": 0.02,
        "cut_after": 0.03,
        "late_after": 0.03,
        "late_ms_max": 1_500,
        "down_every_ms": 20_000,
        "down_for_ms": 2_000,
    })
}
