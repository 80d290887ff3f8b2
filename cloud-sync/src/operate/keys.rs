//! `keys`: what keys there are, a new generation, sealing anew, and the end of an old generation.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use facegate_domain::{Clock, Timestamp};
use facegate_runtime::clock::SystemClock;
use facegate_runtime::keys::{Key, KeyProvider};

use super::Target;
use crate::cloud::{Cloud, ISSUER_KEY};
use crate::config::{Config, StoreConfig};
use crate::rotation::ISSUER_SETTLES;
use crate::store::{SealedValues, Store};

/// What `keys --help` teaches.
pub const HELP: &str = "\
Purposes: `templates` (faces), `identities` (names, accounts, passwords), `ride-code-issuer` (signs phones' certificates)
and `gallery-leases` (keys of the stations' galleries). Each has generations; the newest seals or signs.

  1  keys rotate --purpose templates      makes a generation, at any time. A running cloud takes it into use within ten
                                          seconds and seals everything anew; its log says when it is done.
  2  keys list                            shows how much is sealed under which key
  3  keys retire --purpose templates --key ID
                                          destroys the old one; refused while anything is sealed under it

For 2 and 3 the cloud must be stopped if its store is embedded. Replicas before PostgreSQL may run; they must all have their
keys from one place (a folder that all mount, or one HSM), and `retire` waits until each had the time to take the new key.

Backups made before step 1 need the old key: after step 3 they cannot be read by anybody. Make a new backup first.

ride-code-issuer: the new key is published beside the old one at once and signs after an hour; the old one can be retired
when the last certificate that it signed has expired ([codes] certificate_valid_s).
gallery-leases: a new master counts from the cloud's next start (of every replica); each station then fetches its
templates anew.

With `kind = \"pkcs11\"` generations are objects on the token, labelled facegate-PURPOSE, and retiring destroys them.";

#[derive(Debug, clap::Args)]
pub struct Keys {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Shows the generations, newest first, and what is sealed under each.
    List(Target),
    /// Makes a new generation.
    Rotate {
        #[command(flatten)]
        target: Target,
        /// What it seals or signs; see above.
        #[arg(long)]
        purpose: String,
    },
    /// Seals everything anew under the newest keys; for when the cloud is stopped, a running one does it by itself.
    Reseal(Target),
    /// Destroys an old generation for good.
    Retire {
        #[command(flatten)]
        target: Target,
        #[arg(long)]
        purpose: String,
        /// Its id, as `list` shows it.
        #[arg(long)]
        key: String,
    },
}

/// All purposes that the cloud has keys for.
const PURPOSES: [&str; 4] = ["templates", "identities", ISSUER_KEY, "gallery-leases"];

impl Keys {
    pub fn run(&self) -> anyhow::Result<()> {
        let (Command::List(target)
        | Command::Reseal(target)
        | Command::Rotate { target, .. }
        | Command::Retire { target, .. }) = &self.command;
        let config = target.load()?;
        let keys = config.keys.open()?;
        let runtime = tokio::runtime::Runtime::new().context("starting the async runtime")?;
        runtime.block_on(async {
            match &self.command {
                Command::List(_) => list(&config, &*keys).await,
                Command::Rotate { purpose, .. } => rotate(&*keys, purpose),
                Command::Reseal(_) => reseal(&config).await,
                Command::Retire { purpose, key, .. } => retire(&config, &*keys, purpose, key).await,
            }
        })
    }
}

/// Replicas look for a new key every ten seconds; after so long each that can see it seals under it.
const REPLICAS_TAKE_KEYS: Duration = Duration::from_secs(60);

async fn open(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    let store = Cloud::open_store(config).await;
    store.context(match config.store {
        StoreConfig::Sled { .. } => "opening the store; the cloud must be stopped",
        StoreConfig::Postgres { .. } => "opening the store in PostgreSQL",
    })
}

fn sealed(purpose: &str) -> Option<SealedValues> {
    SealedValues::ALL.into_iter().find(|values| values.purpose() == purpose)
}

fn known(purpose: &str) -> anyhow::Result<()> {
    ensure!(
        PURPOSES.contains(&purpose),
        "`{purpose}` is no purpose of the cloud's keys; there are {}",
        PURPOSES.join(", ")
    );
    Ok(())
}

async fn list(config: &Config, keys: &dyn KeyProvider) -> anyhow::Result<()> {
    let store = open(config).await?;
    for purpose in PURPOSES {
        let under = match sealed(purpose) {
            Some(values) => store.sealed_under(values).await?,
            None => BTreeMap::new(),
        };
        let ring = keys.existing(purpose)?;
        for (age, key) in ring.iter().flat_map(facegate_runtime::keys::KeyRing::iter).enumerate() {
            let state = if age == 0 { "newest" } else { "older" };
            let sealed = match sealed(purpose) {
                Some(_) => format!("{} values", under.get(&key.id()).copied().unwrap_or(0)),
                None => String::new(),
            };
            println!("{purpose:<18}{:?}  {state:<8}{sealed}", key.id());
        }
    }
    Ok(())
}

fn rotate(keys: &dyn KeyProvider, purpose: &str) -> anyhow::Result<()> {
    known(purpose)?;
    let made = keys.rotate(purpose)?;
    println!("{purpose}: {:?} is the newest key", made.id());
    println!("a running cloud uses it within ten seconds; `keys reseal` does the same for one that is stopped");
    Ok(())
}

async fn reseal(config: &Config) -> anyhow::Result<()> {
    let store = open(config).await?;
    for values in SealedValues::ALL {
        let (mut from, mut looked_at, mut resealed) = (None, 0, 0);
        loop {
            let page = store.reseal(values, from, 4096).await?;
            looked_at += page.looked_at;
            resealed += page.resealed;
            println!("{}: {looked_at} looked at, {resealed} sealed anew", values.purpose());
            let Some(next) = page.next else { break };
            from = Some(next);
        }
    }
    Ok(())
}

async fn retire(config: &Config, keys: &dyn KeyProvider, purpose: &str, key: &str) -> anyhow::Result<()> {
    known(purpose)?;
    let store = open(config).await?;
    let now = SystemClock::new().now();
    let ring = keys.existing(purpose)?.with_context(|| format!("there is no `{purpose}` key"))?;
    let id = ring.iter().map(Key::id).find(|id| format!("{id:?}") == key);
    let Some(id) = id else { bail!("`{purpose}` has no key {key}; `keys list` shows those there are") };
    if let Some(values) = sealed(purpose) {
        let under = store.sealed_under(values).await?.get(&id).copied().unwrap_or(0);
        ensure!(
            under == 0,
            "{under} values are still sealed under {key}: `keys reseal`, or let the cloud run until it is done"
        );
        if matches!(config.store, StoreConfig::Postgres { .. }) {
            let since = store.key_used(purpose, ring.newest().id(), now).await?.since;
            let free = since.plus(REPLICAS_TAKE_KEYS);
            ensure!(
                free <= now,
                "a replica may still seal under {key}; every one that runs has the newest key in {} s: retire it then",
                free.since(now).as_secs() + 1
            );
        }
    }
    if purpose == ISSUER_KEY {
        let newest = ring.newest().id();
        let since = store.key_used(purpose, newest, now).await?.since;
        may_retire_issuer(since, now, config.enrolment.certificate_valid_for)?;
    }
    keys.retire(purpose, id)?;
    store.audit("operator/command-line", "key.retire", &format!("{purpose}/{id:?}"), now).await?;
    println!("{purpose}: {key} is destroyed; backups that need it cannot be read any more");
    Ok(())
}

/// The old key has signed until the new one took over, and what it signed counts for `valid_for`.
fn may_retire_issuer(new_since: Timestamp, now: Timestamp, valid_for: Duration) -> anyhow::Result<()> {
    let free = new_since.plus(ISSUER_SETTLES).plus(valid_for);
    let left = free.since(now).as_secs();
    ensure!(
        free <= now,
        "phones still hold certificates that the old key signed, for {} more hours; retire it then",
        left / 3600 + 1
    );
    Ok(())
}
