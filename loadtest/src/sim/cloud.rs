//! The cloud's process: the real store, intake, journeys, charging and gRPC services, on a simulated disk and network.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use facegate_cloud_sync::api::grpc;
use facegate_cloud_sync::cloud::Cloud;
use facegate_cloud_sync::config::{Config, RawConfig};
use facegate_cloud_sync::enrolment::FaceCapture;
use facegate_cloud_sync::register::Register;
use facegate_cloud_sync::renewal::Renewals;
use facegate_cloud_sync::server;
use facegate_cloud_sync::store::sled::SledStore;
use facegate_domain::Clock;
use facegate_domain::code::CodeIssuer;
use facegate_domain::ids::ModelId;
use facegate_models::enrolment::{Capture, CaptureProblem};
use facegate_runtime::config;
use facegate_runtime::keys::{FileKeys, KeyProvider};
use tokio_util::sync::CancellationToken;
use tower::util::BoxCloneSyncService;

use super::machine::{Life, Machine, Part};
use super::network::Server;
use super::world::World;
use crate::station::riders::MODEL;

/// Where the store lies on the simulated disk.
pub const STORE: &str = "store";
/// And the register of erasures.
const ERASURES: &str = "erasures";
/// Few, so that a station that was away has to take a snapshot.
const FEED_KEPT: u64 = 60;
/// Purpose of the key that signs rider certificates.
const ISSUER_KEY: &str = "ride-code-issuer";

const FARES: &str = r#"
name = "simulated"
valid_from = "2020-01-01T00:00:00+08:00"
currency = "CNY"
maximum_fare_minor = 900
[[station]]
id = "s0"
[[station]]
id = "s1"
[[station]]
id = "s2"
[[link]]
from = "s0"
to = "s1"
metres = 5000
[[link]]
from = "s1"
to = "s2"
metres = 7000
[[band]]
from_m = 0
up_to_m = 6000
price_minor = 300
[[band]]
from_m = 6000
price_minor = 400
"#;

/// Nobody is photographed here.
#[derive(Debug)]
struct NoCamera(ModelId);

impl FaceCapture for NoCamera {
    fn model(&self) -> &ModelId {
        &self.0
    }

    fn capture(&self, _: &[u8]) -> Result<Capture, CaptureProblem> {
        Err(CaptureProblem::NoFace)
    }
}

/// Signs the phones' certificates.
pub fn issuer(machine: &Machine) -> Result<CodeIssuer> {
    Ok(CodeIssuer::from_secret(keys(machine)?.key(ISSUER_KEY)?.expose()))
}

fn keys(machine: &Machine) -> Result<FileKeys> {
    Ok(FileKeys::open(&machine.dir.join("keys"))?)
}

/// Starts the process on what its disk holds.
pub async fn start(world: &Arc<World>, machine: &Machine) -> Result<Life> {
    let mut config = config(machine)?;
    config.lease = world.short_lease.unwrap_or(config.lease);
    let clock = Arc::clone(&machine.clock) as Arc<dyn Clock>;
    let store = SledStore::open_on(&machine.disk, Path::new(STORE), &keys(machine)?, config.feed_kept)?;
    let (faces, stop) = (Arc::new(NoCamera(ModelId::new(MODEL)?)), CancellationToken::new());
    let register = Register::open(Arc::new(machine.disk.clone()), Path::new(ERASURES))?;
    let (store, keys) = (Arc::new(store), Arc::new(keys(machine)?));
    let opened = Cloud::with_store(config, clock, store, register, keys, faces, stop.clone()).await?;
    opened.publish_issuer().await?;
    let cloud = Arc::new(opened);
    let routes = grpc::routes(&cloud, Renewals::open(None)?).await?;
    let tasks = server::loops(&cloud, Arc::clone(&world.acquirer) as _);
    let life = Life::new(stop, tasks, Part::Cloud(cloud));
    let service = BoxCloneSyncService::new(routes);
    world.network.listen(machine.node, Server { service, disk: machine.disk.clone(), alive: life.alive.clone() });
    Ok(life)
}

fn config(machine: &Machine) -> Result<Config> {
    let dir = machine.dir.display();
    std::fs::write(machine.dir.join("fares.toml"), FARES)?;
    let text = format!(
        r#"
        listen = "127.0.0.1:0"
        data_dir = "{dir}"
        keys_dir = "{dir}/keys"
        models_dir = "{dir}"
        fares = "{dir}/fares.toml"
        [tls]
        cert = "{dir}/none.pem"
        key = "{dir}/none.pem"
        ca = "{dir}/none.pem"
        [feed]
        kept = {FEED_KEPT}
        [journeys]
        settle_after_ms = 5000
        [charging]
        retry_max_s = 20
        "#
    );
    Ok(config::parse::<RawConfig, Config>(Path::new("cloud.toml"), &text)?)
}
