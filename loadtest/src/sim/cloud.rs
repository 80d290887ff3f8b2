//! The cloud's process: the real store, intake, journeys, charging and gRPC services, on a simulated disk and network.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use facegate_cloud_sync::api::grpc;
use facegate_cloud_sync::charging::acquirer::Acquirers;
use facegate_cloud_sync::cloud::Cloud;
use facegate_cloud_sync::config::Config;
use facegate_cloud_sync::register::Register;
use facegate_cloud_sync::renewal::Renewals;
use facegate_cloud_sync::server;
use facegate_cloud_sync::store::sled::SledStore;
use facegate_domain::Clock;
use facegate_domain::code::CodeIssuer;
use facegate_runtime::identity::TlsPaths;
use facegate_runtime::keys::{FileKeys, KeyProvider};
use tokio_util::sync::CancellationToken;
use tower::util::BoxCloneSyncService;

use super::machine::{Life, Machine, Part};
use super::network::Server;
use super::world::World;
use crate::station::riders::MODEL;
use crate::trial::{NoFaces, TrialCloud, fares};

/// Where the store lies on the simulated disk.
pub const STORE: &str = "store";
/// And the register of erasures.
const ERASURES: &str = "erasures";
/// Few, so that a station that was away has to take a snapshot.
const FEED_KEPT: u64 = 60;
/// Purpose of the key that signs rider certificates.
const ISSUER_KEY: &str = "ride-code-issuer";

/// Signs the phones' certificates.
pub fn issuer(machine: &Machine) -> Result<CodeIssuer> {
    Ok(CodeIssuer::from_secret(keys(machine)?.key(ISSUER_KEY)?.expose()))
}

fn keys(machine: &Machine) -> Result<FileKeys> {
    Ok(FileKeys::open(&machine.dir.join("keys"))?)
}

/// Starts the process on what its disk holds.
pub async fn start(world: &Arc<World>, machine: &Machine) -> Result<Life> {
    let mut config = config(machine, &world.billing)?;
    config.lease = world.short_lease.unwrap_or(config.lease);
    let clock = Arc::clone(&machine.clock) as Arc<dyn Clock>;
    let store = SledStore::open_on(&machine.disk, Path::new(STORE), &keys(machine)?, config.feed_kept)?;
    let (faces, stop) = (Arc::new(NoFaces::of(MODEL)?), CancellationToken::new());
    let register = Register::open(Arc::new(machine.disk.clone()), Path::new(ERASURES))?;
    let (store, keys) = (Arc::new(store), Arc::new(keys(machine)?));
    let opened = Cloud::with_store(config, clock, store, register, keys, faces, stop.clone()).await?;
    opened.publish_issuer().await?;
    let cloud = Arc::new(opened);
    let routes = grpc::routes(&cloud, Renewals::open(None)?).await?;
    let tasks = server::loops(&cloud, &Acquirers::only(Arc::clone(&world.acquirer) as _));
    let life = Life::new(stop, tasks, Part::Cloud(cloud));
    let service = BoxCloneSyncService::new(routes);
    world.network.listen(machine.node, Server { service, disk: machine.disk.clone(), alive: life.alive.clone() });
    Ok(life)
}

fn config(machine: &Machine, billing: &str) -> Result<Config> {
    let none = machine.dir.join("none.pem");
    let tls = TlsPaths { cert: none.clone(), key: none.clone(), ca: none, crl: None };
    let more = format!(
        "[feed]\nkept = {FEED_KEPT}\n[journeys]\nsettle_after_ms = 5000\n[charging]\nretry_max_s = 20\n{billing}"
    );
    TrialCloud { more, ..TrialCloud::new(&machine.dir, tls) }.config(&fares(&["s0", "s1", "s2"], &[5000, 7000]))
}
