//! The config files of the city's processes: what an operator would write, with free ports and throw-away folders.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Result;
use facegate_runtime::identity::{Role, TlsPaths};
use serde_json::{Value, json};

use sha2::{Digest, Sha256};

use crate::database::Database;

use super::network::{CloudPlace, Network};
use super::{CAMERA, Certificates, CityOptions, STATIONS};

pub const OPS_USER: &str = "operator";

/// Where one gate stands.
#[derive(Debug, Clone, Copy)]
pub struct GatePlace<'a> {
    pub id: &'a str,
    pub station: &'a str,
    /// `in`, `out` or `camera`.
    pub way: &'a str,
    pub aisle: SocketAddr,
    pub camera: &'a Path,
    pub screen: u16,
}

/// The command line of the sandbox acquirer.
pub fn acquirer(folder: &Path, certificates: &Certificates, network: &Network) -> Result<Vec<String>> {
    let tls = certificates.issue(Role::Acquirer, "sandbox")?;
    let config = json!({
        "listen": network.acquirer.to_string(),
        "data_dir": folder.join("acquirer"),
        "tls": tls_table(&tls),
    });
    let path = write(folder, "acquirer", &config)?;
    Ok(vec!["acquirer".to_owned(), "--config".to_owned(), path.display().to_string()])
}

/// Who may sign in, and which app may call.
#[derive(Debug)]
pub struct Staff {
    pub ops_password_hash: String,
    pub api_key: String,
}

/// One replica of the cloud, with one operator and one integrator.
pub fn cloud(
    options: &CityOptions,
    certificates: &Certificates,
    network: &Network,
    (name, place): (&str, CloudPlace),
    database: Option<&Database>,
    staff: &Staff,
) -> Result<PathBuf> {
    let folder = &options.folder;
    let fares = folder.join("fares.toml");
    std::fs::write(&fares, FARES)?;
    let tls = certificates.issue(Role::Cloud, name)?;
    let mut config = json!({
        "listen": place.grpc.to_string(),
        "models_dir": options.home.join("models"),
        "fares": fares,
        "tls": tls_table(&tls),
        "telemetry": { "metrics_listen": place.metrics.to_string() },
        "journeys": {
            "settle_after_ms": u64::try_from(options.settle_after.as_millis())?,
            "ride_expected_max_s": options.ride_expected_max.as_secs(),
        },
        "web": {
            "listen": place.pages.to_string(),
            "operators": [{ "name": OPS_USER, "password_hash": staff.ops_password_hash }],
            "api_keys": [{ "name": "metro-app", "sha256": hex(&Sha256::digest(&staff.api_key)) }],
        },
        "charging": { "bills": "trip", "verify_minor": 0, "acquirer": [{ "name": "sandbox", "kind": "sandbox", "address": format!("https://{}", network.acquirer) }] },
    });
    match database {
        None => config["data_dir"] = json!(folder.join(name)),
        Some(database) => {
            config["store"] = json!({ "kind": "postgres", "url": database.url });
            config["keys_dir"] = json!(folder.join("cloud-keys"));
            config["erasures_dir"] = json!(folder.join(format!("{name}-erasures")));
        }
    }
    write(folder, name, &config)
}

/// One station of the city with its gates, and the camera if it stands there.
pub fn city_station(folder: &Path, certificates: &Certificates, network: &Network, id: &str) -> Result<PathBuf> {
    let tls = certificates.issue(Role::Station, id)?;
    let index = STATIONS.iter().position(|station| *station == id).unwrap_or_default();
    let clouds: Vec<String> = network.to_cloud[index].iter().map(|address| format!("https://{address}")).collect();
    let gates = [format!("{id}-in"), format!("{id}-out")];
    let cameras: &[&str] = if index == 0 { &[CAMERA] } else { &[] };
    let gates: Vec<&str> = gates.iter().map(String::as_str).collect();
    let mut config = station(id, network.stations[index], &clouds, &gates, cameras, &tls, folder);
    config["telemetry"] = json!({ "metrics_listen": network.metrics[index].to_string() });
    write(folder, &format!("station-{id}"), &config)
}

/// One gate, or the entrance camera.
pub fn gate(
    options: &CityOptions,
    certificates: &Certificates,
    network: &Network,
    place: &GatePlace<'_>,
) -> Result<PathBuf> {
    let is_camera = place.way == "camera";
    let role = if is_camera { Role::Camera } else { Role::Gate };
    let tls = certificates.issue(role, place.id)?;
    let index = STATIONS.iter().position(|station| *station == place.station).unwrap_or_default();
    let mut config = json!({
        "role": role.as_str(),
        "mode": "development",
        "id": place.id,
        "models_dir": options.home.join("models"),
        "data_dir": options.folder.join(format!("gate-{}", place.id)),
        "tls": tls_table(&tls),
        "station": { "address": network.to_station[index].to_string() },
        "camera": { "kind": "folder", "folder": place.camera },
        // Nine processes share a newcomer's two cores: a slow frame must not look like the next rider.
        "approach": { "approach_gap_ms": 1500 },
        // Of the frames shown many are superseded here; where gates have cores of their own the default of eight holds.
        "recognition": { "liveness": { "frames_min": 4 } },
    });
    if !is_camera {
        config["direction"] = json!(if place.way == "in" { "entry" } else { "exit" });
        config["actuator"] = json!({ "kind": "simulated", "address": place.aisle.to_string() });
        config["screen"] = json!({ "listen": format!("127.0.0.1:{}", place.screen) });
    }
    write(&options.folder, &format!("gate-{}", place.id), &config)
}

/// Two stations 7.4 km apart: 2 yuan up to 6 km, 3 yuan to 11 km, as many Chinese metros price; 3 yuan more for who
/// stays beyond four hours. No cap: a crowd counts that each ride is captured.
const FARES: &str = r#"name = "demo distance fares"
valid_from = "2026-01-01T00:00:00Z"
currency = "CNY"
maximum_fare_minor = 900
zone = "+08:00"
overstay = [{ after_s = 14400, price_minor = 300 }]

[[station]]
id = "north"
name = "North"

[[station]]
id = "middle"
name = "Middle"

[[station]]
id = "south"
name = "South"

[[link]]
from = "north"
to = "middle"
metres = 3900

[[link]]
from = "middle"
to = "south"
metres = 3500

[[band]]
from_m = 0
up_to_m = 6000
price_minor = 200

[[band]]
from_m = 6000
up_to_m = 11000
price_minor = 300

[[band]]
from_m = 11000
price_minor = 900
"#;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The gate whose identity the station load uses.
pub const LOAD_GATE: &str = "load-in";

/// A station for `facegate-loadtest station`: fed by `feed`, listening on `port`, called by [`LOAD_GATE`].
pub fn station_for_load(
    folder: &Path,
    certificates: &Certificates,
    feed: SocketAddr,
    listen: SocketAddr,
) -> Result<PathBuf> {
    let tls = certificates.issue(Role::Station, "load")?;
    let mut config = station("load", listen, &[format!("https://{feed}")], &[LOAD_GATE], &[], &tls, folder);
    // Ten thousand strangers to each other at a provisional calibration: with the default budget nobody would pass,
    // and the load is there to measure the path, not the policy.
    config["decision"] = json!({ "risk_budget": 1000.0, "entry": { "expected": 0.0, "regulars": 0.0, "city": 0.15 } });
    write(folder, "station", &config)
}

/// One station of the city.
pub fn station(
    id: &str,
    listen: SocketAddr,
    clouds: &[String],
    gates: &[&str],
    cameras: &[&str],
    tls: &TlsPaths,
    folder: &Path,
) -> Value {
    json!({
        "station": id,
        "listen": listen.to_string(),
        "cloud": clouds,
        "data_dir": folder.join(format!("station-{id}")),
        "gates": gates,
        "cameras": cameras,
        "tls": tls_table(tls),
    })
}

pub fn tls_table(tls: &TlsPaths) -> Value {
    json!({ "cert": tls.cert, "key": tls.key, "ca": tls.ca })
}

/// Writes `config` as `<folder>/<name>.toml`.
pub fn write(folder: &Path, name: &str, config: &Value) -> Result<PathBuf> {
    let path = folder.join(format!("{name}.toml"));
    std::fs::write(&path, toml::to_string(config)?)?;
    Ok(path)
}
