//! The cloud's config: raw as written, checked as run, every problem at once, those of the fare table among them.

mod acquirers;
mod after;
mod books;
mod charging;
mod fares;
mod notices;
mod raw;
mod remedies;
mod risk;
mod store;
mod ticketing;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use facegate_domain::billing::BillingPolicy;
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
pub use after::AfterConfig;
pub use raw::RawConfig;
pub use store::StoreConfig;

use crate::auditor::AuditPolicy;
use crate::books::BooksConfig;
use crate::charging::ChargingPolicy;
use crate::enrolment::EnrolmentPolicy;
use crate::intake::IntakePolicy;
use crate::journeys::SettlingPolicy;
use crate::renewal::CaConfig;
use crate::ticketing::TicketingConfig;
use crate::web::WebConfig;

/// What `--help` prints below the options: a whole config to start from.
pub const EXAMPLE: &str = include_str!("config/example.txt");

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
    pub after: AfterConfig,
    /// None: the fare tables price rides.
    pub ticketing: Option<TicketingConfig>,
    pub intake: IntakePolicy,
    pub audit: AuditPolicy,
    pub books: BooksConfig,
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
        let keys_dir = raw.keys_dir.or_else(|| Some(raw.data_dir.as_ref()?.join("keys"))).unwrap_or_else(|| {
            problems.add("keys_dir", "is missing: without data_dir there is no other place for the keys");
            PathBuf::new()
        });
        let keys = raw.keys.check("keys", keys_dir.clone(), &mut problems);
        let ca = raw.ca.map(|ca| ca.check("ca", &mut problems));
        let telemetry = raw.telemetry.check("telemetry", &mut problems);
        let (fares, audit) = (raw.fares.check("fares", &mut problems), raw.audit.check("audit", &mut problems));
        let charging = raw.charging.check(audit.as_ref().map(|audit| &audit.days), "charging", &mut problems);
        let settling = raw.journeys.check("journeys", charging.billing(), &mut problems);
        let valid = problems.duration_s("codes.certificate_valid_s", raw.codes.certificate_valid_s, 60..=90 * 86_400);
        let code_memory = problems.duration_s("codes.memory_s", raw.codes.memory_s, 60..=86_400);
        let lease = problems.duration_s("lease.duration_s", raw.lease.duration_s, 60..=30 * 86_400);
        let retention = raw.retention.check("retention", &mut problems);
        let habits = raw.regulars.check("regulars", &mut problems);
        let same = problems.within("enrolment.same_person_from", raw.enrolment.same_person_from, 0.2..=1.0);
        let feed_kept = problems.within("feed.kept", raw.feed.kept, 10..=1_000_000_000);
        let after = after::check(raw.notices, raw.remedies, raw.risk, &raw.tls.ca, &mut problems);
        let ticketing = ticketing::check(raw.ticketing, "ticketing", &mut problems);
        let intake = raw.intake.check("intake", &mut problems);
        let books = raw.books.check("books", raw.data_dir.as_ref().unwrap_or(&keys_dir), &mut problems);
        let web = raw.web.map(|web| web.check("web", &mut problems));
        let checked = (|| {
            let (fares, acquirers) = (fares?, charging.acquirers.clone()?);
            let (unused_max, account_kept, inside_max) = retention?;
            let enrolment = EnrolmentPolicy {
                same_person: Similarity::from_cosine(same?),
                certificate_valid_for: valid?,
                account_kept,
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
                charging: charging.policy(enrolment.currency)?,
                enrolment,
                quality: raw.enrolment.quality,
                engine: raw.engine,
                code_memory: code_memory?,
                lease: lease?,
                unused_max,
                inside_max,
                habits: raw.regulars.enabled.then_some(habits?),
                feed_kept: feed_kept?,
                acquirers,
                after: after?,
                ticketing: ticketing?,
                intake: intake?,
                audit: audit?,
                books: books?,
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

impl raw::RawRetention {
    /// How long an unused face is kept, how long an erased rider's account, and how long somebody is taken to be inside.
    fn check(self, path: &str, problems: &mut Problems) -> Option<(Duration, Duration, Duration)> {
        let at = |key: &str| format!("{path}.{key}");
        let unused = problems.within(&at("unused_days"), self.unused_days, 1..=36_500);
        let account = problems.within(&at("account_days"), self.account_days, 1..=400);
        let inside = problems.duration_s(&at("inside_max_s"), self.inside_max_s, 3600..=7 * 86_400);
        let days = |days: u64| u32::try_from(days).ok().map(|days| DAY * days);
        Some((days(unused?)?, days(account?)?, inside?))
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
    fn check(self, path: &str, billing: Option<&BillingPolicy>, problems: &mut Problems) -> Option<SettlingPolicy> {
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
            billing: billing?.clone(),
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
