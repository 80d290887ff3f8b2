//! `restore`: puts a backup of the embedded store back, or takes a database over that was restored by its own means.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use facegate_domain::{Clock, Timestamp};
use facegate_runtime::clock::SystemClock;
use facegate_runtime::disk::RealDisk;
use facegate_runtime::keys::KeyProvider;

use super::manifest::copy_digested;
use super::{Manifest, ManifestError, Target};
use crate::cloud::Cloud;
use crate::config::{Config, StoreConfig};
use crate::register::{self, Register};
use crate::store::Store;
use crate::store::sled::SledStore;
use crate::store::sled::at_rest::{DATABASES, Restoring, known_layout};

/// What `restore --help` teaches.
pub const HELP: &str = "\
The cloud must be stopped, and there must be no store in data_dir: move a broken one away first, do not delete it. The
backup is verified (every file against manifest.json) before anything is written, and so are the keys it needs.

The change feed begins anew above every version that a station can have seen, so each station takes a snapshot. What
gates did since the backup is handed on again as far as stations still keep it (days; see [journal] in their config).
Everybody in the register of erasures is erased again. --register names another one that is to count too.

PostgreSQL: stop every replica, restore the database with its own tools (psql or pg_restore of a dump, a base backup), then
call this without DIR, once, on a replica that ran until the end: what others erased is in its register too. If none did,
or its disk is lost, name the registers of the others (or copies of them) with --register. Then start the replicas.

Example:
  mv /var/lib/facegate/cloud/{core,faces,identity} /var/lib/facegate/broken/
  facegate-cloud-sync restore --config /etc/facegate/cloud.toml /backup/2026-11-29
  systemctl start facegate-cloud

Example, PostgreSQL:
  psql --single-transaction --set=ON_ERROR_STOP=1 \\
    --command='DROP SCHEMA core, faces, identity CASCADE; DROP TABLE _sqlx_migrations' --file=cloud.sql \\
    postgres://facegate@db.example/facegate
  facegate-cloud-sync restore --config /etc/facegate/cloud.toml --register /mnt/replica-b/erasures";

#[derive(Debug, clap::Args)]
pub struct Restore {
    #[command(flatten)]
    target: Target,
    /// The backup's folder; none for PostgreSQL.
    dir: Option<PathBuf>,
    /// The register of erasures of another replica, or a copy of one; may be given again.
    #[arg(long = "register", value_name = "DIR")]
    registers: Vec<PathBuf>,
}

impl Restore {
    pub fn run(&self) -> anyhow::Result<()> {
        let config = self.target.load()?;
        let runtime = tokio::runtime::Runtime::new().context("starting the async runtime")?;
        let clock = SystemClock::new();
        let restored = match (&config.store, &self.dir) {
            (StoreConfig::Sled { dir: store, .. }, Some(dir)) => {
                let restored = runtime.block_on(restore(&config, dir, &self.registers, &clock))?;
                println!("restored {} in {}", dir.display(), store.display());
                restored
            }
            (StoreConfig::Sled { .. }, None) => bail!("name the folder of the backup that is to be put back"),
            (StoreConfig::Postgres { .. }, Some(dir)) => bail!(
                "the store is in PostgreSQL: restore {} by the means of that database, then call this without a folder",
                dir.display()
            ),
            (StoreConfig::Postgres { .. }, None) => runtime.block_on(async {
                let store = Cloud::open_store(&config).await?;
                take_over(&config, &*store, &self.registers, "database", clock.now()).await
            })?,
        };
        println!("{} erased again whom the registers name", restored.erased_again);
        println!("the change feed goes on at {}: stations will take a snapshot each", restored.feed_head);
        println!("next: start the cloud, and see on its operations page that every station has caught up");
        Ok(())
    }
}

/// What a restore did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    pub feed_head: u64,
    /// Riders and faces that the backup had and the register says are gone.
    pub erased_again: usize,
}

/// See [`HELP`]. Nothing is left in `data_dir` if the keys do not fit; a restore that was cut short is begun again by the
/// next, and the cloud does not start meanwhile.
pub async fn restore(
    config: &Config,
    dir: &Path,
    registers: &[PathBuf],
    clock: &dyn Clock,
) -> anyhow::Result<Restored> {
    let manifest = Manifest::verify(dir)?;
    ensure!(
        manifest.layout <= known_layout(),
        "the backup's store is of layout {}, this version knows {}: restore it with version {} or newer",
        manifest.layout,
        known_layout(),
        manifest.version
    );
    let keys = config.keys.open()?;
    check_keys(&manifest, &*keys)?;
    let restoring = Restoring::begin(config.folder()?)?;
    match fill(config, dir, &manifest, &*keys, registers, clock).await {
        Ok(restored) => {
            restoring.finish().context("ending the restore")?;
            Ok(restored)
        }
        Err(error) => {
            restoring.abandon().context("removing what could not be restored")?;
            Err(error)
        }
    }
}

/// Every key that values in the backup are sealed under must still be there.
fn check_keys(manifest: &Manifest, keys: &dyn KeyProvider) -> anyhow::Result<()> {
    for (purpose, needed) in &manifest.keys {
        let ring = keys.existing(purpose)?;
        let held: Vec<String> = ring.iter().flat_map(|ring| ring.iter().map(|key| format!("{:?}", key.id()))).collect();
        let missing: Vec<&str> = needed.iter().filter(|id| !held.contains(id)).map(String::as_str).collect();
        ensure!(
            missing.is_empty(),
            "the backup is sealed under the `{purpose}` key {}, which is not here: put the key back, or, if it was \
             retired, use a backup made after that",
            missing.join(", ")
        );
    }
    Ok(())
}

async fn fill(
    config: &Config,
    dir: &Path,
    manifest: &Manifest,
    keys: &dyn KeyProvider,
    registers: &[PathBuf],
    clock: &dyn Clock,
) -> anyhow::Result<Restored> {
    for (file, listed) in &manifest.files {
        ensure!(DATABASES.iter().any(|name| file.starts_with(&format!("{name}/"))), "{file} belongs to no database");
        let target = config.folder()?.join(file);
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        let copied = copy_digested(&dir.join(file), Some(&target))?;
        if copied != *listed {
            let reason = "it changed while it was restored".to_owned();
            return Err(ManifestError::Damaged { file: file.clone(), reason }.into());
        }
    }
    let store = SledStore::open_restored(config.folder()?, keys, config.feed_kept)?;
    let subject = format!("backup-of-{}", manifest.made_at.unix_ms());
    take_over(config, &store, registers, &subject, clock.now()).await
}

/// Whoever was erased since the backup was made goes again before anything can be served from it, and the feed begins anew.
async fn take_over(
    config: &Config,
    store: &dyn Store,
    registers: &[PathBuf],
    subject: &str,
    now: Timestamp,
) -> anyhow::Result<Restored> {
    let register = Register::open(Arc::new(RealDisk), &config.erasures_dir)?;
    for dir in registers {
        ensure!(dir.is_dir(), "there is no register of erasures in {}", dir.display());
        let other = Register::open(Arc::new(RealDisk), dir).with_context(|| dir.display().to_string())?;
        let taken = register.take_over(&other).await?;
        println!("{taken} erasures of {} were not in {} yet", dir.display(), config.erasures_dir.display());
    }
    let erased_again = register::reconcile(&register, store, now).await?;
    let feed_head = store.restart_feed(now).await?;
    store.audit("operator/command-line", "store.restore", subject, now).await?;
    Ok(Restored { feed_head, erased_again })
}
