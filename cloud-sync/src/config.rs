//! The cloud's config: raw as written, checked as run, every problem at once, those of the fare table among them.

mod acquirers;
mod fares;
mod raw;
mod store;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use facegate_domain::charge::RetryPolicy;
use facegate_domain::fares::Tariff;
use facegate_domain::habits::HabitPolicy;
use facegate_domain::journey::PairingPolicy;
use facegate_domain::score::Similarity;
use facegate_domain::travel_day::{TravelDayError, TravelDays};
use facegate_models::{EngineOptions, QualityPolicy};
use facegate_runtime::config::Problems;
use facegate_runtime::identity::TlsPaths;
use facegate_runtime::keys::KeysConfig;
use facegate_runtime::telemetry::Telemetry;

pub use acquirers::{AcquirerConfig, AcquirerKind};
pub use raw::RawConfig;
pub use store::StoreConfig;

use crate::auditor::AuditPolicy;
use crate::charging::ChargingPolicy;
use crate::enrolment::EnrolmentPolicy;
use crate::intake::IntakePolicy;
use crate::journeys::SettlingPolicy;
use crate::renewal::CaConfig;
use crate::web::WebConfig;

/// What `--help` prints below the options: a whole config to start from.
pub const EXAMPLE: &str = r#"The config file, with every key and its default ("required" where there is none):

    listen     = "0.0.0.0:7440"              # required: gRPC for stations, integrators and monitors, mutual TLS
    data_dir   = "/var/lib/facegate/cloud"   # required for sled: the store; one process at a time
    # keys_dir = "/etc/facegate/cloud-keys"  # default: keys/ in data_dir; better on another disk. Required for
                                             # PostgreSQL: every replica needs the same keys
    # erasures_dir = "/etc/facegate/cloud-keys/erasures"   # default: erasures/ in keys_dir; the register of erasures,
                                             # from which a restored backup learns whom to forget: not on data_dir's disk
    models_dir = "/usr/share/facegate/models"   # required: what `cargo xtask models` made
    fares      = "/etc/facegate/fares.toml"  # required: the fare table, or a list of them, each from its valid_from on;
                                             # docs/FARES.md explains what a table may say

    [tls]                                    # required: PEM files of this device
    cert = "/etc/facegate/cloud.pem"
    key  = "/etc/facegate/cloud-key.pem"
    ca   = "/etc/facegate/ca.pem"
    # crl = "/etc/facegate/crl.pem"          # what the CA has revoked; all these files are read again when they change

    [keys]
    kind = "file"                            # files in keys_dir, or "pkcs11": keys from an HSM, with all of these:
    # module   = "/usr/lib/softhsm/libsofthsm2.so"   # the HSM's PKCS#11 library
    # token    = "facegate"                  # the token's label
    # pin_file = "/etc/facegate/hsm-pin"     # the user PIN, mode 600

    # [ca]                                   # without it nobody's certificate is renewed over the wire
    # dir = "/etc/facegate/device-ca"        # from `facegate-cloud-sync ca create`; stations and gates get theirs from it
    # days = 30                              # how long a renewed certificate counts

    [store]
    kind = "sled"                            # or "postgres": any number of replicas share one database
    # cache_mib = 64                         # of sled: memory for each of its three databases; more for millions of riders
    # url = "postgres://facegate@db.example/facegate?sslmode=verify-full"   # under [tls]; none but loopback without TLS
    # url_file = "/etc/facegate/database-url"   # instead of url, if it holds a password

    [telemetry]
    format = "text"                          # or "json"
    filter = "info"
    # metrics_listen = "0.0.0.0:7441"        # HTTPS for the role monitor: /metrics, /healthz

    [feed]
    kept = 1000000                           # changes that stay in the log; who is further behind takes a snapshot

    [journeys]
    settle_after_ms = 60000                  # from the exit to the settled journey: what is late may still arrive
    give_up_after_s = 604800                 # how long an entry or exit waits for its other end
    merge_window_ms = 10000                  # face and code at one gate within this are one tap
    journey_max_s   = 64800                  # an exit later than this after the entry is another journey's
    # What looks like a longer ride may be two, of which the exit and the entry between are at a station that is cut off:
    ride_expected_max_s = 5400               # it waits until no station and no gate is behind,
    wait_for_stations_s = 259200             # but not longer than this

    [codes]
    certificate_valid_s = 604800             # how long a phone makes ride codes without asking anew
    memory_s = 600                           # a station that starts is told of codes spent within this

    [lease]
    duration_s = 259200                      # how long a station may recognise faces without hearing from here

    [retention]
    unused_days = 365                        # a face without a tap, by face or code, for so long is withdrawn
    account_days = 14                        # how an erased rider pays is kept so long, for rides that gates and stations
                                             # hand in late: longer than any of them may go on cut off
    inside_max_s = 86400                     # an entry without an exit says nothing about where its rider is after this

    [regulars]
    enabled = true                           # stations are told daily who comes to them when, of who has consented
    window_days = 28                         # entries that count
    days_min = 3                             # different days in an hour, or the one before or after it
    riders_max = 20000                       # of one station

    [enrolment]
    same_person_from = 0.55                  # cosine from which two faces are taken for one person's
    [enrolment.quality]
    inter_eye_px_min = 24.0
    sharpness_min = 0.15
    exposure_min = 0.12
    exposure_max = 0.92
    yaw_max = 0.6
    roll_deg_max = 35.0
    pitch_min = 0.3                          # nose tip between the line of the eyes (0) and of the mouth (1)
    pitch_max = 0.8
    uneven_light_max = 0.6                   # 0.33: one cheek twice as bright as the other
    eyes_visible_min = 50.0                  # 0 to 100; 0 lets sunglasses pass
    mouth_visible_min = 50.0                 # 0 lets masks pass

    [charging]
    pass_every_ms = 1000                     # pause between two looks at what is to be charged
    retry_first_ms = 1000                    # after a call without an answer, doubling up to:
    retry_max_s = 900
    charges_per_pass_max = 1000
    in_flight_max = 16                       # charges that may wait for the acquirer at once
    [[charging.acquirer]]                    # any number; charges by the token of one that is not here wait until it is
    name    = "cards"                        # as bindings name it; a binding without a name is of the only one
    kind    = "sandbox"                      # `facegate-loadtest acquirer`, mutual TLS under [tls]
    address = "https://acquirer.example:8443"   # required
    answer_within_ms = 10000

    [intake]
    backlog_batches_max = 4                  # of stations that return with a backlog, at a time; live traffic always is
    clock_ahead_max_s = 300                  # records stamped further ahead are taken, and listed

    [audit]                                  # end of day: are all records here that the gates wrote?
    zone = "UTC"                             # like "Asia/Shanghai" (needs tzdata) or "+08:00"
    day_starts_at = "04:30"
    every_s = 3600                           # between two rounds
    close_after_s = 3600                     # from the day's end to its first audit
    recheck_days = 2                         # complete days that are counted again; incomplete ones are for 90 days

    [web]                                    # without it there are no pages and no REST
    listen = "0.0.0.0:7443"                  # required: HTTPS, sign-in or API key instead of a device certificate
    session_lifetime_s = 28800
    session_idle_s = 1800
    sign_in_failures_max = 5
    sign_in_window_s = 300
    image_bytes_max = 8388608
    [[web.operators]]
    name = "ops"
    password_hash = "$argon2id$…"            # from `facegate-cloud-sync hash-password`
    [[web.api_keys]]
    name = "metro-app"
    sha256 = "…"                             # of the key, hexadecimal

    [engine]                                 # as in the gate's config
    provider = "cpu"
    threads = 1
"#;

const DAY: Duration = Duration::from_secs(86_400);

/// A checked config.
#[derive(Debug, Clone)]
pub struct Config {
    pub listen: SocketAddr,
    pub store: StoreConfig,
    pub keys_dir: PathBuf,
    pub keys: KeysConfig,
    /// None: certificates are renewed by hand.
    pub ca: Option<CaConfig>,
    /// The register of erasures, apart from the data that it corrects.
    pub erasures_dir: PathBuf,
    pub models_dir: PathBuf,
    pub tls: TlsPaths,
    pub telemetry: Telemetry,
    pub fares: Arc<Tariff>,
    pub settling: SettlingPolicy,
    pub enrolment: EnrolmentPolicy,
    pub quality: QualityPolicy,
    pub engine: EngineOptions,
    /// Codes spent longer ago than this are refused for their age, and no station need remember them.
    pub code_memory: Duration,
    /// How long a station may recognise faces without asking anew.
    pub lease: Duration,
    /// A face unused for so long is withdrawn.
    pub unused_max: Duration,
    /// An entry says for so long at most that its rider is inside.
    pub inside_max: Duration,
    /// None: no station has regulars.
    pub habits: Option<HabitPolicy>,
    /// Versions of the feed that stay in the log.
    pub feed_kept: u64,
    pub charging: ChargingPolicy,
    /// Charges by the token of an acquirer that is not here wait until it is.
    pub acquirers: Vec<AcquirerConfig>,
    pub intake: IntakePolicy,
    pub audit: AuditPolicy,
    /// The HTTPS listener for people and apps; none without the section.
    pub web: Option<WebConfig>,
}

/// The command is for a store in a folder of the cloud's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the store is in PostgreSQL: use the means of that database (pg_dump, or pg_basebackup and its archive of the log)"
)]
pub struct NoFolder;

impl Config {
    /// The folder of the store.
    pub fn folder(&self) -> Result<&Path, NoFolder> {
        match &self.store {
            StoreConfig::Sled { dir, .. } => Ok(dir),
            StoreConfig::Postgres { .. } => Err(NoFolder),
        }
    }
}

impl TryFrom<RawConfig> for Config {
    type Error = Problems;

    fn try_from(raw: RawConfig) -> Result<Self, Problems> {
        let mut problems = Problems::new();
        let listen = problems.address("listen", &raw.listen);
        let tls = raw.tls.check("tls", &mut problems);
        let store = raw.store.check(raw.data_dir.as_ref(), tls.as_ref(), &mut problems);
        let keys_dir = raw.keys_dir.or_else(|| raw.data_dir.map(|dir| dir.join("keys"))).unwrap_or_else(|| {
            problems.add("keys_dir", "is missing: without data_dir there is no other place for the keys");
            PathBuf::new()
        });
        let keys = raw.keys.check("keys", keys_dir.clone(), &mut problems);
        let ca = raw.ca.map(|ca| ca.check("ca", &mut problems));
        let telemetry = raw.telemetry.check("telemetry", &mut problems);
        let fares = raw.fares.check("fares", &mut problems);
        let settling = raw.journeys.check("journeys", &mut problems);
        let valid = problems.duration_s("codes.certificate_valid_s", raw.codes.certificate_valid_s, 60..=90 * 86_400);
        let code_memory = problems.duration_s("codes.memory_s", raw.codes.memory_s, 60..=86_400);
        let lease = problems.duration_s("lease.duration_s", raw.lease.duration_s, 60..=30 * 86_400);
        let unused_days = problems.within("retention.unused_days", raw.retention.unused_days, 1..=36_500);
        let account_days = problems.within("retention.account_days", raw.retention.account_days, 1..=400);
        let inside_max = problems.duration_s("retention.inside_max_s", raw.retention.inside_max_s, 3600..=7 * 86_400);
        let habits = raw.regulars.check("regulars", &mut problems);
        let same = problems.within("enrolment.same_person_from", raw.enrolment.same_person_from, 0.2..=1.0);
        let feed_kept = problems.within("feed.kept", raw.feed.kept, 10..=1_000_000_000);
        let charging = raw.charging.check("charging", &mut problems);
        let intake = raw.intake.check("intake", &mut problems);
        let audit = raw.audit.check("audit", &mut problems);
        let web = raw.web.map(|web| web.check("web", &mut problems));
        let checked = (|| {
            let fares = fares?;
            let (charging, acquirers) = charging?;
            let enrolment = EnrolmentPolicy {
                same_person: Similarity::from_cosine(same?),
                certificate_valid_for: valid?,
                account_kept: DAY * u32::try_from(account_days?).ok()?,
                currency: fares.currency(),
                acquirers: acquirers.iter().map(|acquirer| acquirer.name.clone()).collect(),
            };
            Some(Self {
                listen: listen?,
                erasures_dir: raw.erasures_dir.unwrap_or_else(|| keys_dir.join("erasures")),
                keys_dir,
                keys: keys?,
                ca: ca.map_or(Some(None), |checked| checked.map(Some))?,
                store: store?,
                models_dir: raw.models_dir,
                tls: tls?,
                telemetry: telemetry?,
                fares: Arc::new(fares),
                settling: settling?,
                enrolment,
                quality: raw.enrolment.quality,
                engine: raw.engine,
                code_memory: code_memory?,
                lease: lease?,
                unused_max: DAY * u32::try_from(unused_days?).ok()?,
                inside_max: inside_max?,
                habits: raw.regulars.enabled.then_some(habits?),
                feed_kept: feed_kept?,
                charging,
                acquirers,
                intake: intake?,
                audit: audit?,
                web: web.map_or(Some(None), |checked| checked.map(Some))?,
            })
        })();
        problems.into_result(checked)
    }
}

impl raw::RawCa {
    fn check(self, path: &str, problems: &mut Problems) -> Option<CaConfig> {
        if !self.dir.join("ca-key.pem").is_file() {
            let message = format!("{} holds no ca-key.pem; make a CA with `ca create`", self.dir.display());
            problems.add(format!("{path}.dir"), message);
        }
        let days = problems.within(&format!("{path}.days"), self.days, 1..=825)?;
        Some(CaConfig { dir: self.dir, valid_for: Duration::from_secs(days * 86_400) })
    }
}

impl raw::RawRegulars {
    fn check(self, path: &str, problems: &mut Problems) -> Option<HabitPolicy> {
        let at = |key: &str| format!("{path}.{key}");
        let days = problems.within(&at("window_days"), self.window_days, 1..=365);
        let days_min = problems.within(&at("days_min"), self.days_min, 1..=365);
        // One change of the feed carries all of them, and a message has an end.
        let riders_max = problems.within(&at("riders_max"), self.riders_max, 1..=200_000);
        let window = DAY * u32::try_from(days?).ok()?;
        Some(HabitPolicy { window, days_min: days_min?, riders_max: riders_max? })
    }
}

impl raw::RawJourneys {
    fn check(self, path: &str, problems: &mut Problems) -> Option<SettlingPolicy> {
        let at = |key: &str| format!("{path}.{key}");
        let settle_after = problems.duration_ms(&at("settle_after_ms"), self.settle_after_ms, 0..=7 * 86_400_000);
        let give_up = problems.duration_s(&at("give_up_after_s"), self.give_up_after_s, 3600..=90 * 86_400);
        let merge_window = problems.duration_ms(&at("merge_window_ms"), self.merge_window_ms, 0..=600_000);
        let journey_max = problems.duration_s(&at("journey_max_s"), self.journey_max_s, 600..=3 * 86_400);
        let pairing = PairingPolicy { merge_window: merge_window?, journey_max: journey_max? };
        let expected = problems.duration_s(&at("ride_expected_max_s"), self.ride_expected_max_s, 0..=86_400);
        let wait = problems.duration_s(&at("wait_for_stations_s"), self.wait_for_stations_s, 0..=30 * 86_400);
        Some(SettlingPolicy {
            pairing,
            settle_after: settle_after?,
            give_up_after: give_up?,
            ride_expected_max: expected?,
            wait_for_stations: wait?,
        })
    }
}

impl raw::RawIntake {
    fn check(self, path: &str, problems: &mut Problems) -> Option<IntakePolicy> {
        let at = |key: &str| format!("{path}.{key}");
        let backlog = problems.within(&at("backlog_batches_max"), self.backlog_batches_max, 1..=1000);
        let ahead = problems.duration_s(&at("clock_ahead_max_s"), self.clock_ahead_max_s, 1..=86_400);
        Some(IntakePolicy { backlog_batches_max: backlog?, clock_ahead_max: ahead? })
    }
}

impl raw::RawAudit {
    fn check(self, path: &str, problems: &mut Problems) -> Option<AuditPolicy> {
        let at = |key: &str| format!("{path}.{key}");
        let days = match TravelDays::new(&self.zone, &self.day_starts_at) {
            Ok(days) => Some(days),
            Err(error @ TravelDayError::Zone(_)) => problems.check(&at("zone"), Err(error)),
            Err(error @ TravelDayError::Time(_)) => problems.check(&at("day_starts_at"), Err(error)),
        };
        let every = problems.duration_s(&at("every_s"), self.every_s, 1..=86_400);
        let close_after = problems.duration_s(&at("close_after_s"), self.close_after_s, 0..=86_400);
        let recheck_days = problems.within(&at("recheck_days"), self.recheck_days, 0..=90);
        Some(AuditPolicy { days: days?, every: every?, close_after: close_after?, recheck_days: recheck_days? })
    }
}

impl raw::RawCharging {
    fn check(self, path: &str, problems: &mut Problems) -> Option<(ChargingPolicy, Vec<AcquirerConfig>)> {
        let at = |key: &str| format!("{path}.{key}");
        let pass_every = problems.duration_ms(&at("pass_every_ms"), self.pass_every_ms, 10..=3_600_000);
        let first = problems.duration_ms(&at("retry_first_ms"), self.retry_first_ms, 10..=3_600_000);
        let max = problems.duration_s(&at("retry_max_s"), self.retry_max_s, 1..=86_400);
        let per_pass = problems.within(&at("charges_per_pass_max"), self.charges_per_pass_max, 1..=100_000);
        let in_flight = problems.within(&at("in_flight_max"), self.in_flight_max, 1..=1000);
        let acquirers = acquirers::check(self.acquirer, &at("acquirer"), problems);
        let policy = ChargingPolicy {
            pass_every: pass_every?,
            retry: RetryPolicy { first: first?, max: max? },
            charges_per_pass_max: per_pass?,
            in_flight_max: in_flight?,
        };
        Some((policy, acquirers?))
    }
}
